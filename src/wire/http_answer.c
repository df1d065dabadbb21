/* SPDX-License-Identifier: Apache-2.0 */

/* Answers from the loop: whole ones, and streams. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "wire/http_conn.h"

bool http_status_has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

/* Texts from containers and registries end up in headers: none may begin a line of its own. */
static void put_header(struct buf *b, const char *name, const char *value) {
    (void)buf_puts(b, name);
    (void)buf_puts(b, ": ");
    for (; *value; value++)
        (void)buf_putc(b, (unsigned char)*value < 0x20 || *value == 0x7f ? ' ' : *value);
    (void)buf_puts(b, "\r\n");
}

static void put_date(struct buf *b) {
    static _Thread_local time_t last = -1;
    static _Thread_local char text[40];
    time_t now = time(NULL);
    struct tm tm;

    if (now != last && gmtime_r(&now, &tm)) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

        (void)snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                       days + 3 * (unsigned)tm.tm_wday % 21, tm.tm_mday,
                       months + 3 * (unsigned)tm.tm_mon % 36, tm.tm_year + 1900, tm.tm_hour,
                       tm.tm_min, tm.tm_sec);
        last = now;
    }
    put_header(b, "Date", text);
}

void http_format_head(struct http_conn *c, int minor, int status, const char *content_type,
                      const struct http_header *extra, int64_t length) {
    struct buf *b = &c->out;

    (void)buf_printf(b, "HTTP/1.%d %d %s\r\n", minor, status, http1_reason(status));
    for (; extra && extra->name; extra++)
        put_header(b, extra->name, extra->value);
    if (content_type)
        put_header(b, "Content-Type", content_type);
    put_date(b);
    if (length >= 0)
        (void)buf_printf(b, "Content-Length: %" PRId64 "\r\n", length);
    else if (length == HTTP_LENGTH_CHUNKED)
        (void)buf_puts(b, "Transfer-Encoding: chunked\r\n");
    if (!c->keep_alive)
        (void)buf_puts(b, "Connection: close\r\n");
    else if (minor == 0)
        (void)buf_puts(b, "Connection: keep-alive\r\n");
    (void)buf_puts(b, "\r\n");
}

/* A client that still waits for its 100 will not send the body of an answered request (or will:
 * nobody can tell), so the connection cannot be used further. */
static void settle_keep_alive(struct http_conn *c) {
    if ((c->body.expect_continue && !c->body.done) || c->body.bad)
        c->keep_alive = false;
}

bool http_format_stream_head(struct http_conn *c, const struct http_req *r, int status,
                             const char *content_type, const struct http_header *extra) {
    bool chunked = r->head.minor > 0;

    settle_keep_alive(c);
    if (!http_status_has_body(status)) {
        http_format_head(c, r->head.minor, status, content_type, extra, HTTP_LENGTH_NONE);
        return false;
    }
    if (!chunked && !r->is_head)
        c->keep_alive = false;
    http_format_head(c, r->head.minor, status, content_type, extra,
                     chunked ? HTTP_LENGTH_CHUNKED : HTTP_LENGTH_NONE);
    return chunked && !r->is_head;
}

void http_refuse(struct http_conn *c, int minor, int status, const char *why) {
    c->keep_alive = false;
    c->body.done = false;
    buf_clear(&c->in);
    c->in_off = 0;
    http_format_head(c, minor, status, "text/plain; charset=utf-8", NULL, HTTP_LENGTH_NONE);
    (void)buf_printf(&c->out, "%d %s: %s", status, http1_reason(status), why);
}

void http_answer_end(struct http_req *r) {
    struct http_conn *c = r->conn;

    http_req_end(r);
    if (!c)
        return;
    c->phase = HTTP_DRAIN;
    c->drain_left = HTTP_DRAIN_MAX;
    c->stamp_ms = http_now_ms();
    http_conn_schedule(c);
}

void http_reply(struct http_req *r, int status, const char *content_type,
                const struct http_header *extra, const void *body, size_t len) {
    struct http_conn *c = r->conn;

    if (c) {
        settle_keep_alive(c);
        http_format_head(c, r->head.minor, status, content_type, extra,
                         http_status_has_body(status) ? (int64_t)len : HTTP_LENGTH_NONE);
        if (http_status_has_body(status) && !r->is_head && len > 0)
            (void)buf_append(&c->out, body, len);
    }
    http_answer_end(r);
}

void http_abort(struct http_req *r) {
    struct http_conn *c = r->conn;

    http_req_end(r);
    if (!c)
        return;
    c->broken = true;
    c->phase = HTTP_DRAIN;
    http_conn_schedule(c);
}

/* ---- streams --------------------------------------------------------------------------------- */

void http_stream_begin(struct http_req *r, int status, const char *content_type,
                       const struct http_header *extra) {
    struct http_conn *c = r->conn;

    r->streaming = http_status_has_body(status) && !r->is_head;
    if (!c)
        return;
    r->chunked = http_format_stream_head(c, r, status, content_type, extra);
    http_conn_schedule(c);
}

ssize_t http_stream_write(struct http_req *r, const void *p, size_t n) {
    struct http_conn *c = r->conn;

    if (!c || c->broken)
        return -EPIPE;
    if (http_out_left(c) == 0)
        c->stamp_ms = http_now_ms(); /* the stall, if there is one, begins here */
    if (r->streaming && n > 0) {
        if (r->chunked)
            (void)buf_printf(&c->out, "%zx\r\n", n);
        (void)buf_append(&c->out, p, n);
        if (r->chunked)
            (void)buf_puts(&c->out, "\r\n");
    }
    if (http_conn_flush(c) < 0 || http_out_left(c) > HTTP_STREAM_MAX) {
        c->broken = true;
        http_conn_schedule(c);
        return -EPIPE;
    }
    if (http_out_left(c) > 0)
        http_conn_arm(c);
    return (ssize_t)http_out_left(c);
}

void http_stream_end(struct http_req *r) {
    if (r->conn && r->chunked)
        (void)buf_puts(&r->conn->out, "0\r\n\r\n");
    http_answer_end(r);
}
