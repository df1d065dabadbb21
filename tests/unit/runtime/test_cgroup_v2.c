/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The v2 manager and its device program. On a hybrid host the v2 hierarchy is there without
 * controllers: membership, freezer, kill and devices can be tried; limits need a v2 host.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "oci/runtime_spec.h"
#include "runtime/cgroup.h"
#include "runtime/cgroup_devices.h"

static struct cgroupfs_host host;
static char parent[64];

/* ---- the program, run by a small interpreter ----------------------------------------------- */

static int run(const struct bpf_insn *p, size_t count, unsigned type, unsigned access,
               uint32_t major, uint32_t minor) {
    struct bpf_cgroup_dev_ctx ctx = {access << 16 | type, major, minor};
    uint64_t r[11] = {0};
    size_t steps = 0;

    for (size_t pc = 0; pc < count; pc++) {
        const struct bpf_insn *i = &p[pc];
        uint64_t *d = &r[i->dst_reg];
        uint64_t imm = (uint64_t)(int64_t)i->imm;
        uint32_t word;

        assert_true(++steps < 100000);
        switch (i->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            memcpy(&word, (char *)&ctx + i->off, sizeof word);
            *d = word;
            break;
        case BPF_ALU64 | BPF_MOV | BPF_X:
            *d = r[i->src_reg];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_K:
            *d = imm;
            break;
        case BPF_ALU64 | BPF_AND | BPF_K:
            *d &= imm;
            break;
        case BPF_ALU64 | BPF_RSH | BPF_K:
            *d >>= imm;
            break;
        case BPF_JMP | BPF_JNE | BPF_K:
            pc += *d != imm ? (size_t)i->off : 0;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += *d == imm ? (size_t)i->off : 0;
            break;
        case BPF_JMP32 | BPF_JNE | BPF_K:
            pc += (uint32_t)*d != (uint32_t)imm ? (size_t)i->off : 0;
            break;
        case BPF_JMP | BPF_EXIT:
            return (int)r[0];
        default:
            fail_msg("instruction %#x", i->code);
        }
    }
    fail_msg("the program has no end");
    return -1;
}

static void build(const char *json, struct bpf_insn **insns, size_t *count) {
    struct oci_resources r;
    auto_err e = ERR_INIT;
    int x;

    field_init(&oci_resources_table, &r);
    if (field_parse_text(&oci_resources_table, json, strlen(json), &r, &e) < 0)
        fail_msg("%s", err_msg(&e));
    x = cgroup_devices_bpf(&r.devices, insns, count, &e);
    field_done(&oci_resources_table, &r);
    if (x < 0)
        fail_msg("%s", err_msg(&e));
}

#define C BPF_DEVCG_DEV_CHAR
#define B BPF_DEVCG_DEV_BLOCK
#define M BPF_DEVCG_ACC_MKNOD
#define R BPF_DEVCG_ACC_READ
#define W BPF_DEVCG_ACC_WRITE

static void test_program(void **state) {
    auto_free struct bpf_insn *p = NULL;
    size_t n = 0;

    (void)state;
    build("{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
          "{\"allow\":true,\"type\":\"c\",\"access\":\"m\"},"
          "{\"allow\":true,\"type\":\"b\",\"access\":\"m\"},"
          "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"r\"},"
          "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"w\"},"
          "{\"allow\":true,\"type\":\"c\",\"major\":136,\"access\":\"rwm\"},"
          "{\"allow\":false,\"type\":\"c\",\"major\":136,\"minor\":9,\"access\":\"w\"}]}",
          &p, &n);
    assert_int_equal(run(p, n, C, R | W, 1, 3), 1); /* by two rules together */
    assert_int_equal(run(p, n, C, R | W | M, 1, 3), 1);
    assert_int_equal(run(p, n, B, R, 1, 3), 0);
    assert_int_equal(run(p, n, B, M, 8, 0), 1);
    assert_int_equal(run(p, n, B, M | R, 8, 0), 0);
    assert_int_equal(run(p, n, C, R, 1, 1), 0);
    assert_int_equal(run(p, n, C, R | W, 136, 4), 1);
    assert_int_equal(run(p, n, C, R, 136, 9), 1);
    assert_int_equal(run(p, n, C, R | W, 136, 9), 0);
    assert_int_equal(run(p, n, C, R, 137, 9), 0);
}

static void test_program_edges(void **state) {
    struct field_array none = {0};
    auto_free struct bpf_insn *all = NULL, *big = NULL, *empty = NULL;
    size_t n_all = 0, n_big = 0, n_empty = 0;

    (void)state;
    build("{\"devices\":[{\"allow\":false,\"type\":\"c\",\"major\":1},{\"allow\":true}]}", &all,
          &n_all);
    assert_int_equal(run(all, n_all, C, R | W | M, 1, 1), 1);
    build("{\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":4294967295,"
          "\"minor\":4294967294}]}",
          &big, &n_big);
    assert_int_equal(run(big, n_big, C, R, UINT32_MAX, UINT32_MAX - 1), 1);
    assert_int_equal(run(big, n_big, C, R, UINT32_MAX, 5), 0);
    assert_int_equal(cgroup_devices_bpf(&none, &empty, &n_empty, NULL), 0);
    assert_int_equal(run(empty, n_empty, C, R, 1, 3), 0);
}

static void test_program_refused(void **state) {
    static const char *const bad[] = {
        "{\"devices\":[{\"allow\":true,\"type\":\"x\"}]}",
        "{\"devices\":[{\"allow\":true,\"type\":\"cc\"}]}",
        "{\"devices\":[{\"allow\":true,\"access\":\"rwx\"}]}",
        "{\"devices\":[{\"allow\":true,\"major\":4294967296}]}",
        "{\"devices\":[{\"allow\":true,\"major\":-2}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bpf_insn *p = NULL;
        struct oci_resources r;
        auto_err e = ERR_INIT;
        size_t n = 0;

        field_init(&oci_resources_table, &r);
        assert_int_equal(field_parse_text(&oci_resources_table, bad[i], strlen(bad[i]), &r, &e), 0);
        assert_int_equal(cgroup_devices_bpf(&r.devices, &p, &n, &e), -EINVAL);
        assert_null(p);
        field_done(&oci_resources_table, &r);
    }
}

/* ---- for real ------------------------------------------------------------------------------ */

static void need_v2(void) {
    if (host.version != 2 || geteuid() != 0)
        skip();
}

static void make(struct cgroup *c, const char *name) {
    auto_free char *path = xasprintf("%s/%s", parent, name);
    auto_err e = ERR_INIT;

    if (cgroup_create(&host, path, c, &e) < 0)
        fail_msg("%s", err_msg(&e));
}

static pid_t start(const struct cgroup *c, bool into, void (*fn)(void)) {
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
    struct cgroup_join j;
    int ready[2];
    char byte;
    long pid;

    assert_int_equal(cgroup_join_open(c, &j, NULL), 0);
    assert_int_equal(j.count, 1);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    if (into) {
        args.cgroup = (uint64_t)cgroup_join_clone_fd(&j);
        pid = syscall(SYS_clone3, &args, sizeof args);
    } else {
        pid = fork();
    }
    assert_true(pid >= 0);
    if (pid == 0) {
        if ((!into && cgroup_join_self(&j) < 0) || write(ready[1], "x", 1) != 1)
            _exit(99);
        fn();
        _exit(0);
    }
    cgroup_join_done(&j);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return (pid_t)pid;
}

static void sleeper(void) {
    for (;;)
        pause();
}

static void try_devices(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    _exit(null >= 0 && zero < 0 && errno == EPERM ? 0 : 1);
}

static void test_members(void **state) {
    auto_free pid_t *pids = NULL;
    auto_err e = ERR_INIT;
    struct cgroup_stats s = {0};
    struct cgroup c;
    size_t count = 0;
    bool frozen = false;
    int status = 0;
    pid_t a, b;

    (void)state;
    need_v2();
    make(&c, "members");
    a = start(&c, true, sleeper);
    b = start(&c, false, sleeper);
    assert_int_equal(cgroup_pids(&c, &pids, &count, &e), 0);
    assert_int_equal(count, 2);
    assert_int_equal(cgroup_freeze(&c, true, &e), 0);
    assert_int_equal(cgroup_is_frozen(&c, &frozen), 0);
    assert_true(frozen);
    assert_int_equal(cgroup_freeze(&c, false, &e), 0);
    assert_int_equal(cgroup_is_frozen(&c, &frozen), 0);
    assert_false(frozen);
    assert_int_equal(cgroup_freeze(&c, true, &e), 0);
    assert_int_equal(cgroup_stats_read(&c, &s, &e), 0);
    assert_int_equal(s.version, 2);
    cgroup_stats_done(&s);
    assert_int_equal(cgroup_kill_all(&c, &e), 0);
    assert_int_equal(waitpid(a, &status, 0), a);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(waitpid(b, &status, 0), b);
    assert_int_equal(cgroup_remove(&c, 2000, &e), 0);
    cgroup_done(&c);
}

static void test_devices(void **state) {
    static const char json[] = "{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
                               "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,"
                               "\"access\":\"rwm\"}]}";
    struct oci_resources r;
    auto_err e = ERR_INIT;
    struct cgroup c;
    int status = 0, x;
    pid_t pid;

    (void)state;
    need_v2();
    make(&c, "devices");
    field_init(&oci_resources_table, &r);
    assert_int_equal(field_parse_text(&oci_resources_table, json, strlen(json), &r, &e), 0);
    x = cgroup_apply(&c, &r, false, &e);
    field_done(&oci_resources_table, &r);
    if (x == -ENOSYS || x == -EINVAL) { /* a kernel without CONFIG_CGROUP_BPF */
        assert_int_equal(cgroup_remove(&c, 2000, NULL), 0);
        cgroup_done(&c);
        skip();
    }
    if (x < 0)
        fail_msg("%s", err_msg(&e));
    pid = start(&c, true, try_devices);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(cgroup_remove(&c, 2000, &e), 0);
    cgroup_done(&c);
}

static void apply(struct cgroup *c, const char *json, bool update, const char *refusal) {
    struct oci_resources r;
    auto_err e = ERR_INIT;
    int x;

    field_init(&oci_resources_table, &r);
    if (field_parse_text(&oci_resources_table, json, strlen(json), &r, &e) < 0)
        fail_msg("%s", err_msg(&e));
    x = update ? cgroup_update(c, &r, &e) : cgroup_apply(c, &r, false, &e);
    field_done(&oci_resources_table, &r);
    if (refusal)
        assert_true(x < 0 && strstr(err_msg(&e), refusal));
    else if (x < 0)
        fail_msg("%s", err_msg(&e));
}

static void expect(const struct cgroup *c, const char *file, const char *want) {
    char text[4096] = "";

    assert_int_equal(cgroupfs_read(c->fds[0], file, text, sizeof text), 0);
    assert_string_equal(text, want);
}

/* Needs the controllers: a host without v1. */
static void test_limits(void **state) {
    struct cgroup_stats s = {0};
    struct cgroup_info i;
    auto_err e = ERR_INIT;
    struct cgroup c;
    pid_t pid;

    (void)state;
    need_v2();
    if (!cgroupfs_has(&host, CGROUPFS_MEMORY) || !cgroupfs_has(&host, CGROUPFS_CPU) ||
        !cgroupfs_has(&host, CGROUPFS_PIDS))
        skip();
    make(&c, "limits");
    apply(&c,
          "{\"memory\":{\"limit\":67108864,\"swap\":134217728,\"reservation\":33554432,"
          "\"swappiness\":10,\"disableOOMKiller\":true},"
          "\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":200000,\"cpus\":\"0\"},"
          "\"pids\":{\"limit\":7},\"unified\":{\"memory.high\":\"60000000\"}}",
          false, NULL);
    expect(&c, "memory.max", "67108864");
    expect(&c, "memory.swap.max", "67108864");
    expect(&c, "memory.low", "33554432");
    expect(&c, "memory.high", "59998208");
    expect(&c, "cpu.weight", "39");
    expect(&c, "cpu.max", "50000 200000");
    expect(&c, "cpuset.cpus", "0");
    expect(&c, "pids.max", "7");
    apply(&c, "{\"cpu\":{\"quota\":-1},\"pids\":{\"limit\":-1},\"memory\":{\"limit\":-1}}", true,
          NULL);
    expect(&c, "cpu.max", "max 200000");
    expect(&c, "pids.max", "max");
    expect(&c, "memory.max", "max");
    expect(&c, "memory.swap.max", "max");
    apply(&c, "{\"memory\":{\"swap\":1000000}}", true,
          "unable to set swap limit without memory limit");
    apply(&c, "{\"memory\":{\"limit\":2000000,\"swap\":1000000}}", true,
          "memory+swap limit should be >= memory limit");
    apply(&c, "{\"unified\":{\"a/b\":\"1\"}}", true, "must be a file name (no slashes)");
    apply(&c, "{\"unified\":{\"cgroup.procs\":\"1\"}}", true, "may not be set");
    apply(&c, "{\"pids\":{\"limit\":4},\"memory\":{\"limit\":33554432,\"swap\":33554432}}", true,
          NULL);
    expect(&c, "memory.swap.max", "0");
    pid = start(&c, true, sleeper);
    assert_int_equal(cgroup_stats_read(&c, &s, &e), 0);
    assert_int_equal(s.memory_limit, 33554432);
    assert_int_equal(s.pids_limit, 4);
    assert_int_equal(s.pids_current, 1);
    assert_true(s.memory_stats_count > 10);
    cgroup_stats_done(&s);
    assert_int_equal(cgroup_kill_all(&c, &e), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(cgroup_remove(&c, 2000, &e), 0);
    cgroup_done(&c);
    cgroup_info_read(&host, &i);
    assert_int_equal(i.version, 2);
    assert_true(i.memory && i.pids && i.cpu_cfs_quota && !i.oom_kill_disable);
    assert_true(i.cpus[0] != '\0');
    cgroup_info_done(&i);
}

static void eater(void) {
    size_t n = 64u << 20;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p != MAP_FAILED)
        for (size_t i = 0; i < n; i += 4096)
            ((volatile char *)p)[i] = 1;
    sleeper();
}

static void test_oom(void **state) {
    struct cgroup_oom o;
    struct cgroup c;
    struct pollfd p;
    uint64_t kills = 99;
    int status = 0;
    pid_t pid;

    (void)state;
    need_v2();
    if (!cgroupfs_has(&host, CGROUPFS_MEMORY))
        skip();
    make(&c, "oom");
    apply(&c, "{\"memory\":{\"limit\":8388608,\"swap\":8388608}}", false, NULL);
    auto_strv dirs = cgroup_dirs(&c);

    assert_int_equal(strv_len(dirs), 1);
    assert_int_equal(cgroup_oom_open(dirs[0], &o), 0);
    assert_int_equal(cgroup_oom_read(&o, &kills), 0);
    assert_int_equal(kills, 0);
    pid = start(&c, true, eater);
    p = (struct pollfd){.fd = o.fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 30000), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(cgroup_oom_read(&o, &kills), 0);
    assert_int_equal(kills, 1);
    cgroup_oom_done(&o);
    assert_int_equal(cgroup_remove_dirs(dirs, 3000), 0);
    cgroup_done(&c);
}

/* The v2 hierarchy of this host as if it were the only one. */
static int setup(void **state) {
    auto_buf text = BUF_INIT;
    auto_buf only = BUF_INIT;

    (void)state;
    (void)snprintf(parent, sizeof parent, "/fence-test-limits-%d", (int)getpid());
    if (io_read_file_at(AT_FDCWD, "/proc/self/mountinfo", &text) < 0)
        return -1;
    auto_strv lines = str_split(buf_str(&text), '\n');

    strv_for_each (line, lines)
        if (strstr(line, " - cgroup2 "))
            (void)buf_printf(&only, "%s\n", line);
    return cgroupfs_detect_from(buf_str(&only), true, &host);
}

static int teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < host.count; i++)
        if (cgroupfs_rmdirs(host.hierarchies[i].fd, parent + 1) < 0)
            return -1;
    cgroupfs_host_done(&host);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_program_edges),
        cmocka_unit_test(test_program_refused),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_oom),
    };

    return cmocka_run_group_tests_name("cgroup-v2", tests, setup, teardown);
}
