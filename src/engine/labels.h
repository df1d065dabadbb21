/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* SELinux: which labels a container has. Loop thread. */
#include "base/err.h"
#include "engine/container.h"

/* At the daemon's start: is it asked for, and does the host have it? */
void labels_open(struct engine *eng);
/* At create: sets the record's labels, and the options that it takes from containers whose
 * namespaces it joins. ERR_INVALID in Docker's words. Nothing without --selinux-enabled. */
int labels_choose(struct container *c, struct err *e);
/* What its processes run under, or NULL; borrowed. A kernel without SELinux has no labels. */
const char *labels_of_process(const struct container *c);
const char *labels_of_mounts(const struct container *c);
