/* SPDX-License-Identifier: Apache-2.0 */
/* Images as a whole: rmi, tag, pull, and history. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/create.h"
#include "cli/output.h"
#include "format/json.h"
#include "format/ref.h"

/* clang-format off */
static const struct flag rmi_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Force removal of the image"},
    {.name = "no-prune", .type = FLAG_BOOL, .usage = "Do not delete untagged parents"},
    {.name = "platform", .type = FLAG_STRINGS, .usage = "Remove only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"},
    {.name = NULL},
};
static const struct flag tag_flags[] = {
    {.name = "force", .shorthand = 'f', .type = FLAG_BOOL, .usage = "Replace an existing tag (always done)", .hidden = true},
    {.name = NULL},
};
static const struct flag history_flags[] = {
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "human", .shorthand = 'H', .type = FLAG_BOOL, .usage = "Print sizes and dates in human readable format", .shown = "true", .initial = "true"},
    {.name = "no-trunc", .type = FLAG_BOOL, .usage = "Don't truncate output"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Only show image IDs"},
    {.name = NULL},
};
static const struct flag pull_flags[] = {
    {.name = "all-tags", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Download all tagged images in the repository"},
    {.name = "disable-content-trust", .type = FLAG_BOOL, .usage = "Skip image verification", .shown = "true", .initial = "true"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Set platform if server is multi-platform capable"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Suppress verbose output"},
    {.name = NULL},
};
/* clang-format on */

static int cmd_rmi(struct cli *cli, const struct args *a, struct err *e) {
    bool force = flag_bool(&a->flags, "force"), only_missing = true;
    auto_buf query = BUF_INIT;
    int result = 0;

    if (force)
        query_add(&query, "force", "1");
    if (flag_bool(&a->flags, "no-prune"))
        query_add(&query, "noprune", "1");
    for (int i = 0; i < a->argc; i++) {
        auto_free char *path = path_join("/images/", a->argv[i], "");
        struct request request = {.method = "DELETE", .path = path, .query = buf_str(&query)};
        auto_buf body = BUF_INIT;
        auto_json *answer = NULL;
        auto_err why = ERR_INIT;
        int r = client_call(&cli->client, &request, &body, &why);

        if (r == 0)
            r = client_parse_json(buf_str(&body), body.len, &answer, &why);
        if (r < 0) {
            only_missing &= why.class == ERR_NOT_FOUND;
            err_append(e, &why);
            result = r;
            continue;
        }
        for (size_t j = 0; j < json_object_array_length(answer); j++) {
            struct json_object *o = json_object_array_get_idx(answer, j);

            if (jsn_str(o, "Deleted"))
                put_line("Deleted: %s", jsn_str(o, "Deleted"));
            else
                put_line("Untagged: %s", str_or_empty(jsn_str(o, "Untagged")));
        }
    }
    if (result < 0 && force && only_missing) { /* rmi -f of nothing is no failure */
        fprintf(stderr, "%s\n", err_msg(e));
        err_done(e);
        return 0;
    }
    return result;
}

const struct command command_rmi = {
    .use = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Remove one or more images",
    .aliases = "image rm, image remove, rmi",
    .flags = rmi_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_rmi,
    .completes = "image",
};

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

/* ---- history ------------------------------------------------------------------------------- */

static const struct column history_columns[] = {{"ID", "IMAGE"},
                                                {"CreatedSince", "CREATED"},
                                                {"CreatedAt", "CREATED AT"},
                                                {"CreatedBy", "CREATED BY"},
                                                {"Size", "SIZE"},
                                                {"Comment", "COMMENT"},
                                                {NULL, NULL}};
static const struct list_format history_format = {
    .columns = history_columns,
    .table = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    .quiet = "{{.ID}}",
    .type_name = "*formatter.historyContext",
};
static const struct list_format history_plain_format = {
    .columns = history_columns,
    .table = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    .quiet = "{{.ID}}",
    .type_name = "*formatter.historyContext",
};

static char *rfc3339(int64_t seconds) {
    char text[TIME_TEXT_MAX];

    return xstrdup(time_format(seconds * NS_PER_SEC, text));
}

static struct json_object *history_row(struct json_object *h, bool human, bool trunc) {
    struct json_object *row = json_object_new_object();
    auto_free char *by = xstrdup(str_or_empty(jsn_str(h, "CreatedBy")));
    const char *id = str_or_empty(jsn_str(h, "Id"));
    int64_t created = jsn_int(h, "Created", 0), size = jsn_int(h, "Size", 0);

    for (char *p = by; *p; p++)
        if (*p == '\t')
            *p = ' ';
    row_add(row, "Comment", jsn_str(h, "Comment"));
    row_take(row, "CreatedAt", created > 0 ? rfc3339(created) : xstrdup("N/A"));
    row_take(row, "CreatedBy", trunc ? ellipsis(by, 45) : xstrdup(by));
    row_take(row, "CreatedSince", created > 0 ? time_ago(created) : xstrdup("N/A"));
    row_take(row, "ID", trunc ? short_id(id) : xstrdup(id));
    row_take(row, "Size", human ? human_size((double)size, 3) : xasprintf("%lld", (long long)size));
    return row;
}

static int cmd_history(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    bool human = flag_bool(f, "human"), trunc = !flag_bool(f, "no-trunc");
    auto_free char *path = path_join("/images/", a->argv[0], "/history");
    auto_json *all = NULL;
    auto_list list = {0};
    int r = list_begin(&list, human ? &history_format : &history_plain_format,
                       flag_str(f, "format"), flag_bool(f, "quiet"), e);

    if (r == 0)
        r = client_get_json(&cli->client, path, NULL, &all, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        auto_json *row = history_row(json_object_array_get_idx(all, i), human, trunc);

        r = list_row(&list, row, e);
        if (r < 0)
            return r;
    }
    return list_end(&list, e);
}

const struct command command_history = {
    .use = "[OPTIONS] IMAGE",
    .summary = "Show the history of an image",
    .aliases = "image history, history",
    .flags = history_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_history,
    .completes = "image",
};
