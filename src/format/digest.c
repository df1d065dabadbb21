/* SPDX-License-Identifier: Apache-2.0 */
#include "format/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/id.h"

#define SHA256_SIZE 32

struct digest {
    EVP_MD_CTX *ctx;
};

static EVP_MD *sha256;

/* The fetch is what costs in OpenSSL 3; the object lives as long as the process. */
static void fetch(void) {
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static void broken(void) {
    fputs("libcrypto cannot compute SHA-256\n", stderr);
    abort();
}

static const EVP_MD *sha256_md(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (pthread_once(&once, fetch) != 0 || !sha256)
        broken();
    return sha256;
}

static void put_text(const unsigned char raw[static SHA256_SIZE], char out[static DIGEST_SIZE]) {
    memcpy(out, "sha256:", 7);
    hex_encode(raw, SHA256_SIZE, out + 7);
}

struct digest *digest_new(void) {
    struct digest *d = xnew(struct digest);

    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx || EVP_DigestInit_ex2(d->ctx, sha256_md(), NULL) != 1)
        broken();
    return d;
}

void digest_free(struct digest *d) {
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

void digest_update(struct digest *d, const void *p, size_t n) {
    if (EVP_DigestUpdate(d->ctx, p, n) != 1)
        broken();
}

void digest_final(struct digest *d, char out[static DIGEST_SIZE]) {
    unsigned char raw[EVP_MAX_MD_SIZE];

    if (EVP_DigestFinal_ex(d->ctx, raw, NULL) != 1)
        broken();
    put_text(raw, out);
}

void digest_of(const void *p, size_t n, char out[static DIGEST_SIZE]) {
    unsigned char raw[EVP_MAX_MD_SIZE];

    if (EVP_Digest(p, n, raw, NULL, sha256_md(), NULL) != 1)
        broken();
    put_text(raw, out);
}

bool digest_is_valid(const char *s) {
    return s && strncmp(s, "sha256:", 7) == 0 && strlen(s) == DIGEST_LEN &&
           strspn(s + 7, "0123456789abcdef") == 64;
}

static ssize_t digest_read(struct reader *base, void *p, size_t n) {
    struct digest_reader *r = (struct digest_reader *)base;
    ssize_t got = r->from->read(r->from, p, n);

    if (got > 0) {
        digest_update(r->digest, p, (size_t)got);
        r->count += (size_t)got;
    }
    return got;
}

void digest_reader_init(struct digest_reader *r, struct reader *from) {
    *r = (struct digest_reader){.base = {digest_read}, .from = from, .digest = digest_new()};
}

void digest_reader_done(struct digest_reader *r) {
    digest_free(r->digest);
    r->digest = NULL;
}

static int digest_write(struct writer *base, const void *p, size_t n) {
    struct digest_writer *w = (struct digest_writer *)base;

    digest_update(w->digest, p, n);
    w->count += n;
    return w->to ? w->to->write(w->to, p, n) : 0;
}

void digest_writer_init(struct digest_writer *w, struct writer *to) {
    *w = (struct digest_writer){.base = {digest_write}, .to = to, .digest = digest_new()};
}

void digest_writer_done(struct digest_writer *w) {
    digest_free(w->digest);
    w->digest = NULL;
}
