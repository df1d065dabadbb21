/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Request heads and chunked bodies. Checks more than memory: the end of a head and of a body must
 * not depend on the pieces in which bytes arrive, which is what request smuggling lives on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "wire/http1_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
    if (!ok)
        abort();
}

static ssize_t find_by_bytes(const char *p, size_t n) {
    size_t scan = 0;
    ssize_t r = 0;

    for (size_t have = 0; have <= n && r == 0; have++)
        r = http1_find_head(p, have, &scan);
    return r;
}

/* Bytes taken by the body, -1 when it goes on, -2 for an error. */
static ssize_t decode(const char *p, size_t n, size_t step, struct buf *out) {
    struct http1_chunked c;
    size_t at = 0;
    int r = 0;

    http1_chunked_init(&c);
    while (at < n && r == 0) {
        size_t have = n - at < step ? n - at : step, used = 0, len;
        const char *payload;

        r = http1_chunked_next(&c, p + at, have, &used, &payload, &len);
        if (r < 0)
            return -2;
        check(used <= have && (used > 0 || r == 1));
        check(len == 0 || (payload >= p + at && payload + len <= p + at + used));
        check(buf_append(out, payload, len));
        at += used;
    }
    return r == 1 ? (ssize_t)at : -1;
}

static void check_request(const char *p, size_t n) {
    struct http1_request req;
    const char *why = NULL;
    int status = http1_parse_request(p, n, &req, &why);

    if (status) {
        check(status >= 400 && status < 600 && why);
        return;
    }
    check(req.path[0] == '/' || strcmp(req.path, "*") == 0);
    check(http1_is_token(req.method) && req.query_raw);
    check(req.header_count <= HTTP1_HEADERS_MAX && req.query_count <= HTTP1_QUERY_MAX);
    check(!http1_header(&req, "Content-Length") || !http1_header(&req, "Transfer-Encoding"));
    check((req.content_length == -1) == (http1_header(&req, "Transfer-Encoding") != NULL));
    for (size_t i = 0; i < req.header_count; i++)
        check(http1_is_token(req.headers[i].name) && !strpbrk(req.headers[i].value, "\r\n"));
    http1_request_done(&req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *p = (const char *)data;
    auto_buf whole = BUF_INIT;
    auto_buf bytes = BUF_INIT;
    size_t scan = 0;
    ssize_t n, end;

    if (size > 2 * HTTP1_HEAD_MAX)
        return 0;
    n = http1_find_head(p, size, &scan);
    check(find_by_bytes(p, size) == n);
    if (n > 0)
        check_request(p, (size_t)n);
    check_request(p, size); /* whatever a caller passes */
    if (n > 0) {
        p += n;
        size -= (size_t)n;
    }
    end = decode(p, size, SIZE_MAX, &whole);
    check(decode(p, size, 1, &bytes) == end);
    check(whole.len == bytes.len &&
          (whole.len == 0 || memcmp(whole.data, bytes.data, whole.len) == 0));
    return 0;
}
