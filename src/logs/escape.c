/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most output is plain ASCII: 16 bytes are copied and tested at once, with the compiler's vectors
 * (SSE2 or NEON, or whatever the target has).
 */
#include "logs/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char v16 __attribute__((vector_size(16)));
typedef uint64_t v2 __attribute__((vector_size(16)));

/* 1: must be looked at one by one (control characters, quotes, <>&, everything above ASCII). */
static bool is_special(unsigned char c) {
    return c < 0x20 || c >= 0x80 || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&';
}

/* Index of the first special byte of v, 16 when there is none. */
static unsigned first_special(v16 v) {
    v16 hit = (v16)(v < 0x20) | (v16)(v >= 0x80) | (v16)(v == '"') | (v16)(v == '\\') |
              (v16)(v == '&') | (v16)((v | 2) == '>'); /* < and > differ in one bit */
    v2 halves = (v2)hit;

    if (halves[0])
        return (unsigned)__builtin_ctzll(halves[0]) / 8;
    if (halves[1])
        return 8 + (unsigned)__builtin_ctzll(halves[1]) / 8;
    return 16;
}

/* Bytes of the valid UTF-8 sequence at p (RFC 3629: no surrogates, no overlong forms), 0 when it is
 * invalid or cut off. */
static size_t utf8_sequence(const unsigned char *p, size_t n) {
    unsigned char lo = 0x80, hi = 0xbf;
    size_t len;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        if (p[0] == 0xe0)
            lo = 0xa0;
        else if (p[0] == 0xed)
            hi = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            lo = 0x90;
        else if (p[0] == 0xf4)
            hi = 0x8f;
    } else {
        return 0;
    }
    if (n < len || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

/* Escapes one ASCII character that is special; the count of bytes written. */
static size_t escape_ascii(char *out, unsigned char c) {
    static const char hex[] = "0123456789abcdef";

    switch (c) {
    case '"':
    case '\\':
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    case '\n':
        memcpy(out, "\\n", 2);
        return 2;
    case '\r':
        memcpy(out, "\\r", 2);
        return 2;
    default:
        memcpy(out, "\\u00", 4);
        out[4] = hex[c >> 4];
        out[5] = hex[c & 15];
        return 6;
    }
}

size_t log_escape(char *out, const char *p, size_t n) {
    const unsigned char *in = (const unsigned char *)p;
    char *o = out;
    size_t i = 0;

    while (i < n) {
        if (n - i >= 16) {
            v16 v;
            unsigned plain;

            memcpy(&v, in + i, 16);
            memcpy(o, &v, 16); /* what is not plain is overwritten below */
            plain = first_special(v);
            i += plain;
            o += plain;
            if (plain == 16)
                continue;
        }
        while (i < n && !is_special(in[i]))
            *o++ = (char)in[i++];
        if (i == n)
            break;
        if (in[i] < 0x80) {
            o += escape_ascii(o, in[i++]);
            continue;
        }
        /* Text in other alphabets comes in runs: stay here for one. */
        while (i < n && in[i] >= 0x80) {
            size_t len = utf8_sequence(in + i, n - i);

            if (len == 0) {
                memcpy(o, "\\ufffd", 6);
                o += 6;
                i++;
            } else if (len == 3 && in[i] == 0xe2 && in[i + 1] == 0x80 &&
                       (in[i + 2] & 0xfe) == 0xa8) {
                memcpy(o, in[i + 2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
                o += 6;
                i += 3;
            } else {
                memcpy(o, in + i, len);
                o += len;
                i += len;
            }
        }
    }
    return (size_t)(o - out);
}

size_t log_utf8_whole(const char *p, size_t n) {
    const unsigned char *in = (const unsigned char *)p;

    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = in[n - back];
        size_t want;

        if (c < 0x80)
            return n;
        if (c < 0xc0)
            continue; /* a continuation: its head is further back */
        want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        return want > back ? n - back : n;
    }
    return n;
}
