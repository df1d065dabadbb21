/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void buf_done(struct buf *b) {
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b) {
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

bool buf_reserve(struct buf *b, size_t n) {
    size_t max = b->max ? b->max : BUF_MAX_DEFAULT;
    size_t cap;

    if (b->failed || n > max || b->len > max - n) {
        b->failed = true;
        return false;
    }
    if (b->len + n + 1 <= b->cap)
        return true;
    cap = b->cap ? b->cap : 64;
    while (cap < b->len + n + 1)
        cap += cap / 2 + 64;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
    b->data[b->len] = '\0'; /* a read into it may bring nothing */
    return true;
}

bool buf_append(struct buf *b, const void *p, size_t n) {
    if (!buf_reserve(b, n))
        return false;
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
    return true;
}

bool buf_puts(struct buf *b, const char *s) {
    return buf_append(b, s, strlen(s));
}

bool buf_putc(struct buf *b, char c) {
    return buf_append(b, &c, 1);
}

bool buf_vprintf(struct buf *b, const char *fmt, va_list ap) {
    va_list again;
    int n;

    if (!buf_reserve(b, 128))
        return false;
    va_copy(again, ap);
    n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
    if (n >= 0 && (size_t)n >= b->cap - b->len) {
        if (buf_reserve(b, (size_t)n))
            n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
    }
    va_end(again);
    if (n < 0 || b->failed) {
        b->failed = true;
        b->data[b->len] = '\0';
        return false;
    }
    b->len += (size_t)n;
    return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    bool ok;

    va_start(ap, fmt);
    ok = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return ok;
}

void buf_consume(struct buf *b, size_t n) {
    if (n >= b->len) {
        buf_clear(b);
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
    b->data[b->len] = '\0';
}

char *buf_take(struct buf *b) {
    char *s = b->data ? b->data : xstrdup("");

    *b = (struct buf){.max = b->max};
    return s;
}

const char *buf_str(const struct buf *b) {
    return b->data ? b->data : "";
}
