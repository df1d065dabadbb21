/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A blocking HTTP/1.1 client for the engine's API, over unix and TCP sockets.
 *
 * Several exchanges can be in flight at once, each on a connection of its own: send them all, then
 * receive one after the other. A connection whose answer was read to its end is used again.
 *
 * The API version is in every path without asking first; a daemon that says it is older gets the
 * request again in its own version.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <json-c/json_object.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/tls.h"
#include "format/reader.h"

#define CLIENT_API_VERSION "1.51"

enum client_transport { CLIENT_UNIX, CLIENT_TCP };

struct client {
    char *host; /* as given: "unix:///run/fence.sock" */
    enum client_transport transport;
    char *address; /* socket path, or host name */
    char *port;    /* TCP only */
    char *version; /* of the API, grows older when the daemon asks for it */
    const char *engine_name;
    struct client_tls *tls; /* TCP only, or NULL; owned */
    char **headers;         /* of the user's configuration, sent with each request */
    bool confirmed;         /* the daemon has answered in this version */
    int idle_fd;            /* a connection to use again, or -1 */
};

/* A body that is made while it is sent (an archive of files). */
struct producer {
    int (*produce)(struct producer *p, struct writer *to, struct err *e);
};

struct request {
    const char *method;
    const char *path;  /* after the version: "/containers/json" */
    const char *query; /* "all=1", NULL or "": none */
    const char *content_type;
    const void *body; /* borrowed until the answer is there */
    size_t body_len;
    /* Body of unknown length, sent in chunks while send runs; replaces body. Borrowed. */
    struct reader *stream;
    /* The same, pushed instead of pulled: writes the body to `to`. */
    struct producer *producer;
    const char *auth; /* X-Registry-Auth, or NULL */
    bool upgrade;     /* ask for the raw connection */
    bool unversioned; /* path is complete */
};

struct exchange {
    struct client *client;
    struct request request;
    int fd;
    bool reused; /* the connection had served another exchange before */
    struct buf in;
    size_t in_pos;
    /* the answer */
    int status;
    char *content_type;
    char *path_stat;   /* X-Docker-Container-Path-Stat */
    char *api_version; /* Api-Version */
    enum { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_CLOSE } framing;
    uint64_t left; /* of the body or of the chunk */
    bool chunk_begun, done, keep_alive;
};

#define EXCHANGE_INIT                                                                              \
    { .fd = -1 }
#define auto_exchange __attribute__((cleanup(exchange_done))) struct exchange

/* ERR_INVALID for an address that it does not understand. No connection is made yet. tls (moved
 * from, and emptied) or NULL: a unix socket takes none. */
int client_init(struct client *c, const char *host, const char *engine_name, struct client_tls *tls,
                struct err *e);
void client_done(struct client *c);

int exchange_send(struct exchange *x, struct client *c, const struct request *r, struct err *e);
/* Waits for the status and the headers. Any status is success here. */
int exchange_recv(struct exchange *x, struct err *e);
/* Decoded bytes of the body: > 0, 0 at its end, -errno. */
ssize_t exchange_read(struct exchange *x, void *p, size_t n);
int exchange_read_all(struct exchange *x, struct buf *out, struct err *e);
/* "Error response from daemon: ..." when the status is 400 or more. */
int exchange_check(struct exchange *x, struct err *e);
/* All three: what is left is the body. */
int exchange_open(struct exchange *x, struct client *c, const struct request *r, struct err *e);
/* After status 101: the connection, and what was read beyond the headers in *rest. */
int exchange_hijack(struct exchange *x, struct buf *rest);
void exchange_done(struct exchange *x);

/* The usual things in one call. A status of 400 or more is an error. */
int client_call(struct client *c, const struct request *r, struct buf *ret_body, struct err *e);
int client_get_json(struct client *c, const char *path, const char *query, struct json_object **ret,
                    struct err *e);
/* POST with a JSON body (NULL: none); *ret may be NULL. */
int client_post_json(struct client *c, const char *path, const char *query, const char *body,
                     struct json_object **ret, struct err *e);
/* JSON of any size that the daemon sent. */
int client_parse_json(const char *text, size_t len, struct json_object **ret, struct err *e);

/* Adds "name=value" (percent-encoded) to a query. */
void query_add(struct buf *q, const char *name, const char *value);
void query_add_int(struct buf *q, const char *name, int64_t value);
/* A path of prefix + escaped name + suffix. Owned. */
char *path_join(const char *prefix, const char *name, const char *suffix);

/* A body as a struct reader. */
struct exchange_reader {
    struct reader base;
    struct exchange *x; /* borrowed */
};
void exchange_reader_init(struct exchange_reader *r, struct exchange *x);
