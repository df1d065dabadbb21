/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/times.h"
#include "format/json.h"

/* clang-format off */
static const struct flag events_flags[] = {
    FILTER_FLAG,
    {.name = "format", .type = FLAG_STRING, .usage = FORMAT_USAGE_INSPECT},
    {.name = "since", .type = FLAG_STRING, .usage = "Show all events created since timestamp"},
    {.name = "until", .type = FLAG_STRING, .usage = "Stream events until this timestamp"},
    {.name = NULL},
};
/* clang-format on */

/* Local time with nine digits: 2026-01-02T03:04:05.000000006+01:00, Z for UTC. */
static void put_time(struct buf *out, int64_t ns) {
    time_t seconds = (time_t)(ns / NS_PER_SEC);
    struct tm tm;
    char date[32];
    long offset;

    if (!localtime_r(&seconds, &tm) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return;
    buf_printf(out, "%s.%09lld", date, (long long)(ns % NS_PER_SEC));
    offset = tm.tm_gmtoff / 60;
    if (offset == 0)
        buf_putc(out, 'Z');
    else
        buf_printf(out, "%c%02ld:%02ld", offset < 0 ? '-' : '+', labs(offset) / 60,
                   labs(offset) % 60);
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_event(struct buf *out, struct json_object *m) {
    struct json_object *actor = jsn_get(m, "Actor"), *attributes = jsn_get(actor, "Attributes");
    auto_strv pairs = NULL;
    auto_free char *joined = NULL;

    put_time(out, jsn_int(m, "timeNano", jsn_int(m, "time", 0) * NS_PER_SEC));
    buf_printf(out, " %s %s %s", str_or_empty(jsn_str(m, "Type")),
               str_or_empty(jsn_str(m, "Action")), str_or_empty(jsn_str(actor, "ID")));
    if (attributes) {
        json_object_object_foreach(attributes, key, val) {
            strv_take(&pairs, xasprintf("%s=%s", key, str_or_empty(json_object_get_string(val))));
        }
    }
    if (pairs) {
        qsort(pairs, strv_len(pairs), sizeof *pairs, compare_text);
        joined = strv_join(pairs, ", ");
        buf_printf(out, " (%s)", joined);
    }
    buf_putc(out, '\n');
}

static int one_event(const char *text, size_t len, const char *format, const struct gotmpl *t,
                     struct err *e) {
    const struct gotmpl_options o = {.type_name = "*events.Message"};
    auto_json *m = NULL;
    auto_buf out = BUF_INIT;
    int r = client_parse_json(text, len, &m, e);

    if (r < 0)
        return r;
    if (str_eq(format, "json")) {
        buf_append(&out, text, len);
        buf_putc(&out, '\n');
    } else if (t) {
        struct json_object *actor = jsn_get(m, "Actor");

        /* names that templates have from docker's type, beside those of the JSON */
        json_object_object_add(m, "ID", json_object_new_string(str_or_empty(jsn_str(actor, "ID"))));
        json_object_object_add(m, "Scope",
                               json_object_new_string(str_or_empty(jsn_str(m, "scope"))));
        json_object_object_add(m, "Time", json_object_new_int64(jsn_int(m, "time", 0)));
        json_object_object_add(m, "TimeNano", json_object_new_int64(jsn_int(m, "timeNano", 0)));
        if (jsn_str(m, "status"))
            row_add(m, "Status", jsn_str(m, "status"));
        if (jsn_str(m, "from"))
            row_add(m, "From", jsn_str(m, "from"));
        r = gotmpl_exec(t, m, &o, &out, e);
        if (r < 0)
            return r;
        buf_putc(&out, '\n');
    } else {
        put_event(&out, m);
    }
    return print_out(&out, e);
}

static int follow(struct exchange *x, const char *format, const struct gotmpl *t, struct err *e) {
    auto_buf pending = BUF_INIT;
    char data[16384];

    for (;;) {
        ssize_t n = exchange_read(x, data, sizeof data);
        char *end;

        if (n <= 0)
            return n == 0 || n == -EPROTO ? 0 : err_sys(e, (int)-n, "read from the daemon");
        buf_append(&pending, data, (size_t)n);
        while ((end = memchr(pending.data, '\n', pending.len))) {
            size_t len = (size_t)(end - pending.data);
            int r = len > 1 ? one_event(pending.data, len, format, t, e) : 0;

            if (r < 0)
                return r;
            buf_consume(&pending, len + 1);
        }
    }
}

static int cmd_events(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    const char *format = flag_str(f, "format");
    auto_free char *filters = filters_json(flag_list(f, "filter"));
    auto_exchange x = EXCHANGE_INIT;
    auto_gotmpl *t = NULL;
    auto_buf query = BUF_INIT;
    struct request request = {.method = "GET", .path = "/events"};
    int r = 0;

    if (*format && !str_eq(format, "json"))
        r = gotmpl_parse(format, &t, e);
    if (r < 0) {
        err_wrap(e, "Error parsing format");
        return 64;
    }
    if (filters)
        query_add(&query, "filters", filters);
    r = query_add_time(&query, "since", flag_str(f, "since"), e);
    if (r == 0)
        r = query_add_time(&query, "until", flag_str(f, "until"), e);
    request.query = buf_str(&query);
    if (r == 0)
        r = exchange_open(&x, &cli->client, &request, e);
    return r < 0 ? r : follow(&x, format, t, e);
}

const struct command command_events = {
    .use = "[OPTIONS]",
    .summary = "Get real time events from the server",
    .aliases = "system events, events",
    .flags = events_flags,
    .run = cmd_events,
};
