/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/tar_format.h"

#define DATA_MAX (1u << 20) /* a hole may be as large as it likes: read its start only */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    struct reader base;
    const uint8_t *p;
    size_t left;
};

static ssize_t memory_read(struct reader *base, void *p, size_t n) {
    struct memory *m = (struct memory *)base;

    if (n > m->left)
        n = m->left;
    if (n > 0)
        memcpy(p, m->p, n);
    m->p += n;
    m->left -= n;
    return (ssize_t)n;
}

struct sink {
    struct writer base;
    struct buf out;
};

static int sink_write(struct writer *base, const void *p, size_t n) {
    return buf_append(&((struct sink *)base)->out, p, n) ? 0 : -EFBIG;
}

/* An entry goes through the writer and comes back as it was. */
static void check_round_trip(const struct tar_entry *e) {
    struct sink to = {.base = {sink_write}};
    struct memory from = {.base = {memory_read}};
    struct tar_entry copy = *e;
    const struct tar_entry *back;
    struct tar_writer *w = tar_writer_new(&to.base);
    struct tar_reader *r;

    copy.size = 0;
    if (tar_write_header(w, &copy) == 0 && tar_write_end(w) == 0) {
        from.p = (const uint8_t *)to.out.data;
        from.left = to.out.len;
        r = tar_reader_new(&from.base);
        if (tar_next(r, &back, NULL) != 1 || back->type != e->type ||
            !str_eq(back->path, e->path) || !str_eq(back->link, e->link) || back->uid != e->uid ||
            back->gid != e->gid || back->mtime_ns != e->mtime_ns || back->mode != e->mode ||
            back->xattr_count != e->xattr_count)
            abort();
        tar_reader_free(r);
    }
    tar_writer_free(w);
    buf_done(&to.out);
}

/* Blocks that look like headers get the right sum: no mutation would get past it otherwise. */
static uint8_t *with_sums(const uint8_t *data, size_t size) {
    uint8_t *copy = xmemdup(data, size);

    for (size_t at = 0; at + TAR_BLOCK_SIZE <= size; at += TAR_BLOCK_SIZE) {
        struct tar_block h;
        char sum[8];
        int unused;

        memcpy(&h, copy + at, sizeof h);
        if (memcmp(h.magic, "ustar", 5) != 0)
            continue;
        snprintf(sum, sizeof sum, "%06o", tar_checksum(&h, &unused) & 0777777);
        memcpy(copy + at + offsetof(struct tar_block, chksum), sum, sizeof sum);
    }
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_free uint8_t *copy = with_sums(data, size);
    struct memory m = {{memory_read}, copy, size};
    struct tar_reader *t = tar_reader_new(&m.base);
    const struct tar_entry *e;
    static char block[4096];

    while (tar_next(t, &e, NULL) > 0) {
        uint64_t total = 0;
        ssize_t got;

        if (!*e->path || strlen(e->path) > TAR_PATH_MAX || (e->type != TAR_FILE && e->size > 0))
            abort();
        check_round_trip(e);
        while (total < DATA_MAX && (got = tar_data(t)->read(tar_data(t), block, sizeof block)) > 0)
            total += (uint64_t)got;
        if (total > e->size)
            abort();
    }
    tar_reader_free(t);
    return 0;
}
