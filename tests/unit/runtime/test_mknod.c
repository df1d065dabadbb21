/* SPDX-License-Identifier: Apache-2.0 */

/* The mknod service: a process in a user namespace of its own asks, this one serves. Root only. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "runtime/mknod.h"
#include "runtime/seccomp.h"

#define BASE 268500992u

static void test_lists(void **state) {
    struct mknod_server s;

    (void)state;
    mknod_server_init(&s, -1);
    assert_true(mknod_is_harmless(1, 3));
    assert_true(mknod_is_harmless(5, 1));
    assert_false(mknod_is_harmless(1, 1));
    assert_false(mknod_is_harmless(5, 2));
    assert_int_equal(mknod_server_allow_list(&s, "10:200,136:*"), 0);
    assert_int_equal(s.allow_count, 2);
    assert_int_equal(s.allow[1].minor, MKNOD_ANY);
    assert_int_equal(mknod_server_allow_list(&s, ""), 0);
    assert_int_equal(mknod_server_allow_list(&s, "10"), -EINVAL);
    assert_int_equal(mknod_server_allow_list(&s, "a:1"), -EINVAL);
    assert_int_equal(mknod_server_allow_list(&s, "1:-1"), -EINVAL);
    assert_int_equal(mknod_server_allow_list(&s, "1:4294967295"), -EINVAL);
    for (size_t i = s.allow_count; i < MKNOD_ALLOW_MAX; i++)
        assert_int_equal(mknod_server_allow(&s, 1, 1), 0);
    assert_int_equal(mknod_server_allow(&s, 1, 1), -ENOSPC);
    assert_false(mknod_server_ready(&s));
    assert_int_equal(mknod_serve(&s), -EAGAIN);
    mknod_server_done(&s);
}

/* What the process in the namespace does, by number: its exit status is that of the first step
 * with another result than it should have, or 0. */
#define STEP(n, call, want)                                                                        \
    do {                                                                                           \
        errno = 0;                                                                                 \
        if (((call) == 0 ? 0 : errno) != (want))                                                   \
            _exit(n);                                                                              \
    } while (0)

static void inside(const char *dir) {
    char path[300], big[5000];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof path, "%s/null", dir);
    (void)umask(027);
    STEP(1, mknod(path, S_IFCHR | 0666, makedev(1, 3)), 0);
    STEP(2, stat(path, &st), 0);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3) || (st.st_mode & 07777) != 0640 ||
        st.st_uid != 0 || st.st_gid != 0)
        _exit(3);
    fd = open(path, O_RDWR);
    if (fd < 0 || write(fd, "x", 1) != 1)
        _exit(4);
    close(fd);
    STEP(5, mknod(path, S_IFCHR | 0666, makedev(1, 3)), EEXIST);
    STEP(6, chdir(dir), 0);
    STEP(7, mknod("zero", S_IFCHR | 0600, makedev(1, 5)), 0);
    STEP(8, mkdir("sub", 0755), 0);
    fd = open("sub", O_PATH | O_DIRECTORY);
    STEP(9, mknodat(fd, "full", S_IFCHR | 0600, makedev(1, 7)), 0);
    STEP(10, access("sub/full", F_OK), 0);
    STEP(11, mknodat(fd, "../tty", S_IFCHR | 0600, makedev(5, 0)), 0);
    STEP(12, mknod("sub/../console", S_IFCHR | 0600, makedev(5, 1)), 0);
    /* Not on the list: the kernel's own answer. */
    STEP(13, mknod("mem", S_IFCHR | 0600, makedev(1, 1)), EPERM);
    STEP(14, mknod("sda", S_IFBLK | 0600, makedev(8, 0)), EPERM);
    STEP(15, mknod("null-block", S_IFBLK | 0600, makedev(1, 3)), EPERM);
    /* Allowed by the container's device list. */
    STEP(16, mknod("tun", S_IFCHR | 0600, makedev(10, 200)), 0);
    STEP(17, mknod("fifo", S_IFIFO | 0600, 0), 0);
    STEP(18, mknod("missing/null", S_IFCHR | 0600, makedev(1, 3)), ENOENT);
    STEP(19, mknod("", S_IFCHR | 0600, makedev(1, 3)), ENOENT);
    STEP(20, syscall(SYS_mknodat, AT_FDCWD, 8L, S_IFCHR | 0600, makedev(1, 3)), EFAULT);
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    STEP(21, mknod(big, S_IFCHR | 0600, makedev(1, 3)), ENAMETOOLONG);
    STEP(22, mknodat(999, "x", S_IFCHR | 0600, makedev(1, 3)), EBADF);
    /* A directory of the host's root, and one of another user of the namespace. */
    STEP(23, mknod("/null-fence-test", S_IFCHR | 0600, makedev(1, 3)), EACCES);
    STEP(24, mkdir("other", 0755), 0);
    STEP(25, chown("other", 7, 7), 0);
    STEP(26, mknod("other/null", S_IFCHR | 0600, makedev(1, 3)), 0);
    STEP(27, stat("other/null", &st), 0);
    if (st.st_uid != 0)
        _exit(28);
    /* As another user: its own place only, and without CAP_MKNOD nothing at all. */
    STEP(29, setresgid(7, 7, 7), 0);
    STEP(30, setresuid(7, 7, 7), 0);
    STEP(31, mknod("other/zero", S_IFCHR | 0600, makedev(1, 5)), EPERM);
    _exit(0);
}

static void write_map(pid_t pid, const char *file) {
    char path[64], text[64];
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    (void)snprintf(text, sizeof text, "0 %u 65536", BASE);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void test_serve(void **state) {
    char dir[] = "/tmp/fence-test-mknod-XXXXXX", command[128];
    auto_seccomp_program p = {0};
    struct mknod_server s;
    int up[2], down[2], listener = -1, pidfd, status = 0;
    auto_err e = ERR_INIT;
    char byte = 0;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chown(dir, BASE, BASE), 0);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(seccomp_compile(NULL, SECCOMP_MKNOD_NOTIFY, &p, &e), 0);
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write(up[1], "u", 1) != 1 ||
            read(down[0], &byte, 1) != 1 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
            _exit(100);
        if (seccomp_install(&p, &listener) < 0 ||
            write(up[1], &listener, sizeof listener) != (ssize_t)sizeof listener ||
            read(down[0], &byte, 1) != 1)
            _exit(101);
        close(listener);
        inside(dir);
    }
    assert_int_equal(read(up[0], &byte, 1), 1);
    write_map(pid, "uid_map");
    write_map(pid, "gid_map");
    assert_int_equal(write(down[1], "m", 1), 1);
    assert_int_equal(read(up[0], &listener, sizeof listener), (ssize_t)sizeof listener);
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    listener = (int)syscall(SYS_pidfd_getfd, pidfd, listener, 0);
    assert_true(listener >= 0);
    mknod_server_init(&s, listener);
    assert_int_equal(mknod_server_allow(&s, 10, 200), 0);
    assert_int_equal(write(down[1], "g", 1), 1);
    for (int rounds = 0; rounds < 2000; rounds++) {
        struct pollfd f[2 + MKNOD_HELPERS_MAX] = {
            {.fd = mknod_server_ready(&s) ? s.listener : -1, .events = POLLIN},
            {.fd = pidfd, .events = POLLIN}};

        for (size_t i = 0; i < MKNOD_HELPERS_MAX; i++)
            f[2 + i] = (struct pollfd){.fd = s.helpers[i].pidfd, .events = POLLIN};
        assert_true(poll(f, 2 + MKNOD_HELPERS_MAX, 10000) > 0);
        mknod_reap(&s);
        if (f[0].revents & POLLIN)
            assert_true(mknod_serve(&s) != -ENOTCONN);
        else if (f[1].revents)
            break; /* before Linux 6.11 the listener hangs up only when the process is reaped */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    mknod_server_done(&s);
    close(pidfd);
    close(up[0]);
    close(up[1]);
    close(down[0]);
    close(down[1]);
    assert_int_equal(access("/null-fence-test", F_OK), -1);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_serve),
    };

    return cmocka_run_group_tests_name("mknod", tests, NULL, NULL);
}
