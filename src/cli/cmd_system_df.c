/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag df_flags[] = {
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "verbose", .shorthand = 'v', .type = FLAG_BOOL, .usage = "Show detailed information on space usage"},
    {.name = NULL},
};
/* clang-format on */

static const struct column columns[] = {
    {"Type", "TYPE"}, {"TotalCount", "TOTAL"},        {"Active", "ACTIVE"},
    {"Size", "SIZE"}, {"Reclaimable", "RECLAIMABLE"}, {NULL, NULL}};
static const struct list_format df_format = {
    .columns = columns,
    .table = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    .type_name = "*formatter.diskUsageContext",
};

struct usage {
    const char *type;
    size_t total, active;
    int64_t size, reclaimable;
    bool percent; /* shown beside the reclaimable size */
};

static size_t length(struct json_object *list) {
    return list && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static struct usage image_usage(struct json_object *df) {
    struct json_object *list = jsn_get(df, "Images");
    struct usage u = {"Images", length(list), 0, jsn_int(df, "LayersSize", 0), 0, false};
    int64_t used = 0;

    for (size_t i = 0; i < u.total; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        int64_t size = jsn_int(o, "Size", 0), shared = jsn_int(o, "SharedSize", -1);

        if (jsn_int(o, "Containers", 0) <= 0)
            continue;
        u.active++;
        if (size >= 0 && shared >= 0)
            used += size - shared;
    }
    u.reclaimable = u.size - used;
    u.percent = u.size > 0;
    return u;
}

static struct usage container_usage(struct json_object *df) {
    struct json_object *list = jsn_get(df, "Containers");
    struct usage u = {"Containers", length(list), 0, 0, 0, false};

    for (size_t i = 0; i < u.total; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        const char *state = str_or_empty(jsn_str(o, "State"));

        u.size += jsn_int(o, "SizeRw", 0);
        if (strstr("running paused restarting", state) && *state)
            u.active++;
        else
            u.reclaimable += jsn_int(o, "SizeRw", 0);
    }
    u.percent = u.size > 0;
    return u;
}

static struct usage volume_usage(struct json_object *df) {
    struct json_object *list = jsn_get(df, "Volumes");
    struct usage u = {"Local Volumes", length(list), 0, 0, 0, false};

    for (size_t i = 0; i < u.total; i++) {
        struct json_object *usage = jsn_get(json_object_array_get_idx(list, i), "UsageData");
        int64_t size = jsn_int(usage, "Size", -1), refs = jsn_int(usage, "RefCount", -1);

        u.active += refs > 0;
        if (size < 0)
            continue;
        u.size += size;
        if (refs == 0)
            u.reclaimable += size;
    }
    u.percent = u.size > 0;
    return u;
}

static struct usage cache_usage(struct json_object *df) {
    struct json_object *list = jsn_get(df, "BuildCache");
    struct usage u = {"Build Cache", length(list), 0, jsn_int(df, "BuilderSize", 0), 0, false};
    int64_t in_use = 0;

    for (size_t i = 0; i < u.total; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        if (!jsn_bool(o, "InUse", false))
            continue;
        u.active++;
        if (!jsn_bool(o, "Shared", false))
            in_use += jsn_int(o, "Size", 0);
    }
    u.reclaimable = u.size - in_use;
    return u;
}

static int usage_row(struct list_output *list, const struct usage *u, struct err *e) {
    auto_json *row = json_object_new_object();
    auto_free char *reclaimable = human_size((double)u->reclaimable, 4);

    row_take(row, "Active", xasprintf("%zu", u->active));
    row_take(row, "Reclaimable",
             u->percent ? xasprintf("%s (%lld%%)", reclaimable,
                                    (long long)(u->reclaimable * 100 / u->size))
                        : xstrdup(reclaimable));
    row_take(row, "Size", human_size((double)u->size, 4));
    row_take(row, "TotalCount", xasprintf("%zu", u->total));
    row_add(row, "Type", u->type);
    return list_row(list, row, e);
}

static int summary(struct json_object *df, const char *format, struct err *e) {
    const struct usage all[] = {image_usage(df), container_usage(df), volume_usage(df),
                                cache_usage(df)};
    auto_list list = {0};
    int r = list_begin(&list, &df_format, format, false, e);

    for (size_t i = 0; r == 0 && i < sizeof all / sizeof *all; i++)
        r = usage_row(&list, &all[i], e);
    return r < 0 ? r : list_end(&list, e);
}

/* ---- verbose ------------------------------------------------------------------------------- */

static void section(const char *title, const struct buf *table, bool last, struct buf *out) {
    buf_printf(out, "%s space usage:\n\n", title);
    table_align(buf_str(table), table->len, out);
    if (!last)
        buf_putc(out, '\n');
}

static void images(struct json_object *df, struct buf *out) {
    struct json_object *list = jsn_get(df, "Images");
    auto_buf t = BUF_INIT;

    buf_puts(&t,
             "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS\n");
    for (size_t i = 0; i < length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i), *tags = jsn_get(o, "RepoTags");
        int64_t size = jsn_int(o, "Size", 0), shared = jsn_int(o, "SharedSize", 0);
        auto_free char *id = short_id(str_or_empty(jsn_str(o, "Id")));
        auto_free char *ago = time_ago(jsn_int(o, "Created", 0)),
                       *whole = human_size((double)size, 3);
        auto_free char *common = human_size((double)shared, 4);
        auto_free char *own = human_size((double)(size - shared), 4);
        const char *ref = length(tags) > 0
                              ? json_object_get_string(json_object_array_get_idx(tags, 0))
                              : "<none>:<none>";
        const char *colon = strrchr(ref, ':');

        buf_printf(&t, "%.*s\t%s\t%s\t%s\t%s\t%s\t%s\t%lld\n",
                   (int)(colon ? colon - ref : (ptrdiff_t)strlen(ref)), ref,
                   colon ? colon + 1 : "<none>", id, ago, whole, common, own,
                   (long long)jsn_int(o, "Containers", 0));
    }
    section("Images", &t, false, out);
}

static void containers(struct json_object *df, struct buf *out) {
    struct json_object *list = jsn_get(df, "Containers");
    auto_buf t = BUF_INIT;

    buf_puts(&t, "CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES\n");
    for (size_t i = 0; i < length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i), *names = jsn_get(o, "Names");
        struct json_object *mounts = jsn_get(o, "Mounts");
        auto_free char *id = short_id(str_or_empty(jsn_str(o, "Id")));
        auto_free char *cut = ellipsis(str_or_empty(jsn_str(o, "Command")), 20);
        auto_free char *command = go_quote(cut), *ago = time_ago(jsn_int(o, "Created", 0));
        auto_free char *size = human_size((double)jsn_int(o, "SizeRw", 0), 3);
        const char *name = "";
        size_t local = 0;

        for (size_t j = 0; j < length(names) && !*name; j++) {
            const char *one = json_object_get_string(json_object_array_get_idx(names, j));

            if (*one == '/' && !strchr(one + 1, '/')) /* "/web/db" is what a link calls it */
                name = one + 1;
        }

        for (size_t j = 0; j < length(mounts); j++)
            local += str_eq(jsn_str(json_object_array_get_idx(mounts, j), "Driver"), "local");
        buf_printf(&t, "%s\t%s\t%s\t%zu\t%s\t%s\t%s\t%s\n", id, str_or_empty(jsn_str(o, "Image")),
                   command, local, size, ago, str_or_empty(jsn_str(o, "Status")), name);
    }
    section("Containers", &t, false, out);
}

static void volumes(struct json_object *df, struct buf *out) {
    struct json_object *list = jsn_get(df, "Volumes");
    auto_buf t = BUF_INIT;

    buf_puts(&t, "VOLUME NAME\tLINKS\tSIZE\n");
    for (size_t i = 0; i < length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i), *u = jsn_get(o, "UsageData");
        auto_free char *size = human_size((double)jsn_int(u, "Size", 0), 3);

        buf_printf(&t, "%s\t%lld\t%s\n", str_or_empty(jsn_str(o, "Name")),
                   (long long)jsn_int(u, "RefCount", 0), size);
    }
    section("Local Volumes", &t, false, out);
}

static char *age(const char *when) {
    int64_t ns;

    return when && time_parse(when, &ns) == 0 && ns > 0 ? time_ago(ns / NS_PER_SEC) : xstrdup("");
}

static void caches(struct json_object *df, struct buf *out) {
    struct json_object *list = jsn_get(df, "BuildCache");
    auto_free char *total = human_size((double)cache_usage(df).size, 4);
    auto_buf t = BUF_INIT;

    buf_puts(&t, "CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED\n");
    for (size_t i = 0; i < length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        auto_free char *id = xstrndup(str_or_empty(jsn_str(o, "ID")), 12);
        auto_free char *size = human_size((double)jsn_int(o, "Size", 0), 3);
        auto_free char *created = age(jsn_str(o, "CreatedAt")),
                       *used = age(jsn_str(o, "LastUsedAt"));

        buf_printf(&t, "%s\t%s\t%s\t%s\t%s\t%lld\t%s\n", id, str_or_empty(jsn_str(o, "Type")), size,
                   created, used, (long long)jsn_int(o, "UsageCount", 0),
                   jsn_bool(o, "Shared", false) ? "true" : "false");
    }
    buf_printf(out, "Build cache usage: %s\n\n", total);
    table_align(t.data, t.len, out);
}

static int cmd_df(struct cli *cli, const struct args *a, struct err *e) {
    auto_json *df = NULL;
    auto_buf out = BUF_INIT;
    int r;

    if (flag_bool(&a->flags, "verbose") && *flag_str(&a->flags, "format"))
        return err_set(e, ERR_INVALID, "--format is not supported together with --verbose");
    r = client_get_json(&cli->client, "/system/df", NULL, &df, e);
    if (r < 0)
        return r;
    if (!flag_bool(&a->flags, "verbose"))
        return summary(df, flag_str(&a->flags, "format"), e);
    images(df, &out);
    containers(df, &out);
    volumes(df, &out);
    caches(df, &out);
    return print_out(&out, e);
}

const struct command command_system_df = {
    .use = "[OPTIONS]",
    .summary = "Show disk usage",
    .flags = df_flags,
    .run = cmd_df,
};
