/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

static int64_t now(clockid_t id) {
    struct timespec t;

    (void)clock_gettime(id, &t); /* cannot fail for these clocks */
    return t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

int64_t clock_real_ns(void) {
    return now(CLOCK_REALTIME);
}

int64_t clock_mono_ns(void) {
    return now(CLOCK_MONOTONIC);
}

static int split(int64_t ns, struct tm *tm) {
    time_t sec = (time_t)(ns / NS_PER_SEC);
    int frac = (int)(ns % NS_PER_SEC);

    if (frac < 0) {
        frac += (int)NS_PER_SEC;
        sec--;
    }
    (void)gmtime_r(&sec, tm);
    return frac;
}

char *time_format_fixed(int64_t ns, char out[static TIME_TEXT_MAX]) {
    struct tm tm = {0};
    int frac = split(ns, &tm);

    snprintf(out, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", (tm.tm_year + 1900) % 10000,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, frac);
    return out;
}

char *time_format(int64_t ns, char out[static TIME_TEXT_MAX]) {
    size_t n;

    if (ns == 0) {
        snprintf(out, TIME_TEXT_MAX, "0001-01-01T00:00:00Z");
        return out;
    }
    time_format_fixed(ns, out);
    n = strlen(out) - 1; /* before the Z */
    while (out[n - 1] == '0')
        n--;
    if (out[n - 1] == '.')
        n--;
    out[n] = 'Z';
    out[n + 1] = '\0';
    return out;
}

/* `digits` decimal digits at *p; advances. */
static bool number(const char **p, int digits, int *ret) {
    int v = 0;

    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        v = v * 10 + (**p - '0');
    }
    *ret = v;
    return true;
}

static bool fraction(const char **p, int64_t *ret) {
    int64_t v = 0, scale = NS_PER_SEC;

    if (**p < '0' || **p > '9')
        return false;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (scale > 1) {
            scale /= 10;
            v += (**p - '0') * scale;
        }
    }
    *ret = v;
    return true;
}

/* With `partial`, whatever follows the date may be missing; without an offset it is UTC. */
static int parse(const char *s, bool partial, int64_t *ret) {
    struct tm tm = {0};
    int64_t frac = 0;
    int year, mon, day, offset = 0;
    const char *p = s;

    if (!number(&p, 4, &year) || *p++ != '-' || !number(&p, 2, &mon) || *p++ != '-' ||
        !number(&p, 2, &day))
        return -EINVAL;
    if (*p == 'T' || *p == 't' || (!partial && *p == ' ')) {
        p++;
        if (!number(&p, 2, &tm.tm_hour))
            return -EINVAL;
        if (*p == ':') {
            p++;
            if (!number(&p, 2, &tm.tm_min))
                return -EINVAL;
        } else if (!partial) {
            return -EINVAL;
        }
        if (*p == ':') {
            p++;
            if (!number(&p, 2, &tm.tm_sec))
                return -EINVAL;
            if (*p == '.' && (p++, !fraction(&p, &frac)))
                return -EINVAL;
        } else if (!partial) {
            return -EINVAL;
        }
    } else if (!partial) {
        return -EINVAL;
    }
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else if (*p == '+' || *p == '-') {
        int sign = *p++ == '-' ? -1 : 1, h, m;

        if (!number(&p, 2, &h) || *p++ != ':' || !number(&p, 2, &m))
            return -EINVAL;
        offset = sign * (h * 3600 + m * 60);
    } else if (!partial) {
        return -EINVAL;
    }
    if (*p || mon < 1 || mon > 12 || day < 1 || day > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return -EINVAL;
    if (year == 1)
        *ret = 0; /* Go's zero time */
    else if (year < 1700 || year > 2261)
        return -EINVAL; /* outside of 64-bit nanoseconds */
    else {
        tm.tm_year = year - 1900;
        tm.tm_mon = mon - 1;
        tm.tm_mday = day;
        *ret = ((int64_t)timegm(&tm) - offset) * NS_PER_SEC + frac;
    }
    return 0;
}

int time_parse(const char *s, int64_t *ret_ns) {
    return s ? parse(s, false, ret_ns) : -EINVAL;
}

int time_parse_filter(const char *s, int64_t now_ns, int64_t *ret_ns) {
    int64_t v, frac = 0;
    const char *p = s;
    char *end;

    if (str_empty(s))
        return -EINVAL;
    if (duration_parse(s, &v) == 0 && !(str_eq(s, "0"))) {
        *ret_ns = now_ns - v;
        return 0;
    }
    if (parse(s, true, ret_ns) == 0)
        return 0;
    errno = 0;
    v = strtoll(s, &end, 10);
    if (end == s || errno)
        return -EINVAL;
    /* Times that nanoseconds cannot count are before or after everything. */
    if (v > INT64_MAX / NS_PER_SEC - 1)
        v = INT64_MAX / NS_PER_SEC - 1;
    if (v < INT64_MIN / NS_PER_SEC + 1)
        v = INT64_MIN / NS_PER_SEC + 1;
    p = end;
    if (*p == '.' && (p++, !fraction(&p, &frac)))
        return -EINVAL;
    if (*p)
        return -EINVAL;
    *ret_ns = v * NS_PER_SEC + (*s == '-' ? -frac : frac);
    return 0;
}

int duration_parse(const char *s, int64_t *ret_ns) {
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"ns", 1},         {"us", 1000},           {"\xc2\xb5s", 1000},     {"ms", NS_PER_MS},
        {"s", NS_PER_SEC}, {"m", 60 * NS_PER_SEC}, {"h", 3600 * NS_PER_SEC}};
    int64_t total = 0;
    bool neg = false;
    const char *p = s;

    if (str_empty(s))
        return -EINVAL;
    if (*p == '+' || *p == '-')
        neg = *p++ == '-';
    if (str_eq(p, "0")) {
        *ret_ns = 0;
        return 0;
    }
    if (!*p)
        return -EINVAL;
    while (*p) {
        int64_t whole = 0, frac = 0, unit = 0, part;
        const char *start = p;
        size_t len;

        for (; *p >= '0' && *p <= '9'; p++)
            if (__builtin_mul_overflow(whole, (int64_t)10, &whole) ||
                __builtin_add_overflow(whole, (int64_t)(*p - '0'), &whole))
                return -EINVAL;
        if (*p == '.') {
            p++;
            if (!fraction(&p, &frac) && p - start < 2)
                return -EINVAL;
        } else if (p == start) {
            return -EINVAL;
        }
        len = strcspn(p, "0123456789.");
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strlen(units[i].name) == len && memcmp(units[i].name, p, len) == 0)
                unit = units[i].ns;
        if (unit == 0)
            return -EINVAL;
        p += len;
        if (__builtin_mul_overflow(whole, unit, &part) ||
            __builtin_add_overflow(total, part, &total) ||
            __builtin_add_overflow(total, (int64_t)((__int128)frac * unit / NS_PER_SEC), &total))
            return -EINVAL;
    }
    *ret_ns = neg ? -total : total;
    return 0;
}
