/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json_tokener.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/list.h"
#include "base/str.h"
#include "cli/resolve.h"
#include "format/json.h"

#define HEADER_MAX (64u << 10)
#define BODY_MAX   (1u << 30)
#define READ_SIZE  (64u << 10)
#define JSON_DEPTH 128
#define PORT_PLAIN "2375"
#define PORT_TLS   "2376"

int client_init(struct client *c, const char *host, const char *engine_name, struct client_tls *tls,
                struct err *e) {
    const char *rest, *env = getenv("DOCKER_API_VERSION");
    struct client n = {.idle_fd = -1, .engine_name = engine_name};

    if ((rest = str_after(host, "unix://"))) {
        n.transport = CLIENT_UNIX;
        n.address = xstrdup(rest);
        if (strlen(rest) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
            free(n.address);
            return err_set(e, ERR_INVALID, "unix socket path \"%s\" is too long", rest);
        }
    } else if ((rest = str_after(host, "tcp://")) || !strstr(host, "://")) {
        const char *colon, *path;
        size_t len;

        if (!rest)
            rest = host;
        path = strchrnul(rest, '/');
        len = (size_t)(path - rest);
        n.transport = CLIENT_TCP;
        colon = memrchr(rest, ':', len);
        if (colon && memchr(colon, ']', len - (size_t)(colon - rest)))
            colon = NULL; /* inside of [::1] */
        n.port = colon ? xstrndup(colon + 1, (size_t)(path - colon - 1))
                       : xstrdup(tls ? PORT_TLS : PORT_PLAIN);
        n.address = xstrndup(rest, colon ? (size_t)(colon - rest) : len);
        if (n.address[0] == '[' && str_ends(n.address, "]")) {
            memmove(n.address, n.address + 1, strlen(n.address));
            n.address[strlen(n.address) - 1] = '\0';
        }
        if (!*n.address)
            str_set(&n.address, "localhost");
    } else {
        return err_set(e, ERR_INVALID, "unable to parse docker host `%s`", host);
    }
    if (tls && n.transport == CLIENT_TCP) {
        n.tls = xnew(struct client_tls);
        *n.tls = *tls;
        *tls = (struct client_tls){0};
    }
    n.host = rest == host ? xasprintf("tcp://%s", host) : xstrdup(host);
    n.version = xstrdup(str_empty(env) ? CLIENT_API_VERSION : env + (*env == 'v'));
    *c = n;
    return 0;
}

void client_done(struct client *c) {
    free(c->host);
    free(c->address);
    free(c->port);
    free(c->version);
    strv_free(c->headers);
    if (c->tls)
        client_tls_done(c->tls);
    free(c->tls);
    fd_close(c->idle_fd);
    *c = (struct client){.idle_fd = -1};
}

static int cannot_connect(const struct client *c, int errnum, struct err *e) {
    if (c->transport == CLIENT_UNIX && (errnum == EACCES || errnum == EPERM))
        return err_set(e, ERR_FORBIDDEN,
                       "permission denied while trying to connect to the %s daemon socket at %s: "
                       "dial unix %s: connect: permission denied",
                       c->engine_name, c->host, c->address);
    return err_set(e, ERR_UNAVAILABLE,
                   "Cannot connect to the %s daemon at %s. Is the %s daemon running?",
                   c->engine_name, c->host, str_eq(c->engine_name, "Docker") ? "docker" : "fence");
}

static int dial_unix(const struct client *c, struct err *e) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_sys(e, errno, "socket");
    memcpy(sa.sun_path, c->address, strlen(c->address)); /* the length was checked at init */
    if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
        return cannot_connect(c, errno, e);
    return take_fd(&fd);
}

static int dial_tcp(const struct client *c, struct err *e) {
    struct sockaddr_storage addr[RESOLVE_MAX];
    int last = ECONNREFUSED, on = 1, n;
    uint64_t port;

    if (str_to_u64(c->port, &port) < 0 || port > 65535)
        return err_set(e, ERR_INVALID, "invalid port \"%s\" in docker host %s", c->port, c->host);
    n = resolve_host(c->address, (unsigned)port, addr, e);
    for (int i = 0; i < n; i++) {
        auto_fd fd = socket(addr[i].ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t len =
            addr[i].ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

        if (fd < 0 || connect(fd, (struct sockaddr *)&addr[i], len) < 0) {
            last = errno;
            continue;
        }
        /* only latency is at stake */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return take_fd(&fd);
    }
    return n < 0 ? n : cannot_connect(c, last, e);
}

/* An idle connection that the daemon has closed meanwhile (or sent something on) is not used. */
static int take_idle(struct client *c) {
    struct pollfd p = {.fd = c->idle_fd, .events = POLLIN};
    auto_fd fd = take_fd(&c->idle_fd);

    if (fd < 0 || poll(&p, 1, 0) != 0)
        return -1;
    return take_fd(&fd);
}

static bool has_stream(const struct request *r) {
    return r->stream || r->producer;
}

static void head_build(const struct client *c, const struct request *r, struct buf *h) {
    buf_printf(h, "%s ", r->method);
    if (!r->unversioned)
        buf_printf(h, "/v%s", c->version);
    buf_puts(h, r->path);
    if (!str_empty(r->query))
        buf_printf(h, "?%s", r->query);
    buf_printf(h, " HTTP/1.1\r\nHost: %s\r\nUser-Agent: Docker-Client/%s (linux)\r\n",
               c->transport == CLIENT_UNIX ? "api.moby.localhost" : c->address, FENCE_VERSION);
    strv_for_each (header, c->headers)
        buf_printf(h, "%s\r\n", header);
    if (r->upgrade)
        buf_puts(h, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
    if (r->auth)
        buf_printf(h, "X-Registry-Auth: %s\r\n", r->auth);
    if (r->content_type)
        buf_printf(h, "Content-Type: %s\r\n", r->content_type);
    if (has_stream(r))
        buf_puts(h, "Transfer-Encoding: chunked\r\n");
    else if (r->body || strcmp(r->method, "GET") != 0)
        buf_printf(h, "Content-Length: %zu\r\n", r->body_len);
    buf_puts(h, "\r\n");
    if (!has_stream(r) && r->body)
        buf_append(h, r->body, r->body_len);
}

/* The daemon may answer (and stop reading) before the body is through: its answer is what counts,
 * so a broken pipe ends the sending without an error. */
static int stream_send(int fd, struct reader *from, struct err *e) {
    auto_free char *data = xmalloc(READ_SIZE + 16);

    for (;;) {
        char size[16];
        ssize_t n = from->read(from, data, READ_SIZE);
        int r, len;

        if (n < 0)
            return err_sys(e, (int)-n, "read");
        len = snprintf(size, sizeof size, "%zx\r\n", (size_t)n);
        memcpy(data + n, "\r\n", 2);
        r = io_write_all(fd, size, (size_t)len);
        if (r == 0)
            r = io_write_all(fd, data, (size_t)n + 2);
        if (r == -EPIPE || r == -ECONNRESET)
            return 0;
        if (r < 0)
            return err_sys(e, r, "write to the daemon");
        if (n == 0)
            return 0;
    }
}

/* One chunk a block of this size, so that many small writes are few packets. */
struct chunk_writer {
    struct writer base;
    int fd;
    struct buf block;
    bool closed; /* the daemon does not read any more */
};

static int chunk_flush(struct chunk_writer *w, bool last) {
    char head[24];
    int len = snprintf(head, sizeof head, "%zx\r\n", w->block.len), r = 0;

    if (w->block.len > 0 && !w->closed) {
        buf_append(&w->block, "\r\n", 2);
        r = io_write_all(w->fd, head, (size_t)len);
        if (r == 0)
            r = io_write_all(w->fd, w->block.data, w->block.len);
    }
    buf_clear(&w->block);
    if (r == 0 && last && !w->closed)
        r = io_write_all(w->fd, "0\r\n\r\n", 5);
    if (r == -EPIPE || r == -ECONNRESET) {
        w->closed = true;
        r = 0;
    }
    return r;
}

static int chunk_write(struct writer *base, const void *p, size_t n) {
    struct chunk_writer *w = container_of(base, struct chunk_writer, base);

    if (!buf_append(&w->block, p, n))
        return -ENOBUFS;
    return w->block.len >= READ_SIZE ? chunk_flush(w, false) : 0;
}

static int produced_send(int fd, struct producer *p, struct err *e) {
    struct chunk_writer w = {.base.write = chunk_write, .fd = fd};
    int r = p->produce(p, &w.base, e);

    if (r == 0) {
        r = chunk_flush(&w, true);
        if (r < 0)
            r = err_sys(e, r, "write to the daemon");
    }
    buf_done(&w.block);
    return r;
}

static int confirm_version(struct client *c, struct err *e) {
    auto_exchange x = EXCHANGE_INIT;
    const struct request r = {.method = "GET", .path = "/_ping", .unversioned = true};
    auto_buf body = BUF_INIT;
    int n;

    n = exchange_send(&x, c, &r, e);
    if (n == 0)
        n = exchange_recv(&x, e);
    if (n == 0)
        n = exchange_read_all(&x, &body, e);
    if (n < 0)
        return n;
    if (x.api_version && strverscmp(x.api_version, c->version) < 0)
        str_set(&c->version, x.api_version);
    c->confirmed = true;
    return 0;
}

static int transmit(struct exchange *x, struct err *e) {
    struct client *c = x->client;
    auto_buf head = BUF_INIT;
    int r;

    x->fd = take_idle(c);
    x->reused = x->fd >= 0;
    if (x->fd < 0)
        x->fd = c->transport == CLIENT_UNIX ? dial_unix(c, e)
                : c->tls                    ? client_tls_dial(c->tls, c->address, c->port, e)
                                            : dial_tcp(c, e);
    if (x->fd < 0)
        return x->fd;
    head_build(c, &x->request, &head);
    r = io_write_all(x->fd, head.data, head.len);
    if (r < 0 && r != -EPIPE && r != -ECONNRESET)
        return err_sys(e, r, "write to the daemon");
    if (x->request.producer)
        return produced_send(x->fd, x->request.producer, e);
    return x->request.stream ? stream_send(x->fd, x->request.stream, e) : 0;
}

int exchange_send(struct exchange *x, struct client *c, const struct request *r, struct err *e) {
    /* A stream cannot be sent twice, and HEAD does not say why it failed: learn the daemon's
     * version before. */
    if ((has_stream(r) || strcmp(r->method, "HEAD") == 0) && !c->confirmed) {
        int n = confirm_version(c, e);

        if (n < 0)
            return n;
    }
    *x = (struct exchange){.client = c, .request = *r, .fd = -1};
    x->in.max = BODY_MAX;
    return transmit(x, e);
}

/* More bytes into x->in; their number, 0 at the end, -errno. */
static ssize_t fill(struct exchange *x) {
    ssize_t n;

    if (x->in_pos == x->in.len) {
        buf_clear(&x->in);
        x->in_pos = 0;
    }
    if (!buf_reserve(&x->in, READ_SIZE))
        return -ENOBUFS;
    do
        n = read(x->fd, x->in.data + x->in.len, READ_SIZE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    x->in.len += (size_t)n;
    x->in.data[x->in.len] = '\0';
    return n;
}

/* One line without its end, valid until the next read; NULL at the end or on an error. */
static char *read_line(struct exchange *x) {
    for (;;) {
        char *start = x->in.data ? x->in.data + x->in_pos : NULL;
        char *end = start ? memchr(start, '\n', x->in.len - x->in_pos) : NULL;

        if (end) {
            x->in_pos += (size_t)(end - start) + 1;
            *end = '\0';
            if (end > start && end[-1] == '\r')
                end[-1] = '\0';
            return start;
        }
        if (x->in.len - x->in_pos > HEADER_MAX || fill(x) <= 0)
            return NULL;
    }
}

static void header(struct exchange *x, char *line) {
    char *value = strchr(line, ':');
    uint64_t n;

    if (!value)
        return;
    *value++ = '\0';
    value += strspn(value, " \t");
    if (strcasecmp(line, "content-length") == 0) {
        if (x->framing != BODY_CHUNKED && str_to_u64(value, &n) == 0) {
            x->framing = BODY_LENGTH;
            x->left = n;
        }
    } else if (strcasecmp(line, "transfer-encoding") == 0) {
        if (strcasecmp(value, "chunked") == 0) {
            x->framing = BODY_CHUNKED;
            x->left = 0;
        }
    } else if (strcasecmp(line, "connection") == 0) {
        if (strcasecmp(value, "close") == 0)
            x->keep_alive = false;
    } else if (strcasecmp(line, "content-type") == 0) {
        str_set(&x->content_type, value);
    } else if (strcasecmp(line, "x-docker-container-path-stat") == 0) {
        str_set(&x->path_stat, value);
    } else if (strcasecmp(line, "api-version") == 0) {
        str_set(&x->api_version, value);
    }
}

static int recv_head(struct exchange *x, struct err *e) {
    char *line = read_line(x);
    const char *status;

    if (!line)
        return err_set(e, ERR_UNAVAILABLE,
                       "error during connect: the daemon at %s closed the connection: EOF",
                       x->client->host);
    status = str_after(line, "HTTP/1.");
    if (!status || strlen(status) < 5 || status[1] != ' ')
        return err_set(e, ERR_SYSTEM, "malformed HTTP response \"%s\"", line);
    x->keep_alive = status[0] == '1';
    x->status = (int)strtol(status + 2, NULL, 10);
    x->framing = BODY_CLOSE;
    for (;;) {
        line = read_line(x);
        if (!line)
            return err_set(e, ERR_SYSTEM, "error during connect: unexpected EOF");
        if (!*line)
            break;
        header(x, line);
    }
    if (x->status == 204 || x->status == 304 || x->status == 101 ||
        str_eq(x->request.method, "HEAD")) {
        x->framing = BODY_NONE;
        x->done = true;
    }
    if (x->framing == BODY_LENGTH && x->left == 0)
        x->done = true;
    return 0;
}

static void reset(struct exchange *x) {
    struct exchange n = {.client = x->client, .request = x->request, .fd = -1};

    exchange_done(x);
    *x = n;
    x->in.max = BODY_MAX;
}

/* 1: the daemon wants an older version, which the client now has. */
static int too_new(struct exchange *x, struct buf *body, struct err *e) {
    const char *p;
    size_t len;
    int r;

    if (x->status != 400 || x->client->confirmed || x->request.unversioned)
        return 0;
    r = exchange_read_all(x, body, e);
    if (r < 0)
        return r;
    if (!strstr(buf_str(body), " is too new. "))
        return 0;
    p = strstr(buf_str(body), "supported API version is ");
    if (!p)
        return 0;
    p += strlen("supported API version is ");
    len = strspn(p, "0123456789.");
    if (len == 0 || len > 16)
        return 0;
    free(x->client->version);
    x->client->version = xstrndup(p, len);
    return 1;
}

int exchange_recv(struct exchange *x, struct err *e) {
    auto_buf body = BUF_INIT;
    int r;

    for (int attempt = 0;; attempt++) {
        auto_err why = ERR_INIT;

        while (true) {
            r = recv_head(x, &why);
            /* 100-continue and the like */
            if (r < 0 || x->status >= 200 || x->status == 101)
                break;
        }
        if (r < 0) {
            /* The daemon had closed the idle connection before it read the request. */
            if (x->reused && x->in.len == 0 && !has_stream(&x->request) && attempt == 0) {
                reset(x);
                r = transmit(x, e);
                if (r < 0)
                    return r;
                continue;
            }
            err_move(e, &why);
            return r;
        }
        r = too_new(x, &body, e);
        if (r < 0)
            return r;
        if (r == 0 || attempt > 1 || has_stream(&x->request))
            break;
        buf_clear(&body);
        reset(x);
        r = transmit(x, e);
        if (r < 0)
            return r;
    }
    if (body.len > 0) { /* too_new looked at it: hand it out again */
        buf_consume(&x->in, x->in_pos);
        buf_clear(&x->in);
        x->in_pos = 0;
        buf_append(&x->in, body.data, body.len);
        x->framing = BODY_LENGTH;
        x->left = body.len;
        x->done = false;
        x->keep_alive = false;
    }
    if (x->status < 400)
        x->client->confirmed = true;
    return 0;
}

/* The size line of the next chunk, and the empty line behind the last one. */
static int next_chunk(struct exchange *x) {
    char *line, *end;

    if (x->chunk_begun && !read_line(x))
        return -EPROTO;
    line = read_line(x);
    if (!line)
        return -EPROTO;
    errno = 0;
    x->left = strtoull(line, &end, 16);
    if (end == line || errno || (*end && *end != ';' && *end != ' '))
        return -EPROTO;
    x->chunk_begun = true;
    if (x->left > 0)
        return 0;
    while ((line = read_line(x)) && *line)
        ; /* trailers */
    x->done = true;
    return line ? 0 : -EPROTO;
}

ssize_t exchange_read(struct exchange *x, void *p, size_t n) {
    size_t have;

    if (x->done || n == 0)
        return 0;
    if (x->framing == BODY_CHUNKED && x->left == 0) {
        int r = next_chunk(x);

        if (r < 0)
            return r;
        if (x->done)
            return 0;
    }
    if (x->in_pos == x->in.len) {
        ssize_t r = fill(x);

        if (r < 0)
            return r;
        if (r == 0) {
            x->done = true;
            x->keep_alive = false;
            return x->framing == BODY_CLOSE ? 0 : -EPROTO;
        }
    }
    have = x->in.len - x->in_pos;
    if (have > n)
        have = n;
    if (x->framing != BODY_CLOSE && have > x->left)
        have = (size_t)x->left;
    memcpy(p, x->in.data + x->in_pos, have);
    x->in_pos += have;
    if (x->framing != BODY_CLOSE)
        x->left -= have;
    if (x->framing == BODY_LENGTH && x->left == 0)
        x->done = true;
    return (ssize_t)have;
}

int exchange_read_all(struct exchange *x, struct buf *out, struct err *e) {
    if (out->max == 0)
        out->max = BODY_MAX;
    for (;;) {
        ssize_t n;

        if (!buf_reserve(out, READ_SIZE))
            return err_set(e, ERR_TOO_LARGE, "the daemon's answer is too long");
        n = exchange_read(x, out->data + out->len, READ_SIZE);
        if (n < 0)
            return err_sys(e, (int)n, "read the daemon's answer");
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (n == 0)
            return 0;
    }
}

static enum err_class class_of(int status) {
    for (int i = ERR_SYSTEM; i < ERR_CLASS_MAX_; i++)
        if (err_http_status((enum err_class)i) == status)
            return (enum err_class)i;
    return ERR_SYSTEM;
}

int exchange_check(struct exchange *x, struct err *e) {
    auto_json *answer = NULL;
    auto_buf body = BUF_INIT;
    auto_free char *trimmed = NULL;
    const char *text;
    char *end;
    struct json_object *message = NULL;
    int r;

    if (x->status < 400)
        return 0;
    r = exchange_read_all(x, &body, e);
    if (r < 0)
        return r;
    if (client_parse_json(buf_str(&body), body.len, &answer, NULL) == 0)
        json_object_object_get_ex(answer, "message", &message);
    trimmed = xstrdup(message ? json_object_get_string(message) : buf_str(&body));
    end = trimmed + strlen(trimmed);
    while (end > trimmed && strchr(" \t\r\n", end[-1]))
        *--end = '\0';
    text = trimmed + strspn(trimmed, " \t\r\n");
    if (!*text)
        return err_set(e, class_of(x->status),
                       "Error response from daemon: request returned %d for API route and version "
                       "http://%s%s%s, check if the server supports the requested API version",
                       x->status, x->client->address, x->client->version, x->request.path);
    return err_set(e, class_of(x->status), "Error response from daemon: %s", text);
}

int exchange_open(struct exchange *x, struct client *c, const struct request *r, struct err *e) {
    int n = exchange_send(x, c, r, e);

    if (n == 0)
        n = exchange_recv(x, e);
    return n < 0 ? n : exchange_check(x, e);
}

int exchange_hijack(struct exchange *x, struct buf *rest) {
    buf_append(rest, x->in.data + x->in_pos, x->in.len - x->in_pos);
    return take_fd(&x->fd);
}

void exchange_done(struct exchange *x) {
    if (x->fd >= 0 && x->done && x->keep_alive && x->status != 101 && x->in_pos == x->in.len &&
        x->client->idle_fd < 0)
        x->client->idle_fd = take_fd(&x->fd);
    fd_close(x->fd);
    x->fd = -1;
    buf_done(&x->in);
    free(x->content_type);
    free(x->path_stat);
    free(x->api_version);
    x->content_type = x->path_stat = x->api_version = NULL;
}

/* ---- whole calls --------------------------------------------------------------------------- */

int client_parse_json(const char *text, size_t len, struct json_object **ret, struct err *e) {
    struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH);
    struct json_object *o;
    int r = 0;

    if (!tok || len > INT32_MAX) {
        json_tokener_free(tok);
        return err_set(e, ERR_TOO_LARGE, "JSON is too long");
    }
    o = json_tokener_parse_ex(tok, text, (int)len);
    if (json_tokener_get_error(tok) == json_tokener_continue) /* a lone number ends with a NUL */
        o = json_tokener_parse_ex(tok, "", 1);
    if (json_tokener_get_error(tok) != json_tokener_success)
        r = err_set(e, ERR_INVALID, "invalid JSON from the daemon: %s",
                    json_tokener_error_desc(json_tokener_get_error(tok)));
    json_tokener_free(tok);
    if (r < 0) {
        json_object_put(o);
        return r;
    }
    *ret = o;
    return 0;
}

int client_call(struct client *c, const struct request *r, struct buf *ret_body, struct err *e) {
    auto_exchange x = EXCHANGE_INIT;
    auto_buf ignored = BUF_INIT;
    int n = exchange_open(&x, c, r, e);

    if (n == 0)
        n = exchange_read_all(&x, ret_body ? ret_body : &ignored, e);
    return n;
}

static int call_json(struct client *c, const struct request *r, struct json_object **ret,
                     struct err *e) {
    auto_buf body = BUF_INIT;
    int n = client_call(c, r, &body, e);

    if (n < 0 || !ret)
        return n;
    return client_parse_json(buf_str(&body), body.len, ret, e);
}

int client_get_json(struct client *c, const char *path, const char *query, struct json_object **ret,
                    struct err *e) {
    const struct request r = {.method = "GET", .path = path, .query = query};

    return call_json(c, &r, ret, e);
}

int client_post_json(struct client *c, const char *path, const char *query, const char *body,
                     struct json_object **ret, struct err *e) {
    const struct request r = {.method = "POST",
                              .path = path,
                              .query = query,
                              .content_type = body ? "application/json" : NULL,
                              .body = body,
                              .body_len = body ? strlen(body) : 0};

    return call_json(c, &r, ret, e);
}

/* ---- addresses ----------------------------------------------------------------------------- */

static void escape(struct buf *out, const char *s, const char *plain, bool plus) {
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;

        if ((ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
            strchr(plain, ch))
            buf_putc(out, (char)ch);
        else if (ch == ' ' && plus)
            buf_putc(out, '+');
        else
            buf_printf(out, "%%%02X", ch);
    }
}

void query_add(struct buf *q, const char *name, const char *value) {
    if (q->len > 0)
        buf_putc(q, '&');
    buf_printf(q, "%s=", name);
    escape(q, value, "-_.~", true);
}

void query_add_int(struct buf *q, const char *name, int64_t value) {
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    query_add(q, name, text);
}

char *path_join(const char *prefix, const char *name, const char *suffix) {
    auto_buf b = BUF_INIT;

    buf_puts(&b, prefix);
    escape(&b, name, "-_.~/:@", false);
    buf_puts(&b, suffix);
    return buf_take(&b);
}

static ssize_t reader_read(struct reader *r, void *p, size_t n) {
    return exchange_read(container_of(r, struct exchange_reader, base)->x, p, n);
}

void exchange_reader_init(struct exchange_reader *r, struct exchange *x) {
    *r = (struct exchange_reader){.base.read = reader_read, .x = x};
}
