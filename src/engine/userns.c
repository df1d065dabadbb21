/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/mounts_plan.h"
#include "sys/mountinfo.h"

#define KERNEL(a, b) ((a)*1000 + (b))

static int kernel_version(void) {
    struct utsname u;
    int major = 0, minor = 0;

    if (uname(&u) < 0 || sscanf(u.release, "%d.%d", &major, &minor) != 2)
        return 0;
    return KERNEL(major, minor);
}

bool userns_kernel_can(void) {
    return kernel_version() >= KERNEL(5, 19);
}

/* Data file systems without FS_ALLOW_IDMAP, and since when some have it. Everything that is not
 * here is either mappable or has no owners worth mapping. */
static const struct {
    unsigned long magic;
    int since; /* 0: never so far */
} unmappable[] = {
    {NFS_SUPER_MAGIC, 0},
    {0xff534d42 /* cifs */, 0},
    {0xfe534d42 /* smb2 */, 0},
    {SMB_SUPER_MAGIC, 0},
    {OVERLAYFS_SUPER_MAGIC, 0},
    {FUSE_SUPER_MAGIC, 0},
    {V9FS_MAGIC, 0},
    {CODA_SUPER_MAGIC, 0},
    {AFS_SUPER_MAGIC, 0},
    {0x00c36400 /* ceph */, KERNEL(6, 7)},
    {TMPFS_MAGIC, KERNEL(6, 3)},
    {0x2fc12fc1 /* zfs */, 0},
    {ECRYPTFS_SUPER_MAGIC, 0},
};

struct mount_facts {
    bool is_mapped; /* somebody has mapped it already: a mount takes one map at most */
    bool is_dev;    /* devtmpfs, whose magic number is tmpfs's: a pseudo file system */
};

static struct mount_facts mount_facts(const char *path) {
    auto_fd fd = open(path, O_PATH | O_CLOEXEC);
    auto_mountinfo info = {0};
    int id;

    if (fd < 0 || mount_id_of(fd, &id) < 0 || mountinfo_read(&info) < 0)
        return (struct mount_facts){0};
    const struct mountinfo_entry *entry = mountinfo_by_id(&info, id);
    if (!entry)
        return (struct mount_facts){0};
    auto_strv options = str_split(entry->options, ',');
    return (struct mount_facts){.is_mapped = strv_has(options, "idmapped"),
                                .is_dev = str_eq(entry->fs_type, "devtmpfs")};
}

bool userns_path_can(const char *path) {
    auto_free char *copy = xstrdup(path);
    struct statfs fs;
    struct stat st;

    while (stat(copy, &st) < 0) {
        char *slash = strrchr(copy, '/');

        if (errno != ENOENT || !slash || slash == copy)
            return true; /* the mount will tell what is wrong */
        *slash = '\0';
    }
    if (!S_ISDIR(st.st_mode) || statfs(copy, &fs) < 0)
        return true;
    struct mount_facts mount = mount_facts(copy);
    if (mount.is_dev)
        return true;
    for (size_t i = 0; i < sizeof unmappable / sizeof *unmappable; i++)
        if ((unsigned long)fs.f_type == unmappable[i].magic)
            return unmappable[i].since && kernel_version() >= unmappable[i].since &&
                   !mount.is_mapped;
    return !mount.is_mapped;
}

/* By the mount table alone where somebody else answers for the file system: asking the file system
 * itself may wait for ever, and a bind of / has them all below. */
static bool entry_can(const struct mountinfo_entry *m) {
    static const char *const remote[] = {"9p",      "afs", "ceph", "cifs", "coda", "fuse",
                                         "fuseblk", "nfs", "nfs4", "smb3", "smbfs"};
    auto_strv options = str_split(m->options, ',');
    const bool is_ceph = str_eq(m->fs_type, "ceph");

    if (strv_has(options, "idmapped"))
        return false;
    if (str_eq(m->fs_type, "autofs"))
        return true; /* a place where something is mounted once it is looked at */
    if (str_starts(m->fs_type, "fuse."))
        return false;
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        if (str_eq(m->fs_type, remote[i]))
            return is_ceph && kernel_version() >= KERNEL(6, 7);
    return userns_path_can(m->mount_point);
}

static void add_unmapped_below(const struct mountinfo *info, const char *source,
                               char ***sentences) {
    auto_free char *real = realpath(source, NULL);
    const char *first = NULL;
    unsigned count = 0;

    if (!real)
        return; /* made by the start, without anything below */
    for (size_t i = 0; i < info->count; i++) {
        const char *at = info->entries[i].mount_point;
        const char *below = str_after(at, str_eq(real, "/") ? "" : real);

        if (!below || below[0] != '/' || !below[1] || entry_can(&info->entries[i]))
            continue;
        first = first ? first : at;
        count++;
    }
    if (count == 1)
        strv_take(sentences,
                  xasprintf("The file system at %s, below a bind, cannot be mapped: what it holds "
                            "belongs to nobody in the container",
                            first));
    else if (count > 1)
        strv_take(
            sentences,
            xasprintf("The file systems at %s and %u other places below the bind %s cannot be "
                      "mapped: what they hold belongs to nobody in the container",
                      first, count - 1, source));
}

void userns_unmapped_below(const struct field_array *mounts, char ***sentences) {
    auto_mountinfo info = {0};
    bool read = false;

    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount_point *m = field_array_at(mounts, struct mount_point, i);

        if (!str_eq(m->type, "bind") || m->non_recursive || str_empty(m->source))
            continue;
        if (!read && mountinfo_read(&info) < 0)
            return; /* the start will tell */
        read = true;
        add_unmapped_below(&info, m->source, sentences);
    }
}

char *userns_joined_sentence(const char *owner_name) {
    return xasprintf("The container uses the host's user namespace: it joins namespaces of "
                     "container %s, which does",
                     owner_name);
}

const char *userns_unmappable_bind(const struct field_array *mounts) {
    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount_point *m = field_array_at(mounts, struct mount_point, i);

        if ((str_eq(m->type, "bind") || str_eq(m->type, "volume")) && !str_empty(m->source) &&
            !userns_path_can(m->source))
            return m->source;
    }
    return NULL;
}
