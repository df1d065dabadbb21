/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/output.h"
#include "cli/session.h"
#include "format/json.h"

/* clang-format off */
static const struct flag start_flags[] = {
    {.name = "attach", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Attach STDOUT/STDERR and forward signals"},
    {.name = "detach-keys", .type = FLAG_STRING, .usage = "Override the key sequence for detaching a container"},
    {.name = "interactive", .shorthand = 'i', .type = FLAG_BOOL, .usage = "Attach container's STDIN"},
    {.name = NULL},
};
/* clang-format on */

static int inspect(struct cli *cli, const char *name, struct json_object **ret, struct err *e) {
    auto_free char *path = path_join("/containers/", name, "/json");

    return client_get_json(&cli->client, path, NULL, ret, e);
}

static int start_one(struct cli *cli, const char *object, struct err *e) {
    auto_free char *path = xasprintf("%s/start", object);

    return client_post_json(&cli->client, path, NULL, NULL, NULL, e);
}

static int start_attached(struct cli *cli, const struct args *a, struct err *e) {
    auto_exchange attach = EXCHANGE_INIT, wait = EXCHANGE_INIT;
    auto_json *c = NULL;
    auto_free char *object = NULL;
    struct json_object *config;
    struct stream s = {.client = &cli->client, .out = true, .err = true, .fd = -1, .signal_fd = -1};
    int r, status = 0;

    if (a->argc > 1)
        return err_set(e, ERR_INVALID, "you cannot start and attach multiple containers at once");
    r = detach_keys_parse(config_flag(cli, &a->flags, "detach-keys", "detachKeys"), &s.detach, e);
    if (r == 0)
        r = inspect(cli, a->argv[0], &c, e);
    if (r < 0)
        return r;
    config = jsn_get(c, "Config");
    object = xasprintf("/containers/%s", str_or_empty(jsn_str(c, "Id")));
    s.object = object;
    s.tty = jsn_bool(config, "Tty", false);
    s.in = flag_bool(&a->flags, "interactive") && jsn_bool(config, "OpenStdin", false);
    s.proxy = !s.tty;
    r = session_attach(&cli->client, object, &s,
                       config_flag(cli, &a->flags, "detach-keys", "detachKeys"), &attach, e);
    if (r == 0)
        r = session_wait(&cli->client, object,
                         jsn_bool(jsn_get(c, "HostConfig"), "AutoRemove", false) ? "removed"
                                                                                 : "next-exit",
                         &wait, e);
    if (r == 0)
        r = stream_open(&s, &attach, e);
    if (r == 0)
        r = start_one(cli, object, e);
    if (r == 0) {
        stream_resize(&s);
        r = stream_run(&s, session_wait_fd(&wait), e);
    }
    stream_close(&s);
    if (r == STREAM_DETACHED)
        return 0;
    if (r == 0)
        r = session_status(&wait, &status, e);
    return r < 0 ? r : status;
}

static int cmd_start(struct cli *cli, const struct args *a, struct err *e) {
    auto_strv failed = NULL;

    if (flag_bool(&a->flags, "attach") || flag_bool(&a->flags, "interactive"))
        return start_attached(cli, a, e);
    for (int i = 0; i < a->argc; i++) {
        auto_free char *object = path_join("/containers/", a->argv[i], "");
        auto_err why = ERR_INIT;

        if (start_one(cli, object, &why) < 0) {
            fprintf(stderr, "%s\n", err_msg(&why));
            strv_add(&failed, a->argv[i]);
        } else {
            put_line("%s", a->argv[i]);
        }
    }
    if (failed) {
        auto_free char *names = strv_join(failed, ", ");

        return err_set(e, ERR_SYSTEM, "Error: failed to start containers: %s", names);
    }
    return 0;
}

const struct command command_start = {
    .use = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Start one or more stopped containers",
    .aliases = "container start, start",
    .flags = start_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_start,
    .completes = "container",
};
