/* SPDX-License-Identifier: Apache-2.0 */
/* Containers for real (box.h): what they see, and what their starts say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "box.h"
#include "monitor/protocol.h"
#include "runtime/rootfs.h"
#include "runtime/spawn_client.h"
#include "sys/caps.h"
#include "sys/fdpass.h"
#include "sys/procfd.h"

#define TASK                                                                                       \
    "failed to create task for container: failed to create shim task: OCI runtime create failed: " \
    "runc create failed: unable to start container process: "

/* ---- the tests ----------------------------------------------------------------------------- */

static void root_is_nobody_outside(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true, "/bin/probe|ids|pid|cwd|fds|cat=/proc/self/uid_map|write=/made|stat=/made");
    box_run(&b);
    assert_string_equal(buf_str(&b.out),
                        "0:0 0\n1 0\n/\n0 1 2 \n"
                        "         0 1700000000      65536\nwritten\n/made 100644 0:0\n");
    auto_free char *made = xasprintf("%s/made", b.req.rootfs.upper);
    struct stat st;
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_uid, 0); /* layers stay unshifted */
    box_done(&b);
}

static void hosts_user_namespace(void **state) {
    (void)state;
    struct box b;
    box_init(&b, false, "/bin/probe|ids|fds|status=CapEff|status=CapBnd|status=CapInh|exit=7");
    box_run(&b);
    assert_string_equal(buf_str(&b.out),
                        "0:0 0\n0 1 2 \nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n"
                        "CapInh:\t0000000000000000\n");
    assert_int_equal(b.status, 7);
    box_done(&b);
}

static void users_come_from_the_image(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true, "/bin/probe|ids|env|status=CapEff|status=CapPrm|write=/dev/stdout");
    str_set(&b.req.user, "app");
    strv_add(&b.req.extra_groups, "77");
    /* The last: /dev/stdout can be opened again by the user. */
    expect_output(&b, "1000:1001 50,77,1001\nPATH=/sbin:/bin\nHOME=/home/app\n"
                      "CapEff:\t0000000000000000\nCapPrm:\t0000000000000000\nxwritten\n");
    box_init(&b, true, "/bin/probe");
    str_set(&b.req.user, "nobody");
    expect_error(&b, "unable to find user nobody: no matching entries in passwd file");
}

static void devices_are_the_containers_own(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true,
             "/bin/probe|stat=/dev/null|stat=/dev/tty|stat=/dev/ptmx|write=/dev/null|"
             "write=/dev/full|stat=/dev/shm");
    expect_output(&b, "/dev/null 20666 0:0 1:3\n/dev/tty 20666 0:0 5:0\n/dev/ptmx 120777 0:0\n"
                      "written\nENOSPC\n/dev/shm 41777 0:0\n");
}

static void proc_is_masked(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true,
             "/bin/probe|cat=/proc/keys|cat=/proc/sys/kernel/hostname|"
             "cat=/proc/sys/net/ipv4/ping_group_range");
    expect_output(&b, "box\n0\t65535\n");
    box_init(&b, false,
             "/bin/probe|write=/proc/sys/kernel/hostname|"
             "cat=/proc/sys/net/ipv4/ping_group_range");
    expect_output(&b, "EROFS\n0\t2147483647\n");
}

static void missing_programs_have_dockers_words(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true, "nosuch");
    expect_error(&b, TASK "exec: \"nosuch\": executable file not found in $PATH: unknown");
    box_init(&b, true, "/nosuch");
    expect_error(&b, TASK "exec: \"/nosuch\": stat /nosuch: no such file or directory: unknown");
    box_init(&b, true, "/etc/passwd");
    expect_error(&b, TASK "exec: \"/etc/passwd\": permission denied: unknown");
    box_init(&b, true, "/etc");
    expect_error(&b, TASK "exec: \"/etc\": permission denied: unknown");
    box_init(&b, true, "/bin/text");
    box_run(&b);
    assert_true(b.started);
    assert_int_equal(b.status, 255);
    assert_string_equal(buf_str(&b.out), "exec /bin/text: exec format error\n");
    box_done(&b);
}

static void binds_keep_their_owners(void **state) {
    (void)state;
    run_command("rm -f %s/bind/*; echo hello > %s/bind/file", work, work);
    for (int userns = 0; userns < 2; userns++) {
        struct box b;
        auto_free char *source = xasprintf("%s/bind", work);
        auto_free char *file = xasprintf("%s/bind/file", work);
        box_init(&b, userns,
                 "/bin/probe|stat=/data/file|write=/data/new|cat=/etc/hosts|write=/etc/hosts|"
                 "write=/data/file");
        oci_spec_add_mount(&b.req.spec, "/data", "bind", source, "rbind,rprivate");
        oci_spec_add_mount(&b.req.spec, "/etc/hosts", "bind", file, "rbind,ro");
        expect_output(&b, "/data/file 100644 0:0\nwritten\nhello\nEROFS\nwritten\n");
        auto_free char *made = xasprintf("%s/bind/new", work);
        struct stat st;
        assert_int_equal(stat(made, &st), 0);
        assert_int_equal(st.st_uid, 0);
        run_command("rm %s; echo hello > %s", made, file);
    }
}

static void binds_of_the_wrong_kind_are_told(void **state) {
    (void)state;
    struct box b;
    auto_free char *file = xasprintf("%s/bind/file", work);
    run_command("echo hello > %s", file);
    box_init(&b, true, "/bin/probe");
    oci_spec_add_mount(&b.req.spec, "/tmp", "bind", file, "rbind");
    auto_free char *want = xasprintf(
        TASK "error during container init: error mounting \"%s\" to rootfs at \"/tmp\": "
             "mount %s:/tmp: not a directory: unknown: Are you trying to mount a directory "
             "onto a file (or vice-versa)? Check if the specified host path exists and is "
             "the expected type",
        file, file);
    expect_error(&b, want);
    box_init(&b, true, "/bin/probe");
    oci_spec_add_mount(&b.req.spec, "/proc/sys", "bind", work, "rbind");
    auto_free char *inside =
        xasprintf(TASK "error mounting \"%s\" to rootfs at \"/proc/sys\": \"/proc/sys\" cannot be "
                       "mounted because it is inside /proc: unknown",
                  work);
    expect_error(&b, inside);
}

static void terminals_are_the_containers(void **state) {
    (void)state;
    for (int userns = 0; userns < 2; userns++) {
        struct box b;
        box_init(&b, userns, "/bin/probe|tty|stat=/dev/console|stat=/dev/pts/0");
        b.req.spec.process.terminal = true;
        struct oci_box *size = xnew(struct oci_box);
        *size = (struct oci_box){.height = 31, .width = 97};
        b.req.spec.process.console_size = size;
        str_set(&b.req.user, "app");
        expect_output(&b, "tty 1 1 1 31x97\r\n/dev/console 20620 1000:5 136:0\r\n"
                          "/dev/pts/0 20620 1000:5 136:0\r\n");
    }
}

static void older_kernels_mount_by_name(void **state) {
    (void)state;
    struct spawner usual = spawner;
    auto_err e = ERR_INIT;
    assert_int_equal(setenv(ENV_OLD_OVERLAY, "1", 1), 0);
    assert_int_equal(spawner_start(getenv("FENCE_SPAWNER"), &spawner, &e), 0);
    assert_int_equal(unsetenv(ENV_OLD_OVERLAY), 0);
    for (int userns = 0; userns < 2; userns++) {
        struct box b;
        box_init(&b, userns, "/bin/probe|ids|write=/made|stat=/made|stat=/bin/probe");
        expect_output(&b, "0:0 0\nwritten\n/made 100644 0:0\n/bin/probe 100755 0:0\n");
    }
    spawner_stop(&spawner);
    spawner = usual;
}

static void volatile_mounts_follow_each_other(void **state) {
    (void)state;
    struct box first, second;
    box_init(&first, true, "/bin/probe|write=/made");
    first.req.rootfs.is_volatile = true;
    box_init(&second, true, "/bin/probe|cat=/made");
    second.req.rootfs.is_volatile = true;
    str_set(&second.req.rootfs.upper, first.req.rootfs.upper);
    str_set(&second.req.rootfs.work, first.req.rootfs.work);
    expect_output(&first, "written\n");
    expect_output(&second, "x");
}

static void read_only_root(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true, "/bin/probe|write=/made|write=/dev/shm/x|write=/run/x");
    b.req.spec.root.readonly = true;
    oci_spec_add_mount(&b.req.spec, "/run", "tmpfs", "tmpfs", "nosuid,nodev,size=1m,mode=1777");
    expect_output(&b, "EROFS\nwritten\nwritten\n");
}

/* What a hostile image may bring: nothing of it reaches the host. */
static void hostile_images_do_no_harm(void **state) {
    (void)state;
    struct box b;
    auto_free char *victim = xasprintf("%s/victim", work);
    run_command("mkdir -p %s", victim);
    /* A working directory that is a link to a descriptor of ours. */
    for (int fd = 3; fd < 12; fd++) {
        auto_free char *cwd = xasprintf("/proc/self/fd/%d", fd);
        box_init(&b, true, "/bin/probe|cwd");
        str_set(&b.req.spec.process.cwd, cwd);
        box_run(&b);
        assert_non_null(b.error);
        box_done(&b);
    }
    /* Mount targets behind links that climb out. */
    box_init(&b, true, "/bin/probe|stat=/target");
    run_command("ln -s ../../../../../../../..%s/made %s/link", victim, b.req.rootfs.upper);
    oci_spec_add_mount(&b.req.spec, "/link/x", "tmpfs", "tmpfs", "size=1m");
    box_run(&b);
    if (b.error)
        print_message("error: %s\n", b.error);
    assert_null(b.error);
    box_done(&b);
    auto_free char *made = xasprintf("%s/made", victim);
    assert_int_not_equal(access(made, F_OK), 0);
    /* /proc and /dev as links. */
    box_init(&b, true, "/bin/probe|ids");
    run_command("ln -s /tmp %s/proc", b.req.rootfs.upper);
    box_run(&b);
    assert_non_null(b.error);
    box_done(&b);
    box_init(&b, true, "/bin/probe|stat=/dev/null");
    run_command("ln -s /etc %s/dev", b.req.rootfs.upper);
    box_run(&b);
    assert_null(b.error);
    assert_string_equal(buf_str(&b.out), "/dev/null 20666 0:0 1:3\n");
    box_done(&b);
    /* A mount that a link leads into /proc. */
    box_init(&b, true, "/bin/probe");
    run_command("ln -s /proc/self %s/evil", b.req.rootfs.upper);
    oci_spec_add_mount(&b.req.spec, "/evil/attr", "tmpfs", "tmpfs", "size=1m");
    box_run(&b);
    assert_non_null(b.error);
    box_done(&b);
    /* A user database that never ends. */
    box_init(&b, true, "/bin/probe|ids");
    run_command("mkdir %s/etc && mkfifo %s/etc/passwd", b.req.rootfs.upper, b.req.rootfs.upper);
    box_run(&b);
    assert_non_null(b.error);
    box_done(&b);
    /* A program that is our own one. */
    box_init(&b, false, "/proc/self/exe|x");
    box_run(&b);
    assert_true(b.error || b.status != 0);
    box_done(&b);
}

static void wait_gone(const char *path) {
    for (int i = 0; i < 200 && access(path, F_OK) == 0; i++)
        usleep(10000);
}

static void execs_join_everything(void **state) {
    (void)state;
    for (int userns = 0; userns < 2; userns++) {
        struct box b, x;
        box_init(&b, userns, "/bin/probe|sleep=30");
        box_send(&b);
        box_wait(&b, true);
        assert_true(b.started);
        auto_fd pidfd = pidfd_open_pid(b.pid);
        static const struct {
            const char *args, *user, *out, *error;
            bool terminal;
        } cases[] = {
            {"/bin/probe|ids|cat=/proc/1/comm|cat=/proc/sys/kernel/hostname|fds|status=CapEff", "",
             "0:0 0\nprobe\nbox\n0 1 2 \nCapEff:\t00000000a80425fb\n", NULL, false},
            {"/bin/probe|ids|write=/dev/stdout", "app", "1000:1001 50,1001\nxwritten\n", NULL,
             false},
            {"/bin/probe|tty", "app", "tty 1 1 1 0x0\r\n", NULL, true},
            {"nosuch", "", NULL,
             "OCI runtime exec failed: exec failed: unable to start container process: exec: "
             "\"nosuch\": executable file not found in $PATH: unknown",
             false},
            {"/bin/probe", "nobody", NULL,
             "unable to find user nobody: no matching entries in passwd file", false},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            box_init(&x, userns, cases[i].args);
            str_set(&x.req.op, "exec");
            x.req.exec_id = xstrdup("exec");
            str_set(&x.req.user, cases[i].user);
            str_set(&x.req.spec.lin.cgroups_path, b.req.spec.lin.cgroups_path);
            x.req.spec.process.terminal = cases[i].terminal;
            x.joins.exec = pidfd;
            box_run(&x);
            if (cases[i].error) {
                assert_non_null(x.error);
                assert_string_equal(x.error, cases[i].error);
            } else {
                assert_string_equal(str_or_empty(x.error), "");
                assert_string_equal(buf_str(&x.out), cases[i].out);
                assert_int_equal(x.status, 0);
            }
            box_done(&x);
        }
        assert_int_equal(pidfd_signal(pidfd, SIGKILL), 0);
        box_wait(&b, false);
        assert_int_equal(b.status, 137);
        assert_no_cgroup(&b);
        box_done(&b);
    }
}

static void join(struct box *b, const char *type, int pidfd) {
    struct oci_namespace *ns = oci_spec_namespace(&b->req.spec, type);
    if (!ns)
        return;
    str_set(&ns->path, "joined"); /* the descriptor says which */
    int *slot = str_eq(type, "network") ? &b->joins.net
                : str_eq(type, "ipc")   ? &b->joins.ipc
                : str_eq(type, "pid")   ? &b->joins.pid
                                        : NULL;
    if (slot)
        *slot = pidfd;
}

static void namespaces_are_shared(void **state) {
    (void)state;
    struct box target, b;
    box_init(&target, true, "/bin/probe|sleep=30");
    box_send(&target);
    box_wait(&target, true);
    assert_true(target.started);
    auto_fd pidfd = pidfd_open_pid(target.pid);
    /* Same user namespace; the target is pid 1. */
    box_init(&b, true, "/bin/probe|ids|cat=/proc/1/comm|cat=/proc/self/uid_map|write=/sys/x");
    join(&b, "user", -1);
    join(&b, "network", pidfd);
    join(&b, "ipc", pidfd);
    join(&b, "pid", pidfd);
    expect_output(&b, "0:0 0\nprobe\n         0 1700000000      65536\nEROFS\n");
    /* The host's user namespace may look into another's network. */
    box_init(&b, false, "/bin/probe|ids");
    join(&b, "network", pidfd);
    expect_output(&b, "0:0 0\n");
    /* Another one may not. */
    box_init(&b, true, "/bin/probe|ids");
    join(&b, "network", pidfd);
    expect_error(&b, TASK "cannot join namespaces of a container that has another user namespace: "
                          "unknown");
    assert_int_equal(pidfd_signal(pidfd, SIGKILL), 0);
    box_wait(&target, false);
    auto_free char *group = xasprintf("/sys/fs/cgroup/memory%s", target.req.spec.lin.cgroups_path);
    wait_gone(group);
    box_done(&target);
}

static void spawner_survives_nonsense(void **state) {
    (void)state;
    struct spawn_msg m = {.magic = 1};
    assert_int_equal(fdpass_send(spawner.control, &m, sizeof(m), NULL, 0), 0);
    assert_int_equal(fdpass_send(spawner.control, "x", 1, NULL, 0), 0);
    int conn[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, conn), 0);
    m = (struct spawn_msg){.magic = SPAWN_MAGIC, .version = SPAWN_VERSION, .join_net = 1};
    int fds[2] = {conn[1], conn[1]};
    assert_int_equal(fdpass_send(spawner.control, &m, sizeof(m), fds, 2), 0);
    close(conn[1]);
    char data[64];
    assert_int_equal(read(conn[0], data, sizeof(data)), 0); /* closed, no answer */
    close(conn[0]);
    struct box b;
    box_init(&b, true, "/bin/probe|ids");
    expect_output(&b, "0:0 0\n");
}

int main(void) {
    if (!box_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_is_nobody_outside),
        cmocka_unit_test(hosts_user_namespace),
        cmocka_unit_test(users_come_from_the_image),
        cmocka_unit_test(devices_are_the_containers_own),
        cmocka_unit_test(proc_is_masked),
        cmocka_unit_test(missing_programs_have_dockers_words),
        cmocka_unit_test(binds_keep_their_owners),
        cmocka_unit_test(binds_of_the_wrong_kind_are_told),
        cmocka_unit_test(terminals_are_the_containers),
        cmocka_unit_test(older_kernels_mount_by_name),
        cmocka_unit_test(volatile_mounts_follow_each_other),
        cmocka_unit_test(read_only_root),
        cmocka_unit_test(hostile_images_do_no_harm),
        cmocka_unit_test(execs_join_everything),
        cmocka_unit_test(namespaces_are_shared),
        cmocka_unit_test(spawner_survives_nonsense),
    };
    return cmocka_run_group_tests(tests, box_group_setup, box_group_teardown);
}
