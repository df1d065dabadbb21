/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buf.h"

bool str_eq(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_case_eq(const char *a, const char *b) {
    return a == b || (a && b && strcasecmp(a, b) == 0);
}

bool str_empty(const char *s) {
    return !s || !*s;
}

bool str_starts(const char *s, const char *prefix) {
    return str_after(s, prefix) != NULL;
}

bool str_ends(const char *s, const char *suffix) {
    size_t n = s ? strlen(s) : 0, m = strlen(suffix);

    return n >= m && s && memcmp(s + n - m, suffix, m) == 0;
}

const char *str_after(const char *s, const char *prefix) {
    size_t n = strlen(prefix);

    return s && strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

bool str_is_hex(const char *s) {
    return !str_empty(s) && strspn(s, "0123456789abcdef") == strlen(s);
}

const char *str_or_empty(const char *s) {
    return s ? s : "";
}

void str_set(char **p, const char *s) {
    char *copy = xstrdup_null(s);

    free(*p);
    *p = copy;
}

void str_lower(char *s) {
    for (; *s; s++)
        *s = (char)tolower((unsigned char)*s);
}

int str_to_u64(const char *s, uint64_t *ret) {
    uint64_t v = 0;

    if (str_empty(s))
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return -ERANGE;
    }
    *ret = v;
    return 0;
}

int str_to_i64(const char *s, int64_t *ret) {
    bool neg = s && *s == '-';
    uint64_t v;
    int r;

    if (!s)
        return -EINVAL;
    r = str_to_u64(s + (neg || *s == '+'), &v);
    if (r < 0)
        return r;
    if (v > (uint64_t)INT64_MAX + neg)
        return -ERANGE;
    *ret = neg ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

int str_to_bool(const char *s, bool *ret) {
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (str_eq(s, yes[i])) {
            *ret = true;
            return 0;
        }
        if (str_eq(s, no[i])) {
            *ret = false;
            return 0;
        }
    }
    return -EINVAL;
}

size_t strv_len(char *const *v) {
    size_t n = 0;

    while (v && v[n])
        n++;
    return n;
}

char **strv_free(char **v) {
    for (char **s = v; s && *s; s++)
        free(*s);
    free(v);
    return NULL;
}

void cleanup_strv(char ***v) {
    *v = strv_free(*v);
}

char **strv_dup(char *const *v) {
    size_t n = strv_len(v);
    char **copy;

    if (!v)
        return NULL;
    copy = xcalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(v[i]);
    return copy;
}

void strv_add(char ***v, const char *s) {
    strv_take(v, xstrdup(s));
}

void strv_take(char ***v, char *s) {
    size_t n = strv_len(*v);

    *v = xreallocarray(*v, n + 2, sizeof **v);
    (*v)[n] = s;
    (*v)[n + 1] = NULL;
}

bool strv_has(char *const *v, const char *s) {
    for (; v && *v; v++)
        if (strcmp(*v, s) == 0)
            return true;
    return false;
}

bool strv_eq(char *const *a, char *const *b) {
    size_t n = strv_len(a);

    if (n != strv_len(b))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

char **str_split(const char *s, char sep) {
    char **v = NULL;

    if (str_empty(s))
        return NULL;
    for (;;) {
        const char *end = strchrnul(s, sep);

        strv_take(&v, xstrndup(s, (size_t)(end - s)));
        if (!*end)
            return v;
        s = end + 1;
    }
}

char *strv_join(char *const *v, const char *sep) {
    struct buf b = BUF_INIT;

    for (size_t i = 0; v && v[i]; i++) {
        if (i > 0)
            buf_puts(&b, sep);
        buf_puts(&b, v[i]);
    }
    return buf_take(&b);
}

static size_t env_name_len(const char *assignment) {
    return (size_t)(strchrnul(assignment, '=') - assignment);
}

const char *env_find(char *const *env, const char *name) {
    size_t n = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

void env_put(char ***env, const char *assignment) {
    size_t n = env_name_len(assignment);
    bool set = assignment[n] == '=';

    for (char **e = *env; e && *e; e++) {
        if (env_name_len(*e) != n || strncmp(*e, assignment, n) != 0)
            continue;
        free(*e);
        if (set) {
            *e = xstrdup(assignment);
        } else {
            do
                e[0] = e[1];
            while (*e++);
        }
        return;
    }
    if (set)
        strv_add(env, assignment);
}
