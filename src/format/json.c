/* SPDX-License-Identifier: Apache-2.0 */
#include "format/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/id.h"

/*
 * The parser builds json-c values, but reads the text itself: json-c's tokener takes NaN, leading
 * zeros, control characters in strings and numbers out of range even when it is told to be strict,
 * and truncates keys at an escaped NUL. The error texts are those of Go's scanner, which clients
 * of Docker know.
 */
struct parser {
    const char *start, *p, *end;
    unsigned depth;
    size_t containers_left; /* an empty json-c object costs about 900 bytes: bounds the memory */
    struct buf scratch;     /* the string that is being unescaped */
    struct err *e;
};

static int parse_value(struct parser *ps, struct json_object **ret);

/* Go's text with the place, which daemon.json's author wants to know. */
static int fail_at(struct parser *ps, const char *at, const char *what) {
    size_t line = 1, column = 1;

    for (const char *p = ps->start; p < at; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
    return err_set(ps->e, ERR_INVALID, "%s (line %zu, column %zu)", what, line, column);
}

static int fail_eof(struct parser *ps) {
    return fail_at(ps, ps->end, "unexpected end of JSON input");
}

static int fail_char(struct parser *ps, const char *context) {
    unsigned char c;
    char text[96], quoted[8];

    if (ps->p >= ps->end)
        return fail_eof(ps);
    c = (unsigned char)*ps->p;
    if (c == '\'' || c == '\\')
        snprintf(quoted, sizeof quoted, "\\%c", c);
    else if (c >= 0x20 && c < 0x7f)
        snprintf(quoted, sizeof quoted, "%c", c);
    else if (c == '\n' || c == '\t' || c == '\r')
        snprintf(quoted, sizeof quoted, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    else
        snprintf(quoted, sizeof quoted, "\\x%02x", c);
    snprintf(text, sizeof text, "invalid character '%s' %s", quoted, context);
    return fail_at(ps, ps->p, text);
}

static void skip_blanks(struct parser *ps) {
    while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\t' || *ps->p == '\r'))
        ps->p++;
}

static bool is_digit(const struct parser *ps) {
    return ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9';
}

/* The length of the well-formed UTF-8 sequence at s, 0 when there is none. */
static size_t utf8_len(const char *text, size_t left) {
    const unsigned char *s = (const unsigned char *)text;
    unsigned char c = s[0];

    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return left >= 2 && (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        if (left < 3 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
            return 0;
        /* overlong forms and surrogates */
        return (c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ? 0 : 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (left < 4 || (s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80)
            return 0;
        return (c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f) ? 0 : 4;
    }
    return 0;
}

static void put_utf8(struct buf *b, unsigned c) {
    char out[4];
    size_t n = 0;

    if (c < 0x80) {
        out[n++] = (char)c;
    } else if (c < 0x800) {
        out[n++] = (char)(0xc0 | c >> 6);
        out[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        out[n++] = (char)(0xe0 | c >> 12);
        out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        out[n++] = (char)(0xf0 | c >> 18);
        out[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (c & 0x3f));
    }
    buf_append(b, out, n);
}

/* Four digits at s, or -1. */
static int hex4(const char *s, const char *end) {
    int v = 0;

    for (int i = 0; i < 4; i++) {
        int d = s + i < end ? hex_value(s[i]) : -1;

        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* p stands behind "\u". A lone surrogate becomes U+FFFD, as in Go. */
static int parse_unicode_escape(struct parser *ps) {
    int c = hex4(ps->p, ps->end), low;

    if (c < 0) {
        while (ps->p < ps->end && hex_value(*ps->p) >= 0)
            ps->p++;
        return fail_char(ps, "in \\u hexadecimal character escape");
    }
    if (c == 0)
        return fail_at(ps, ps->p, "NUL characters in strings are not supported");
    ps->p += 4;
    if (c >= 0xd800 && c <= 0xdfff) {
        low = ps->end - ps->p >= 6 && ps->p[0] == '\\' && ps->p[1] == 'u' ? hex4(ps->p + 2, ps->end)
                                                                          : -1;
        if (c <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
            c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
            ps->p += 6;
        } else {
            c = 0xfffd;
        }
    }
    put_utf8(&ps->scratch, (unsigned)c);
    return 0;
}

/* p stands behind the backslash. */
static int parse_escape(struct parser *ps) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *which;

    if (ps->p >= ps->end)
        return fail_eof(ps);
    if (*ps->p == 'u') {
        ps->p++;
        return parse_unicode_escape(ps);
    }
    which = *ps->p ? strchr(from, *ps->p) : NULL;
    if (!which)
        return fail_char(ps, "in string escape code");
    buf_putc(&ps->scratch, to[which - from]);
    ps->p++;
    return 0;
}

/* p stands behind the opening quote. The text is borrowed from the input or from the scratch
 * buffer, good until the next string, and not terminated in the first case. */
static int parse_string(struct parser *ps, const char **ret, size_t *ret_len) {
    const char *run = ps->p;
    bool escaped = false;

    for (;;) {
        unsigned char c;
        size_t n;

        if (ps->p >= ps->end)
            return fail_eof(ps);
        c = (unsigned char)*ps->p;
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            ps->p++;
            continue;
        }
        if (c >= 0x80) {
            n = utf8_len(ps->p, (size_t)(ps->end - ps->p));
            if (n == 0)
                return fail_at(ps, ps->p, "invalid UTF-8 in string literal");
            ps->p += n;
            continue;
        }
        if (c != '"' && c != '\\')
            return fail_char(ps, "in string literal");
        if (c == '"' && !escaped) {
            *ret = run;
            *ret_len = (size_t)(ps->p - run);
            ps->p++;
            return 0;
        }
        if (!escaped)
            buf_clear(&ps->scratch);
        escaped = true;
        buf_append(&ps->scratch, run, (size_t)(ps->p - run));
        ps->p++;
        if (c == '"')
            break;
        int r = parse_escape(ps);
        if (r < 0)
            return r;
        run = ps->p;
    }
    if (ps->scratch.failed)
        return err_set(ps->e, ERR_TOO_LARGE, "JSON string too large");
    *ret = buf_str(&ps->scratch);
    *ret_len = ps->scratch.len;
    return 0;
}

static struct json_object *number_of(const char *s, size_t n, bool integral) {
    auto_free char *text = NULL;
    bool neg = *s == '-';
    uint64_t v = 0;

    if (integral) {
        bool fits = true;

        for (const char *p = s + neg; p < s + n; p++)
            fits = fits && !__builtin_mul_overflow(v, (uint64_t)10, &v) &&
                   !__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v);
        if (fits && v <= (uint64_t)INT64_MAX + neg)
            return json_object_new_int64(neg ? (int64_t)(0 - v) : (int64_t)v);
        if (fits && !neg)
            return json_object_new_uint64(v);
    }
    /* Keeps its own text: nothing is lost when it is printed again, and a field of an integer type
     * refuses it with that text. */
    text = xstrndup(s, n);
    return json_object_new_double_s(strtod(text, NULL), text);
}

static int parse_number(struct parser *ps, struct json_object **ret) {
    const char *s = ps->p;
    bool integral = true;

    if (*ps->p == '-')
        ps->p++;
    if (!is_digit(ps))
        return fail_char(ps, "in numeric literal");
    if (*ps->p == '0')
        ps->p++;
    else
        while (is_digit(ps))
            ps->p++;
    if (ps->p < ps->end && *ps->p == '.') {
        integral = false;
        ps->p++;
        if (!is_digit(ps))
            return fail_char(ps, "after decimal point in numeric literal");
        while (is_digit(ps))
            ps->p++;
    }
    if (ps->p < ps->end && (*ps->p == 'e' || *ps->p == 'E')) {
        integral = false;
        ps->p++;
        if (ps->p < ps->end && (*ps->p == '+' || *ps->p == '-'))
            ps->p++;
        if (!is_digit(ps))
            return fail_char(ps, "in exponent of numeric literal");
        while (is_digit(ps))
            ps->p++;
    }
    *ret = number_of(s, (size_t)(ps->p - s), integral);
    return *ret ? 0 : -ENOMEM;
}

static int parse_literal(struct parser *ps, const char *word) {
    for (const char *w = word; *w; w++, ps->p++) {
        char context[48];

        if (ps->p < ps->end && *ps->p == *w)
            continue;
        snprintf(context, sizeof context, "in literal %s (expecting '%c')", word, *w);
        return fail_char(ps, context);
    }
    return 0;
}

static int enter(struct parser *ps) {
    if (++ps->depth > JSON_DEPTH_MAX)
        return fail_at(ps, ps->p, "exceeded max depth");
    if (ps->containers_left-- == 0)
        return err_set(ps->e, ERR_TOO_LARGE, "JSON document has too many objects and arrays");
    ps->p++;
    skip_blanks(ps);
    return 0;
}

/* After an element: 1 when another follows (p stands on it), 0 behind the closing bracket. */
static int next_element(struct parser *ps, char closing, const char *context) {
    skip_blanks(ps);
    if (ps->p < ps->end && *ps->p == closing) {
        ps->p++;
        ps->depth--;
        return 0;
    }
    if (ps->p >= ps->end || *ps->p != ',')
        return fail_char(ps, context);
    ps->p++;
    skip_blanks(ps);
    return 1;
}

static int parse_array(struct parser *ps, struct json_object **ret) {
    auto_json *array = NULL;
    int r = enter(ps);

    if (r < 0)
        return r;
    array = json_object_new_array_ext(4);
    if (!array)
        return -ENOMEM;
    if (ps->p < ps->end && *ps->p == ']') {
        ps->p++;
        ps->depth--;
        r = 0;
    } else {
        r = 1;
    }
    while (r > 0) {
        struct json_object *item = NULL;

        r = parse_value(ps, &item);
        if (r < 0)
            return r;
        if (json_object_array_add(array, item) < 0) {
            json_object_put(item);
            return -ENOMEM;
        }
        r = next_element(ps, ']', "after array element");
    }
    if (r < 0)
        return r;
    *ret = take_ptr(array);
    return 0;
}

static int parse_member(struct parser *ps, struct json_object *object) {
    struct json_object *value = NULL;
    auto_free char *key = NULL;
    const char *s;
    size_t n;
    int r;

    if (ps->p >= ps->end || *ps->p != '"')
        return fail_char(ps, "looking for beginning of object key string");
    ps->p++;
    r = parse_string(ps, &s, &n);
    if (r < 0)
        return r;
    key = xstrndup(s, n);
    skip_blanks(ps);
    if (ps->p >= ps->end || *ps->p != ':')
        return fail_char(ps, "after object key");
    ps->p++;
    skip_blanks(ps);
    r = parse_value(ps, &value);
    if (r < 0)
        return r;
    if (json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return -ENOMEM;
    }
    return 0;
}

static int parse_object(struct parser *ps, struct json_object **ret) {
    auto_json *object = NULL;
    int r = enter(ps);

    if (r < 0)
        return r;
    object = json_object_new_object();
    if (!object)
        return -ENOMEM;
    if (ps->p < ps->end && *ps->p == '}') {
        ps->p++;
        ps->depth--;
        r = 0;
    } else {
        r = 1;
    }
    while (r > 0) {
        r = parse_member(ps, object);
        if (r < 0)
            return r;
        r = next_element(ps, '}', "after object key:value pair");
    }
    if (r < 0)
        return r;
    *ret = take_ptr(object);
    return 0;
}

static int parse_value(struct parser *ps, struct json_object **ret) {
    const char *s;
    size_t n;
    int r;

    if (ps->p >= ps->end)
        return fail_eof(ps);
    switch (*ps->p) {
    case '{':
        return parse_object(ps, ret);
    case '[':
        return parse_array(ps, ret);
    case '"':
        ps->p++;
        r = parse_string(ps, &s, &n);
        if (r < 0)
            return r;
        *ret = json_object_new_string_len(s, (int)n);
        return *ret ? 0 : -ENOMEM;
    case 't':
    case 'f':
        r = parse_literal(ps, *ps->p == 't' ? "true" : "false");
        if (r < 0)
            return r;
        *ret = json_object_new_boolean(ps->p[-2] == 'u');
        return *ret ? 0 : -ENOMEM;
    case 'n':
        return parse_literal(ps, "null");
    default:
        if (*ps->p == '-' || is_digit(ps))
            return parse_number(ps, ret);
        return fail_char(ps, "looking for beginning of value");
    }
}

int jsn_parse_max(const char *text, size_t len, size_t max, struct json_object **ret,
                  struct err *e) {
    struct parser ps = {
        .start = text,
        .p = text,
        .end = text + len,
        .containers_left = max / 64,
        .scratch = {.max = max},
        .e = e,
    };
    auto_json *value = NULL;
    int r;

    if (len > max || len > INT32_MAX)
        return err_set(e, ERR_TOO_LARGE, "JSON document larger than %zu bytes", max);
    skip_blanks(&ps);
    r = parse_value(&ps, &value);
    if (r >= 0) {
        skip_blanks(&ps);
        if (ps.p < ps.end)
            r = fail_char(&ps, "after top-level value");
    }
    buf_done(&ps.scratch);
    if (r == -ENOMEM)
        return err_sys(e, ENOMEM, "cannot parse JSON");
    if (r < 0)
        return r;
    *ret = take_ptr(value);
    return 0;
}

int jsn_parse(const char *text, size_t len, struct json_object **ret, struct err *e) {
    return jsn_parse_max(text, len, JSON_SIZE_MAX, ret, e);
}

struct json_object *jsn_get(struct json_object *o, const char *key) {
    struct json_object *value = NULL;

    if (!json_object_is_type(o, json_type_object))
        return NULL;
    if (json_object_object_get_ex(o, key, &value))
        return value;
    json_object_object_foreach(o, name, member) {
        if (strcasecmp(name, key) == 0)
            value = member;
    }
    return value;
}

const char *jsn_str(struct json_object *o, const char *key) {
    struct json_object *v = jsn_get(o, key);

    return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

bool jsn_as_int(struct json_object *v, int64_t *ret) {
    int64_t i;

    if (!json_object_is_type(v, json_type_int))
        return false;
    i = json_object_get_int64(v);
    /* json-c saturates an unsigned value that does not fit. */
    if (i == INT64_MAX && json_object_get_uint64(v) != (uint64_t)INT64_MAX)
        return false;
    *ret = i;
    return true;
}

bool jsn_as_uint(struct json_object *v, uint64_t *ret) {
    if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0)
        return false;
    *ret = json_object_get_uint64(v);
    return true;
}

int64_t jsn_int(struct json_object *o, const char *key, int64_t otherwise) {
    int64_t v;

    return jsn_as_int(jsn_get(o, key), &v) ? v : otherwise;
}

bool jsn_bool(struct json_object *o, const char *key, bool otherwise) {
    struct json_object *v = jsn_get(o, key);

    return json_object_is_type(v, json_type_boolean) ? json_object_get_boolean(v) : otherwise;
}
