/* SPDX-License-Identifier: Apache-2.0 */

/* The server from end to end, with raw sockets. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "wire_server.h"

static struct client c;

static int setup(void **state) {
    wire_server_start(NULL, false, NULL);
    wire_connect(&c, NULL);
    return 0;
}

static int setup_tcp(void **state) {
    wire_server_start(NULL, true, NULL);
    wire_connect(&c, NULL);
    return 0;
}

static int setup_impatient(void **state) {
    static const struct http_timeouts t = {
        .idle = 200, .header = 100, .stall = 150, .linger = 50, .tick = 10};

    wire_server_start(NULL, false, &t);
    wire_connect(&c, NULL);
    return 0;
}

static int teardown(void **state) {
    client_close(&c);
    wire_server_stop();
    return 0;
}

static void ask(const char *request, int status, const char *body) {
    auto_answer a = {0};

    client_send(&c, request);
    client_answer(&c, false, &a);
    assert_int_equal(a.status, status);
    assert_string_equal(buf_str(&a.body), body);
}

#define HOST "Host: docker\r\n"

/* ---- requests and bodies --------------------------------------------------------------------- */

static void test_keep_alive(void **state) {
    for (int i = 0; i < 5; i++)
        ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    ask("GET /nowhere HTTP/1.1\r\n" HOST "\r\n", 404, "{}");
    ask("GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200, "hello");
    client_expect_end(&c);
    wire_wait_for(&wire_ended, 7);
}

static void test_http10(void **state) {
    ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "hello");
    ask("GET /stream HTTP/1.0\r\n\r\n", 200, "one two three");
    client_expect_end(&c);
}

static void test_head(void **state) {
    auto_answer a = {0};
    char value[32];

    client_send(&c, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&c, true, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(answer_header(&a, "Content-Length", value, sizeof(value)), "5");
    client_send(&c, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&c, true, &a);
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
}

static void test_pipelining(void **state) {
    auto_answer a = {0};

    client_send(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                    "GET /wait HTTP/1.1\r\n" HOST "\r\n"
                    "\r\nPOST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                    "2\r\nde\r\n0\r\n\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "abc");
    wire_wait_for(&wire_waiting, 1);
    {
        struct client other;
        auto_answer b = {0};

        wire_connect(&other, NULL);
        client_send(&other, "POST /release HTTP/1.1\r\n" HOST "\r\n");
        client_answer(&other, false, &b);
        assert_int_equal(b.status, 204);
        client_close(&other);
    }
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "released");
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "de");
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "hello");
}

static void test_byte_by_byte(void **state) {
    static const char text[] = "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n";
    auto_answer a = {0};

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        client_send_bytes(&c, text + i, 1);
        if (i % 16 == 0)
            (void)usleep(500);
    }
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "abcde");
}

static void test_continue(void **state) {
    client_send(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n"
                    "Expect: 100-continue\r\n\r\n");
    client_expect(&c, "HTTP/1.1 100 Continue\r\n\r\n");
    ask("ok", 200, "ok");
    client_send(&c, "POST /worker HTTP/1.1\r\n" HOST "Content-Length: 2\r\n"
                    "Expect: 100-continue\r\n\r\n");
    client_expect(&c, "HTTP/1.1 100 Continue\r\n\r\n");
    ask("ok", 200, "ok");
    /* Refused without reading: no 100, and no further request on this connection. */
    ask("POST /unread HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", 200,
        "unread");
    client_expect_end(&c);
}

static void test_unread_body(void **state) {
    auto_free char *body = xmalloc(1 << 20);
    auto_answer a = {0};

    ask("POST /unread HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345", 200, "unread");
    ask("POST /unread HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n",
        200, "unread");
    /* Too much to skip: the answer arrives all the same. */
    memset(body, 'x', 1 << 20);
    client_send(&c, "POST /unread HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
    client_send_bytes(&c, body, 300000);
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "unread");
    client_expect_end(&c);
}

static void test_body_limits(void **state) {
    auto_answer a = {0};

    ask("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n",
        413, "big");
    client_expect_end(&c);
    client_close(&c);
    wire_connect(&c, NULL);
    client_send(&c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    client_answer(&c, false, &a);
    assert_int_equal(a.status, 400);
    client_expect_end(&c);
}

static void test_stream(void **state) {
    auto_answer a = {0};
    char value[64];

    client_send(&c, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&c, false, &a);
    assert_true(a.chunked);
    assert_string_equal(buf_str(&a.body), "one two three");
    assert_null(answer_header(&a, "Injected", value, sizeof(value)));
    assert_string_equal(answer_header(&a, "X-Evil", value, sizeof(value)), "a  Injected: b");
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
}

static void test_big_answer(void **state) {
    auto_answer a = {0};

    client_send(&c, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    (void)usleep(20000);
    client_answer(&c, false, &a);
    assert_int_equal(a.body.len, 1 << 20);
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "hello");
}

static void test_slow_reader_is_cut(void **state) {
    struct client other;
    auto_answer a = {0};

    client_send(&c, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
    wire_connect(&other, NULL);
    client_send(&other, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&other, false, &a); /* the loop has been through /flood */
    assert_int_equal(atomic_load(&wire_worker_end), -EPIPE);
    client_close(&other);
}

static void test_abort(void **state) {
    client_send(&c, "GET /abort HTTP/1.1\r\n" HOST "\r\n");
    client_expect_end(&c);
}

/* ---- the client's end ------------------------------------------------------------------------ */

static void test_half_close(void **state) {
    auto_answer a = {0};

    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    wire_wait_for(&wire_waiting, 1);
    (void)usleep(20000);
    assert_int_equal(atomic_load(&wire_gone), 0);
    {
        struct client other;

        wire_connect(&other, NULL);
        client_send(&other, "POST /release HTTP/1.1\r\n" HOST "\r\n");
        client_answer(&other, false, &a);
        client_close(&other);
    }
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "released");
    client_expect_end(&c);
}

static void test_half_close_in_body(void **state) {
    client_send(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12");
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    client_expect_end(&c);
    wire_wait_for(&wire_ended, 1);
}

static void test_vanish(void **state) {
    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 1);
    client_close(&c);
    wire_wait_for(&wire_gone, 1);
    wire_wait_for(&wire_ended, 1);
    /* With a further request unread behind it. */
    wire_connect(&c, NULL);
    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 2);
    client_close(&c);
    wire_wait_for(&wire_gone, 2);
}

static void test_vanish_by_reset(void **state) {
    const struct linger now = {.l_onoff = 1};

    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 1);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    client_close(&c);
    wire_wait_for(&wire_gone, 1);
}

static void test_stop_cuts_waiting(void **state) {
    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 1);
    wire_server_stop();
    assert_int_equal(atomic_load(&wire_gone), 1);
    client_expect_end(&c);
    wire_server_start(NULL, false, NULL);
}

static void test_timeouts(void **state) {
    int64_t start = clock_mono_ns();

    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    client_expect_end(&c); /* idle */
    assert_in_range(clock_mono_ns() - start, 190 * NS_PER_MS, 5000 * NS_PER_MS);
    client_close(&c);
    wire_connect(&c, NULL);
    start = clock_mono_ns();
    for (int i = 0; i < 100 && clock_mono_ns() - start < 3 * NS_PER_SEC; i++) {
        char byte;

        (void)send(c.fd, "G", 1, MSG_NOSIGNAL); /* a head that never ends */
        if (recv(c.fd, &byte, 1, MSG_DONTWAIT) == 0)
            break;
        (void)usleep(10000);
    }
    assert_in_range(clock_mono_ns() - start, 90 * NS_PER_MS, 900 * NS_PER_MS);
    client_close(&c);
    wire_connect(&c, NULL);
    client_send(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12");
    client_expect_end(&c);
    client_close(&c);
    wire_connect(&c, NULL);
    client_send(&c, "POST /worker HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12");
    client_expect_end(&c);
    wire_wait_for(&wire_ended, 3);
    assert_int_equal(atomic_load(&wire_worker_end), -ETIMEDOUT);
    client_close(&c);
    /* A handler may take its time. */
    wire_connect(&c, NULL);
    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    (void)usleep(400000);
    assert_int_equal(atomic_load(&wire_gone), 0);
}

/* ---- workers --------------------------------------------------------------------------------- */

static void reap(pid_t pid) {
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_worker(void **state) {
    auto_free char *body = xmalloc(3000000);
    auto_answer a = {0};
    char head[128];

    for (int i = 0; i < 3000000; i++)
        body[i] = (char)(i * 7 + i / 251);
    ask("GET /worker HTTP/1.1\r\n" HOST "\r\n", 200, "");
    ask("POST /worker HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345", 200, "12345");
    ask("POST /worker HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
        200, "abcdefg");
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    /* Both directions at once, by length and in chunks. */
    for (int chunked = 0; chunked < 2; chunked++) {
        pid_t pid;

        (void)snprintf(head, sizeof(head), "POST /worker HTTP/1.1\r\n" HOST "%s\r\n\r\n",
                       chunked ? "Transfer-Encoding: chunked" : "Content-Length: 3000000");
        client_send(&c, head);
        pid = fork();
        if (pid == 0) {
            int r = 0;

            for (size_t sent = 0; r == 0 && sent < 3000000; sent += 30000) {
                if (chunked)
                    r = io_write_all(c.fd, "7530\r\n", 6);
                if (r == 0)
                    r = io_write_all(c.fd, body + sent, 30000);
                if (r == 0 && chunked)
                    r = io_write_all(c.fd, "\r\n", 2);
            }
            if (r == 0 && chunked)
                r = io_write_all(c.fd, "0\r\n\r\n", 5);
            _exit(r != 0);
        }
        client_answer(&c, false, &a);
        assert_int_equal(a.body.len, 3000000);
        assert_memory_equal(a.body.data, body, 3000000);
        reap(pid);
    }
}

static void test_worker_fails_before_answer(void **state) {
    ask("POST /worker-fail HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345", 500, "failed");
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    ask("POST /worker-fail HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400,
        "failed");
    client_expect_end(&c);
}

/* What is still in the buffer is taken back; what has left cannot be. */
static void test_worker_fails_after_beginning(void **state) {
    static char body[HTTP_WORKER_BUFFER + 20000], data[2 * sizeof(body)];
    auto_free char *head = xasprintf(
        "POST /worker-late HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", sizeof(body));
    size_t len = 0, n;

    ask("POST /worker-late HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345", 500, "failed");
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    memset(body, 'x', sizeof(body));
    client_send(&c, head);
    client_send_bytes(&c, body, sizeof(body));
    while (len < sizeof(data) && (n = client_read(&c, data + len, sizeof(data) - len)) > 0)
        len += n;
    assert_memory_equal(data, "HTTP/1.1 200 OK", 15);
    assert_in_range(len, HTTP_WORKER_BUFFER / 2, sizeof(data) - 1);
    assert_memory_not_equal(data + len - 5, "0\r\n\r\n", 5); /* cut, not ended */
}

static void test_worker_client_vanishes(void **state) {
    client_send(&c, "GET /worker-wait HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 1);
    client_close(&c);
    wire_wait_for(&wire_io_gone, 1);
    wire_wait_for(&wire_ended, 1);
    assert_int_equal(atomic_load(&wire_worker_end), -ECANCELED);
    wire_connect(&c, NULL);
    client_send(&c, "POST /worker HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12");
    client_close(&c);
    wire_wait_for(&wire_ended, 2);
    assert_int_equal(atomic_load(&wire_worker_end), -ECONNRESET);
}

static void test_stop_with_worker(void **state) {
    client_send(&c, "GET /worker-wait HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 1);
    wire_server_stop();
    assert_int_equal(atomic_load(&wire_ended), 1);
    assert_int_equal(atomic_load(&wire_io_gone), 1);
    wire_server_start(NULL, false, NULL);
}

/* ---- hijack ---------------------------------------------------------------------------------- */

static void test_hijack(void **state) {
    client_send(&c, "POST /hijack HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
                    "early ");
    client_expect(&c, "HTTP/1.1 101 UPGRADED\r\n"
                      "Content-Type: application/vnd.docker.raw-stream\r\n"
                      "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ");
    client_send(&c, "later");
    client_expect(&c, "later");
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    client_expect(&c, "bye");
    client_expect_end(&c);
}

static void test_hijack_old_way(void **state) {
    client_send(&c, "POST /hijack HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&c, "HTTP/1.1 200 OK\r\n"
                      "Content-Type: application/vnd.docker.raw-stream\r\n\r\n");
    client_send(&c, "x");
    client_expect(&c, "x");
}

#define WS_HELLO                                                                                   \
    "GET /ws HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"        \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void ws_begin(void) {
    client_send(&c, WS_HELLO "Sec-WebSocket-Protocol: raw, other\r\n\r\n");
    client_expect(&c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\n"
                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                      "Sec-WebSocket-Protocol: raw\r\n\r\n");
}

static void ws_send(unsigned first, const char *payload, size_t n) {
    static const unsigned char mask[4] = {1, 2, 3, 250};
    unsigned char head[14] = {(unsigned char)first, (unsigned char)(0x80 | (n < 126 ? n : 127))};
    size_t len = 2;
    auto_free char *masked = xmemdup(payload, n + 1);

    for (int i = 7; n >= 126 && i >= 0; i--)
        head[len++] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(head + len, mask, 4);
    for (size_t i = 0; i < n; i++)
        masked[i] = (char)(masked[i] ^ mask[i & 3]);
    client_send_bytes(&c, head, len + 4);
    client_send_bytes(&c, masked, n);
}

/* The payload of what comes, frames of `opcode`, n bytes in all. */
static void ws_expect(unsigned opcode, const char *payload, size_t n) {
    auto_buf b = BUF_INIT;

    while (b.len < n) {
        unsigned char head[2];
        size_t len, got;

        assert_int_equal(client_read(&c, &head[0], 1), 1);
        assert_int_equal(client_read(&c, &head[1], 1), 1);
        assert_int_equal(head[0], 0x80 | opcode);
        len = head[1];
        if (len == 126) {
            unsigned char more[2];

            assert_int_equal(client_read(&c, &more[0], 1), 1);
            assert_int_equal(client_read(&c, &more[1], 1), 1);
            len = (size_t)more[0] << 8 | more[1];
        }
        assert_true(len < 65536);
        assert_true(buf_reserve(&b, len));
        for (; len > 0; len -= got) {
            got = client_read(&c, b.data + b.len, len);
            assert_true(got > 0);
            b.len += got;
        }
    }
    assert_int_equal(b.len, n);
    assert_memory_equal(b.data, payload, n);
}

static void test_websocket(void **state) {
    ws_begin();
    ws_send(0x81, "hello", 5);
    ws_expect(2, "hello", 5);
    ws_send(0x01, "frag", 4);
    ws_expect(2, "frag", 4);
    ws_send(0x89, "ping", 4); /* between the fragments */
    ws_expect(10, "ping", 4);
    ws_send(0x80, "ment", 4);
    ws_expect(2, "ment", 4);
    ws_send(0x82, "", 0);
    ws_send(0x8a, "pong", 4);
    ws_send(0x82, "end", 3);
    ws_expect(2, "end", 3);
}

static void test_websocket_big(void **state) {
    auto_free char *big = xcalloc(1, 300001);
    pid_t pid;

    for (int i = 0; i < 300000; i++)
        big[i] = (char)(i % 253);
    ws_begin();
    pid = fork(); /* the echo must be read meanwhile: every queue on the way is bounded */
    if (pid == 0) {
        ws_send(0x82, big, 300000);
        _exit(0);
    }
    ws_expect(2, big, 300000);
    reap(pid);
    ws_send(0x88, "\x03\xe8", 2);
    /* The handler's bye may come before the answer to the close, and never after. */
    {
        char all[64];
        size_t n = 0, got;

        while (n < sizeof(all) && (got = client_read(&c, all + n, sizeof(all) - n)) > 0)
            n += got;
        assert_true(n >= 4);
        assert_memory_equal(all + n - 4, "\x88\x02\x03\xe8", 4);
    }
}

static void test_websocket_unmasked(void **state) {
    ws_begin();
    client_send_bytes(&c, "\x81\x01x", 3);
    client_expect(&c, "\x88\x02\x03\xea");
    client_expect_end(&c);
}

static void test_websocket_refused(void **state) {
    auto_answer a = {0};

    client_send(&c, "GET /ws HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&c, false, &a);
    assert_int_equal(a.status, 400);
    client_send(&c, "GET /ws HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n");
    client_answer(&c, false, &a);
    assert_int_equal(a.status, 400);
}

/* ---- hostile clients ------------------------------------------------------------------------- */

static void test_refusals(void **state) {
    auto_answer a = {0};

    client_send(&c, "GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n");
    client_answer(&c, false, &a);
    assert_int_equal(a.status, 400);
    assert_true(a.close);
    client_expect_end(&c);
    assert_int_equal(atomic_load(&wire_ended), 0);
}

/* Every connection breaks another way; what they cost does not add up. */
static void test_malformed_requests_leak_nothing(void **state) {
    static const char *const bad[] = {
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\r\n" HOST " x: y\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nq",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n123",
        "POST /worker HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n123",
        "GET /wait HTTP/1.1\r\n" HOST "\r\nrest",
        "\x16\x03\x01",
        "GET / HTTP/3.0\r\n\r\n",
        "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n",
        "",
    };
    size_t before = 0, after;

    for (int round = 0; round < 10000; round++) {
        struct client other;
        const char *text = bad[round % 10];

        if (round == 1000)
            before = mallinfo2().uordblks;
        wire_connect(&other, NULL);
        (void)send(other.fd, text, strlen(text), MSG_NOSIGNAL);
        client_close(&other);
    }
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    after = mallinfo2().uordblks; /* zeros under a sanitizer, which counts by itself */
    assert_true(after < before + (1 << 20));
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
}

static void test_idle_connections_are_small(void **state) {
    enum { COUNT = 500 };
    struct client many[COUNT];
    size_t before, after;
    auto_answer a = {0};

    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    before = mallinfo2().uordblks;
    for (int i = 0; i < COUNT; i++) {
        wire_connect(&many[i], NULL);
        client_send(&many[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_answer(&many[i], false, &a);
    }
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    after = mallinfo2().uordblks;
    assert_true(after < before + COUNT * 2048);
    for (int i = 0; i < COUNT; i++)
        client_close(&many[i]);
}

/* The thousandth and first takes the place of one that is idle. */
static void test_connection_limit(void **state) {
    static struct client many[HTTP_CONNS_MAX];
    auto_answer a = {0};

    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello");
    for (unsigned i = 0; i < HTTP_CONNS_MAX; i++) {
        wire_connect(&many[i], NULL);
        client_send(&many[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        client_answer(&many[i], false, &a);
        assert_int_equal(a.status, 200);
    }
    client_expect_end(&c);
    for (unsigned i = 0; i < HTTP_CONNS_MAX; i++)
        client_close(&many[i]);
}

static void test_browsers(void **state) {
    ask("GET /hello HTTP/1.1\r\nHost: any.name:2375\r\n\r\n", 200, "hello");
    ask("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:2375\r\nOrigin: http://127.0.0.1:2375\r\n\r\n", 200,
        "hello");
    ask("GET /hello HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n", 403,
        "403 Forbidden: host not allowed");
    client_expect_end(&c);
    client_close(&c);
    wire_connect(&c, NULL);
    ask("POST /hello HTTP/1.1\r\nHost: localhost:2375\r\nOrigin: http://evil.example\r\n\r\n", 403,
        "403 Forbidden: origin not allowed");
}

int main(void) {
#define T(f)   cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TCP(f) cmocka_unit_test_setup_teardown(f, setup_tcp, teardown)
    const struct CMUnitTest tests[] = {
        T(test_keep_alive),
        T(test_http10),
        T(test_head),
        T(test_pipelining),
        T(test_byte_by_byte),
        T(test_continue),
        T(test_unread_body),
        TCP(test_unread_body),
        T(test_body_limits),
        T(test_stream),
        T(test_big_answer),
        T(test_slow_reader_is_cut),
        T(test_abort),
        T(test_half_close),
        TCP(test_half_close),
        T(test_half_close_in_body),
        T(test_vanish),
        TCP(test_vanish_by_reset),
        T(test_stop_cuts_waiting),
        cmocka_unit_test_setup_teardown(test_timeouts, setup_impatient, teardown),
        T(test_worker),
        TCP(test_worker),
        T(test_worker_fails_before_answer),
        T(test_worker_fails_after_beginning),
        T(test_worker_client_vanishes),
        T(test_stop_with_worker),
        T(test_hijack),
        T(test_hijack_old_way),
        T(test_websocket),
        T(test_websocket_big),
        T(test_websocket_unmasked),
        T(test_websocket_refused),
        T(test_refusals),
        T(test_malformed_requests_leak_nothing),
        T(test_idle_connections_are_small),
        T(test_connection_limit),
        TCP(test_browsers),
    };

    struct rlimit files;

    /* Both ends of the thousand connections of test_connection_limit are ours. */
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return 1;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return 1;
    /* mallinfo2 tells of the main arena, so that one must be the server's as well. (Sanitizers
     * have an allocator of their own and take no options.) */
    (void)mallopt(M_ARENA_MAX, 1);
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
