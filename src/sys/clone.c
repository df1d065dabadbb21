/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "sys/procfd.h"

pid_t sys_clone(const struct clone_request *c, int *ret_pidfd) {
    int pidfd = -1;
    struct clone_args args = {
        .flags = c->flags,
        .exit_signal = (uint64_t)c->exit_signal,
    };
    if (ret_pidfd) {
        args.flags |= CLONE_PIDFD;
        args.pidfd = (uint64_t)(uintptr_t)&pidfd;
    }
    if (c->cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)c->cgroup_fd;
    }
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return -errno;
    if (pid > 0 && ret_pidfd)
        *ret_pidfd = pidfd;
    return (pid_t)pid;
}

int sys_setns(int fd, int flags) {
    return setns(fd, flags) < 0 ? -errno : 0;
}

int ns_open(int pidfd, const char *name) {
    pid_t pid;
    int r = pidfd_pid(pidfd, &pid);
    if (r < 0)
        return r;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    /* Still alive: then the number had not been given to another process when we opened it. */
    r = pidfd_signal(pidfd, 0);
    if (r < 0)
        return r;
    return take_fd(&fd);
}

int ns_same(int a, int b) {
    struct stat x, y;
    if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
        return -errno;
    return x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

int ns_is_own(int pidfd, const char *name) {
    auto_fd fd = ns_open(pidfd, name);
    if (fd < 0)
        return fd;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    auto_fd own = open(path, O_RDONLY | O_CLOEXEC);
    return own < 0 ? -errno : ns_same(fd, own);
}

int fds_cloexec_from(unsigned first) {
    return syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

int fds_close_from(unsigned first) {
    return syscall(SYS_close_range, first, ~0u, 0) < 0 ? -errno : 0;
}

int fd_set_cloexec(int fd, int on) {
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

void signals_reset(void) {
    /* The kernel's own call: glibc's refuses the two signals that it keeps for itself, 32 and 33,
     * which its posix_spawn leaves ignored. All zero is SIG_DFL with an empty mask. */
    const struct { unsigned long handler, flags, restorer, mask; } standard = {0};
    for (int sig = 1; sig < NSIG; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            (void)syscall(SYS_rt_sigaction, sig, &standard, NULL, sizeof standard.mask);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}
