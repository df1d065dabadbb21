/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

/* clang-format off */
static const struct flag kill_flags[] = {
    {.name = "signal", .shorthand = 's', .type = FLAG_STRING, .usage = "Signal to send to the container"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_kill(struct cli *cli, const struct args *a, struct err *e) {
    auto_buf query = BUF_INIT;

    if (*flag_str(&a->flags, "signal"))
        query_add(&query, "signal", flag_str(&a->flags, "signal"));
    return each_operand(cli, a, "POST", "/containers/", "/kill", buf_str(&query), e);
}

const struct command command_kill = {
    .use = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Kill one or more running containers",
    .aliases = "container kill, kill",
    .flags = kill_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_kill,
    .completes = "container",
};
