/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A growing byte buffer with a maximum.
 *
 * Invariants: data[len] is always NUL where there is data; an append that would pass `max`
 * changes nothing and makes the buffer `failed`, so a run of appends needs one check at its end.
 * A zeroed struct buf is valid and has the default maximum.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define BUF_MAX_DEFAULT (64u << 20)

struct buf {
    char *data;
    size_t len, cap;
    size_t max; /* 0: BUF_MAX_DEFAULT */
    bool failed;
};

#define BUF_INIT                                                                                   \
    { 0 }
#define auto_buf __attribute__((cleanup(buf_done))) struct buf

void buf_done(struct buf *b);
/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);
/* Room for n more bytes at data + len; false when that passes the maximum. */
bool buf_reserve(struct buf *b, size_t n);
bool buf_append(struct buf *b, const void *p, size_t n);
bool buf_puts(struct buf *b, const char *s);
bool buf_putc(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drops n bytes from the front. */
void buf_consume(struct buf *b, size_t n);
/* The content as a string that the caller owns ("" when empty); the buffer is empty afterwards. */
char *buf_take(struct buf *b) __attribute__((returns_nonnull, warn_unused_result));
/* The content as a string that the buffer keeps. */
const char *buf_str(const struct buf *b) __attribute__((returns_nonnull));
