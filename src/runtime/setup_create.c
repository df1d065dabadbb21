/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating a container: A makes what needs the host (cgroup, sources of mounts, maps, the overlay,
 * interfaces) while B, its clone, works inside the new namespaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/idmap.h"
#include "runtime/setup.h"
#include "sys/clone.h"
#include "sys/netlink.h"

#define END_OF_B_MS 2000 /* from the end of its socket to its own */

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define CGROUP_REMOVE_MS 2000

static const struct {
    const char *type; /* in the configuration */
    const char *file; /* in /proc/PID/ns */
    uint64_t flag;
} namespaces[] = {
    {"pid", "pid", CLONE_NEWPID},          {"network", "net", CLONE_NEWNET},
    {"ipc", "ipc", CLONE_NEWIPC},          {"uts", "uts", CLONE_NEWUTS},
    {"mount", "mnt", CLONE_NEWNS},         {"user", "user", CLONE_NEWUSER},
    {"cgroup", "cgroup", CLONE_NEWCGROUP},
};

static int open_joined_userns(struct setup *s, const char *path, struct err *e) {
    const int pidfds[] = {s->join_net, s->join_ipc, s->join_pid};
    int own = -1, first = -1;
    for (size_t i = 0; i < 3; i++) {
        if (pidfds[i] < 0)
            continue;
        auto_fd fd = ns_open(pidfds[i], "user");
        if (fd < 0)
            return err_sys(e, fd, "failed to open the user namespace to be joined");
        int same = first < 0 ? 1 : ns_same(first, fd);
        if (same == 1 && first < 0)
            first = take_fd(&fd);
        if (same != 1) {
            fd_close(first);
            return err_set(e, ERR_CONFLICT,
                           "cannot join namespaces of containers that have "
                           "different user namespaces");
        }
    }
    own = first >= 0 ? first : open(path, O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return err_sys(e, errno, "open %s", path);
    s->map.userns_fd = own;
    s->join_user = true;
    return 0;
}

/* A namespace of the configuration with a path: joined through the pidfd that came for it, else (a
 * bundle) through the path itself. */
static int join_namespace(struct setup *s, const struct oci_namespace *ns, uint64_t flag,
                          struct err *e) {
    int *slot = flag == CLONE_NEWNET   ? &s->join_net
                : flag == CLONE_NEWIPC ? &s->join_ipc
                : flag == CLONE_NEWPID ? &s->join_pid
                                       : NULL;
    if (!slot)
        return err_set(e, ERR_NOT_IMPLEMENTED, "joining a %s namespace is not supported", ns->type);
    if (*slot >= 0)
        return 0;
    *slot = open(ns->path, O_RDONLY | O_CLOEXEC);
    return *slot < 0 ? err_sys(e, errno, "open %s", ns->path) : 0;
}

static int plan_namespaces(struct setup *s, struct err *e) {
    const struct oci_spec *spec = &s->request.spec;
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        const struct oci_namespace *ns = oci_spec_namespace(spec, namespaces[i].type);
        uint64_t flag = namespaces[i].flag;
        if (!ns || (flag == CLONE_NEWUSER && !str_empty(ns->path)))
            continue;
        if (str_empty(ns->path)) {
            s->new_ns |= flag;
            continue;
        }
        int r = join_namespace(s, ns, flag, e);
        if (r < 0)
            return r;
    }
    if (!(s->new_ns & CLONE_NEWNS))
        return err_set(e, ERR_INVALID, "a container needs a mount namespace of its own");
    const struct oci_namespace *user = oci_spec_namespace(spec, "user");
    if (!user)
        return 0;
    s->mapped = true;
    if (!spec->lin.uid_mappings.count || !spec->lin.gid_mappings.count)
        return err_set(e, ERR_INVALID, "a user namespace needs id mappings");
    if (idmap_to_host(&spec->lin.uid_mappings, 0, &s->map.uid) < 0 ||
        idmap_to_host(&spec->lin.gid_mappings, 0, &s->map.gid) < 0)
        return err_set(e, ERR_INVALID, "the id mappings have no root");
    if (!str_empty(user->path))
        return open_joined_userns(s, user->path, e);
    if (s->join_net >= 0 || s->join_ipc >= 0 || s->join_pid >= 0)
        return err_set(e, ERR_CONFLICT,
                       "cannot join namespaces of a container that has another "
                       "user namespace");
    return 0;
}

static int make_cgroup(struct setup *s, struct err *e) {
    const struct oci_linux *lin = &s->request.spec.lin;
    if (s->host->cgroups.version == 0)
        return 0;
    auto_free char *path = str_empty(lin->cgroups_path) ? xasprintf("/fence/%s", s->request.id)
                                                        : xstrdup(lin->cgroups_path);
    int r = cgroup_create(&s->host->cgroups, path, &s->cgroup, e);
    if (r >= 0)
        r = cgroup_apply(&s->cgroup, lin->resources, s->mapped, e);
    if (r >= 0)
        r = cgroup_join_open(&s->cgroup, &s->cgroup_join, e);
    if (r < 0)
        err_wrap(e, "unable to apply cgroup configuration");
    return r;
}

/* Everything that B inherits by being cloned. */
static int before_clone(struct setup *s, struct err *e) {
    int r = plan_namespaces(s, e);
    if (r >= 0)
        r = make_cgroup(s, e);
    if (r >= 0)
        r = setup_stdio_open(s, e);
    if (r >= 0)
        r = setup_seccomp_load(s, e);
    if (r >= 0)
        r = rt_mounts_open(&s->request.spec, s->request.init, s->mapped,
                           s->new_ns & CLONE_NEWCGROUP, &s->cgroup, &s->map, s->join_ipc,
                           &s->mounts, e);
    if (r >= 0 && s->request.net.interfaces.count) {
        s->host_nl = nl_open(NETLINK_ROUTE);
        if (s->host_nl < 0)
            r = err_sys(e, s->host_nl, "failed to open a netlink socket");
    }
    return r;
}

static int write_maps(struct setup *s, struct err *e) {
    const struct oci_linux *lin = &s->request.spec.lin;
    if (!s->mapped || s->join_user)
        return 0;
    int r = idmap_write(s->pid, &lin->uid_mappings, &lin->gid_mappings, e);
    if (r < 0)
        return r;
    s->map.userns_fd = ns_open(s->pidfd, "user");
    if (s->map.userns_fd < 0)
        return err_sys(e, s->map.userns_fd, "failed to open the user namespace");
    r = sync_send(s->sync, SYNC_MAPPED, -1);
    return r < 0 ? err_sys(e, r, "lost the container's first process") : 0;
}

static int send_root(struct setup *s, struct err *e) {
    auto_fd root = -1;
    int r = rootfs_make(&s->request.rootfs, s->request.spec.root.path,
                        s->request.spec.lin.mount_label, &s->map, &root, e);
    if (r < 0)
        return r;
    r = dev_make_elsewhere(&s->request.spec, root, &s->map, e);
    if (r < 0)
        return r;
    /* A volatile overlay syncs nothing when it goes. */
    if (strv_len(s->request.rootfs.lower) && !s->request.rootfs.is_volatile) {
        s->overlay = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (s->overlay < 0)
            return err_sys(e, errno, "failed to hold the root file system");
    }
    r = sync_send(s->sync, SYNC_ROOT, root);
    return r < 0 ? err_sys(e, r, "lost the container's first process") : 0;
}

static int after_clone(struct setup *s, struct err *e) {
    int r = write_maps(s, e);
    s->host_nl = fd_close(s->host_nl); /* B's alone */
    if (r < 0)
        return r;
    r = setup_privileged_settings(s, e);
    if (r >= 0 && s->mapped)
        r = rt_mounts_idmap(&s->mounts, s->map.userns_fd, e);
    if (r >= 0)
        r = send_root(s, e);
    if (r >= 0)
        r = setup_names_begin(s, e);
    if (r >= 0)
        r = setup_net_host(s, e);
    if (r >= 0)
        r = setup_names_end(s, e);
    if (r >= 0 && s->request.net.interfaces.count) {
        r = sync_send(s->sync, SYNC_NET, -1);
        if (r < 0)
            err_sys(e, r, "lost the container's first process");
    }
    return r < 0 ? r : setup_prepare_monitor(s, e);
}

/* B tells more than a broken socket or a namespace without a process does: its own error wins over
 * ours when it has gone. */
static int prefer_error_of_first(struct setup *s, int r, enum sync_kind *kind, struct err *e) {
    struct pollfd end = {.fd = s->pidfd, .events = POLLIN};
    if (r != -EPIPE && r != -ECONNRESET && r != -ESRCH)
        return r;
    /* If it was its end: a B that lives waits for us. */
    if (poll(&end, 1, END_OF_B_MS) <= 0)
        return r;
    auto_err theirs = ERR_INIT;
    int other = setup_wait_for_exec(s, kind, &theirs);
    if (other >= 0)
        return r;
    err_done(e);
    err_move(e, &theirs);
    return other;
}

static void undo(struct setup *s) {
    setup_kill(s);
    setup_undo_monitor(s);
    setup_net_undo(s); /* the end of its namespace takes the peers along, but some time later */
    if (s->cgroup.path)
        (void)cgroup_remove(&s->cgroup, CGROUP_REMOVE_MS, NULL);
}

int setup_create(struct setup *s, enum sync_kind *kind, struct err *e) {
    int r = before_clone(s, e);
    if (r >= 0)
        r = setup_clone(s, e);
    if (r >= 0) {
        r = after_clone(s, e);
        if (r < 0)
            r = prefer_error_of_first(s, r, kind, e);
    }
    if (r >= 0)
        r = setup_wait_for_exec(s, kind, e);
    if (r >= 0)
        r = setup_hand_over(s, e);
    undo(s);
    return r;
}
