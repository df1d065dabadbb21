/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* User namespace maps: lists of struct oci_id_map. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "format/field.h"

/* The kernel's limit of lines. */
#define IDMAP_LINES_MAX 340

/* The host's id of `id`; -ERANGE when it is not mapped. An empty list maps everything to itself. */
int idmap_to_host(const struct field_array *map, int64_t id, uint32_t *ret);
/* The highest id up to which everything from 0 is mapped by one line (for ranges the kernel checks
 * at both ends); 2^31 - 1 for an empty list. */
uint32_t idmap_top(const struct field_array *map);
/* Writes /proc/PID/uid_map and gid_map. */
int idmap_write(pid_t pid, const struct field_array *uids, const struct field_array *gids,
                struct err *e);
/* File system ids of the calling thread, the effective capabilities raised again afterwards. */
int idmap_set_fs_ids(uint32_t uid, uint32_t gid);
