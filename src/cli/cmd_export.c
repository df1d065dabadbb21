/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/archive.h"
#include "cli/commands.h"

/* clang-format off */
static const struct flag export_flags[] = {
    {.name = "output", .shorthand = 'o', .type = FLAG_STRING, .usage = "Write to a file, instead of STDOUT"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_export(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/export");
    const char *output = flag_str(&a->flags, "output");

    if (!*output && isatty(STDOUT_FILENO) == 1)
        return err_set(e, ERR_INVALID,
                       "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    if (archive_check_output(output, e) < 0) {
        err_wrap(e, "failed to export container");
        return -ENOENT;
    }
    return archive_receive(cli, path, NULL, output, e);
}

const struct command command_export = {
    .use = "[OPTIONS] CONTAINER",
    .summary = "Export a container's filesystem as a tar archive",
    .aliases = "container export, export",
    .flags = export_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_export,
    .completes = "container",
};
