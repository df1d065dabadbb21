/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Directory trees by descriptor: walks, removal, copies that keep owner, mode, times, xattrs,
 * device nodes and hard links, and sizes. Nothing follows a symbolic link, nothing recurses on the
 * stack (workers have small ones), and nothing crosses into another file system unless told to.
 * Blocking: worker threads.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"
#include "image/ids.h"

/* Directories deeper than this are refused (-ELOOP) where a descriptor a level is held. */
#define TREE_DEPTH_MAX 1000

/* Names in a directory, sorted by bytes; "." and ".." left out. */
int tree_list(int dirfd, char ***ret_names);
/* Opens a directory for reading below dirfd; a symbolic link is -ENOTDIR or -ELOOP. */
int tree_open_dir(int dirfd, const char *name);
/* A c 0:0 node: overlayfs' mark of a removed name. */
bool tree_is_whiteout(const struct stat *st);
/* trusted.overlay.opaque is "y" on this directory. */
bool tree_is_opaque(int dirfd);

/* ---- walks ---------------------------------------------------------------------------------- */
struct tree_node {
    int dirfd;        /* the directory that holds it */
    const char *name; /* its name in there */
    const char *path; /* below the top, without a leading slash */
    struct stat st;
    int fd;     /* directories: open for reading; else -1 */
    bool leave; /* the second visit of a directory, after its content */
};
struct tree_walk;
/* top_fd is borrowed. cross: also enter directories on other file systems. */
struct tree_walk *tree_walk_new(int top_fd, bool cross);
void tree_walk_free(struct tree_walk *w);
/* 1: *ret is the next node, parents before children, siblings sorted; 0: the end; -errno. Names
 * that vanish during the walk are left out. The node is good until the next call. */
int tree_walk_next(struct tree_walk *w, const struct tree_node **ret);
/* Does not enter the directory that was returned last (which is not visited again). */
void tree_walk_skip(struct tree_walk *w);
/* The path of the last node, for error texts. */
const char *tree_walk_path(const struct tree_walk *w);

/* ---- inodes with several names -------------------------------------------------------------- */
/* (device, inode) -> path; zeroed is empty. */
struct inode_map {
    struct inode_path {
        uint64_t dev, ino;
        char *path; /* NULL: free */
    } * slots;
    size_t size, used;
};
void inode_map_done(struct inode_map *m);
/* The path under which it was added first, or NULL, and then it is added. */
const char *inode_map_add(struct inode_map *m, const struct stat *st, const char *path);

/* ---- work ----------------------------------------------------------------------------------- */
/* Removes `name` below dirfd with everything in it, however deep. A missing one is success. Goes
 * on after an error and returns the first. */
int tree_remove_at(int dirfd, const char *name);

struct tree_totals {
    uint64_t bytes;       /* of regular files, each inode once */
    uint64_t entries;     /* beside the top directory */
    struct high_ids high; /* of owners and groups */
};
int tree_measure(int dirfd, struct tree_totals *ret);

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
/* Copies the content of directory src_fd into the existing directory dst_fd and gives dst_fd
 * src_fd's owner, mode, times and xattrs. The destination must be nobody else's meanwhile. */
int tree_copy(int src_fd, int dst_fd, const struct tree_copy_options *o,
              struct tree_totals *ret_totals, struct err *e);
/* Extended attributes from one real descriptor to another. */
int tree_copy_xattrs(int src_fd, int dst_fd, bool from_upper);
