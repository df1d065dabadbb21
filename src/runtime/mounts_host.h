/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The plan of a container's mounts, and A's part of it: what needs the host's mount namespace or
 * its privileges (sources of binds, /dev) is opened as detached mounts before the first process is
 * cloned, which inherits the descriptors; owners are mapped (the map exists only then) before it is
 * told to go on.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "oci/runtime_spec.h"
#include "runtime/cgroup.h"
#include "runtime/mount_options.h"
#include "runtime/rootfs.h"

enum rt_mount_kind {
    RT_MOUNT_NEW,    /* a file system instance made inside by the first process */
    RT_MOUNT_BIND,   /* parts[] */
    RT_MOUNT_DEV,    /* /dev: tmpfs with devices, part 0 */
    RT_MOUNT_CGROUP, /* /sys/fs/cgroup; parts[]: v1 groups seen from the host's namespace */
};

/* A detached mount and where it goes below the mount's destination ("": the destination). */
struct rt_part {
    char *path;
    char *name; /* of the source, for errors */
    int fd;
    bool pseudo;          /* its owners are not files' owners: stays unmapped */
    bool may_be_unmapped; /* a file, or a mount below the one that was asked for */
};

struct rt_mount {
    const struct oci_mount *spec; /* borrowed */
    char *destination;            /* cleaned, absolute */
    enum rt_mount_kind kind;
    struct mount_options options;
    int new_fd; /* RT_MOUNT_NEW and CGROUP: made by the first process */
    struct rt_part *parts;
    size_t n_parts;
};

struct rt_mounts {
    struct rt_mount *items;
    size_t count;
};

void rt_mounts_done(struct rt_mounts *m);
/* Parses options and opens sources. map.userns_fd is not looked at: `mapped` says whether there
 * will be one. cgroup: for cgroup mounts in the host's cgroup namespace. join_ipc: a pidfd of the
 * container whose IPC namespace (and so /dev/shm) is shared, or -1. */
int rt_mounts_open(const struct oci_spec *spec, const char *init_path, bool mapped,
                   bool own_cgroupns, const struct cgroup *cgroup, const struct rootfs_map *map,
                   int join_ipc, struct rt_mounts *ret, struct err *e);
/* Maps the owners of what is to be mapped. */
int rt_mounts_idmap(struct rt_mounts *m, int userns_fd, struct err *e);
/* Is there a /dev made by us? */
bool rt_mounts_has_dev(const struct rt_mounts *m);

/* Where fence-init is bound, as docker's. */
#define RT_INIT_PATH "/sbin/docker-init"

/* devices_dev.c: the tmpfs for /dev. Owners as the map says. */
int dev_make(const struct oci_spec *spec, const struct mount_options *options,
             const struct rootfs_map *map, int *ret_fd, struct err *e);
/* Devices whose path is not below /dev: made in the root file system itself. */
int dev_make_elsewhere(const struct oci_spec *spec, int root, const struct rootfs_map *map,
                       struct err *e);
