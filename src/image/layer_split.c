/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_split.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/list.h"
#include "format/codec.h"
#include "format/tar.h"
#include "sys/path.h"

/*
 * The file, compressed with zstd: the magic, then records
 *     'M' length bytes          as they are
 *     'F' size length path      the content of that file; the n-th of these is content n, which
 *                               is in extra/n when that exists
 *     'E'
 * with numbers as LEB128.
 */
static const char MAGIC[8] = "FSPLIT1\n";

/* What is held before it is written; a pass of read-ahead in the tar reader must fit well. */
#define HOLD_SIZE  (1u << 20)
#define BLOCK_SIZE (256u << 10)

struct split_writer {
    struct reader reader;
    struct reader *from;
    struct fd_writer file;
    struct writer *zstd;
    struct buf held;  /* bytes [base, read_at) that may still turn out to be content */
    uint64_t base;    /* offset of held.data[0] */
    uint64_t read_at; /* bytes read from the source */
    uint64_t skip_to; /* content up to here: not held */
    bool verbatim;
    int failed;
};

static int put_number(struct buf *b, uint64_t v) {
    do {
        unsigned char c = v & 0x7f;
        v >>= 7;
        if (!buf_putc(b, (char)(v ? c | 0x80 : c)))
            return -ENOMEM;
    } while (v);
    return 0;
}

static int write_meta(struct split_writer *w, size_t n) {
    if (n == 0)
        return 0;
    auto_buf head = BUF_INIT;
    buf_putc(&head, 'M');
    int r = put_number(&head, n);
    if (r == 0)
        r = w->zstd->write(w->zstd, head.data, head.len);
    if (r == 0)
        r = w->zstd->write(w->zstd, w->held.data, n);
    buf_consume(&w->held, n);
    w->base += n;
    return r;
}

static ssize_t read_recorded(struct reader *r, void *p, size_t n) {
    struct split_writer *w = container_of(r, struct split_writer, reader);
    if (w->failed)
        return w->failed;
    ssize_t got = w->from->read(w->from, p, n);
    if (got <= 0)
        return got;
    size_t skip = 0;
    if (w->skip_to > w->read_at) {
        uint64_t left = w->skip_to - w->read_at;
        skip = left < (uint64_t)got ? (size_t)left : (size_t)got;
    }
    w->read_at += (uint64_t)got;
    if (skip == (size_t)got)
        return got;
    if (!buf_append(&w->held, (char *)p + skip, (size_t)got - skip))
        return w->failed = -ENOBUFS;
    if (w->verbatim && w->held.len >= HOLD_SIZE)
        w->failed = write_meta(w, w->held.len);
    return w->failed ? w->failed : got;
}

int split_writer_new(struct reader *from, int fd, struct split_writer **ret) {
    struct split_writer *w = xnew(struct split_writer);
    w->reader.read = read_recorded;
    w->from = from;
    /* Headers of one entry and the read-ahead, with room to spare. */
    w->held.max = 8 * HOLD_SIZE;
    fd_writer_init(&w->file, fd);
    int r = compress_open(CODEC_ZSTD, &w->file.base, &w->zstd);
    if (r == 0)
        r = w->zstd->write(w->zstd, MAGIC, sizeof(MAGIC));
    if (r < 0) {
        split_writer_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

void split_writer_free(struct split_writer *w) {
    if (!w)
        return;
    if (w->zstd)
        (void)compress_close(w->zstd); /* an unfinished file is thrown away */
    buf_done(&w->held);
    free(w);
}

struct reader *split_writer_reader(struct split_writer *w) {
    return &w->reader;
}

int split_writer_file(struct split_writer *w, uint64_t offset, uint64_t size, const char *path) {
    if (w->failed)
        return w->failed;
    if (offset > w->read_at)
        return -EINVAL;
    if (offset < w->base) {
        /* Its beginning went out with a verbatim stretch that the tar reader read beyond. */
        w->verbatim = true;
        return 1;
    }
    int r = write_meta(w, (size_t)(offset - w->base));
    auto_buf record = BUF_INIT;
    buf_putc(&record, 'F');
    if (r == 0)
        r = put_number(&record, size);
    if (r == 0)
        r = put_number(&record, strlen(path));
    buf_puts(&record, path);
    if (r == 0)
        r = w->zstd->write(w->zstd, record.data, record.len);
    /* What was read ahead of it. */
    size_t ahead = size < w->held.len ? (size_t)size : w->held.len;
    buf_consume(&w->held, ahead);
    w->base = w->skip_to = offset + size;
    return w->failed = r;
}

int split_writer_advance(struct split_writer *w, uint64_t offset) {
    if (w->failed || offset <= w->base || w->held.len < HOLD_SIZE / 4)
        return w->failed;
    uint64_t n = offset - w->base;
    return w->failed = write_meta(w, n < w->held.len ? (size_t)n : w->held.len);
}

void split_writer_verbatim(struct split_writer *w, bool on) {
    w->verbatim = on;
}

int split_writer_end(struct split_writer *w) {
    auto_free char *block = xmalloc(BLOCK_SIZE);
    w->verbatim = true;
    ssize_t n;
    while ((n = w->reader.read(&w->reader, block, BLOCK_SIZE)) > 0)
        ;
    if (n < 0)
        return (int)n;
    if (w->read_at < w->base)
        return -EIO; /* the source ended inside a file's content */
    int r = write_meta(w, w->held.len);
    if (r == 0)
        r = w->zstd->write(w->zstd, "E", 1);
    int closed = compress_close(take_ptr(w->zstd));
    return r < 0 ? r : closed;
}

/* ---- joining -------------------------------------------------------------------------------- */

struct joiner {
    struct reader *in;
    struct writer *to;
    int tree_fd, extra_fd;
    const bool *cancel;
    uint64_t index; /* of the next content */
    char *block;
    char input[16 << 10]; /* records are small: one call of the decompressor for many */
    size_t input_at, input_len;
};

static ssize_t get_some(struct joiner *j, void *p, size_t n) {
    if (j->input_at == j->input_len) {
        ssize_t got = j->in->read(j->in, j->input, sizeof(j->input));
        if (got <= 0)
            return got < 0 ? got : -EIO;
        j->input_at = 0;
        j->input_len = (size_t)got;
    }
    if (n > j->input_len - j->input_at)
        n = j->input_len - j->input_at;
    memcpy(p, j->input + j->input_at, n);
    j->input_at += n;
    return (ssize_t)n;
}

static int get(struct joiner *j, void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t got = get_some(j, (char *)p + at, n - at);
        if (got < 0)
            return (int)got;
        at += (size_t)got;
    }
    return 0;
}

static int get_number(struct joiner *j, uint64_t *ret) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char c = 0;
        int r = get(j, &c, 1);
        if (r < 0)
            return r;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *ret = v;
            return 0;
        }
    }
    return -EIO;
}

static int join_meta(struct joiner *j) {
    uint64_t left;
    int r = get_number(j, &left);
    while (r == 0 && left > 0) {
        ssize_t n = get_some(j, j->block, left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE);
        r = n < 0 ? (int)n : j->to->write(j->to, j->block, (size_t)n);
        left -= r == 0 ? (uint64_t)n : 0;
    }
    return r;
}

static int open_content(struct joiner *j, const char *path) {
    if (j->extra_fd >= 0) {
        char name[24];
        snprintf(name, sizeof(name), "%llu", (unsigned long long)j->index);
        int fd = openat(j->extra_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT)
            return fd < 0 ? -errno : fd;
    }
    return path_open_in(j->tree_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

static int join_file(struct joiner *j, struct err *e) {
    uint64_t left, len;
    int r = get_number(j, &left);
    if (r == 0)
        r = get_number(j, &len);
    if (r < 0)
        return r;
    if (len > TAR_PATH_MAX)
        return -EIO;
    auto_free char *path = xcalloc(1, len + 1);
    r = get(j, path, len);
    if (r < 0)
        return r;
    auto_fd fd = open_content(j, path);
    if (fd < 0)
        return err_sys(e, fd, "cannot read %s in the layer", path);
    j->index++;
    while (left > 0) {
        size_t want = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
        ssize_t n = read(fd, j->block, want);
        if (n <= 0)
            return err_sys(e, n < 0 ? errno : EIO, "cannot read %s in the layer", path);
        r = j->to->write(j->to, j->block, (size_t)n);
        if (r < 0)
            return r;
        left -= (uint64_t)n;
    }
    return 0;
}

static int join_records(struct joiner *j, struct err *e) {
    char magic[sizeof(MAGIC)];
    int r = get(j, magic, sizeof(magic));
    if (r < 0)
        return r;
    if (memcmp(magic, MAGIC, sizeof(magic)) != 0)
        return -EIO;
    for (;;) {
        char type = 0;
        r = get(j, &type, 1);
        if (r == 0 && type == 'E')
            return 0;
        if (j->cancel && __atomic_load_n(j->cancel, __ATOMIC_RELAXED))
            return err_set(e, ERR_CANCELLED, "cancelled");
        if (r == 0)
            r = type == 'M' ? join_meta(j) : type == 'F' ? join_file(j, e) : -EIO;
        if (r < 0)
            return r;
    }
}

int split_join(int split_fd, int tree_fd, int extra_fd, struct writer *to, const bool *cancel,
               struct err *e) {
    auto_err inner = ERR_INIT;
    struct fd_reader file;
    struct reader *in;
    fd_reader_init(&file, split_fd, UINT64_MAX);
    int r = decompress_open(&file.base, &in, NULL, e);
    if (r < 0)
        return r;
    auto_free struct joiner *j = xnew(struct joiner);
    *j = (struct joiner){
        .in = in, .to = to, .tree_fd = tree_fd, .extra_fd = extra_fd, .cancel = cancel};
    j->block = xmalloc(BLOCK_SIZE);
    r = join_records(j, &inner);
    free(j->block);
    decompress_close(in);
    if (r < 0 && inner.class)
        err_move(e, &inner);
    else if (r < 0)
        return err_sys(e, r, "cannot write the layer's tar");
    return r;
}
