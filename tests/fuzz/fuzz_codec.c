/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "format/codec.h"

#define OUTPUT_MAX (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    struct reader base;
    const uint8_t *p;
    size_t left, piece;
};

static ssize_t memory_read(struct reader *base, void *p, size_t n) {
    struct memory *m = (struct memory *)base;

    if (n > m->piece)
        n = m->piece;
    if (n > m->left)
        n = m->left;
    if (n > 0)
        memcpy(p, m->p, n);
    m->p += n;
    m->left -= n;
    return (ssize_t)n;
}

/* The sum of the bytes and their count, or a negative number; independent of how the input is cut.
 */
static int64_t decode(const uint8_t *data, size_t size, size_t piece, size_t step) {
    struct memory m = {{memory_read}, data, size, piece};
    struct reader *r = NULL;
    static unsigned char block[65536];
    int64_t total = 0, sum = 0;
    ssize_t got;

    if (decompress_open(&m.base, &r, NULL, NULL) < 0)
        return -1;
    while ((got = r->read(r, block, step)) > 0 && total < OUTPUT_MAX) {
        total += got;
        for (ssize_t i = 0; i < got; i++)
            sum += block[i];
    }
    decompress_close(r);
    return got < 0 ? -1 : total >= OUTPUT_MAX ? -2 : total << 32 | (sum & 0xffffffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int64_t one = decode(data, size, SIZE_MAX, 65536), two = decode(data, size, 7, 1001);

    if (one != two)
        abort();
    return 0;
}
