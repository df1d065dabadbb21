/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What this kernel and these binds allow in user namespaces; the decision itself is
 * userns_decide() of engine/create_body.h. */
#include <stdbool.h>

#include "format/field.h"

/* Overlays over idmapped layers: Linux 5.19. */
bool userns_kernel_can(void);
/* Can a directory's file system be idmapped? Pseudo file systems count as mappable: they are bound
 * unmapped. Files and sockets do too. A path that does not exist yet counts as its parent. */
bool userns_path_can(const char *path);
/* What is mounted below bind sources and cannot be idmapped stays as it is, and belongs to nobody
 * in the container: a sentence for each such bind, appended. Reads the mount table. */
void userns_unmapped_below(const struct field_array *mounts, char ***sentences);
/* The sentence for a container that joins namespaces of one in the host's user namespace. Owned by
 * the caller. */
char *userns_joined_sentence(const char *owner_name);
/* The first bind source (of struct mount_point) that cannot, or NULL. Borrowed. */
const char *userns_unmappable_bind(const struct field_array *mounts);
