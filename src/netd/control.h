/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The connections of the daemon and of set-up processes (netd/protocol.h). */
#include "netd/netd.h"

/* Binds the socket, 0600. -errno. */
int control_listen(struct netd *n, const char *socket_path);
/* Serves a connection; takes fd. */
int control_add(struct netd *n, int fd);
/* Is anybody connected who is not just a set-up process? */
bool control_has_daemon(const struct netd *n);
void control_done(struct netd *n);

/* One message, without its connection: for control.c, and for tests. Takes the descriptors (and
 * sets them to -1). `reply` stays empty when the type has no answer. -EBADMSG: malformed. */
int control_carry_out(struct netd *n, const void *p, size_t len, int fds[NETD_FDS_MAX],
                      struct buf *reply);
