/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/router.h"
#include "base/alloc.h"
#include "base/log.h"

static void call_free_now(void *arg) {
    struct api_call *c = arg;

    for (int i = 0; i < API_PARAMS_MAX; i++)
        free(c->params[i]);
    buf_done(&c->body);
    free(c);
}

/* An answered call lives on until the handler that answered it has returned, so that it may still
 * look at parameters and query (which then are empty). */
static void call_free(struct api_call *c) {
    c->req = NULL;
    loop_defer(c->engine->loop, call_free_now, c);
}

static void on_close(void *arg) {
    struct api_call *c = arg;
    void (*gone)(void *) = c->gone;

    c->req = NULL;
    c->gone = NULL;
    if (gone)
        gone(c->gone_arg);
}

struct api_call *call_new(struct engine *eng, struct http_req *req) {
    struct api_call *c = xnew(struct api_call);

    c->engine = eng;
    c->req = req;
    c->version = API_VERSION_MAX;
    c->body.max = JSON_SIZE_MAX;
    http_req_on_close(req, on_close, c);
    return c;
}

const char *call_param(const struct api_call *c, unsigned i) {
    return i < API_PARAMS_MAX && c->params[i] ? c->params[i] : "";
}

const char *call_query(const struct api_call *c, const char *name) {
    return c->req ? http_req_query(c->req, name) : NULL;
}

bool call_query_bool(const struct api_call *c, const char *name, bool otherwise) {
    static const char *const no[] = {"", "0", "no", "false", "none"};
    const char *s = call_query(c, name);

    if (!s)
        return otherwise;
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (str_case_eq(s, no[i]))
            return false;
    return true;
}

int call_query_int(const struct api_call *c, const char *name, int64_t otherwise, int64_t *ret,
                   struct err *e) {
    const char *s = call_query(c, name);
    int64_t v = otherwise;

    if (!str_empty(s)) {
        int r = str_to_i64(s, &v);

        if (r < 0)
            return err_set(e, ERR_INVALID, "strconv.Atoi: parsing \"%.64s\": %s", s,
                           r == -ERANGE ? "value out of range" : "invalid syntax");
    }
    *ret = v;
    return 0;
}

int call_filters(const struct api_call *c, const char *const *allowed, struct filters *ret,
                 struct err *e) {
    return filters_parse(call_query(c, "filters"), allowed, ret, e);
}

int call_json_body(struct api_call *c, bool optional, struct json_object **ret, struct err *e) {
    struct json_object *o = NULL;
    int r;

    if (c->body.len == 0) {
        if (!optional)
            return err_set(e, ERR_INVALID, "invalid JSON: got EOF while reading request body");
        *ret = NULL;
        return 0;
    }
    r = jsn_parse(buf_str(&c->body), c->body.len, &o, e);
    if (r < 0) {
        err_wrap(e, "invalid JSON");
        return r;
    }
    if (o && !json_object_is_type(o, json_type_object)) {
        json_object_put(o);
        return err_set(e, ERR_INVALID, "invalid JSON: the body must be an object");
    }
    *ret = o;
    return 0;
}

bool call_client_gone(const struct api_call *c) {
    return !c->req;
}

void call_on_gone(struct api_call *c, void (*cb)(void *arg), void *arg) {
    c->gone = cb;
    c->gone_arg = arg;
}

/* The request leaves the call: its end is no news any more. */
static struct http_req *detach(struct api_call *c) {
    struct http_req *req = c->req;

    if (req)
        http_req_on_close(req, NULL, NULL);
    c->req = NULL;
    return req;
}

static void reply_now(struct api_call *c, int status, const char *type, const void *p, size_t n) {
    struct http_req *req = detach(c);

    if (req)
        http_reply(req, status, type, router_headers(c->engine), p, n);
    call_free(c);
}

/* A good answer that waits for the database: what it tells must not be lost with the daemon. */
struct held_answer {
    struct api_call *call;
    int status;
    char *type;
    struct buf body;
};

static void held_written(void *arg, int r) {
    struct held_answer *h = arg;
    struct err e = ERR_INIT;

    if (r < 0 && !(h->call->route->flags & ROUTE_EFFECTIVE)) {
        (void)err_sys(&e, r, "cannot save the change to the state database"); /* sets */
        call_error(h->call, &e);
    } else {
        reply_now(h->call, h->status, h->type, h->body.data, h->body.len);
    }
    free(h->type);
    buf_done(&h->body);
    free(h);
}

static void reply(struct api_call *c, int status, const char *type, const void *p, size_t n) {
    struct held_answer *h;

    if (!c->route || !(c->route->flags & ROUTE_DURABLE) || status >= 400) {
        reply_now(c, status, type, p, n);
        return;
    }
    h = xnew(struct held_answer);
    h->call = c;
    h->status = status;
    h->type = xstrdup_null(type);
    h->body.max = n + 1;
    (void)buf_append(&h->body, p, n); /* it fits */
    c->gone = NULL;                   /* the handler is through: nothing of it is to be told */
    store_barrier(c->engine->store, held_written, h);
}

void call_empty(struct api_call *c, int status) {
    reply(c, status, NULL, NULL, 0);
}

void call_text(struct api_call *c, int status, const char *content_type, const char *text) {
    reply(c, status, content_type, text, strlen(text));
}

#define HEADERS_MAX 16

void call_text_with(struct api_call *c, int status, const char *content_type,
                    const struct http_header *extra, const char *text) {
    const struct http_header *common = router_headers(c->engine);
    struct http_header all[HEADERS_MAX];
    struct http_req *req;
    size_t n = 0;

    for (; common->name && n < HEADERS_MAX - 1; common++)
        all[n++] = *common;
    for (; extra->name && n < HEADERS_MAX - 1; extra++)
        all[n++] = *extra;
    all[n] = (struct http_header){NULL, NULL};
    req = detach(c);
    if (req)
        http_reply(req, status, content_type, all, text, strlen(text));
    call_free(c);
}

void call_json(struct api_call *c, int status, struct buf *b) {
    buf_putc(b, '\n'); /* as Go's encoder ends */
    if (b->failed)
        call_errorf(c, ERR_SYSTEM, "the answer is too large");
    else
        reply(c, status, "application/json", b->data, b->len);
    buf_clear(b);
}

static void error_json(struct buf *b, const char *msg) {
    struct jw w;

    jw_init(&w, b);
    jw_object(&w);
    jw_kstr(&w, "message", msg);
    jw_end_object(&w);
}

void call_error(struct api_call *c, struct err *e) {
    int status = err_http_status(e->class == ERR_NONE ? ERR_SYSTEM : e->class);
    auto_buf b = BUF_INIT;

    if (status >= 500 && c->route)
        log_error("handler failed", "method", c->route->method, "route", c->route->pattern, "error",
                  err_msg(e));
    if (e->class == ERR_NOT_MODIFIED) {
        call_empty(c, status);
    } else {
        error_json(&b, err_msg(e));
        call_json(c, status, &b);
    }
    err_done(e);
}

void call_errorf(struct api_call *c, enum err_class class, const char *fmt, ...) {
    auto_buf text = BUF_INIT;
    struct err e = ERR_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    (void)err_set(&e, class, "%s", buf_str(&text)); /* sets, cannot fail */
    call_error(c, &e);
}

void call_stream_begin(struct api_call *c, int status, const char *content_type) {
    if (c->req)
        http_stream_begin(c->req, status, content_type, router_headers(c->engine));
}

bool call_stream_write(struct api_call *c, const void *p, size_t n) {
    return c->req && http_stream_write(c->req, p, n) >= 0;
}

void call_stream_end(struct api_call *c) {
    struct http_req *req = detach(c);

    if (req)
        http_stream_end(req);
    call_free(c);
}

int call_hijack(struct api_call *c, const char *content_type, struct buf *early) {
    struct http_req *req = detach(c);
    int fd = req ? http_hijack(req, content_type, early) : -1;

    call_free(c);
    return fd < 0 ? -1 : fd;
}

int call_websocket(struct api_call *c, bool binary) {
    struct http_req *req = detach(c);
    int fd = req ? http_websocket(req, binary) : -1;

    call_free(c);
    return fd < 0 ? -1 : fd;
}

const struct http_header *router_headers_of(const struct api_call *c) {
    return router_headers(c->engine);
}

struct http_io *call_worker(struct api_call *c) {
    struct http_req *req = c->req;

    if (!req) {
        call_free(c);
        return NULL;
    }
    c->gone = NULL;
    return http_worker_take(req);
}

void call_worker_end(struct api_call *c, struct http_io *io, int status, struct err *e) {
    bool failed = e && e->class != ERR_NONE;
    /* What fails before its first bytes are out still gets a status that says so. */
    bool begun = http_io_begun(io) && !(failed && http_io_take_back(io));

    if (begun)
        detach(c);
    http_worker_give(io, !failed || !begun);
    if (begun) {
        if (failed)
            err_done(e);
        call_free(c);
    } else if (failed) {
        call_error(c, e);
    } else {
        call_empty(c, status);
    }
}
