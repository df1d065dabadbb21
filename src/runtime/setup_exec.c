/* SPDX-License-Identifier: Apache-2.0 */
/* A further process in a running container. */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/idmap.h"
#include "runtime/setup.h"
#include "sys/clone.h"

static const struct {
    const char *name; /* in /proc/PID/ns */
    uint64_t flag;
} namespaces[] = {
    {"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},  {"pid", CLONE_NEWPID},
    {"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
    {"cgroup", CLONE_NEWCGROUP},
};

/* Only the namespaces that the container does not share with us: joining one's own user namespace
 * is an error. */
static int plan_joins(struct setup *s, struct err *e) {
    if (s->join_exec < 0)
        return err_set(e, ERR_INVALID, "exec without a container");
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        int own = ns_is_own(s->join_exec, namespaces[i].name);
        if (own == -ESRCH)
            return err_set(e, ERR_CONFLICT, "container %s is not running", s->request.id);
        if (own < 0)
            return err_sys(e, own, "failed to look at the container's %s namespace",
                           namespaces[i].name);
        if (!own)
            s->new_ns |= namespaces[i].flag;
    }
    if (!(s->new_ns & CLONE_NEWNS))
        return err_set(e, ERR_SYSTEM, "the container has our mount namespace");
    s->mapped = s->new_ns & CLONE_NEWUSER;
    if (!s->mapped)
        return 0;
    const struct oci_linux *lin = &s->request.spec.lin;
    if (!lin->uid_mappings.count || !lin->gid_mappings.count ||
        idmap_to_host(&lin->uid_mappings, 0, &s->map.uid) < 0 ||
        idmap_to_host(&lin->gid_mappings, 0, &s->map.gid) < 0)
        return err_set(e, ERR_INVALID, "the id mappings have no root");
    return 0;
}

static int open_cgroup(struct setup *s, struct err *e) {
    if (s->host->cgroups.version == 0)
        return 0;
    const char *path = s->request.spec.lin.cgroups_path;
    auto_free char *fallback = xasprintf("/fence/%s", s->request.id);
    int r = cgroup_open(&s->host->cgroups, str_empty(path) ? fallback : path, &s->cgroup, e);
    return r < 0 ? r : cgroup_join_open(&s->cgroup, &s->cgroup_join, e);
}

int setup_exec(struct setup *s, enum sync_kind *kind, struct err *e) {
    s->is_exec = true;
    int r = plan_joins(s, e);
    if (r >= 0)
        r = open_cgroup(s, e);
    if (r >= 0)
        r = setup_stdio_open(s, e);
    if (r >= 0)
        r = setup_seccomp_load(s, e);
    if (r >= 0)
        r = setup_clone(s, e);
    if (r >= 0)
        r = setup_privileged_settings(s, e);
    if (r >= 0)
        r = setup_prepare_monitor(s, e);
    if (r >= 0)
        r = setup_wait_for_exec(s, kind, e);
    if (r >= 0)
        r = setup_hand_over(s, e);
    setup_kill(s);
    setup_undo_monitor(s);
    return r;
}
