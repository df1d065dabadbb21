/* SPDX-License-Identifier: Apache-2.0 */
#include "logs/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "logs/escape.h"
#include "logs/rotate.h"

#define RETRY_NS (NS_PER_SEC / 5)

static const char record_head[] = "{\"log\":\"";
static const char time_head[] = "\"time\":\"";
/* 2026-01-02T03:04:05.006007008Z and what ends a record. */
#define TIME_LEN 30
static const char record_end[] = "\"}\n";
#define END_LEN (sizeof record_end - 1)

/* ---- time ----------------------------------------------------------------------------------- */

static void put_digits(char *at, unsigned count, unsigned value) {
    while (count > 0) {
        at[--count] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Always nine digits. Not gmtime_r: in a static program that reads the time zone files. */
static void put_time(char *at, int64_t ns) {
    int64_t sec = ns / NS_PER_SEC, days = sec / 86400;
    unsigned of_day = (unsigned)(sec % 86400);
    /* Days to civil date, in years that begin in March (H. Hinnant, chrono-compatible dates). */
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = (unsigned)(yoe + era * 400) + (month <= 2);

    memcpy(at, "0000-00-00T00:00:00.000000000Z", TIME_LEN);
    put_digits(at, 4, year);
    put_digits(at + 5, 2, month);
    put_digits(at + 8, 2, doy - (153 * mp + 2) / 5 + 1);
    put_digits(at + 11, 2, of_day / 3600);
    put_digits(at + 14, 2, of_day / 60 % 60);
    put_digits(at + 17, 2, of_day % 60);
    put_digits(at + 20, 9, (unsigned)(ns % NS_PER_SEC));
}

/* One time a batch; later than the one before, so that a reader can resume behind a record. */
static void stamp(struct log_writer *w, enum log_stream stream) {
    struct log_tail *t = &w->tail[stream];
    int64_t now = clock_real_ns();

    if (now < 0)
        now = 0; /* a clock before 1970 */
    w->time_ns = now > w->time_ns ? now : w->time_ns + 1;
    put_time(t->text + t->len - END_LEN - TIME_LEN, w->time_ns);
}

static void tail_init(struct log_tail *t, const char *stream, const char *attrs) {
    int n = snprintf(t->text, sizeof t->text, "\",\"stream\":\"%s\",%s%s%s%s%*s%s", stream,
                     attrs ? "\"attrs\":" : "", attrs ? attrs : "", attrs ? "," : "", time_head,
                     TIME_LEN, "", record_end);

    t->len = (size_t)n; /* LOG_ATTRS_MAX is checked by the caller */
}

/* ---- the file ------------------------------------------------------------------------------- */

static int file_open(struct log_writer *w, bool truncate) {
    int fd = open(w->path,
                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (truncate ? O_TRUNC : 0),
                  0640);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        int r = -errno;

        (void)close(fd);
        return r;
    }
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = fd;
    w->size = st.st_size;
    return 0;
}

static uint64_t count_lines(const char *p, size_t n) {
    uint64_t lines = 0;

    for (const char *end = p + n; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        lines++;
    return lines;
}

/* As much of `out` as the disk takes, in whole lines; the rest is counted and dropped. */
static void flush(struct log_writer *w) {
    size_t done = 0;

    while (done < w->out_len && w->fd >= 0) {
        ssize_t r = write(w->fd, w->out + done, w->out_len - done);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            w->lost_errno = r < 0 ? errno : EIO;
            break;
        }
        done += (size_t)r;
    }
    if (done < w->out_len) {
        const char *newline = done > 0 ? memrchr(w->out, '\n', done) : NULL;
        size_t whole = newline ? (size_t)(newline - w->out) + 1 : 0;

        /* A torn line would swallow the next one. */
        if (whole < done && ftruncate(w->fd, w->size + (int64_t)whole) == 0)
            done = whole;
        else if (whole < done)
            w->lost_errno = EIO;
    }
    w->size += (int64_t)done;
    if (w->note_len > 0 && done >= w->note_len) {
        w->lost_total += w->lost_lines;
        w->lost_lines = 0;
    }
    if (done < w->note_len)
        done = w->note_len;
    w->lost_lines += count_lines(w->out + done, w->out_len - done);
    w->note_len = 0;
    w->out_len = 0;
}

static void rotate(struct log_writer *w) {
    int64_t now = clock_mono_ns();
    int r;

    if (now < w->retry_at_ns)
        return;
    flush(w);
    r = log_rotate(w->path, w->max_file);
    if (r == 0)
        r = file_open(w, w->max_file < 2);
    if (r < 0)
        w->retry_at_ns = now + RETRY_NS; /* the file grows meanwhile */
}

/* Room for a piece of n bytes; rotates where a file is full. */
static void make_room(struct log_writer *w, size_t n, const struct log_tail *t) {
    if (w->max_size > 0 && w->size + (int64_t)w->out_len >= w->max_size && w->fd >= 0)
        rotate(w);
    if (w->out_len + n * LOG_ESCAPE_MAX + LOG_ESCAPE_SLACK + sizeof record_head + t->len >
        sizeof w->out)
        flush(w);
}

static void append(struct log_writer *w, const void *p, size_t n) {
    memcpy(w->out + w->out_len, p, n);
    w->out_len += n;
}

static void emit(struct log_writer *w, enum log_stream stream, const char *p, size_t n) {
    const struct log_tail *t = &w->tail[stream];

    make_room(w, n, t);
    append(w, record_head, sizeof record_head - 1);
    w->out_len += log_escape(w->out + w->out_len, p, n);
    append(w, t->text, t->len);
}

/* Ahead of a batch, when the one before could not be written. */
static void note_lost(struct log_writer *w) {
    char text[160];
    int n = snprintf(text, sizeof text, "fence: %llu log lines lost: %s\n",
                     (unsigned long long)w->lost_lines, strerror(w->lost_errno));

    stamp(w, LOG_STDERR);
    emit(w, LOG_STDERR, text, (size_t)n);
    w->note_len = w->out_len;
}

static void batch_begin(struct log_writer *w) {
    if (w->fd < 0) {
        int64_t now = clock_mono_ns();

        if (now >= w->retry_at_ns) {
            int r = file_open(w, false);

            if (r < 0) {
                w->lost_errno = -r;
                w->retry_at_ns = now + RETRY_NS;
            }
        }
    }
    if (w->lost_lines > 0 && w->fd >= 0)
        note_lost(w);
}

/* ---- interface ------------------------------------------------------------------------------ */

int log_writer_open(struct log_writer *w, const struct log_writer_options *o) {
    const char *attrs = o->attrs && *o->attrs && strcmp(o->attrs, "{}") != 0 ? o->attrs : NULL;
    int r = 0, opened;

    if (attrs && strlen(attrs) > LOG_ATTRS_MAX) {
        attrs = NULL;
        r = -E2BIG;
    }
    w->fd = -1;
    w->path = xstrdup(o->path);
    w->attrs = xstrdup_null(attrs);
    w->max_size = o->max_size;
    w->max_file = o->max_file;
    tail_init(&w->tail[LOG_STDOUT], "stdout", w->attrs);
    tail_init(&w->tail[LOG_STDERR], "stderr", w->attrs);
    opened = file_open(w, false);
    if (opened < 0)
        w->lost_errno = -opened;
    return opened < 0 ? opened : r;
}

/* Completes a line that has begun, as far as p[0..n) goes; the count of bytes taken. */
static size_t complete_partial(struct log_writer *w, enum log_stream stream, const char *p,
                               size_t n) {
    struct log_partial *partial = &w->partial[stream];
    size_t room = sizeof partial->data - partial->len;
    size_t take = n < room ? n : room;
    const char *newline = memchr(p, '\n', take);
    size_t whole;

    if (newline)
        take = (size_t)(newline - p) + 1;
    memcpy(partial->data + partial->len, p, take);
    partial->len += take;
    if (!newline && partial->len < sizeof partial->data)
        return take;
    whole = newline ? partial->len : log_utf8_whole(partial->data, partial->len);
    emit(w, stream, partial->data, whole);
    partial->len -= whole;
    memmove(partial->data, partial->data + whole, partial->len);
    return take;
}

void log_writer_put(struct log_writer *w, enum log_stream stream, const char *p, size_t n) {
    struct log_partial *partial = &w->partial[stream];

    batch_begin(w);
    stamp(w, stream);
    while (n > 0) {
        size_t piece = n < LOG_PIECE_MAX ? n : LOG_PIECE_MAX;
        const char *newline;

        if (partial->len > 0) {
            piece = complete_partial(w, stream, p, n);
            p += piece;
            n -= piece;
            continue;
        }
        newline = memchr(p, '\n', piece);
        if (newline) {
            piece = (size_t)(newline - p) + 1;
            emit(w, stream, p, piece);
        } else if (piece == LOG_PIECE_MAX) {
            piece = log_utf8_whole(p, piece);
            emit(w, stream, p, piece);
        } else {
            memcpy(partial->data, p, piece);
            partial->len = piece;
        }
        p += piece;
        n -= piece;
    }
    flush(w);
}

void log_writer_close(struct log_writer *w) {
    batch_begin(w);
    for (int i = 0; i < LOG_STREAM_COUNT_; i++) {
        if (w->partial[i].len == 0)
            continue;
        stamp(w, (enum log_stream)i);
        emit(w, (enum log_stream)i, w->partial[i].data, w->partial[i].len);
        w->partial[i].len = 0;
    }
    flush(w);
    w->fd = fd_close(w->fd);
    free(take_ptr(w->path));
    free(take_ptr(w->attrs));
}

/* Whole pages inside of p[0..n). */
static void drop_pages(char *p, size_t n) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)p + page - 1) & ~(page - 1), to = ((uintptr_t)p + n) & ~(page - 1);

    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* advice only */
}

void log_writer_trim(struct log_writer *w) {
    drop_pages(w->out, sizeof w->out);
    for (int i = 0; i < LOG_STREAM_COUNT_; i++)
        drop_pages(w->partial[i].data + w->partial[i].len,
                   sizeof w->partial[i].data - w->partial[i].len);
}
