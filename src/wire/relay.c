/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "wire/websocket.h"

#define QUEUE_MAX  (64u << 10) /* a direction stops reading when it has this much */
#define PIECE_SIZE (16u << 10)
#define TURNS_MAX  16
/* For the client to answer our close frame. */
#define CLOSE_WAIT_MS 5000

struct queue {
    struct buf b;
    size_t off;
};

struct relay {
    struct list link;
    struct loop *loop;
    enum relay_mode mode;
    struct xport x;
    struct loop_fd *net;
    int fd;
    struct loop_fd *local;
    struct queue to_local, to_net;
    struct ws_decoder decoder;
    bool net_eof;    /* nothing more comes from the client */
    bool local_eof;  /* nothing more comes from the engine's side */
    bool local_gone; /* nor does it read any more */
    bool local_shut; /* it was told of net_eof */
    bool net_shut;   /* the client was told of local_eof */
    bool close_sent, close_seen;
    bool scheduled, dead;
    struct loop_timer *deadline;
    void (*on_end)(void *arg);
    void *on_end_arg;
};

static size_t queue_left(const struct queue *q) {
    return q->b.len - q->off;
}

static void queue_drop(struct queue *q, size_t n) {
    q->off += n;
    if (q->off == q->b.len) {
        buf_done(&q->b); /* an idle relay holds no memory */
        q->off = 0;
    } else if (q->off > QUEUE_MAX) {
        buf_consume(&q->b, q->off);
        q->off = 0;
    }
}

static bool is_ws(const struct relay *r) {
    return r->mode != RELAY_RAW;
}

/* ---- client to engine ------------------------------------------------------------------------ */

static void send_control(struct relay *r, enum ws_opcode opcode, const void *p, size_t n) {
    uint8_t header[WS_HEADER_MAX];

    if (r->close_sent)
        return;
    r->close_sent = opcode == WS_CLOSE;
    (void)buf_append(&r->to_net.b, header, ws_header(header, opcode, n));
    (void)buf_append(&r->to_net.b, p, n);
}

static void send_close(struct relay *r, unsigned code) {
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    send_control(r, WS_CLOSE, payload, code == WS_CLOSE_NO_STATUS ? 0 : sizeof(payload));
}

static void take_ws(struct relay *r, char *p, size_t n) {
    while (n > 0 && !r->net_eof) {
        const char *data;
        size_t used, len;

        switch (ws_decode(&r->decoder, p, n, &used, &data, &len)) {
        case WS_EVENT_DATA:
            (void)buf_append(&r->to_local.b, data, len);
            break;
        case WS_EVENT_PING:
            send_control(r, WS_PONG, r->decoder.control, r->decoder.control_len);
            break;
        case WS_EVENT_CLOSE:
            r->close_seen = true;
            r->net_eof = true;
            send_close(r, (unsigned)len);
            break;
        case WS_EVENT_ERROR:
            r->net_eof = true;
            send_close(r, (unsigned)len);
            break;
        case WS_EVENT_MORE:
            break;
        }
        p += used;
        n -= used;
    }
}

static void take(struct relay *r, char *p, size_t n) {
    if (is_ws(r))
        take_ws(r, p, n);
    else
        (void)buf_append(&r->to_local.b, p, n);
}

/* Pings are answered into the other queue, so both must have room. */
static bool net_wanted(const struct relay *r) {
    return !r->net_eof && queue_left(&r->to_local) < QUEUE_MAX &&
           (!is_ws(r) || queue_left(&r->to_net) < QUEUE_MAX);
}

/* These return true when something moved. */
static bool read_net(struct relay *r) {
    char piece[PIECE_SIZE];
    ssize_t n;

    if (!net_wanted(r))
        return false;
    n = xport_read(&r->x, piece, sizeof(piece));
    if (n == -EAGAIN)
        return false;
    if (n < 0)
        r->dead = true;
    else if (n == 0)
        r->net_eof = true;
    else
        take(r, piece, (size_t)n);
    return true;
}

static bool write_local(struct relay *r) {
    ssize_t n;

    if (r->local_gone)
        queue_drop(&r->to_local, queue_left(&r->to_local));
    if (queue_left(&r->to_local) == 0) {
        if (r->net_eof && !r->local_shut) {
            r->local_shut = true;
            (void)shutdown(r->fd, SHUT_WR);
        }
        return false;
    }
    n = send(r->fd, r->to_local.b.data + r->to_local.off, queue_left(&r->to_local), MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n < 0)
        r->local_gone = true; /* what it wrote before is still to be read */
    else
        queue_drop(&r->to_local, (size_t)n);
    return true;
}

/* ---- engine to client ------------------------------------------------------------------------ */

static bool local_wanted(const struct relay *r) {
    return !r->local_eof && queue_left(&r->to_net) < QUEUE_MAX;
}

static bool read_local(struct relay *r) {
    struct pollfd p = {.fd = r->fd};
    char piece[PIECE_SIZE];
    uint8_t header[WS_HEADER_MAX];
    ssize_t n;

    if (!local_wanted(r))
        return false;
    n = recv(r->fd, piece, sizeof(piece), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        r->local_eof = true;
        if (n < 0 || (poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR)))
            r->local_gone = true;
        return true;
    }
    if (r->close_sent) /* nothing may follow a close frame */
        return true;
    if (is_ws(r))
        (void)buf_append(
            &r->to_net.b, header,
            ws_header(header, r->mode == RELAY_WS_TEXT ? WS_TEXT : WS_BINARY, (uint64_t)n));
    (void)buf_append(&r->to_net.b, piece, (size_t)n);
    return true;
}

static bool write_net(struct relay *r) {
    ssize_t n;

    if (queue_left(&r->to_net) == 0)
        return false;
    n = xport_write(&r->x, r->to_net.b.data + r->to_net.off, queue_left(&r->to_net));
    if (n == -EAGAIN)
        return false;
    if (n < 0)
        r->dead = true;
    else
        queue_drop(&r->to_net, (size_t)n);
    return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void relay_end(struct relay *r) {
    void (*cb)(void *) = r->on_end;
    void *arg = r->on_end_arg;

    relay_free(r);
    if (cb)
        cb(arg);
}

static void on_deadline(void *arg) {
    relay_end(arg);
}

/* The engine's side has ended: the client is told once all was written. True when it is over. */
static bool settle(struct relay *r) {
    if (is_ws(r)) {
        if (r->local_eof && !r->close_sent)
            send_close(r, WS_CLOSE_NORMAL);
        if (!r->close_sent && !r->net_eof)
            return false;
        /* WebSocket has no half-closed state: what is on its way arrives, then all is over. */
        if (r->net_eof && queue_left(&r->to_net) == 0 &&
            (queue_left(&r->to_local) == 0 || r->local_gone))
            return true;
        if (!r->deadline)
            r->deadline = loop_timer_new(r->loop, CLOSE_WAIT_MS, 0, on_deadline, r);
        return false;
    }
    if (queue_left(&r->to_net) > 0)
        return false;
    if (!r->local_eof)
        return false;
    if (!r->net_shut) {
        r->net_shut = true;
        xport_shutdown(&r->x);
    }
    return r->local_gone || (r->net_eof && queue_left(&r->to_local) == 0);
}

static void relay_arm(struct relay *r) {
    unsigned net = 0, local = 0;

    if (net_wanted(r))
        net |= r->x.read_wants;
    if (queue_left(&r->to_net) > 0)
        net |= r->x.write_wants;
    if (net == 0)
        net = LOOP_HANGUP;
    if (local_wanted(r))
        local |= LOOP_READ;
    if (queue_left(&r->to_local) > 0 && !r->local_gone)
        local |= LOOP_WRITE;
    if (local == 0 && !r->local_gone)
        local = LOOP_HANGUP;
    loop_fd_set(r->net, net);
    loop_fd_set(r->local, local);
}

static void relay_run(struct relay *r);

static void run_scheduled(void *arg) {
    struct relay *r = arg;

    r->scheduled = false;
    if (!r->net) /* freed meanwhile */
        free(r);
    else
        relay_run(r);
}

static void relay_schedule(struct relay *r) {
    if (r->scheduled)
        return;
    r->scheduled = true;
    loop_defer(r->loop, run_scheduled, r);
}

static void relay_run(struct relay *r) {
    bool moved = true;

    for (unsigned turn = 0; moved && turn < TURNS_MAX && !r->dead; turn++) {
        moved = read_net(r);
        moved |= write_local(r);
        moved |= read_local(r);
        moved |= write_net(r);
        if (!r->dead && settle(r))
            r->dead = true;
    }
    if (r->dead) {
        relay_end(r);
        return;
    }
    if (moved)
        relay_schedule(r);
    relay_arm(r);
}

static void on_net(void *arg, unsigned events) {
    struct relay *r = arg;

    if (events & LOOP_HANGUP)
        relay_end(r);
    else
        relay_run(r);
}

static void on_local(void *arg, unsigned events) {
    struct relay *r = arg;

    if (events & LOOP_HANGUP)
        r->local_gone = true;
    relay_run(r);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct relay *relay_new(struct loop *l, struct xport *x, int fd, enum relay_mode mode,
                        const void *early, size_t early_len, const void *out, size_t out_len,
                        void (*on_end)(void *arg), void *arg) {
    struct relay *r = xnew(struct relay);
    auto_free char *copy = NULL;
    int saved;

    list_init(&r->link);
    r->loop = l;
    r->mode = mode;
    r->fd = fd;
    r->on_end = on_end;
    r->on_end_arg = arg;
    xport_move(&r->x, x);
    ws_decoder_init(&r->decoder);
    r->net = loop_fd_new(l, r->x.fd, 0, on_net, r);
    r->local = r->net ? loop_fd_new(l, fd, 0, on_local, r) : NULL;
    if (!r->local) {
        saved = errno;
        relay_free(r);
        errno = saved;
        return NULL;
    }
    if (out_len > 0)
        (void)buf_append(&r->to_net.b, out, out_len);
    if (early_len > 0) {
        copy = xmemdup(early, early_len); /* unmasking writes */
        take(r, copy, early_len);
    }
    relay_schedule(r);
    return r;
}

void relay_link(struct relay *r, struct list *relays) {
    list_append(relays, &r->link);
}

struct relay *relay_first(const struct list *relays) {
    return list_first(relays, struct relay, link);
}

void relay_free(struct relay *r) {
    if (!r)
        return;
    list_remove(&r->link);
    loop_timer_free(r->deadline);
    loop_fd_free(r->net);
    loop_fd_free(r->local);
    r->net = r->local = NULL;
    xport_done(&r->x);
    r->fd = fd_close(r->fd);
    buf_done(&r->to_local.b);
    buf_done(&r->to_net.b);
    if (!r->scheduled)
        free(r);
}
