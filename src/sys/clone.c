/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

#ifdef __SANITIZE_ADDRESS__
/* The sanitizer must know of the other stack. What it knows is in our memory, so that we must have
 * it back as it was; a process that fn() forks takes it with the stack. */
#include <sanitizer/common_interface_defs.h>

struct beside {
    int (*fn)(void *);
    void *arg;
    char *stack;
    size_t size;
};

static int on_own_stack(void *arg) {
    const struct beside *b = arg;
    const void *bottom;
    size_t size;
    __sanitizer_start_switch_fiber(NULL, b->stack, b->size);
    __sanitizer_finish_switch_fiber(NULL, &bottom, &size);
    int r = b->fn(b->arg);
    __sanitizer_start_switch_fiber(NULL, bottom, size);
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
    return r;
}
#endif

int sys_call_beside(int (*fn)(void *), void *arg) {
    const size_t size = 1 << 20, guard = 64 << 10; /* of any page size */
    char *stack = mmap(NULL, guard + size, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -errno;
    int r = mprotect(stack + guard, size, PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
#ifdef __SANITIZE_ADDRESS__
    struct beside b = {fn, arg, stack + guard, size};
    fn = on_own_stack;
    arg = &b;
#endif
    /* As vfork(), which leaves no stack to call functions on: no page tables are copied, and the
     * caller sleeps meanwhile. */
    pid_t pid = -1;
    if (r == 0) {
        pid = clone(fn, stack + guard + size, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, arg);
        r = pid < 0 ? -errno : 0;
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    (void)munmap(stack, guard + size); /* what mmap() gave */
    return r;
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

static const struct {
    const char *name; /* in /proc/PID/ns */
    uint64_t flag;
} ns_types[NS_TYPES] = {
    {"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},  {"pid", CLONE_NEWPID},
    {"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
    {"cgroup", CLONE_NEWCGROUP},
};

int ns_ids_read(int pidfd, struct ns_ids *ret) {
    struct ns_ids ids = {0};
    char dir[32] = "/proc/self/ns", path[64];
    if (pidfd >= 0) {
        pid_t pid;
        int r = pidfd_pid(pidfd, &pid);
        if (r < 0)
            return r;
        snprintf(dir, sizeof(dir), "/proc/%d/ns", (int)pid);
    }
    for (size_t i = 0; i < NS_TYPES; i++) {
        struct stat st;
        snprintf(path, sizeof(path), "%s/%s", dir, ns_types[i].name);
        if (stat(path, &st) < 0)
            return errno == ENOENT && pidfd >= 0 ? -ESRCH : -errno;
        ids.of[i].dev = st.st_dev;
        ids.of[i].ino = st.st_ino;
    }
    /* Still alive: then the number had not been given to another process meanwhile. */
    int r = pidfd >= 0 ? pidfd_signal(pidfd, 0) : 0;
    if (r < 0)
        return r;
    *ret = ids;
    return 0;
}

uint64_t ns_ids_differ(const struct ns_ids *a, const struct ns_ids *b) {
    uint64_t flags = 0;
    for (size_t i = 0; i < NS_TYPES; i++)
        if (a->of[i].ino != b->of[i].ino || a->of[i].dev != b->of[i].dev)
            flags |= ns_types[i].flag;
    return flags;
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
