/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Leases of host id ranges for user namespaces, shared by all daemons of a host: a file
 * <dir>/<first id> names the owner's state directory, and a lease whose directory has gone is free
 * again. Ranges come from the `fence` entries of /etc/subuid and /etc/subgid, else from 2^28 up,
 * clear of everybody else's entries.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define IDMAP_SIZE 65536u

struct idmap;
int idmap_open(const char *dir, struct idmap **ret, struct err *e);
void idmap_close(struct idmap *m);
/* A range of IDMAP_SIZE ids for `owner` (an absolute path that exists as long as the lease does).
 */
int idmap_lease(struct idmap *m, const char *owner, uint32_t *ret_base, struct err *e);
/* `heir` (another state directory) goes on using the range at base that `owner` holds: the lease
 * becomes its own. Nothing happens to somebody else's lease. -errno: it is still the owner's. */
int idmap_pass_on(struct idmap *m, const char *owner, const char *heir, uint32_t base);
/* Removes the leases of owners below the directory `prefix` (with its slash) that `held` does not
 * know: their daemon died before it could. Also what a daemon has left that was killed in the
 * middle of a lease. */
void idmap_sweep(struct idmap *m, const char *prefix,
                 bool (*held)(void *arg, const char *owner, uint32_t base), void *arg);
/* Releases what `owner` holds at base; somebody else's lease stays. */
void idmap_release(struct idmap *m, const char *owner, uint32_t base);
