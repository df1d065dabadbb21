/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is mounted into a container: Binds, Mounts, Tmpfs, the volumes of configuration and image,
 * and VolumesFrom become one list of mount points. Pure: reads nothing but its arguments, except
 * that mounts_plan() looks whether the source of a bind exists.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/hostconfig.h"
#include "format/field.h"
#include "oci/container_config.h"

struct mount_point {
    char *type;        /* "bind", "volume", "tmpfs" */
    char *name;        /* volume: its name; NULL or "" until an anonymous one has been made */
    char *source;      /* bind: path on the host; volume: its _data, filled in by the engine */
    char *destination; /* clean absolute path */
    char *driver;      /* volume: "local" */
    char *mode;        /* as given: "ro,z"; "z" for volumes by default, as dockerd prints */
    bool rw;
    char *propagation; /* bind: "rprivate", ...; else "" */

    /* not printed by inspect */
    bool no_copy;       /* volume: never seeded from the image */
    bool anonymous;     /* volume made for this container: removed with rm -v and --rm */
    bool from_config;   /* Config.Volumes only: seeded, weakest in collisions */
    bool create_source; /* bind: a missing source is made as a directory (Binds form) */
    bool non_recursive;
    bool ro_non_recursive; /* bind: what is mounted below it is not read-only with it */
    char *subpath;         /* volume */
    char *tmpfs_options;   /* tmpfs: comma-separated, as for mount -o */
    struct strmap volume_labels, volume_options; /* for a volume that has to be made */
    bool hidden; /* HostConfig.Tmpfs: mounted, but not in inspect's Mounts */
};
/* All members, for records. */
extern const struct field_table mount_point_table;
/* As inspect prints Mounts. */
extern const struct field_table mount_point_api_table;

/* The mount points of the containers that VolumesFrom names. */
struct volumes_from_lookup {
    /* *ret borrows an array of struct mount_point. ERR_NOT_FOUND or ERR_INVALID. */
    int (*find)(void *arg, const char *container, const struct field_array **ret, struct err *e);
    void *arg;
};

/*
 * Fills *ret (an array of struct mount_point, owned by the caller; free with
 * mount_points_done) in dockerd's order of precedence: VolumesFrom is overridden by Binds and
 * Mounts, which must not name a destination twice, and the volumes of the configuration give way
 * to all. Sorted by destination depth, so that mounting in order nests rightly. ERR_INVALID with
 * Docker's words ("Duplicate mount point: /x", "invalid volume specification: ...").
 *
 * data_root: a bind of a directory that holds it gets propagation "rslave" (mounts of containers
 * must not be pinned by others), and another one asked for is refused. May be NULL.
 *
 * flat_read_only: read-only binds are so without what is mounted below them, as API versions before
 * 1.44 have it.
 */
int mounts_plan(const struct container_config *config, const struct host_config *host,
                const struct volumes_from_lookup *from, const char *data_root, bool flat_read_only,
                struct field_array *ret, struct err *e);
void mount_points_done(struct field_array *points);

/* One bind specification, "src:dst[:opts]", "name:dst[:opts]" or "dst". *ret is field_init'ed here
 * and owned by the caller on success (field_done with mount_point_table). */
int bind_spec_parse(const char *spec, const char *volume_driver, struct mount_point *ret,
                    struct err *e);
/* One entry of HostConfig.Mounts, checked as Docker does; with check_source a bind's source must
 * exist (unless CreateMountpoint). */
int mount_spec_resolve(const struct mount_spec *m, bool check_source, struct mount_point *ret,
                       struct err *e);
/* "container[:mode]" -> parts, owned by the caller; *ret_mode "" without. */
int volumes_from_parse(const char *spec, char **ret_container, char **ret_mode, struct err *e);
/* Lexically clean: no "//", "." or ".." (Go's path.Clean). Owned by the caller. */
char *path_clean(const char *path) __attribute__((returns_nonnull, warn_unused_result));
