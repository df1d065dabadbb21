/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/output.h"
#include "format/json.h"
#include "format/ref.h"

void create_result_done(struct create_result *r) {
    free(r->id);
    r->id = NULL;
}

/* ---- progress ------------------------------------------------------------------------------ */

/* On a terminal, each id has a line of its own that is written over. */
struct progress {
    int fd;
    bool tty, quiet;
    char **ids;
    struct buf out;
};

static void progress_line(struct progress *p, struct json_object *m) {
    const char *stream = jsn_str(m, "stream"), *status = jsn_str(m, "status");
    const char *id = jsn_str(m, "id"), *bar = jsn_str(m, "progress");
    size_t n = strv_len(p->ids), at = 0;
    bool moving = jsn_int(jsn_get(m, "progressDetail"), "current", 0) > 0;

    if (stream) {
        buf_puts(&p->out, stream);
        return;
    }
    if (!status)
        return;
    if (!p->tty) {
        if (!moving) /* no bars into files */
            buf_printf(&p->out, "%s%s%s\n", str_or_empty(id), id ? ": " : "", status);
        return;
    }
    if (id) {
        while (at < n && !str_eq(p->ids[at], id))
            at++;
        if (at == n) {
            strv_add(&p->ids, id);
            buf_putc(&p->out, '\n');
            n++;
        }
        buf_printf(&p->out, "\033[%zuA\033[2K\r%s: %s %s\r\033[%zuB", n - at, id, status,
                   str_or_empty(bar), n - at);
    } else {
        p->ids = strv_free(p->ids);
        buf_printf(&p->out, "%s\n", status);
    }
}

static int progress_message(struct progress *p, const char *text, size_t len, struct err *e) {
    auto_json *m = NULL;
    const char *error;
    int r = client_parse_json(text, len, &m, e);

    if (r < 0)
        return r;
    error = jsn_str(m, "error");
    if (!error)
        error = jsn_str(jsn_get(m, "errorDetail"), "message");
    if (error)
        return err_set(e, ERR_SYSTEM, "%s", error);
    if (p->quiet)
        return 0;
    progress_line(p, m);
    r = io_write_all(p->fd, buf_str(&p->out), p->out.len);
    buf_clear(&p->out);
    return r < 0 ? err_sys(e, r, "write") : 0;
}

int show_progress(struct exchange *x, int fd, bool quiet, struct err *e) {
    struct progress p = {.fd = fd, .tty = isatty(fd) == 1, .quiet = quiet};
    auto_buf pending = BUF_INIT;
    char data[16384];
    ssize_t n;
    int r = 0;

    while (r == 0 && (n = exchange_read(x, data, sizeof data)) != 0) {
        char *end;

        if (n < 0) {
            r = err_sys(e, (int)n, "read the daemon's answer");
            break;
        }
        buf_append(&pending, data, (size_t)n);
        while (r == 0 && (end = memchr(pending.data, '\n', pending.len))) {
            size_t len = (size_t)(end - pending.data);

            if (len > 1)
                r = progress_message(&p, pending.data, len, e);
            buf_consume(&pending, len + 1);
        }
    }
    if (r == 0 && pending.len > 1)
        r = progress_message(&p, buf_str(&pending), pending.len, e);
    strv_free(p.ids);
    buf_done(&p.out);
    return r;
}

/* ---- pull ---------------------------------------------------------------------------------- */

int pull_image(struct cli *cli, const char *ref, const char *platform, bool quiet, bool all_tags,
               int fd, struct err *e) {
    __attribute__((cleanup(image_ref_done))) struct image_ref image = {0};
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT;
    auto_free char *name = NULL;
    struct request request = {.method = "POST", .path = "/images/create", .auth = "e30="};
    int r = image_ref_parse(ref, &image, e);

    if (r < 0)
        return r;
    if (!all_tags)
        image_ref_default_tag(&image);
    name = xasprintf("%s/%s", image.domain, image.path);
    query_add(&query, "fromImage", name);
    if (image.digest || image.tag)
        query_add(&query, "tag", image.digest ? image.digest : image.tag);
    if (!str_empty(platform))
        query_add(&query, "platform", platform);
    request.query = buf_str(&query);
    r = exchange_open(&x, &cli->client, &request, e);
    if (r == 0)
        r = show_progress(&x, fd, quiet, e);
    return r;
}

/* ---- create -------------------------------------------------------------------------------- */

static int create_once(struct cli *cli, const struct args *a, const struct buf *body,
                       struct json_object **ret, struct err *e) {
    auto_buf query = BUF_INIT;
    const char *name = flag_str(&a->flags, "name"), *platform = flag_str(&a->flags, "platform");

    if (!str_empty(name))
        query_add(&query, "name", name);
    if (!str_empty(platform))
        query_add(&query, "platform", platform);
    return client_post_json(&cli->client, "/containers/create", buf_str(&query), buf_str(body), ret,
                            e);
}

/* Created before the container, so that a file that exists stops us early. *ret_fd is -1 without
 * --cidfile. */
static int cidfile_open(const char *path, int *ret_fd, struct err *e) {
    int fd;

    if (str_empty(path)) {
        *ret_fd = -1;
        return 0;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return err_set(e, ERR_CONFLICT,
                       "container ID file found, make sure the other container isn't running or "
                       "delete %s",
                       path);
    if (fd < 0)
        return err_set(e, ERR_SYSTEM, "failed to create the container ID file: open %s: %s", path,
                       errno == ENOENT ? "no such file or directory" : strerror(errno));
    *ret_fd = fd;
    return 0;
}

static char *familiar(const char *ref) {
    __attribute__((cleanup(image_ref_done))) struct image_ref image = {0};

    if (image_ref_parse(ref, &image, NULL) < 0)
        return xstrdup(ref);
    image_ref_default_tag(&image);
    return image_ref_familiar(&image);
}

int create_container(struct cli *cli, const struct args *a, bool detached,
                     struct create_result *ret, struct err *e) {
    const char *pull = flag_str(&a->flags, "pull"), *image = a->argv[0];
    const char *platform = flag_str(&a->flags, "platform"), *cidfile;
    bool quiet = flag_bool(&a->flags, "quiet");
    struct create_result what = {0};
    auto_json *answer = NULL;
    auto_buf body = BUF_INIT;
    auto_fd cid_fd = -1;
    struct json_object *warnings;
    int r;

    ret->bad_flags = true;
    if (!str_eq(pull, "always") && !str_eq(pull, "missing") && !str_eq(pull, "never"))
        return err_set(e, ERR_INVALID,
                       "invalid pull option: '%s': must be one of \"always\", \"missing\" or "
                       "\"never\"",
                       pull);
    r = create_body(cli, a, detached, &what, &body, e);
    if (r < 0)
        return r;
    ret->bad_flags = false;
    {
        __attribute__((cleanup(image_ref_done))) struct image_ref ref = {0};

        /* an id, or a name that the daemon would refuse as well */
        r = image_ref_parse(image, &ref, e);
        if (r < 0 && !(strlen(image) == 64 && str_is_hex(image)))
            return r;
    }
    cidfile = flag_str(&a->flags, "cidfile");
    r = cidfile_open(cidfile, &cid_fd, e);
    if (r < 0)
        return r;
    if (str_eq(pull, "always"))
        r = pull_image(cli, image, platform, quiet, false, STDERR_FILENO, e);
    if (r == 0) {
        auto_err why = ERR_INIT;

        r = create_once(cli, a, &body, &answer, &why);
        if (r < 0 && why.class == ERR_NOT_FOUND && str_eq(pull, "missing") &&
            strcasestr(err_msg(&why), "no such image")) {
            if (!quiet) {
                auto_free char *name = familiar(image);

                fprintf(stderr, "Unable to find image '%s' locally\n", name);
            }
            r = pull_image(cli, image, platform, quiet, false, STDERR_FILENO, e);
            if (r == 0)
                r = create_once(cli, a, &body, &answer, e);
        } else if (r < 0) {
            err_move(e, &why);
        }
    }
    if (r == 0 && !jsn_str(answer, "Id"))
        r = err_set(e, ERR_SYSTEM, "the daemon's answer has no container ID");
    if (r < 0) {
        if (cid_fd >= 0)
            (void)unlink(cidfile); /* still empty */
        return r;
    }
    warnings = jsn_get(answer, "Warnings");
    for (size_t i = 0; warnings && i < json_object_array_length(warnings); i++)
        fprintf(stderr, "WARNING: %s\n",
                json_object_get_string(json_object_array_get_idx(warnings, i)));
    what.id = xstrdup(jsn_str(answer, "Id"));
    if (cid_fd >= 0) {
        r = io_write_all(cid_fd, what.id, strlen(what.id));
        if (r < 0) {
            create_result_done(&what);
            return err_sys(e, r, "failed to write the container ID to the file");
        }
    }
    *ret = what;
    return 0;
}

/* docker's exit statuses for a container that could not be started, by the daemon's words. */
static int status_of_error(const struct err *e) {
    const char *text = err_msg(e);

    if (strcasestr(text, "executable file not found") ||
        strcasestr(text, "no such file or directory") || strcasestr(text, "system cannot find"))
        return 127;
    if (strcasestr(text, "permission denied") || strcasestr(text, "is a directory"))
        return 126;
    return EXIT_USAGE;
}

int create_failed(const struct cli *cli, const struct args *a, const struct err *e) {
    fprintf(stderr, "%s: %s\n\nRun '%s --help' for more information\n", cli->prog, err_msg(e),
            a->path);
    return status_of_error(e);
}
