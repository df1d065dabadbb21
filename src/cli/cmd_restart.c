/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/stop.h"

static int cmd_restart(struct cli *cli, const struct args *a, struct err *e) {
    return stop_or_restart(cli, a, "/restart", e);
}

const struct command command_restart = {
    .use = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Restart one or more containers",
    .aliases = "container restart, restart",
    .flags = stop_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_restart,
    .completes = "container",
};
