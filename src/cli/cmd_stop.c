/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that ask one thing of each container: stop, restart, kill, pause, unpause, rm, wait,
 * rename. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag stop_flags[] = {
    {.name = "signal", .shorthand = 's', .type = FLAG_STRING, .usage = "Signal to send to the container"},
    {.name = "time", .type = FLAG_INT, .usage = "Seconds to wait before killing the container", .hidden = true, .alias_of = "timeout"},
    {.name = "timeout", .shorthand = 't', .type = FLAG_INT, .usage = "Seconds to wait before killing the container"},
    {.name = NULL},
};
static const struct flag kill_flags[] = {
    {.name = "signal", .shorthand = 's', .type = FLAG_STRING, .usage = "Signal to send to the container"},
    {.name = NULL},
};
static const struct flag rm_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Force the removal of a running container (uses SIGKILL)"},
    {.name = "link", .shorthand = 'l', .type = FLAG_BOOL, .usage = "Remove the specified link"},
    {.name = "volumes", .shorthand = 'v', .type = FLAG_BOOL, .usage = "Remove anonymous volumes associated with the container"},
    {.name = NULL},
};
/* clang-format on */

static int stop_or_restart(struct cli *cli, const struct args *a, const char *suffix,
                           struct err *e) {
    auto_buf query = BUF_INIT;

    if (*flag_str(&a->flags, "signal"))
        query_add(&query, "signal", flag_str(&a->flags, "signal"));
    if (flag_changed(&a->flags, "timeout"))
        query_add_int(&query, "t", flag_int(&a->flags, "timeout"));
    return each_operand(cli, a, "POST", "/containers/", suffix, buf_str(&query), e);
}

static int cmd_stop(struct cli *cli, const struct args *a, struct err *e) {
    return stop_or_restart(cli, a, "/stop", e);
}

static int cmd_restart(struct cli *cli, const struct args *a, struct err *e) {
    return stop_or_restart(cli, a, "/restart", e);
}

static int cmd_kill(struct cli *cli, const struct args *a, struct err *e) {
    auto_buf query = BUF_INIT;

    if (*flag_str(&a->flags, "signal"))
        query_add(&query, "signal", flag_str(&a->flags, "signal"));
    return each_operand(cli, a, "POST", "/containers/", "/kill", buf_str(&query), e);
}

static int cmd_pause(struct cli *cli, const struct args *a, struct err *e) {
    return each_operand(cli, a, "POST", "/containers/", "/pause", NULL, e);
}

static int cmd_unpause(struct cli *cli, const struct args *a, struct err *e) {
    return each_operand(cli, a, "POST", "/containers/", "/unpause", NULL, e);
}

static int cmd_rm(struct cli *cli, const struct args *a, struct err *e) {
    auto_buf query = BUF_INIT;

    if (flag_bool(&a->flags, "force"))
        query_add(&query, "force", "1");
    if (flag_bool(&a->flags, "link"))
        query_add(&query, "link", "1");
    if (flag_bool(&a->flags, "volumes"))
        query_add(&query, "v", "1");
    return each_operand(cli, a, "DELETE", "/containers/", "", buf_str(&query), e);
}

static int cmd_wait(struct cli *cli, const struct args *a, struct err *e) {
    int result = 0;

    for (int i = 0; i < a->argc; i++) {
        auto_free char *path = path_join("/containers/", a->argv[i], "/wait");
        auto_json *answer = NULL;
        auto_err why = ERR_INIT;
        int r = client_post_json(&cli->client, path, NULL, NULL, &answer, &why);

        if (r < 0) {
            err_append(e, &why);
            result = r;
            continue;
        }
        put_line("%lld", (long long)jsn_int(answer, "StatusCode", 0));
    }
    return result;
}

static int cmd_rename(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/rename");
    auto_buf query = BUF_INIT;
    int r;

    query_add(&query, "name", a->argv[1]);
    r = client_post_json(&cli->client, path, buf_str(&query), NULL, NULL, e);
    if (r < 0)
        fprintf(stderr, "Error: failed to rename container named %s\n", a->argv[0]);
    return r;
}

#define CONTAINERS "CONTAINER [CONTAINER...]"

const struct command command_stop = {
    .use = "[OPTIONS] " CONTAINERS,
    .summary = "Stop one or more running containers",
    .aliases = "container stop, stop",
    .flags = stop_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_stop,
    .completes = "container",
};
const struct command command_restart = {
    .use = "[OPTIONS] " CONTAINERS,
    .summary = "Restart one or more containers",
    .aliases = "container restart, restart",
    .flags = stop_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_restart,
    .completes = "container",
};
const struct command command_kill = {
    .use = "[OPTIONS] " CONTAINERS,
    .summary = "Kill one or more running containers",
    .aliases = "container kill, kill",
    .flags = kill_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_kill,
    .completes = "container",
};
const struct command command_pause = {
    .use = CONTAINERS,
    .summary = "Pause all processes within one or more containers",
    .aliases = "container pause, pause",
    .flags = no_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_pause,
    .completes = "container",
};
const struct command command_unpause = {
    .use = CONTAINERS,
    .summary = "Unpause all processes within one or more containers",
    .aliases = "container unpause, unpause",
    .flags = no_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_unpause,
    .completes = "container",
};
const struct command command_rm = {
    .use = "[OPTIONS] " CONTAINERS,
    .summary = "Remove one or more containers",
    .aliases = "container rm, container remove, rm",
    .flags = rm_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_rm,
    .completes = "container",
};
const struct command command_wait = {
    .use = CONTAINERS,
    .summary = "Block until one or more containers stop, then print their exit codes",
    .aliases = "container wait, wait",
    .flags = no_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_wait,
    .completes = "container",
};
const struct command command_rename = {
    .use = "CONTAINER NEW_NAME",
    .summary = "Rename a container",
    .aliases = "container rename, rename",
    .flags = no_flags,
    .min_args = 2,
    .max_args = 2,
    .run = cmd_rename,
    .completes = "container",
};
