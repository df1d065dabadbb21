/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Control groups: conversions, and the real thing on this host's v1 hierarchies below a parent of
 * the test's own. Without v1 or without root the latter are skipped.
 */
#include <errno.h>
#include <fcntl.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "oci/runtime_spec.h"
#include "runtime/cgroup.h"

static struct cgroupfs_host host;
static char parent[64];

/* ---- pure ---------------------------------------------------------------------------------- */

static void test_weights(void **state) {
    (void)state;
    assert_int_equal(cgroup_cpu_shares_clamp(0), 0);
    assert_int_equal(cgroup_cpu_shares_clamp(1), 2);
    assert_int_equal(cgroup_cpu_shares_clamp(1024), 1024);
    assert_int_equal(cgroup_cpu_shares_clamp(UINT64_MAX), 262144);
    assert_int_equal(cgroup_cpu_weight(0), 0);
    assert_int_equal(cgroup_cpu_weight(1), 1);
    assert_int_equal(cgroup_cpu_weight(2), 1);
    assert_int_equal(cgroup_cpu_weight(512), 20);
    assert_int_equal(cgroup_cpu_weight(1024), 39);
    assert_int_equal(cgroup_cpu_weight(10000), 382);
    assert_int_equal(cgroup_cpu_weight(262144), 10000);
    assert_int_equal(cgroup_io_weight(0), 0);
    assert_int_equal(cgroup_io_weight(10), 1);
    assert_int_equal(cgroup_io_weight(1000), 10000);
    assert_int_equal(cgroup_io_weight(500), 1 + 490 * 9999 / 990);
}

static void test_cpulist(void **state) {
    bool in = false;

    (void)state;
    assert_int_equal(cgroup_cpulist_within("0-1", "0-3", &in), 0);
    assert_true(in);
    assert_int_equal(cgroup_cpulist_within("0,4", "0-3", &in), 0);
    assert_false(in);
    assert_int_equal(cgroup_cpulist_within("", "0", &in), 0);
    assert_true(in);
    assert_int_equal(cgroup_cpulist_within("1-", "0-3", &in), -EINVAL);
    assert_int_equal(cgroup_cpulist_within("3-1", "0-3", &in), -EINVAL);
    assert_int_equal(cgroup_cpulist_within("0-99999999", "0-3", &in), -EINVAL);
    assert_int_equal(cgroup_cpulist_within("a", "0-3", &in), -EINVAL);
}

static void test_paths(void **state) {
    (void)state;
    assert_true(cgroup_path_is_valid("/docker/abc"));
    assert_true(cgroup_path_is_valid("/a"));
    assert_true(cgroup_path_is_valid("/a/..b"));
    assert_false(cgroup_path_is_valid("/"));
    assert_false(cgroup_path_is_valid(""));
    assert_false(cgroup_path_is_valid(NULL));
    assert_false(cgroup_path_is_valid("docker/abc"));
    assert_false(cgroup_path_is_valid("/docker/../abc"));
    assert_false(cgroup_path_is_valid("/docker/.."));
    assert_false(cgroup_path_is_valid("/docker//abc"));
    assert_false(cgroup_path_is_valid("/docker/abc/"));
    assert_false(cgroup_path_is_valid("/docker/a\nb"));
}

static void test_detect(void **state) {
    static const char v1[] =
        "25 1 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup "
        "rw,cpu,cpuacct\n"
        "27 25 0:24 / /sys/fs/cgroup/mem\\040ory rw shared:9 master:3 - cgroup x rw,memory\n"
        "28 25 0:25 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
        "29 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "30 25 0:24 / /other rw - cgroup x rw,memory\n"
        "31 25 0:27 / /odd rw cgroup x rw\n";
    static const char v2[] = "28 25 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    static const char turned[] =
        "28 25 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
        "29 25 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
    struct cgroupfs_host h = {0};

    (void)state;
    assert_int_equal(cgroupfs_detect_from(v1, false, &h), 0);
    assert_int_equal(h.version, 1);
    assert_int_equal(h.count, 3);
    assert_string_equal(h.hierarchies[h.by_controller[CGROUPFS_MEMORY]].path,
                        "/sys/fs/cgroup/mem ory");
    assert_int_equal(h.by_controller[CGROUPFS_CPU], h.by_controller[CGROUPFS_CPUACCT]);
    assert_true(cgroupfs_has(&h, CGROUPFS_SYSTEMD));
    assert_false(cgroupfs_has(&h, CGROUPFS_PIDS));
    cgroupfs_host_done(&h);

    assert_int_equal(cgroupfs_detect_from(v2, false, &h), 0);
    assert_int_equal(h.version, 2);
    assert_int_equal(h.count, 1);
    assert_true(cgroupfs_has(&h, CGROUPFS_DEVICES));
    cgroupfs_host_done(&h);

    assert_int_equal(cgroupfs_detect_from(turned, false, &h), 0);
    assert_int_equal(h.version, 2);
    assert_int_equal(h.count, 1);
    cgroupfs_host_done(&h);

    assert_int_equal(cgroupfs_detect_from("", false, &h), 0);
    assert_int_equal(h.version, 0);
    cgroupfs_host_done(&h);
}

/* ---- v1 for real --------------------------------------------------------------------------- */

static void need_v1(void) {
    if (host.version != 1 || geteuid() != 0)
        skip();
}

static void resources(struct oci_resources *r, const char *json) {
    auto_err e = ERR_INIT;

    field_init(&oci_resources_table, r);
    if (field_parse_text(&oci_resources_table, json, strlen(json), r, &e) < 0)
        fail_msg("%s", err_msg(&e));
}

static void make(struct cgroup *c, const char *name) {
    auto_free char *path = xasprintf("%s/%s", parent, name);
    auto_err e = ERR_INIT;

    cgroup_init(c);
    if (cgroup_create(&host, path, c, &e) < 0)
        fail_msg("%s", err_msg(&e));
}

static void apply(struct cgroup *c, const char *json, bool update) {
    struct oci_resources r;
    auto_err e = ERR_INIT;
    int x;

    resources(&r, json);
    x = update ? cgroup_update(c, &r, &e) : cgroup_apply(c, &r, false, &e);
    field_done(&oci_resources_table, &r);
    if (x < 0)
        fail_msg("%s", err_msg(&e));
}

static void expect(const struct cgroup *c, enum cgroupfs_controller ctl, const char *file,
                   const char *want) {
    char text[4096] = "";
    int fd = c->fds[host.by_controller[ctl]];

    assert_int_equal(cgroupfs_read(fd, file, text, sizeof text), 0);
    assert_string_equal(text, want);
}

static pid_t start(const struct cgroup *c, void (*fn)(void)) {
    struct cgroup_join j;
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(cgroup_join_open(c, &j, NULL), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (cgroup_join_self(&j) < 0 || write(ready[1], "x", 1) != 1)
            _exit(99);
        fn();
        _exit(0);
    }
    cgroup_join_done(&j);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void sleeper(void) {
    for (;;)
        pause();
}

static void spinner(void) {
    for (volatile unsigned i = 0;; i++)
        continue;
}

static void forker(void) {
    if (fork() >= 0)
        sleeper();
}

static void eater(void) {
    size_t n = 64u << 20;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p != MAP_FAILED)
        for (size_t i = 0; i < n; i += 4096)
            ((volatile char *)p)[i] = 1;
    sleeper();
}

static void drop(struct cgroup *c) {
    auto_err e = ERR_INIT;

    if (cgroup_remove(c, 3000, &e) < 0)
        fail_msg("%s", err_msg(&e));
    cgroup_done(c);
}

static void test_limits(void **state) {
    struct cgroup c;

    (void)state;
    need_v1();
    make(&c, "limits");
    apply(&c,
          "{\"memory\":{\"limit\":67108864,\"swap\":134217728,\"reservation\":33554432,"
          "\"swappiness\":10,\"disableOOMKiller\":true,\"kernel\":1},"
          "\"cpu\":{\"shares\":1,\"quota\":50000,\"period\":200000,\"cpus\":\"0\",\"mems\":\"0\"},"
          "\"pids\":{\"limit\":7}}",
          false);
    expect(&c, CGROUPFS_MEMORY, "memory.limit_in_bytes", "67108864");
    expect(&c, CGROUPFS_MEMORY, "memory.memsw.limit_in_bytes", "134217728");
    expect(&c, CGROUPFS_MEMORY, "memory.soft_limit_in_bytes", "33554432");
    expect(&c, CGROUPFS_MEMORY, "memory.swappiness", "10");
    expect(&c, CGROUPFS_CPU, "cpu.shares", "2");
    expect(&c, CGROUPFS_CPU, "cpu.cfs_quota_us", "50000");
    expect(&c, CGROUPFS_CPU, "cpu.cfs_period_us", "200000");
    expect(&c, CGROUPFS_CPUSET, "cpuset.cpus", "0");
    expect(&c, CGROUPFS_PIDS, "pids.max", "7");

    /* Up and down: both orders of memory and memory+swap. */
    apply(&c, "{\"memory\":{\"limit\":268435456,\"swap\":536870912}}", true);
    expect(&c, CGROUPFS_MEMORY, "memory.memsw.limit_in_bytes", "536870912");
    apply(&c, "{\"memory\":{\"limit\":16777216,\"swap\":33554432}}", true);
    expect(&c, CGROUPFS_MEMORY, "memory.limit_in_bytes", "16777216");
    expect(&c, CGROUPFS_MEMORY, "memory.memsw.limit_in_bytes", "33554432");
    expect(&c, CGROUPFS_CPU, "cpu.shares", "2");
    apply(&c, "{\"memory\":{\"limit\":-1},\"pids\":{\"limit\":-1},\"cpu\":{\"quota\":-1}}", true);
    expect(&c, CGROUPFS_PIDS, "pids.max", "max");
    expect(&c, CGROUPFS_CPU, "cpu.cfs_quota_us", "-1");
    drop(&c);
}

static void test_errors(void **state) {
    struct oci_resources r;
    auto_err e = ERR_INIT;
    struct cgroup c, other;

    (void)state;
    need_v1();
    make(&c, "errors");
    resources(&r, "{\"cpu\":{\"cpus\":\"900\"}}");
    assert_true(cgroup_apply(&c, &r, false, &e) < 0);
    assert_non_null(strstr(err_msg(&e), "failed to write \"900\": write /sys/fs/cgroup/cpuset/"));
    assert_non_null(strstr(err_msg(&e), "/cpuset.cpus: "));
    field_done(&oci_resources_table, &r);
    err_done(&e);

    resources(&r, "{\"memory\":{\"swappiness\":101}}");
    assert_true(cgroup_apply(&c, &r, false, &e) < 0);
    assert_string_equal(err_msg(&e), "invalid memory swappiness value: 101 (should be 0-100)");
    field_done(&oci_resources_table, &r);
    err_done(&e);

    pid_t pid = start(&c, sleeper);

    assert_int_equal(cgroup_create(&host, c.path, &other, &e), -EBUSY);
    assert_string_equal(err_msg(&e), "container's cgroup is not empty: 1 process(es) found");
    assert_int_equal(e.class, ERR_CONFLICT);
    err_done(&e);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    /* Left over, empty: taken over without its old limits. */
    apply(&c, "{\"pids\":{\"limit\":3}}", false);
    auto_free char *path = xstrdup(c.path);

    cgroup_done(&c);
    assert_int_equal(cgroup_create(&host, path, &c, &e), 0);
    expect(&c, CGROUPFS_PIDS, "pids.max", "max");
    drop(&c);
    assert_int_equal(cgroup_open(&host, path, &c, &e), -ENOENT);
    assert_int_equal(cgroup_create(&host, "/a/../b", &c, &e), -EINVAL);
}

static void test_members(void **state) {
    auto_err e = ERR_INIT;
    struct cgroup c, again;
    auto_free pid_t *pids = NULL;
    char line[4096], name[128];
    size_t count = 0, seen = 0;
    bool frozen = true;
    FILE *f;
    pid_t pid;

    (void)state;
    need_v1();
    make(&c, "members");
    pid = start(&c, forker);
    (void)snprintf(name, sizeof name, "/proc/%d/cgroup", pid);
    f = fopen(name, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (strstr(line, "/members\n"))
            seen++;
    (void)fclose(f);
    assert_int_equal(seen, host.count);

    usleep(50000);
    assert_int_equal(cgroup_open(&host, c.path, &again, &e), 0);
    assert_int_equal(cgroup_pids(&again, &pids, &count, &e), 0);
    assert_int_equal(count, 2);
    assert_int_equal(cgroup_freeze(&again, true, &e), 0);
    assert_int_equal(cgroup_is_frozen(&again, &frozen), 0);
    assert_true(frozen);
    assert_int_equal(cgroup_freeze(&again, false, &e), 0);
    assert_int_equal(cgroup_is_frozen(&again, &frozen), 0);
    assert_false(frozen);
    assert_int_equal(cgroup_freeze(&again, true, &e), 0);
    assert_int_equal(cgroup_kill_all(&again, &e), 0);
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cgroup_done(&again);
    drop(&c);
}

static void test_remove_busy(void **state) {
    struct cgroup c;
    pid_t pid;
    int64_t t;

    (void)state;
    need_v1();
    make(&c, "busy");
    /* A group that the container made below its own. */
    assert_int_equal(mkdirat(c.fds[host.by_controller[CGROUPFS_PIDS]], "inner", 0755), 0);
    pid = start(&c, forker);
    usleep(20000);
    auto_strv dirs = cgroup_dirs(&c);

    assert_int_equal(strv_len(dirs), host.count);
    assert_non_null(strstr(dirs[0], "memory"));
    assert_int_equal(cgroup_remove_dirs(dirs, 0), -EBUSY);
    t = clock_mono_ns();
    signal(SIGCHLD, SIG_IGN); /* reaped by the kernel */
    assert_int_equal(cgroup_remove_dirs(dirs, 3000), 0);
    assert_true(clock_mono_ns() - t < 2500 * NS_PER_MS);
    assert_int_equal(cgroup_remove_dirs(dirs, 0), 0);
    assert_int_equal(kill(pid, 0), -1);
    signal(SIGCHLD, SIG_DFL);
    cgroup_done(&c);
}

static void test_devices(void **state) {
    struct cgroup c;
    char text[4096];

    (void)state;
    need_v1();
    if (!cgroupfs_has(&host, CGROUPFS_DEVICES))
        skip();
    make(&c, "devices");
    apply(&c,
          "{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
          "{\"allow\":true,\"type\":\"c\",\"access\":\"m\"},"
          "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"},"
          "{\"allow\":true,\"type\":\"c\",\"major\":136,\"access\":\"rw\"},"
          "{\"allow\":true,\"type\":\"a\",\"major\":7,\"minor\":1,\"access\":\"r\"}]}",
          false);
    assert_int_equal(cgroupfs_read(c.fds[host.by_controller[CGROUPFS_DEVICES]], "devices.list",
                                   text, sizeof text),
                     0);
    assert_non_null(strstr(text, "c *:* m"));
    assert_non_null(strstr(text, "c 1:3 rwm"));
    assert_non_null(strstr(text, "c 136:* rw"));
    assert_non_null(strstr(text, "b 7:1 r"));
    assert_non_null(strstr(text, "c 7:1 r"));
    assert_null(strstr(text, "a *:*"));
    drop(&c);
    /* Without a rule for all, the rest is denied all the same. */
    make(&c, "devices");
    apply(&c, "{\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":5}]}", false);
    expect(&c, CGROUPFS_DEVICES, "devices.list", "c 1:5 rwm");
    drop(&c);
    make(&c, "devices");
    apply(&c, "{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]}", false);
    expect(&c, CGROUPFS_DEVICES, "devices.list", "a *:* rwm");
    drop(&c);
}

static void test_stats(void **state) {
    struct cgroup_stats s = {0};
    auto_err e = ERR_INIT;
    struct cgroup c;
    uint64_t system_ns = 0;
    uint32_t cpus = 0;
    bool rss = false;
    pid_t pid;

    (void)state;
    need_v1();
    make(&c, "stats");
    apply(&c,
          "{\"cpu\":{\"quota\":10000,\"period\":100000},\"pids\":{\"limit\":5},"
          "\"memory\":{\"limit\":67108864}}",
          false);
    pid = start(&c, spinner);
    usleep(350000);
    assert_int_equal(cgroup_stats_read(&c, &s, &e), 0);
    assert_true(s.cpu_total_ns > 5 * NS_PER_MS);
    assert_true(s.percpu_count >= 1);
    assert_true(s.throttle_periods >= 1 && s.throttled_periods >= 1 && s.throttled_ns > 0);
    assert_true(s.memory_usage > 0 && s.memory_max_usage >= s.memory_usage);
    assert_int_equal(s.memory_limit, 67108864);
    assert_int_equal(s.pids_current, 1);
    assert_int_equal(s.pids_limit, 5);
    for (size_t i = 0; i < s.memory_stats_count; i++)
        rss = rss || strcmp(s.memory_stats[i].name, "rss") == 0;
    assert_true(rss);
    cgroup_stats_done(&s);
    assert_int_equal(cgroup_system_cpu(&system_ns, &cpus), 0);
    assert_true(system_ns > 0 && cpus >= 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    drop(&c);
}

static void test_oom(void **state) {
    struct cgroup_oom o;
    struct cgroup c;
    struct pollfd p;
    uint64_t kills = 99;
    int status = 0;
    pid_t pid;

    (void)state;
    need_v1();
    make(&c, "oom");
    apply(&c, "{\"memory\":{\"limit\":8388608,\"swap\":8388608}}", false);
    auto_strv dirs = cgroup_dirs(&c);

    assert_int_equal(cgroup_oom_open(dirs[0], &o), 0);
    assert_int_equal(cgroup_oom_read(&o, &kills), 0);
    assert_int_equal(kills, 0);
    pid = start(&c, eater);
    p = (struct pollfd){.fd = o.fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(cgroup_oom_read(&o, &kills), 0);
    assert_int_equal(kills, 1);
    cgroup_oom_done(&o);
    drop(&c);
}

static void test_info(void **state) {
    struct cgroup_info i;

    (void)state;
    if (host.version == 0)
        skip();
    cgroup_info_read(&host, &i);
    assert_string_equal(i.driver, "cgroupfs");
    assert_int_equal(i.version, host.version);
    assert_true(i.cpus[0] != '\0' && i.mems[0] != '\0');
    if (host.version == 1)
        assert_int_equal(i.memory, cgroupfs_has(&host, CGROUPFS_MEMORY));
    cgroup_info_done(&i);
}

static void test_cost(void **state) {
    int64_t best = INT64_MAX;

    (void)state;
    need_v1();
    for (int i = 0; i < 20; i++) {
        struct cgroup_join j;
        struct cgroup c;
        int64_t t = clock_mono_ns();

        make(&c, "cost");
        apply(&c,
              "{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
              "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"},"
              "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":5,\"access\":\"rwm\"}],"
              "\"memory\":{\"limit\":67108864}}",
              false);
        assert_int_equal(cgroup_join_open(&c, &j, NULL), 0);
        t = clock_mono_ns() - t;
        best = t < best ? t : best;
        cgroup_join_done(&j);
        drop(&c);
    }
    print_message("create + apply + join descriptors: %lld us at best\n", (long long)best / 1000);
    assert_true(best < 20 * NS_PER_MS);
}

static int setup(void **state) {
    (void)state;
    (void)snprintf(parent, sizeof parent, "/fence-test-limits-%d", (int)getpid());
    return cgroupfs_detect(&host);
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
        cmocka_unit_test(test_weights), cmocka_unit_test(test_cpulist),
        cmocka_unit_test(test_paths),   cmocka_unit_test(test_detect),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_members), cmocka_unit_test(test_remove_busy),
        cmocka_unit_test(test_devices), cmocka_unit_test(test_stats),
        cmocka_unit_test(test_oom),     cmocka_unit_test(test_info),
        cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests_name("cgroup", tests, setup, teardown);
}
