/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The blocking use of a connection by a worker thread.
 *
 * Between take and give the transport, the buffers, `body`, `keep_alive` and `read_eof` of the
 * connection are the worker's. The loop only watches for a hangup: it looks at `phase`, `watch` and
 * `req`, which are not written here.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/http_conn.h"

/* Room for "%08zx\r\n", filled in when the chunk is complete. */
#define CHUNK_HEAD_SIZE 10

struct http_io {
    struct reader reader;
    struct writer writer;
    struct http_req *r;
    struct http_conn *c; /* NULL when the client had gone already */
    int stall_ms;
    int error; /* of the transport: sticky */
    bool begun, has_body, chunked;
    bool sent;       /* some of the answer has left */
    size_t begun_at; /* in out */
    bool chunk_open;
    size_t chunk_at; /* in out */
    void (*on_gone)(void *arg);
    void *on_gone_arg;
};

/* ---- transport ------------------------------------------------------------------------------- */

static int io_fail(struct http_io *io, int error) {
    if (!io->error)
        io->error = error;
    return io->error;
}

static int io_wait(struct http_io *io, unsigned wants) {
    struct pollfd p = {.fd = io->c->x.fd, .events = wants == LOOP_WRITE ? POLLOUT : POLLIN};
    int r;

    do
        r = poll(&p, 1, io->stall_ms);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return io_fail(io, -errno);
    return r == 0 ? io_fail(io, -ETIMEDOUT) : 0;
}

static int io_flush(struct http_io *io) {
    struct http_conn *c = io->c;

    while (!io->error && http_out_left(c) > 0) {
        ssize_t n = xport_write(&c->x, c->out.data + c->out_off, http_out_left(c));

        if (n == -EAGAIN)
            (void)io_wait(io, c->x.write_wants);
        else if (n < 0)
            (void)io_fail(io, (int)n);
        else
            c->out_off += (size_t)n;
    }
    io->sent |= io->begun;
    buf_clear(&c->out);
    c->out_off = 0;
    return io->error;
}

/* More of the body into `in`: 0 or -errno. */
static int io_fill(struct http_io *io) {
    struct http_conn *c = io->c;
    ssize_t n;

    while (!io->error) {
        n = http_conn_fill(c, HTTP_WORKER_BUFFER);
        if (n > 0)
            return 0;
        if (n == -EAGAIN)
            (void)io_wait(io, c->x.read_wants);
        else
            (void)io_fail(io, n == 0 ? -ECONNRESET : (int)n);
    }
    return io->error;
}

/* ---- the body -------------------------------------------------------------------------------- */

/* A body of known length needs no buffer in between. */
static ssize_t read_direct(struct http_io *io, void *p, size_t n) {
    struct http_conn *c = io->c;
    ssize_t got;

    n = n < c->body.left ? n : (size_t)c->body.left;
    while (!io->error) {
        got = xport_read(&c->x, p, n);
        if (got > 0) {
            c->body.left -= (uint64_t)got;
            c->body.done = c->body.left == 0;
            return got;
        }
        if (got == -EAGAIN)
            (void)io_wait(io, c->x.read_wants);
        else
            (void)io_fail(io, got == 0 ? -ECONNRESET : (int)got);
    }
    return io->error;
}

static ssize_t io_read(struct reader *reader, void *p, size_t n) {
    struct http_io *io = container_of(reader, struct http_io, reader);
    struct http_conn *c = io->c;
    const char *data;
    size_t len;
    int r;

    if (io->error)
        return io->error;
    if (n == 0 || c->body.done)
        return 0;
    if (c->body.expect_continue) {
        http_body_continue(c);
        r = io_flush(io);
        if (r < 0)
            return r;
    }
    for (;;) {
        if (!c->body.chunked && http_in_left(c) == 0 && n >= HTTP_READ_SIZE)
            return read_direct(io, p, n);
        r = http_body_next(c, n, &data, &len);
        if (r < 0)
            return r;
        if (r > 0) {
            memcpy(p, data, len);
            return (ssize_t)len;
        }
        if (c->body.done)
            return 0;
        r = io_fill(io);
        if (r < 0)
            return r;
    }
}

struct reader *http_io_body(struct http_io *io) {
    return &io->reader;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void chunk_close(struct http_io *io) {
    struct buf *out = &io->c->out;
    char head[CHUNK_HEAD_SIZE + 1];
    size_t n;

    if (!io->chunk_open)
        return;
    io->chunk_open = false;
    n = out->len - io->chunk_at - CHUNK_HEAD_SIZE;
    if (n == 0) { /* an empty chunk would be the last one */
        out->len = io->chunk_at;
        return;
    }
    (void)snprintf(head, sizeof(head), "%08zx\r\n", n & 0xffffffff);
    memcpy(out->data + io->chunk_at, head, CHUNK_HEAD_SIZE);
    (void)buf_puts(out, "\r\n");
}

static void chunk_open(struct http_io *io) {
    struct buf *out = &io->c->out;

    if (!io->chunked || io->chunk_open)
        return;
    io->chunk_open = true;
    io->chunk_at = out->len;
    (void)buf_append(out, "00000000\r\n", CHUNK_HEAD_SIZE);
}

int http_io_begin(struct http_io *io, int status, const char *content_type,
                  const struct http_header *extra) {
    if (io->begun)
        return -EALREADY;
    io->begun = true;
    io->has_body = http_status_has_body(status) && !io->r->is_head;
    if (io->error)
        return io->error;
    io->begun_at = io->c->out.len;
    io->chunked = http_format_stream_head(io->c, io->r, status, content_type, extra);
    return 0;
}

bool http_io_begun(const struct http_io *io) {
    return io->begun;
}

bool http_io_take_back(struct http_io *io) {
    if (!io->begun || io->sent || io->error)
        return false;
    io->c->out.len = io->begun_at;
    io->begun = io->chunk_open = io->chunked = false;
    return true;
}

int http_io_flush(struct http_io *io) {
    if (io->error)
        return io->error;
    chunk_close(io);
    return io_flush(io);
}

static int io_write(struct writer *writer, const void *p, size_t n) {
    struct http_io *io = container_of(writer, struct http_io, writer);
    const char *s = p;

    if (!io->begun)
        return -EINVAL;
    while (!io->error && io->has_body && n > 0) {
        size_t room, part;

        chunk_open(io);
        room = http_out_left(io->c) < HTTP_WORKER_BUFFER ? HTTP_WORKER_BUFFER - http_out_left(io->c)
                                                         : 0;
        part = n < room ? n : room;
        (void)buf_append(&io->c->out, s, part);
        s += part;
        n -= part;
        if (part == room)
            (void)http_io_flush(io);
    }
    return io->error;
}

struct writer *http_io_writer(struct http_io *io) {
    return &io->writer;
}

bool http_io_ready(const struct http_io *io) {
    struct pollfd p = {.events = POLLOUT};

    if (io->error)
        return false;
    p.fd = io->c->x.fd;
    return http_out_left(io->c) == 0 && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

int http_io_fd(const struct http_io *io) {
    return io->c ? io->c->x.fd : -1;
}

/* ---- take and give --------------------------------------------------------------------------- */

struct http_io *http_worker_take(struct http_req *r) {
    struct http_io *io = xnew(struct http_io);

    io->reader.read = io_read;
    io->writer.write = io_write;
    io->r = r;
    r->io = io;
    if (r->conn && r->conn->broken)
        http_conn_close(r->conn);
    io->c = r->conn;
    if (!io->c) {
        io->error = -EPIPE;
        return io;
    }
    io->stall_ms = (int)io->c->server->timeouts.stall;
    io->c->refs++;
    io->c->phase = HTTP_WORKER;
    http_conn_arm(io->c);
    return io;
}

void http_io_on_gone(struct http_io *io, void (*cb)(void *arg), void *arg) {
    io->on_gone = cb;
    io->on_gone_arg = arg;
    if (io->c)
        http_conn_arm(io->c);
}

bool http_io_wants_gone(const struct http_io *io) {
    return io->on_gone != NULL;
}

void http_io_gone(struct http_io *io) {
    void (*cb)(void *) = io->on_gone;

    io->on_gone = NULL;
    if (cb)
        cb(io->on_gone_arg);
}

/* The connection is the loop's again. */
static void conn_return(struct http_io *io, bool ok) {
    struct http_conn *c = io->c;
    struct http_req *r = io->r;

    c->phase = HTTP_BUSY;
    c->parked = true;
    c->stamp_ms = http_now_ms();
    if (!c->server || io->error) {
        c->broken = true;
    } else if (io->begun && !ok) {
        c->broken = true;
    } else if (io->begun) {
        chunk_close(io);
        if (io->chunked)
            (void)buf_puts(&c->out, "0\r\n\r\n");
    } else if (!ok) {
        c->keep_alive = false;
    }
    if (c->broken) {
        http_conn_close(c); /* and leaves the request alone */
        if (io->begun)
            http_req_end(r);
    } else if (io->begun) {
        http_answer_end(r);
    } else {
        http_conn_schedule(c);
    }
}

void http_worker_give(struct http_io *io, bool ok) {
    struct http_conn *c = io->c;

    io->r->io = NULL;
    if (c) {
        conn_return(io, ok);
        http_conn_unref(c);
    } else if (io->begun) {
        http_req_end(io->r);
    }
    free(io);
}
