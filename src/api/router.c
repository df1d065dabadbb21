/* SPDX-License-Identifier: Apache-2.0 */
#include "api/router.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

static const struct route *const tables[] = {
    routes_containers, routes_exec,     routes_images, routes_system,
    routes_volumes,    routes_networks, routes_absent,
};
#define TABLES (sizeof tables / sizeof *tables)

const struct http_header *router_headers(const struct engine *eng) {
    static const struct http_header plain[] = {
        {"Api-Version", "1.51"},
        {"Docker-Experimental", "false"},
        {"Ostype", "linux"},
        {"Server", "Fence/" FENCE_VERSION " (linux)"},
        {NULL, NULL},
    };
    static const char allowed[] = "Origin, X-Requested-With, Content-Type, Accept, X-Registry-Auth";
    static struct http_header cors[] = {
        {"Api-Version", "1.51"},
        {"Docker-Experimental", "false"},
        {"Ostype", "linux"},
        {"Server", "Fence/" FENCE_VERSION " (linux)"},
        {"Access-Control-Allow-Origin", NULL},
        {"Access-Control-Allow-Headers", allowed},
        {"Access-Control-Allow-Methods", "HEAD, GET, POST, DELETE, PUT, OPTIONS"},
        {NULL, NULL},
    };

    if (str_empty(eng->options.cors_origin))
        return plain;
    cors[4].value = eng->options.cors_origin;
    return cors;
}

/*
 * Does `path` fit `pattern`? Fills params from the pattern's {}. A {name*} takes at least one
 * segment and as many as leave the rest of the pattern matching.
 */
static bool fits(const char *pattern, const char *path, char **params, unsigned n) {
    while (*pattern && *pattern != '{') {
        if (*pattern != *path)
            return false;
        pattern++;
        path++;
    }
    if (!*pattern)
        return !*path;
    if (n >= API_PARAMS_MAX)
        return false;
    {
        const char *close = strchr(pattern, '}');
        bool many = close[-1] == '*';
        size_t len = many ? strlen(path) : strcspn(path, "/");

        for (; len > 0; len--) {
            if ((!many || path[len] == '/' || !path[len]) &&
                fits(close + 1, path + len, params, n + 1)) {
                params[n] = xstrndup(path, len);
                return true;
            }
            if (!many)
                return false;
        }
    }
    return false;
}

/* "/v1.41/x" -> "/x" and 41. False for a version that cannot be served; e tells why. */
static int split_version(const char *path, const char **rest, int *version, struct err *e) {
    const char *p = path + 2;
    int major = 0, minor = 0;

    *rest = path;
    *version = API_VERSION_MAX;
    if (!str_starts(path, "/v") || !isdigit((unsigned char)*p))
        return 0;
    while (isdigit((unsigned char)*p) && major < 1000)
        major = major * 10 + (*p++ - '0');
    if (*p != '.' || !isdigit((unsigned char)p[1]))
        return 0;
    p++;
    while (isdigit((unsigned char)*p) && minor < 1000)
        minor = minor * 10 + (*p++ - '0');
    if (*p == '.') /* "/v1.24.0/" is no version of the API, but clients have sent it */
        for (p++; isdigit((unsigned char)*p); p++)
            ;
    if (*p && *p != '/')
        return 0;
    if (major > 1 || (major == 1 && minor > API_VERSION_MAX))
        return err_set(e, ERR_INVALID,
                       "client version %d.%d is too new. Maximum supported API version is 1.%d",
                       major, minor, API_VERSION_MAX);
    *rest = *p ? p : "/";
    *version = major == 1 ? minor : 0;
    return 0;
}

/* "//containers//x" -> "/containers/x": base addresses that end with a slash, and names as inspect
 * has them. dockerd redirects, which not every client follows. */
static char *single_slashes(const char *path) {
    char *out = xstrdup(path), *to = out;

    for (const char *from = path; *from; from++)
        if (*from != '/' || to == out || to[-1] != '/')
            *to++ = *from;
    *to = '\0';
    return out;
}

static void run(struct api_call *c) {
    log_debug("calling", "method", http_req_method(c->req), "path", http_req_path(c->req));
    c->route->handler(c);
}

static void on_body(void *arg, struct http_req *r, struct buf *body, int error) {
    struct api_call *c = arg;

    (void)r;
    if (error == -EFBIG) {
        call_errorf(c, ERR_TOO_LARGE, "the request body is larger than %u bytes", JSON_SIZE_MAX);
    } else if (error < 0) {
        call_errorf(c, ERR_INVALID, "the request body could not be read");
    } else {
        c->body = *body;
        *body = (struct buf)BUF_INIT;
        run(c);
    }
}

/* Docker refuses other types (415 before 20.10, 400 since), and lets a missing one pass. */
static bool json_type_ok(struct http_req *req) {
    const char *type = http_req_header(req, "Content-Type");

    return str_empty(type) || str_starts(type, "application/json") ||
           http_req_body_length(req) == 0;
}

static void dispatch(struct api_call *c, struct http_req *req) {
    if (!(c->route->flags & ROUTE_BODY)) {
        run(c);
        return;
    }
    if ((c->route->flags & ROUTE_JSON_BODY) && !json_type_ok(req)) {
        call_errorf(c, ERR_INVALID,
                    "unsupported Content-Type header (%s): must be 'application/json'",
                    http_req_header(req, "Content-Type"));
        return;
    }
    http_req_read_body(req, JSON_SIZE_MAX, on_body, c);
}

void router_handle(void *arg, struct http_req *req) {
    struct engine *eng = arg;
    struct api_call *c = call_new(eng, req);
    const char *method = http_req_method(req), *path;
    auto_free char *asked = single_slashes(http_req_path(req));
    auto_err e = ERR_INIT;

    if (split_version(asked, &path, &c->version, &e) < 0) {
        call_error(c, &e);
        return;
    }
    if (str_eq(method, "OPTIONS")) {
        call_empty(c, 200);
        return;
    }
    for (size_t t = 0; t < TABLES; t++)
        for (const struct route *r = tables[t]; r->method; r++) {
            char *params[API_PARAMS_MAX] = {0};

            if (!fits(r->pattern, path, params, 0))
                continue;
            if (!str_eq(r->method, method)) {
                for (int i = 0; i < API_PARAMS_MAX; i++)
                    free(params[i]);
                continue;
            }
            memcpy(c->params, params, sizeof params);
            c->route = r;
            dispatch(c, req);
            return;
        }
    call_errorf(c, ERR_NOT_FOUND, "page not found"); /* a wrong method as well: dockerd's router */
}
