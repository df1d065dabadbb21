/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "cli/archive.h"
#include "cli/commands.h"

/* clang-format off */
static const struct flag save_flags[] = {
    {.name = "output", .shorthand = 'o', .type = FLAG_STRING, .usage = "Write to a file, instead of STDOUT"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_save(struct cli *cli, const struct args *a, struct err *e) {
    const char *output = flag_str(&a->flags, "output");
    auto_buf query = BUF_INIT;

    if (!*output && isatty(STDOUT_FILENO) == 1)
        return err_set(e, ERR_INVALID,
                       "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    if (archive_check_output(output, e) < 0) {
        err_wrap(e, "failed to save image");
        return -ENOENT;
    }
    for (int i = 0; i < a->argc; i++)
        query_add(&query, "names", a->argv[i]);
    archive_add_platform(&query, flag_str(&a->flags, "platform"));
    return archive_receive(cli, "/images/get", buf_str(&query), output, e);
}

const struct command command_save = {
    .use = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Save one or more images to a tar archive (streamed to STDOUT by default)",
    .aliases = "image save, save",
    .flags = save_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_save,
    .completes = "image",
};
