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

/* Only the namespaces that the container does not share with us: joining one's own user namespace
 * is an error. */
static int plan_joins(struct setup *s, struct err *e) {
    if (s->join_exec < 0)
        return err_set(e, ERR_INVALID, "exec without a container");
    struct ns_ids theirs;
    int r = ns_ids_read(s->join_exec, &theirs);
    if (r == -ESRCH)
        return err_set(e, ERR_CONFLICT, "container %s is not running", s->request.id);
    if (r < 0)
        return err_sys(e, r, "failed to look at the container's namespaces");
    s->new_ns = ns_ids_differ(&theirs, &s->host->namespaces);
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
