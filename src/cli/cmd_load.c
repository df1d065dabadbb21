/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/archive.h"
#include "cli/commands.h"
#include "cli/create.h"

/* clang-format off */
static const struct flag load_flags[] = {
    {.name = "input", .shorthand = 'i', .type = FLAG_STRING, .usage = "Read from tar archive file, instead of STDIN"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Suppress the load output"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_load(struct cli *cli, const struct args *a, struct err *e) {
    const char *input = flag_str(&a->flags, "input");
    bool quiet = flag_bool(&a->flags, "quiet");
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT;
    struct request request = {
        .method = "POST", .path = "/images/load", .content_type = "application/x-tar"};
    auto_fd fd = -1;
    int r;

    if (a->argc > 0 && !str_eq(a->argv[0], "-"))
        return err_set(e, ERR_INVALID, "'%s' accepts no arguments", a->path);
    if (!*input && isatty(STDIN_FILENO) == 1)
        return err_set(e, ERR_INVALID, "requested load from stdin, but stdin is empty");
    r = archive_open_input(input, &fd, e);
    if (r < 0)
        return r;
    if (quiet || isatty(STDOUT_FILENO) != 1)
        query_add(&query, "quiet", "1");
    archive_add_platform(&query, flag_str(&a->flags, "platform"));
    request.query = buf_str(&query);
    r = archive_send(cli, &x, &request, fd, e);
    return r < 0 ? r : show_progress(&x, STDOUT_FILENO, false, e);
}

const struct command command_load = {
    .use = "[OPTIONS]",
    .summary = "Load an image from a tar archive or STDIN",
    .aliases = "image load, load",
    .flags = load_flags,
    .max_args = 1, /* an old spelling: load - */
    .run = cmd_load,
};
