/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

/* clang-format off */
static const struct flag rm_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Force the removal of a running container (uses SIGKILL)"},
    {.name = "link", .shorthand = 'l', .type = FLAG_BOOL, .usage = "Remove the specified link"},
    {.name = "volumes", .shorthand = 'v', .type = FLAG_BOOL, .usage = "Remove anonymous volumes associated with the container"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_rm(struct cli *cli, const struct args *a, struct err *e) {
    auto_buf query = BUF_INIT;

    if (flag_bool(&a->flags, "link"))
        query_add(&query, "link", "1");
    if (flag_bool(&a->flags, "volumes"))
        query_add(&query, "v", "1");
    if (!flag_bool(&a->flags, "force"))
        return each_operand(cli, a, "DELETE", "/containers/", "", buf_str(&query), e);
    query_add(&query, "force", "1");
    return each_operand_forced(cli, a, "DELETE", "/containers/", "", buf_str(&query), e);
}

const struct command command_rm = {
    .use = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Remove one or more containers",
    .aliases = "container rm, container remove, rm",
    .flags = rm_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_rm,
    .completes = "container",
};
