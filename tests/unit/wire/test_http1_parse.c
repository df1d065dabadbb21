/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "wire/http1_parse.h"

static int parse(const char *text, struct http1_request *req) {
    const char *why = NULL;
    size_t scan = 0;
    ssize_t n = http1_find_head(text, strlen(text), &scan);
    int status;

    if (n < 0)
        return (int)-n;
    assert_int_equal(n, strlen(text));
    status = http1_parse_request(text, (size_t)n, req, &why);
    if (status)
        assert_non_null(why);
    return status;
}

static void test_accepts(void **state) {
    struct http1_request req;

    assert_int_equal(
        parse("POST /v1.41/containers/a%20b/attach?stream=1&x=%2B+y&flag&e= HTTP/1.1\r\n"
              "Host: docker\r\nUpgrade: tcp\r\nConnection: keep-alive, Upgrade\r\n"
              "X-Blank:\r\nX-Pad:  v \t\r\n\r\n",
              &req),
        0);
    assert_string_equal(req.method, "POST");
    assert_string_equal(req.path, "/v1.41/containers/a b/attach");
    assert_string_equal(req.query_raw, "stream=1&x=%2B+y&flag&e=");
    assert_int_equal(req.query_count, 4);
    assert_string_equal(req.query[1].value, "+ y");
    assert_string_equal(req.query[2].name, "flag");
    assert_string_equal(req.query[2].value, "");
    assert_string_equal(req.query[3].value, "");
    assert_string_equal(http1_header(&req, "x-pad"), "v");
    assert_string_equal(http1_header(&req, "X-Blank"), "");
    assert_null(http1_header(&req, "X"));
    assert_int_equal(req.minor, 1);
    assert_true(req.keep_alive);
    assert_true(req.upgrade);
    assert_int_equal(req.content_length, 0);
    http1_request_done(&req);
}

static void test_versions_and_lengths(void **state) {
    struct http1_request req;

    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &req), 0);
    assert_false(req.keep_alive);
    http1_request_done(&req);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &req), 0);
    assert_true(req.keep_alive);
    http1_request_done(&req);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", &req), 0);
    assert_false(req.keep_alive);
    http1_request_done(&req);
    assert_int_equal(parse("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 123456789012345678\r\n"
                           "Expect: 100-Continue\r\n\r\n",
                           &req),
                     0);
    assert_int_equal(req.content_length, 123456789012345678);
    assert_true(req.expect_continue);
    http1_request_done(&req);
    assert_int_equal(parse("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n", &req),
                     0);
    assert_int_equal(req.content_length, -1);
    http1_request_done(&req);
    assert_int_equal(parse("GET http://host:80/a?b HTTP/1.1\r\nHost: x\r\n\r\n", &req), 0);
    assert_string_equal(req.path, "/a");
    http1_request_done(&req);
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", &req), 0);
    http1_request_done(&req);
}

#define H "GET / HTTP/1.1\r\nHost: x\r\n"

static void test_refuses(void **state) {
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {H "Content-Length: 1, 1\r\n\r\n", 400},
        {H "Content-Length: +1\r\n\r\n", 400},
        {H "Content-Length: -1\r\n\r\n", 400},
        {H "Content-Length: 0x1\r\n\r\n", 400},
        {H "Content-Length: 1 1\r\n\r\n", 400},
        {H "Content-Length:\r\n\r\n", 400},
        {H "Content-Length: 9999999999999999999\r\n\r\n", 400},
        {H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {H "Transfer-Encoding: identity\r\n\r\n", 501},
        {H "Transfer-Encoding: \x0b"
           "chunked\r\n\r\n",
         400},
        {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {H "Expect: 200-ok\r\n\r\n", 417},
        {H "X : y\r\n\r\n", 400},
        {H " folded: y\r\n\r\n", 400},
        {H "A: b\r\n\tc\r\n\r\n", 400},
        {H "no colon\r\n\r\n", 400},
        {H ": empty name\r\n\r\n", 400},
        {H "A: b\nC: d\r\n\r\n", 400},
        {H "A: b\rC: d\r\n\r\n", 400},
        {H "A: \x01\r\n\r\n", 400},
        {H "A: b\r\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\n", 505},
        {"GET / http/1.1\r\nHost: x\r\n\r\n", 400},
        {"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET http://host HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /%0 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /?%g HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"\r\n\r\n", 400},
    };
    struct http1_request req;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int status = parse(cases[i].text, &req);

        if (status != cases[i].status)
            fail_msg("%d, not %d: %s", status, cases[i].status, cases[i].text);
    }
}

static void test_head_limits(void **state) {
    auto_buf b = BUF_INIT;
    struct http1_request req;
    const char *why;
    size_t scan = 0;
    ssize_t n;

    assert_true(buf_puts(&b, H));
    for (int i = 0; i < HTTP1_HEADERS_MAX - 1; i++)
        assert_true(buf_puts(&b, "A: b\r\n"));
    n = (ssize_t)b.len;
    assert_true(buf_puts(&b, "\r\n"));
    assert_int_equal(http1_parse_request(b.data, b.len, &req, &why), 0);
    assert_int_equal(req.header_count, HTTP1_HEADERS_MAX);
    http1_request_done(&req);
    b.len = (size_t)n;
    assert_true(buf_puts(&b, "A: b\r\n\r\n"));
    assert_int_equal(http1_parse_request(b.data, b.len, &req, &why), 431);

    buf_clear(&b);
    assert_true(buf_puts(&b, H "A: "));
    while (b.len < HTTP1_HEAD_MAX - 1)
        assert_true(buf_putc(&b, 'x'));
    assert_int_equal(http1_find_head(b.data, b.len, &scan), 0);
    assert_true(buf_puts(&b, "xx"));
    assert_int_equal(http1_find_head(b.data, b.len, &scan), -431);
}

/* The end is found whatever the pieces are. */
static void test_find_head_in_pieces(void **state) {
    static const char text[] = H "\r\nrest";
    size_t scan = 0, len = strlen(text) - 4;

    for (size_t n = 0; n < len; n++)
        assert_int_equal(http1_find_head(text, n, &scan), 0);
    assert_int_equal(http1_find_head(text, len, &scan), len);
    scan = 0;
    assert_int_equal(http1_find_head("GET / HTTP/1.1\n", 15, &scan), -400);
    scan = 0;
    assert_int_equal(http1_find_head("\n", 1, &scan), -400);
    scan = 0;
    assert_int_equal(http1_find_head("a\0", 2, &scan), -400);
}

static void test_tokens(void **state) {
    assert_true(http1_has_token("keep-alive, Upgrade", "upgrade"));
    assert_true(http1_has_token(" ,, a ,b", "b"));
    assert_false(http1_has_token("upgraded", "upgrade"));
    assert_false(http1_has_token("", "a"));
    assert_false(http1_has_token(NULL, "a"));
}

/* ---- chunked --------------------------------------------------------------------------------- */

/* Decodes `text` in pieces of `step` bytes; the payload in out. The bytes left over, or -EBADMSG.
 */
static int decode(const char *text, size_t step, struct buf *out) {
    struct http1_chunked c;
    size_t len = strlen(text), at = 0, have = 0;

    http1_chunked_init(&c);
    while (at < len) {
        const char *data;
        size_t used, n;
        int r;

        if (have == 0)
            have = len - at < step ? len - at : step;
        r = http1_chunked_next(&c, text + at, have, &used, &data, &n);
        if (r < 0)
            return r;
        assert_true(used <= have);
        assert_true(buf_append(out, data, n));
        at += used;
        have -= used;
        if (r == 1)
            return (int)(len - at);
    }
    return 1000; /* not at its end */
}

static void test_chunked(void **state) {
    static const struct {
        const char *text, *payload;
        int result;
    } cases[] = {
        {"0\r\n\r\n", "", 0},
        {"5\r\nhello\r\n0\r\n\r\nGET", "hello", 3},
        {"00000005\r\nhello\r\n1;a=b; c=\"d\"\r\n!\r\n000\r\n\r\n", "hello!", 0},
        {"a\r\n0123456789\r\nA \r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\n", "01234567890123456789",
         0},
        {"5\r\nhel", "hel", 1000},
        {"5\nhello\r\n0\r\n\r\n", "", -EBADMSG},
        {"5\r\nhello0\r\n\r\n", "hello", -EBADMSG},
        {"5\r\nhello\n0\r\n\r\n", "hello", -EBADMSG},
        {"\r\n", "", -EBADMSG},
        {";\r\n", "", -EBADMSG},
        {"-1\r\n", "", -EBADMSG},
        {"0x5\r\nhello\r\n", "", -EBADMSG},
        {" 5\r\nhello\r\n", "", -EBADMSG},
        {"fffffffffffffffff\r\n", "", -EBADMSG},
        {"1;a\nb\r\n", "", -EBADMSG},
        {"0\r\n folded\r\n\r\n", "", -EBADMSG},
        {"0\r\nA: b\n\r\n", "", -EBADMSG},
        {"0\r\n\rx", "", -EBADMSG},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 40; step++) {
            auto_buf out = BUF_INIT;
            int r = decode(cases[i].text, step, &out);

            if (r != cases[i].result || !str_eq(buf_str(&out), cases[i].payload))
                fail_msg("%d, not %d, \"%s\": %s", r, cases[i].result, buf_str(&out),
                         cases[i].text);
        }
    }
}

static void test_chunked_limits(void **state) {
    auto_buf text = BUF_INIT;
    auto_buf out = BUF_INIT;

    assert_true(buf_puts(&text, "1;"));
    for (int i = 0; i < HTTP1_CHUNK_LINE_MAX; i++)
        assert_true(buf_putc(&text, 'x'));
    assert_int_equal(decode(buf_str(&text), 4096, &out), -EBADMSG);
    buf_clear(&text);
    assert_true(buf_puts(&text, "0\r\n"));
    for (int i = 0; i < 2000; i++)
        assert_true(buf_puts(&text, "A: b\r\n"));
    assert_int_equal(decode(buf_str(&text), 4096, &out), -EBADMSG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_versions_and_lengths),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_find_head_in_pieces),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_chunked_limits),
    };

    return cmocka_run_group_tests_name("http1_parse", tests, NULL, NULL);
}
