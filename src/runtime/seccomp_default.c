/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The default profile: what the one of Docker 28 allows, arranged by subject. Everything that is
 * not named fails with EPERM; calls that are younger than every name here fail with ENOSYS
 * (seccomp_compile.c).
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_profile.h"
#include "sys/caps.h"

struct default_rule {
    const char *names;       /* separated by blanks */
    const char *cap;         /* counts with this capability in the bounding set */
    const char *without_cap; /* counts without it */
    const char *arches;      /* counts on these */
    const char *not_arches;
    const char *min_kernel;
    const char *op; /* a condition on argument `index` */
    unsigned index;
    uint64_t value, value_two;
    int errnum; /* not 0: refuses with this errno */
};

/* Namespaces a process may not make without CAP_SYS_ADMIN. */
#define CLONE_NAMESPACES                                                                           \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)

static const struct default_rule rules[] = {
    /* files and directories */
    {.names = "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 "
              "dup3 faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat "
              "fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock fstat fstat64 "
              "fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents "
              "getdents64 lchown lchown32 link linkat lseek _llseek lstat lstat64 mkdir mkdirat "
              "mknod mknodat name_to_handle_at newfstatat open openat openat2 readahead readlink "
              "readlinkat rename renameat renameat2 rmdir stat stat64 statfs statfs64 statx "
              "symlink symlinkat sync sync_file_range syncfs truncate truncate64 umask unlink "
              "unlinkat utime utimensat utimensat_time64 utimes cachestat listmount statmount"},
    {.names = "getxattr getxattrat fgetxattr lgetxattr setxattr setxattrat fsetxattr lsetxattr "
              "listxattr listxattrat flistxattr llistxattr removexattr removexattrat fremovexattr "
              "lremovexattr"},
    {.names = "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark"},
    /* input and output */
    {.names = "read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 sendfile "
              "sendfile64 splice tee vmsplice ioctl pipe pipe2 poll ppoll ppoll_time64 select "
              "_newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl "
              "epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 "
              "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup "
              "io_submit ioprio_get ioprio_set"},
    /* memory */
    {.names = "brk madvise membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap "
              "mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free "
              "pkey_mprotect remap_file_pages map_shadow_stack"},
    /* processes, identities, scheduling */
    {.names = "alarm capget capset execve execveat exit exit_group fork vfork getcpu getegid "
              "getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp "
              "getpid getppid getpriority getresgid getresgid32 getresuid getresuid32 getrlimit "
              "ugetrlimit getrusage getsid gettid getuid getuid32 get_robust_list get_thread_area "
              "pause pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease restart_syscall "
              "rseq sched_getaffinity sched_getattr sched_getparam sched_get_priority_max "
              "sched_get_priority_min sched_getscheduler sched_rr_get_interval "
              "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam "
              "sched_setscheduler sched_yield seccomp setfsgid setfsgid32 setfsuid setfsuid32 "
              "setgid setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32 "
              "setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit "
              "set_robust_list setsid set_thread_area set_tid_address setuid setuid32 sysinfo "
              "times uname wait4 waitid waitpid landlock_add_rule landlock_create_ruleset "
              "landlock_restrict_self riscv_hwprobe uretprobe"},
    /* signals */
    {.names = "kill tgkill tkill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
              "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
              "rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigprocmask sigreturn"},
    /* synchronisation and System V or POSIX objects */
    {.names = "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc "
              "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
              "mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop "
              "semtimedop semtimedop_time64 shmat shmctl shmdt shmget"},
    /* time; setting the clock is the kernel's to refuse in adjtimex and clock_adjtime */
    {.names = "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 "
              "clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer "
              "gettimeofday nanosleep setitimer time timer_create timer_delete timer_getoverrun "
              "timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
              "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 getrandom"},
    /* sockets */
    {.names = "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom "
              "recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown "
              "socketcall socketpair"},
    /* A VM's host is no container's business. */
    {.names = "socket", .op = "SCMP_CMP_NE", .index = 0, .value = AF_VSOCK},

    /* Tracing could get around a filter before 4.8. */
    {.names = "process_vm_readv process_vm_writev ptrace", .min_kernel = "4.8"},
    {.names = "personality", .op = "SCMP_CMP_EQ", .value = 0},
    {.names = "personality", .op = "SCMP_CMP_EQ", .value = 0x0008},     /* PER_LINUX32 */
    {.names = "personality", .op = "SCMP_CMP_EQ", .value = 0x20000},    /* UNAME26 */
    {.names = "personality", .op = "SCMP_CMP_EQ", .value = 0x20008},    /* both */
    {.names = "personality", .op = "SCMP_CMP_EQ", .value = 0xffffffff}, /* only asks */

    /* architectures */
    {.names = "sync_file_range2 swapcontext", .arches = "ppc64le"},
    {.names = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
     .arches = "arm arm64"},
    {.names = "arch_prctl", .arches = "amd64 x32"},
    {.names = "modify_ldt", .arches = "amd64 x32 x86"},
    {.names = "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr", .arches = "s390 s390x"},
    {.names = "riscv_flush_icache", .arches = "riscv64"},

    /* capabilities */
    {.names = "open_by_handle_at", .cap = "CAP_DAC_READ_SEARCH"},
    {.names = "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
              "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount "
              "open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns "
              "syslog umount umount2 unshare",
     .cap = "CAP_SYS_ADMIN"},
    {.names = "clone",
     .op = "SCMP_CMP_MASKED_EQ",
     .value = CLONE_NAMESPACES,
     .without_cap = "CAP_SYS_ADMIN",
     .not_arches = "s390 s390x"},
    /* s390 has the flags second */
    {.names = "clone",
     .op = "SCMP_CMP_MASKED_EQ",
     .index = 1,
     .value = CLONE_NAMESPACES,
     .without_cap = "CAP_SYS_ADMIN",
     .arches = "s390 s390x"},
    /* Its flags are in memory, which no filter sees; with ENOSYS the C library uses clone. */
    {.names = "clone3", .errnum = ENOSYS, .without_cap = "CAP_SYS_ADMIN"},
    {.names = "reboot", .cap = "CAP_SYS_BOOT"},
    {.names = "chroot", .cap = "CAP_SYS_CHROOT"},
    {.names = "delete_module init_module finit_module", .cap = "CAP_SYS_MODULE"},
    {.names = "acct", .cap = "CAP_SYS_PACCT"},
    {.names = "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
     .cap = "CAP_SYS_PTRACE"},
    {.names = "iopl ioperm", .cap = "CAP_SYS_RAWIO"},
    {.names = "settimeofday stime clock_settime clock_settime64", .cap = "CAP_SYS_TIME"},
    {.names = "vhangup", .cap = "CAP_SYS_TTY_CONFIG"},
    {.names = "get_mempolicy mbind set_mempolicy set_mempolicy_home_node", .cap = "CAP_SYS_NICE"},
    {.names = "syslog", .cap = "CAP_SYSLOG"},
    {.names = "bpf", .cap = "CAP_BPF"},
    {.names = "perf_event_open", .cap = "CAP_PERFMON"},
};

static const struct {
    const char *arch, *sub;
} arch_map[] = {
    {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86 SCMP_ARCH_X32"},
    {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"},
    {"SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS SCMP_ARCH_MIPS64N32"},
    {"SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPS SCMP_ARCH_MIPS64"},
    {"SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL SCMP_ARCH_MIPSEL64N32"},
    {"SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_MIPSEL SCMP_ARCH_MIPSEL64"},
    {"SCMP_ARCH_S390X", "SCMP_ARCH_S390"},
    {"SCMP_ARCH_RISCV64", ""},
};

static const struct {
    const char *name;
    int nr;
} new_syscalls[] = {
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},
};

int seccomp_new_syscall(const char *name) {
    for (size_t i = 0; i < sizeof new_syscalls / sizeof new_syscalls[0]; i++)
        if (strcmp(new_syscalls[i].name, name) == 0)
            return new_syscalls[i].nr;
    return -1;
}

static struct seccomp_when *when_new(void) {
    struct seccomp_when *w = xnew(struct seccomp_when);

    field_init(&seccomp_when_table, w);
    return w;
}

static void add_rule(struct seccomp_profile *p, const struct default_rule *d) {
    struct seccomp_rule *r = field_array_add(&p->rules, &seccomp_rule_table);

    r->names = str_split(d->names, ' ');
    r->action = xstrdup(d->errnum ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW");
    if (d->errnum)
        r->errno_ret = (struct opt_uint){.set = true, .value = (uint64_t)d->errnum};
    if (d->op) {
        struct seccomp_arg *a = field_array_add(&r->args, &seccomp_arg_table);

        a->index = d->index;
        a->value = d->value;
        a->value_two = d->value_two;
        a->op = xstrdup(d->op);
    }
    if (d->cap || d->arches || d->min_kernel) {
        r->includes = when_new();
        if (d->cap)
            strv_add(&r->includes->caps, d->cap);
        if (d->arches)
            r->includes->arches = str_split(d->arches, ' ');
        r->includes->min_kernel = xstrdup_null(d->min_kernel);
    }
    if (d->without_cap || d->not_arches) {
        r->excludes = when_new();
        if (d->without_cap)
            strv_add(&r->excludes->caps, d->without_cap);
        if (d->not_arches)
            r->excludes->arches = str_split(d->not_arches, ' ');
    }
}

void seccomp_default_profile(struct seccomp_profile *p) {
    str_set(&p->default_action, "SCMP_ACT_ERRNO");
    p->default_errno_ret = (struct opt_uint){.set = true, .value = EPERM};
    for (size_t i = 0; i < sizeof arch_map / sizeof arch_map[0]; i++) {
        struct seccomp_arch_map *m = field_array_add(&p->arch_map, &seccomp_arch_map_table);

        m->arch = xstrdup(arch_map[i].arch);
        m->sub = str_split(arch_map[i].sub, ' ');
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        add_rule(p, &rules[i]);
}

bool seccomp_default_allows(const char *syscall, uint64_t caps) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct default_rule *d = &rules[i];
        auto_strv names = str_split(d->names, ' ');

        if (d->errnum || d->op || d->arches || !strv_has(names, syscall))
            continue;
        if (d->cap) {
            unsigned nr;

            if (lcap_parse(d->cap, &nr) < 0 || !(caps & LCAP_BIT(nr)))
                continue;
        }
        return true;
    }
    return false;
}
