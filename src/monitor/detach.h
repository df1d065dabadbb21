/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Detach keys in a client's input, with Docker's semantics: the sequence may be spread over reads;
 * while it is incomplete its bytes are held back, and are passed on when it does not complete. The
 * byte that breaks a sequence does not begin a new one. */
#include <stdbool.h>
#include <stddef.h>

#define DETACH_KEYS_MAX 64

struct detach {
    unsigned char keys[DETACH_KEYS_MAX];
    size_t len; /* 0: never detaches */
    size_t held;
};

/* Filters in[0..n) into out, which has room for n + DETACH_KEYS_MAX bytes and may overlap `in` when
 * it begins at least DETACH_KEYS_MAX bytes before it. Returns the length; *ret_match tells that the
 * sequence was completed (what follows it is dropped). */
size_t detach_filter(struct detach *d, const char *in, size_t n, char *out, bool *ret_match);
/* The held bytes, at the end of the input. */
size_t detach_rest(struct detach *d, char out[static DETACH_KEYS_MAX]);
