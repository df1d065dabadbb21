/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

static int cmd_unpause(struct cli *cli, const struct args *a, struct err *e) {
    return each_operand(cli, a, "POST", "/containers/", "/unpause", NULL, e);
}

const struct command command_unpause = {
    .use = "CONTAINER [CONTAINER...]",
    .summary = "Unpause all processes within one or more containers",
    .aliases = "container unpause, unpause",
    .flags = no_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_unpause,
    .completes = "container",
};
