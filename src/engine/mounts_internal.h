/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between mounts_plan.c and mounts_tmpfs.c; nobody else includes this. */
#include "engine/mounts_plan.h"

/* Docker's defaults and then the given comma-separated options, of which later ones replace earlier
 * ones. ERR_INVALID. *ret is owned by the caller. */
int mount_tmpfs_merge(const char *given, char **ret, struct err *e);
/* The same from an entry of Mounts. */
int mount_tmpfs_resolve(const struct mount_spec *m, char **ret, struct err *e);
