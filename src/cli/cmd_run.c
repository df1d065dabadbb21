/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/create.h"
#include "cli/output.h"
#include "cli/session.h"

/* clang-format off */
static const struct flag run_flags[] = {
    CONTAINER_FLAGS("Pull image before running (\"always\", \"missing\", \"never\")"),
    {.name = "detach", .shorthand = 'd', .type = FLAG_BOOL, .usage = "Run container in background and print container ID"},
    {.name = "detach-keys", .type = FLAG_STRING, .usage = "Override the key sequence for detaching a container"},
    {.name = "sig-proxy", .type = FLAG_BOOL, .usage = "Proxy received signals to the process", .shown = "true", .initial = "true"},
    {.name = NULL},
};
/* clang-format on */

static int start(struct cli *cli, const char *object, struct err *e) {
    auto_free char *path = xasprintf("%s/start", object);

    return client_post_json(&cli->client, path, NULL, NULL, NULL, e);
}

static int run_detached(struct cli *cli, const struct args *a, const struct create_result *c,
                        const char *object) {
    auto_err e = ERR_INIT;

    if (start(cli, object, &e) < 0)
        return create_failed(cli, a, &e);
    put_line("%s", c->id);
    return 0;
}

static int run_attached(struct cli *cli, const struct args *a, const struct create_result *c,
                        const char *object, const struct detach_keys *keys, struct err *e) {
    auto_exchange attach = EXCHANGE_INIT, wait = EXCHANGE_INIT;
    struct stream s = {.client = &cli->client,
                       .object = object,
                       .tty = c->tty,
                       .in = c->attach_stdin,
                       .out = c->attach_stdout,
                       .err = c->attach_stderr,
                       .proxy = flag_bool(&a->flags, "sig-proxy"),
                       .detach = *keys,
                       .fd = -1,
                       .signal_fd = -1};
    auto_err why = ERR_INIT;
    int status = 0, r;

    r = session_attach(&cli->client, object, &s,
                       config_flag(cli, &a->flags, "detach-keys", "detachKeys"), &attach, e);
    if (r == 0)
        r = session_wait(&cli->client, object, c->auto_remove ? "removed" : "next-exit", &wait, e);
    if (r == 0)
        r = stream_open(&s, &attach, e);
    if (r < 0) {
        stream_close(&s);
        return r;
    }
    if (start(cli, object, &why) < 0) {
        stream_close(&s);
        return create_failed(cli, a, &why);
    }
    stream_resize(&s);
    r = stream_run(&s, session_wait_fd(&wait), e);
    stream_close(&s);
    if (r == STREAM_DETACHED)
        return 0;
    if (r == 0)
        r = session_status(&wait, &status, e);
    return r < 0 ? r : status;
}

static int cmd_run(struct cli *cli, const struct args *a, struct err *e) {
    __attribute__((cleanup(create_result_done))) struct create_result c = {0};
    bool detached = flag_bool(&a->flags, "detach");
    auto_free char *object = NULL;
    auto_err why = ERR_INIT;
    struct detach_keys keys;
    int r;

    if (detached && flag_list(&a->flags, "attach"))
        return err_set(e, ERR_INVALID,
                       "conflicting options: cannot specify both --attach and --detach");
    r = detach_keys_parse(config_flag(cli, &a->flags, "detach-keys", "detachKeys"), &keys, e);
    if (r < 0)
        return r;
    if (!detached && flag_bool(&a->flags, "tty") && flag_bool(&a->flags, "interactive") &&
        isatty(STDIN_FILENO) != 1)
        return err_set(e, ERR_INVALID, "the input device is not a TTY");
    if (create_container(cli, a, detached, &c, &why) < 0) {
        (void)create_failed(cli, a, &why);
        return EXIT_USAGE;
    }
    object = xasprintf("/containers/%s", c.id);
    if (detached)
        return run_detached(cli, a, &c, object);
    return run_attached(cli, a, &c, object, &keys, e);
}

const struct command command_run = {
    .use = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    .summary = "Create and run a new container from an image",
    .aliases = "container run, run",
    .flags = run_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .stop_at_operand = true,
    .run = cmd_run,
    .completes = "image",
};
