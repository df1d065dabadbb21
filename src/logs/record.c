/* SPDX-License-Identifier: Apache-2.0 */
#include "logs/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/str.h"
#include "format/json.h"

typedef unsigned char v16 __attribute__((vector_size(16)));
typedef uint64_t v2 __attribute__((vector_size(16)));

#define TIME_LEN 30 /* 2026-01-02T03:04:05.006007008Z */

/* ---- the writer's own form ------------------------------------------------------------------ */

/* Two or more digits; -1 when there are others. */
static int64_t digits(const char *p, unsigned n) {
    int64_t v = 0;

    for (unsigned i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static bool time_fixed(const char *p, int64_t *ret_ns) {
    int64_t year = digits(p, 4), month = digits(p + 5, 2), day = digits(p + 8, 2);
    int64_t hour = digits(p + 11, 2), minute = digits(p + 14, 2), second = digits(p + 17, 2);
    int64_t ns = digits(p + 20, 9);
    int64_t y, doy;

    if (p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':' ||
        p[19] != '.' || p[29] != 'Z')
        return false;
    if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || ns < 0)
        return false;
    /* Civil date to days, in years that begin in March. */
    y = year - (month <= 2);
    doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    day = y * 365 + y / 4 - y / 100 + y / 400 + doy - 719468;
    *ret_ns = (((day * 24 + hour) * 60 + minute) * 60 + second) * NS_PER_SEC + ns;
    return true;
}

static int hex4(const char *p) {
    int v = 0;

    for (int i = 0; i < 4; i++) {
        int c = p[i];

        if (c >= '0' && c <= '9')
            c -= '0';
        else if (c >= 'a' && c <= 'f')
            c -= 'a' - 10;
        else
            return -1;
        v = v << 4 | c;
    }
    return v;
}

/* One escape of the kinds the writer makes, p[0] is the backslash. The count of bytes read, 0 when
 * it is another kind. */
static size_t unescape(const char *p, size_t n, char **out) {
    char *o = *out;
    int c;

    if (n < 2)
        return 0;
    switch (p[1]) {
    case 'n':
        *o++ = '\n';
        break;
    case 'r':
        *o++ = '\r';
        break;
    case 't':
        *o++ = '\t';
        break;
    case '"':
    case '\\':
    case '/':
        *o++ = p[1];
        break;
    case 'u':
        c = n < 6 ? -1 : hex4(p + 2);
        if (c < 0 || (c >= 0xd800 && c <= 0xdfff))
            return 0;
        if (c < 0x80) {
            *o++ = (char)c;
        } else if (c < 0x800) {
            *o++ = (char)(0xc0 | c >> 6);
            *o++ = (char)(0x80 | (c & 0x3f));
        } else {
            *o++ = (char)(0xe0 | c >> 12);
            *o++ = (char)(0x80 | (c >> 6 & 0x3f));
            *o++ = (char)(0x80 | (c & 0x3f));
        }
        *out = o;
        return 6;
    default:
        return 0;
    }
    *out = o;
    return 2;
}

/* Unescapes until the closing quote; the position of that, or SIZE_MAX. `out` has room for n + 16
 * bytes. */
static size_t text_copy(const char *p, size_t n, char *out, size_t *ret_len) {
    char *o = out;
    size_t i = 0;

    while (i < n) {
        if (n - i >= 16) {
            v16 v;
            v2 hit;
            unsigned plain;

            memcpy(&v, p + i, 16);
            memcpy(o, &v, 16);
            hit = (v2)((v16)(v == '"') | (v16)(v == '\\'));
            if (hit[0])
                plain = (unsigned)__builtin_ctzll(hit[0]) / 8;
            else if (hit[1])
                plain = 8 + (unsigned)__builtin_ctzll(hit[1]) / 8;
            else
                plain = 16;
            i += plain;
            o += plain;
            if (plain == 16)
                continue;
        }
        if (p[i] == '"') {
            *ret_len = (size_t)(o - out);
            return i;
        }
        if (p[i] == '\\') {
            size_t used = unescape(p + i, n - i, &o);

            if (used == 0)
                return SIZE_MAX;
            i += used;
        } else {
            *o++ = p[i++];
        }
    }
    return SIZE_MAX;
}

/* `*at` moves behind `text` when that stands there. */
static bool skip(const char *line, size_t end, size_t *at, const char *text) {
    size_t n = strlen(text);

    if (end - *at < n || memcmp(line + *at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

/* The time at the end of a line: `"time":"..."}`. Docker leaves trailing zeros of the fraction out.
 * The position of its key, 0 when there is none. */
static size_t time_find(const char *line, size_t n, int64_t *ret_ns) {
    static const char key[] = "\"time\":";
    const size_t key_len = sizeof key - 1;
    char text[TIME_TEXT_MAX];
    const char *quote;
    size_t at, len;

    if (n < key_len + 3 || line[n - 1] != '}' || line[n - 2] != '"')
        return 0;
    quote = memrchr(line, '"', n - 2);
    if (!quote || (size_t)(quote - line) <= key_len)
        return 0;
    at = (size_t)(quote - line) - key_len;
    len = n - 2 - (size_t)(quote + 1 - line);
    if (memcmp(line + at, key, key_len) != 0 || len >= sizeof text)
        return 0;
    if (len == TIME_LEN && time_fixed(quote + 1, ret_ns))
        return at;
    memcpy(text, quote + 1, len);
    text[len] = '\0';
    return time_parse(text, ret_ns) == 0 ? at : 0;
}

static bool parse_own(const char *line, size_t n, struct buf *scratch, struct log_record *r) {
    static const char head[] = "{\"log\":\"";
    size_t at = sizeof head - 1, time_at, quote;

    if (n < sizeof head || memcmp(line, head, at) != 0)
        return false;
    time_at = time_find(line, n, &r->time_ns);
    if (time_at <= at)
        return false;
    quote = text_copy(line + at, n - at, scratch->data, &r->len);
    if (quote == SIZE_MAX)
        return false;
    at += quote;
    if (skip(line, n, &at, "\",\"stream\":\"stdout\","))
        r->stream = LOG_STDOUT;
    else if (skip(line, n, &at, "\",\"stream\":\"stderr\","))
        r->stream = LOG_STDERR;
    else
        return false;
    r->text = scratch->data;
    r->attrs = NULL;
    r->attrs_len = 0;
    if (at != time_at) {
        if (!skip(line, n, &at, "\"attrs\":{") || at >= time_at || line[time_at - 1] != ',' ||
            line[time_at - 2] != '}')
            return false;
        r->attrs = line + at - 1;
        r->attrs_len = time_at - at;
    }
    return true;
}

/* ---- any JSON ------------------------------------------------------------------------------- */

static int parse_json(const char *line, size_t n, struct buf *scratch, struct log_record *r) {
    auto_json *o = NULL;
    struct json_object *text, *attrs;
    const char *time, *attrs_text;

    if (jsn_parse(line, n, &o, NULL) < 0)
        return -EBADMSG;
    text = jsn_get(o, "log");
    time = jsn_str(o, "time");
    if (!text || !json_object_is_type(text, json_type_string) || !time ||
        time_parse(time, &r->time_ns) < 0)
        return -EBADMSG;
    r->stream = str_eq(jsn_str(o, "stream"), "stderr") ? LOG_STDERR : LOG_STDOUT;
    r->len = (size_t)json_object_get_string_len(text);
    attrs = jsn_get(o, "attrs");
    attrs_text = attrs && json_object_is_type(attrs, json_type_object)
                     ? json_object_to_json_string_ext(attrs, JSON_C_TO_STRING_PLAIN)
                     : NULL;
    r->attrs_len = attrs_text ? strlen(attrs_text) : 0;
    buf_clear(scratch);
    if (!buf_append(scratch, json_object_get_string(text), r->len) ||
        !buf_append(scratch, str_or_empty(attrs_text), r->attrs_len))
        return -EBADMSG;
    r->text = scratch->data;
    r->attrs = attrs_text ? scratch->data + r->len : NULL;
    return 0;
}

int log_record_parse(const char *line, size_t n, struct buf *scratch, struct log_record *ret) {
    struct log_record r = {0};
    int e;

    buf_clear(scratch);
    if (!buf_reserve(scratch, n + 16))
        return -EBADMSG;
    if (!parse_own(line, n, scratch, &r)) {
        e = parse_json(line, n, scratch, &r);
        if (e < 0)
            return e;
    }
    *ret = r;
    return 0;
}

/* ---- output --------------------------------------------------------------------------------- */

/* Go's url.QueryEscape. */
static void query_escape(struct buf *b, const char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '_' || c == '.' || c == '~')
            (void)buf_putc(b, (char)c);
        else if (c == ' ')
            (void)buf_putc(b, '+');
        else
            (void)buf_printf(b, "%%%02X", c);
    }
}

static char *details_render(const char *json, size_t n) {
    auto_buf b = BUF_INIT;
    auto_json *o = NULL;
    struct strmap sorted = {0};

    if (jsn_parse(json, n, &o, NULL) == 0 && json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, value) {
            strmap_put(&sorted, key, str_or_empty(json_object_get_string(value)));
        }
    }
    strmap_for_each(e, &sorted) {
        if (b.len > 0)
            (void)buf_putc(&b, ',');
        query_escape(&b, e->key);
        (void)buf_putc(&b, '=');
        query_escape(&b, e->value);
    }
    strmap_done(&sorted);
    (void)buf_putc(&b, ' ');
    return buf_take(&b);
}

void log_details_done(struct log_details *d) {
    free(take_ptr(d->json));
    free(take_ptr(d->text));
}

/* All records of a container have the same attributes as a rule. */
static const char *details_of(struct log_details *d, const struct log_record *r) {
    if (!r->attrs)
        return " ";
    if (!d->json || d->json_len != r->attrs_len || memcmp(d->json, r->attrs, r->attrs_len) != 0) {
        log_details_done(d);
        d->json = xmemdup(r->attrs, r->attrs_len);
        d->json_len = r->attrs_len;
        d->text = details_render(r->attrs, r->attrs_len);
    }
    return d->text;
}

bool log_record_emit(const struct log_record *r, const struct log_format_options *o,
                     struct log_details *d, struct buf *out) {
    const char *details = o->details ? details_of(d, r) : "";
    size_t details_len = strlen(details);
    size_t stamp_len = 0, total;
    char stamp[TIME_TEXT_MAX + 1] = "";

    if (o->timestamps) {
        (void)time_format_fixed(r->time_ns, stamp);
        stamp_len = strlen(stamp);
        stamp[stamp_len++] = ' ';
    }
    total = stamp_len + details_len + r->len;
    if (total > UINT32_MAX || !buf_reserve(out, total + 8))
        return false;
    if (o->mux) {
        const unsigned char head[8] = {(unsigned char)(r->stream + 1),
                                       0,
                                       0,
                                       0,
                                       (unsigned char)(total >> 24),
                                       (unsigned char)(total >> 16),
                                       (unsigned char)(total >> 8),
                                       (unsigned char)total};

        (void)buf_append(out, head, sizeof head); /* there is room for all of it */
    }
    (void)buf_append(out, stamp, stamp_len);
    (void)buf_append(out, details, details_len);
    return buf_append(out, r->text, r->len);
}
