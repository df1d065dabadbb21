/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what the set-up process writes is what the monitor reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "monitor/detach.h"
#include "monitor/options.h"

static void test_round_trip(void **state) {
    struct monitor_options a, b;
    auto_strv argv = NULL;
    auto_strv again = NULL;
    const char *what = NULL;

    monitor_options_init(&a);
    monitor_options_init(&b);
    a.id = xstrdup("0123abcd");
    a.exec_id = xstrdup("feed");
    a.conn_fd = 3;
    a.listen_fd = 4;
    a.state_dir_fd = 0;
    a.pidfd = 6;
    a.pid = 4711;
    a.start_time = INT64_C(1) << 40;
    a.tty_fd = 7;
    a.overlay_fd = 8;
    a.seccomp_fd = 9;
    a.mknod_allow = xstrdup("10:200,10:229");
    a.open_stdin = a.stdin_once = a.log_compress = true;
    a.log_driver = xstrdup("json-file");
    a.log_path = xstrdup("/a b/=c");
    a.log_max_size = 20 << 20;
    a.log_max_file = 5;
    a.log_attrs = xstrdup("{\"x\":\"--y=z\"}");
    strv_add(&a.cgroup_remove, "/sys/fs/cgroup/memory/docker/1");
    strv_add(&a.cgroup_remove, "/sys/fs/cgroup/pids/docker/1");
    a.cgroup_memory = xstrdup("/sys/fs/cgroup/memory/docker/1");
    argv = monitor_argv(&a);
    assert_string_equal(argv[0], "fence-monitor");
    assert_string_equal(argv[1], "0123abcd");
    assert_int_equal(monitor_options_parse(argv, &b, &what), 0);
    again = monitor_argv(&b);
    assert_true(strv_eq(argv, again));
    assert_string_equal(b.log_path, "/a b/=c");
    assert_int_equal(b.start_time, a.start_time);
    assert_int_equal(b.state_dir_fd, 0);
    assert_int_equal(b.stdin_fd, -1);
    assert_int_equal(strv_len(b.cgroup_remove), 2);
    assert_true(b.open_stdin && b.stdin_once && b.log_compress);
    monitor_options_done(&a);
    monitor_options_done(&b);
}

static void test_refused(void **state) {
    static const struct {
        const char *argv[8];
        const char *what; /* NULL: fine */
    } cases[] = {
        {{"m", "id", "--pidfd=3", "--pid=7", "--state-dir=4"}, NULL},
        {{"m"}, "the container id is missing"},
        {{"m", "--pidfd=3"}, "the container id is missing"},
        {{"m", "id", "--nonsense=1"}, "--nonsense=1"},
        {{"m", "id", "stray"}, "stray"},
        {{"m", "id", "--pidfd=-1"}, "--pidfd=-1"},
        {{"m", "id", "--pidfd=3x"}, "--pidfd=3x"},
        {{"m", "id", "--pidfd"}, "--pidfd"},
        {{"m", "id", "--stdin-once=1"}, "--stdin-once=1"},
        {{"m", "id", "--pidfd=3"}, "--pidfd, --pid and --state-dir are required"},
        {{"m", "id", "--pidfd=3", "--pid=7", "--state-dir=4", "--tty=5", "--stdout=6"},
         "--tty excludes --stdin, --stdout and --stderr"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct monitor_options o;
        const char *what = NULL;

        monitor_options_init(&o);
        assert_int_equal(monitor_options_parse((char *const *)cases[i].argv, &o, &what),
                         cases[i].what ? -EINVAL : 0);
        if (cases[i].what)
            assert_string_equal(what, cases[i].what);
        monitor_options_done(&o);
    }
}

static void test_detach(void **state) {
    static const struct {
        const char *reads[4];
        const char *passed;
        bool match;
    } cases[] = {
        {{"abc"}, "abc", false},
        {{"\x10\x11"}, "", true},
        {{"ls\n\x10", "\x11"}, "ls\n", true},
        {{"\x10", "x"}, "\x10x", false},
        {{"a\x10", "b\x10", "\x11z"},
         "a\x10"
         "b",
         true},
        {{"\x11\x10"}, "\x11", false},             /* held */
        {{"\x10\x10\x11"}, "\x10\x10\x11", false}, /* as Docker: no overlap */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct detach d = {.keys = {0x10, 0x11}, .len = 2};
        char got[256];
        size_t len = 0;
        bool match = false;

        for (const char *const *r = cases[i].reads; *r && !match; r++)
            len += detach_filter(&d, *r, strlen(*r), got + len, &match);
        assert_int_equal(match, cases[i].match);
        assert_int_equal(len, strlen(cases[i].passed));
        assert_memory_equal(got, cases[i].passed, len);
    }
    {
        struct detach d = {.keys = {'a', 'b'}, .len = 2};
        char room[DETACH_KEYS_MAX + 4];
        bool match;

        memcpy(room + DETACH_KEYS_MAX, "a", 1);
        assert_int_equal(detach_filter(&d, room + DETACH_KEYS_MAX, 1, room, &match), 0);
        memcpy(room + DETACH_KEYS_MAX, "xyza", 4); /* in place, with a held byte before it */
        assert_int_equal(detach_filter(&d, room + DETACH_KEYS_MAX, 4, room, &match), 4);
        assert_memory_equal(room, "axyz", 4);
        assert_int_equal(detach_rest(&d, room), 1);
        assert_memory_equal(room, "a", 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_detach),
    };

    return cmocka_run_group_tests_name("monitor-options", tests, NULL, NULL);
}
