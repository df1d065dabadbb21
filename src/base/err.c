/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static const struct {
    const char *name;
    int http, errnum;
} classes[ERR_CLASS_MAX_] = {
    [ERR_NONE] = {"none", 200, 0},
    [ERR_SYSTEM] = {"system", 500, EIO},
    [ERR_INVALID] = {"invalid", 400, EINVAL},
    [ERR_NOT_FOUND] = {"not_found", 404, ENOENT},
    [ERR_CONFLICT] = {"conflict", 409, EBUSY},
    [ERR_FORBIDDEN] = {"forbidden", 403, EPERM},
    [ERR_UNAUTHORIZED] = {"unauthorized", 401, EACCES},
    [ERR_NOT_MODIFIED] = {"not_modified", 304, EALREADY},
    [ERR_NOT_IMPLEMENTED] = {"not_implemented", 501, ENOSYS},
    [ERR_UNAVAILABLE] = {"unavailable", 503, EAGAIN},
    [ERR_TIMEOUT] = {"timeout", 504, ETIMEDOUT},
    [ERR_CANCELLED] = {"cancelled", 499, ECANCELED},
    [ERR_TOO_LARGE] = {"too_large", 413, EFBIG},
};

void err_done(struct err *e) {
    free(e->msg);
    *e = (struct err){0};
}

static void err_fill(struct err *e, enum err_class class, int errnum, char *msg) {
    if (!e) {
        free(msg);
        return;
    }
    free(e->msg);
    *e = (struct err){.class = class, .errnum = errnum, .msg = msg};
}

__attribute__((format(printf, 1, 0))) static char *vformat(const char *fmt, va_list ap) {
    char *s = NULL;

    if (vasprintf(&s, fmt, ap) < 0)
        return xstrdup(fmt);
    return s;
}

int err_set(struct err *e, enum err_class class, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    err_fill(e, class, 0, vformat(fmt, ap));
    va_end(ap);
    return -classes[class].errnum;
}

char *err_errno_text(int errnum) {
    int n = errnum < 0 ? -errnum : errnum;
#ifdef __GLIBC__
    const char *known = strerrordesc_np(n); /* needs no lock and no locale */
#else
    const char *known = strerror(n); /* musl: constant texts, thread-safe */
#endif
    char *text = known ? xstrdup(known) : xasprintf("errno %d", n);

    /* "Input/output error", but not "RFS specific error" */
    if (text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
        text[0] = (char)(text[0] - 'A' + 'a');
    return text;
}

int err_sys(struct err *e, int errnum, const char *fmt, ...) {
    auto_free char *text = NULL, *reason = NULL;
    va_list ap;

    if (errnum < 0)
        errnum = -errnum;
    if (errnum == 0)
        errnum = EIO;
    va_start(ap, fmt);
    text = vformat(fmt, ap);
    va_end(ap);
    reason = err_errno_text(errnum);
    err_fill(e, ERR_SYSTEM, errnum, xasprintf("%s: %s", text, reason));
    return -errnum;
}

void err_wrap(struct err *e, const char *fmt, ...) {
    auto_free char *text = NULL;
    va_list ap;
    char *msg;

    if (!e || !e->msg)
        return;
    va_start(ap, fmt);
    text = vformat(fmt, ap);
    va_end(ap);
    msg = xasprintf("%s: %s", text, e->msg);
    free(e->msg);
    e->msg = msg;
}

void err_move(struct err *dst, struct err *src) {
    if (dst) {
        err_done(dst);
        *dst = *src;
        *src = (struct err){0};
    } else {
        err_done(src);
    }
}

const char *err_msg(const struct err *e) {
    return e && e->msg ? e->msg : "unknown error";
}

int err_http_status(enum err_class class) {
    return class < ERR_CLASS_MAX_ ? classes[class].http : 500;
}

const char *err_class_name(enum err_class class) {
    return class < ERR_CLASS_MAX_ ? classes[class].name : "system";
}

enum err_class err_class_parse(const char *name) {
    for (int i = 0; i < ERR_CLASS_MAX_; i++)
        if (name && strcmp(classes[i].name, name) == 0)
            return (enum err_class)i;
    return ERR_SYSTEM;
}
