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
#include "image/ids.h"

struct cp_root {
    int fd; /* borrowed */
    struct id_shift ids;
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

struct cp_put_options {
    bool no_overwrite_dir_non_dir;
    /* Everything gets this owner (container ids): docker cp -a with a user in the configuration.
     * Otherwise the owners of the archive stay. */
    bool chown;
    uint64_t uid, gid;
};
/* Unpacks a (compressed) tar into the directory `path`. ERR_NOT_FOUND "Could not find the file PATH
 * in container NAME", ERR_INVALID "extraction point is not a directory", ERR_FORBIDDEN "container
 * rootfs is marked read-only" or "mounted volume is marked read-only". */
int cp_put(const struct cp_root *root, const char *container, const char *path, struct reader *from,
           const struct cp_put_options *o, struct err *e);

/* docker export: the whole tree, without crossing into mounts. */
int cp_export(const struct cp_root *root, struct writer *to, struct err *e);
