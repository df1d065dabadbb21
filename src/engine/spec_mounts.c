/* SPDX-License-Identifier: Apache-2.0 */

/* The mounts of a container: the kernel's file systems, what the user asked for, and the files
 * that the engine writes for it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/spec_internal.h"
#include "runtime/request.h"

static const struct {
    const char *destination, *type, *source, *options;
} default_mounts[] = {
    {"/proc", "proc", "proc", "nosuid,noexec,nodev"},
    {"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
    {"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
    {"/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev"},
    {"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
};
#define SHM_OPTIONS "nosuid,noexec,nodev,mode=1777"

static void drop_option(struct oci_mount *m, const char *option) {
    char **kept = NULL;

    strv_for_each (o, m->options) {
        if (!str_eq(o, option)) {
            strv_add(&kept, o);
        }
    }
    strv_free(m->options);
    m->options = kept;
}

/* Did the user put something there, or on a directory above that hides the mount? */
static bool is_overridden(const struct spec_facts *f, const char *destination) {
    for (size_t i = 0; f->mounts && i < f->mounts->count; i++) {
        const struct mount_point *p = field_array_at(f->mounts, struct mount_point, i);

        if (str_eq(p->destination, destination) ||
            (str_eq(p->destination, "/dev") && str_starts(destination, "/dev/"))) {
            return true;
        }
    }
    return false;
}

static void add_defaults(const struct host_config *h, const struct spec_facts *f,
                         struct oci_spec *s) {
    for (size_t i = 0; i < sizeof(default_mounts) / sizeof(default_mounts[0]); i++) {
        const char *destination = default_mounts[i].destination;
        struct oci_mount *m;

        if (is_overridden(f, destination)) {
            continue;
        }
        m = oci_spec_add_mount(s, destination, default_mounts[i].type, default_mounts[i].source,
                               default_mounts[i].options);
        if (h->privileged && (str_eq(destination, "/sys/fs/cgroup") ||
                              (str_eq(destination, "/sys") && !h->readonly_rootfs))) {
            drop_option(m, "ro");
        }
    }
    if (!str_eq(h->ipc_mode, "none") && !mode_is_host(h->ipc_mode) &&
        !mode_container(h->ipc_mode) && !is_overridden(f, "/dev/shm")) {
        auto_free char *options = xasprintf(SHM_OPTIONS ",size=%" PRId64, h->shm_size);

        oci_spec_add_mount(s, "/dev/shm", "tmpfs", "shm", options);
    }
}

/* Binds show the owners that the container's users have: mapped as its ids are. */
static void map_ids(const struct spec_facts *f, struct oci_mount *m) {
    if (f->idmap_size > 0) {
        spec_id_map(f, &m->uid_mappings);
        spec_id_map(f, &m->gid_mappings);
    }
}

static void adjust_root_propagation(struct oci_spec *s, const char *propagation) {
    const char *root = str_or_empty(s->lin.rootfs_propagation);
    bool is_shared = str_ends(root, "shared");

    if (str_ends(propagation, "shared")) {
        if (!is_shared) {
            str_set(&s->lin.rootfs_propagation, "shared");
        }
    } else if (str_ends(propagation, "slave") && !is_shared && !str_ends(root, "slave")) {
        str_set(&s->lin.rootfs_propagation, "rslave");
    }
}

/* Docker's ":z" (for all containers) and ":Z" (for this one), which the runtime acts on. */
static void add_label_mode(const struct spec_facts *f, const char *mode, struct oci_mount *m) {
    auto_strv words = str_split(str_or_empty(mode), ',');

    if (f->mount_label && (strv_has(words, "z") || strv_has(words, "Z")))
        strv_add(&m->options, strv_has(words, "z") ? "z" : "Z");
}

static void add_point(const struct spec_facts *f, const struct mount_point *p, struct oci_spec *s) {
    const char *propagation = str_empty(p->propagation) ? "rprivate" : p->propagation;
    struct oci_mount *m;

    if (str_eq(p->type, "tmpfs")) {
        oci_spec_add_mount(s, p->destination, "tmpfs", "tmpfs", str_or_empty(p->tmpfs_options));
        return;
    }
    m = oci_spec_add_mount(s, p->destination, "bind", p->source, NULL);
    strv_add(&m->options, p->non_recursive ? "bind" : "rbind");
    /* As runtimes have it: "rro" is for what is mounted below as well, and fails when one of those
     * mounts cannot be made so. */
    if (!p->rw) {
        strv_add(&m->options, p->non_recursive || p->ro_non_recursive ? "ro" : "rro");
    }
    strv_add(&m->options, propagation);
    add_label_mode(f, p->from_config ? "z" : p->mode, m);
    if (!str_empty(p->subpath)) {
        strv_take(&m->options, xasprintf(RT_SUBPATH_OPTION "%s", p->subpath));
    }
    map_ids(f, m);
    adjust_root_propagation(s, propagation);
}

static void add_file(const struct host_config *h, const struct spec_facts *f,
                     const char *destination, const char *source, struct oci_spec *s) {
    struct oci_mount *m;

    if (!source || is_overridden(f, destination)) {
        return;
    }
    m = oci_spec_add_mount(s, destination, "bind", source, "rbind");
    if (h->readonly_rootfs) {
        strv_add(&m->options, "ro");
    }
    strv_add(&m->options, "rprivate");
    /* Two containers in one network have the same files. */
    add_label_mode(f, mode_container(h->network_mode) ? "z" : "Z", m);
    map_ids(f, m);
}

static size_t depth(const char *path) {
    size_t n = 0;

    for (; *path; path++) {
        n += *path == '/';
    }
    return n;
}

/* A bind over /etc must come before the files in it; among equals the given order stays. */
static void sort_by_depth(struct field_array *mounts, size_t from) {
    for (size_t i = from + 1; i < mounts->count; i++) {
        struct oci_mount moved = *field_array_at(mounts, struct oci_mount, i);
        size_t k = i;

        while (k > from && depth(field_array_at(mounts, struct oci_mount, k - 1)->destination) >
                               depth(moved.destination)) {
            *field_array_at(mounts, struct oci_mount, k) =
                *field_array_at(mounts, struct oci_mount, k - 1);
            k--;
        }
        *field_array_at(mounts, struct oci_mount, k) = moved;
    }
}

int spec_mounts(const struct host_config *h, const struct spec_facts *f, struct oci_spec *ret,
                struct err *e) {
    bool shares_shm = mode_is_host(h->ipc_mode) || mode_container(h->ipc_mode);
    size_t first;

    add_defaults(h, f, ret);
    first = ret->mounts.count;
    for (size_t i = 0; f->mounts && i < f->mounts->count; i++) {
        const struct mount_point *p = field_array_at(f->mounts, struct mount_point, i);

        if (!str_eq(p->type, "tmpfs") && str_empty(p->source)) {
            return err_set(e, ERR_SYSTEM, "the volume for %s has no path", p->destination);
        }
        add_point(f, p, ret);
    }
    add_file(h, f, "/etc/resolv.conf", f->resolv_conf, ret);
    add_file(h, f, "/etc/hostname", f->hostname_file, ret);
    add_file(h, f, "/etc/hosts", f->hosts_file, ret);
    if (shares_shm && f->host_shm && !is_overridden(f, "/dev/shm")) {
        oci_spec_add_mount(ret, "/dev/shm", "bind", f->host_shm, "rbind,rprivate");
    }
    sort_by_depth(&ret->mounts, first);
    return 0;
}
