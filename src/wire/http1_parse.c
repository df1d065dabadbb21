/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1_parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/str.h"

/* ---- characters ------------------------------------------------------------------------------ */

static bool is_token_char(unsigned char c) {
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/* VCHAR, blank, tab and obs-text. */
static bool is_value_char(unsigned char c) {
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static bool is_target_char(unsigned char c) {
    return c > 0x20 && c != 0x7f && c != '#';
}

bool http1_is_token(const char *s) {
    if (str_empty(s))
        return false;
    for (; *s; s++) {
        if (!is_token_char((unsigned char)*s))
            return false;
    }
    return true;
}

int http1_unescape(char *s, bool plus_is_blank) {
    char *out = s;

    for (; *s; s++) {
        char c = *s;

        if (c == '%') {
            int high = hex_value(s[1]), low = high < 0 ? -1 : hex_value(s[2]);

            if (low < 0 || (high == 0 && low == 0))
                return -EINVAL;
            c = (char)(high << 4 | low);
            s += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        *out++ = c;
    }
    *out = '\0';
    return 0;
}

bool http1_has_token(const char *value, const char *token) {
    size_t len = strlen(token);

    while (value && *value) {
        size_t n;

        value += strspn(value, " \t,");
        n = strcspn(value, ",");
        while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
            n--;
        if (n == len && strncasecmp(value, token, n) == 0)
            return true;
        value += strcspn(value, ",");
    }
    return false;
}

/* ---- the head -------------------------------------------------------------------------------- */

ssize_t http1_find_head(const char *p, size_t n, size_t *scan) {
    size_t i = *scan, end = n < HTTP1_HEAD_MAX ? n : HTTP1_HEAD_MAX;

    for (; i < end; i++) {
        if (p[i] == '\n') {
            if (i == 0 || p[i - 1] != '\r')
                return -400;
            if (i >= 3 && p[i - 2] == '\n')
                return (ssize_t)i + 1;
        } else if (p[i] == '\0' || (i > 0 && p[i - 1] == '\r')) {
            return -400;
        }
    }
    *scan = i;
    return n >= HTTP1_HEAD_MAX ? -431 : 0;
}

const char *http1_header(const struct http1_request *req, const char *name) {
    for (size_t i = 0; i < req->header_count; i++) {
        if (strcasecmp(req->headers[i].name, name) == 0)
            return req->headers[i].value;
    }
    return NULL;
}

static size_t header_occurs(const struct http1_request *req, const char *name) {
    size_t n = 0;

    for (size_t i = 0; i < req->header_count; i++)
        n += strcasecmp(req->headers[i].name, name) == 0;
    return n;
}

static int refuse(const char **ret_why, int status, const char *why) {
    *ret_why = why;
    return status;
}

/* method SP target SP HTTP/1.x; the line has no CRLF any more. */
static int parse_request_line(char *line, struct http1_request *req, char **ret_target,
                              const char **ret_why) {
    char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;

    if (!version)
        return refuse(ret_why, 400, "malformed request line");
    *target++ = '\0';
    *version++ = '\0';
    if (!http1_is_token(line))
        return refuse(ret_why, 400, "malformed method");
    for (const char *s = target; *s; s++) {
        if (!is_target_char((unsigned char)*s))
            return refuse(ret_why, 400, "malformed request target");
    }
    if (strncmp(version, "HTTP/", 5) != 0)
        return refuse(ret_why, 400, "malformed HTTP version");
    if (!str_eq(version, "HTTP/1.1") && !str_eq(version, "HTTP/1.0"))
        return refuse(ret_why, 505, "unsupported protocol version");
    req->method = line;
    req->minor = version[7] - '0';
    *ret_target = target;
    return 0;
}

/* Splits target into path and query; the absolute form of proxies loses its authority. */
static int parse_target(char *target, struct http1_request *req, const char **ret_why) {
    char *query;

    if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
        target = strchr(target, ':') + 3;
        target += strcspn(target, "/?");
        /* No room for a '/' before "?query"; nobody sends an absolute form without a path. */
        if (*target != '/')
            return refuse(ret_why, 400, "malformed request target");
    }
    if (*target != '/' && !(str_eq(target, "*") && str_eq(req->method, "OPTIONS")))
        return refuse(ret_why, 400, "malformed request target");
    query = strchr(target, '?');
    if (query)
        *query++ = '\0';
    req->path = target;
    req->query_raw = query ? query : target + strlen(target);
    if (http1_unescape(req->path, false) < 0)
        return refuse(ret_why, 400, "invalid URL escape");
    return 0;
}

static int parse_query(struct http1_request *req, const char **ret_why) {
    size_t max = 1;
    char *s, *save = NULL;

    if (!*req->query_raw)
        return 0;
    for (const char *q = req->query_raw; *q; q++)
        max += *q == '&';
    if (max > HTTP1_QUERY_MAX)
        return refuse(ret_why, 400, "too many query parameters");
    req->query_memory = xstrdup(req->query_raw);
    req->query = xcalloc(max, sizeof(*req->query));
    for (s = strtok_r(req->query_memory, "&", &save); s; s = strtok_r(NULL, "&", &save)) {
        char *value = strchr(s, '=');

        if (value)
            *value++ = '\0';
        else
            value = s + strlen(s);
        if (http1_unescape(s, true) < 0 || http1_unescape(value, true) < 0)
            return refuse(ret_why, 400, "invalid URL escape");
        req->query[req->query_count++] = (struct http1_pair){s, value};
    }
    return 0;
}

static int parse_header_line(char *line, struct http1_pair *ret, const char **ret_why) {
    char *colon = strchr(line, ':'), *value, *end;

    if (*line == ' ' || *line == '\t')
        return refuse(ret_why, 400, "folded header line");
    if (!colon)
        return refuse(ret_why, 400, "malformed header");
    *colon = '\0';
    if (!http1_is_token(line))
        return refuse(ret_why, 400, "malformed header name");
    value = colon + 1;
    value += strspn(value, " \t");
    end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    for (const char *s = value; *s; s++) {
        if (!is_value_char((unsigned char)*s))
            return refuse(ret_why, 400, "malformed header value");
    }
    *ret = (struct http1_pair){line, value};
    return 0;
}

/* 1 to 18 digits: no sign, no blank, no list. */
static int parse_content_length(const char *s, int64_t *ret) {
    size_t n = strlen(s);
    int64_t v = 0;

    if (n == 0 || n > 18 || strspn(s, "0123456789") != n)
        return -EINVAL;
    for (; *s; s++)
        v = v * 10 + (*s - '0');
    *ret = v;
    return 0;
}

static int parse_framing(struct http1_request *req, const char **ret_why) {
    const char *length = http1_header(req, "Content-Length");
    const char *coding = http1_header(req, "Transfer-Encoding");

    if (header_occurs(req, "Content-Length") > 1)
        return refuse(ret_why, 400, "more than one Content-Length");
    if (header_occurs(req, "Transfer-Encoding") > 1)
        return refuse(ret_why, 400, "more than one Transfer-Encoding");
    if (length && coding)
        return refuse(ret_why, 400, "both Content-Length and Transfer-Encoding");
    if (coding) {
        if (req->minor == 0)
            return refuse(ret_why, 400, "Transfer-Encoding in HTTP/1.0");
        if (!str_case_eq(coding, "chunked"))
            return refuse(ret_why, 501, "unsupported transfer encoding");
        req->content_length = -1;
    }
    if (length && parse_content_length(length, &req->content_length) < 0)
        return refuse(ret_why, 400, "bad Content-Length");
    return 0;
}

/* Any of several Connection headers counts. */
static bool connection_has(const struct http1_request *req, const char *token) {
    for (size_t i = 0; i < req->header_count; i++) {
        if (strcasecmp(req->headers[i].name, "Connection") == 0 &&
            http1_has_token(req->headers[i].value, token))
            return true;
    }
    return false;
}

static int parse_meaning(struct http1_request *req, const char **ret_why) {
    const char *expect = http1_header(req, "Expect");
    size_t hosts = header_occurs(req, "Host");

    if (hosts == 0 && req->minor > 0)
        return refuse(ret_why, 400, "missing required Host header");
    if (hosts > 1)
        return refuse(ret_why, 400, "too many Host headers");
    if (expect && req->minor > 0) {
        if (!str_case_eq(expect, "100-continue"))
            return refuse(ret_why, 417, "unknown expectation");
        req->expect_continue = req->content_length != 0;
    }
    req->keep_alive =
        req->minor > 0 ? !connection_has(req, "close") : connection_has(req, "keep-alive");
    /* Docker looks at Upgrade alone, and old clients send no Connection with it. */
    req->upgrade = req->minor > 0 && http1_header(req, "Upgrade");
    return 0;
}

static int parse_all(struct http1_request *req, size_t len, const char **ret_why) {
    char *line = req->memory, *end = req->memory + len, *target = NULL;
    size_t lines = 0;
    int r;

    for (char *s = line; (s = memchr(s, '\n', (size_t)(end - s))); s++)
        lines++;
    /* The LF of the blank line was replaced by a NUL: one is the request line's. */
    if (lines > HTTP1_HEADERS_MAX + 1)
        return refuse(ret_why, 431, "too many headers");
    req->headers = xcalloc(lines + 1, sizeof(*req->headers));
    for (bool first = true;; first = false) {
        char *eol = memchr(line, '\r', (size_t)(end - line));

        if (!eol || eol == line)
            break;
        *eol = '\0';
        r = first ? parse_request_line(line, req, &target, ret_why)
                  : parse_header_line(line, &req->headers[req->header_count++], ret_why);
        if (r)
            return r;
        line = eol + 2;
    }
    if (!req->method)
        return refuse(ret_why, 400, "malformed request line");
    r = parse_target(target, req, ret_why);
    if (!r)
        r = parse_query(req, ret_why);
    if (!r)
        r = parse_framing(req, ret_why);
    if (!r)
        r = parse_meaning(req, ret_why);
    return r;
}

int http1_parse_request(const char *head, size_t len, struct http1_request *ret_req,
                        const char **ret_why) {
    struct http1_request req = {0};
    size_t scan = 0;
    int r;

    /* The parser below relies on what the search has checked. */
    if (len == 0 || http1_find_head(head, len, &scan) != (ssize_t)len)
        return refuse(ret_why, 400, "malformed request");
    req.memory = xmemdup(head, len);
    req.memory[len - 1] = '\0';
    r = parse_all(&req, len, ret_why);
    if (r) {
        http1_request_done(&req);
        return r;
    }
    *ret_req = req;
    return 0;
}

void http1_request_done(struct http1_request *req) {
    free(req->query);
    free(req->query_memory);
    free(req->headers);
    free(req->memory);
    *req = (struct http1_request){0};
}

/* ---- chunked bodies -------------------------------------------------------------------------- */

enum chunk_state {
    CHUNK_SIZE,      /* hexadecimal digits */
    CHUNK_EXTENSION, /* to the end of the size line */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER, /* at the start of a line */
    CHUNK_TRAILER_LINE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_END,
};

void http1_chunked_init(struct http1_chunked *c) {
    *c = (struct http1_chunked){.state = CHUNK_SIZE};
}

static int chunk_size_char(struct http1_chunked *c, char ch) {
    int digit = hex_value(ch);

    if (digit >= 0) {
        if (c->digits >= 15) /* leaves room for sums */
            return -EBADMSG;
        c->left = c->left << 4 | (unsigned)digit;
        c->digits++;
        return 0;
    }
    if (c->digits == 0)
        return -EBADMSG;
    if (ch == '\r')
        c->state = CHUNK_SIZE_LF;
    else if (ch == ';' || ch == ' ' || ch == '\t')
        c->state = CHUNK_EXTENSION;
    else
        return -EBADMSG;
    return 0;
}

static int chunk_char(struct http1_chunked *c, char ch) {
    switch ((enum chunk_state)c->state) {
    case CHUNK_SIZE:
        return ++c->line_len > HTTP1_CHUNK_LINE_MAX ? -EBADMSG : chunk_size_char(c, ch);
    case CHUNK_EXTENSION:
        if (++c->line_len > HTTP1_CHUNK_LINE_MAX)
            return -EBADMSG;
        if (ch == '\r')
            c->state = CHUNK_SIZE_LF;
        else if (!is_value_char((unsigned char)ch))
            return -EBADMSG;
        return 0;
    case CHUNK_SIZE_LF:
        if (ch != '\n')
            return -EBADMSG;
        c->line_len = 0;
        c->state = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        return 0;
    case CHUNK_DATA_CR:
        if (ch != '\r')
            return -EBADMSG;
        c->state = CHUNK_DATA_LF;
        return 0;
    case CHUNK_DATA_LF:
        if (ch != '\n')
            return -EBADMSG;
        *c = (struct http1_chunked){.state = CHUNK_SIZE};
        return 0;
    case CHUNK_TRAILER:
        if (ch == '\r') {
            c->state = CHUNK_END_LF;
            return 0;
        }
        c->state = CHUNK_TRAILER_LINE;
        if (ch == ' ' || ch == '\t')
            return -EBADMSG;
        __attribute__((fallthrough));
    case CHUNK_TRAILER_LINE:
        if (++c->line_len > HTTP1_TRAILER_MAX)
            return -EBADMSG;
        if (ch == '\r')
            c->state = CHUNK_TRAILER_LF;
        else if (!is_value_char((unsigned char)ch))
            return -EBADMSG;
        return 0;
    case CHUNK_TRAILER_LF:
        if (ch != '\n')
            return -EBADMSG;
        c->state = CHUNK_TRAILER;
        return 0;
    case CHUNK_END_LF:
        if (ch != '\n')
            return -EBADMSG;
        c->state = CHUNK_END;
        return 0;
    case CHUNK_DATA:
    case CHUNK_END:
        break;
    }
    return -EBADMSG;
}

int http1_chunked_next(struct http1_chunked *c, const char *p, size_t n, size_t *ret_used,
                       const char **ret_data, size_t *ret_len) {
    size_t i = 0;

    *ret_data = p;
    *ret_len = 0;
    for (; i < n && c->state != CHUNK_END; i++) {
        if (c->state == CHUNK_DATA) {
            size_t len = n - i < c->left ? n - i : (size_t)c->left;

            c->left -= len;
            if (c->left == 0)
                c->state = CHUNK_DATA_CR;
            *ret_used = i + len;
            *ret_data = p + i;
            *ret_len = len;
            return 0;
        }
        if (chunk_char(c, p[i]) < 0)
            return -EBADMSG;
    }
    *ret_used = i;
    return c->state == CHUNK_END;
}

/* ---- status texts ---------------------------------------------------------------------------- */

const char *http1_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Request Entity Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Requested Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Status";
}
