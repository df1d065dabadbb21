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
    {.name = "filter", .shorthand = 'f', .type = FLAG_LIST, .type_name = "filter", .usage = "Provide filter values (e.g. \"driver=bridge\")", .check = filter_check},
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "no-trunc", .type = FLAG_BOOL, .usage = "Do not truncate the output"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Only display network IDs"},
    {.name = NULL},
};
/* clang-format on */

static const struct column columns[] = {{"ID", "NETWORK ID"},
                                        {"Name", "NAME"},
                                        {"Driver", "DRIVER"},
                                        {"Scope", "SCOPE"},
                                        {"IPv4", "IPV4"},
                                        {"IPv6", "IPV6"},
                                        {"Internal", "INTERNAL"},
                                        {"Labels", "LABELS"},
                                        {"CreatedAt", "CREATED AT"},
                                        {NULL, NULL}};

static char *network_method(struct json_object *labels, const char *name, const char *arg) {
    if (!str_eq(name, "Label"))
        return NULL;
    return xstrdup(str_or_empty(jsn_str(labels, arg)));
}

static const struct list_format ls_format = {
    .columns = columns,
    .table = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    .quiet = "{{.ID}}",
    .type_name = "*network.networkContext",
    .method = network_method,
};

/* Go prints "2026-01-02T03:04:05.678+01:00" as "2026-01-02 03:04:05.678 +0100 +0100". */
static char *go_time(const char *s) {
    const char *t = strchr(s, 'T'), *zone = t ? strpbrk(t, "Z+-") : NULL;
    auto_free char *clock = NULL, *offset = NULL;

    if (!zone)
        return xstrdup(s);
    clock = xstrndup(t + 1, (size_t)(zone - t - 1));
    if (*zone == 'Z')
        return xasprintf("%.*s %s +0000 UTC", (int)(t - s), s, clock);
    offset = xasprintf("%.3s%s", zone, strlen(zone) > 4 ? zone + 4 : "");
    return xasprintf("%.*s %s %s %s", (int)(t - s), s, clock, offset, offset);
}

static const char *bool_text(struct json_object *o, const char *member) {
    return json_object_get_boolean(jsn_get(o, member)) ? "true" : "false";
}

static struct json_object *network_row(struct json_object *n, bool trunc) {
    struct json_object *row = json_object_new_object(), *labels = jsn_get(n, "Labels");
    const char *id = str_or_empty(jsn_str(n, "Id"));
    auto_strv pairs = NULL;

    if (labels) {
        json_object_object_foreach(labels, key, val) {
            strv_take(&pairs, xasprintf("%s=%s", key, str_or_empty(json_object_get_string(val))));
        }
    }
    row_take(row, "CreatedAt", go_time(str_or_empty(jsn_str(n, "Created"))));
    row_add(row, "Driver", jsn_str(n, "Driver"));
    row_take(row, "ID", trunc ? short_id(id) : xstrdup(id));
    row_add(row, "IPv4", bool_text(n, "EnableIPv4"));
    row_add(row, "IPv6", bool_text(n, "EnableIPv6"));
    row_add(row, "Internal", bool_text(n, "Internal"));
    row_take(row, "Labels", strv_join(pairs, ","));
    row_add(row, "Name", jsn_str(n, "Name"));
    row_add(row, "Scope", jsn_str(n, "Scope"));
    return row;
}

static int compare_names(const void *a, const void *b) {
    return natural_compare(str_or_empty(jsn_str(*(struct json_object *const *)a, "Name")),
                           str_or_empty(jsn_str(*(struct json_object *const *)b, "Name")));
}

static int cmd_network_ls(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    auto_free char *filters = filters_json(flag_list(f, "filter"));
    auto_buf query = BUF_INIT;
    auto_json *all = NULL;
    auto_list list = {0};
    int r = list_begin(&list, &ls_format, config_flag(cli, f, "format", "networksFormat"),
                       flag_bool(f, "quiet"), e);

    if (r < 0)
        return r;
    if (filters)
        query_add(&query, "filters", filters);
    r = client_get_json(&cli->client, "/networks", buf_str(&query), &all, e);
    if (r < 0)
        return r;
    if (!json_object_is_type(all, json_type_array))
        return list_end(&list, e);
    json_object_array_sort(all, compare_names);
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *n = json_object_array_get_idx(all, i);
        auto_json *row = network_row(n, !flag_bool(f, "no-trunc"));

        list.extra = jsn_get(n, "Labels");
        r = list_row(&list, row, e);
        if (r < 0)
            return r;
    }
    return list_end(&list, e);
}

const struct command command_network_ls = {
    .use = "[OPTIONS]",
    .summary = "List networks",
    .aliases = "network ls, network list",
    .flags = ls_flags,
    .run = cmd_network_ls,
};
