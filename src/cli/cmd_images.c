/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag images_flags[] = {
    {.name = "all", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Show all images (default hides intermediate images)"},
    {.name = "digests", .type = FLAG_BOOL, .usage = "Show digests"},
    FILTER_FLAG,
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "no-trunc", .type = FLAG_BOOL, .usage = "Don't truncate output"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Only show image IDs"},
    {.name = NULL},
};
/* clang-format on */

static const struct column columns[] = {{"ID", "IMAGE ID"},
                                        {"Repository", "REPOSITORY"},
                                        {"Tag", "TAG"},
                                        {"Digest", "DIGEST"},
                                        {"CreatedSince", "CREATED"},
                                        {"CreatedAt", "CREATED AT"},
                                        {"Size", "SIZE"},
                                        {"Containers", "CONTAINERS"},
                                        {"VirtualSize", "VIRTUAL SIZE"},
                                        {"SharedSize", "SHARED SIZE"},
                                        {"UniqueSize", "UNIQUE SIZE"},
                                        {NULL, NULL}};

static const struct list_format plain = {
    .columns = columns,
    .table = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A"
             "{{end}}\t{{.Size}}",
    .quiet = "{{.ID}}",
    .type_name = "*formatter.imageContext",
};
static const struct list_format digests = {
    .columns = columns,
    .table = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince }}"
             "{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}",
    .quiet = "{{.ID}}",
    .type_name = "*formatter.imageContext",
};

static char *count_or_na(struct json_object *o, const char *member) {
    int64_t n = jsn_int(o, member, -1);

    return n < 0 ? xstrdup("N/A") : xasprintf("%lld", (long long)n);
}

static struct json_object *image_row(struct json_object *image, const char *repo, const char *tag,
                                     const char *digest, bool trunc) {
    struct json_object *row = json_object_new_object();
    const char *id = str_or_empty(jsn_str(image, "Id"));
    int64_t created = jsn_int(image, "Created", 0), shared = jsn_int(image, "SharedSize", -1);
    int64_t size = jsn_int(image, "Size", 0);

    row_take(row, "Containers", count_or_na(image, "Containers"));
    row_take(row, "CreatedAt", time_local(created));
    row_take(row, "CreatedSince", created > 0 ? time_ago(created) : xstrdup("N/A"));
    row_add(row, "Digest", digest);
    row_take(row, "ID", trunc ? short_id(id) : xstrdup(id));
    row_add(row, "Repository", repo);
    row_take(row, "SharedSize", shared < 0 ? xstrdup("N/A") : human_size((double)shared, 3));
    row_take(row, "Size", human_size((double)size, 3));
    row_add(row, "Tag", tag);
    row_take(row, "UniqueSize",
             shared < 0 ? xstrdup("N/A") : human_size((double)(size - shared), 3));
    row_take(row, "VirtualSize", human_size((double)size, 3));
    return row;
}

/* The text before the last ':' that is behind the last '/'. */
static char *repository(const char *ref, const char **ret_tag) {
    const char *slash = strrchr(ref, '/'), *colon = strrchr(slash ? slash : ref, ':');

    *ret_tag = colon ? colon + 1 : "<none>";
    return xstrndup(ref, colon ? (size_t)(colon - ref) : strlen(ref));
}

static int emit(struct list_output *list, struct json_object *image, const char *repo,
                const char *tag, const char *digest, bool trunc, struct err *e) {
    auto_json *row = image_row(image, repo, tag, digest, trunc);

    return list_row(list, row, e);
}

/* The digest of a repository, "<none>" when there is none. */
static const char *digest_of(struct json_object *image, const char *repo) {
    struct json_object *all = jsn_get(image, "RepoDigests");
    size_t n = strlen(repo);

    for (size_t i = 0; all && i < json_object_array_length(all); i++) {
        const char *s = json_object_get_string(json_object_array_get_idx(all, i));

        if (strncmp(s, repo, n) == 0 && s[n] == '@')
            return s + n + 1;
    }
    return "<none>";
}

static int emit_image(struct list_output *list, struct json_object *image, bool trunc,
                      struct err *e) {
    struct json_object *tags = jsn_get(image, "RepoTags"), *dig = jsn_get(image, "RepoDigests");
    size_t n = tags ? json_object_array_length(tags) : 0;
    size_t m = dig ? json_object_array_length(dig) : 0;
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        const char *ref = json_object_get_string(json_object_array_get_idx(tags, i)), *tag;
        auto_free char *repo = repository(ref, &tag);
        int r;

        if (str_eq(ref, "<none>:<none>"))
            continue;
        any = true;
        r = emit(list, image, repo, tag, digest_of(image, repo), trunc, e);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; !any && i < m; i++) {
        const char *ref = json_object_get_string(json_object_array_get_idx(dig, i));
        const char *at = strchr(ref, '@');
        auto_free char *repo = at ? xstrndup(ref, (size_t)(at - ref)) : NULL;

        if (!at)
            continue;
        any = true;
        return emit(list, image, repo, "<none>", at + 1, trunc, e);
    }
    return any ? 0 : emit(list, image, "<none>", "<none>", "<none>", trunc, e);
}

static int cmd_images(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    bool quiet = flag_bool(f, "quiet"), trunc = !flag_bool(f, "no-trunc");
    auto_strv filters = strv_dup(flag_list(f, "filter"));
    auto_free char *json = NULL;
    auto_buf query = BUF_INIT;
    auto_json *all = NULL;
    auto_list list = {0};
    int r = list_begin(&list, flag_bool(f, "digests") ? &digests : &plain,
                       config_flag(cli, f, "format", "imagesFormat"), quiet, e);

    if (r < 0)
        return r;
    if (a->argc > 0)
        strv_take(&filters, xasprintf("reference=%s", a->argv[0]));
    json = filters_json(filters);
    if (flag_bool(f, "all"))
        query_add(&query, "all", "1");
    if (json)
        query_add(&query, "filters", json);
    r = client_get_json(&cli->client, "/images/json", buf_str(&query), &all, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        r = emit_image(&list, json_object_array_get_idx(all, i), trunc, e);
        if (r < 0)
            return r;
    }
    return list_end(&list, e);
}

const struct command command_images = {
    .use = "[OPTIONS] [REPOSITORY[:TAG]]",
    .summary = "List images",
    .aliases = "image ls, image list, images",
    .flags = images_flags,
    .max_args = 1,
    .run = cmd_images,
};
