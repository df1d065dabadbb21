/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* /proc/PID/mountinfo as a list. Heap; -errno. */
#include <stddef.h>
#include <stdint.h>

struct mountinfo_entry {
    int id, parent;
    char *mount_point; /* octal escapes undone */
    char *fs_type;
    char *options; /* of the mount: "rw,nosuid" */
    char *tags;    /* "shared:12 master:3", or "" */
};
struct mountinfo {
    struct mountinfo_entry *entries; /* in the kernel's order */
    size_t count;
};

void mountinfo_done(struct mountinfo *m);
#define auto_mountinfo __attribute__((cleanup(mountinfo_done))) struct mountinfo
int mountinfo_read(struct mountinfo *ret);
int mountinfo_parse(const char *text, struct mountinfo *ret);
/* NULL when it is not there. */
const struct mountinfo_entry *mountinfo_by_id(const struct mountinfo *m, int id);
/* The id of the mount that a descriptor lies on (statx). */
int mount_id_of(int fd, int *ret);
