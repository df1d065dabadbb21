/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The root file system of a container as a detached mount: an overlay over layers that are idmapped
 * one by one, or a directory of a bundle. For the single-threaded set-up process (the fallback for
 * older kernels changes its mount namespace for a moment).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "runtime/request.h"

struct rootfs_map {
    int userns_fd;     /* -1: no map */
    uint32_t uid, gid; /* host ids of the container's root */
};

/* ENV_OLD_OVERLAY in the environment takes the path for kernels before 6.15: layers attached at
 * short names in a private mount namespace, one mount(2) with all of them in its option text. */
#define ENV_OLD_OVERLAY "FENCE_FORCE_OLD_OVERLAY"

/* lower given: the overlay, with label (or NULL) as the SELinux label of all its files. Else
 * bundle_root is taken as it is. *ret_fd: root of the mount. */
int rootfs_make(const struct rt_rootfs *rootfs, const char *bundle_root, const char *label,
                const struct rootfs_map *map, int *ret_fd, struct err *e);
