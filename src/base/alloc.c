/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void out_of_memory(void) {
    static const char msg[] = "out of memory\n";

    (void)!write(STDERR_FILENO, msg, sizeof msg - 1);
    abort();
}

void *xmalloc(size_t size) {
    void *p = malloc(size ? size : 1);

    if (!p)
        out_of_memory();
    return p;
}

void *xcalloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size ? size : 1);

    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size) {
    p = realloc(p, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xreallocarray(void *p, size_t count, size_t size) {
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        out_of_memory();
    return xrealloc(p, total);
}

char *xstrdup(const char *s) {
    return xstrndup(s, strlen(s));
}

char *xstrdup_null(const char *s) {
    return s ? xstrdup(s) : NULL;
}

char *xstrndup(const char *s, size_t n) {
    size_t len = strnlen(s, n);
    char *p = xmalloc(len + 1);

    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

void *xmemdup(const void *p, size_t n) {
    void *q = xmalloc(n);

    if (n > 0)
        memcpy(q, p, n);
    return q;
}

char *xasprintf(const char *fmt, ...) {
    char *p = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&p, fmt, ap) < 0)
        out_of_memory();
    va_end(ap);
    return p;
}

int fd_close(int fd) {
    if (fd >= 0) {
        int saved = errno;

        (void)close(fd); /* EINTR on Linux has closed it already */
        errno = saved;
    }
    return -1;
}
