/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of the HTTP server: connections and requests. Everything here is the loop thread's, except
 * that in HTTP_WORKER the transport and the buffers of a connection are the worker's.
 *
 * A connection is driven by conn_run alone: it flushes, reads what the phase needs, and calls the
 * users' callbacks. Answers only fill `out` and schedule conn_run, so no callback of a user is ever
 * called from within an answer function.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "loop/loop.h"
#include "wire/http1_parse.h"
#include "wire/http_server.h"
#include "wire/xport.h"

#define HTTP_CONNS_MAX     1000u        /* per listener */
#define HTTP_STREAM_MAX    (4u << 20)   /* bytes a slow reader of a stream may leave queued */
#define HTTP_DRAIN_MAX     (256u << 10) /* unread body that is skipped to keep a connection */
#define HTTP_READ_SIZE     (8u << 10)
#define HTTP_WORKER_BUFFER (64u << 10)
#define HTTP_ACCEPT_BATCH  64

/* Milliseconds; in one place so that tests can shorten them. */
struct http_timeouts {
    unsigned idle;   /* keep-alive without a request */
    unsigned header; /* from the first byte of a head to its end; TLS handshake */
    unsigned stall;  /* a body or an answer that does not move */
    unsigned linger; /* for the client to take a last answer */
    unsigned tick;   /* how often they are looked at */
};

struct http_listener {
    struct list link;
    struct http_server *server;
    int fd;
    struct loop_fd *watch;
    char *label, *allow_origin;
    bool is_tcp, paused;
    bool closed; /* accepts no more; freed with its last connection */
    void *tls, *user;
    unsigned conns;
};

struct http_server {
    struct loop *loop;
    void (*on_request)(void *arg, struct http_req *r);
    void *arg;
    struct list listeners, conns, relays;
    struct loop_timer *tick; /* while there are connections, or a listener rests */
    struct http_timeouts timeouts;
};
void http_server_set_timeouts(struct http_server *s, const struct http_timeouts *t);
/* A connection or relay of this listener has ended. */
void http_listener_release(struct http_listener *l);

enum http_phase {
    HTTP_HEAD,   /* idle, or a head is coming, or the last answer is going */
    HTTP_BUSY,   /* a request waits for its answer */
    HTTP_WORKER, /* a worker has the connection */
    HTTP_DRAIN,  /* the answer is complete, the rest of the body is skipped */
    HTTP_LINGER, /* our direction is shut; waiting for the client to see it */
    HTTP_CLOSED, /* only references are left */
};

/* What is left of the request's body. */
struct http_body {
    bool chunked, expect_continue; /* a 100 is still owed */
    bool done, bad;
    uint64_t left;
    struct http1_chunked decoder;
};

struct http_conn {
    struct list link;
    struct loop *loop;
    struct http_server *server;     /* NULL once freed */
    struct http_listener *listener; /* NULL once released */
    struct xport x;
    struct loop_fd *watch;
    struct buf in, out;
    size_t in_off, out_off, scan;
    struct http_req *req;
    struct http_body body;
    size_t drain_left;
    int64_t stamp_ms; /* of the last progress, by phase */
    unsigned refs;
    enum http_phase phase;
    bool running, scheduled;
    bool idle;       /* HTTP_HEAD without a byte of a next request */
    bool keep_alive; /* after the current answer */
    bool read_eof, broken;
    bool parked; /* busy: watched for hangups only */
    bool told_gone;
};

struct http_req {
    struct loop *loop;
    struct http_conn *conn; /* NULL once the client has gone */
    struct http1_request head;
    void *listener_user;
    bool is_tls, is_head;
    void *user;
    void (*user_done)(void *);
    void (*on_close)(void *arg);
    void *on_close_arg;
    bool collecting;
    bool body_fails; /* body_done is to be told after the current callback */
    struct buf collected;
    void (*body_done)(void *arg, struct http_req *r, struct buf *body, int error);
    void *body_arg;
    bool streaming, chunked;
    bool ended;
    unsigned pins; /* while a callback runs, or waits to be run, that may end it */
    struct http_io *io;
};

/* ---- http_conn.c ----------------------------------------------------------------------------- */

int64_t http_now_ms(void);
/* Takes fd, also on failure. */
void http_conn_new(struct http_listener *l, int fd);
void http_conn_unref(struct http_conn *c);
void http_conn_run(struct http_conn *c);
/* conn_run after the current callback. */
void http_conn_schedule(struct http_conn *c);
/* Ends the connection; a request in flight hears of it. */
void http_conn_gone(struct http_conn *c);
/* Ends the connection but for its request, whose conn becomes NULL. */
void http_conn_close(struct http_conn *c);
/* The limits of time. */
void http_conn_check(struct http_conn *c, int64_t now_ms);
void http_conn_arm(struct http_conn *c);
/* Writes what it can of `out`. 0 (all or -EAGAIN) or -errno. */
int http_conn_flush(struct http_conn *c);
/* More bytes into `in`: the count, 0 at the end, -EAGAIN, -errno. */
ssize_t http_conn_fill(struct http_conn *c, size_t size);

static inline size_t http_in_left(const struct http_conn *c) {
    return c->in.len - c->in_off;
}

static inline size_t http_out_left(const struct http_conn *c) {
    return c->out.len - c->out_off;
}

void http_in_drop(struct http_conn *c, size_t n);
/* Takes payload of the body from `in`, at most max bytes: *ret_data is valid until the next call.
 * 1 with *ret_len > 0, 0 when more input is needed or the body is done (body.done), -EBADMSG. */
int http_body_next(struct http_conn *c, size_t max, const char **ret_data, size_t *ret_len);
/* The 100 that is still owed goes into `out`. */
void http_body_continue(struct http_conn *c);

/* ---- http_req.c ------------------------------------------------------------------------------ */

struct http_req *http_req_new(struct http_conn *c, struct http1_request *head);
/* Frees the request (after the callback that runs) and takes it off its connection. */
void http_req_end(struct http_req *r);
/* The client has gone; the connection was taken off already. */
void http_req_gone(struct http_req *r);
/* Ends the collection of the body. */
void http_req_body_end(struct http_req *r, int error);

/* ---- http_answer.c --------------------------------------------------------------------------- */

enum { HTTP_LENGTH_NONE = -1, HTTP_LENGTH_CHUNKED = -2, HTTP_LENGTH_CLOSE = -3 };
/* Appends a status line and headers. `length` is the body's, or one of the above. */
void http_format_head(struct http_conn *c, int minor, int status, const char *content_type,
                      const struct http_header *extra, int64_t length);
/* The head of an answer of unknown length; true when it is chunked. */
bool http_format_stream_head(struct http_conn *c, const struct http_req *r, int status,
                             const char *content_type, const struct http_header *extra);
/* Appends a whole answer of the server's own, and closes after it. */
void http_refuse(struct http_conn *c, int minor, int status, const char *why);
bool http_status_has_body(int status);
/* The answer is complete in `out`: ends the request and goes on with the connection. */
void http_answer_end(struct http_req *r);

/* ---- http_worker.c --------------------------------------------------------------------------- */

/* The connection has a hangup while a worker has it, or the server is being freed. */
void http_io_gone(struct http_io *io);
bool http_io_wants_gone(const struct http_io *io);
