/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Between the set-up process A and the first process B of a container or an exec, over a pair of
 * SOCK_SEQPACKET sockets that both close at exec: the end of the stream on A's side after SYNC_EXEC
 * means that the program runs.
 */
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum sync_type {
    /* A -> B */
    SYNC_MAPPED = 1, /* the user namespace has its maps */
    SYNC_ROOT,       /* fd: the root file system, detached; binds are ready */
    SYNC_NET,        /* the interface is there */
    /* B -> A */
    SYNC_TTY = 16, /* fd: pty master */
    SYNC_SECCOMP,  /* fd: listener */
    SYNC_EXEC,     /* all is set up, execve comes next */
    SYNC_ERROR,    /* class, errnum, kind, text; the sender ends */
};

/* What belongs around an error's text, see setup_error_text(). */
enum sync_kind {
    SYNC_TEXT_PROCESS, /* "unable to start container process: TEXT" */
    SYNC_TEXT_INIT,    /* "... error during container init: TEXT" */
    SYNC_TEXT_PLAIN,   /* TEXT only */
};

#define SYNC_TEXT_MAX 4096
struct sync_msg {
    uint32_t type, class, kind;
    int32_t errnum;
    char text[SYNC_TEXT_MAX]; /* sent as far as it goes; "" mostly */
};

/* fd -1: none. */
int sync_send(int sock, enum sync_type type, int fd);
int sync_send_error(int sock, const struct err *e, enum sync_kind kind);
/* The next message; 1, 0 at the end of the stream, -errno. *ret_fd is -1 or the caller's. */
int sync_recv(int sock, struct sync_msg *ret, int *ret_fd);
/* The next message must be `type`: 0, or -errno (-EPIPE when the other side has gone). ret_fd NULL:
 * none is wanted. */
int sync_expect(int sock, enum sync_type type, int *ret_fd);
