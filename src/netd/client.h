/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reaching fence-netd, and what the set-up process of a container says to it. */
#include "base/err.h"

/* One try; flags: SOCK_NONBLOCK or 0. The descriptor or -errno: -ENOENT and -ECONNREFUSED when
 * nobody is there. */
int netd_connect(const char *socket_path, int flags);

/* Gives the sandbox its network namespace, in which the resolver 127.0.0.11 is there when
 * netd_attach_end() has returned. pidfd: of the container's init, whose end takes the resolver away
 * (or -1). The daemon has put the sandbox, perhaps a moment ago on a connection of its own, and may
 * have just started fence-netd: both are waited for, a few seconds. Both calls block; between them
 * fence-netd is at work. Returns a descriptor for the second, which takes it. */
int netd_attach_begin(const char *socket_path, const char *sandbox_id, int netns_fd, int pidfd,
                      struct err *e);
int netd_attach_end(int fd, struct err *e);
