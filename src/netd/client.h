/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the set-up process of a container says to fence-netd. */
#include "base/err.h"

/* Gives the sandbox its network namespace, in which the resolver 127.0.0.11 is there on return.
 * pidfd: of the container's init, whose end takes the resolver away (or -1). The daemon has put the
 * sandbox, perhaps a moment ago on a connection of its own, and may have just started fence-netd:
 * both are waited for, a few seconds. Blocks. */
int netd_attach(const char *socket_path, const char *sandbox_id, int netns_fd, int pidfd,
                struct err *e);
