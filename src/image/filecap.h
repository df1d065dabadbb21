/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * security.capability across a container's id map: the attribute of a file seen from outside
 * carries the host's id of the container's root (revision 3); inside, and in archives, it is plain
 * (revision 2).
 */
#include <stddef.h>
#include <stdint.h>

#define FILECAP_MAX 24

/* From an archive to a file of the map [base, base + size). Returns the new length, 0 when `value`
 * is no such attribute. */
size_t filecap_to_host(const void *value, size_t len, uint64_t base, uint64_t size,
                       void *out /* FILECAP_MAX */);
/* The other way; what belongs to another map is kept as it is. */
size_t filecap_from_host(const void *value, size_t len, uint64_t base, uint64_t size,
                         void *out /* FILECAP_MAX */);
