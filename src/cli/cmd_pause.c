/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

static int cmd_pause(struct cli *cli, const struct args *a, struct err *e) {
    return each_operand(cli, a, "POST", "/containers/", "/pause", NULL, e);
}

const struct command command_pause = {
    .use = "CONTAINER [CONTAINER...]",
    .summary = "Pause all processes within one or more containers",
    .aliases = "container pause, pause",
    .flags = no_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_pause,
    .completes = "container",
};
