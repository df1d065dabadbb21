/* SPDX-License-Identifier: Apache-2.0 */

/* The parts without a server: framing, the guard, listening sockets, notification. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"
#include "wire/http_guard.h"
#include "wire/listen.h"
#include "wire/sdnotify.h"
#include "wire/stdcopy.h"
#include "wire/websocket.h"

static void test_stdcopy(void **state) {
    auto_buf b = BUF_INIT;
    uint8_t header[STDCOPY_HEADER_SIZE];
    enum stdcopy_stream stream;
    uint32_t len;

    stdcopy_header(header, STDCOPY_STDERR, 0x01020304);
    assert_memory_equal(header, "\x02\0\0\0\x01\x02\x03\x04", 8);
    assert_int_equal(stdcopy_parse_header(header, &stream, &len), 0);
    assert_int_equal(stream, STDCOPY_STDERR);
    assert_int_equal(len, 0x01020304);
    header[0] = 4;
    assert_int_equal(stdcopy_parse_header(header, &stream, &len), -EBADMSG);
    header[0] = 1;
    header[2] = 1;
    assert_int_equal(stdcopy_parse_header(header, &stream, &len), -EBADMSG);
    assert_true(stdcopy_append(&b, STDCOPY_STDOUT, "hi", 2));
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.data, "\x01\0\0\0\0\0\0\x02hi", 10);
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

struct ws_case {
    const char *bytes;
    size_t len;
    const char *payload;
    enum ws_event last; /* WS_EVENT_MORE: all was taken */
    size_t code;
};

static void decode_case(const struct ws_case *t, size_t step) {
    auto_free char *bytes = xmemdup(t->bytes, t->len);
    auto_buf out = BUF_INIT;
    enum ws_event event = WS_EVENT_MORE;
    struct ws_decoder d;
    size_t at = 0, code = 0;

    ws_decoder_init(&d);
    while (at < t->len && event != WS_EVENT_CLOSE && event != WS_EVENT_ERROR) {
        size_t have = t->len - at < step ? t->len - at : step, used;
        const char *data;

        event = ws_decode(&d, bytes + at, have, &used, &data, &code);
        assert_true(used <= have && used > 0);
        if (event == WS_EVENT_DATA)
            assert_true(buf_append(&out, data, code));
        if (event == WS_EVENT_PING)
            assert_true(buf_append(&out, d.control, d.control_len));
        at += used;
    }
    assert_string_equal(buf_str(&out), t->payload);
    if (t->last != WS_EVENT_MORE) {
        assert_int_equal(event, t->last);
        assert_int_equal(code, t->code);
    } else {
        assert_int_not_equal(event, WS_EVENT_ERROR);
    }
}

#define M0 "\0\0\0\0" /* a mask that changes nothing */
#define CASE(bytes, ...)                                                                           \
    { bytes, sizeof(bytes) - 1, __VA_ARGS__ }

static void test_ws_decode(void **state) {
    static const struct ws_case cases[] = {
        CASE("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "Hello", WS_EVENT_MORE, 0),
        CASE("\x01\x81" M0 "a\x89\x81" M0 "p\x80\x81" M0 "b", "apb", WS_EVENT_MORE, 0),
        CASE("\x82\x80" M0 "\x82\x81" M0 "x", "x", WS_EVENT_MORE, 0),
        CASE("\x8a\x80" M0, "", WS_EVENT_MORE, 0),
        CASE("\x88\x80" M0, "", WS_EVENT_CLOSE, WS_CLOSE_NO_STATUS),
        CASE("\x88\x82" M0 "\x03\xe9", "", WS_EVENT_CLOSE, 1001),
        CASE("\x88\x81" M0 "\x03", "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x88\x82" M0 "\x03\xed", "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x81\x01x", "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\xc1\x81" M0 "x", "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x83\x81" M0 "x", "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x80\x81" M0 "x", "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x01\x81" M0 "a\x81\x81" M0 "b", "a", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x09\x80" M0, "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x89\xfe\x00\x7e" M0, "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x82\xfe\x00\x05" M0 "12345", "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
        CASE("\x82\xff\0\0\0\0\x40\0\0\x01" M0, "", WS_EVENT_ERROR, WS_CLOSE_TOO_BIG),
        CASE("\x82\xff\x80\0\0\0\0\0\0\0" M0, "", WS_EVENT_ERROR, WS_CLOSE_PROTOCOL),
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 30; step++)
            decode_case(&cases[i], step);
    }
}

static void test_ws_header(void **state) {
    uint8_t h[WS_HEADER_MAX];

    assert_int_equal(ws_header(h, WS_TEXT, 125), 2);
    assert_memory_equal(h, "\x81\x7d", 2);
    assert_int_equal(ws_header(h, WS_BINARY, 126), 4);
    assert_memory_equal(h, "\x82\x7e\x00\x7e", 4);
    assert_int_equal(ws_header(h, WS_BINARY, 65536), 10);
    assert_memory_equal(h, "\x82\x7f\0\0\0\0\0\x01\0\0", 10);
}

static void test_ws_accept(void **state) {
    char out[WS_ACCEPT_SIZE];

    assert_int_equal(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", out), 0);
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(ws_accept_key(NULL, out), -EINVAL);
    assert_int_equal(ws_accept_key("", out), -EINVAL);
    assert_int_equal(ws_accept_key("dGhlIHNhbXBsZSBub25jZQ", out), -EINVAL);
    assert_int_equal(ws_accept_key("dGhlIHNhbXBsZSBub25j!Q==", out), -EINVAL);
}

/* ---- the guard ------------------------------------------------------------------------------- */

static bool passes(const char *host, const char *name, const char *value, const char *allow) {
    struct http1_pair headers[] = {{"Host", host}, {name, value}};
    const struct http1_request req = {.headers = headers, .header_count = name ? 2 : 1};

    return http_guard_refuses(&req, allow) == NULL;
}

static void test_guard(void **state) {
    char own[256];

    assert_int_equal(gethostname(own, sizeof(own)), 0);
    assert_true(passes("engine.example:2375", NULL, NULL, NULL));
    assert_true(passes("engine.example:2375", "User-Agent", "Docker-Client/20.10", NULL));
    assert_false(passes("engine.example:2375", "User-Agent", "Mozilla/5.0 (X11)", NULL));
    assert_true(passes("10.0.0.1:2375", "User-Agent", "Mozilla/5.0 (X11)", NULL));
    assert_true(passes("[::1]:2375", "User-Agent", "Mozilla/5.0 (X11)", NULL));
    assert_true(passes("LocalHost", "Referer", "http://localhost/", NULL));
    assert_true(passes(own, "Origin", NULL, "*"));
    assert_false(passes("[::1", "Cookie", "a=b", NULL));
    assert_false(passes("", "Cookie", "a=b", NULL));
    assert_true(passes("127.0.0.1:1", "Origin", "http://127.0.0.1:1", NULL));
    assert_false(passes("127.0.0.1:1", "Origin", "http://127.0.0.1:2", NULL));
    assert_false(passes("127.0.0.1:1", "Origin", "null", NULL));
    assert_false(passes("evil.example", "Origin", "http://evil.example", NULL));
    assert_true(passes("any", "Origin", "https://ui.example", "https://ui.example"));
    assert_true(passes("any", "Origin", "https://ui.example", "*"));
    assert_false(passes("127.0.0.1", "Origin", "https://ui.example.evil", "https://ui.example"));
}

/* ---- listening ------------------------------------------------------------------------------- */

static char dir[32];

static int dir_setup(void **state) {
    (void)snprintf(dir, sizeof(dir), "/tmp/fence-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int dir_teardown(void **state) {
    auto_free char *path = xasprintf("%s/a/b/s.sock", dir);

    (void)unlink(path);
    for (char *slash = strrchr(path, '/'); strlen(path) > strlen(dir) + 1;
         slash = strrchr(path, '/')) {
        *slash = '\0';
        (void)rmdir(path);
    }
    (void)rmdir(dir);
    return 0;
}

static void test_listen_unix(void **state) {
    auto_free char *path = xasprintf("%s/a/b/s.sock", dir), *spec = xasprintf("unix://%s", path);
    struct listen_options o = {.default_path = path, .group = "12345"};
    struct listen_socket *s = NULL, *again = NULL;
    auto_err e = ERR_INIT;
    size_t n = 0;
    struct stat st;

    assert_int_equal(listen_open("", &o, &s, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_string_equal(s->label, spec);
    assert_string_equal(s->path, path);
    assert_false(s->is_tcp);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
    if (geteuid() == 0)
        assert_int_equal(st.st_gid, 12345);
    /* In use. */
    assert_int_equal(listen_open(spec, &o, &again, &n, &e), -EADDRINUSE);
    assert_non_null(strstr(err_msg(&e), "bind: address already in use"));
    listen_sockets_free(s, 1);
    /* Stale: replaced. A group that is not there is no error. */
    o.group = "no-such-group-here";
    err_done(&e);
    assert_int_equal(listen_open(spec, &o, &s, &n, &e), 0);
    listen_sockets_free(s, n);
    assert_int_equal(unlink(path), 0);
    /* A directory in its place, as a bind mount of a missing socket leaves one. */
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(listen_open(spec, &o, &s, &n, &e), -EISDIR);
    assert_int_equal(rmdir(path), 0);
}

static void test_listen_tcp(void **state) {
    struct listen_options o = {.default_path = "/none"};
    struct listen_socket *s = NULL;
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    size_t n = 0;
    auto_err e = ERR_INIT;
    int on = 0;

    assert_int_equal(listen_open("tcp://127.0.0.1:0", &o, &s, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_true(s->is_tcp);
    assert_null(s->path);
    assert_string_equal(s->label, "tcp://127.0.0.1:0");
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(a.ss_family, AF_INET);
    len = sizeof(on);
    assert_int_equal(getsockopt(s->fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len), 0);
    assert_int_equal(on, 1);
    listen_sockets_free(s, n);
    assert_int_equal(listen_open("localhost:0", &o, &s, &n, &e), 0);
    listen_sockets_free(s, n);
    assert_true(listen_open("tcp://no.such.host.invalid:1", &o, &s, &n, &e) < 0);
}

static void test_listen_normalize(void **state) {
    static const struct {
        const char *spec, *result; /* NULL: refused */
        bool tls;
    } cases[] = {
        {"", "unix:///run/fence.sock", false},
        {"unix://", "unix:///run/fence.sock", false},
        {"unix:///a/b", "unix:///a/b", false},
        {"unix://a", NULL, false},
        {"tcp://", "tcp://localhost:2375", false},
        {"tcp://", "tcp://localhost:2376", true},
        {"tcp://:7777", "tcp://localhost:7777", false},
        {"tcp://0.0.0.0", "tcp://0.0.0.0:2375", false},
        {"0.0.0.0:4243", "tcp://0.0.0.0:4243", false},
        {"tcp://[::1]:5555", "tcp://[::1]:5555", false},
        {"tcp://[::]", "tcp://[::]:2376", true},
        {"tcp://[::1", NULL, false},
        {"tcp://[]:1", NULL, false},
        {"tcp://[::1]x", NULL, false},
        {"tcp://a:b", NULL, false},
        {"tcp://a:65536", NULL, false},
        {"tcp://a:1:2", NULL, false},
        {"tcp://a:1/path", NULL, false},
        {"udp://a:1", NULL, false},
        {"fd://", "fd://", false},
        {"fd://3", "fd://3", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listen_options o = {.default_path = "/run/fence.sock", .tls = cases[i].tls};
        auto_free char *result = NULL;
        auto_err e = ERR_INIT;
        int r = listen_normalize(cases[i].spec, &o, &result, &e);

        if (!str_eq(result, cases[i].result))
            fail_msg("%s: %s, %s", cases[i].spec, str_or_empty(result), err_msg(&e));
        assert_int_equal(r, cases[i].result ? 0 : -EINVAL);
    }
}

/* Descriptors from 3 on are whatever they are here, so only the refusals are asked for. */
static void test_listen_activated(void **state) {
    struct listen_options o = {0};
    struct listen_socket *s = NULL;
    char pid[32];
    size_t n;
    auto_err none = ERR_INIT, few = ERR_INIT, word = ERR_INIT;

    assert_true(listen_open("fd://", &o, &s, &n, &none) < 0);
    assert_string_equal(err_msg(&none), "no sockets found via socket activation: make sure the "
                                        "service was started by systemd");
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_true(listen_open("fd://4", &o, &s, &n, &few) < 0);
    assert_string_equal(err_msg(&few), "too few socket activated files passed in by systemd");
    assert_int_equal(listen_open("fd://x", &o, &s, &n, &word), -EINVAL);
    assert_int_equal(unsetenv("LISTEN_PID"), 0);
    assert_int_equal(unsetenv("LISTEN_FDS"), 0);
    assert_null(s);
}

static void test_activated_socket(void **state) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct listen_options o = {0};
    struct listen_socket *s = NULL;
    auto_err e = ERR_INIT;
    char pid[32], spec[32];
    size_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 3);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)snprintf(spec, sizeof(spec), "fd://%d", fd);
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    (void)snprintf(pid, sizeof(pid), "%d", fd - 2);
    assert_int_equal(setenv("LISTEN_FDS", pid, 1), 0);
    assert_int_equal(listen_open(spec, &o, &s, &n, &e), -EINVAL); /* not listening yet */
    assert_int_equal(listen(fd, 1), 0);
    err_done(&e);
    assert_int_equal(listen_open(spec, &o, &s, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_int_equal(s->fd, fd);
    assert_true(s->is_tcp);
    assert_string_equal(s->label, spec);
    listen_sockets_free(s, n);
    assert_int_equal(unsetenv("LISTEN_PID"), 0);
    assert_int_equal(unsetenv("LISTEN_FDS"), 0);
}

/* ---- notification ---------------------------------------------------------------------------- */

static void expect_notification(const char *name, socklen_t len) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char text[64] = "";

    memcpy(a.sun_path, name, len);
    if (name[0] == '@')
        a.sun_path[0] = '\0';
    assert_int_equal(
        bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
        0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    assert_int_equal(sdnotify_send("READY=1\nSTATUS=up"), 1);
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 17);
    assert_string_equal(text, "READY=1\nSTATUS=up");
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

static void test_sdnotify(void **state) {
    auto_free char *path = xasprintf("%s/notify", dir);
    auto_free char *name = xasprintf("@fence-test-%d", (int)getpid());

    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(sdnotify_send("READY=1"), 0);
    expect_notification(path, (socklen_t)strlen(path));
    assert_int_equal(unlink(path), 0);
    expect_notification(name, (socklen_t)strlen(name));
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
    assert_int_equal(sdnotify_send("READY=1"), -ENOENT);
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    assert_int_equal(sdnotify_send("READY=1"), -EAFNOSUPPORT);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

int main(void) {
#define DIR_TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stdcopy),
        cmocka_unit_test(test_ws_decode),
        cmocka_unit_test(test_ws_header),
        cmocka_unit_test(test_ws_accept),
        cmocka_unit_test(test_guard),
        DIR_TEST(test_listen_unix),
        cmocka_unit_test(test_listen_tcp),
        cmocka_unit_test(test_listen_normalize),
        cmocka_unit_test(test_listen_activated),
        cmocka_unit_test(test_activated_socket),
        DIR_TEST(test_sdnotify),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
