/* SPDX-License-Identifier: Apache-2.0 */

/* A request: what handlers ask of it, its body, its end. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/str.h"
#include "wire/http_conn.h"

struct http_req *http_req_new(struct http_conn *c, struct http1_request *head) {
    struct http_req *r = xnew(struct http_req);

    r->loop = c->loop;
    r->conn = c;
    r->head = *head;
    *head = (struct http1_request){0};
    r->listener_user = c->listener->user;
    r->is_tls = c->x.ssl != NULL;
    r->is_head = str_eq(r->head.method, "HEAD");
    return r;
}

static void req_destroy(struct http_req *r) {
    if (r->user_done)
        r->user_done(r->user);
    buf_done(&r->collected);
    http1_request_done(&r->head);
    free(r);
}

void http_req_end(struct http_req *r) {
    if (r->conn)
        r->conn->req = NULL;
    r->conn = NULL;
    r->collecting = false;
    r->ended = true;
    if (r->pins == 0)
        req_destroy(r);
}

static void req_unpin(struct http_req *r) {
    if (--r->pins == 0 && r->ended)
        req_destroy(r);
}

/* ---- accessors ------------------------------------------------------------------------------- */

const char *http_req_method(const struct http_req *r) {
    return r->head.method;
}

const char *http_req_path(const struct http_req *r) {
    return r->head.path;
}

const char *http_req_query(const struct http_req *r, const char *name) {
    for (size_t i = 0; i < r->head.query_count; i++) {
        if (str_eq(r->head.query[i].name, name))
            return r->head.query[i].value;
    }
    return NULL;
}

bool http_req_query_at(const struct http_req *r, size_t i, const char **name, const char **value) {
    if (i >= r->head.query_count)
        return false;
    *name = r->head.query[i].name;
    *value = r->head.query[i].value;
    return true;
}

const char *http_req_query_raw(const struct http_req *r) {
    return r->head.query_raw;
}

const char *http_req_header(const struct http_req *r, const char *name) {
    return http1_header(&r->head, name);
}

int http_req_minor_version(const struct http_req *r) {
    return r->head.minor;
}

void *http_req_listener_user(const struct http_req *r) {
    return r->listener_user;
}

bool http_req_is_tls(const struct http_req *r) {
    return r->is_tls;
}

/* The kernel answers for TCP too, with pid 0 and overflow ids: ask for the family first. */
static bool peer_cred(const struct http_req *r, struct ucred *ret) {
    socklen_t len = sizeof(*ret);
    int domain = 0;
    socklen_t domain_len = sizeof(domain);

    if (!r->conn || r->conn->x.fd < 0 ||
        getsockopt(r->conn->x.fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) < 0 ||
        domain != AF_UNIX)
        return false;
    return getsockopt(r->conn->x.fd, SOL_SOCKET, SO_PEERCRED, ret, &len) == 0;
}

pid_t http_req_peer_pid(const struct http_req *r) {
    struct ucred cred;

    return peer_cred(r, &cred) ? cred.pid : -1;
}

uid_t http_req_peer_uid(const struct http_req *r) {
    struct ucred cred;

    return peer_cred(r, &cred) ? cred.uid : (uid_t)-1;
}

int64_t http_req_body_length(const struct http_req *r) {
    return r->head.content_length;
}

void http_req_set_user(struct http_req *r, void *user, void (*done)(void *)) {
    r->user = user;
    r->user_done = done;
}

void *http_req_user(const struct http_req *r) {
    return r->user;
}

/* ---- the body -------------------------------------------------------------------------------- */

void http_req_body_end(struct http_req *r, int error) {
    struct buf body = r->collected;

    r->collecting = false;
    r->collected = (struct buf)BUF_INIT;
    if (r->conn && error)
        r->conn->keep_alive =
            false; /* what follows on the connection is not known to be a request */
    r->body_done(r->body_arg, r, error ? NULL : &body, error);
    buf_done(&body);
}

/* A body that cannot be had, told after http_req_read_body has returned. */
static void tell_body_fails(void *arg) {
    struct http_req *r = arg;

    r->body_fails = false;
    if (!r->ended && r->conn) {
        http_req_body_end(r, -EFBIG);
    } else if (!r->ended) {
        r->collecting = true;
        http_req_gone(r);
    }
    req_unpin(r);
}

void http_req_read_body(struct http_req *r, size_t max,
                        void (*done)(void *arg, struct http_req *r, struct buf *body, int error),
                        void *arg) {
    struct http_conn *c = r->conn;

    r->body_done = done;
    r->body_arg = arg;
    r->collected.max = max > 0 ? max : 1; /* 0 would be the default maximum */
    if (!c || (r->head.content_length > 0 && (uint64_t)r->head.content_length > max)) {
        r->body_fails = true;
        r->pins++;
        loop_defer(r->loop, tell_body_fails, r);
        return;
    }
    r->collecting = true;
    c->stamp_ms = http_now_ms();
    http_conn_schedule(c);
}

/* ---- the client's end ------------------------------------------------------------------------ */

void http_req_gone(struct http_req *r) {
    if (r->body_fails)
        return; /* tell_body_fails comes here */
    r->pins++;
    if (r->collecting)
        http_req_body_end(r, -ECONNRESET);
    if (!r->ended && r->on_close) {
        void (*cb)(void *) = r->on_close;

        r->on_close = NULL;
        cb(r->on_close_arg);
        http_req_end(r);
    }
    req_unpin(r);
}

static void tell_gone(void *arg) {
    struct http_req *r = arg;

    if (!r->ended)
        http_req_gone(r);
    req_unpin(r);
}

void http_req_on_close(struct http_req *r, void (*cb)(void *arg), void *arg) {
    r->on_close = cb;
    r->on_close_arg = arg;
    if (!r->conn && cb) {
        r->pins++;
        loop_defer(r->loop, tell_gone, r);
    }
}
