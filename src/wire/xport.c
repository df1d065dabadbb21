/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/xport.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/alloc.h"
#include "loop/loop.h"

/* ---- a BIO that never raises SIGPIPE (OpenSSL's own writes with write(2)) -------------------- */

static int bio_fd(BIO *b) {
    return ((const struct xport *)BIO_get_data(b))->fd;
}

static int bio_write(BIO *b, const char *p, int n) {
    ssize_t r;

    BIO_clear_retry_flags(b);
    do
        r = send(bio_fd(b), p, (size_t)n, MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    if (r < 0 && errno == EAGAIN)
        BIO_set_retry_write(b);
    return (int)r;
}

static int bio_read(BIO *b, char *p, int n) {
    ssize_t r;

    BIO_clear_retry_flags(b);
    do
        r = recv(bio_fd(b), p, (size_t)n, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0 && errno == EAGAIN)
        BIO_set_retry_read(b);
    if (r == 0)
        BIO_set_flags(b, BIO_FLAGS_IN_EOF);
    return (int)r;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr) {
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method;

static void bio_method_make(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

    if (!m || !BIO_meth_set_write(m, bio_write) || !BIO_meth_set_read(m, bio_read) ||
        !BIO_meth_set_ctrl(m, bio_ctrl))
        abort();
    bio_method = m;
}

static BIO *bio_new(struct xport *x) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *b;

    (void)pthread_once(&once, bio_method_make);
    b = BIO_new(bio_method);
    if (b) {
        BIO_set_data(b, x);
        BIO_set_init(b, 1);
    }
    return b;
}

/* ---- transport ------------------------------------------------------------------------------- */

int xport_init(struct xport *x, int fd, struct ssl_ctx_st *ctx) {
    BIO *b;

    *x = (struct xport){.fd = fd, .read_wants = LOOP_READ, .write_wants = LOOP_WRITE};
    if (!ctx)
        return 0;
    x->ssl = SSL_new(ctx);
    b = x->ssl ? bio_new(x) : NULL;
    if (!b) {
        ERR_clear_error();
        xport_done(x);
        return -ENOMEM;
    }
    SSL_set_bio(x->ssl, b, b);
    SSL_set_accept_state(x->ssl);
    return 0;
}

void xport_move(struct xport *dst, struct xport *src) {
    *dst = *src;
    if (dst->ssl)
        BIO_set_data(SSL_get_rbio(dst->ssl), dst);
    src->fd = -1;
    src->ssl = NULL;
}

void xport_done(struct xport *x) {
    if (x->ssl) {
        if (x->fd >= 0 && SSL_is_init_finished(x->ssl))
            (void)SSL_shutdown(x->ssl); /* close_notify, if it can be sent at once */
        SSL_free(x->ssl);
        ERR_clear_error();
        x->ssl = NULL;
    }
    x->fd = fd_close(x->fd);
}

static ssize_t ssl_result(struct xport *x, int r, unsigned *wants) {
    int saved = errno;

    switch (SSL_get_error(x->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        *wants = LOOP_READ;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *wants = LOOP_WRITE;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        return saved ? -saved : -ECONNRESET;
    default:
        ERR_clear_error();
        return -EPROTO;
    }
}

ssize_t xport_read(struct xport *x, void *p, size_t n) {
    ssize_t r;
    int got;

    if (!x->ssl) {
        do
            r = recv(x->fd, p, n, 0);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r;
    }
    ERR_clear_error();
    errno = 0;
    got = SSL_read(x->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
    return got > 0 ? got : ssl_result(x, got, &x->read_wants);
}

ssize_t xport_write(struct xport *x, const void *p, size_t n) {
    ssize_t r;
    int put;

    if (!x->ssl) {
        do
            r = send(x->fd, p, n, MSG_NOSIGNAL);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r;
    }
    ERR_clear_error();
    errno = 0;
    put = SSL_write(x->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
    if (put > 0)
        return put;
    r = ssl_result(x, put, &x->write_wants);
    return r == 0 ? -EPIPE : r;
}

bool xport_pending(const struct xport *x) {
    return x->ssl && SSL_has_pending(x->ssl);
}

void xport_shutdown(struct xport *x) {
    if (x->ssl) {
        ERR_clear_error();
        if (SSL_is_init_finished(x->ssl))
            (void)SSL_shutdown(x->ssl);
        ERR_clear_error();
    } else {
        (void)shutdown(x->fd, SHUT_WR);
    }
}
