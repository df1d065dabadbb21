/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_guard.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/str.h"

/* What browsers send and a page cannot take away; no SDK of Docker's sends any of it. */
static bool is_browser(const struct http1_request *req) {
    static const char *const signs[] = {"Origin", "Referer", "Cookie", "Sec-Fetch-Site",
                                        "Sec-Fetch-Mode"};
    const char *agent = http1_header(req, "User-Agent");

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (http1_header(req, signs[i]))
            return true;
    }
    return agent && str_starts(agent, "Mozilla/");
}

/* "name:port", "[v6]:port" or without a port -> the name alone. */
static bool host_name(const char *host, char *out, size_t size) {
    const char *begin = host, *end;

    if (*host == '[') {
        begin = host + 1;
        end = strchr(begin, ']');
        if (!end)
            return false;
    } else {
        end = begin + strcspn(begin, ":");
    }
    if (end == begin || (size_t)(end - begin) >= size)
        return false;
    memcpy(out, begin, (size_t)(end - begin));
    out[end - begin] = '\0';
    return true;
}

/* Names that nobody can register and point at us: addresses, localhost, and this machine's. */
static bool is_own_name(const char *host) {
    char name[256], own[256];
    unsigned char address[sizeof(struct in6_addr)];
    size_t len;

    if (!host || !host_name(host, name, sizeof(name)))
        return false;
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return true;
    len = strlen(name);
    if (strcasecmp(name, "localhost") == 0 ||
        (len > 10 && strcasecmp(name + len - 10, ".localhost") == 0))
        return true;
    if (gethostname(own, sizeof(own)) < 0)
        return false;
    own[sizeof(own) - 1] = '\0';
    if (strcasecmp(name, own) == 0)
        return true;
    own[strcspn(own, ".")] = '\0';
    return strcasecmp(name, own) == 0;
}

const char *http_guard_refuses(const struct http1_request *req, const char *allow_origin) {
    const char *origin = http1_header(req, "Origin"), *host = http1_header(req, "Host");
    const char *authority;

    if (!is_browser(req) || str_eq(allow_origin, "*"))
        return NULL;
    if (origin) {
        if (str_eq(origin, allow_origin))
            return NULL;
        authority = strstr(origin, "://");
        if (!authority || !host || strcasecmp(authority + 3, host) != 0)
            return "origin not allowed";
    }
    return is_own_name(host) ? NULL : "host not allowed";
}
