/* SPDX-License-Identifier: Apache-2.0 */
#include "format/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"

/* The multiplier's power of two for "", "b", "k", "kb", "kib" and so on; -1 for anything else. */
static int suffix_shift(const char *s) {
    static const char letters[] = "kmgtp";
    const char *letter;

    if (!*s || strcasecmp(s, "b") == 0)
        return 0;
    letter = strchr(letters, *s | 0x20);
    if (!letter || !*letter)
        return -1;
    if (s[1] && strcasecmp(s + 1, "b") != 0 && strcasecmp(s + 1, "ib") != 0)
        return -1;
    return 10 * (int)(letter - letters + 1);
}

int units_parse_bytes(const char *s, int64_t *ret) {
    static const char number_end[] = "0123456789. ";
    size_t n = strlen(s), digits = n;
    char number[64], *end;
    uint64_t whole;
    double v;
    int shift;

    while (digits > 0 && !strchr(number_end, s[digits - 1]))
        digits--;
    if (digits == 0 || digits >= sizeof number)
        return -EINVAL;
    shift = suffix_shift(s + digits);
    if (shift < 0)
        return -EINVAL;
    memcpy(number, s, digits);
    number[digits] = '\0';
    if (number[digits - 1] == ' ')
        number[digits - 1] = '\0';
    if (!*number || strspn(number, "0123456789.eE+-") != strlen(number))
        return -EINVAL;
    /* Whole numbers exactly, which a double would round beyond 2^53. */
    switch (str_to_u64(number, &whole)) {
    case 0:
        if (whole > (uint64_t)INT64_MAX >> shift)
            return -ERANGE;
        *ret = (int64_t)(whole << shift);
        return 0;
    case -ERANGE:
        return -ERANGE;
    default:
        break;
    }
    v = strtod(number, &end);
    if (*end || end == number || v < 0)
        return -EINVAL;
    v *= (double)(UINT64_C(1) << shift);
    if (v >= 9223372036854775808.0)
        return -ERANGE;
    *ret = (int64_t)v;
    return 0;
}

static char *print_size(double v, double base, const char *const *names, size_t count,
                        char out[static UNITS_TEXT_MAX]) {
    size_t i = 0;

    while (v >= base && i + 1 < count) {
        v /= base;
        i++;
    }
    snprintf(out, UNITS_TEXT_MAX, "%.4g%s", v, names[i]);
    return out;
}

char *units_human_size(uint64_t bytes, char out[static UNITS_TEXT_MAX]) {
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

    return print_size((double)bytes, 1000, names, sizeof names / sizeof *names, out);
}

char *units_bytes_size(uint64_t bytes, char out[static UNITS_TEXT_MAX]) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

    return print_size((double)bytes, 1024, names, sizeof names / sizeof *names, out);
}

char *units_human_duration(int64_t ns, char out[static UNITS_TEXT_MAX]) {
    int64_t seconds = ns / NS_PER_SEC, minutes = seconds / 60;
    int64_t hours = (seconds + 1800) / 3600; /* rounded */
    const char *text = NULL, *unit;
    int64_t count;

    if (seconds < 1)
        text = "Less than a second";
    else if (seconds == 1)
        text = "1 second";
    else if (minutes == 1)
        text = "About a minute";
    else if (minutes >= 60 && hours == 1)
        text = "About an hour";
    if (text) {
        snprintf(out, UNITS_TEXT_MAX, "%s", text);
        return out;
    }
    if (seconds < 60) {
        count = seconds;
        unit = "seconds";
    } else if (minutes < 60) {
        count = minutes;
        unit = "minutes";
    } else if (hours < 48) {
        count = hours;
        unit = "hours";
    } else if (hours < 24 * 7 * 2) {
        count = hours / 24;
        unit = "days";
    } else if (hours < 24 * 30 * 2) {
        count = hours / 24 / 7;
        unit = "weeks";
    } else if (hours < 24 * 365 * 2) {
        count = hours / 24 / 30;
        unit = "months";
    } else {
        count = seconds / 3600 / 24 / 365;
        unit = "years";
    }
    snprintf(out, UNITS_TEXT_MAX, "%" PRId64 " %s", count, unit);
    return out;
}
