/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against a server of canned answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/client.h"
#include "format/json.h"

#define ANSWERS_MAX 4

/* Accepts connections and sends one answer for each request head; an answer that starts with '-'
 * closes the connection after it. */
struct server {
    pthread_t thread;
    int fd;
    char path[64];
    const char *answers[ANSWERS_MAX + 1];
    char requests[ANSWERS_MAX][512];
};

static void *serve(void *arg) {
    struct server *s = arg;
    int fd = -1;

    for (int i = 0; i < ANSWERS_MAX && s->answers[i]; i++) {
        const char *answer = s->answers[i];
        size_t n = 0;

        if (fd < 0)
            fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        while (n + 1 < sizeof s->requests[i]) {
            ssize_t got = read(fd, s->requests[i] + n, sizeof s->requests[i] - 1 - n);

            if (got <= 0)
                break;
            n += (size_t)got;
            s->requests[i][n] = '\0';
            if (strstr(s->requests[i], "\r\n\r\n"))
                break;
        }
        if (io_write_all(fd, answer + (*answer == '-'), strlen(answer) - (*answer == '-')) < 0)
            break;
        if (*answer == '-')
            fd = fd_close(fd);
    }
    fd_close(fd);
    return NULL;
}

static void server_start(struct server *s, struct client *c) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    auto_free char *host = NULL;
    static int number;

    snprintf(s->path, sizeof s->path, "/tmp/fence-test-cli-%d-%d", (int)getpid(), number++);
    memcpy(sa.sun_path, s->path, strlen(s->path) + 1);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(s->fd, 8), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    host = xasprintf("unix://%s", s->path);
    assert_int_equal(client_init(c, host, "Fence", NULL, NULL), 0);
}

static void server_stop(struct server *s, struct client *c) {
    client_done(c);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    close(s->fd);
    unlink(s->path);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void bodies(void **state) {
    struct server s = {.answers = {OK "Content-Length: 9\r\n\r\n{\"a\":\"1\"}",
                                   OK "Transfer-Encoding: chunked\r\n\r\n"
                                      "3\r\n{\"a\r\n6;x=y\r\n\":\"2\"}\r\n0\r\nT: x\r\n\r\n",
                                   "-HTTP/1.0 200 OK\r\n\r\n{\"a\":\"3\"}"}};
    struct client c;

    server_start(&s, &c);
    for (int i = 0; i < 3; i++) {
        auto_json *o = NULL;
        char want[] = {(char)('1' + i), '\0'};

        assert_int_equal(client_get_json(&c, "/x", "q=1", &o, NULL), 0);
        assert_string_equal(jsn_str(o, "a"), want);
    }
    assert_true(str_starts(s.requests[0], "GET /v" CLIENT_API_VERSION "/x?q=1 HTTP/1.1\r\n"));
    server_stop(&s, &c);
}

static void errors(void **state) {
    struct server s = {.answers = {"HTTP/1.1 404 Not Found\r\nContent-Length: 30\r\n\r\n"
                                   "{\"message\":\"No such thing: x\"}",
                                   "-HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"}};
    struct client c;
    auto_json *o = NULL;
    auto_err e = ERR_INIT;

    server_start(&s, &c);
    assert_true(client_get_json(&c, "/x", NULL, &o, &e) < 0);
    assert_int_equal(e.class, ERR_NOT_FOUND);
    assert_string_equal(err_msg(&e), "Error response from daemon: No such thing: x");
    err_done(&e);
    assert_true(client_get_json(&c, "/x", NULL, &o, &e) < 0);
    server_stop(&s, &c);
    assert_int_equal(client_init(&c, "unix:///nonexistent/fence.sock", "Fence", NULL, NULL), 0);
    err_done(&e);
    assert_true(client_get_json(&c, "/x", NULL, &o, &e) < 0);
    assert_string_equal(err_msg(&e),
                        "Cannot connect to the Fence daemon at "
                        "unix:///nonexistent/fence.sock. Is the fence daemon running?");
    client_done(&c);
}

static void older_daemon(void **state) {
    static const char *const message =
        "{\"message\":\"client version 1.51 is too new. Maximum supported API version is 1.41\"}";
    auto_free char *refusal = xasprintf("HTTP/1.1 400 Bad Request\r\nContent-Length: %zu\r\n\r\n%s",
                                        strlen(message), message);
    struct server s = {.answers = {refusal, OK "Content-Length: 2\r\n\r\n{}"}};
    struct client c;
    auto_json *o = NULL;

    server_start(&s, &c);
    assert_int_equal(client_get_json(&c, "/x", NULL, &o, NULL), 0);
    assert_string_equal(c.version, "1.41");
    assert_true(str_starts(s.requests[1], "GET /v1.41/x HTTP/1.1\r\n"));
    server_stop(&s, &c);
}

static void hijack(void **state) {
    struct server s = {.answers = {"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n"
                                   "Upgrade: tcp\r\n\r\nearly"}};
    const struct request r = {.method = "POST", .path = "/attach", .upgrade = true};
    struct exchange x = EXCHANGE_INIT;
    auto_buf rest = BUF_INIT;
    struct client c;
    int fd;

    server_start(&s, &c);
    assert_int_equal(exchange_send(&x, &c, &r, NULL), 0);
    assert_int_equal(exchange_recv(&x, NULL), 0);
    assert_int_equal(x.status, 101);
    fd = exchange_hijack(&x, &rest);
    assert_true(fd >= 0);
    assert_string_equal(buf_str(&rest), "early");
    close(fd);
    exchange_done(&x);
    server_stop(&s, &c);
}

static void addresses(void **state) {
    auto_buf q = BUF_INIT;
    auto_free char *path = path_join("/images/", "reg:5000/a b?", "/tag");
    struct client c;

    query_add(&q, "a", "x y&z=/");
    query_add_int(&q, "n", -1);
    assert_string_equal(buf_str(&q), "a=x+y%26z%3D%2F&n=-1");
    assert_string_equal(path, "/images/reg:5000/a%20b%3F/tag");
    assert_int_equal(client_init(&c, "tcp://[::1]:99/x", "Fence", NULL, NULL), 0);
    assert_string_equal(c.address, "::1");
    assert_string_equal(c.port, "99");
    client_done(&c);
    assert_int_equal(client_init(&c, "host", "Fence", NULL, NULL), 0);
    assert_string_equal(c.port, "2375");
    client_done(&c);
    assert_true(client_init(&c, "ftp://x", "Fence", NULL, NULL) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies), cmocka_unit_test(errors),    cmocka_unit_test(older_daemon),
        cmocka_unit_test(hijack), cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
