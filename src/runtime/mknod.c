/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The monitor's part is mknod_serve(): receive, clone a helper, go on. The helper does what takes
 * time or may block (another's memory, path look-up on file systems of the container's choice) and
 * ends. Nothing is allocated, nothing but system calls happens after the clone, so the file is good
 * for the static monitor.
 *
 * Everything under /proc/<tid> is opened first; if the notification is still valid afterwards, the
 * caller was blocked in it the whole time, so the descriptors are the caller's and not those of a
 * process that got the same number.
 */
#include "runtime/mknod.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define HELPER_SECONDS 10
#define X32_BIT        0x40000000

bool mknod_is_harmless(uint32_t major, uint32_t minor) {
    static const struct mknod_device list[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8},
                                               {1, 9}, {5, 0}, {5, 1}};

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (list[i].major == major && list[i].minor == minor)
            return true;
    return false;
}

void mknod_server_init(struct mknod_server *s, int listener) {
    *s = (struct mknod_server){.listener = listener};
    for (size_t i = 0; i < MKNOD_HELPERS_MAX; i++)
        s->helpers[i].pidfd = -1;
}

void mknod_server_done(struct mknod_server *s) {
    for (size_t i = 0; i < MKNOD_HELPERS_MAX; i++) {
        struct mknod_helper *h = &s->helpers[i];

        if (h->pid == 0)
            continue;
        (void)kill(h->pid, SIGKILL); /* our child, not reaped yet: the number is its own */
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        fd_close(h->pidfd);
    }
    fd_close(s->listener);
    mknod_server_init(s, -1);
}

int mknod_server_allow(struct mknod_server *s, uint32_t major, uint32_t minor) {
    if (s->allow_count == MKNOD_ALLOW_MAX)
        return -ENOSPC;
    s->allow[s->allow_count++] = (struct mknod_device){major, minor};
    return 0;
}

int mknod_server_allow_list(struct mknod_server *s, const char *list) {
    for (const char *p = list; *p;) {
        uint64_t major, minor;
        char word[32], *colon;
        size_t n = strcspn(p, ",");
        int r;

        if (n >= sizeof word)
            return -EINVAL;
        memcpy(word, p, n);
        word[n] = '\0';
        colon = strchr(word, ':');
        if (!colon)
            return -EINVAL;
        *colon = '\0';
        if (str_to_u64(word, &major) < 0 || major > UINT32_MAX)
            return -EINVAL;
        if (strcmp(colon + 1, "*") == 0)
            minor = MKNOD_ANY;
        else if (str_to_u64(colon + 1, &minor) < 0 || minor >= MKNOD_ANY)
            return -EINVAL;
        r = mknod_server_allow(s, (uint32_t)major, (uint32_t)minor);
        if (r < 0)
            return r;
        p += n;
        if (*p == ',')
            p++;
    }
    return 0;
}

bool mknod_server_ready(const struct mknod_server *s) {
    if (s->listener < 0)
        return false;
    for (size_t i = 0; i < MKNOD_HELPERS_MAX; i++)
        if (s->helpers[i].pid == 0)
            return true;
    return false;
}

/* ---- the call ------------------------------------------------------------------------------- */

struct call {
    uint64_t id;
    pid_t tid;
    bool at; /* mknodat: a directory descriptor comes first */
    int dirfd;
    uint64_t path; /* in the caller's memory */
    mode_t mode;
    uint32_t major, minor;
};

/* Which of the two calls is nr on that architecture? */
static bool is_mknod(uint32_t arch, int nr, bool *ret_at) {
    static const struct {
        uint32_t arch;
        int mknod, mknodat;
    } table[] = {
        {AUDIT_ARCH_X86_64, 133, 259}, {AUDIT_ARCH_X86_64, X32_BIT | 133, X32_BIT | 259},
        {AUDIT_ARCH_I386, 14, 297},    {AUDIT_ARCH_AARCH64, -1, 33},
        {AUDIT_ARCH_ARM, 14, 324},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].arch != arch || nr < 0 || (nr != table[i].mknod && nr != table[i].mknodat))
            continue;
        *ret_at = nr == table[i].mknodat;
        return true;
    }
    return false;
}

static bool call_read(const struct seccomp_notif *n, struct call *c) {
    const __u64 *a = n->data.args;
    uint32_t dev;

    if (!is_mknod(n->data.arch, n->data.nr, &c->at))
        return false;
    c->id = n->id;
    c->tid = (pid_t)n->pid;
    c->dirfd = c->at ? (int)a[0] : AT_FDCWD;
    c->path = a[c->at];
    c->mode = (mode_t)(a[c->at + 1] & 0xffff); /* umode_t */
    /* The kernel takes the low 32 bits: 12 of the major, 20 of the minor number. */
    dev = (uint32_t)a[c->at + 2];
    c->major = (dev & 0xfff00) >> 8;
    c->minor = (dev & 0xff) | ((dev >> 12) & 0xfff00);
    return true;
}

static bool is_served(const struct mknod_server *s, const struct call *c) {
    if (!S_ISCHR(c->mode))
        return false;
    if (mknod_is_harmless(c->major, c->minor))
        return true;
    for (size_t i = 0; i < s->allow_count; i++)
        if (s->allow[i].major == c->major &&
            (s->allow[i].minor == c->minor || s->allow[i].minor == MKNOD_ANY))
            return true;
    return false;
}

static void answer(int listener, uint64_t id, int error, bool go_on) {
    struct seccomp_notif_resp r = {
        .id = id,
        .error = error,
        .flags = go_on ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
    };

    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r); /* a caller that is gone needs none */
}

/* ---- helper --------------------------------------------------------------------------------- */

struct caller {
    uid_t fsuid;
    gid_t fsgid;
    mode_t umask;
    uint64_t caps; /* effective */
    int user_ns, mnt_ns, root, cwd, uid_map, gid_map;
    char path[PATH_MAX];
};

static int open_proc(int proc, const char *name, int flags) {
    int fd = openat(proc, name, flags | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* The value behind "\nName:\t", as text. */
static const char *status_value(const char *text, const char *name) {
    const char *p = strstr(text, name);

    return p ? p + strlen(name) : NULL;
}

/* The fourth number of a Uid: or Gid: line is the file-system id, as this process' user namespace
 * sees it. */
static int fs_id(const char *line, unsigned *ret) {
    unsigned long v = 0;
    char *end;

    for (int i = 0; i < 4; i++) {
        v = strtoul(line, &end, 10);
        if (end == line || v > UINT32_MAX)
            return -EINVAL;
        line = end;
    }
    *ret = (unsigned)v;
    return 0;
}

static int read_status(int proc, struct caller *who) {
    auto_fd fd = open_proc(proc, "status", O_RDONLY);
    char text[4096];
    const char *p;
    ssize_t n;

    if (fd < 0)
        return fd;
    n = io_read_full(fd, text, sizeof text - 1);
    if (n < 0)
        return (int)n;
    text[n] = '\0';
    p = status_value(text, "\nUid:");
    if (!p || fs_id(p, &who->fsuid) < 0)
        return -EINVAL;
    p = status_value(text, "\nGid:");
    if (!p || fs_id(p, &who->fsgid) < 0)
        return -EINVAL;
    p = status_value(text, "\nUmask:");
    if (!p)
        return -EINVAL;
    who->umask = (mode_t)strtoul(p, NULL, 8);
    p = status_value(text, "\nCapEff:");
    if (!p)
        return -EINVAL;
    who->caps = strtoull(p, NULL, 16);
    return 0;
}

static int read_path(int proc, uint64_t address, char out[static PATH_MAX]) {
    auto_fd fd = open_proc(proc, "mem", O_RDONLY);
    size_t got = 0;

    if (fd < 0)
        return fd;
    while (got < PATH_MAX) {
        /* Up to the end of a page: the next one may not be there. */
        size_t n = 4096 - (size_t)((address + got) & 4095);
        ssize_t r;

        if (n > PATH_MAX - got)
            n = PATH_MAX - got;
        r = pread(fd, out + got, n, (off_t)(address + got));
        if (r <= 0)
            return -EFAULT;
        if (memchr(out + got, '\0', (size_t)r))
            return out[0] ? 0 : -ENOENT;
        got += (size_t)r;
    }
    return -ENAMETOOLONG;
}

static int open_caller(const struct call *c, struct caller *who) {
    char name[48];
    auto_fd proc = -1;
    int r;

    (void)snprintf(name, sizeof name, "/proc/%d", c->tid);
    proc = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return -errno;
    r = read_status(proc, who);
    if (r == 0)
        r = read_path(proc, c->path, who->path);
    if (r < 0)
        return r;
    if (c->dirfd == AT_FDCWD)
        (void)snprintf(name, sizeof name, "cwd");
    else
        (void)snprintf(name, sizeof name, "fd/%d", c->dirfd);
    who->user_ns = open_proc(proc, "ns/user", O_RDONLY);
    who->mnt_ns = open_proc(proc, "ns/mnt", O_RDONLY);
    who->root = open_proc(proc, "root", O_PATH | O_DIRECTORY);
    who->uid_map = open_proc(proc, "uid_map", O_RDONLY);
    who->gid_map = open_proc(proc, "gid_map", O_RDONLY);
    if (who->user_ns < 0 || who->mnt_ns < 0 || who->root < 0 || who->uid_map < 0 ||
        who->gid_map < 0)
        return -EPERM;
    if (who->path[0] == '/') {
        who->cwd = who->root;
        return 0;
    }
    if (c->dirfd != AT_FDCWD && c->dirfd < 0)
        return -EBADF;
    who->cwd = open_proc(proc, name, O_PATH | O_DIRECTORY);
    if (who->cwd == -ENOENT)
        return -EBADF;
    return who->cwd < 0 ? who->cwd : 0;
}

/* Is the caller in the user namespace of its container, and not in one that was made inside?
 * Capabilities in those are anybody's, and the kernel's mknod counts none of them. The container's
 * is a child of ours, which nobody inside can make. */
static bool is_containers_own(int user_ns) {
    auto_fd parent = ioctl(user_ns, NS_GET_PARENT);
    struct stat theirs, ours;

    return parent >= 0 && fstat(parent, &theirs) == 0 && stat("/proc/self/ns/user", &ours) == 0 &&
           theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/* Is a host id inside the caller's user namespace? */
static bool is_mapped(int map, unsigned id) {
    char text[8192], *p = text;
    ssize_t n = pread(map, text, sizeof text - 1, 0);

    if (n <= 0)
        return false;
    text[n] = '\0';
    while (*p) {
        unsigned long long v[3];
        char *end;

        for (int i = 0; i < 3; i++) {
            v[i] = strtoull(p, &end, 10);
            if (end == p)
                return false;
            p = end;
        }
        if (id >= v[1] && id - v[1] < v[2])
            return true;
        while (*p == '\n' || *p == ' ')
            p++;
    }
    return false;
}

static int set_effective(uint64_t set) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    data[0].effective = data[0].permitted & (uint32_t)set;
    data[1].effective = data[1].permitted & (uint32_t)(set >> 32);
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int open_parent(int from, const char *dir) {
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        /* /proc/self would be this process. */
        .resolve = RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, from, dir, &how, sizeof how);

    return fd < 0 ? -errno : fd;
}

/* In the caller's mount namespace and root now, with its ids. */
static int make_node(const struct call *c, struct caller *who) {
    static const uint64_t dac = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
    char *slash = strrchr(who->path, '/');
    const char *name = slash ? slash + 1 : who->path;
    const char *dir = ".";
    auto_fd parent = -1;
    uint64_t caps = 1u << CAP_MKNOD;
    struct stat st;
    int r;

    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EEXIST; /* what these name is there, or is not ours to tell */
    if (slash) {
        *slash = '\0';
        dir = slash == who->path ? "/" : who->path;
    }
    /* The way there goes by the caller's ids alone: its CAP_DAC_OVERRIDE holds for inodes of its
     * user namespace only, and a look-up in one call cannot ask that of every directory. */
    r = set_effective(caps);
    if (r < 0)
        return r;
    parent = open_parent(who->cwd, dir);
    if (parent < 0)
        return parent;
    if (fstat(parent, &st) < 0)
        return -errno;
    if ((who->caps & dac) && is_mapped(who->uid_map, st.st_uid) &&
        is_mapped(who->gid_map, st.st_gid))
        caps |= who->caps & dac;
    r = set_effective(caps);
    if (r < 0)
        return r;
    (void)umask(who->umask);
    if (mknodat(parent, name, c->mode, makedev(c->major, c->minor)) < 0)
        return -errno;
    return 0;
}

/* Positive: let the call go on into the kernel. */
static int help(int listener, const struct call *c) {
    struct caller who = {
        .user_ns = -1, .mnt_ns = -1, .root = -1, .cwd = -1, .uid_map = -1, .gid_map = -1};
    int r = open_caller(c, &who);

    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->id) < 0)
        return -ESRCH; /* nobody waits for the answer */
    if (r == -EFAULT || r == -ENAMETOOLONG || r == -ENOENT || r == -EBADF || r == -ENOTDIR)
        return r;
    if (r < 0 || !(who.caps & (1u << CAP_MKNOD)) || !is_containers_own(who.user_ns))
        return 1;
    if (!is_mapped(who.uid_map, who.fsuid) || !is_mapped(who.gid_map, who.fsgid))
        return 1;
    if (setns(who.mnt_ns, CLONE_NEWNS) < 0 || fchdir(who.root) < 0 || chroot(".") < 0 ||
        fchdir(who.cwd) < 0)
        return 1;
    /* No group of the host's root counts, and from here on files are the caller's. */
    if (syscall(SYS_setgroups, 0, NULL) < 0)
        return 1;
    (void)syscall(SYS_setfsgid, who.fsgid);
    (void)syscall(SYS_setfsuid, who.fsuid);
    /* These two cannot fail visibly; asking with an invalid id tells. */
    if ((uid_t)syscall(SYS_setfsuid, -1) != who.fsuid ||
        (gid_t)syscall(SYS_setfsgid, -1) != who.fsgid)
        return 1;
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->id) < 0)
        return -ESRCH;
    return make_node(c, &who);
}

static _Noreturn void helper_main(int listener, const struct call *c) {
    int r;

    (void)signal(SIGALRM, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)alarm(HELPER_SECONDS); /* a file system of the container's may never answer */
    r = help(listener, c);
    if (r > 0)
        answer(listener, c->id, 0, true);
    else
        answer(listener, c->id, r, false);
    _exit(0);
}

/* ---- monitor -------------------------------------------------------------------------------- */

int mknod_serve(struct mknod_server *s) {
    union {
        struct seccomp_notif n;
        char room[512]; /* the kernel's struct may be larger than the one compiled in */
    } q = {0};
    struct mknod_helper *h = NULL;
    struct call c = {0};
    struct clone_args args = {.flags = CLONE_PIDFD, .exit_signal = SIGCHLD};
    int pidfd = -1;
    long pid;

    for (size_t i = 0; i < MKNOD_HELPERS_MAX && !h; i++)
        if (s->helpers[i].pid == 0)
            h = &s->helpers[i];
    if (!h || s->listener < 0)
        return -EAGAIN;
    if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &q) < 0) {
        /* ENOENT: the caller was killed between poll and here. */
        if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
            return -EAGAIN;
        return -ENOTCONN;
    }
    if (!call_read(&q.n, &c) || !is_served(s, &c)) {
        answer(s->listener, q.n.id, 0, true);
        return 0;
    }
    args.pidfd = (uint64_t)(uintptr_t)&pidfd;
    pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        helper_main(s->listener, &c);
    if (pid < 0) {
        answer(s->listener, c.id, -EPERM, false);
        return 0;
    }
    *h = (struct mknod_helper){.pid = (pid_t)pid, .pidfd = pidfd, .id = c.id};
    return 0;
}

void mknod_reap(struct mknod_server *s) {
    for (size_t i = 0; i < MKNOD_HELPERS_MAX; i++) {
        struct mknod_helper *h = &s->helpers[i];
        int status = 0;

        if (h->pid == 0 || waitpid(h->pid, &status, WNOHANG) != h->pid)
            continue;
        if (!WIFEXITED(status))
            answer(s->listener, h->id, -EPERM, false);
        fd_close(h->pidfd);
        *h = (struct mknod_helper){.pidfd = -1};
    }
}
