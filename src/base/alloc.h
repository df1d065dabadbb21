/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Allocation and cleanup attributes.
 *
 * The x-functions abort when memory is exhausted: they are for small, bounded objects. The
 * containers belong to their monitors, so an aborting daemon is restarted and adopts them again.
 * Sizes that derive from input go through struct buf (base/buf.h), which has a maximum.
 */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull, warn_unused_result));
/* count * size, checked for overflow. */
void *xreallocarray(void *p, size_t count, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* Like xstrdup, and NULL for NULL. */
char *xstrdup_null(const char *s) __attribute__((malloc, warn_unused_result));
char *xstrndup(const char *s, size_t n)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xasprintf(const char *fmt, ...)
    __attribute__((malloc, returns_nonnull, warn_unused_result, format(printf, 1, 2)));

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

static inline void cleanup_free(void *p) {
    free(*(void **)p);
}

/* close() that keeps errno and returns the invalid descriptor. */
int fd_close(int fd);

static inline void cleanup_fd(int *fd) {
    fd_close(*fd);
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_fd   __attribute__((cleanup(cleanup_fd))) int

/* Move out of an automatically released variable. */
#define take_ptr(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) *take_p_ = &(p);                                                             \
        __typeof__(p) take_v_ = *take_p_;                                                          \
        *take_p_ = NULL;                                                                           \
        take_v_;                                                                                   \
    })

static inline int take_fd(int *fd) {
    int v = *fd;
    *fd = -1;
    return v;
}
