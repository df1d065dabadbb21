/* SPDX-License-Identifier: Apache-2.0 */

/* Connections that leave HTTP: Docker's raw streams, and WebSocket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/str.h"
#include "wire/http_conn.h"
#include "wire/relay.h"
#include "wire/websocket.h"

static void relay_ended(void *arg) {
    http_listener_release(arg);
}

/* Gives the connection to a relay; returns the engine's end of its socketpair. What is in `out`
 * goes to the client first. The request ends. */
static int hand_to_relay(struct http_req *r, enum relay_mode mode, struct buf *early) {
    struct http_conn *c = r->conn;
    struct http_listener *l = c->listener;
    struct http_server *s = c->server;
    struct relay *relay;
    int pair[2], saved;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        saved = -errno;
        http_abort(r);
        return saved;
    }
    if (early && http_in_left(c) > 0) {
        (void)buf_append(early, c->in.data + c->in_off, http_in_left(c));
        http_in_drop(c, http_in_left(c));
    }
    l->conns++; /* the relay's, beside the connection's that ends below */
    loop_fd_free(c->watch);
    c->watch = NULL;
    relay = relay_new(c->loop, &c->x, pair[0], mode, c->in.data + c->in_off, http_in_left(c),
                      c->out.data + c->out_off, http_out_left(c), relay_ended, l);
    saved = errno;
    http_conn_close(c);
    http_req_end(r);
    if (!relay) {
        (void)fd_close(pair[1]);
        http_listener_release(l);
        return saved ? -saved : -EIO;
    }
    relay_link(relay, &s->relays);
    return pair[1];
}

static void put_upgrade(struct http_conn *c, const char *reason, const char *content_type,
                        const char *protocol) {
    (void)buf_printf(&c->out, "HTTP/1.1 101 %s\r\n", reason);
    if (content_type)
        (void)buf_printf(&c->out, "Content-Type: %s\r\n", content_type);
    (void)buf_printf(&c->out, "Connection: Upgrade\r\nUpgrade: %s\r\n", protocol);
}

int http_hijack(struct http_req *r, const char *content_type, struct buf *early) {
    struct http_conn *c = r->conn;
    int fd;

    if (!c || c->broken) {
        http_req_end(r);
        return -EPIPE;
    }
    if (!r->head.upgrade)
        (void)buf_printf(&c->out,
                         content_type ? "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
                                      : "HTTP/1.1 200 OK\r\n",
                         content_type);
    else if (http1_has_token(http_req_header(r, "Upgrade"), "h2c"))
        put_upgrade(c, "Switching Protocols", content_type, "h2c");
    else
        put_upgrade(c, "UPGRADED", content_type, "tcp");
    (void)buf_puts(&c->out, "\r\n");
    if (c->x.ssl)
        return hand_to_relay(r, RELAY_RAW, early);
    /* All earlier answers were written before this request was read, so these few bytes fit. */
    if (http_conn_flush(c) < 0 || http_out_left(c) > 0) {
        http_abort(r);
        return -EPIPE;
    }
    if (early && http_in_left(c) > 0)
        (void)buf_append(early, c->in.data + c->in_off, http_in_left(c));
    loop_fd_free(c->watch);
    c->watch = NULL;
    fd = take_fd(&c->x.fd);
    http_conn_close(c);
    http_req_end(r);
    return fd;
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

/* The first protocol that the client offers: browsers fail a connection that answers an offer with
 * none. */
static void put_protocol(struct http_conn *c, const char *offer) {
    size_t n;

    if (!offer)
        return;
    offer += strspn(offer, " \t,");
    n = strcspn(offer, " \t,");
    if (n > 0)
        (void)buf_printf(&c->out, "Sec-WebSocket-Protocol: %.*s\r\n", (int)n, offer);
}

int http_websocket(struct http_req *r, bool binary) {
    struct http_conn *c = r->conn;
    char accept[WS_ACCEPT_SIZE];
    const char *wrong = NULL;

    if (!c || c->broken) {
        http_req_end(r);
        return -EPIPE;
    }
    if (!str_eq(http_req_method(r), "GET") || !r->head.upgrade ||
        !http1_has_token(http_req_header(r, "Upgrade"), "websocket") ||
        !http1_has_token(http_req_header(r, "Connection"), "upgrade"))
        wrong = "not websocket protocol\n";
    else if (!str_eq(http_req_header(r, "Sec-WebSocket-Version"), "13"))
        wrong = "missing or bad WebSocket Version\n";
    else if (ws_accept_key(http_req_header(r, "Sec-WebSocket-Key"), accept) < 0)
        wrong = "challenge response\n";
    if (wrong) {
        const struct http_header extra[] = {{"Sec-WebSocket-Version", "13"}, {NULL, NULL}};

        http_reply(r, 400, "text/plain; charset=utf-8", extra, wrong, strlen(wrong));
        return -EINVAL;
    }
    put_upgrade(c, "Switching Protocols", NULL, "websocket");
    (void)buf_printf(&c->out, "Sec-WebSocket-Accept: %s\r\n", accept);
    put_protocol(c, http_req_header(r, "Sec-WebSocket-Protocol"));
    (void)buf_puts(&c->out, "\r\n");
    return hand_to_relay(r, binary ? RELAY_WS_BINARY : RELAY_WS_TEXT, NULL);
}
