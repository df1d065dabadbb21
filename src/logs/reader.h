/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading a json-file log, rotated files (also compressed ones) included, for `docker logs`.
 * Blocks: for worker threads.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/reader.h"

struct log_read_options {
    bool want_stdout, want_stderr;
    int64_t since_ns, until_ns;    /* 0: no limit */
    int64_t tail;                  /* lines of the log, whatever their stream; -1: all */
    bool mux, timestamps, details; /* see logs/record.h */

    bool follow;
    /* follow: becomes readable (and stays so) when the container has ended and its log is complete;
     * what is in the log by then is still delivered. -1: follows until cancelled. */
    int ended_fd;
    /* Readable when the client has gone; -1: none. */
    int cancel_fd;
    /* Asked between batches and at least once a second; may be NULL. */
    bool (*is_cancelled)(void *arg);
    void *arg;
};

/* All, until the end or, when following, the container's end. A log that does not exist is empty.
 * 0 also when cancelled; -errno of `to`, or of reading with a text in e. */
int log_read(const char *path, const struct log_read_options *o, struct writer *to, struct err *e);
