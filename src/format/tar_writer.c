/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "format/tar_format.h"

/* Deterministic: the same entries make the same bytes. User and group names stay empty, extended
 * headers carry no times or process ids, and their records are sorted. */

#define WRITE_BUFFER ((size_t)64 << 10)
#define OCTAL7_MAX   UINT64_C(07777777)
#define OCTAL11_MAX  UINT64_C(077777777777)

struct tar_writer {
    struct writer *to;
    uint64_t left; /* of the current entry's data */
    unsigned padding;
    int failed;
    size_t len;
    char *buffer;
};

struct tar_writer *tar_writer_new(struct writer *to) {
    struct tar_writer *t = xnew(struct tar_writer);

    t->to = to;
    t->buffer = xmalloc(WRITE_BUFFER);
    return t;
}

void tar_writer_free(struct tar_writer *t) {
    if (!t)
        return;
    free(t->buffer);
    free(t);
}

static int send(struct tar_writer *t, const void *p, size_t n) {
    if (t->failed == 0 && n > 0)
        t->failed = t->to->write(t->to, p, n);
    return t->failed;
}

static int flush(struct tar_writer *t) {
    int r = send(t, t->buffer, t->len);

    t->len = 0;
    return r;
}

static int put(struct tar_writer *t, const void *p, size_t n) {
    if (n > WRITE_BUFFER - t->len) {
        int r = flush(t);

        if (r < 0 || n >= WRITE_BUFFER)
            return r < 0 ? r : send(t, p, n);
    }
    if (n > 0)
        memcpy(t->buffer + t->len, p, n);
    t->len += n;
    return t->failed;
}

static int put_zeros(struct tar_writer *t, size_t n) {
    static const char zeros[2 * TAR_BLOCK_SIZE];

    return put(t, zeros, n);
}

static bool is_ascii(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

static void put_octal(char *field, size_t n, uint64_t v) {
    char text[24];

    snprintf(text, sizeof text, "%0*llo", (int)n - 1, (unsigned long long)v);
    memcpy(field, text, n);
}

static void put_text(char *field, size_t n, const char *s) {
    size_t len = strnlen(s, n);

    memcpy(field, s, len);
}

/* Splits at a slash so that both parts fit; false when there is none that does. */
static bool put_path(struct tar_block *h, const char *path) {
    size_t n = strlen(path);

    if (!is_ascii(path))
        return false;
    if (n <= sizeof h->name) {
        memcpy(h->name, path, n);
        return true;
    }
    /* From the left: as much as possible stays in the name. A directory's own closing slash is no
     * place to split. */
    for (size_t i = 1; i <= sizeof h->ustar.prefix && i + 1 < n; i++) {
        if (path[i] != '/' || n - i - 1 > sizeof h->name)
            continue;
        memcpy(h->ustar.prefix, path, i);
        memcpy(h->name, path + i + 1, n - i - 1);
        return true;
    }
    return false;
}

static void finish_block(struct tar_block *h) {
    char text[8];
    int unused;

    memcpy(h->magic, "ustar\00000", 8);
    snprintf(text, sizeof text, "%06o", tar_checksum(h, &unused) & 0777777);
    memcpy(h->chksum, text, 7);
    h->chksum[7] = ' ';
}

static int compare_xattrs(const void *a, const void *b) {
    return strcmp((*(const struct tar_xattr *const *)a)->name,
                  (*(const struct tar_xattr *const *)b)->name);
}

static int put_xattrs(struct buf *b, const struct tar_entry *e) {
    auto_free const struct tar_xattr **sorted = xcalloc(e->xattr_count, sizeof *sorted);

    for (size_t i = 0; i < e->xattr_count; i++)
        sorted[i] = &e->xattrs[i];
    qsort(sorted, e->xattr_count, sizeof *sorted, compare_xattrs);
    for (size_t i = 0; i < e->xattr_count; i++) {
        auto_free char *key = xasprintf("SCHILY.xattr.%s", sorted[i]->name);

        if (strchr(key, '=') || !*sorted[i]->name)
            return -EINVAL; /* a record cannot say it */
        tar_put_record(b, key, sorted[i]->value, sorted[i]->size);
    }
    return 0;
}

static void put_number_record(struct buf *b, const char *key, uint64_t v) {
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    tar_put_record(b, key, text, strlen(text));
}

static void put_time_record(struct buf *b, int64_t ns) {
    int64_t seconds = ns / NS_PER_SEC, fraction = ns % NS_PER_SEC;
    char text[48];
    size_t n;

    snprintf(text, sizeof text, "%s%lld.%09lld", ns < 0 && seconds == 0 ? "-" : "",
             (long long)seconds, (long long)(fraction < 0 ? -fraction : fraction));
    n = strlen(text);
    while (text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    tar_put_record(b, "mtime", text, n);
}

/* Fills what fits into h and appends records for the rest, in the order of their keys. */
static int describe(const struct tar_entry *e, struct tar_block *h, struct buf *records) {
    auto_free char *path = xasprintf("%s%s", e->path, e->type == TAR_DIR ? "/" : "");
    const char *link = e->type == TAR_HARDLINK || e->type == TAR_SYMLINK ? e->link : "";
    uint64_t size = e->type == TAR_FILE ? e->size : 0;
    int64_t seconds = e->mtime_ns / NS_PER_SEC;
    bool device = e->type == TAR_CHAR || e->type == TAR_BLOCK;
    bool time_fits =
        e->mtime_ns >= 0 && e->mtime_ns % NS_PER_SEC == 0 && (uint64_t)seconds <= OCTAL11_MAX;

    if (device && (e->dev_major > OCTAL7_MAX || e->dev_minor > OCTAL7_MAX))
        return -ERANGE;
    if (put_xattrs(records, e) < 0)
        return -EINVAL;
    h->typeflag = (char)e->type;
    put_octal(h->mode, sizeof h->mode, e->mode & 07777);
    put_octal(h->gid, sizeof h->gid, e->gid <= OCTAL7_MAX ? e->gid : 0);
    if (e->gid > OCTAL7_MAX)
        put_number_record(records, "gid", e->gid);
    put_text(h->linkname, sizeof h->linkname, link);
    if (strlen(link) > sizeof h->linkname || !is_ascii(link))
        tar_put_record(records, "linkpath", link, strlen(link));
    put_octal(h->mtime, sizeof h->mtime,
              seconds > 0 && (uint64_t)seconds <= OCTAL11_MAX ? (uint64_t)seconds : 0);
    if (!time_fits)
        put_time_record(records, e->mtime_ns);
    if (!put_path(h, path)) {
        put_text(h->name, sizeof h->name, path);
        tar_put_record(records, "path", path, strlen(path));
    }
    put_octal(h->size, sizeof h->size, size <= OCTAL11_MAX ? size : 0);
    if (size > OCTAL11_MAX)
        put_number_record(records, "size", size);
    put_octal(h->uid, sizeof h->uid, e->uid <= OCTAL7_MAX ? e->uid : 0);
    if (e->uid > OCTAL7_MAX)
        put_number_record(records, "uid", e->uid);
    put_octal(h->devmajor, sizeof h->devmajor, device ? e->dev_major : 0);
    put_octal(h->devminor, sizeof h->devminor, device ? e->dev_minor : 0);
    return 0;
}

static int put_extended(struct tar_writer *t, const struct tar_entry *e,
                        const struct buf *records) {
    const char *slash = strrchr(e->path, '/');
    struct tar_block h = {.typeflag = 'x'};
    char name[sizeof h.name + 1];
    int r;

    snprintf(name, sizeof name, "PaxHeaders.0/%s", slash && slash[1] ? slash + 1 : e->path);
    put_text(h.name, sizeof h.name, name);
    put_octal(h.mode, sizeof h.mode, 0644);
    put_octal(h.uid, sizeof h.uid, 0);
    put_octal(h.gid, sizeof h.gid, 0);
    put_octal(h.size, sizeof h.size, records->len);
    put_octal(h.mtime, sizeof h.mtime, 0);
    put_octal(h.devmajor, sizeof h.devmajor, 0);
    put_octal(h.devminor, sizeof h.devminor, 0);
    finish_block(&h);
    r = put(t, &h, sizeof h);
    if (r == 0)
        r = put(t, records->data, records->len);
    if (r == 0)
        r = put_zeros(t, -records->len & (TAR_BLOCK_SIZE - 1));
    return r;
}

int tar_write_header(struct tar_writer *t, const struct tar_entry *e) {
    auto_buf records = {.max = TAR_HEADER_MAX};
    struct tar_block h = {0};
    bool link = e->type == TAR_HARDLINK || e->type == TAR_SYMLINK;
    int r;

    if (t->failed || t->left > 0)
        return t->failed ? t->failed : -EINVAL;
    if (!e->path || !*e->path || (link && (!e->link || !*e->link)) || e->size > INT64_MAX ||
        e->uid > INT64_MAX || e->gid > INT64_MAX)
        return -EINVAL;
    if (strlen(e->path) >= TAR_PATH_MAX || (link && strlen(e->link) > TAR_PATH_MAX))
        return -ENAMETOOLONG;
    r = describe(e, &h, &records);
    if (r < 0)
        return r;
    if (records.failed)
        return -E2BIG;
    if (records.len > 0) {
        r = put_extended(t, e, &records);
        if (r < 0)
            return r;
    }
    finish_block(&h);
    t->left = e->type == TAR_FILE ? e->size : 0;
    t->padding = (unsigned)(-t->left & (TAR_BLOCK_SIZE - 1));
    return put(t, &h, sizeof h);
}

int tar_write_data(struct tar_writer *t, const void *p, size_t n) {
    int r;

    if (n > t->left)
        return -EINVAL;
    if (n == 0)
        return t->failed;
    r = put(t, p, n);
    if (r < 0)
        return r;
    t->left -= n;
    return t->left == 0 ? put_zeros(t, t->padding) : 0;
}

int tar_write_end(struct tar_writer *t) {
    int r;

    if (t->failed || t->left > 0)
        return t->failed ? t->failed : -EINVAL;
    r = put_zeros(t, (size_t)2 * TAR_BLOCK_SIZE);
    return r < 0 ? r : flush(t);
}
