/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag ls_flags[] = {
    {.name = "filter", .shorthand = 'f', .type = FLAG_LIST, .type_name = "filter", .usage = "Provide filter values (e.g. \"dangling=true\")", .check = filter_check},
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Only display volume names"},
    {.name = NULL},
};
/* clang-format on */

static const struct column columns[] = {{"Name", "VOLUME NAME"},
                                        {"Driver", "DRIVER"},
                                        {"Scope", "SCOPE"},
                                        {"Mountpoint", "MOUNTPOINT"},
                                        {"Labels", "LABELS"},
                                        {"Links", "LINKS"},
                                        {"Size", "SIZE"},
                                        {"Availability", "AVAILABILITY"},
                                        {"Group", "GROUP"},
                                        {"Status", "STATUS"},
                                        {NULL, NULL}};

static char *volume_method(struct json_object *labels, const char *name, const char *arg) {
    if (!str_eq(name, "Label"))
        return NULL;
    return xstrdup(str_or_empty(jsn_str(labels, arg)));
}

static const struct list_format ls_format = {
    .columns = columns,
    .table = "{{.Driver}}\t{{.Name}}",
    .quiet = "{{.Name}}",
    .type_name = "*formatter.volumeContext",
    .method = volume_method,
};

static struct json_object *volume_row(struct json_object *v) {
    struct json_object *row = json_object_new_object(), *labels = jsn_get(v, "Labels");
    struct json_object *usage = jsn_get(v, "UsageData");
    auto_strv pairs = NULL;

    if (labels) {
        json_object_object_foreach(labels, key, val) {
            strv_take(&pairs, xasprintf("%s=%s", key, str_or_empty(json_object_get_string(val))));
        }
    }
    row_add(row, "Availability", "N/A");
    row_add(row, "Driver", jsn_str(v, "Driver"));
    row_add(row, "Group", "N/A");
    row_take(row, "Labels", strv_join(pairs, ","));
    row_take(row, "Links",
             usage ? xasprintf("%lld", (long long)jsn_int(usage, "RefCount", 0)) : xstrdup("N/A"));
    row_add(row, "Mountpoint", jsn_str(v, "Mountpoint"));
    row_add(row, "Name", jsn_str(v, "Name"));
    row_add(row, "Scope", jsn_str(v, "Scope"));
    row_take(row, "Size",
             usage ? human_size((double)jsn_int(usage, "Size", 0), 3) : xstrdup("N/A"));
    row_add(row, "Status", "N/A");
    return row;
}

static int compare_names(const void *a, const void *b) {
    return natural_compare(str_or_empty(jsn_str(*(struct json_object *const *)a, "Name")),
                           str_or_empty(jsn_str(*(struct json_object *const *)b, "Name")));
}

static int cmd_volume_ls(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    auto_free char *filters = filters_json(flag_list(f, "filter"));
    auto_buf query = BUF_INIT;
    auto_json *answer = NULL;
    auto_list list = {0};
    struct json_object *all;
    int r = list_begin(&list, &ls_format, config_flag(cli, f, "format", "volumesFormat"),
                       flag_bool(f, "quiet"), e);

    if (r < 0)
        return r;
    if (filters)
        query_add(&query, "filters", filters);
    r = client_get_json(&cli->client, "/volumes", buf_str(&query), &answer, e);
    if (r < 0)
        return r;
    all = jsn_get(answer, "Volumes");
    if (all)
        json_object_array_sort(all, compare_names);
    for (size_t i = 0; all && i < json_object_array_length(all); i++) {
        struct json_object *v = json_object_array_get_idx(all, i);
        auto_json *row = volume_row(v);

        list.extra = jsn_get(v, "Labels");
        r = list_row(&list, row, e);
        if (r < 0)
            return r;
    }
    return list_end(&list, e);
}

const struct command command_volume_ls = {
    .use = "[OPTIONS]",
    .summary = "List volumes",
    .aliases = "volume ls, volume list",
    .flags = ls_flags,
    .run = cmd_volume_ls,
};
