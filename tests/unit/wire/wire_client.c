/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/alloc.h"

void answer_done(struct answer *a) {
    buf_done(&a->head);
    buf_done(&a->body);
}

void client_close(struct client *c) {
    if (c->ssl) {
        (void)SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
    }
    c->ssl = NULL;
    c->fd = fd_close(c->fd);
}

void client_send_bytes(struct client *c, const void *p, size_t n) {
    const char *s = p;

    while (n > 0) {
        ssize_t r = c->ssl ? SSL_write(c->ssl, s, (int)n) : send(c->fd, s, n, MSG_NOSIGNAL);

        assert_true(r > 0);
        s += r;
        n -= (size_t)r;
    }
}

void client_send(struct client *c, const char *text) {
    client_send_bytes(c, text, strlen(text));
}

size_t client_read(struct client *c, void *p, size_t n) {
    const struct timeval limit = {.tv_sec = 10};
    ssize_t r;

    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    if (c->ssl) {
        r = SSL_read(c->ssl, p, (int)n);
        return r < 0 ? 0 : (size_t)r;
    }
    r = recv(c->fd, p, n, 0);
    if (r < 0 && errno != ECONNRESET)
        fail_msg("recv: %s", strerror(errno));
    return r < 0 ? 0 : (size_t)r;
}

static void read_exactly(struct client *c, struct buf *b, size_t n) {
    while (n > 0) {
        size_t r;

        assert_true(buf_reserve(b, n));
        r = client_read(c, b->data + b->len, n);
        if (r == 0)
            fail_msg("connection closed early");
        b->len += r;
        b->data[b->len] = '\0';
        n -= r;
    }
}

void client_expect(struct client *c, const char *text) {
    auto_buf b = BUF_INIT;

    read_exactly(c, &b, strlen(text));
    assert_string_equal(buf_str(&b), text);
}

void client_expect_end(struct client *c) {
    char byte;

    if (client_read(c, &byte, 1) != 0)
        fail_msg("unexpected byte '%c'", byte);
}

const char *answer_header(const struct answer *a, const char *name, char *out, size_t size) {
    const char *line = buf_str(&a->head);
    size_t len = strlen(name);

    while ((line = strstr(line, "\r\n"))) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            (void)snprintf(out, size, "%.*s", (int)strcspn(line + len + 2, "\r"), line + len + 2);
            return out;
        }
    }
    return NULL;
}

static void read_line(struct client *c, char *out, size_t size) {
    size_t n = 0;

    do {
        assert_true(n + 1 < size);
        assert_int_equal(client_read(c, out + n, 1), 1);
        out[++n] = '\0';
    } while (n < 2 || strcmp(out + n - 2, "\r\n") != 0);
}

void client_answer(struct client *c, bool no_body, struct answer *ret) {
    char value[64], line[64];
    size_t n;

    answer_done(ret);
    *ret = (struct answer){0};
    do
        read_exactly(c, &ret->head, 1);
    while (ret->head.len < 4 || strcmp(ret->head.data + ret->head.len - 4, "\r\n\r\n") != 0);
    assert_int_equal(sscanf(ret->head.data, "HTTP/1.%*d %d", &ret->status), 1);
    ret->close = answer_header(ret, "Connection", value, sizeof(value)) && !strcmp(value, "close");
    ret->chunked = answer_header(ret, "Transfer-Encoding", value, sizeof(value)) != NULL;
    if (no_body || !http_status_has_body(ret->status))
        return;
    if (answer_header(ret, "Content-Length", value, sizeof(value))) {
        read_exactly(c, &ret->body, strtoul(value, NULL, 10));
    } else if (ret->chunked) {
        do {
            read_line(c, line, sizeof(line));
            n = strtoul(line, NULL, 16);
            read_exactly(c, &ret->body, n);
            client_expect(c, "\r\n");
        } while (n > 0);
    } else {
        while ((n = client_read(c, line, sizeof(line))) > 0)
            assert_true(buf_append(&ret->body, line, n));
    }
}
