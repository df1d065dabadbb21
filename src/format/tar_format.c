/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar_format.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"

void tar_entry_done(struct tar_entry *e) {
    free(e->path);
    free(e->link);
    for (size_t i = 0; i < e->xattr_count; i++) {
        free(e->xattrs[i].name);
        free(e->xattrs[i].value);
    }
    free(e->xattrs);
    *e = (struct tar_entry){0};
}

static void add_xattr(struct tar_xattr **list, size_t *count, const char *name, size_t name_len,
                      const void *value, size_t size) {
    *list = xreallocarray(*list, *count + 1, sizeof **list);
    (*list)[(*count)++] = (struct tar_xattr){
        .name = xstrndup(name, name_len), .value = xmemdup(value, size), .size = size};
}

void tar_entry_add_xattr(struct tar_entry *e, const char *name, const void *value, size_t size) {
    add_xattr(&e->xattrs, &e->xattr_count, name, strlen(name), value, size);
}

/* ---- numbers ------------------------------------------------------------------------------- */

static int base256(const unsigned char *p, size_t n, int64_t *ret) {
    bool negative = p[0] & 0x40;
    uint64_t v = negative ? UINT64_MAX : 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = p[i];

        if (i == 0) /* the mark, and with it the sign extended over its bit */
            c = negative ? c | 0x80 : c & 0x7f;
        if ((v >> 56) != (negative ? 0xff : 0))
            return -ERANGE;
        v = v << 8 | c;
    }
    if ((v >> 63) != negative)
        return -ERANGE;
    *ret = (int64_t)v;
    return 0;
}

int tar_number(const char *field, size_t n, int64_t *ret) {
    const char *p = field, *end = field + n;
    uint64_t v = 0;

    if ((unsigned char)field[0] & 0x80)
        return base256((const unsigned char *)field, n, ret);
    while (p < end && (*p == ' ' || *p == '\0'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\0'))
        end--;
    for (; p < end && *p; p++) {
        if (*p < '0' || *p > '7')
            return -EINVAL;
        v = v << 3 | (unsigned)(*p - '0'); /* twelve digits at most */
    }
    *ret = (int64_t)v;
    return 0;
}

int tar_unsigned(const char *field, size_t n, uint64_t *ret) {
    int64_t v;
    int r = tar_number(field, n, &v);

    if (r < 0)
        return r;
    if (v < 0)
        return -EINVAL;
    *ret = (uint64_t)v;
    return 0;
}

unsigned tar_checksum(const struct tar_block *b, int *ret_signed) {
    const unsigned char *p = (const unsigned char *)b;
    const size_t from = offsetof(struct tar_block, chksum);
    unsigned sum = 0;
    int signed_sum = 0;

    for (size_t i = 0; i < TAR_BLOCK_SIZE; i++) {
        unsigned char c = i >= from && i < from + sizeof b->chksum ? ' ' : p[i];

        sum += c;
        signed_sum += (signed char)c;
    }
    *ret_signed = signed_sum;
    return sum;
}

int64_t tar_time_ns(int64_t seconds, int64_t nanoseconds) {
    int64_t ns;

    if (__builtin_mul_overflow(seconds, NS_PER_SEC, &ns) ||
        __builtin_add_overflow(ns, nanoseconds, &ns))
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

/* ---- pax records --------------------------------------------------------------------------- */

void tar_extended_done(struct tar_extended *x) {
    struct tar_entry owned = {.xattrs = x->xattrs, .xattr_count = x->xattr_count};

    tar_entry_done(&owned);
    free(x->path);
    free(x->link);
    free(x->gnu_path);
    free(x->gnu_link);
    free(x->sparse_path);
    free(x->pieces);
    *x = (struct tar_extended){0};
}

struct record {
    const char *key, *value;
    size_t key_len, value_len;
};

/* "27 path=some/longer/name.txt\n", the length counting all of it. 1, 0 at the end, -EINVAL. */
static int next_record(const char **p, const char *end, struct record *ret) {
    const char *s = *p, *stop, *equals;
    size_t len = 0;

    if (s == end)
        return 0;
    for (; s < end && *s >= '0' && *s <= '9'; s++) {
        len = len * 10 + (size_t)(*s - '0');
        if (len > TAR_HEADER_MAX)
            return -EINVAL;
    }
    if (s == *p || s == end || *s != ' ' || len > (size_t)(end - *p) || *p + len <= s + 1)
        return -EINVAL;
    s++;
    stop = *p + len - 1;
    if (*stop != '\n')
        return -EINVAL;
    equals = memchr(s, '=', (size_t)(stop - s));
    if (!equals || equals == s || memchr(s, '\0', (size_t)(equals - s)))
        return -EINVAL;
    *ret = (struct record){s, equals + 1, (size_t)(equals - s), (size_t)(stop - equals - 1)};
    *p += len;
    return 1;
}

static bool key_is(const struct record *r, const char *key) {
    return r->key_len == strlen(key) && memcmp(r->key, key, r->key_len) == 0;
}

static bool key_starts(const struct record *r, const char *prefix) {
    return r->key_len >= strlen(prefix) && memcmp(r->key, prefix, strlen(prefix)) == 0;
}

static int set_text(char **to, const struct record *r) {
    if (memchr(r->value, '\0', r->value_len) || r->value_len > TAR_PATH_MAX)
        return -EINVAL;
    if (*to && (strlen(*to) != r->value_len || memcmp(*to, r->value, r->value_len) != 0))
        return -EINVAL; /* said twice, differently */
    free(*to);
    *to = r->value_len > 0 ? xstrndup(r->value, r->value_len) : NULL;
    return 0;
}

static int decimal(const char *p, size_t n, uint64_t *ret) {
    char text[24];

    if (n == 0 || n >= sizeof text || memchr(p, '\0', n))
        return -EINVAL;
    memcpy(text, p, n);
    text[n] = '\0';
    if (str_to_u64(text, ret) < 0 || *ret > INT64_MAX)
        return -EINVAL;
    return 0;
}

static int set_number(uint64_t *to, bool *has, const struct record *r) {
    uint64_t v;

    if (r->value_len == 0)
        return 0;
    if (decimal(r->value, r->value_len, &v) < 0 || (*has && v != *to))
        return -EINVAL;
    *to = v;
    *has = true;
    return 0;
}

/* "[-]seconds[.fraction]"; digits beyond nanoseconds are dropped. */
static int set_time(struct tar_extended *x, const struct record *r) {
    const char *p = r->value, *end = p + r->value_len, *dot;
    bool negative = p < end && *p == '-';
    int64_t ns = 0, unit = NS_PER_SEC;
    uint64_t seconds;

    if (p == end)
        return 0;
    p += negative;
    dot = memchr(p, '.', (size_t)(end - p));
    if (decimal(p, (size_t)((dot ? dot : end) - p), &seconds) < 0)
        return -EINVAL;
    for (const char *d = dot ? dot + 1 : end; d < end; d++) {
        if (*d < '0' || *d > '9')
            return -EINVAL;
        unit /= 10;
        ns += (*d - '0') * unit;
    }
    x->mtime_ns = tar_time_ns(negative ? -(int64_t)seconds : (int64_t)seconds, negative ? -ns : ns);
    x->has_mtime = true;
    return 0;
}

static int add_piece(struct tar_extended *x, uint64_t offset) {
    if (x->half_piece)
        return -EINVAL;
    /* A record of a piece has some 50 bytes, so that TAR_HEADER_MAX bounds their number. */
    x->pieces = xreallocarray(x->pieces, x->piece_count + 1, sizeof *x->pieces);
    x->pieces[x->piece_count] = (struct tar_piece){.offset = offset};
    x->half_piece = true;
    return 0;
}

static int end_piece(struct tar_extended *x, uint64_t size) {
    if (!x->half_piece)
        return -EINVAL;
    x->pieces[x->piece_count++].size = size;
    x->half_piece = false;
    return 0;
}

/* Version 0.1: "offset,size,offset,size,...". */
static int set_sparse_map(struct tar_extended *x, const struct record *r) {
    const char *p = r->value, *end = p + r->value_len;

    if (x->piece_count > 0 || x->half_piece)
        return -EINVAL;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        uint64_t v;

        if (decimal(p, (size_t)(stop - p), &v) < 0 ||
            (x->half_piece ? end_piece(x, v) : add_piece(x, v)) < 0 || (comma && comma + 1 == end))
            return -EINVAL;
        p = comma ? comma + 1 : end;
    }
    return x->half_piece ? -EINVAL : 0;
}

static int set_sparse(struct tar_extended *x, const struct record *r) {
    uint64_t v;

    if (x->sparse == TAR_SPARSE_NONE)
        x->sparse = TAR_SPARSE_0;
    if (key_is(r, "GNU.sparse.major"))
        return set_number(&x->sparse_major, &x->has_major, r);
    if (key_is(r, "GNU.sparse.minor"))
        return set_number(&x->sparse_minor, &x->has_minor, r);
    if (key_is(r, "GNU.sparse.name"))
        return set_text(&x->sparse_path, r);
    if (key_is(r, "GNU.sparse.realsize") || key_is(r, "GNU.sparse.size"))
        return set_number(&x->real_size, &x->has_real_size, r);
    if (key_is(r, "GNU.sparse.map"))
        return set_sparse_map(x, r);
    if (key_is(r, "GNU.sparse.offset"))
        return decimal(r->value, r->value_len, &v) < 0 ? -EINVAL : add_piece(x, v);
    if (key_is(r, "GNU.sparse.numbytes"))
        return decimal(r->value, r->value_len, &v) < 0 ? -EINVAL : end_piece(x, v);
    return 0; /* numblocks: we count them */
}

static int set_xattr(struct tar_extended *x, const struct record *r) {
    const size_t skip = strlen("SCHILY.xattr.");

    if (r->key_len == skip)
        return -EINVAL;
    for (size_t i = 0; i < x->xattr_count; i++)
        if (strlen(x->xattrs[i].name) == r->key_len - skip &&
            memcmp(x->xattrs[i].name, r->key + skip, r->key_len - skip) == 0)
            return -EINVAL;
    add_xattr(&x->xattrs, &x->xattr_count, r->key + skip, r->key_len - skip, r->value,
              r->value_len);
    return 0;
}

static int apply_record(struct tar_extended *x, const struct record *r) {
    if (key_is(r, "path"))
        return set_text(&x->path, r);
    if (key_is(r, "linkpath"))
        return set_text(&x->link, r);
    if (key_is(r, "size"))
        return set_number(&x->size, &x->has_size, r);
    if (key_is(r, "uid"))
        return set_number(&x->uid, &x->has_uid, r);
    if (key_is(r, "gid"))
        return set_number(&x->gid, &x->has_gid, r);
    if (key_is(r, "mtime"))
        return set_time(x, r);
    if (key_starts(r, "SCHILY.xattr."))
        return set_xattr(x, r);
    if (key_starts(r, "GNU.sparse."))
        return set_sparse(x, r);
    return 0; /* user and group names, comments, access times: of no use here */
}

int tar_extended_parse(struct tar_extended *x, const char *data, size_t len) {
    const char *p = data;
    struct record record;
    int r;

    while ((r = next_record(&p, data + len, &record)) > 0) {
        r = apply_record(x, &record);
        if (r < 0)
            return r;
    }
    if (r < 0 || x->half_piece)
        return -EINVAL;
    if (x->has_major || x->has_minor) {
        if (x->sparse_major == 1 && x->sparse_minor == 0 && x->piece_count == 0)
            x->sparse = TAR_SPARSE_1;
        else if (x->sparse_major != 0)
            return -EINVAL;
    }
    if (x->sparse != TAR_SPARSE_NONE && !x->has_real_size)
        return -EINVAL;
    x->pax = true;
    return 0;
}

int tar_global_check(const char *data, size_t len) {
    static const char *const meaningful[] = {"path", "linkpath", "size"};
    const char *p = data;
    struct record record;
    int r;

    while ((r = next_record(&p, data + len, &record)) > 0) {
        if (key_starts(&record, "GNU.sparse."))
            return -EINVAL;
        for (size_t i = 0; i < sizeof meaningful / sizeof *meaningful; i++)
            if (key_is(&record, meaningful[i]))
                return -EINVAL;
    }
    return r;
}

void tar_put_record(struct buf *b, const char *key, const void *value, size_t size) {
    size_t body = strlen(key) + size + 3, total = body; /* blank, '=', newline */
    char text[24];
    int digits;

    do {
        digits = snprintf(text, sizeof text, "%zu", total);
        total = body + (size_t)digits;
    } while (snprintf(text, sizeof text, "%zu", total) != digits);
    buf_puts(b, text);
    buf_putc(b, ' ');
    buf_puts(b, key);
    buf_putc(b, '=');
    buf_append(b, value, size);
    buf_putc(b, '\n');
}
