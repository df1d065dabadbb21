/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/archive.h"
#include "cli/commands.h"
#include "cli/create.h"

/* clang-format off */
static const struct flag import_flags[] = {
    {.name = "change", .shorthand = 'c', .type = FLAG_LIST, .usage = "Apply Dockerfile instruction to the created image"},
    {.name = "message", .shorthand = 'm', .type = FLAG_STRING, .usage = "Set commit message for imported image"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Set platform if server is multi-platform capable"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_import(struct cli *cli, const struct args *a, struct err *e) {
    const char *source = a->argc > 0 ? a->argv[0] : "-"; /* none: an old spelling of "-" */
    bool remote = str_starts(source, "http://") || str_starts(source, "https://");
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT;
    struct request request = {.method = "POST", .path = "/images/create"};
    auto_fd fd = -1;
    int r;

    strv_for_each (change, flag_list(&a->flags, "change"))
        query_add(&query, "changes", change);
    query_add(&query, "fromSrc", remote ? source : "-");
    if (*flag_str(&a->flags, "message"))
        query_add(&query, "message", flag_str(&a->flags, "message"));
    if (*flag_str(&a->flags, "platform"))
        query_add(&query, "platform", flag_str(&a->flags, "platform"));
    if (a->argc > 1)
        query_add(&query, "repo", a->argv[1]);
    request.query = buf_str(&query);
    if (remote) {
        r = exchange_open(&x, &cli->client, &request, e);
    } else {
        r = archive_open_input(source, &fd, e);
        if (r < 0)
            return r;
        request.content_type = "text/plain";
        r = archive_send(cli, &x, &request, fd, e);
    }
    return r < 0 ? r : show_progress(&x, STDOUT_FILENO, false, e);
}

const struct command command_import = {
    .use = "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    .summary = "Import the contents from a tarball to create a filesystem image",
    .aliases = "image import, import",
    .flags = import_flags,
    .max_args = 2,
    .run = cmd_import,
};
