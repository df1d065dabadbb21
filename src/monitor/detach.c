/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/detach.h"

#include <string.h>

size_t detach_filter(struct detach *d, const char *in, size_t n, char *out, bool *ret_match) {
    size_t len = 0;

    *ret_match = false;
    if (d->len == 0) {
        memmove(out, in, n);
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        char c = in[i];

        if ((unsigned char)c == d->keys[d->held]) {
            if (++d->held < d->len)
                continue;
            d->held = 0;
            *ret_match = true;
            return len;
        }
        len += detach_rest(d, out + len);
        out[len++] = c;
    }
    return len;
}

size_t detach_rest(struct detach *d, char out[static DETACH_KEYS_MAX]) {
    size_t n = d->held;

    memcpy(out, d->keys, n);
    d->held = 0;
    return n;
}
