/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stdcopy.h"

#include <errno.h>

void stdcopy_header(uint8_t out[static STDCOPY_HEADER_SIZE], enum stdcopy_stream stream,
                    uint32_t len) {
    out[0] = (uint8_t)stream;
    out[1] = out[2] = out[3] = 0;
    out[4] = (uint8_t)(len >> 24);
    out[5] = (uint8_t)(len >> 16);
    out[6] = (uint8_t)(len >> 8);
    out[7] = (uint8_t)len;
}

int stdcopy_parse_header(const uint8_t in[static STDCOPY_HEADER_SIZE],
                         enum stdcopy_stream *ret_stream, uint32_t *ret_len) {
    if (in[0] > STDCOPY_SYSTEM || in[1] || in[2] || in[3])
        return -EBADMSG;
    *ret_stream = (enum stdcopy_stream)in[0];
    *ret_len = (uint32_t)in[4] << 24 | (uint32_t)in[5] << 16 | (uint32_t)in[6] << 8 | in[7];
    return 0;
}

bool stdcopy_append(struct buf *b, enum stdcopy_stream stream, const void *p, size_t n) {
    const char *s = p;

    while (n > 0) {
        uint8_t header[STDCOPY_HEADER_SIZE];
        size_t len = n < STDCOPY_FRAME_MAX ? n : STDCOPY_FRAME_MAX;

        stdcopy_header(header, stream, (uint32_t)len);
        if (!buf_reserve(b, sizeof(header) + len) || !buf_append(b, header, sizeof(header)) ||
            !buf_append(b, s, len))
            return false;
        s += len;
        n -= len;
    }
    return true;
}
