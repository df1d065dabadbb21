/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"

void random_bytes(void *out, size_t n) {
    unsigned char *p = out;

    while (n > 0) {
        ssize_t r = getrandom(p, n, 0);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* no entropy source: nothing safe can go on */
        }
        p += r;
        n -= (size_t)r;
    }
}

uint64_t random_u64(void) {
    uint64_t v;

    random_bytes(&v, sizeof v);
    return v;
}

void hex_encode(const void *bytes, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *b = bytes;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * n] = '\0';
}

int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(const char *s, void *out, size_t n) {
    unsigned char *b = out;

    if (!s || strlen(s) != 2 * n)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (hex_value(s[2 * i]) < 0 || hex_value(s[2 * i + 1]) < 0)
            return -EINVAL;
    for (size_t i = 0; i < n; i++)
        b[i] = (unsigned char)(hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
    return 0;
}

void id_new(char out[static ID_LEN + 1]) {
    unsigned char bytes[ID_LEN / 2];

    do {
        random_bytes(bytes, sizeof bytes);
        hex_encode(bytes, sizeof bytes, out);
    } while (strspn(out, "0123456789") >= ID_SHORT_LEN);
}

bool id_is_valid(const char *s) {
    return s && strlen(s) == ID_LEN && str_is_hex(s);
}
