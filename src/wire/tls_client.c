/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"

#define BLOCK (64u << 10)

/* ---- connection ----------------------------------------------------------------------------- */

static int dial(const struct tls_client_options *o, struct err *e) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int on = 1, last = ECONNREFUSED, r = getaddrinfo(o->host, o->port, &hints, &list);
    auto_fd fd = -1;

    if (r != 0)
        return err_set(e, ERR_UNAVAILABLE, "dial tcp: lookup %s: %s", o->host, gai_strerror(r));
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            last = errno;
            fd = fd_close(fd);
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "dial tcp %s:%s: connect: %s", o->host, o->port,
                       strerror(last));
    /* only latency is at stake */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return take_fd(&fd);
}

static int ssl_error(struct err *e, const char *what) {
    unsigned long code = ERR_peek_last_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;

    return err_set(e, ERR_INVALID, "%s: %s", what, why ? why : "unknown error");
}

static int configure(SSL_CTX *ctx, const struct tls_client_options *o, struct err *e) {
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
        return ssl_error(e, "tls");
    if (o->ca) {
        auto_free char *what = xasprintf(
            "failed to retrieve context tls info: could not read CA certificate \"%s\"", o->ca);

        if (SSL_CTX_load_verify_locations(ctx, o->ca, NULL) != 1)
            return ssl_error(e, what);
    } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return ssl_error(e, "tls: cannot read the system's certificates");
    }
    if (o->cert && o->key &&
        (SSL_CTX_use_certificate_chain_file(ctx, o->cert) != 1 ||
         SSL_CTX_use_PrivateKey_file(ctx, o->key, SSL_FILETYPE_PEM) != 1 ||
         SSL_CTX_check_private_key(ctx) != 1)) {
        auto_free char *what =
            xasprintf("Could not load X509 key pair (cert: \"%s\", key: \"%s\")", o->cert, o->key);

        return ssl_error(e, what);
    }
    SSL_CTX_set_verify(ctx, o->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    return 0;
}

static int set_name(SSL *ssl, const char *host, struct err *e) {
    unsigned char address[sizeof(struct in6_addr)];
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    int ok = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host)
                        : SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host);

    return ok ? 0 : ssl_error(e, "tls: cannot set the server's name");
}

static int handshake(SSL *ssl, struct err *e) {
    long verified;

    if (SSL_connect(ssl) == 1)
        return 0;
    verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK)
        return err_set(e, ERR_FORBIDDEN, "tls: failed to verify certificate: x509: %s",
                       X509_verify_cert_error_string(verified));
    return ssl_error(e, "tls");
}

/* ---- bytes ---------------------------------------------------------------------------------- */

/* One direction: what was read and is not written yet. */
struct pipe {
    char *data;
    size_t at, len;
    bool read_end, write_end;
};

static bool is_pending(const struct pipe *p) {
    return p->at < p->len;
}

/* Whether the operation waits for the socket (sets what for); else it is over. */
static bool wants(SSL *ssl, int r, short *ret_events) {
    int why = SSL_get_error(ssl, r);

    *ret_events = why == SSL_ERROR_WANT_READ ? POLLIN : why == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
    return *ret_events != 0;
}

/* Towards the server. Returns what it waits for on the TLS socket. */
static short push_up(SSL *ssl, int local, struct pipe *up) {
    short events = 0;
    int r;

    if (!is_pending(up) && !up->read_end) {
        ssize_t n = read(local, up->data, BLOCK);

        if (n > 0) {
            up->at = 0;
            up->len = (size_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            up->read_end = true;
        }
    }
    while (is_pending(up)) {
        r = SSL_write(ssl, up->data + up->at, (int)(up->len - up->at));
        if (r > 0) {
            up->at += (size_t)r;
        } else {
            if (!wants(ssl, r, &events))
                up->read_end = up->write_end = true, up->at = up->len;
            break;
        }
    }
    if (up->read_end && !is_pending(up) && !up->write_end) {
        r = SSL_shutdown(ssl); /* our half */
        up->write_end = r >= 0 || !wants(ssl, r, &events);
    }
    return events;
}

static short pull_down(SSL *ssl, int local, struct pipe *down) {
    short events = 0;

    while (!down->write_end) {
        if (!is_pending(down) && !down->read_end) {
            int r = SSL_read(ssl, down->data, (int)BLOCK);

            if (r > 0) {
                down->at = 0;
                down->len = (size_t)r;
            } else if (wants(ssl, r, &events)) {
                return events;
            } else {
                down->read_end = true;
            }
        }
        if (is_pending(down)) {
            ssize_t n = write(local, down->data + down->at, down->len - down->at);

            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
            if (n < 0)
                down->write_end = down->read_end = true, down->at = down->len;
            else
                down->at += (size_t)n;
        } else if (down->read_end) {
            (void)shutdown(local, SHUT_WR); /* gone already: fine */
            down->write_end = true;
        }
    }
    return 0;
}

/* An ended answer ends the connection: who speaks HTTP has nothing to send after it. */
static void relay(SSL *ssl, int remote, int local) {
    struct pipe up = {.data = xmalloc(BLOCK)}, down = {.data = xmalloc(BLOCK)};

    while (!down.write_end) {
        short tls = push_up(ssl, local, &up) | pull_down(ssl, local, &down);
        struct pollfd p[2] = {
            {.fd = remote, .events = (short)(tls | (is_pending(&down) ? 0 : POLLIN))},
            {.fd = local,
             .events = (short)((is_pending(&up) || up.read_end ? 0 : POLLIN) |
                               (is_pending(&down) ? POLLOUT : 0))},
        };

        /* A hang-up is told for ever, and not waited for while there is something else to do. */
        for (int i = 0; i < 2; i++)
            if (!p[i].events && (i == 0 || is_pending(&up)))
                p[i].fd = -1;
        if (!down.write_end && poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if (p[1].revents & (POLLHUP | POLLERR) && up.read_end && !is_pending(&up))
            break; /* the client has gone: nobody reads the answer */
    }
    free(up.data);
    free(down.data);
}

static int set_blocking(int fd, bool blocking) {
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    return fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int tls_client_run(const struct tls_client_options *o, int local) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    auto_err e = ERR_INIT;
    auto_fd remote = -1;
    int r = ctx ? configure(ctx, o, &e) : ssl_error(&e, "tls");

    if (r == 0) {
        remote = dial(o, &e);
        r = remote < 0 ? remote : 0;
    }
    if (r == 0) {
        ssl = SSL_new(ctx);
        r = ssl && SSL_set_fd(ssl, remote) == 1 ? set_name(ssl, o->host, &e) : ssl_error(&e, "tls");
    }
    if (r == 0)
        r = handshake(ssl, &e);
    if (r < 0) {
        (void)io_write_all(local, err_msg(&e), strlen(err_msg(&e))); /* nobody else to tell */
    } else if (io_write_all(local, "", 1) == 0 && set_blocking(remote, false) == 0 &&
               set_blocking(local, false) == 0) {
        SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        relay(ssl, remote, local);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return r < 0 ? 1 : 0;
}
