/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/create.h"
#include "cli/output.h"
#include "format/ref.h"

/* clang-format off */
static const struct flag pull_flags[] = {
    {.name = "all-tags", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Download all tagged images in the repository"},
    {.name = "disable-content-trust", .type = FLAG_BOOL, .usage = "Skip image verification", .shown = "true", .initial = "true"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Set platform if server is multi-platform capable"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Suppress verbose output"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_pull(struct cli *cli, const struct args *a, struct err *e) {
    __attribute__((cleanup(image_ref_done))) struct image_ref ref = {0};
    bool quiet = flag_bool(&a->flags, "quiet"), all = flag_bool(&a->flags, "all-tags");
    auto_free char *name = NULL;
    int r = image_ref_parse(a->argv[0], &ref, e);

    if (r < 0)
        return r;
    if (all && (ref.tag || ref.digest))
        return err_set(e, ERR_INVALID, "tag can't be used with --all-tags/-a");
    if (!all && !ref.tag && !ref.digest) {
        image_ref_default_tag(&ref);
        if (!quiet)
            put_line("Using default tag: %s", ref.tag);
    }
    (void)fflush(stdout); /* before the progress, which goes past stdio */
    r = pull_image(cli, a->argv[0], flag_str(&a->flags, "platform"), quiet, all, STDOUT_FILENO, e);
    if (r < 0)
        return r;
    name = image_ref_canonical(&ref);
    put_line("%s", name);
    return 0;
}

const struct command command_pull = {
    .use = "[OPTIONS] NAME[:TAG|@DIGEST]",
    .summary = "Download an image from a registry",
    .aliases = "image pull, pull",
    .flags = pull_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_pull,
};
