/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* /etc/hosts, /etc/hostname and /etc/resolv.conf of a container, files in its directory that are
 * bound over the image's. Loop thread; small writes without sync. */
#include <stdbool.h>

#include "base/err.h"

struct container;

struct netfiles {
    char *hosts, *hostname, *resolv_conf; /* absolute paths; owned */
};
void netfiles_done(struct netfiles *f);
/* Writes the files for a start and tells where they are: the container's own, or those of the
 * container whose network it joins. Files keep their inode, so a running bind sees the change. */
int netfiles_write(struct container *c, struct netfiles *ret, struct err *e);
/* Both again, in place: an address or a link has changed while it runs. */
void netfiles_refresh(struct container *c);
/* What its resolver is to use: the container's settings, else the daemon's, else the host's. The
 * caller's. */
void netfiles_resolver(const struct container *c, char ***ret_servers, char ***ret_search,
                       char ***ret_options);
/* resolv.conf for bridge networks: without loopback servers, which are the host's own. Pure.
 * Owned by the caller. */
char *netfiles_resolv_conf(const char *host_text, char *const *dns, char *const *search,
                           char *const *options, bool keep_loopback);
