/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One API request on its way through a handler. A handler ends its call exactly once, at once or
 * later, through one of the answering functions below; the client may vanish meanwhile, which the
 * answering functions then take without harm (they only free). Loop thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/engine.h"
#include "engine/filters.h"
#include "format/json.h"
#include "wire/http_server.h"

#define API_VERSION_MAX 51 /* 1.51 */
#define API_VERSION_MIN 24 /* older ones are tolerated */

#define API_PARAMS_MAX 3
struct route;
struct api_call {
    struct engine *engine;
    struct http_req *req; /* NULL once the client has gone */
    const struct route *route;
    int version; /* minor number of the path's version, API_VERSION_MAX without */
    char *params[API_PARAMS_MAX];
    struct buf body;         /* routes with ROUTE_BODY */
    void (*gone)(void *arg); /* optional: told when the client goes */
    void *gone_arg;
};

enum route_flags {
    ROUTE_BODY = 1,       /* the body is collected (JSON_SIZE_MAX) before the handler runs */
    ROUTE_JSON_BODY = 2,  /* ... and must be declared as application/json */
    ROUTE_RAW = 4,        /* the handler reads the body itself, or has none */
    ROUTE_DURABLE = 8,    /* a good answer waits until the database has what the handler changed */
    ROUTE_EFFECTIVE = 16, /* ... and stays good when that must wait: the containers have changed */
};
struct route {
    const char *method;
    /* Segments {name} take one segment, {name*} as many as fit (image names). Without version. */
    const char *pattern;
    unsigned flags;
    void (*handler)(struct api_call *c);
};

/* The i-th {} of the pattern, decoded; never NULL. */
const char *call_param(const struct api_call *c, unsigned i);
/* NULL when absent. */
const char *call_query(const struct api_call *c, const char *name);
/* Docker's rule: "", 0, no, false and none are false, anything else is true. */
bool call_query_bool(const struct api_call *c, const char *name, bool otherwise);
/* ERR_INVALID for anything but a number. */
int call_query_int(const struct api_call *c, const char *name, int64_t otherwise, int64_t *ret,
                   struct err *e);
int call_filters(const struct api_call *c, const char *const *allowed, struct filters *ret,
                 struct err *e);
/* The collected body as an object; ERR_INVALID in Docker's words. *ret is put by the caller.
 * An empty body gives *ret = NULL when `optional`, else an error. */
int call_json_body(struct api_call *c, bool optional, struct json_object **ret, struct err *e);
bool call_client_gone(const struct api_call *c);
/* cb runs (once) when the client vanishes before the answer; NULL takes it back. */
void call_on_gone(struct api_call *c, void (*cb)(void *arg), void *arg);

/* ---- answers: each ends the call ------------------------------------------------------------ */
void call_empty(struct api_call *c, int status);
void call_text(struct api_call *c, int status, const char *content_type, const char *text);
/* With headers of its own ({NULL, NULL} at the end) beside those of every answer. */
void call_text_with(struct api_call *c, int status, const char *content_type,
                    const struct http_header *extra, const char *text);
/* b's content, JSON; b is emptied. */
void call_json(struct api_call *c, int status, struct buf *b);
/* {"message": ...} with the class's status; e is done. */
void call_error(struct api_call *c, struct err *e);
void call_errorf(struct api_call *c, enum err_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Answer in pieces; the call lives until call_stream_end. */
void call_stream_begin(struct api_call *c, int status, const char *content_type);
/* false once the client has gone. */
bool call_stream_write(struct api_call *c, const void *p, size_t n);
void call_stream_end(struct api_call *c);
/* The connection's descriptor after the upgrade answer, or -1 when the client has gone; ends the
 * call either way. */
int call_hijack(struct api_call *c, const char *content_type, struct buf *early);
int call_websocket(struct api_call *c, bool binary);
/* A worker thread takes the connection; NULL when the client has gone (the call is ended then). */
struct http_io *call_worker(struct api_call *c);
/* Headers for http_io_begin. Any thread. */
const struct http_header *router_headers_of(const struct api_call *c);
/* After the worker: ends the call. With an answer not begun, e (or an empty `status`) is sent. */
void call_worker_end(struct api_call *c, struct http_io *io, int status, struct err *e);
