/* SPDX-License-Identifier: Apache-2.0 */
#include "box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "monitor/protocol.h"
#include "sys/caps.h"
#include "sys/fdpass.h"

char work[64];
struct spawner spawner;

void run_command(const char *format, ...) {
    char command[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof(command), format, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static void write_layer(const char *path, const char *text) {
    auto_free char *full = xasprintf("%s/layer/%s", work, path);
    assert_int_equal(io_replace_file_at(AT_FDCWD, full, text, strlen(text), 0644), 0);
}

bool box_possible(void) {
    if (geteuid() == 0 && getenv("FENCE_SPAWNER") && getenv("FENCE_MONITOR") &&
        getenv("FENCE_PROBE"))
        return true;
    fprintf(stderr, "needs root, FENCE_SPAWNER, FENCE_MONITOR and FENCE_PROBE\n");
    return false;
}

int box_group_setup(void **state) {
    (void)state;
    strcpy(work, "/tmp/fence-test-rt-XXXXXX");
    assert_non_null(mkdtemp(work));
    assert_int_equal(chmod(work, 0755), 0);
    run_command("mkdir -p %s/layer/bin %s/layer/etc %s/layer/tmp %s/bind", work, work, work, work);
    run_command("cp %s %s/layer/bin/probe && chmod 755 %s/layer/bin/probe", getenv("FENCE_PROBE"),
                work, work);
    write_layer("etc/passwd", "root:x:0:0::/root:\napp:x:1000:1001::/home/app:\n");
    write_layer("etc/group", "root:x:0:\ndocker:x:50:app\n");
    write_layer("bin/text", "no program");
    run_command("chmod 755 %s/layer/bin/text", work);
    auto_err e = ERR_INIT;
    assert_int_equal(spawner_start(getenv("FENCE_SPAWNER"), &spawner, &e), 0);
    return 0;
}

int box_group_teardown(void **state) {
    (void)state;
    if (!*work)
        return 0;
    spawner_stop(&spawner);
    run_command("rm -rf %s", work);
    /* Every container has removed its own group; the parent is ours. */
    run_command("for d in /sys/fs/cgroup/*/fence-test-rt-%d /sys/fs/cgroup/fence-test-rt-%d; do "
                "[ ! -d $d ] || rmdir $d || exit 1; done",
                (int)getpid(), (int)getpid());
    return 0;
}

static unsigned boxes;

void box_init(struct box *b, bool userns, const char *args) {
    *b = (struct box){.joins = SPAWN_JOINS_NONE, .conn = -1, .client = -1, .status = -1};
    struct rt_request *r = &b->req;
    field_init(&rt_request_table, r);
    unsigned n = ++boxes;
    r->op = xstrdup("create");
    r->id = xasprintf("box%u", n);
    r->state_dir = xasprintf("%s/state%u", work, n);
    r->monitor = xstrdup(getenv("FENCE_MONITOR"));
    strv_take(&r->rootfs.lower, xasprintf("%s/layer", work));
    r->rootfs.upper = xasprintf("%s/c%u/diff", work, n);
    r->rootfs.work = xasprintf("%s/c%u/work", work, n);
    run_command("mkdir -p %s %s %s", r->state_dir, r->rootfs.upper, r->rootfs.work);
    r->user_home = true;
    struct oci_spec *s = &r->spec;
    s->oci_version = xstrdup(OCI_RUNTIME_VERSION);
    s->process.args = str_split(args, '|');
    s->process.cwd = xstrdup("/");
    strv_add(&s->process.env, "PATH=/sbin:/bin");
    s->hostname = xstrdup("box");
    static const char *const namespaces[] = {"mount", "pid", "ipc", "uts", "network", "cgroup"};
    for (size_t i = 0; i < 6; i++)
        oci_spec_add_namespace(s, namespaces[i], NULL);
    if (userns) {
        oci_spec_add_namespace(s, "user", NULL);
        struct oci_id_map map = {0, BASE_ID, 65536};
        *(struct oci_id_map *)field_array_add(&s->lin.uid_mappings, &oci_id_map_table) = map;
        *(struct oci_id_map *)field_array_add(&s->lin.gid_mappings, &oci_id_map_table) = map;
    }
    oci_spec_add_mount(s, "/proc", "proc", "proc", "nosuid,noexec,nodev");
    oci_spec_add_mount(s, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
    oci_spec_add_mount(s, "/dev/pts", "devpts", "devpts",
                       "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
    oci_spec_add_mount(s, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
    oci_spec_add_mount(s, "/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev");
    oci_spec_add_mount(s, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
    oci_spec_add_mount(s, "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=64m");
    s->lin.cgroups_path = xasprintf("/fence-test-rt-%d/box%u", (int)getpid(), n);
    struct oci_capabilities *caps = xnew(struct oci_capabilities);
    field_init(&oci_capabilities_table, caps);
    caps->bounding = lcap_names(LCAP_DEFAULT);
    caps->permitted = lcap_names(LCAP_DEFAULT);
    caps->effective = lcap_names(LCAP_DEFAULT);
    s->process.capabilities = caps;
    strv_add(&s->lin.masked_paths, "/proc/keys");
    strv_add(&s->lin.masked_paths, "/proc/acpi");
    strv_add(&s->lin.readonly_paths, "/proc/sys");
}

void box_done(struct box *b) {
    field_done(&rt_request_table, &b->req);
    fd_close(b->conn);
    fd_close(b->client);
    free(b->error);
    buf_done(&b->out);
}

void box_send(struct box *b) {
    int conn[2], client[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, conn), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client), 0);
    struct mon_msg m = {.magic = MON_MAGIC,
                        .version = MON_VERSION,
                        .type = MON_ATTACH,
                        .client = 1,
                        .flags = MON_ATTACH_STDIN | MON_ATTACH_STDOUT | MON_ATTACH_STDERR |
                                 MON_ATTACH_STDIN_CLOSES};
    assert_int_equal(fdpass_send(conn[0], &m, sizeof(m), &client[1], 1), 0);
    auto_err e = ERR_INIT;
    auto_fd request = spawn_request_fd(&b->req, &e);
    assert_true(request >= 0);
    assert_int_equal(spawner_request(spawner.control, request, conn[1], &b->joins, &e), 0);
    close(conn[1]);
    close(client[1]);
    b->conn = conn[0];
    b->client = client[0];
}

static void box_message(struct box *b) {
    struct {
        struct mon_msg m;
        char text[MON_TEXT_MAX + 1];
    } in;
    int fds[4];
    size_t n_fds = 4;
    ssize_t n = fdpass_recv(b->conn, &in, sizeof(in) - 1, fds, &n_fds);
    if (n <= 0) {
        b->conn = fd_close(b->conn);
        return;
    }
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
    in.text[in.m.text_len] = '\0';
    if (in.m.type == MON_STARTED) {
        assert_int_equal(n_fds, 1);
        b->started = true;
        b->pid = (int)in.m.pid;
    } else if (in.m.type == MON_FAILED) {
        b->error = xstrdup(in.text + strlen(in.text) + 1);
        b->conn = fd_close(b->conn);
    } else if (in.m.type == MON_EXIT) {
        b->status = in.m.status;
        b->conn = fd_close(b->conn);
    }
}

void box_wait(struct box *b, bool only_start) {
    while (b->conn >= 0 && !(only_start && b->started)) {
        struct pollfd p[2] = {{b->conn, POLLIN, 0}, {b->client, POLLIN, 0}};
        assert_true(poll(p, 2, 20000) > 0);
        if (p[1].revents) {
            char data[4096];
            ssize_t n = read(b->client, data, sizeof(data));
            if (n > 0)
                buf_append(&b->out, data, (size_t)n);
            else
                b->client = fd_close(b->client);
        } else if (p[0].revents) {
            box_message(b);
        }
    }
}

void box_run(struct box *b) {
    box_send(b);
    box_wait(b, false);
}

void assert_no_cgroup(const struct box *b) {
    auto_free char *v1 = xasprintf("/sys/fs/cgroup/memory%s", b->req.spec.lin.cgroups_path);
    auto_free char *v2 = xasprintf("/sys/fs/cgroup%s", b->req.spec.lin.cgroups_path);
    assert_int_not_equal(access(v1, F_OK), 0);
    assert_int_not_equal(access(v2, F_OK), 0);
}

void expect_output(struct box *b, const char *want) {
    box_run(b);
    if (b->error)
        print_message("error: %s\n", b->error);
    assert_null(b->error);
    assert_string_equal(buf_str(&b->out), want);
    assert_int_equal(b->status, 0);
    assert_no_cgroup(b);
    box_done(b);
}

void expect_error(struct box *b, const char *want) {
    box_run(b);
    assert_non_null(b->error);
    assert_string_equal(b->error, want);
    assert_false(b->started);
    assert_no_cgroup(b);
    auto_free char *sock = xasprintf("%s/monitor.sock", b->req.state_dir);
    auto_free char *pid = xasprintf("%s/pid", b->req.state_dir);
    assert_int_not_equal(access(sock, F_OK), 0);
    assert_int_not_equal(access(pid, F_OK), 0);
    box_done(b);
}
