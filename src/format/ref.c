/* SPDX-License-Identifier: Apache-2.0 */
#include "format/ref.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/match.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN  "index.docker.io"
#define OFFICIAL       "library/"
#define PATH_MAX_LEN   255
#define TAG_MAX_LEN    128
#define INVALID        "invalid reference format"

void image_ref_done(struct image_ref *r) {
    free(r->domain);
    free(r->path);
    free(r->tag);
    free(r->digest);
    *r = (struct image_ref){0};
}

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_path_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool has_upper(const char *s) {
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            return true;
    return false;
}

/* Labels of letters, digits and inner hyphens with dots between them, or an IPv6 address in
 * brackets; then perhaps a port. */
static bool domain_is_valid(const char *s) {
    if (*s == '[') {
        size_t n = strspn(++s, "0123456789abcdefABCDEF:");

        if (n == 0 || s[n] != ']')
            return false;
        s += n + 1;
    } else {
        for (;;) {
            if (!is_alnum(*s))
                return false;
            while (is_alnum(*s) || *s == '-')
                s++;
            if (s[-1] == '-')
                return false;
            if (*s != '.')
                break;
            s++;
        }
    }
    if (*s == '\0')
        return true;
    return *s == ':' && s[1] && strspn(s + 1, "0123456789") == strlen(s + 1);
}

/* Runs of lower-case letters and digits, between two of them one of . _ __ or any number of
 * hyphens; slashes between such components. */
static bool path_is_valid(const char *s) {
    for (;;) {
        if (!is_path_char(*s))
            return false;
        while (is_path_char(*s))
            s++;
        if (*s == '\0')
            return true;
        if (*s == '/' || *s == '.')
            s++;
        else if (*s == '_')
            s += s[1] == '_' ? 2 : 1;
        else if (*s == '-')
            s += strspn(s, "-");
        else
            return false;
    }
}

bool image_tag_is_valid(const char *tag) {
    size_t n = tag ? strlen(tag) : 0;

    if (n == 0 || n > TAG_MAX_LEN || *tag == '.' || *tag == '-')
        return false;
    for (; *tag; tag++)
        if (!is_alnum(*tag) && *tag != '_' && *tag != '.' && *tag != '-')
            return false;
    return true;
}

/* algorithm ":" hex, the algorithm being letters and digits with single +._- between them. */
static bool digest_has_form(const char *s) {
    for (;;) {
        if (!isalpha((unsigned char)*s))
            return false;
        while (is_alnum(*s))
            s++;
        if (*s == ':')
            break;
        if (*s == '\0' || !strchr("+._-", *s))
            return false;
        s++;
    }
    s++;
    return strlen(s) >= 32 && strspn(s, "0123456789abcdefABCDEF") == strlen(s);
}

static int check_digest(const char *s, struct err *e) {
    static const struct {
        const char *prefix;
        size_t digits;
    } known[] = {{"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};

    if (!digest_has_form(s))
        return err_set(e, ERR_INVALID, INVALID);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *hex = str_after(s, known[i].prefix);

        if (!hex)
            continue;
        if (strlen(hex) != known[i].digits)
            return err_set(e, ERR_INVALID, "invalid checksum digest length");
        if (!str_is_hex(hex))
            return err_set(e, ERR_INVALID, "invalid checksum digest format");
        return 0;
    }
    return err_set(e, ERR_INVALID, "unsupported digest algorithm");
}

/* What stands before the first slash is a registry when it looks like a host: a dot, a port,
 * "localhost", or upper case, which no repository has. */
static char *registry_of(const char *s) {
    const char *slash = strchr(s, '/');
    auto_free char *first = slash ? xstrndup(s, (size_t)(slash - s)) : NULL;

    if (!first || (!strpbrk(first, ".:") && strcmp(first, "localhost") != 0 && !has_upper(first)))
        return NULL;
    return take_ptr(first);
}

static bool is_hex64(const char *s) {
    return strlen(s) == 64 && str_is_hex(s);
}

static char *split_domain(const char *s, const char **ret_rest) {
    auto_free char *first = registry_of(s);

    *ret_rest = s;
    if (!first)
        return xstrdup(DEFAULT_DOMAIN);
    *ret_rest = s + strlen(first) + 1;
    if (strcmp(first, LEGACY_DOMAIN) == 0)
        return xstrdup(DEFAULT_DOMAIN);
    return take_ptr(first);
}

/* Cuts `rest` into ref's tag and digest and the repository, which is returned. */
static char *split_rest(const char *rest, struct image_ref *ref) {
    auto_free char *name = xstrdup(rest);
    char *at = strchr(name, '@'), *colon;

    if (at) {
        *at = '\0';
        ref->digest = xstrdup(at + 1);
    }
    colon = strchr(name, ':');
    if (colon) {
        *colon = '\0';
        ref->tag = xstrdup(colon + 1);
    }
    return take_ptr(name);
}

static int fill(const char *s, struct image_ref *ref, struct err *e) {
    auto_free char *name = NULL, *remote = NULL;
    const char *rest;

    if (is_hex64(s))
        return err_set(e, ERR_INVALID,
                       "invalid repository name (%s), cannot specify 64-byte hexadecimal strings",
                       s);
    ref->domain = split_domain(s, &rest);
    name = split_rest(rest, ref);
    if (strcmp(ref->domain, DEFAULT_DOMAIN) == 0 && !strchr(rest, '/'))
        ref->path = xasprintf(OFFICIAL "%s", name);
    else
        ref->path = take_ptr(name);
    /* Docker looks at what is before the first colon, a digest's algorithm included. */
    remote = xstrndup(rest, strcspn(rest, ":"));
    if (has_upper(remote))
        return err_set(
            e, ERR_INVALID, INVALID ": repository name (%s%s) must be lowercase",
            strcmp(ref->domain, DEFAULT_DOMAIN) == 0 && !strchr(rest, '/') ? OFFICIAL : "", remote);
    if (!domain_is_valid(ref->domain) || !path_is_valid(ref->path) ||
        (ref->tag && !image_tag_is_valid(ref->tag)))
        return err_set(e, ERR_INVALID, INVALID);
    if (strlen(ref->path) > PATH_MAX_LEN)
        return err_set(e, ERR_INVALID, "repository name must not be more than %d characters",
                       PATH_MAX_LEN);
    return ref->digest ? check_digest(ref->digest, e) : 0;
}

int image_ref_parse(const char *s, struct image_ref *ret, struct err *e) {
    struct image_ref ref = {0};
    int r = fill(s, &ref, e);

    if (r < 0) {
        image_ref_done(&ref);
        return r;
    }
    *ret = ref;
    return 0;
}

void image_ref_default_tag(struct image_ref *r) {
    if (!r->tag && !r->digest)
        r->tag = xstrdup("latest");
}

static char *with_suffix(const char *domain, const char *path, const struct image_ref *r) {
    return xasprintf("%s%s%s%s%s%s%s", domain, *domain ? "/" : "", path, r->tag ? ":" : "",
                     str_or_empty(r->tag), r->digest ? "@" : "", str_or_empty(r->digest));
}

/* Borrowed parts of the familiar name: what can be left out so that it still means the same
 * reference. ("docker.io/a.b/c" keeps its domain, where Docker prints another registry's name.) */
static void familiar_parts(const struct image_ref *r, const char **domain, const char **path) {
    auto_free char *registry = registry_of(r->path);
    const char *official;

    *domain = r->domain;
    *path = r->path;
    if (strcmp(r->domain, DEFAULT_DOMAIN) != 0 || registry)
        return;
    *domain = "";
    official = str_after(r->path, OFFICIAL);
    if (official && !strchr(official, '/') && !is_hex64(official))
        *path = official;
}

char *image_ref_familiar_name(const struct image_ref *r) {
    const struct image_ref bare = {0};
    const char *domain, *path;

    familiar_parts(r, &domain, &path);
    return with_suffix(domain, path, &bare);
}

char *image_ref_familiar(const struct image_ref *r) {
    const char *domain, *path;

    familiar_parts(r, &domain, &path);
    return with_suffix(domain, path, r);
}

char *image_ref_canonical(const struct image_ref *r) {
    return with_suffix(r->domain, r->path, r);
}

bool image_ref_match(const char *pattern, const struct image_ref *r) {
    auto_free char *whole = image_ref_familiar(r), *name = image_ref_familiar_name(r);

    return go_match(pattern, whole) > 0 || go_match(pattern, name) > 0;
}
