/* SPDX-License-Identifier: Apache-2.0 */
/* What creating a container and an exec have in common on A's side. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/rlimits.h"
#include "runtime/setup.h"
#include "sys/clone.h"
#include "sys/procfd.h"

static int open_pipe(int pipe_fds[2], const struct rootfs_map *map) {
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    /* To the container's root, which then passes it on to the user: only A may take it from the
     * host's root. */
    return fchown(pipe_fds[0], map->uid, map->gid) < 0 ? -errno : 0;
}

int setup_stdio_open(struct setup *s, struct err *e) {
    s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (s->null < 0)
        return err_sys(e, errno, "open /dev/null");
    if (s->request.spec.process.terminal)
        return 0;
    int r = s->request.open_stdin ? open_pipe(s->stdio.in, &s->map) : 0;
    if (r >= 0)
        r = open_pipe(s->stdio.out, &s->map);
    if (r >= 0)
        r = open_pipe(s->stdio.err, &s->map);
    return r < 0 ? err_sys(e, r, "failed to make the pipes for the standard streams") : 0;
}

int setup_seccomp_load(struct setup *s, struct err *e) {
    return seccomp_program_load(s->request.spec.lin.seccomp,
                                s->request.mknod_notify ? SECCOMP_MKNOD_NOTIFY : 0, &s->seccomp, e);
}

/* ---- clone --------------------------------------------------------------------------------- */

static _Noreturn void start_first_process(struct setup *s) {
    s->state_dir = fd_close(s->state_dir); /* A's alone */
    if (s->is_exec)
        init_exec(s);
    init_create(s);
}

/* Namespaces that only take effect for children, or that must be joined before others are made. */
static int join_before_clone(struct setup *s, struct err *e) {
    int r = 0;
    if (s->is_exec) {
        r = s->cgroup_join.version == 1 ? cgroup_join_self(&s->cgroup_join) : 0;
        if (r < 0)
            return err_sys(e, r, "unable to apply cgroup configuration: failed to join");
        /* With nsdelegate nobody may enter a cgroup from beside his cgroup namespace's root, not
         * even by CLONE_INTO_CGROUP: B joins that namespace. */
        r = sys_setns(s->join_exec, (int)(s->new_ns & ~(uint64_t)CLONE_NEWCGROUP));
        return r < 0 ? err_sys(e, r, "failed to join the container's namespaces") : 0;
    }
    if (s->join_user)
        r = sys_setns(s->map.userns_fd, CLONE_NEWUSER);
    if (r < 0)
        return err_sys(e, r, "failed to join the user namespace");
    if (s->join_pid >= 0)
        r = sys_setns(s->join_pid, CLONE_NEWPID);
    return r < 0 ? err_sys(e, r, "failed to join the pid namespace") : 0;
}

/* B, from A or from the process between. */
static int clone_first_process(struct setup *s, uint64_t flags, struct err *e) {
    struct clone_request c = {
        .flags = flags | (s->is_exec ? 0 : s->new_ns & ~(uint64_t)(CLONE_NEWCGROUP | CLONE_NEWIPC)),
        .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
        .cgroup_fd = cgroup_join_clone_fd(&s->cgroup_join),
    };
    pid_t pid = sys_clone(&c, &s->pidfd);
    if (pid == 0)
        start_first_process(s);
    if (pid < 0)
        return err_sys(e, pid, "failed to make the container's first process");
    s->pid = pid;
    return 0;
}

struct between {
    struct setup *s;
    struct err *e;
    int result;
};

/* The process between joins, then makes B as a child of A; A goes on when it has ended. */
static int between_main(void *arg) {
    struct between *b = arg;
    int r = join_before_clone(b->s, b->e);
    b->result = r < 0 ? r : clone_first_process(b->s, CLONE_PARENT, b->e);
    return 0;
}

static int clone_between(struct setup *s, struct err *e) {
    /* Unless it says otherwise: killed, by the container's memory limit for one. */
    struct between b = {.s = s, .e = e, .result = -ECHILD};
    int r = sys_call_beside(between_main, &b);
    if (r < 0)
        return err_sys(e, r, "fork");
    return b.result == -ECHILD && s->pid <= 0
               ? err_set(e, ERR_SYSTEM, "the set-up process ended early")
               : b.result;
}

int setup_clone(struct setup *s, struct err *e) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, errno, "socketpair");
    s->sync = pair[0];
    s->sync_child = pair[1];
    int r = s->is_exec || s->join_user || s->join_pid >= 0 ? clone_between(s, e)
                                                           : clone_first_process(s, 0, e);
    /* B's ends: a pipe must end when the container has closed it. */
    s->sync_child = fd_close(s->sync_child);
    s->stdio.in[0] = fd_close(s->stdio.in[0]);
    s->stdio.out[1] = fd_close(s->stdio.out[1]);
    s->stdio.err[1] = fd_close(s->stdio.err[1]);
    return r;
}

static int move_sync_error(const struct sync_msg *m, enum sync_kind *kind, struct err *e) {
    *kind = m->kind <= SYNC_TEXT_PLAIN ? (enum sync_kind)m->kind : SYNC_TEXT_PROCESS;
    enum err_class class = m->class && m->class < ERR_CLASS_MAX_ ? m->class : ERR_SYSTEM;
    int r = err_set(e, class, "%s", m->text);
    if (e)
        e->errnum = m->errnum;
    return r;
}

int setup_privileged_settings(struct setup *s, struct err *e) {
    const struct oci_process *p = &s->request.spec.process;
    int r = rlimits_raise(s->pid, &p->rlimits, e);
    if (r < 0 || !p->oom_score_adj.set)
        return r;
    char path[64], text[16];
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)s->pid);
    snprintf(text, sizeof(text), "%d", (int)p->oom_score_adj.value);
    /* Lowering it takes CAP_SYS_RESOURCE, which a nested daemon may lack: clipped. */
    (void)io_write_existing_at(AT_FDCWD, path, text);
    return 0;
}

int setup_wait_for_exec(struct setup *s, enum sync_kind *kind, struct err *e) {
    bool complete = false;
    for (;;) {
        struct sync_msg m;
        int fd = -1;
        int r = sync_recv(s->sync, &m, &fd);
        if (r < 0)
            return err_sys(e, r, "lost the container's first process");
        if (r == 0)
            break;
        switch (m.type) {
        case SYNC_TTY:
            fd_close(s->tty);
            s->tty = fd;
            break;
        case SYNC_SECCOMP:
            fd_close(s->listener);
            s->listener = fd;
            break;
        case SYNC_EXEC:
            fd_close(fd);
            complete = true;
            break;
        case SYNC_ERROR:
            fd_close(fd);
            return move_sync_error(&m, kind, e);
        default:
            fd_close(fd);
            return err_set(e, ERR_SYSTEM, "unexpected message %u of the first process", m.type);
        }
    }
    if (complete)
        return 0;
    siginfo_t si;
    if (pidfd_wait(s->pidfd, WEXITED | WNOWAIT, &si) > 0 && si.si_code != CLD_EXITED)
        return err_set(e, ERR_SYSTEM, "the container's first process was killed by signal %d",
                       si.si_status);
    return err_set(e, ERR_SYSTEM, "the container's first process ended early");
}

void setup_kill(struct setup *s) {
    if (s->pidfd < 0)
        return;
    (void)pidfd_signal(s->pidfd, SIGKILL); /* ended already: fine */
    (void)pidfd_wait(s->pidfd, WEXITED, NULL);
    s->pidfd = fd_close(s->pidfd);
}
