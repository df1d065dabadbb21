/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/stop.h"

/* clang-format off */
const struct flag stop_flags[] = {
    {.name = "signal", .shorthand = 's', .type = FLAG_STRING, .usage = "Signal to send to the container"},
    {.name = "time", .type = FLAG_INT, .usage = "Seconds to wait before killing the container", .hidden = true, .alias_of = "timeout"},
    {.name = "timeout", .shorthand = 't', .type = FLAG_INT, .usage = "Seconds to wait before killing the container"},
    {.name = NULL},
};
/* clang-format on */

int stop_or_restart(struct cli *cli, const struct args *a, const char *suffix, struct err *e) {
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

const struct command command_stop = {
    .use = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Stop one or more running containers",
    .aliases = "container stop, stop",
    .flags = stop_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_stop,
    .completes = "container",
};
