/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

atomic_uint wire_gone, wire_waiting, wire_io_gone, wire_ended;
atomic_int wire_worker_end;

static struct loop *l;
static struct http_server *server;
static pthread_t thread;
static char path[108];
static in_port_t port;

/* ---- handlers -------------------------------------------------------------------------------- */

/* /wait holds one request; /release answers it. */
static struct http_req *held;

static void held_gone(void *arg) {
    held = NULL;
    atomic_fetch_add(&wire_gone, 1);
}

static void wait_for_release(struct http_req *r) {
    held = r;
    http_req_on_close(r, held_gone, NULL);
    atomic_fetch_add(&wire_waiting, 1);
}

static void release(struct http_req *r) {
    struct http_req *h = held;

    held = NULL;
    if (h)
        http_reply(h, 200, "text/plain", NULL, "released", 8);
    http_reply(r, 204, NULL, NULL, NULL, 0);
}

static void echo_body(void *arg, struct http_req *r, struct buf *body, int error) {
    if (error == -EFBIG)
        http_reply(r, 413, "text/plain", NULL, "big", 3);
    else if (error == -EINVAL)
        http_reply(r, 400, "text/plain", NULL, "bad", 3);
    else if (error)
        http_abort(r);
    else
        http_reply(r, 200, "text/plain", NULL, buf_str(body), body->len);
}

static void stream(struct http_req *r) {
    const struct http_header extra[] = {{"X-Evil", "a\r\nInjected: b"}, {NULL, NULL}};

    http_stream_begin(r, 200, "text/plain", extra);
    (void)http_stream_write(r, "one ", 4);
    (void)http_stream_write(r, "", 0);
    (void)http_stream_write(r, "two ", 4);
    (void)http_stream_write(r, "three", 5);
    http_stream_end(r);
}

/* Far more than any socket buffer holds. */
static void flood(struct http_req *r) {
    static const char block[65536];
    ssize_t n = 0;

    http_stream_begin(r, 200, "text/plain", NULL);
    for (int i = 0; i < 1000 && n >= 0; i++)
        n = http_stream_write(r, block, sizeof(block));
    atomic_store(&wire_worker_end, (int)n);
    http_stream_end(r);
}

struct work {
    struct http_req *r;
    struct http_io *io;
    bool fail, wait, late; /* late: fails when all has been written */
    int error;
};

static int echo_work(struct job *j, void *arg) {
    struct work *w = arg;
    char piece[10000];
    ssize_t n;

    if (w->wait) {
        struct pollfd p = {.fd = http_io_fd(w->io), .events = POLLIN};

        return poll(&p, 1, 10000) == 1 ? -ECANCELED : -ETIMEDOUT;
    }
    while ((n = http_io_body(w->io)->read(http_io_body(w->io), piece, sizeof(piece))) > 0) {
        int r = 0;

        if (w->fail)
            continue;
        if (!http_io_begun(w->io))
            r = http_io_begin(w->io, 200, "application/x-tar", NULL);
        if (r == 0)
            r = http_io_writer(w->io)->write(http_io_writer(w->io), piece, (size_t)n);
        if (r < 0)
            return r;
    }
    if (w->late)
        return -EIO;
    if (n == 0 && !w->fail && !http_io_begun(w->io))
        return http_io_begin(w->io, 200, "application/x-tar", NULL);
    return (int)n;
}

static void echo_work_done(void *arg, int r) {
    struct work *w = arg;
    bool begun = http_io_begun(w->io) && !(w->late && http_io_take_back(w->io));

    http_worker_give(w->io, r == 0 || (w->late && !begun));
    if (!begun)
        http_reply(w->r, r == -EBADMSG ? 400 : 500, "text/plain", NULL, "failed", 6);
    atomic_store(&wire_worker_end, r);
    free(w);
}

static void on_io_gone(void *arg) {
    atomic_fetch_add(&wire_io_gone, 1);
}

static void worker(struct http_req *r, bool fail, bool wait, bool late) {
    struct work *w = xnew(struct work);

    w->r = r;
    w->fail = fail;
    w->wait = wait;
    w->late = late;
    w->io = http_worker_take(r);
    if (wait) {
        http_io_on_gone(w->io, on_io_gone, NULL);
        atomic_fetch_add(&wire_waiting, 1);
    }
    (void)job_start(l, JOB_STREAM, echo_work, echo_work_done, w);
}

struct hijacked {
    int fd;
    struct buf early;
};

/* Echoes until the client ends its direction, then says bye. */
static int echo_raw(struct job *j, void *arg) {
    struct hijacked *h = arg;
    char piece[4096];
    ssize_t n;

    if (io_set_nonblock(h->fd, false) < 0)
        return -EIO;
    if (h->early.len > 0)
        (void)send(h->fd, h->early.data, h->early.len, MSG_NOSIGNAL);
    while ((n = read(h->fd, piece, sizeof(piece))) > 0) {
        for (ssize_t at = 0, put; at < n; at += put) {
            put = send(h->fd, piece + at, (size_t)(n - at), MSG_NOSIGNAL);
            if (put <= 0)
                return -EPIPE;
        }
    }
    (void)send(h->fd, "bye", 3, MSG_NOSIGNAL);
    return 0;
}

static void echo_raw_done(void *arg, int r) {
    struct hijacked *h = arg;

    (void)fd_close(h->fd);
    buf_done(&h->early);
    free(h);
}

static void take_over(struct http_req *r, bool websocket) {
    struct hijacked *h = xnew(struct hijacked);

    h->fd = websocket ? http_websocket(r, true)
                      : http_hijack(r, "application/vnd.docker.raw-stream", &h->early);
    if (h->fd < 0)
        free(h);
    else
        (void)job_start(l, JOB_STREAM, echo_raw, echo_raw_done, h);
}

static void big(struct http_req *r) {
    auto_free char *body = xmalloc(1 << 20);

    memset(body, 'b', 1 << 20);
    http_reply(r, 200, "text/plain", NULL, body, 1 << 20);
}

static void ended(void *arg) {
    atomic_fetch_add(&wire_ended, 1);
}

static void on_request(void *arg, struct http_req *r) {
    const char *p = http_req_path(r);

    http_req_set_user(r, r, ended);
    if (str_eq(p, "/hello"))
        http_reply(r, 200, "text/plain", NULL, "hello", 5);
    else if (str_eq(p, "/echo"))
        http_req_read_body(r, 1 << 20, echo_body, NULL);
    else if (str_eq(p, "/unread"))
        http_reply(r, 200, "text/plain", NULL, "unread", 6);
    else if (str_eq(p, "/stream"))
        stream(r);
    else if (str_eq(p, "/flood"))
        flood(r);
    else if (str_eq(p, "/big"))
        big(r);
    else if (str_eq(p, "/wait"))
        wait_for_release(r);
    else if (str_eq(p, "/release"))
        release(r);
    else if (str_eq(p, "/worker"))
        worker(r, false, false, false);
    else if (str_eq(p, "/worker-late"))
        worker(r, false, false, true);
    else if (str_eq(p, "/worker-fail"))
        worker(r, true, false, false);
    else if (str_eq(p, "/worker-wait"))
        worker(r, false, true, false);
    else if (str_eq(p, "/hijack"))
        take_over(r, false);
    else if (str_eq(p, "/ws"))
        take_over(r, true);
    else if (str_eq(p, "/abort"))
        http_abort(r);
    else
        http_reply(r, 404, "application/json", NULL, "{}", 2);
}

/* ---- the server ------------------------------------------------------------------------------ */

static int listen_somewhere(bool tcp) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    port = 0;
    path[0] = '\0';
    if (tcp) {
        assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
        port = in.sin_port;
    } else {
        (void)snprintf(path, sizeof(path), "/tmp/fence-test-wire-%d.sock", (int)getpid());
        (void)unlink(path);
        memcpy(un.sun_path, path, sizeof(path));
        assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    }
    assert_int_equal(listen(fd, 128), 0);
    return fd;
}

static void *run(void *arg) {
    (void)loop_run(l);
    http_server_free(server);
    loop_free(l);
    return NULL;
}

void wire_server_start(struct ssl_ctx_st *ctx, bool tcp, const struct http_timeouts *t) {
    const struct http_listener_options o = {.label = "test", .tls = ctx, .is_tcp = tcp};

    atomic_store(&wire_gone, 0);
    atomic_store(&wire_waiting, 0);
    atomic_store(&wire_io_gone, 0);
    atomic_store(&wire_ended, 0);
    atomic_store(&wire_worker_end, 1);
    held = NULL;
    l = loop_new();
    server = http_server_new(l, on_request, NULL);
    if (t)
        http_server_set_timeouts(server, t);
    assert_int_equal(http_server_listen(server, listen_somewhere(tcp), &o), 0);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
}

void wire_server_stop(void) {
    loop_stop(l);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (path[0])
        (void)unlink(path);
}

void wire_connect(struct client *c, SSL_CTX *client_ctx) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    *c = (struct client){.fd = socket(port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(c->fd >= 0);
    memcpy(un.sun_path, path, sizeof(path));
    in.sin_port = port;
    if (port)
        assert_int_equal(connect(c->fd, (struct sockaddr *)&in, sizeof(in)), 0);
    else
        assert_int_equal(connect(c->fd, (struct sockaddr *)&un, sizeof(un)), 0);
    if (client_ctx) {
        c->ssl = SSL_new(client_ctx);
        assert_non_null(c->ssl);
        assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
        SSL_set_connect_state(c->ssl);
    }
}

void wire_wait_for(atomic_uint *value, unsigned want) {
    for (int i = 0; i < 5000 && atomic_load(value) < want; i++)
        (void)usleep(1000);
    assert_true(atomic_load(value) >= want);
}
