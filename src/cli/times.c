/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/times.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/client.h"

/* A date without an offset is meant in local time. */
static bool has_offset(const char *s) {
    const char *t = strpbrk(s, "Tt");

    return s[strlen(s) - 1] == 'Z' || s[strlen(s) - 1] == 'z' || (t && strpbrk(t, "+-"));
}

static int64_t to_local(int64_t ns) {
    time_t utc = (time_t)(ns / NS_PER_SEC);
    struct tm tm;

    if (!gmtime_r(&utc, &tm))
        return ns;
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm) * NS_PER_SEC + ns % NS_PER_SEC;
}

int query_add_time(struct buf *query, const char *name, const char *value, struct err *e) {
    int64_t ns, ignored;
    char text[48];

    if (str_empty(value))
        return 0;
    if (time_parse_filter(value, clock_real_ns(), &ns) < 0)
        return err_set(e, ERR_INVALID,
                       "invalid value for \"%s\": failed to parse value as time or "
                       "duration: \"%s\"",
                       name, value);
    if (strchr(value, '-') && strlen(value) >= 10 && duration_parse(value, &ignored) < 0 &&
        !has_offset(value))
        ns = to_local(ns);
    if (ns % NS_PER_SEC)
        snprintf(text, sizeof text, "%lld.%09lld", (long long)(ns / NS_PER_SEC),
                 (long long)(ns % NS_PER_SEC));
    else
        snprintf(text, sizeof text, "%lld", (long long)(ns / NS_PER_SEC));
    query_add(query, name, text);
    return 0;
}
