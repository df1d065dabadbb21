/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag ps_flags[] = {
    {.name = "all", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Show all containers (default shows just running)"},
    FILTER_FLAG,
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "last", .shorthand = 'n', .type = FLAG_INT, .usage = "Show n last created containers (includes all states)", .shown = "-1", .initial = "-1"},
    {.name = "latest", .shorthand = 'l', .type = FLAG_BOOL, .usage = "Show the latest created container (includes all states)"},
    {.name = "no-trunc", .type = FLAG_BOOL, .usage = "Don't truncate output"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Only display container IDs"},
    {.name = "size", .shorthand = 's', .type = FLAG_BOOL, .usage = "Display total file sizes"},
    {.name = NULL},
};
/* clang-format on */

static const struct column columns[] = {{"ID", "CONTAINER ID"},
                                        {"Names", "NAMES"},
                                        {"Image", "IMAGE"},
                                        {"Command", "COMMAND"},
                                        {"CreatedAt", "CREATED AT"},
                                        {"RunningFor", "CREATED"},
                                        {"Ports", "PORTS"},
                                        {"State", "STATE"},
                                        {"Status", "STATUS"},
                                        {"Size", "SIZE"},
                                        {"Labels", "LABELS"},
                                        {"Mounts", "MOUNTS"},
                                        {"LocalVolumes", "LOCAL VOLUMES"},
                                        {"Networks", "NETWORKS"},
                                        {"Platform", "PLATFORM"},
                                        {NULL, NULL}};

#define PS_TABLE                                                                                   \
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"

/* {{.Label "x"}} */
static char *ps_method(struct json_object *labels, const char *name, const char *arg) {
    if (!str_eq(name, "Label"))
        return NULL;
    return xstrdup(str_or_empty(jsn_str(labels, arg)));
}

static const struct list_format ps_format = {
    .columns = columns,
    .table = PS_TABLE,
    .quiet = "{{.ID}}",
    .type_name = "*formatter.ContainerContext",
    .failure = "failed to execute template",
    .method = ps_method,
};
static const struct list_format ps_size_format = {
    .columns = columns,
    .table = PS_TABLE "\t{{.Size}}",
    .quiet = "{{.ID}}",
    .type_name = "*formatter.ContainerContext",
    .failure = "failed to execute template",
    .method = ps_method,
};

/* ---- ports: "0.0.0.0:80-82->80-82/tcp, [::]:80->80/tcp, 90/udp" ------------------------------ */

struct port {
    const char *ip, *type;
    int64_t private, public;
};

/* sctp, tcp, udp in the order of the alphabet; without a host port after those with one. */
static int compare_ports(const void *a, const void *b) {
    const struct port *x = a, *y = b;

    if (x->private != y->private)
        return x->private < y->private ? -1 : 1;
    if (strcmp(x->ip, y->ip) != 0)
        return strcmp(x->ip, y->ip);
    if (x->public != y->public)
        return x->public < y->public ? -1 : 1;
    return strcmp(x->type, y->type);
}

struct port_group {
    char *key; /* "ip/type" or "type" */
    struct port first, last;
};

static void put_ip(struct buf *b, const char *ip) {
    if (strchr(ip, ':'))
        buf_printf(b, "[%s]", ip);
    else
        buf_puts(b, ip);
}

static void put_group(char ***lines, const struct port *first, const struct port *last) {
    auto_buf b = BUF_INIT;

    if (first->public > 0) {
        put_ip(&b, first->ip);
        if (first->public == last->public)
            buf_printf(&b, ":%lld->", (long long)first->public);
        else
            buf_printf(&b, ":%lld-%lld->", (long long)first->public, (long long)last->public);
    }
    if (first->private == last->private)
        buf_printf(&b, "%lld/%s", (long long)first->private, first->type);
    else
        buf_printf(&b, "%lld-%lld/%s", (long long)first->private, (long long)last->private,
                   first->type);
    strv_take(lines, buf_take(&b));
}

static char *ports_display(struct json_object *list) {
    size_t n = list ? json_object_array_length(list) : 0, groups = 0;
    auto_free struct port *p = xcalloc(n + 1, sizeof *p);
    auto_free struct port_group *g = xcalloc(n + 1, sizeof *g);
    auto_strv lines = NULL;
    auto_strv single = NULL;

    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);

        p[i] = (struct port){str_or_empty(jsn_str(o, "IP")), str_or_empty(jsn_str(o, "Type")),
                             jsn_int(o, "PrivatePort", 0), jsn_int(o, "PublicPort", 0)};
    }
    qsort(p, n, sizeof *p, compare_ports);
    /* docker joins neighbours per address and protocol, and ports whose two numbers differ stay
     * alone and come first. */
    for (size_t i = 0; i < n; i++) {
        auto_free char *key = NULL;
        size_t at = 0;

        if (p[i].public > 0 && p[i].public != p[i].private) {
            put_group(&single, &p[i], &p[i]);
            continue;
        }
        key = p[i].public > 0 ? xasprintf("%s/%s", p[i].ip, p[i].type) : xstrdup(p[i].type);
        while (at < groups && strcmp(g[at].key, key) != 0)
            at++;
        if (at == groups) {
            g[groups++] = (struct port_group){take_ptr(key), p[i], p[i]};
            continue;
        }
        if (p[i].private == g[at].last.private + 1) {
            g[at].last = p[i];
            continue;
        }
        put_group(&lines, &g[at].first, &g[at].last);
        g[at].first = g[at].last = p[i];
    }
    for (size_t i = 0; i < groups; i++) {
        put_group(&lines, &g[i].first, &g[i].last);
        free(g[i].key);
    }
    strv_for_each (s, single)
        strv_add(&lines, s);
    return strv_join(lines, ", ");
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* Our own names without the slash; "/other/alias" of links only untruncated. */
static char *names(struct json_object *c, bool trunc) {
    struct json_object *list = jsn_get(c, "Names");
    auto_strv out = NULL;

    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(list, i));

        if (*name == '/')
            name++;
        if (trunc && strchr(name, '/'))
            continue;
        strv_add(&out, name);
    }
    return strv_join(out, ",");
}

static char *image(struct json_object *c, bool trunc) {
    const char *name = str_or_empty(jsn_str(c, "Image")), *id = str_or_empty(jsn_str(c, "ImageID"));

    if (!*name)
        return xstrdup("<no image>");
    if (trunc && (str_eq(name, id) || str_starts(name, "sha256:")))
        return short_id(name);
    if (trunc && strchr(name, '@'))
        return xstrndup(name, strcspn(name, "@"));
    return xstrdup(name);
}

static char *labels(struct json_object *c) {
    struct json_object *o = jsn_get(c, "Labels");
    auto_strv out = NULL;

    if (o) {
        json_object_object_foreach(o, key, val) {
            strv_take(&out, xasprintf("%s=%s", key, json_object_get_string(val)));
        }
    }
    return strv_join(out, ",");
}

static char *mounts(struct json_object *c, bool trunc, int64_t *ret_local) {
    struct json_object *list = jsn_get(c, "Mounts");
    auto_strv out = NULL;

    *ret_local = 0;
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *m = json_object_array_get_idx(list, i);
        const char *name = jsn_str(m, "Name");

        if (str_empty(name))
            name = str_or_empty(jsn_str(m, "Source"));
        *ret_local += str_eq(jsn_str(m, "Driver"), "local");
        strv_take(&out, trunc ? ellipsis(name, 15) : xstrdup(name));
    }
    return strv_join(out, ",");
}

static char *networks(struct json_object *c) {
    struct json_object *o = jsn_get(jsn_get(c, "NetworkSettings"), "Networks");
    auto_strv out = NULL;

    if (o) {
        json_object_object_foreach(o, key, val) {
            (void)val;
            strv_add(&out, key);
        }
    }
    return strv_join(out, ",");
}

static char *sizes(struct json_object *c) {
    auto_free char *rw = human_size((double)jsn_int(c, "SizeRw", 0), 3);
    auto_free char *all = human_size((double)jsn_int(c, "SizeRootFs", 0), 3);

    return jsn_int(c, "SizeRootFs", 0) > 0 ? xasprintf("%s (virtual %s)", rw, all) : xstrdup(rw);
}

static struct json_object *ps_row(struct json_object *c, bool trunc) {
    struct json_object *row = json_object_new_object();
    const char *id = str_or_empty(jsn_str(c, "Id")), *command = str_or_empty(jsn_str(c, "Command"));
    auto_free char *cut = trunc ? ellipsis(command, 20) : xstrdup(command);
    struct json_object *platform = jsn_get(jsn_get(c, "ImageManifestDescriptor"), "platform");
    int64_t created = jsn_int(c, "Created", 0), local;

    row_take(row, "Command", go_quote(cut));
    /* go_quote escapes only what it must: the ellipsis stays */
    row_take(row, "CreatedAt", time_local(created));
    row_take(row, "ID", trunc ? xstrndup(id, 12) : xstrdup(id));
    row_take(row, "Image", image(c, trunc));
    row_take(row, "Labels", labels(c));
    row_take(row, "Mounts", mounts(c, trunc, &local));
    row_take(row, "LocalVolumes", xasprintf("%lld", (long long)local));
    row_take(row, "Names", names(c, trunc));
    row_take(row, "Networks", networks(c));
    if (platform)
        row_take(row, "Platform",
                 xasprintf("%s/%s", str_or_empty(jsn_str(platform, "os")),
                           str_or_empty(jsn_str(platform, "architecture"))));
    else
        json_object_object_add(row, "Platform", NULL);
    row_take(row, "Ports", ports_display(jsn_get(c, "Ports")));
    row_take(row, "RunningFor", time_ago(created));
    row_take(row, "Size", sizes(c));
    row_add(row, "State", jsn_str(c, "State"));
    row_add(row, "Status", jsn_str(c, "Status"));
    return row;
}

static int print(struct list_output *list, struct json_object *all, bool trunc, struct err *e) {
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *c = json_object_array_get_idx(all, i);
        auto_json *row = ps_row(c, trunc);
        int r;

        list->extra = jsn_get(c, "Labels");
        r = list_row(list, row, e);
        if (r < 0)
            return r;
    }
    return list_end(list, e);
}

static int cmd_ps(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    bool size = flag_bool(f, "size");
    auto_free char *filters = filters_json(flag_list(f, "filter"));
    auto_buf query = BUF_INIT;
    auto_json *all = NULL;
    auto_list list = {0};
    int64_t limit = flag_bool(f, "latest") ? 1 : flag_int(f, "last");
    int r = list_begin(&list, size ? &ps_size_format : &ps_format,
                       config_flag(cli, f, "format", "psFormat"), flag_bool(f, "quiet"), e);

    if (r < 0)
        return r;
    if (flag_bool(f, "all"))
        query_add(&query, "all", "1");
    if (filters)
        query_add(&query, "filters", filters);
    if (limit > 0)
        query_add_int(&query, "limit", limit);
    if (size || list_uses(&list, "Size"))
        query_add(&query, "size", "1");
    r = client_get_json(&cli->client, "/containers/json", buf_str(&query), &all, e);
    if (r < 0)
        return r;
    if (!json_object_is_type(all, json_type_array))
        return err_set(e, ERR_SYSTEM, "the daemon's answer is no list");
    return print(&list, all, !flag_bool(f, "no-trunc"), e);
}

const struct command command_ps = {
    .use = "[OPTIONS]",
    .summary = "List containers",
    .aliases = "container ls, container list, container ps, ps",
    .flags = ps_flags,
    .run = cmd_ps,
};
