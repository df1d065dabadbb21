/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"

/* Levels that fit `comma`. Nesting is fixed by our own code and tables, never by input: values of
 * any depth come in through jw_raw and jw_value, which take one level. */
#define JW_DEPTH_MAX 63

void jw_init(struct jw *w, struct buf *out) {
    *w = (struct jw){.out = out};
}

/* Before a value: the comma that separates it from the last one. */
static inline void separate(struct jw *w) {
    uint64_t bit = UINT64_C(1) << w->depth;

    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->comma & bit)
        buf_putc(w->out, ',');
    w->comma |= bit;
}

static void open_level(struct jw *w, char bracket) {
    separate(w);
    assert(w->depth < JW_DEPTH_MAX);
    w->depth++;
    w->comma &= ~(UINT64_C(1) << w->depth);
    buf_putc(w->out, bracket);
}

static void close_level(struct jw *w, char bracket) {
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    buf_putc(w->out, bracket);
}

void jw_object(struct jw *w) {
    open_level(w, '{');
}

void jw_end_object(struct jw *w) {
    close_level(w, '}');
}

void jw_array(struct jw *w) {
    open_level(w, '[');
}

void jw_end_array(struct jw *w) {
    close_level(w, ']');
}

/* Bytes that go into a string as they are: not control characters, quote and backslash, and not
 * the lead bytes that need a look at what follows. */
static const bool plain[256] = {
    [' ' ... '!'] = true,
    ['#' ... '['] = true,
    [']' ... 0x7f] = true,
};

/* Length of the well-formed UTF-8 sequence of two bytes or more at s, or 0. */
static size_t multibyte(const unsigned char *s, size_t left) {
    static const unsigned char least[] = {0, 0, 2, 3, 4};
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

    if (s[0] < 0xc2 || s[0] > 0xf4 || left < least[n])
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static void put_control(struct buf *b, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

    switch (c) {
    case '"':
        buf_append(b, "\\\"", 2);
        return;
    case '\\':
        buf_append(b, "\\\\", 2);
        return;
    case '\n':
        buf_append(b, "\\n", 2);
        return;
    case '\r':
        buf_append(b, "\\r", 2);
        return;
    case '\t':
        buf_append(b, "\\t", 2);
        return;
    case '\b':
        buf_append(b, "\\b", 2);
        return;
    case '\f':
        buf_append(b, "\\f", 2);
        return;
    default:
        buf_append(b, escape, sizeof escape);
    }
}

static void put_string(struct buf *b, const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    size_t run = 0, i = 0;

    while (i < n && plain[s[i]])
        i++;
    if (i == n) { /* nearly always, and keys always: one step */
        if (!buf_reserve(b, n + 2))
            return;
        b->data[b->len] = '"';
        if (n > 0)
            memcpy(b->data + b->len + 1, text, n);
        b->data[b->len + n + 1] = '"';
        b->len += n + 2;
        b->data[b->len] = '\0';
        return;
    }
    buf_putc(b, '"');
    while (i < n) {
        size_t len;

        if (plain[s[i]]) {
            i++;
            continue;
        }
        len = s[i] >= 0x80 ? multibyte(s + i, n - i) : 0;
        /* U+2028 and U+2029 are line ends in JavaScript: Go escapes them. */
        if (len > 0 && !(s[i] == 0xe2 && s[i + 1] == 0x80 && (s[i + 2] & 0xfe) == 0xa8)) {
            i += len;
            continue;
        }
        buf_append(b, text + run, i - run);
        if (len > 0) {
            buf_puts(b, s[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
            i += len;
        } else if (s[i] >= 0x80) {
            buf_puts(b, "\\ufffd");
            i++;
        } else {
            put_control(b, s[i++]);
        }
        run = i;
    }
    buf_append(b, text + run, n - run);
    buf_putc(b, '"');
}

void jw_key(struct jw *w, const char *key) {
    assert(w->depth > 0 && !w->after_key);
    separate(w);
    put_string(w->out, key, strlen(key));
    buf_putc(w->out, ':');
    w->after_key = true;
}

void jw_strn(struct jw *w, const char *s, size_t n) {
    separate(w);
    put_string(w->out, s, n);
}

void jw_str(struct jw *w, const char *s) {
    jw_strn(w, s ? s : "", s ? strlen(s) : 0);
}

static void put_uint(struct buf *b, uint64_t v, bool negative) {
    char text[24];
    size_t at = sizeof text;

    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (negative)
        text[--at] = '-';
    buf_append(b, text + at, sizeof text - at);
}

static void put_int(struct buf *b, int64_t v) {
    put_uint(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void jw_int(struct jw *w, int64_t v) {
    separate(w);
    put_int(w->out, v);
}

void jw_uint(struct jw *w, uint64_t v) {
    separate(w);
    put_uint(w->out, v, false);
}

/* The shortest digits that read back as v, in Go's layout: plain between 1e-6 and 1e21, else with
 * an exponent without leading zeros. */
static void put_double(struct buf *b, double v) {
    char text[40], digits[24];
    size_t count = 0;
    /* Fifteen digits survive the way through a double, so trailing zeros tell the rest; subnormals
     * have fewer bits. */
    int exponent, precision = fabs(v) < DBL_MIN ? 0 : 14;
    char *mark;

    if (!isfinite(v)) { /* Go refuses to encode it; a reader gets a number at least */
        buf_putc(b, '0');
        return;
    }
    if (v == 0.0) {
        buf_puts(b, signbit(v) ? "-0" : "0");
        return;
    }
    if (fabs(v) < 9007199254740992.0 && v == trunc(v)) {
        put_int(b, (int64_t)v);
        return;
    }
    do
        snprintf(text, sizeof text, "%.*e", precision, fabs(v));
    while (strtod(text, NULL) != fabs(v) && ++precision <= 16);
    mark = strchr(text, 'e');
    if (!mark)
        return;
    exponent = (int)strtol(mark + 1, NULL, 10);
    for (char *p = text; p < mark && count < sizeof digits; p++)
        if (*p >= '0' && *p <= '9')
            digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (v < 0)
        buf_putc(b, '-');
    if (fabs(v) < 1e-6 || fabs(v) >= 1e21) {
        buf_putc(b, digits[0]);
        if (count > 1) {
            buf_putc(b, '.');
            buf_append(b, digits + 1, count - 1);
        }
        buf_printf(b, "e%c%d", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
        return;
    }
    if (exponent < 0) {
        buf_puts(b, "0.");
        for (int i = -1; i > exponent; i--)
            buf_putc(b, '0');
        buf_append(b, digits, count);
        return;
    }
    for (size_t i = 0; i < count || i <= (size_t)exponent; i++) {
        if (i == (size_t)exponent + 1)
            buf_putc(b, '.');
        buf_putc(b, i < count ? digits[i] : '0');
    }
}

void jw_double(struct jw *w, double v) {
    separate(w);
    put_double(w->out, v);
}

void jw_bool(struct jw *w, bool v) {
    jw_raw(w, v ? "true" : "false");
}

void jw_null(struct jw *w) {
    jw_raw(w, "null");
}

void jw_raw(struct jw *w, const char *json) {
    separate(w);
    buf_puts(w->out, json);
}

static void put_value(struct buf *b, struct json_object *o);

static void put_object(struct buf *b, struct json_object *o) {
    bool first = true;

    buf_putc(b, '{');
    json_object_object_foreach(o, key, value) {
        if (!first)
            buf_putc(b, ',');
        first = false;
        put_string(b, key, strlen(key));
        buf_putc(b, ':');
        put_value(b, value);
    }
    buf_putc(b, '}');
}

static void put_array(struct buf *b, struct json_object *o) {
    size_t n = json_object_array_length(o);

    buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        put_value(b, json_object_array_get_idx(o, i));
    }
    buf_putc(b, ']');
}

/* Recursion ends: json-c values come from jsn_parse, which bounds their depth. */
static void put_value(struct buf *b, struct json_object *o) {
    int64_t i;

    switch (json_object_get_type(o)) {
    case json_type_null:
        buf_puts(b, "null");
        return;
    case json_type_boolean:
        buf_puts(b, json_object_get_boolean(o) ? "true" : "false");
        return;
    case json_type_double:
        /* With its source text, when it came from the parser. */
        if (json_object_get_userdata(o))
            buf_puts(b, json_object_get_string(o));
        else
            put_double(b, json_object_get_double(o));
        return;
    case json_type_int:
        i = json_object_get_int64(o);
        if (i < 0)
            put_int(b, i);
        else
            put_uint(b, json_object_get_uint64(o), false);
        return;
    case json_type_string:
        put_string(b, json_object_get_string(o), (size_t)json_object_get_string_len(o));
        return;
    case json_type_object:
        put_object(b, o);
        return;
    case json_type_array:
        put_array(b, o);
        return;
    }
}

void jw_value(struct jw *w, struct json_object *o) {
    separate(w);
    put_value(w->out, o);
}

void jw_kstr(struct jw *w, const char *key, const char *s) {
    jw_key(w, key);
    jw_str(w, s);
}

void jw_kint(struct jw *w, const char *key, int64_t v) {
    jw_key(w, key);
    jw_int(w, v);
}

void jw_kuint(struct jw *w, const char *key, uint64_t v) {
    jw_key(w, key);
    jw_uint(w, v);
}

void jw_kbool(struct jw *w, const char *key, bool v) {
    jw_key(w, key);
    jw_bool(w, v);
}

void jw_knull(struct jw *w, const char *key) {
    jw_key(w, key);
    jw_null(w);
}

void jw_kraw(struct jw *w, const char *key, const char *json) {
    jw_key(w, key);
    jw_raw(w, json);
}

void jw_kstrv(struct jw *w, const char *key, char *const *v) {
    jw_key(w, key);
    if (!v) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (; *v; v++)
        jw_str(w, *v);
    jw_end_array(w);
}
