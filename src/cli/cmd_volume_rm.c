/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

/* clang-format off */
static const struct flag rm_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Force the removal of one or more volumes"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_volume_rm(struct cli *cli, const struct args *a, struct err *e) {
    return each_operand(cli, a, "DELETE", "/volumes/", "",
                        flag_bool(&a->flags, "force") ? "force=1" : NULL, e);
}

const struct command command_volume_rm = {
    .use = "[OPTIONS] VOLUME [VOLUME...]",
    .summary =
        "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    .aliases = "volume rm, volume remove",
    .flags = rm_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_volume_rm,
    .completes = "volume",
};
