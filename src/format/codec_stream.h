/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between codec.c and codec_gzip.c; not for others. */
#include <stdbool.h>
#include <stddef.h>

#include "format/reader.h"

#define CODEC_BUFFER ((size_t)128 << 10)

/* Compressed bytes that wait to be decoded: data[pos..len). */
struct codec_input {
    struct reader *from;
    unsigned char *data; /* CODEC_BUFFER bytes */
    size_t pos, len;
    bool end; /* `from` has said so */
};
/* 1 when there is at least a byte, 0 at the end, -errno. */
int codec_fill(struct codec_input *in);
/* Reads on to the end: 0, or -EIO when there is anything but zeros. */
int codec_skip_zeros(struct codec_input *in);

struct decoder {
    struct reader base;
    struct codec_input in;
    void *state;
    void (*free_state)(struct decoder *d);
    bool between; /* a member or frame is complete, and what follows not known yet */
    bool done;
};
int gzip_decoder_open(struct decoder *d);

struct encoder {
    struct writer base;
    struct writer *to;
    unsigned char *out; /* CODEC_BUFFER bytes */
    void *state;
    int failed; /* -errno of the first failure: nothing is written after it */
    /* Compresses n bytes; `finish`: n is 0 and the trailer is to be written. */
    int (*run)(struct encoder *c, const void *p, size_t n, bool finish);
    void (*free_state)(struct encoder *c);
};
int gzip_encoder_open(struct encoder *c);
