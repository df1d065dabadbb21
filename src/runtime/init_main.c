/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a container or an exec, from clone to the common last steps. It is not
 * dumpable (A has seen to that), so nobody in a joined container can trace it or look at its
 * descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/setup.h"
#include "sys/clone.h"
#include "sys/mountfd.h"
#include "sys/path.h"

static int become_root(struct err *e) {
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return err_sys(e, errno, "failed to become root of the user namespace");
    return 0;
}

static int join_namespaces(struct init *b, struct err *e) {
    const struct setup *s = b->s;
    int r = 0;
    if (s->join_net >= 0)
        r = sys_setns(s->join_net, CLONE_NEWNET);
    if (r < 0)
        return err_sys(e, r, "failed to join the network namespace");
    if (s->join_ipc >= 0)
        r = sys_setns(s->join_ipc, CLONE_NEWIPC);
    return r < 0 ? err_sys(e, r, "failed to join the ipc namespace") : 0;
}

static int set_names(const struct oci_spec *spec, struct err *e) {
    if (!oci_spec_namespace(spec, "uts"))
        return 0;
    if (!str_empty(spec->hostname) && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
        return err_sys(e, errno, "sethostname");
    if (!str_empty(spec->domainname) &&
        setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
        return err_sys(e, errno, "setdomainname");
    return 0;
}

/* What needs neither maps nor the root file system, while A makes them. */
static int enter_namespaces(struct init *b, struct err *e) {
    struct setup *s = b->s;
    int r = 0;
    if (s->mapped && !s->join_user) {
        r = sync_expect(b->sync, SYNC_MAPPED, NULL);
        if (r < 0)
            return err_sys(e, r, "no word from the set-up process");
    }
    if (s->mapped)
        r = become_root(e);
    if (r < 0)
        return r;
    /* v2: CLONE_INTO_CGROUP has done it. */
    if (s->cgroup_join.version == 1) {
        r = cgroup_join_self(&s->cgroup_join);
        if (r < 0)
            return err_sys(e, r, "unable to apply cgroup configuration: failed to join");
    }
    r = join_namespaces(b, e);
    if (r < 0)
        return r;
    /* Only now: the namespace's root is where the process is. */
    /* Not by clone: the kernel makes the namespace's message queue file system at once, with the
     * caller as its owner, who is nobody inside before he has become root. */
    if (s->new_ns & CLONE_NEWIPC && unshare(CLONE_NEWIPC) < 0)
        return err_sys(e, errno, "failed to make the IPC namespace");
    if (s->new_ns & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
        return err_sys(e, errno, "unshare of the cgroup namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_sys(e, errno, "failed to make the mounts private");
    return set_names(&s->request.spec, e);
}

/* The container brought no /proc: sysctls and labels need one, seen by nobody. */
static int own_proc(struct init *b, struct err *e) {
    if (b->proc >= 0)
        return 0;
    int fd = sys_mount_new("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (fd < 0)
        return err_sys(e, fd, "failed to make a proc file system");
    b->proc = fd;
    return 0;
}

static int create_steps(struct init *b, struct err *e) {
    struct setup *s = b->s;
    int r = enter_namespaces(b, e);
    if (r >= 0)
        r = init_net_lo(b, e);
    b->kind = SYNC_TEXT_INIT;
    if (r >= 0)
        r = init_mounts_make(b, e);
    if (r < 0)
        return r;
    r = sync_expect(b->sync, SYNC_ROOT, &b->root);
    if (r >= 0)
        /* On top of "/": any place does, this one is there and reachable for every user. */
        r = sys_move_mount(b->root, AT_FDCWD, "/");
    if (r < 0)
        return err_sys(e, r, "failed to attach the root file system");
    r = init_mounts_attach(b, e);
    if (r >= 0)
        r = own_proc(b, e);
    if (r >= 0 && s->request.spec.process.terminal)
        r = init_tty(b, rt_mounts_has_dev(&s->mounts), e);
    if (r < 0)
        return r;
    r = sys_pivot_into(b->root);
    if (r < 0)
        return err_sys(e, r, "pivot_root");
    b->kind = SYNC_TEXT_PROCESS;
    if (s->request.net.interfaces.count) {
        r = sync_expect(b->sync, SYNC_NET, NULL);
        if (r < 0)
            return err_sys(e, r, "no word from the set-up process");
    }
    r = init_net_interfaces(b, e);
    b->kind = SYNC_TEXT_INIT;
    if (r >= 0)
        r = init_sysctls(b, e);
    if (r >= 0)
        r = init_make_cwd(b, e);
    if (r >= 0)
        r = init_mounts_seal(b, e);
    if (r >= 0)
        init_net_announce(b);
    return r;
}

static int exec_steps(struct init *b, struct err *e) {
    struct setup *s = b->s;
    int r = s->mapped ? become_root(e) : 0;
    if (r < 0)
        return r;
    if (s->new_ns & CLONE_NEWCGROUP)
        r = sys_setns(s->join_exec, CLONE_NEWCGROUP);
    if (r < 0)
        return err_sys(e, r, "failed to join the container's cgroup namespace");
    /* setns() into the mount namespace has set root and directory. */
    b->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (b->root < 0)
        return err_sys(e, errno, "open /");
    const struct oci_process *p = &s->request.spec.process;
    if (!str_empty(p->apparmor_profile) || !str_empty(p->selinux_label)) {
        b->proc = path_open_in(b->root, "/proc", O_PATH | O_DIRECTORY, 0);
        struct statfs fs;
        if (b->proc < 0 || fstatfs(b->proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
            return err_set(e, ERR_SYSTEM, "/proc of the container is no proc file system");
    }
    return p->terminal ? init_tty(b, false, e) : 0;
}

static _Noreturn void run(struct setup *s, int (*steps)(struct init *, struct err *)) {
    struct init b = {
        .s = s,
        .sync = s->sync_child,
        .root = -1,
        .proc = -1,
        .tty_slave = -1,
        .kind = SYNC_TEXT_PROCESS,
    };
    auto_err e = ERR_INIT;
    fd_close(s->sync);
    fd_close(s->conn);
    (void)umask(022); /* signals are as A has set them: all at their default */
    (void)setsid();   /* fails only for a leader, which a clone never is */
    int r = prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? err_sys(&e, errno, "prctl") : 0;
    if (r >= 0)
        r = steps(&b, &e);
    if (r >= 0)
        (void)init_finish(&b, &e);
    (void)sync_send_error(b.sync, &e, b.kind); /* nobody left to tell */
    _exit(1);
}

void init_create(struct setup *s) {
    run(s, create_steps);
}

void init_exec(struct setup *s) {
    run(s, exec_steps);
}
