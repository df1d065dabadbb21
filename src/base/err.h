/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Errors.
 *
 * Low layers (base, sys, format, loop, store, wire) return a negative errno. The layers that speak
 * to a user take `struct err *e` last and return a negative errno as well: `e` then carries the
 * class (which maps to an HTTP status, one table in err.c) and the text for the user. e may be
 * NULL. Success leaves e untouched. Positive results mean a documented condition of one function.
 */
enum err_class {
    ERR_NONE,
    ERR_SYSTEM, /* 500 */
    ERR_INVALID,
    ERR_NOT_FOUND,
    ERR_CONFLICT,
    ERR_FORBIDDEN,
    ERR_UNAUTHORIZED,
    ERR_NOT_MODIFIED,
    ERR_NOT_IMPLEMENTED,
    ERR_UNAVAILABLE,
    ERR_TIMEOUT,
    ERR_CANCELLED,
    ERR_TOO_LARGE,
    ERR_CLASS_MAX_,
};

struct err {
    enum err_class class;
    int errnum; /* positive errno, 0 when none applies */
    char *msg;  /* owned */
};

#define ERR_INIT                                                                                   \
    { 0 }
#define auto_err __attribute__((cleanup(err_done))) struct err

void err_done(struct err *e);
/* Sets the error and returns the negative errno that belongs to the class. */
int err_set(struct err *e, enum err_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The kernel's text of an errno of either sign in Go's spelling ("no such file or directory"),
 * which clients of Docker look for; the caller's. */
char *err_errno_text(int errnum);
/* "text: err_errno_text(errnum)", class by errnum (mostly ERR_SYSTEM); returns -errnum. Takes errno
 * of either sign. */
int err_sys(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "text: " before the message. */
void err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Moves src into dst (NULL: drops it). */
void err_move(struct err *dst, struct err *src);
const char *err_msg(const struct err *e);
int err_http_status(enum err_class class);
const char *err_class_name(enum err_class class);
/* ERR_SYSTEM for an unknown name. */
enum err_class err_class_parse(const char *name);
