/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files are read oldest first through one line buffer. Following goes on where the reading stopped:
 * inotify on the directory wakes it, and what has happened (growth, rotation, truncation) is found
 * out from the files themselves, so that lost or coalesced events do no harm.
 */
#include "logs/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "format/codec.h"
#include "logs/fileset.h"
#include "logs/record.h"

#define BATCH_SIZE (256u << 10)
/* Longer lines (of foreign writers) are left out. */
#define LINE_MAX_SIZE (4u << 20)
#define FLUSH_SIZE    (128u << 10)
#define OUT_MAX       (16u << 20)
#define POLL_MS       1000
/* Where inotify has no instance left. */
#define POLL_BLIND_MS 100

struct log_reading {
    const char *path;
    const struct log_read_options *o;
    struct log_format_options format;
    struct writer *to;
    struct buf line; /* read, not yet taken apart */
    struct buf out;  /* ready for the client */
    struct buf scratch;
    struct log_details details;
    uint64_t skip;        /* lines to leave out */
    bool too_long;        /* the rest of a line that did not fit is being left out */
    bool past_until;      /* nothing more can match */
    struct log_file live; /* the file that is followed; fd -1: none yet */
    off_t offset;         /* in it */
    dev_t last_dev;       /* the file that was read last, 0: none */
    ino_t last_ino;
};

static bool is_over(const struct log_reading *g) {
    return g->past_until || (g->o->is_cancelled && g->o->is_cancelled(g->o->arg));
}

static int out_flush(struct log_reading *g) {
    int r = g->out.len > 0 ? g->to->write(g->to, g->out.data, g->out.len) : 0;

    buf_clear(&g->out);
    return r;
}

static int line_emit(struct log_reading *g, const char *line, size_t n) {
    struct log_record rec;

    if (g->skip > 0) {
        g->skip--;
        return 0;
    }
    if (log_record_parse(line, n, &g->scratch, &rec) < 0)
        return 0; /* torn by a crash, or no log: not the client's business */
    if (g->o->until_ns && rec.time_ns > g->o->until_ns) {
        g->past_until = true;
        return 0;
    }
    if (g->o->since_ns && rec.time_ns < g->o->since_ns)
        return 0;
    if (!(rec.stream == LOG_STDOUT ? g->o->want_stdout : g->o->want_stderr))
        return 0;
    if (!log_record_emit(&rec, &g->format, &g->details, &g->out))
        return -EFBIG;
    return g->out.len >= FLUSH_SIZE ? out_flush(g) : 0;
}

/* Takes all complete lines out of the line buffer. */
static int lines_take(struct log_reading *g) {
    const char *p = g->line.data, *end = p + g->line.len, *newline;
    int r = 0;

    while (p < end && !g->past_until && (newline = memchr(p, '\n', (size_t)(end - p)))) {
        if (g->too_long)
            g->too_long = false;
        else
            r = line_emit(g, p, (size_t)(newline - p));
        if (r < 0)
            return r;
        p = newline + 1;
    }
    buf_consume(&g->line, (size_t)(p - g->line.data));
    if (g->line.len > LINE_MAX_SIZE) {
        buf_clear(&g->line);
        g->too_long = true;
    }
    return 0;
}

/* Until the end of `from`; *ret_read counts the bytes. */
static int source_read(struct log_reading *g, struct reader *from, uint64_t *ret_read) {
    while (!is_over(g)) {
        ssize_t n;
        int r;

        if (!buf_reserve(&g->line, BATCH_SIZE))
            return -EFBIG;
        n = from->read(from, g->line.data + g->line.len, BATCH_SIZE);
        if (n <= 0)
            return (int)n;
        g->line.len += (size_t)n;
        *ret_read += (uint64_t)n;
        r = lines_take(g);
        if (r < 0)
            return r;
    }
    return 0;
}

static int plain_read(struct log_reading *g, int fd, off_t *offset) {
    struct fd_reader from;
    uint64_t count = 0;
    int r;

    if (lseek(fd, *offset, SEEK_SET) < 0)
        return -errno;
    fd_reader_init(&from, fd, UINT64_MAX);
    r = source_read(g, &from.base, &count);
    *offset += (off_t)count;
    return r;
}

static int gz_read(struct log_reading *g, int fd, struct err *e) {
    struct fd_reader from;
    struct reader *plain = NULL;
    uint64_t count = 0;
    int r;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, errno, "cannot read the log");
    fd_reader_init(&from, fd, UINT64_MAX);
    r = decompress_open(&from.base, &plain, NULL, e);
    if (r < 0)
        return r;
    r = source_read(g, plain, &count);
    decompress_close(plain);
    return r;
}

/* One file from `offset`. A live one is kept, to be followed. */
static int file_read(struct log_reading *g, struct log_file *f, off_t offset, struct err *e) {
    int r = f->is_gz ? gz_read(g, f->fd, e) : plain_read(g, f->fd, &offset);

    g->last_dev = f->dev;
    g->last_ino = f->ino;
    if (f->is_live) {
        fd_close(g->live.fd);
        g->live = *f;
        f->fd = -1;
        g->offset = offset;
    } else {
        buf_clear(&g->line); /* a last line without its end will never be completed */
        g->too_long = false;
    }
    return r;
}

/* ---- following ------------------------------------------------------------------------------ */

/* The files of the set that are younger than the one that was read last. */
static int rotated_read(struct log_reading *g, struct err *e) {
    struct log_files set = {0};
    size_t first = 0;
    int r = log_files_open(g->path, &set, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < set.count; i++) {
        if (set.files[i].ino == g->last_ino && set.files[i].dev == g->last_dev)
            first = i + 1;
    }
    if (set.count > 0 && first < set.count) {
        buf_clear(&g->line);
        g->too_long = false;
    }
    for (size_t i = first; i < set.count && r >= 0 && !is_over(g); i++)
        r = file_read(g, &set.files[i], 0, e);
    log_files_done(&set);
    return r;
}

/* Everything new. */
static int follow_read(struct log_reading *g, struct err *e) {
    struct stat st, now;
    int r;

    if (g->live.fd >= 0) {
        bool rotated =
            stat(g->path, &now) < 0 || now.st_ino != g->live.ino || now.st_dev != g->live.dev;

        if (fstat(g->live.fd, &st) < 0)
            return -errno;
        if (st.st_size < g->offset) { /* truncated: rotation with a single file */
            g->offset = 0;
            buf_clear(&g->line);
            g->too_long = false;
        }
        /* Asked before it is read: a file that was found rotated is complete. */
        r = plain_read(g, g->live.fd, &g->offset);
        if (r < 0 || !rotated || is_over(g))
            return r;
    }
    return rotated_read(g, e);
}

static int watch_open(const char *path) {
    const char *slash = strrchr(path, '/');
    auto_free char *dir = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    auto_fd fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (fd < 0 || inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return -errno;
    return take_fd(&fd);
}

static void watch_drain(int fd) {
    char events[4096] __attribute__((aligned(8)));

    while (read(fd, events, sizeof events) > 0)
        ; /* that something has happened is all that counts */
}

/* Milliseconds until until_ns or the next look at the cancel flag. */
static int wait_ms(const struct log_reading *g, int watch) {
    int ms = watch < 0 ? POLL_BLIND_MS : POLL_MS;

    if (g->o->until_ns) {
        int64_t left = (g->o->until_ns - clock_real_ns()) / NS_PER_MS + 1;

        if (left < ms)
            ms = left < 0 ? 0 : (int)left;
    }
    return ms;
}

static int follow(struct log_reading *g, int watch, struct err *e) {
    for (;;) {
        struct pollfd p[] = {{.fd = watch, .events = POLLIN},
                             {.fd = g->o->ended_fd, .events = POLLIN},
                             {.fd = g->o->cancel_fd, .events = POLLIN}};
        bool ended;
        int r = out_flush(g);

        if (r < 0 || is_over(g) || (g->o->until_ns && clock_real_ns() > g->o->until_ns))
            return r;
        r = poll(p, 3, wait_ms(g, watch));
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r < 0)
            continue;
        if (p[2].revents)
            return 0;
        ended = p[1].revents != 0;
        if (p[0].revents)
            watch_drain(watch);
        r = follow_read(g, e);
        if (r >= 0 && ended)
            r = out_flush(g);
        if (r < 0 || ended)
            return r;
    }
}

/* ---- interface ------------------------------------------------------------------------------ */

static int read_all(struct log_reading *g, struct err *e) {
    const struct log_read_options *o = g->o;
    auto_fd watch = o->follow ? watch_open(g->path) : -1; /* before the first look */
    struct log_position at = {0};
    struct log_files set = {0};
    int r = log_files_open(g->path, &set, e);

    if (r >= 0 && o->tail >= 0)
        r = log_files_tail(&set, (uint64_t)o->tail, &at, e);
    g->skip = at.skip;
    for (size_t i = at.file; r >= 0 && i < set.count && !is_over(g); i++)
        r = file_read(g, &set.files[i], i == at.file ? at.offset : 0, e);
    log_files_done(&set);
    if (r >= 0)
        r = out_flush(g);
    if (r >= 0 && o->follow && !is_over(g))
        r = follow(g, watch, e);
    return r;
}

int log_read(const char *path, const struct log_read_options *o, struct writer *to, struct err *e) {
    struct log_reading g = {.path = path, .o = o, .to = to};
    auto_err own = ERR_INIT;
    int r;

    g.format = (struct log_format_options){
        .mux = o->mux, .timestamps = o->timestamps, .details = o->details};
    g.live.fd = -1;
    g.line.max = LINE_MAX_SIZE + 2 * BATCH_SIZE;
    g.out.max = OUT_MAX;
    g.scratch.max = LINE_MAX_SIZE + 2 * BATCH_SIZE;
    r = read_all(&g, &own);
    if (r < 0 && own.class == ERR_NONE)
        (void)err_sys(&own, r, "cannot read the log %s", path); /* sets, cannot fail */
    if (r < 0)
        err_move(e, &own);
    fd_close(g.live.fd);
    buf_done(&g.line);
    buf_done(&g.out);
    buf_done(&g.scratch);
    log_details_done(&g.details);
    return r < 0 ? r : 0;
}
