/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Owners of files, where a container's user namespace gives them other numbers on the host. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ids that lie above every container's range and need lines of their own in its map. */
#define HIGH_ID_FIRST 65536u
#define HIGH_IDS_MAX  256u
struct high_ids {
    uint32_t ids[HIGH_IDS_MAX + 1]; /* sorted, each once */
    size_t count;                   /* above HIGH_IDS_MAX: there are more than are kept */
};
/* Ids that are not high are left out. */
void high_ids_add(struct high_ids *h, uint64_t id);
/* As decimal text, for records; owned by the caller. */
char **high_ids_format(const struct high_ids *h);
void high_ids_add_text(struct high_ids *h, char *const *texts);

/* The map of a running container. base + id for ids below `size` (0: nothing is mapped), except
 * for those that have given their places, from extra_first on, to the high ids. */
struct id_shift {
    uint64_t base, size;
    struct high_ids high;
    uint64_t high_first;
};
#define ID_NOBODY 65534u
/* From the host's number to the container's; an id that is not mapped stays. */
uint64_t id_shift_in(const struct id_shift *s, uint64_t host_id);
/* From the container's number to the host's; an id that is not mapped becomes nobody's. */
uint64_t id_shift_out(const struct id_shift *s, uint64_t id);
