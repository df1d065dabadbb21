/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Listening sockets from dockerd's -H values. Blocks for name look-ups: for the start of a daemon.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct listen_socket {
    int fd; /* listening, non-blocking, close-on-exec */
    bool is_tcp;
    char *label; /* "unix:///run/fence.sock", "tcp://127.0.0.1:2375" */
    char *path;  /* of a unix socket made here, to be unlinked at the end; NULL otherwise */
};

struct listen_options {
    const char *default_path; /* for "unix://" and "" */
    const char *group;        /* name or number for unix sockets; NULL or "": left alone */
    bool tls;                 /* decides the default port: 2376, else 2375 */
};

/*
 * unix://PATH, tcp://HOST:PORT (or HOST:PORT alone), fd:// (all sockets passed by systemd) or
 * fd://N. *ret_sockets is an array for listen_sockets_free. A unix socket gets mode 0660; a group
 * that does not exist is logged and left out. A socket file that nobody listens on is replaced, one
 * that a process serves is -EADDRINUSE.
 */
int listen_open(const char *spec, const struct listen_options *o,
                struct listen_socket **ret_sockets, size_t *ret_count, struct err *e);
/* Closes the descriptors that are still there (a taken one is -1). Leaves the paths alone. */
void listen_sockets_free(struct listen_socket *sockets, size_t count);
/* Checks and completes a spec as listen_open does, without opening anything: "tcp://:80" becomes
 * "tcp://localhost:80". The caller owns *ret_spec. */
int listen_normalize(const char *spec, const struct listen_options *o, char **ret_spec,
                     struct err *e);
