/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP/1.x server on the loop: keep-alive, chunked bodies both ways, Expect: 100-continue, limits
 * (64 KiB of headers, one request in flight a connection), upgrade and hijack, TLS by OpenSSL.
 *
 * A request is answered in one of five ways, exactly one:
 *   http_reply            a complete answer
 *   http_stream_*         an answer in pieces from the loop (events, stats, wait)
 *   http_worker_take      a worker thread takes the connection for a blocking body and answer
 *   http_hijack           the raw connection is handed over after a 101 or the old 200
 *   http_abort            the connection is closed
 * struct http_req lives until its answer is complete, or until on_close was called.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/reader.h"
#include "loop/loop.h"

struct http_server;
struct http_req;

struct http_header {
    const char *name, *value;
};

struct http_listener_options {
    const char *label; /* for logs: "unix:///run/fence.sock" */
    bool is_tcp;       /* Host and Origin checks, TCP keep-alive, no delay */
    void *tls;         /* SSL_CTX * or NULL; borrowed */
    void *user;        /* given back by http_req_listener_user */
    /* TCP: the one origin besides the server's own that browsers may come from, "*" for any, NULL
     * for none; copied. */
    const char *allow_origin;
};

struct http_server *http_server_new(struct loop *l,
                                    void (*on_request)(void *arg, struct http_req *), void *arg);
/* Stops listening and closes idle connections; busy ones are cut (their on_close is called). Not to
 * be called from on_close. */
void http_server_free(struct http_server *s);
/* Takes a listening socket (owned from now on, also on failure). */
int http_server_listen(struct http_server *s, int fd, const struct http_listener_options *o);
/* Stops accepting on the listeners with this label; connections that they made live on. */
void http_server_unlisten(struct http_server *s, const char *label);

/* ---- the request ----------------------------------------------------------------------------- */
const char *http_req_method(const struct http_req *r);
/* Percent-decoded path without the query; never NULL; -EINVAL forms were refused before. */
const char *http_req_path(const struct http_req *r);
/* First value of a query parameter, decoded; NULL when absent. */
const char *http_req_query(const struct http_req *r, const char *name);
/* The i-th query pair, false at the end. */
bool http_req_query_at(const struct http_req *r, size_t i, const char **name, const char **value);
/* Raw query text, "" when none. */
const char *http_req_query_raw(const struct http_req *r);
/* Case-insensitive; NULL when absent. */
const char *http_req_header(const struct http_req *r, const char *name);
int http_req_minor_version(const struct http_req *r); /* 0 for HTTP/1.0 */
void *http_req_listener_user(const struct http_req *r);
bool http_req_is_tls(const struct http_req *r);
/* Peer of a unix socket, -1 for TCP. Audit only: the file mode decides who gets in. */
pid_t http_req_peer_pid(const struct http_req *r);
uid_t http_req_peer_uid(const struct http_req *r);
/* Length announced, -1 for chunked, 0 for none. */
int64_t http_req_body_length(const struct http_req *r);
/* Owner's data, freed by `done` when the request ends. */
void http_req_set_user(struct http_req *r, void *user, void (*done)(void *));
void *http_req_user(const struct http_req *r);

/* Collects the body; done(arg, r, body, 0) or done(arg, r, NULL, -EFBIG | -ECONNRESET | -EINVAL).
 * The body is done's: it may buf_take it. Never called before this function has returned. After an
 * error the request is still to be answered (or aborted). */
void http_req_read_body(struct http_req *r, size_t max,
                        void (*done)(void *arg, struct http_req *r, struct buf *body, int error),
                        void *arg);
/* Called once when the client has gone before the answer was complete; r is invalid after it. Not
 * called while a worker has the connection (http_io_on_gone is), and after a failed
 * http_req_read_body only when its `done` left the request open. Without a callback r stays valid,
 * and the answer is dropped. */
void http_req_on_close(struct http_req *r, void (*cb)(void *arg), void *arg);

/* ---- answers --------------------------------------------------------------------------------- */
/* `extra` ends with {NULL, NULL} or is NULL. body may be NULL. HEAD drops the body, keeps length.
 */
void http_reply(struct http_req *r, int status, const char *content_type,
                const struct http_header *extra, const void *body, size_t len);
void http_abort(struct http_req *r);

/* Chunked (HTTP/1.0: until close). */
void http_stream_begin(struct http_req *r, int status, const char *content_type,
                       const struct http_header *extra);
/* Bytes queued for the client after this write; -EPIPE once the client has gone. A client whose
 * queue passes 4 MiB is cut. */
ssize_t http_stream_write(struct http_req *r, const void *p, size_t n);
void http_stream_end(struct http_req *r);

/* ---- blocking use by a worker thread --------------------------------------------------------- */
/* The connection leaves the loop until http_worker_give; all calls on `io` are the worker's. Stalls
 * of 120 s end in -ETIMEDOUT. */
struct http_io;
struct http_io *http_worker_take(struct http_req *r);
/* The request body, decoded. Sends 100 Continue at the first read when the client waits for it. */
struct reader *http_io_body(struct http_io *io);
int http_io_begin(struct http_io *io, int status, const char *content_type,
                  const struct http_header *extra);
bool http_io_begun(const struct http_io *io);
/* An answer of which nothing has left the buffer is as if it had not begun: true. */
bool http_io_take_back(struct http_io *io);
struct writer *http_io_writer(struct http_io *io);
/* Pushes buffered bytes out now. */
int http_io_flush(struct http_io *io);
/* Whether a short text would leave at once. What can be left out, as progress can, is written only
 * then: a client that sends all of its body before it reads would wait for us, and we for it. */
bool http_io_ready(const struct http_io *io);
/* Readable when the client has closed (for workers that wait for something else): poll for POLLIN.
 */
int http_io_fd(const struct http_io *io);
/* Loop thread, before the worker starts: cb is called on the loop thread, at most once, when the
 * client has gone while the worker has the connection. */
void http_io_on_gone(struct http_io *io, void (*cb)(void *arg), void *arg);
/* Loop thread, after the worker has ended: finishes the answer (final chunk) and goes on with
 * keep-alive when all went well; `ok` false cuts the connection once the answer has begun. An
 * answer not begun must be given by the caller with http_reply afterwards, whatever `ok` is (the
 * request is still valid; ask http_io_begun before). io is invalid afterwards. */
void http_worker_give(struct http_io *io, bool ok);

/* ---- hijack ---------------------------------------------------------------------------------- */
/* Takes the connection over. Writes `101 UPGRADED` when the client asked for an upgrade, else
 * `200 OK`, with the content type. Returns the descriptor (blocking mode off, owned by the caller):
 * the socket itself on plain connections, one end of a socketpair that a relay serves on TLS.
 * *early (may be NULL, then they are lost) gets bytes that the client sent already. content_type
 * may be NULL. The request is gone afterwards, also on failure. -EPIPE when the client has gone. */
int http_hijack(struct http_req *r, const char *content_type, struct buf *early);
/* RFC 6455: answers the handshake and returns one end of a socketpair that carries the payloads of
 * text and binary frames (client to server: as they come; server to client: `binary` or text
 * frames). -EINVAL answers 400 itself. The request is gone afterwards. */
int http_websocket(struct http_req *r, bool binary);
