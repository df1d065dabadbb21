/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/output.h"
#include "format/json.h"

#define IN_FLIGHT 32

/* clang-format off */
static const struct flag stats_flags[] = {
    {.name = "all", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Show all containers (default shows just running)"},
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_LIST},
    {.name = "no-stream", .type = FLAG_BOOL, .usage = "Disable streaming stats and only pull the first result"},
    {.name = "no-trunc", .type = FLAG_BOOL, .usage = "Do not truncate output"},
    {.name = NULL},
};
/* clang-format on */

static const struct column columns[] = {{"Container", "CONTAINER"},
                                        {"Name", "NAME"},
                                        {"ID", "CONTAINER ID"},
                                        {"CPUPerc", "CPU %"},
                                        {"MemUsage", "MEM USAGE / LIMIT"},
                                        {"MemPerc", "MEM %"},
                                        {"NetIO", "NET I/O"},
                                        {"BlockIO", "BLOCK I/O"},
                                        {"PIDs", "PIDS"},
                                        {NULL, NULL}};
static const struct list_format stats_format = {
    .columns = columns,
    .table = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t"
             "{{.BlockIO}}\t{{.PIDs}}",
    .type_name = "*container.statsContext",
};

/* ---- figures ------------------------------------------------------------------------------- */

static double figure(struct json_object *o, const char *key) {
    struct json_object *v = jsn_get(o, key);

    return v ? json_object_get_double(v) : 0;
}

static double cpu_percent(struct json_object *s) {
    struct json_object *now = jsn_get(s, "cpu_stats"), *before = jsn_get(s, "precpu_stats");
    struct json_object *usage = jsn_get(now, "cpu_usage");
    double cpu = figure(usage, "total_usage") - figure(jsn_get(before, "cpu_usage"), "total_usage");
    double system = figure(now, "system_cpu_usage") - figure(before, "system_cpu_usage");
    double online = figure(now, "online_cpus");

    if (online < 1 && jsn_get(usage, "percpu_usage"))
        online = (double)json_object_array_length(jsn_get(usage, "percpu_usage"));
    return system > 0 && cpu > 0 ? cpu / system * online * 100 : 0;
}

/* Without the page cache that the kernel would give back: v1 and v2 name it differently. */
static double memory_used(struct json_object *s) {
    struct json_object *m = jsn_get(s, "memory_stats"), *detail = jsn_get(m, "stats");
    double usage = figure(m, "usage");
    double cache = jsn_get(detail, "total_inactive_file") ? figure(detail, "total_inactive_file")
                                                          : figure(detail, "inactive_file");

    return cache < usage ? usage - cache : usage;
}

static void network_io(struct json_object *s, double *rx, double *tx) {
    struct json_object *networks = jsn_get(s, "networks");

    *rx = *tx = 0;
    if (!networks)
        return;
    json_object_object_foreach(networks, key, val) {
        (void)key;
        *rx += figure(val, "rx_bytes");
        *tx += figure(val, "tx_bytes");
    }
}

static void block_io(struct json_object *s, double *in, double *out) {
    struct json_object *list = jsn_get(jsn_get(s, "blkio_stats"), "io_service_bytes_recursive");

    *in = *out = 0;
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        const char *op = str_or_empty(jsn_str(entry, "op"));

        if (*op == 'r' || *op == 'R')
            *in += figure(entry, "value");
        else if (*op == 'w' || *op == 'W')
            *out += figure(entry, "value");
    }
}

static char *pair(char *a, char *b) {
    char *text = xasprintf("%s / %s", a, b);

    free(a);
    free(b);
    return text;
}

static struct json_object *stats_row(const char *asked, struct json_object *s, bool trunc) {
    struct json_object *row = json_object_new_object();
    const char *id = str_or_empty(jsn_str(s, "id")), *name = str_or_empty(jsn_str(s, "name"));
    double used = memory_used(s), limit = figure(jsn_get(s, "memory_stats"), "limit");
    double rx, tx, in, out;
    int64_t pids = jsn_int(jsn_get(s, "pids_stats"), "current", 0);

    network_io(s, &rx, &tx);
    block_io(s, &in, &out);
    row_take(row, "BlockIO", pair(human_size(in, 3), human_size(out, 3)));
    row_take(row, "CPUPerc", *id ? xasprintf("%.2f%%", cpu_percent(s)) : xstrdup("--"));
    row_add(row, "Container", asked);
    row_take(row, "ID", trunc ? xstrndup(id, 12) : xstrdup(id));
    row_take(row, "MemPerc", xasprintf("%.2f%%", limit > 0 ? used / limit * 100 : 0.0));
    row_take(row, "MemUsage", pair(human_size_binary(used), human_size_binary(limit)));
    row_add(row, "Name", *name == '/' ? name + 1 : name);
    row_take(row, "NetIO", pair(human_size(rx, 3), human_size(tx, 3)));
    row_take(row, "PIDs", *id ? xasprintf("%lld", (long long)pids) : xstrdup("--"));
    return row;
}

/* ---- rounds -------------------------------------------------------------------------------- */

static int running(struct cli *cli, bool all, char ***ret, struct err *e) {
    auto_json *list = NULL;
    auto_strv ids = NULL;
    int r = client_get_json(&cli->client, "/containers/json", all ? "all=1" : NULL, &list, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < json_object_array_length(list); i++)
        strv_take(&ids,
                  xstrndup(str_or_empty(jsn_str(json_object_array_get_idx(list, i), "Id")), 12));
    *ret = take_ptr(ids);
    return 0;
}

/* The daemon measures for a second before it answers: all containers at once. */
static int one_round(struct cli *cli, char *const *names, bool strict, bool trunc,
                     struct list_output *list, struct err *e) {
    size_t count = strv_len(names);
    int result = 0;

    for (size_t base = 0; base < count && result == 0; base += IN_FLIGHT) {
        size_t n = count - base < IN_FLIGHT ? count - base : IN_FLIGHT;
        struct exchange x[IN_FLIGHT];
        char *paths[IN_FLIGHT];
        int r[IN_FLIGHT];

        for (size_t i = 0; i < n; i++) {
            struct request request = {.method = "GET", .query = "stream=0"};

            paths[i] = path_join("/containers/", names[base + i], "/stats");
            request.path = paths[i];
            x[i] = (struct exchange)EXCHANGE_INIT;
            r[i] = exchange_send(&x[i], &cli->client, &request, result == 0 ? e : NULL);
        }
        for (size_t i = 0; i < n; i++) {
            auto_buf body = BUF_INIT;
            auto_json *s = NULL, *row = NULL;
            auto_err why = ERR_INIT;

            if (r[i] == 0)
                r[i] = exchange_recv(&x[i], &why);
            if (r[i] == 0)
                r[i] = exchange_check(&x[i], &why);
            if (r[i] == 0)
                r[i] = exchange_read_all(&x[i], &body, &why);
            if (r[i] == 0)
                r[i] = client_parse_json(buf_str(&body), body.len, &s, &why);
            if (r[i] == 0) {
                row = stats_row(names[base + i], s, trunc);
                r[i] = list_row(list, row, &why);
            }
            /* one that has just gone is left out, one that was named is an error */
            if (r[i] < 0 && result == 0 && (strict || why.class != ERR_NOT_FOUND)) {
                result = r[i];
                if (why.msg)
                    err_move(e, &why);
            }
            exchange_done(&x[i]);
            free(paths[i]);
        }
    }
    return result;
}

static int cmd_stats(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    bool once = flag_bool(f, "no-stream"), trunc = !flag_bool(f, "no-trunc");
    bool clear = !once && !str_eq(config_flag(cli, f, "format", "statsFormat"), "json") &&
                 isatty(STDOUT_FILENO) == 1;

    for (;;) {
        auto_buf out = BUF_INIT, screen = BUF_INIT;
        auto_list list = {0};
        auto_strv names = NULL;
        int r = list_begin(&list, &stats_format, config_flag(cli, f, "format", "statsFormat"),
                           false, e);

        if (r == 0 && a->argc == 0)
            r = running(cli, flag_bool(f, "all"), &names, e);
        if (r == 0)
            r = one_round(cli, a->argc > 0 ? a->argv : names, a->argc > 0, trunc, &list, e);
        if (r == 0)
            r = list_finish(&list, &out, e);
        if (r < 0)
            return r;
        if (clear)
            buf_puts(&screen, "\033[H");
        for (const char *p = buf_str(&out); *p; p++) {
            if (clear && *p == '\n')
                buf_puts(&screen, "\033[K");
            buf_putc(&screen, *p);
        }
        if (clear)
            buf_puts(&screen, "\033[J");
        r = print_out(&screen, e);
        if (r < 0 || once)
            return r;
        if (strv_len(names) == 0 && a->argc == 0)
            (void)sleep(1); /* nothing to wait for in the daemon */
    }
}

const struct command command_stats = {
    .use = "[OPTIONS] [CONTAINER...]",
    .summary = "Display a live stream of container(s) resource usage statistics",
    .aliases = "container stats, stats",
    .flags = stats_flags,
    .max_args = ARGS_ANY,
    .run = cmd_stats,
    .completes = "container",
};
