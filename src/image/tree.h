/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Directory trees by descriptor: removal, copies that keep owner, mode, times, xattrs, device
 * nodes and hard links, and sizes. Nothing follows a symbolic link, and nothing crosses into
 * another file system unless said so. Blocking: worker threads.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"

/* Directories deeper than this are refused: each level holds a descriptor and a stack frame. */
#define TREE_DEPTH_MAX 512

/* Removes `name` below dirfd with everything in it. A missing one is success. Goes on after an
 * error and returns the first. */
int tree_remove_at(int dirfd, const char *name);

struct tree_copy_options {
    /* Subtracted from owners read at the source when they lie in [base, base + size); size 0: no
     * shift. */
    uint64_t id_base, id_size;
    /* An upper directory becomes a layer: trusted.overlay.* other than opaque are left out, and so
     * are sockets. */
    bool from_upper;
    /* Polled; may be NULL. */
    const bool *cancel;
};
struct tree_totals {
    uint64_t bytes;   /* of regular files, each inode once */
    uint64_t entries; /* beside the top directory */
    uint64_t max_uid, max_gid;
};
/* Copies the content of directory src_fd into the existing directory dst_fd and gives dst_fd
 * src_fd's owner, mode, times and xattrs. */
int tree_copy(int src_fd, int dst_fd, const struct tree_copy_options *o,
              struct tree_totals *ret_totals, struct err *e);
/* What a tree holds; hard links count once. */
int tree_measure(int dirfd, struct tree_totals *ret);
/* Owner, mode, times and xattrs of one object (an O_PATH or a real descriptor) to another path. */
int tree_copy_xattrs(int src_fd, int dst_fd, bool from_upper);

/* Names in a directory, sorted by bytes; "." and ".." left out. */
int tree_list(int dirfd, char ***ret_names);
/* A c 0:0 node: overlayfs' mark of a removed name. */
bool tree_is_whiteout(const struct stat *st);
/* trusted.overlay.opaque is "y" on this directory. */
bool tree_is_opaque(int dirfd);
/* Opens a directory for reading below dirfd; a symbolic link is -ENOTDIR or -ELOOP. */
int tree_open_dir(int dirfd, const char *name);
