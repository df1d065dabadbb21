/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a root that somebody else controls, descriptor passing, processes, parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "sys/clone.h"
#include "sys/fdpass.h"
#include "sys/link.h"
#include "sys/mountinfo.h"
#include "sys/netlink.h"
#include "sys/path.h"
#include "sys/procfd.h"
#include "sys/route.h"

#define SAME ((uid_t)-1)

/* A directory with a "root" in it and a secret beside that root. */
struct tree {
    char dir[64];
    int outside, root;
};

static int tree_make(void **state) {
    struct tree *t = xnew(struct tree);
    strcpy(t->dir, "/tmp/fence-test-sys-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->outside = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(t->outside, "root", 0755), 0);
    assert_int_equal(mkdirat(t->outside, "secret", 0755), 0);
    t->root = openat(t->outside, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = t;
    return 0;
}

static int tree_remove(void **state) {
    struct tree *t = *state;
    auto_free char *command = xasprintf("rm -rf %s", t->dir);
    close(t->root);
    close(t->outside);
    int r = system(command);
    free(t);
    return r;
}

static bool exists(int dir, const char *path) {
    struct stat st;
    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void links_stay_inside(void **state) {
    struct tree *t = *state;
    assert_int_equal(symlinkat("../../secret", t->root, "up"), 0);
    auto_free char *absolute = xasprintf("%s/secret", t->dir);
    assert_int_equal(symlinkat(absolute, t->root, "abs"), 0);
    assert_int_equal(path_open_in(t->root, "/up", O_PATH, 0), -ENOENT);
    assert_int_equal(path_open_in(t->root, "abs", O_PATH, 0), -ENOENT);
    /* ".." above the root is the root. */
    auto_fd fd = path_open_in(t->root, "../../..", O_PATH, 0);
    struct stat a, b;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &a), 0);
    assert_int_equal(fstat(t->root, &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
}

static void magic_links_are_refused(void **state) {
    (void)state;
    auto_fd proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(path_open_in(proc, "self/fd/0", O_PATH, 0), -ELOOP);
    assert_int_equal(path_open_in(proc, "self/root", O_PATH, 0), -ELOOP);
}

static void mkdirs_makes_what_is_missing(void **state) {
    struct tree *t = *state;
    auto_fd fd = path_mkdirs_in(t->root, "//a/./b/../c/d", 0751, SAME, SAME);
    assert_true(fd >= 0);
    assert_true(exists(t->root, "a/b"));
    struct stat st;
    assert_int_equal(fstatat(t->root, "a/c/d", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    auto_fd again = path_mkdirs_in(t->root, "a/c/d", 0700, SAME, SAME);
    assert_true(again >= 0);
    assert_int_equal(fstatat(t->root, "a/c/d", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
}

static void mkdirs_follows_dangling_links_inside(void **state) {
    struct tree *t = *state;
    assert_int_equal(symlinkat("/x/y", t->root, "run"), 0);
    assert_int_equal(symlinkat("../../../../secret/evil", t->root, "out"), 0);
    auto_fd fd = path_mkdirs_in(t->root, "/run/z", 0755, SAME, SAME);
    assert_true(fd >= 0);
    assert_true(exists(t->root, "x/y/z"));
    auto_fd evil = path_mkdirs_in(t->root, "/out", 0755, SAME, SAME);
    assert_true(evil >= 0);
    assert_true(exists(t->root, "secret/evil"));
    assert_false(exists(t->outside, "secret/evil"));
}

static void mkdirs_ends_in_loops(void **state) {
    struct tree *t = *state;
    assert_int_equal(symlinkat("b", t->root, "a"), 0);
    assert_int_equal(symlinkat("a", t->root, "b"), 0);
    assert_int_equal(path_mkdirs_in(t->root, "a/c", 0755, SAME, SAME), -ELOOP);
}

static void mkdirs_refuses_a_file_on_the_way(void **state) {
    struct tree *t = *state;
    auto_fd file = path_mkfile_in(t->root, "etc/hosts", 0644, SAME, SAME);
    assert_true(file >= 0);
    assert_int_equal(path_mkdirs_in(t->root, "etc/hosts/x", 0755, SAME, SAME), -ENOTDIR);
    struct stat st;
    assert_int_equal(fstatat(t->root, "etc/hosts", &st, 0), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0644);
}

static void mkdirs_sets_the_owner(void **state) {
    struct tree *t = *state;
    if (geteuid() != 0)
        skip();
    auto_fd fd = path_mkdirs_in(t->root, "p/q", 0755, 1234, 4321);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstatat(t->root, "p", &st, 0), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(st.st_gid, 4321);
}

static void long_names_are_refused(void **state) {
    struct tree *t = *state;
    char name[5000];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(path_mkdirs_in(t->root, name, 0755, SAME, SAME), -ENAMETOOLONG);
    name[300] = '\0';
    assert_int_equal(path_mkdirs_in(t->root, name, 0755, SAME, SAME), -ENAMETOOLONG);
}

static void descriptors_pass(void **state) {
    (void)state;
    int pair[2], pipe_fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    assert_int_equal(fdpass_send(pair[0], "hello", 5, pipe_fds, 2), 0);
    char data[16];
    int fds[4];
    size_t n = 4;
    assert_int_equal(fdpass_recv(pair[1], data, sizeof(data), fds, &n), 5);
    assert_int_equal(n, 2);
    assert_memory_equal(data, "hello", 5);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    close(fds[0]);
    close(fds[1]);
    /* More than there is room for: refused, and nothing is left open. */
    int next = dup(pair[0]);
    close(next);
    assert_int_equal(fdpass_send(pair[0], "x", 1, pipe_fds, 2), 0);
    n = 1;
    assert_int_equal(fdpass_recv(pair[1], data, sizeof(data), fds, &n), -EMSGSIZE);
    int after = dup(pair[0]);
    assert_int_equal(after, next);
    close(after);
    assert_int_equal(fdpass_send(pair[0], "long message", 12, NULL, 0), 0);
    n = 1;
    assert_int_equal(fdpass_recv(pair[1], data, 4, fds, &n), -EMSGSIZE);
    close(pair[0]);
    n = 1;
    assert_int_equal(fdpass_recv(pair[1], data, sizeof(data), fds, &n), 0);
    close(pair[1]);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void processes_by_descriptor(void **state) {
    (void)state;
    struct clone_request c = {.flags = CLONE_NEWUTS, .exit_signal = SIGCHLD, .cgroup_fd = -1};
    int pidfd = -1;
    pid_t pid = sys_clone(&c, &pidfd);
    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0 && pidfd >= 0);
    pid_t told;
    assert_int_equal(pidfd_pid(pidfd, &told), 0);
    assert_int_equal(told, pid);
    int64_t mine, theirs;
    assert_int_equal(proc_start_time(getpid(), &mine), 0);
    assert_int_equal(proc_start_time(pid, &theirs), 0);
    assert_true(mine > 0 && theirs >= mine);
    assert_false(proc_is_exiting(pid));
    struct ns_ids ours, its;
    assert_int_equal(ns_ids_read(-1, &ours), 0);
    assert_int_equal(ns_ids_read(pidfd, &its), 0);
    assert_int_equal(ns_ids_differ(&ours, &its), CLONE_NEWUTS);
    assert_int_equal(pidfd_wait(pidfd, WEXITED | WNOHANG, NULL), 0);
    assert_int_equal(pidfd_signal(pidfd, SIGKILL), 0);
    siginfo_t si;
    assert_int_equal(pidfd_wait(pidfd, WEXITED | WNOWAIT, &si), 1);
    assert_true(proc_is_exiting(pid));
    assert_int_equal(pidfd_wait(pidfd, WEXITED, &si), 1);
    assert_int_equal(si.si_code, CLD_KILLED);
    assert_int_equal(si.si_status, SIGKILL);
    assert_int_equal(pidfd_signal(pidfd, 0), -ESRCH);
    assert_int_equal(pidfd_pid(pidfd, &told), -ESRCH);
    assert_int_equal(proc_start_time(pid, &theirs), -ESRCH);
    assert_int_equal(ns_open(pidfd, "net"), -ESRCH);
    assert_int_equal(ns_ids_read(pidfd, &its), -ESRCH);
    close(pidfd);
}

static int unshare_and_clone(void *arg) {
    pid_t *pids = arg;
    pids[0] = getpid();
    if (unshare(CLONE_NEWUTS) < 0 || sethostname("beside", 6) < 0 || dup2(0, 77) != 77)
        return 1;
    struct clone_request c = {.flags = CLONE_PARENT, .cgroup_fd = -1};
    pids[1] = sys_clone(&c, NULL);
    if (pids[1] == 0) {
        char name[16] = "";
        _exit(gethostname(name, sizeof(name)) < 0 || strcmp(name, "beside") != 0);
    }
    return 0;
}

/* What runs beside has memory and descriptors in common with us, but not its namespaces. */
static void namespaces_of_one_beside(void **state) {
    (void)state;
    pid_t pids[2] = {0};
    char before[65] = "", after[65] = "";
    assert_int_equal(gethostname(before, sizeof(before)), 0);
    assert_int_equal(sys_call_beside(unshare_and_clone, pids), 0);
    assert_int_equal(gethostname(after, sizeof(after)), 0);
    assert_string_equal(before, after);
    assert_true(pids[0] > 0 && pids[0] != getpid());
    assert_true(pids[1] > 0);
    assert_int_equal(close(77), 0);
    int status = -1;
    assert_int_equal(waitpid(pids[1], &status, 0), pids[1]); /* our child, not that one's */
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(pids[0], &status, WNOHANG), -1); /* reaped */
}

static void mountinfo_is_parsed(void **state) {
    (void)state;
    auto_mountinfo m = {0};
    assert_int_equal(
        mountinfo_parse("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw\n"
                        "37 36 0:5 / /proc rw shared:4 master:2 - proc proc rw\n"
                        "38 36 0:5 / /sys rw - sysfs sysfs rw",
                        &m),
        0);
    assert_int_equal(m.count, 3);
    assert_string_equal(m.entries[0].mount_point, "/mnt 2");
    assert_string_equal(m.entries[0].tags, "master:1");
    assert_string_equal(m.entries[1].tags, "shared:4 master:2");
    assert_string_equal(m.entries[2].tags, "");
    assert_string_equal(mountinfo_by_id(&m, 37)->fs_type, "proc");
    assert_null(mountinfo_by_id(&m, 1));
    auto_mountinfo bad = {0};
    assert_int_equal(mountinfo_parse("36 35 98:0\n", &bad), -EINVAL);
    assert_int_equal(bad.count, 0);
}

static void addresses_are_checked(void **state) {
    (void)state;
    unsigned char mac[6];
    assert_int_equal(mac_parse("02:42:ac:11:00:fF", mac), 0);
    assert_int_equal(mac[0], 2);
    assert_int_equal(mac[5], 255);
    const char *const bad[] = {"",
                               "02:42:ac:11:00",
                               "02:42:ac:11:00:02:",
                               "0g:42:ac:11:00:02",
                               "2:42:ac:11:00:02",
                               "02-42-ac-11-00-02"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(mac_parse(bad[i], mac), -EINVAL);
    assert_int_equal(link_add_address(-1, 1, "1.2.3.4"), -EINVAL);
    assert_int_equal(link_add_address(-1, 1, "1.2.3.4/33"), -EINVAL);
    assert_int_equal(link_add_address(-1, 1, "1.2.3.x/3"), -EINVAL);
    struct route route;
    assert_int_equal(route_parse(NULL, "nonsense", &route), -EINVAL);
    unsigned index;
    assert_int_equal(link_index("lo", &index), 0);
    assert_int_equal(link_index("a-name-that-is-far-too-long", &index), -ENODEV);
}

static void netlink_messages_are_bounded(void **state) {
    (void)state;
    struct nl_msg m;
    char big[NL_MSG_MAX] = {0};
    nl_init(&m, 16, 0);
    nl_put(&m, 1, big, 4000);
    assert_false(m.failed);
    nl_put(&m, 1, big, 200);
    assert_true(m.failed);
    assert_int_equal(nl_talk(-1, &m), -EMSGSIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(links_stay_inside, tree_make, tree_remove),
        cmocka_unit_test(magic_links_are_refused),
        cmocka_unit_test_setup_teardown(mkdirs_makes_what_is_missing, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(mkdirs_follows_dangling_links_inside, tree_make,
                                        tree_remove),
        cmocka_unit_test_setup_teardown(mkdirs_ends_in_loops, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(mkdirs_refuses_a_file_on_the_way, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(mkdirs_sets_the_owner, tree_make, tree_remove),
        cmocka_unit_test_setup_teardown(long_names_are_refused, tree_make, tree_remove),
        cmocka_unit_test(descriptors_pass),
        cmocka_unit_test(processes_by_descriptor),
        cmocka_unit_test(namespaces_of_one_beside),
        cmocka_unit_test(mountinfo_is_parsed),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(netlink_messages_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
