/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A connection's bytes, plain or TLS, non-blocking. Used by one thread at a time. Never raises
 * SIGPIPE.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct ssl_ctx_st;

struct xport {
    int fd; /* owned; -1 when closed */
    struct ssl_st *ssl;
    /* What a call that returned -EAGAIN waits for (LOOP_READ or LOOP_WRITE): with TLS either
     * direction may need the other. */
    unsigned read_wants, write_wants;
};

/* Takes fd (closed on failure). ctx NULL: plain. The TLS handshake happens in the first reads. */
int xport_init(struct xport *x, int fd, struct ssl_ctx_st *ctx);
/* An xport must not be copied (TLS points into it): *dst takes over, *src is closed afterwards. */
void xport_move(struct xport *dst, struct xport *src);
/* Closes the connection; harmless twice. */
void xport_done(struct xport *x);
/* Bytes, 0 at the end of the client's data, -EAGAIN, -errno. n > 0. */
ssize_t xport_read(struct xport *x, void *p, size_t n);
/* Bytes (at least one), -EAGAIN, -errno. n > 0. */
ssize_t xport_write(struct xport *x, const void *p, size_t n);
/* Whether bytes wait in TLS's own buffers, where no poll sees them. */
bool xport_pending(const struct xport *x);
/* Ends the server's direction: FIN, or TLS's close_notify (which leaves TCP open). */
void xport_shutdown(struct xport *x);
