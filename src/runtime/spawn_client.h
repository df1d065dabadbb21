/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The daemon's side of the spawner. Blocking calls of microseconds; any thread, one at a time. */
#include <sys/types.h>

#include "base/err.h"
#include "runtime/request.h"

struct spawner {
    int control; /* SOCK_SEQPACKET; its end is readable when the spawner has died */
    pid_t pid;   /* a child of the caller, to be reaped */
};

/* Starts the program with the socket as its descriptor 3. It ends with its parent (the thread that
 * calls this must live as long as the process). */
int spawner_start(const char *program, struct spawner *ret, struct err *e);
/* Ends and reaps it. */
void spawner_stop(struct spawner *s);

/* Pidfds of containers whose namespaces are joined; -1: none. All are borrowed. */
struct spawn_joins {
    int net, ipc, pid, exec;
};
#define SPAWN_JOINS_NONE                                                                           \
    { -1, -1, -1, -1 }
/* Sends a request: request_fd is a memfd with the JSON text (see spawn_request_fd), conn_fd the
 * other end of the connection on which STARTED or FAILED arrives. Both are borrowed; the caller
 * closes conn_fd, so that its own end ends when the set-up process does. */
int spawner_request(int control, int request_fd, int conn_fd, const struct spawn_joins *joins,
                    struct err *e);
/* The request as a memfd. */
int spawn_request_fd(const struct rt_request *req, struct err *e);
