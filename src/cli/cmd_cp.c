/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/cp.h"
#include "cli/output.h"
#include "format/json.h"

/* Go's os.FileMode bits in X-Docker-Container-Path-Stat. */
#define MODE_DIR     (INT64_C(1) << 31)
#define MODE_SYMLINK (INT64_C(1) << 27)
#define LINKS_MAX    32

/* clang-format off */
static const struct flag cp_flags[] = {
    {.name = "archive", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Archive mode (copy all uid/gid information)"},
    {.name = "follow-link", .shorthand = 'L', .type = FLAG_BOOL, .usage = "Always follow symbol link in SRC_PATH"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached"},
    {.name = NULL},
};
/* clang-format on */

/* ---- paths --------------------------------------------------------------------------------- */

/* "container:path"; container NULL for a local path. */
static void split_operand(const char *s, char **ret_container, const char **ret_path) {
    const char *colon = strchr(s, ':');

    *ret_container = NULL;
    *ret_path = s;
    if (*s == '/' || *s == '.' || !colon)
        return;
    *ret_container = xstrndup(s, (size_t)(colon - s));
    *ret_path = colon + 1;
}

static bool names_content(const char *path) {
    return str_eq(path, ".") || str_ends(path, "/.");
}

static bool has_slash(const char *path) {
    return str_ends(path, "/") || names_content(path);
}

/* The last component, "" of "/". */
static char *base_name(const char *path) {
    size_t n = strlen(path), start;

    while (n > 0 && path[n - 1] == '/')
        n--;
    for (start = n; start > 0 && path[start - 1] != '/'; start--)
        ;
    return xstrndup(path + start, n - start);
}

static char *dir_name(const char *path) {
    size_t n = strlen(path);

    while (n > 0 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n > 0 ? xstrndup(path, n) : xstrdup(*path == '/' ? "/" : ".");
}

/* ---- the container's side ------------------------------------------------------------------ */

struct remote_stat {
    char *name, *link;
    int64_t mode;
};

static void remote_stat_done(struct remote_stat *s) {
    free(s->name);
    free(s->link);
}

static int base64_decode(const char *s, struct buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0;
    int have = 0;

    for (; *s && *s != '='; s++) {
        const char *at = strchr(digits, *s);

        if (!at)
            return -EINVAL;
        bits = (bits << 6 | (unsigned)(at - digits)) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_putc(out, (char)(bits >> have));
        }
    }
    return 0;
}

static int parse_stat(const struct exchange *x, struct remote_stat *ret, struct err *e) {
    auto_buf text = BUF_INIT;
    auto_json *o = NULL;

    if (!x->path_stat || base64_decode(x->path_stat, &text) < 0 ||
        client_parse_json(buf_str(&text), text.len, &o, NULL) < 0)
        return err_set(e, ERR_SYSTEM,
                       "unable to get resource stat from response: unable to decode container path "
                       "stat header");
    *ret = (struct remote_stat){.name = xstrdup(str_or_empty(jsn_str(o, "name"))),
                                .link = xstrdup(str_or_empty(jsn_str(o, "linkTarget"))),
                                .mode = jsn_int(o, "mode", 0)};
    return 0;
}

/* 1: the container has no such path. */
static int remote_stat(struct cli *cli, const char *container, const char *path,
                       struct remote_stat *ret, struct err *e) {
    auto_free char *url = path_join("/containers/", container, "/archive");
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT;
    struct request request = {.method = "HEAD", .path = url};
    int r;

    query_add(&query, "path", path);
    request.query = buf_str(&query);
    r = exchange_send(&x, &cli->client, &request, e);
    if (r == 0)
        r = exchange_recv(&x, e);
    if (r < 0)
        return r;
    if (x.status == 404)
        return 1;
    if (x.status >= 400) { /* HEAD has no text: the same question with GET has */
        request.method = "GET";
        return client_call(&cli->client, &request, NULL, e) < 0
                   ? -EIO
                   : err_set(e, ERR_SYSTEM, "cannot stat %s:%s", container, path);
    }
    return parse_stat(&x, ret, e);
}

/* The path behind links at its end. */
static int remote_resolve(struct cli *cli, const char *container, char **path,
                          struct remote_stat *st, struct err *e) {
    for (int i = 0;; i++) {
        auto_free char *dir = NULL;
        int r = remote_stat(cli, container, *path, st, e);

        if (r != 0 || !(st->mode & MODE_SYMLINK))
            return r;
        if (i == LINKS_MAX)
            return err_set(e, ERR_INVALID, "too many levels of symbolic links: %s", *path);
        dir = dir_name(*path);
        free(*path);
        *path = *st->link == '/' ? xstrdup(st->link) : xasprintf("%s/%s", dir, st->link);
        remote_stat_done(st);
        *st = (struct remote_stat){0};
    }
}

/* ---- from a container ---------------------------------------------------------------------- */

static int to_stdout(struct exchange *x, struct err *e) {
    struct exchange_reader from;
    struct fd_writer to;
    int64_t n;

    exchange_reader_init(&from, x);
    fd_writer_init(&to, STDOUT_FILENO);
    n = reader_copy(&from.base, &to.base);
    return n < 0 ? err_sys(e, (int)-n, "write /dev/stdout") : 0;
}

static int local_target(const char *dst, const char *src, bool src_is_dir, const char *src_name,
                        char **ret, struct err *e) {
    struct stat st;
    bool exists = stat(dst, &st) == 0;

    if (exists && S_ISDIR(st.st_mode)) {
        *ret = names_content(src) ? xstrdup(dst) : xasprintf("%s/%s", dst, src_name);
        return 0;
    }
    if (exists && src_is_dir)
        return err_set(e, ERR_INVALID, "cannot copy directory");
    if (exists && has_slash(dst))
        return err_set(e, ERR_INVALID, "not a directory");
    if (!exists) {
        auto_free char *parent = dir_name(dst);

        if (stat(parent, &st) < 0)
            return err_set(e, ERR_INVALID, "invalid output path: directory \"%s\" does not exist",
                           parent);
        if (!src_is_dir && has_slash(dst))
            return err_set(e, ERR_INVALID, "no such directory");
    }
    *ret = xstrdup(dst);
    return 0;
}

static int show_copied(const struct args *a, const char *what) {
    if (!flag_bool(&a->flags, "quiet") && isatty(STDERR_FILENO) == 1)
        fprintf(stderr, "Successfully copied to %s\n", what);
    return 0;
}

static int from_container(struct cli *cli, const struct args *a, const char *container,
                          const char *src, const char *dst, struct err *e) {
    __attribute__((cleanup(remote_stat_done))) struct remote_stat st = {0}, ignored = {0};
    auto_free char *url = path_join("/containers/", container, "/archive");
    auto_free char *path = xstrdup(src), *target = NULL, *name = NULL;
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT;
    struct request request = {.method = "GET", .path = url};
    struct exchange_reader from;
    bool is_dir;
    int r = 0;

    if (flag_bool(&a->flags, "follow-link"))
        r = remote_resolve(cli, container, &path, &ignored, e);
    if (r < 0)
        return r;
    query_add(&query, "path", path);
    request.query = buf_str(&query);
    r = exchange_open(&x, &cli->client, &request, e);
    if (r == 0)
        r = parse_stat(&x, &st, e);
    if (r < 0)
        return r;
    if (str_eq(dst, "-"))
        return to_stdout(&x, e);
    is_dir = (st.mode & MODE_DIR) != 0;
    name = base_name(src);
    if (!*name || str_eq(name, ".") || str_eq(name, ".."))
        str_set(&name, st.name);
    r = local_target(dst, src, is_dir, name, &target, e);
    if (r < 0)
        return r;
    exchange_reader_init(&from, &x);
    r = cp_extract(&from.base, target, is_dir, e);
    return r < 0 ? r : show_copied(a, dst);
}

/* ---- to a container ------------------------------------------------------------------------ */

static int put_archive(struct cli *cli, const struct args *a, const char *container,
                       const char *dir, struct request *request, struct err *e) {
    auto_free char *url = path_join("/containers/", container, "/archive");
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT, body = BUF_INIT;
    int r;

    if (flag_bool(&a->flags, "archive"))
        query_add(&query, "copyUIDGID", "true");
    query_add(&query, "noOverwriteDirNonDir", "true");
    query_add(&query, "path", dir);
    request->method = "PUT";
    request->path = url;
    request->query = buf_str(&query);
    request->content_type = "application/x-tar";
    r = exchange_open(&x, &cli->client, request, e);
    return r < 0 ? r : exchange_read_all(&x, &body, e);
}

static int to_container(struct cli *cli, const struct args *a, const char *src,
                        const char *container, const char *dst, struct err *e) {
    __attribute__((cleanup(remote_stat_done))) struct remote_stat st = {0};
    auto_free char *path = xstrdup(*dst ? dst : "/"), *dir = NULL, *as = NULL, *real = NULL;
    bool follow = flag_bool(&a->flags, "follow-link"), src_is_dir, exists, is_dir;
    struct request request = {0};
    struct cp_pack pack;
    struct fd_reader in;
    struct stat local;
    int r;

    if (*path != '/') {
        char *absolute = xasprintf("/%s", path);

        free(path);
        path = absolute;
    }
    r = remote_resolve(cli, container, &path, &st, e);
    if (r < 0)
        return r;
    exists = r == 0;
    is_dir = exists && (st.mode & MODE_DIR);
    if (str_eq(src, "-")) {
        if (!is_dir)
            return err_set(e, ERR_INVALID, "destination \"%s:%s\" must be a directory", container,
                           dst);
        fd_reader_init(&in, STDIN_FILENO, UINT64_MAX);
        request.stream = &in.base;
        return put_archive(cli, a, container, path, &request, e);
    }
    if ((follow || has_slash(src) ? stat : lstat)(src, &local) < 0)
        return err_set(e, ERR_NOT_FOUND, "lstat %s: %s", src,
                       errno == ENOENT ? "no such file or directory" : strerror(errno));
    src_is_dir = S_ISDIR(local.st_mode);
    if (!src_is_dir && has_slash(src))
        return err_set(e, ERR_INVALID, "not a directory");
    if (exists && !is_dir && src_is_dir)
        return err_set(e, ERR_INVALID, "cannot copy directory");
    if (exists && !is_dir && has_slash(dst))
        return err_set(e, ERR_INVALID, "not a directory");
    if (!exists && !src_is_dir && has_slash(dst))
        return err_set(e, ERR_INVALID, "no such directory");
    if (is_dir) {
        dir = xstrdup(path);
        as = names_content(src) ? xstrdup(".") : base_name(src);
        if (!*as || str_eq(as, "..")) {
            real = realpath(src, NULL);
            free(as);
            as = base_name(str_or_empty(real));
            if (!*as)
                str_set(&as, ".");
        }
    } else {
        dir = dir_name(path);
        as = base_name(path);
        if (str_eq(as, ".")) { /* "new/." */
            auto_free char *parent = dir_name(path);

            free(dir);
            free(as);
            dir = dir_name(parent);
            as = base_name(parent);
        }
    }
    cp_pack_init(&pack, src, as, follow || has_slash(src));
    request.producer = &pack.base;
    r = put_archive(cli, a, container, dir, &request, e);
    if (r < 0)
        return r;
    return show_copied(a, a->argv[1]);
}

static int cmd_cp(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *from = NULL, *to = NULL;
    const char *src, *dst;

    if (!*a->argv[0])
        return err_set(e, ERR_INVALID, "source can not be empty");
    if (!*a->argv[1])
        return err_set(e, ERR_INVALID, "destination can not be empty");
    split_operand(a->argv[0], &from, &src);
    split_operand(a->argv[1], &to, &dst);
    if (from && to)
        return err_set(e, ERR_INVALID, "copying between containers is not supported");
    if (from)
        return from_container(cli, a, from, src, dst, e);
    if (to)
        return to_container(cli, a, src, to, dst, e);
    return err_set(e, ERR_INVALID, "must specify at least one container source");
}

const struct command command_cp = {
    .use = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-",
    .use2 = "[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    .summary = "Copy files/folders between a container and the local filesystem",
    .details = "Use '-' as the source to read a tar archive from stdin\n"
               "and extract it to a directory destination in a container.\n"
               "Use '-' as the destination to stream a tar archive of a\n"
               "container source to stdout.",
    .aliases = "container cp, cp",
    .flags = cp_flags,
    .min_args = 2,
    .max_args = 2,
    .run = cmd_cp,
    .completes = "container",
};
