/* SPDX-License-Identifier: Apache-2.0 */

/* A connection's life: see http_conn.h. */
#include "wire/http_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/http_guard.h"

/* Reads in a row before other connections get their turn. */
#define TURNS_MAX 64

int64_t http_now_ms(void) {
    return clock_mono_ns() / NS_PER_MS;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Only the next fill touches the bytes: callers still look at what they dropped. */
void http_in_drop(struct http_conn *c, size_t n) {
    c->in_off += n;
}

ssize_t http_conn_fill(struct http_conn *c, size_t size) {
    ssize_t n;

    if (c->read_eof)
        return 0;
    if (c->in_off > 0) {
        buf_consume(&c->in, c->in_off);
        c->in_off = 0;
    }
    if (!buf_reserve(&c->in, size))
        return -ENOBUFS;
    n = xport_read(&c->x, c->in.data + c->in.len, size);
    if (n < 0)
        return n;
    if (n == 0)
        c->read_eof = true;
    c->in.len += (size_t)n;
    c->in.data[c->in.len] = '\0';
    return n;
}

int http_conn_flush(struct http_conn *c) {
    while (http_out_left(c) > 0) {
        ssize_t n = xport_write(&c->x, c->out.data + c->out_off, http_out_left(c));

        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return (int)n;
        c->out_off += (size_t)n;
        c->stamp_ms = http_now_ms();
    }
    if (c->out.len > 0) {
        c->out_off = 0;
        if (c->out.cap > HTTP_READ_SIZE)
            buf_done(&c->out);
        else
            buf_clear(&c->out);
    }
    return 0;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void body_begin(struct http_conn *c, const struct http1_request *head) {
    c->body = (struct http_body){
        .chunked = head->content_length<0, .expect_continue = head->expect_continue,
                                        .left = head->content_length> 0
                       ? (uint64_t)head->content_length
                       : 0,
        .done = head->content_length == 0,
    };
    if (c->body.chunked)
        http1_chunked_init(&c->body.decoder);
}

void http_body_continue(struct http_conn *c) {
    if (!c->body.expect_continue)
        return;
    c->body.expect_continue = false;
    /* A client that sends without waiting needs none (RFC 9110, 10.1.1). */
    if (http_in_left(c) == 0)
        (void)buf_puts(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
}

int http_body_next(struct http_conn *c, size_t max, const char **ret_data, size_t *ret_len) {
    struct http_body *b = &c->body;

    while (!b->done && http_in_left(c) > 0) {
        const char *p = c->in.data + c->in_off;
        size_t n = http_in_left(c) < max ? http_in_left(c) : max;
        int r;

        if (!b->chunked) {
            n = n < b->left ? n : (size_t)b->left;
            b->left -= n;
            b->done = b->left == 0;
            *ret_data = p;
            *ret_len = n;
            http_in_drop(c, n);
            return 1;
        }
        r = http1_chunked_next(&b->decoder, p, n, &n, ret_data, ret_len);
        if (r < 0) {
            b->bad = true;
            return r;
        }
        http_in_drop(c, n);
        b->done = r == 1;
        if (*ret_len > 0)
            return 1;
    }
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_conn_event(void *arg, unsigned events);

void http_conn_new(struct http_listener *l, int fd) {
    struct http_server *s = l->server;
    struct http_conn *c = xnew(struct http_conn);

    c->refs = 1;
    c->loop = s->loop;
    c->in.max = HTTP1_HEAD_MAX + HTTP_WORKER_BUFFER;
    c->out.max = SIZE_MAX / 4; /* bounded by what answers put into it */
    c->phase = HTTP_HEAD;
    c->keep_alive = true;
    c->stamp_ms = http_now_ms();
    list_init(&c->link);
    if (xport_init(&c->x, fd, l->tls) == 0)
        c->watch = loop_fd_new(s->loop, fd, LOOP_READ, on_conn_event, c);
    if (!c->watch) {
        xport_done(&c->x);
        free(c);
        return;
    }
    c->server = s;
    c->listener = l;
    l->conns++;
    list_append(&s->conns, &c->link);
}

void http_conn_unref(struct http_conn *c) {
    if (--c->refs > 0)
        return;
    buf_done(&c->in);
    buf_done(&c->out);
    free(c);
}

void http_conn_close(struct http_conn *c) {
    struct http_listener *l = c->listener;

    if (c->phase == HTTP_CLOSED)
        return;
    c->phase = HTTP_CLOSED;
    list_remove(&c->link);
    loop_fd_free(c->watch);
    c->watch = NULL;
    xport_done(&c->x);
    if (c->req)
        c->req->conn = NULL;
    c->req = NULL;
    c->listener = NULL;
    c->server = NULL;
    if (l)
        http_listener_release(l);
    http_conn_unref(c);
}

void http_conn_gone(struct http_conn *c) {
    struct http_req *r = c->req;

    http_conn_close(c);
    if (r)
        http_req_gone(r);
}

static void run_scheduled(void *arg) {
    struct http_conn *c = arg;

    c->scheduled = false;
    http_conn_run(c);
    http_conn_unref(c);
}

void http_conn_schedule(struct http_conn *c) {
    if (c->scheduled || c->running || c->phase == HTTP_CLOSED)
        return;
    c->scheduled = true;
    c->refs++;
    loop_defer(c->loop, run_scheduled, c);
}

/* ---- phases ---------------------------------------------------------------------------------- */

static void begin_linger(struct http_conn *c) {
    xport_shutdown(&c->x);
    c->phase = HTTP_LINGER;
    c->stamp_ms = http_now_ms();
}

static void dispatch(struct http_conn *c, struct http1_request *head) {
    struct http_listener *l = c->listener;
    const char *why = l->is_tcp ? http_guard_refuses(head, l->allow_origin) : NULL;

    c->scan = 0;
    c->idle = false;
    c->parked = c->read_eof;
    c->keep_alive = head->keep_alive;
    body_begin(c, head);
    if (why) {
        http_refuse(c, head->minor, 403, why);
        http1_request_done(head);
        return;
    }
    c->req = http_req_new(c, head);
    c->phase = HTTP_BUSY;
    c->server->on_request(c->server->arg, c->req);
}

/* The steps return true when there may be more to do at once. */
static bool step_head(struct http_conn *c) {
    struct http1_request head;
    const char *why = "";
    ssize_t n;
    int status;

    /* One answer at a time: a client that does not read gets no further request served. */
    if (http_out_left(c) > 0)
        return false;
    if (!c->keep_alive) {
        /* With unread bytes behind it, a close would reset the connection, and the client might
         * never see its answer. */
        if (c->read_eof || (c->body.done && http_in_left(c) == 0))
            http_conn_gone(c);
        else
            begin_linger(c);
        return true;
    }
    while (c->scan == 0 && http_in_left(c) >= 2 && c->in.data[c->in_off] == '\r' &&
           c->in.data[c->in_off + 1] == '\n')
        http_in_drop(c, 2); /* an empty line before a request is allowed */
    n = http1_find_head(c->in.data ? c->in.data + c->in_off : "", http_in_left(c), &c->scan);
    if (n < 0) {
        http_refuse(c, 1, (int)-n, n == -431 ? "request header too large" : "malformed request");
        return true;
    }
    if (n > 0) {
        status = http1_parse_request(c->in.data + c->in_off, (size_t)n, &head, &why);
        http_in_drop(c, (size_t)n);
        if (status)
            http_refuse(c, 1, status, why);
        else
            dispatch(c, &head);
        return true;
    }
    n = http_conn_fill(c, HTTP_READ_SIZE);
    if (n == -EAGAIN)
        return false;
    if (n <= 0) {
        http_conn_gone(c);
        return false;
    }
    if (c->idle) {
        c->idle = false;
        c->stamp_ms = http_now_ms();
    }
    return true;
}

static bool step_collect(struct http_conn *c) {
    struct http_req *r = c->req;
    const char *data;
    size_t len;
    ssize_t n;
    int got;

    http_body_continue(c);
    while ((got = http_body_next(c, SIZE_MAX, &data, &len)) > 0) {
        if (!buf_append(&r->collected, data, len)) {
            http_req_body_end(r, -EFBIG);
            return true;
        }
    }
    if (got < 0 || c->body.done) {
        http_req_body_end(r, got < 0 ? -EINVAL : 0);
        return true;
    }
    if (http_out_left(c) > 0) { /* the 100 */
        if (http_conn_flush(c) < 0)
            c->broken = true;
        if (c->broken)
            return true;
    }
    n = http_conn_fill(c, HTTP_READ_SIZE);
    if (n == -EAGAIN)
        return false;
    if (n <= 0)
        http_conn_gone(c);
    else
        c->stamp_ms = http_now_ms();
    return n > 0;
}

static bool step_drain(struct http_conn *c) {
    const char *data;
    size_t len;
    ssize_t n;
    int got = 0;

    while (c->keep_alive && (got = http_body_next(c, SIZE_MAX, &data, &len)) > 0) {
        c->drain_left -= len < c->drain_left ? len : c->drain_left;
        if (c->drain_left == 0)
            c->keep_alive = false;
    }
    if (got < 0)
        c->keep_alive = false;
    if (!c->keep_alive || c->body.done) {
        c->phase = HTTP_HEAD;
        c->scan = 0;
        c->idle = http_in_left(c) == 0;
        c->stamp_ms = http_now_ms();
        return true;
    }
    n = http_conn_fill(c, HTTP_READ_SIZE);
    if (n == -EAGAIN)
        return false;
    if (n <= 0)
        c->keep_alive = false; /* half-closed: the answer still goes out */
    else
        c->stamp_ms = http_now_ms();
    return true;
}

static bool step_linger(struct http_conn *c) {
    ssize_t n;

    buf_clear(&c->in);
    c->in_off = 0;
    n = http_conn_fill(c, HTTP_READ_SIZE);
    if (n == -EAGAIN)
        return false;
    if (n <= 0)
        http_conn_gone(c);
    return n > 0;
}

static bool step(struct http_conn *c) {
    switch (c->phase) {
    case HTTP_HEAD:
        return step_head(c);
    case HTTP_BUSY:
        return c->req->collecting && step_collect(c);
    case HTTP_DRAIN:
        return step_drain(c);
    case HTTP_LINGER:
        return step_linger(c);
    case HTTP_WORKER:
    case HTTP_CLOSED:
        break;
    }
    return false;
}

void http_conn_run(struct http_conn *c) {
    if (c->running)
        return;
    c->refs++;
    c->running = true;
    for (unsigned turn = 0; c->phase != HTTP_CLOSED && c->phase != HTTP_WORKER; turn++) {
        if (c->broken || http_conn_flush(c) < 0) {
            http_conn_gone(c);
            break;
        }
        if (turn == TURNS_MAX) {
            c->running = false;
            http_conn_schedule(c);
            break;
        }
        if (!step(c))
            break;
    }
    c->running = false;
    http_conn_arm(c);
    http_conn_unref(c);
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool wants_input(const struct http_conn *c) {
    switch (c->phase) {
    case HTTP_HEAD:
        return http_out_left(c) == 0 && c->keep_alive;
    case HTTP_BUSY:
        return c->req->collecting;
    case HTTP_DRAIN:
        return c->keep_alive;
    case HTTP_LINGER:
        return true;
    case HTTP_WORKER:
    case HTTP_CLOSED:
        break;
    }
    return false;
}

/* Closed in both directions. TLS clients that half-close send close_notify and leave TCP open, so
 * their FIN is enough. */
static unsigned gone_events(const struct http_conn *c) {
    return c->x.ssl ? LOOP_HANGUP | LOOP_RDHUP : LOOP_HANGUP;
}

void http_conn_arm(struct http_conn *c) {
    unsigned events = 0;

    if (!c->watch)
        return;
    if (c->phase == HTTP_WORKER) {
        loop_fd_set(c->watch, http_io_wants_gone(c->req->io) ? gone_events(c) : 0);
        return;
    }
    if (http_out_left(c) > 0)
        events |= c->x.write_wants;
    if (wants_input(c)) {
        events |= c->x.read_wants;
        if (c->phase == HTTP_HEAD && http_in_left(c) == 0) {
            buf_done(&c->in); /* an idle connection holds no buffers */
            buf_done(&c->out);
            c->in_off = 0;
        }
    } else if (events || c->parked) {
        events |= gone_events(c);
    } else {
        /* Most answers come soon: leave the watch as it is until something moves, which saves the
         * kernel two changes a request. */
        events = LOOP_READ;
    }
    loop_fd_set(c->watch, events);
}

static void on_conn_event(void *arg, unsigned events) {
    struct http_conn *c = arg;

    if (c->phase == HTTP_WORKER) {
        http_io_gone(c->req->io);
        http_conn_arm(c);
        return;
    }
    if (events & (LOOP_HANGUP | LOOP_RDHUP)) {
        http_conn_gone(c);
        return;
    }
    if (events & LOOP_READ && !wants_input(c))
        c->parked = true;
    http_conn_run(c);
}

void http_conn_check(struct http_conn *c, int64_t now_ms) {
    const struct http_timeouts *t = &c->server->timeouts;
    int64_t limit;

    if (c->phase == HTTP_WORKER || c->phase == HTTP_CLOSED)
        return;
    if (http_out_left(c) > 0)
        limit = t->stall;
    else if (c->phase == HTTP_HEAD)
        limit = c->idle ? t->idle : t->header;
    else if (c->phase == HTTP_LINGER)
        limit = t->linger;
    else if (c->phase == HTTP_DRAIN || c->req->collecting)
        limit = t->stall;
    else
        return; /* the handler's time */
    if (now_ms - c->stamp_ms >= limit)
        http_conn_gone(c);
}
