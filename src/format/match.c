/* SPDX-License-Identifier: Apache-2.0 */
#include "format/match.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* Go decodes invalid UTF-8 as this, one byte long. */
#define RUNE_ERROR 0xfffdu

static unsigned decode_rune(const char *text, size_t *ret_len) {
    const unsigned char *s = (const unsigned char *)text;
    unsigned c = s[0], rune, n, least;

    *ret_len = 1;
    if (c < 0x80)
        return c;
    if (c >= 0xc2 && c <= 0xdf) {
        n = 2;
        least = 0x80;
        rune = c & 0x1f;
    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        least = 0x800;
        rune = c & 0x0f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        least = 0x10000;
        rune = c & 0x07;
    } else {
        return RUNE_ERROR;
    }
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) /* the closing NUL as well */
            return RUNE_ERROR;
        rune = rune << 6 | (s[i] & 0x3f);
    }
    if (rune < least || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return RUNE_ERROR;
    *ret_len = n;
    return rune;
}

/* A bound of a range in a class: false where Go has ErrBadPattern. */
static bool class_rune(const char **p, unsigned *ret) {
    size_t n;

    if (**p == '\0' || **p == '-' || **p == ']')
        return false;
    if (**p == '\\' && *++*p == '\0')
        return false;
    *ret = decode_rune(*p, &n);
    if (*ret == RUNE_ERROR && n == 1)
        return false;
    *p += n;
    return **p != '\0';
}

/* p stands behind '['; it is moved behind ']'. False for a malformed class. */
static bool match_class(const char **p, unsigned rune, bool *ret_match) {
    bool negated = **p == '^', match = false;

    *p += negated;
    for (unsigned ranges = 0; **p != ']' || ranges == 0; ranges++) {
        unsigned low, high;

        if (!class_rune(p, &low))
            return false;
        high = low;
        if (**p == '-') {
            ++*p;
            if (!class_rune(p, &high))
                return false;
        }
        match = match || (low <= rune && rune <= high);
    }
    ++*p;
    *ret_match = match != negated;
    return true;
}

static bool is_well_formed(const char *p) {
    bool unused;

    while (*p) {
        if (*p == '[') {
            p++;
            if (!match_class(&p, 0, &unused))
                return false;
        } else if (*p == '\\' && *++p == '\0') {
            return false;
        } else {
            p++;
        }
    }
    return true;
}

/* One element of the pattern, which is no star, against the start of s. Moves both. */
static bool match_one(const char **p, const char **s) {
    bool match = false;
    size_t n = 1;
    unsigned rune;

    if (**p == '\0' || **s == '\0')
        return false;
    switch (**p) {
    case '[':
        ++*p;
        rune = decode_rune(*s, &n);
        if (!match_class(p, rune, &match) || !match)
            return false;
        *s += n;
        return true;
    case '?':
        if (**s == '/')
            return false;
        (void)decode_rune(*s, &n);
        break;
    case '\\':
        ++*p;
        __attribute__((fallthrough));
    default:
        if (**p != **s)
            return false;
        break;
    }
    ++*p;
    *s += n;
    return true;
}

int go_match(const char *pattern, const char *name) {
    const char *p = pattern, *s = name, *star = NULL, *star_at = NULL;

    if (!is_well_formed(pattern))
        return -EINVAL;
    for (;;) {
        if (*p == '*') {
            while (*p == '*')
                p++;
            star = p;
            star_at = s;
        } else if (*p == '\0' && *s == '\0') {
            return 1;
        } else if (!match_one(&p, &s)) {
            /* The last star takes a byte more, if it may. */
            if (!star || *star_at == '\0' || *star_at == '/')
                return 0;
            s = ++star_at;
            p = star;
        }
    }
}
