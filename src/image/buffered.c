/* SPDX-License-Identifier: Apache-2.0 */
#include "image/buffered.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"

#define BUFFER_SIZE (256u << 10)

int buffered_writer_flush(struct buffered_writer *w) {
    size_t n = w->len;
    w->len = 0;
    return n ? w->to->write(w->to, w->data, n) : 0;
}

static int write_buffered(struct writer *base, const void *p, size_t n) {
    struct buffered_writer *w = container_of(base, struct buffered_writer, base);
    if (n > BUFFER_SIZE - w->len) {
        int r = buffered_writer_flush(w);
        if (r < 0)
            return r;
        if (n >= BUFFER_SIZE)
            return w->to->write(w->to, p, n);
    }
    memcpy(w->data + w->len, p, n);
    w->len += n;
    return 0;
}

void buffered_writer_init(struct buffered_writer *w, struct writer *to) {
    *w = (struct buffered_writer){.base = {write_buffered}, .to = to, .data = xmalloc(BUFFER_SIZE)};
}

void buffered_writer_done(struct buffered_writer *w) {
    free(w->data);
    *w = (struct buffered_writer){0};
}
