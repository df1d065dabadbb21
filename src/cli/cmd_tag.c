/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "cli/commands.h"

/* clang-format off */
static const struct flag tag_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Replace an existing tag (always done)", .hidden = true},
    {.name = NULL},
};
/* clang-format on */

static int cmd_tag(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/images/", a->argv[0], "/tag"), *repo = NULL, *tag = NULL;
    auto_buf query = BUF_INIT;
    int r = split_reference(a->argv[1], &repo, &tag, e);

    if (r < 0)
        return r;
    query_add(&query, "repo", repo);
    query_add(&query, "tag", tag);
    return client_post_json(&cli->client, path, buf_str(&query), NULL, NULL, e);
}

const struct command command_tag = {
    .use = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    .summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    .aliases = "image tag, tag",
    .flags = tag_flags,
    .min_args = 2,
    .max_args = 2,
    .run = cmd_tag,
    .completes = "image",
};
