/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP/1.x requests as bytes: no sockets, no allocation beyond the request itself.
 *
 * Strict where leniency lets two parties disagree about where a request ends (RFC 9112 section 11):
 * a bare CR or LF in the head, folded lines, a blank before a colon, Content-Length twice or with
 * Transfer-Encoding, and codings other than "chunked" are refused.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP1_HEAD_MAX    (64u << 10)
#define HTTP1_HEADERS_MAX 256
#define HTTP1_QUERY_MAX   1024 /* pairs */

struct http1_pair {
    const char *name, *value;
};

struct http1_request {
    char *method;
    char *path;      /* percent-decoded, starts with '/', or "*" */
    char *query_raw; /* never NULL */
    struct http1_pair *query;
    size_t query_count;
    struct http1_pair *headers;
    size_t header_count;
    int minor;              /* of HTTP/1.x */
    int64_t content_length; /* 0 for none, -1 for chunked */
    bool keep_alive;        /* by version and Connection */
    bool expect_continue;
    bool upgrade; /* an Upgrade header is there */
    char *memory; /* what the strings above point into */
    char *query_memory;
};

/*
 * Looks for the end of a head in p[0..n). *scan is 0 for a new head and carries on between calls
 * with more bytes of the same. Returns the length of the head with its blank line, 0 when more is
 * needed, or an HTTP status as a negative number: -400 for bytes no head may have, -431 past
 * HTTP1_HEAD_MAX.
 */
ssize_t http1_find_head(const char *p, size_t n, size_t *scan);
/*
 * Parses a head as found. 0, or the HTTP status to refuse it with; *ret_why is then a constant text
 * for people. req is to be released by http1_request_done only after success.
 */
int http1_parse_request(const char *head, size_t len, struct http1_request *ret_req,
                        const char **ret_why);
void http1_request_done(struct http1_request *req);
/* First value, by case-insensitive name; NULL when absent. */
const char *http1_header(const struct http1_request *req, const char *name);
/* Whether a comma-separated header value has this token, case-insensitively. NULL has none. */
bool http1_has_token(const char *value, const char *token);
bool http1_is_token(const char *s);
/* Decodes %XX (and '+' as a blank in queries) in place. -EINVAL for bad escapes and %00. */
int http1_unescape(char *s, bool plus_is_blank);

/* ---- chunked bodies -------------------------------------------------------------------------- */

#define HTTP1_CHUNK_LINE_MAX 256 /* size and extensions */
#define HTTP1_TRAILER_MAX    (8u << 10)

struct http1_chunked {
    uint64_t left; /* of the current chunk, or its size while that is being read */
    unsigned line_len;
    unsigned char state, digits;
};

void http1_chunked_init(struct http1_chunked *c);
/*
 * Takes bytes from p[0..n): *ret_used of them were consumed, of which *ret_len at *ret_data are
 * payload (a piece of a chunk; 0 bytes when only framing was there). 1 at the end of the body (what
 * follows belongs to the next request), 0 when it goes on, -EBADMSG.
 */
int http1_chunked_next(struct http1_chunked *c, const char *p, size_t n, size_t *ret_used,
                       const char **ret_data, size_t *ret_len);

/* "OK" and so on; "Status" for an unknown code. */
const char *http1_reason(int status);
