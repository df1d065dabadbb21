/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Docker's multiplexed stream (application/vnd.docker.multiplexed-stream): each piece of output
 * follows a header of eight bytes: stream, 0, 0, 0, length in big endian.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum stdcopy_stream {
    STDCOPY_STDIN,
    STDCOPY_STDOUT,
    STDCOPY_STDERR,
    STDCOPY_SYSTEM, /* an error text of the daemon */
};

#define STDCOPY_HEADER_SIZE 8
/* What one frame carries at most when stdcopy_append splits. */
#define STDCOPY_FRAME_MAX (1u << 20)

void stdcopy_header(uint8_t out[static STDCOPY_HEADER_SIZE], enum stdcopy_stream stream,
                    uint32_t len);
/* -EBADMSG for bytes that are no header. */
int stdcopy_parse_header(const uint8_t in[static STDCOPY_HEADER_SIZE],
                         enum stdcopy_stream *ret_stream, uint32_t *ret_len);
/* Appends p as one or more frames; false when b is full (then nothing of the last frame was
 * appended). */
bool stdcopy_append(struct buf *b, enum stdcopy_stream stream, const void *p, size_t n);
