/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A server on a thread of its own, and a blocking client without mercy, for the wire tests. */
#include <openssl/ssl.h>

#include "base/buf.h"
#include "wire/http_conn.h"

struct client {
    int fd;
    SSL *ssl;
};

struct answer {
    int status;
    struct buf head; /* with its blank line */
    struct buf body;
    bool chunked, close;
};
#define auto_answer __attribute__((cleanup(answer_done))) struct answer
void answer_done(struct answer *a);

void client_close(struct client *c);
void client_send(struct client *c, const char *text);
void client_send_bytes(struct client *c, const void *p, size_t n);
/* Up to n bytes; 0 at the end or at a reset; fails the test after ten seconds. */
size_t client_read(struct client *c, void *p, size_t n);
/* Exactly this text comes next. */
void client_expect(struct client *c, const char *text);
/* Nothing more comes: the server has closed. */
void client_expect_end(struct client *c);
/* A whole answer, by its length, chunks or the end. `no_body` for HEAD. */
void client_answer(struct client *c, bool no_body, struct answer *ret);
const char *answer_header(const struct answer *a, const char *name, char *out, size_t size);
