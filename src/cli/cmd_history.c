/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag history_flags[] = {
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "human", .shorthand = 'H', .type = FLAG_BOOL, .usage = "Print sizes and dates in human readable format", .shown = "true", .initial = "true"},
    {.name = "no-trunc", .type = FLAG_BOOL, .usage = "Don't truncate output"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Only show image IDs"},
    {.name = NULL},
};
/* clang-format on */

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
