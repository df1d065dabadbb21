/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/create.h"
#include "cli/stream.h"
#include "format/json.h"

/* clang-format off */
static const struct flag exec_flags[] = {
    {.name = "detach", .shorthand = 'd', .type = FLAG_BOOL, .usage = "Detached mode: run command in the background"},
    {.name = "detach-keys", .type = FLAG_STRING, .usage = "Override the key sequence for detaching a container"},
    {.name = "env", .shorthand = 'e', .type = FLAG_LIST, .usage = "Set environment variables"},
    {.name = "env-file", .type = FLAG_LIST, .usage = "Read in a file of environment variables"},
    {.name = "interactive", .shorthand = 'i', .type = FLAG_BOOL, .usage = "Keep STDIN open even if not attached"},
    {.name = "privileged", .type = FLAG_BOOL, .usage = "Give extended privileges to the command"},
    {.name = "tty", .shorthand = 't', .type = FLAG_BOOL, .usage = "Allocate a pseudo-TTY"},
    {.name = "user", .shorthand = 'u', .type = FLAG_STRING, .usage = "Username or UID (format: \"<name|uid>[:<group|gid>]\")"},
    {.name = "workdir", .shorthand = 'w', .type = FLAG_STRING, .usage = "Working directory inside the container"},
    {.name = NULL},
};
/* clang-format on */

static void put_console(struct jw *w, bool tty) {
    unsigned rows, columns;

    if (!tty || !terminal_size(STDOUT_FILENO, &rows, &columns) || rows == 0)
        return;
    jw_key(w, "ConsoleSize");
    jw_array(w);
    jw_int(w, rows);
    jw_int(w, columns);
    jw_end_array(w);
}

static int exec_body(const struct cli *cli, const struct args *a, struct buf *body, struct err *e) {
    const struct flags *f = &a->flags;
    bool detach = flag_bool(f, "detach");
    auto_strv env = NULL;
    struct jw w;
    int r = read_kv(flag_list(f, "env-file"), flag_list(f, "env"), true, &env, e);

    if (r < 0)
        return r;
    jw_init(&w, body);
    jw_object(&w);
    jw_kstr(&w, "User", flag_str(f, "user"));
    jw_kbool(&w, "Privileged", flag_bool(f, "privileged"));
    jw_kbool(&w, "Tty", flag_bool(f, "tty"));
    put_console(&w, flag_bool(f, "tty") && !detach);
    jw_kbool(&w, "AttachStdin", flag_bool(f, "interactive") && !detach);
    jw_kbool(&w, "AttachStderr", !detach);
    jw_kbool(&w, "AttachStdout", !detach);
    jw_kstr(&w, "DetachKeys", config_flag(cli, f, "detach-keys", "detachKeys"));
    jw_kstrv(&w, "Env", env);
    jw_kstr(&w, "WorkingDir", flag_str(f, "workdir"));
    jw_kstrv(&w, "Cmd", a->argv + 1);
    jw_end_object(&w);
    return 0;
}

static int exec_start(struct cli *cli, const struct args *a, const char *object, struct exchange *x,
                      bool detach, struct err *e) {
    auto_free char *path = xasprintf("%s/start", object);
    auto_buf body = BUF_INIT;
    struct request request = {
        .method = "POST", .path = path, .content_type = "application/json", .upgrade = !detach};
    struct jw w;
    int r;

    jw_init(&w, &body);
    jw_object(&w);
    jw_kbool(&w, "Detach", detach);
    jw_kbool(&w, "Tty", flag_bool(&a->flags, "tty"));
    put_console(&w, flag_bool(&a->flags, "tty") && !detach);
    jw_end_object(&w);
    request.body = body.data;
    request.body_len = body.len;
    r = exchange_open(x, &cli->client, &request, e);
    x->request = (struct request){.method = "POST"};
    return r;
}

static int exit_code(struct cli *cli, const char *object, struct err *e) {
    auto_free char *path = xasprintf("%s/json", object);
    auto_json *answer = NULL;
    int r = client_get_json(&cli->client, path, NULL, &answer, e);

    return r < 0 ? r : (int)(jsn_int(answer, "ExitCode", 0) & 0xff);
}

static int cmd_exec(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    auto_free char *path = path_join("/containers/", a->argv[0], "/exec"), *object = NULL;
    auto_exchange x = EXCHANGE_INIT;
    auto_json *answer = NULL;
    auto_buf body = BUF_INIT;
    struct stream s = {.client = &cli->client,
                       .tty = flag_bool(f, "tty"),
                       .in = flag_bool(f, "interactive"),
                       .out = true,
                       .err = true,
                       .fd = -1,
                       .signal_fd = -1};
    bool detach = flag_bool(f, "detach");
    int r = detach_keys_parse(config_flag(cli, f, "detach-keys", "detachKeys"), &s.detach, e);

    if (r == 0 && !detach && s.tty && s.in && isatty(STDIN_FILENO) != 1)
        r = err_set(e, ERR_INVALID, "the input device is not a TTY");
    if (r == 0)
        r = exec_body(cli, a, &body, e);
    if (r == 0)
        r = client_post_json(&cli->client, path, NULL, buf_str(&body), &answer, e);
    if (r < 0)
        return r;
    if (str_empty(jsn_str(answer, "Id")))
        return err_set(e, ERR_SYSTEM, "exec ID empty");
    object = xasprintf("/exec/%s", jsn_str(answer, "Id"));
    s.object = object;
    r = exec_start(cli, a, object, &x, detach, e);
    if (r < 0 || detach)
        return r;
    r = stream_open(&s, &x, e);
    if (r == 0) {
        stream_resize(&s);
        r = stream_run(&s, -1, e);
    }
    stream_close(&s);
    if (r == STREAM_DETACHED) /* a status of its own: what was attached to goes on */
        return err_set(e, ERR_CANCELLED, "read escape sequence");
    return r < 0 ? r : exit_code(cli, object, e);
}

const struct command command_exec = {
    .use = "[OPTIONS] CONTAINER COMMAND [ARG...]",
    .summary = "Execute a command in a running container",
    .aliases = "container exec, exec",
    .flags = exec_flags,
    .min_args = 2,
    .max_args = ARGS_ANY,
    .stop_at_operand = true,
    .run = cmd_exec,
    .completes = "container",
};
