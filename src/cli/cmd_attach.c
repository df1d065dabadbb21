/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/session.h"
#include "format/json.h"

/* clang-format off */
static const struct flag attach_flags[] = {
    {.name = "detach-keys", .type = FLAG_STRING, .usage = "Override the key sequence for detaching a container"},
    {.name = "no-stdin", .type = FLAG_BOOL, .usage = "Do not attach STDIN"},
    {.name = "sig-proxy", .type = FLAG_BOOL, .usage = "Proxy all received signals to the process", .shown = "true", .initial = "true"},
    {.name = NULL},
};
/* clang-format on */

static int check_state(struct json_object *c, struct err *e) {
    struct json_object *state = jsn_get(c, "State");

    if (!jsn_bool(state, "Running", false))
        return err_set(e, ERR_CONFLICT, "You cannot attach to a stopped container, start it first");
    if (jsn_bool(state, "Paused", false))
        return err_set(e, ERR_CONFLICT,
                       "You cannot attach to a paused container, unpause it first");
    if (jsn_bool(state, "Restarting", false))
        return err_set(e, ERR_CONFLICT,
                       "You cannot attach to a restarting container, wait until it is running");
    return 0;
}

static int cmd_attach(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    auto_free char *path = path_join("/containers/", a->argv[0], "/json"), *object = NULL;
    auto_exchange attach = EXCHANGE_INIT, wait = EXCHANGE_INIT;
    auto_json *c = NULL;
    struct stream s = {.client = &cli->client, .out = true, .err = true, .fd = -1, .signal_fd = -1};
    int r = detach_keys_parse(config_flag(cli, f, "detach-keys", "detachKeys"), &s.detach, e),
        status = 0;

    if (r == 0)
        r = client_get_json(&cli->client, path, NULL, &c, e);
    if (r == 0)
        r = check_state(c, e);
    if (r < 0)
        return r;
    object = xasprintf("/containers/%s", str_or_empty(jsn_str(c, "Id")));
    s.object = object;
    s.tty = jsn_bool(jsn_get(c, "Config"), "Tty", false);
    s.in = !flag_bool(f, "no-stdin") && jsn_bool(jsn_get(c, "Config"), "OpenStdin", false);
    s.proxy = flag_bool(f, "sig-proxy") && !s.tty;
    if (s.tty && s.in && isatty(STDIN_FILENO) != 1)
        return err_set(e, ERR_INVALID, "the input device is not a TTY");
    r = session_wait(&cli->client, object, NULL, &wait, e);
    if (r == 0)
        r = session_attach(&cli->client, object, &s,
                           config_flag(cli, f, "detach-keys", "detachKeys"), &attach, e);
    if (r == 0)
        r = stream_open(&s, &attach, e);
    if (r == 0) {
        stream_redraw(&s);
        r = stream_run(&s, session_wait_fd(&wait), e);
    }
    stream_close(&s);
    if (r == STREAM_DETACHED) /* a status of its own: what was attached to goes on */
        return err_set(e, ERR_CANCELLED, "read escape sequence");
    if (r == 0)
        r = session_status(&wait, &status, e);
    return r < 0 ? r : status;
}

const struct command command_attach = {
    .use = "[OPTIONS] CONTAINER",
    .summary = "Attach local standard input, output, and error streams to a running container",
    .aliases = "container attach, attach",
    .flags = attach_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_attach,
    .completes = "container",
};
