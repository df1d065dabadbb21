/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * docker cp and docker export: archives of what lies below a container's root, which is given as a
 * directory descriptor (an overlay mount of image/overlay.h, or /proc/PID/root). Every path is
 * resolved inside that root by the kernel (openat2), and every object is reached through the
 * descriptor of its parent: a container that swaps names for links meanwhile gets an error or its
 * own files. Worker threads.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/reader.h"

struct cp_root {
    int fd; /* borrowed */
    /* Owners seen at fd are id_base + the container's id for ids below id_size; size 0: no shift. */
    uint64_t id_base, id_size;
    const bool *cancel; /* may be NULL */
};

struct cp_stat {
    char *name; /* last component as asked for */
    int64_t size;
    uint32_t mode; /* Go's os.FileMode */
    int64_t mtime_ns;
    char *link_target; /* for a link: where it leads, absolute in the container; else "" */
};
void cp_stat_done(struct cp_stat *s);
/* The value of X-Docker-Container-Path-Stat before base64. Owned by the caller. */
char *cp_stat_json(const struct cp_stat *s);

/* An object to be sent. `path` as the client gave it: relative means below /. A trailing "/." or
 * "/" takes the content and demands a directory. */
struct cp_source;
int cp_open(const struct cp_root *root, const char *container, const char *path,
            struct cp_source **ret, struct err *e);
const struct cp_stat *cp_source_stat(const struct cp_source *s);
int cp_send(struct cp_source *s, struct writer *to, struct err *e);
void cp_close(struct cp_source *s);

enum cp_put_flags {
    CP_NO_OVERWRITE_DIR_NON_DIR = 1,
    CP_COPY_UIDGID = 2, /* keep the archive's owners; otherwise root of the container */
};
/* Unpacks a (compressed) tar into the directory `path`. */
int cp_put(const struct cp_root *root, const char *container, const char *path,
           struct reader *from, unsigned flags, struct err *e);

/* docker export: the whole tree, without crossing into mounts. */
int cp_export(const struct cp_root *root, struct writer *to, struct err *e);
