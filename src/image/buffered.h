/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A writer that gathers small writes: a tar header would be a system call or a chunk of HTTP. */
#include <stddef.h>

#include "format/reader.h"

struct buffered_writer {
    struct writer base;
    struct writer *to; /* borrowed */
    char *data;
    size_t len;
};
void buffered_writer_init(struct buffered_writer *w, struct writer *to);
/* What was gathered goes out. */
int buffered_writer_flush(struct buffered_writer *w);
/* Drops what was not flushed. */
void buffered_writer_done(struct buffered_writer *w);
