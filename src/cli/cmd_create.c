/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/commands.h"
#include "cli/create.h"
#include "cli/output.h"

/* clang-format off */
static const struct flag create_flags[] = {
    CONTAINER_FLAGS("Pull image before creating (\"always\", \"|missing\", \"never\")"),
    {.name = NULL},
};
/* clang-format on */

static int cmd_create(struct cli *cli, const struct args *a, struct err *e) {
    __attribute__((cleanup(create_result_done))) struct create_result c = {0};
    int r = create_container(cli, a, false, &c, e);

    if (r < 0 && c.bad_flags) {
        (void)create_failed(cli, a, e);
        err_done(e); /* told */
        return EXIT_USAGE;
    }
    if (r < 0)
        return r;
    put_line("%s", c.id);
    return 0;
}

const struct command command_create = {
    .use = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    .summary = "Create a new container",
    .aliases = "container create, create",
    .flags = create_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .stop_at_operand = true,
    .run = cmd_create,
    .completes = "image",
};
