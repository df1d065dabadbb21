/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SHA-256 digests as "sha256:<64 hex>" (OpenSSL EVP underneath, fetched once a process). */
#include <stdbool.h>
#include <stddef.h>

#include "format/reader.h"

#define DIGEST_LEN  71 /* strlen("sha256:") + 64 */
#define DIGEST_SIZE (DIGEST_LEN + 1)

struct digest; /* a running hash */
struct digest *digest_new(void);
void digest_free(struct digest *d);
void digest_update(struct digest *d, const void *p, size_t n);
/* The text form; the hash may not be updated afterwards. */
void digest_final(struct digest *d, char out[static DIGEST_SIZE]);
void digest_of(const void *p, size_t n, char out[static DIGEST_SIZE]);
/* Exactly "sha256:" and 64 lower-case digits. */
bool digest_is_valid(const char *s);

/* Pass-through adapters that hash what flows. */
struct digest_reader {
    struct reader base;
    struct reader *from;
    struct digest *digest; /* owned; digest_reader_done frees */
    unsigned long long count;
};
void digest_reader_init(struct digest_reader *r, struct reader *from);
void digest_reader_done(struct digest_reader *r);
struct digest_writer {
    struct writer base;
    struct writer *to; /* NULL: only hash */
    struct digest *digest;
    unsigned long long count;
};
void digest_writer_init(struct digest_writer *w, struct writer *to);
void digest_writer_done(struct digest_writer *w);
