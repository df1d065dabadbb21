/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A detached overlay mount of a container's tree for the daemon's own workers (cp, export, diff of
 * a stopped container, seeding of volumes): nothing appears in any mount table, and closing the
 * descriptor unmounts it. Closing a writable one may sync the upper file system: on a worker.
 */
#include <stdbool.h>

#include "base/err.h"

struct overlay_options {
    char *const *lower; /* top layer first, absolute paths; at least one */
    const char *upper;  /* NULL: read-only, lowers only */
    const char *work;   /* with upper */
    bool read_only;     /* with upper: mount it as the topmost lower (no work directory needed) */
    bool is_volatile;   /* no sync at the end; removes the mark of an earlier volatile mount */
    bool no_new_api;    /* take the path for kernels before 6.5 (tests) */
};
/* *ret_fd is the root directory of the mount (O_PATH-like use and *at() calls). */
int overlay_mount(const struct overlay_options *o, int *ret_fd, struct err *e);
