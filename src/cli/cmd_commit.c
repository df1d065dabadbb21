/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag commit_flags[] = {
    {.name = "author", .shorthand = 'a', .type = FLAG_STRING, .usage = "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"},
    {.name = "change", .shorthand = 'c', .type = FLAG_LIST, .usage = "Apply Dockerfile instruction to the created image"},
    {.name = "message", .shorthand = 'm', .type = FLAG_STRING, .usage = "Commit message"},
    {.name = "pause", .shorthand = 'p', .type = FLAG_BOOL, .usage = "Pause container during commit", .shown = "true", .initial = "true"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_commit(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    auto_free char *repo = NULL, *tag = NULL;
    auto_buf query = BUF_INIT;
    auto_json *answer = NULL;
    int r = split_reference(a->argc > 1 ? a->argv[1] : "", &repo, &tag, e);

    if (r < 0)
        return r;
    query_add(&query, "author", flag_str(f, "author"));
    strv_for_each (change, flag_list(f, "change"))
        query_add(&query, "changes", change);
    query_add(&query, "comment", flag_str(f, "message"));
    query_add(&query, "container", a->argv[0]);
    if (!flag_bool(f, "pause"))
        query_add(&query, "pause", "0");
    query_add(&query, "repo", repo);
    query_add(&query, "tag", tag);
    r = client_post_json(&cli->client, "/commit", buf_str(&query), NULL, &answer, e);
    if (r < 0)
        return r;
    put_line("%s", str_or_empty(jsn_str(answer, "Id")));
    return 0;
}

const struct command command_commit = {
    .use = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    .summary = "Create a new image from a container's changes",
    .aliases = "container commit, commit",
    .flags = commit_flags,
    .min_args = 1,
    .max_args = 2,
    .run = cmd_commit,
    .completes = "container",
};
