/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The json-file log, written by a container's monitor: one JSON object a line, in the bytes that
 * Docker's driver writes (times with nine digits always). Lines above 16 KiB become pieces without
 * "\n", invalid UTF-8 becomes U+FFFD.
 *
 * Nothing here waits for, or fails because of, a full disk: lines that cannot be written are
 * counted and told by a line of its own once writing works again. No allocation after open. One
 * thread.
 */
#include <stddef.h>
#include <stdint.h>

/* The longest piece of a line in one record, its newline included. */
#define LOG_PIECE_MAX 16384
/* The longest "attrs" object that is written. */
#define LOG_ATTRS_MAX 16384

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_STREAM_COUNT_ };

struct log_writer_options {
    const char *path;  /* absolute */
    const char *attrs; /* JSON object text; NULL, "" or "{}": none */
    int64_t max_size;  /* bytes; 0: no rotation. A file passes it by one line at most. */
    int64_t max_file;  /* files in all; less than 2: the one file is truncated */
};

/* A line that has begun: its bytes wait here for the newline. */
struct log_partial {
    size_t len;
    char data[LOG_PIECE_MAX];
};

/* What follows the text of a record: `","stream":"stdout","time":"..."}` and a newline. */
struct log_tail {
    size_t len;
    char text[LOG_ATTRS_MAX + 128];
};

struct log_writer {
    int fd;             /* -1: not open; tried again now and then */
    char *path, *attrs; /* owned */
    int64_t max_size, max_file;
    int64_t size;        /* of the live file, without what is in `out` */
    int64_t time_ns;     /* of the last batch: times never run backwards */
    int64_t retry_at_ns; /* monotonic: when to try an open or a rotation again that failed */
    uint64_t lost_lines; /* not told yet */
    uint64_t lost_total; /* told */
    int lost_errno;
    size_t note_len; /* the line about lost lines at the start of `out` */
    size_t out_len;
    struct log_partial partial[LOG_STREAM_COUNT_];
    struct log_tail tail[LOG_STREAM_COUNT_];
    char out[160 << 10];
};

/* w is zeroed, and big: static storage. -errno when the file cannot be opened: the writer is usable
 * all the same and tries again. -E2BIG: the attributes are too long and left out. */
int log_writer_open(struct log_writer *w, const struct log_writer_options *o);
/* A piece of output as it was read. Every complete line of it is in the file afterwards. */
void log_writer_put(struct log_writer *w, enum log_stream stream, const char *p, size_t n);
/* Writes what waits for its newline, and the account of what was lost; closes. */
void log_writer_close(struct log_writer *w);
/* Gives back the memory that a burst of output has touched. */
void log_writer_trim(struct log_writer *w);
