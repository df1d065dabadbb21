/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor as a process, with real pipes, terminals and children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "box.h"
#include "sys/procfd.h"

#define OUT (MON_ATTACH_STDOUT | MON_ATTACH_STDERR)

static void say(int fd, const char *text) {
    assert_int_equal(io_write_all(fd, text, strlen(text)), 0);
}

static void expect_end(int fd, const char *text) {
    auto_buf got = BUF_INIT;

    read_all(fd, &got, SIZE_MAX);
    assert_string_equal(buf_str(&got), text);
    (void)close(fd);
}

static void expect_text(int fd, const char *text) {
    auto_buf got = BUF_INIT;

    read_all(fd, &got, strlen(text));
    assert_string_equal(buf_str(&got), text);
}

/* ---- output and end ------------------------------------------------------------------------- */

static void test_output_and_exit(void **state) {
    struct box b;
    struct mon_msg x;
    auto_buf got = BUF_INIT;
    auto_free char *out = NULL, *err = NULL, *log = NULL, *file = NULL, *expect = NULL;
    int64_t begin = clock_real_ns();
    int client;

    box_init(&b);
    client = box_attach(&b, OUT | MON_ATTACH_MUX, ""); /* before the process exists */
    box_start(&b, "echo one; echo two >&2; printf three; exit 7");
    read_all(client, &got, SIZE_MAX);
    x = box_expect(&b, MON_EXIT, NULL);
    assert_int_equal(x.status, 7);
    assert_int_equal(x.oom, 0);
    assert_true(x.time_ns >= begin && x.time_ns <= clock_real_ns());
    out = demux(&got, 1);
    err = demux(&got, 2);
    assert_string_equal(out, "one\nthree");
    assert_string_equal(err, "two\n");
    log = box_file(&b, "log");
    assert_non_null(strstr(log, "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"time\":\"20"));
    assert_non_null(strstr(log, "{\"log\":\"two\\n\",\"stream\":\"stderr\",\"time\":\"20"));
    assert_non_null(strstr(log, "{\"log\":\"three\",\"stream\":\"stdout\",\"time\":\"20"));
    file = box_file(&b, "exit");
    expect = xasprintf("7 0 %lld\n", (long long)x.time_ns);
    assert_string_equal(file, expect);
    (void)close(client);
    assert_int_equal(box_done(&b), 0);
}

static void test_killed(void **state) {
    struct box b;

    box_init(&b);
    box_start(&b, "kill -9 $$");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 137);
    assert_int_equal(box_done(&b), 0);
}

/* Much to three clients, of which one dawdles, and a log. */
static void test_much_output(void **state) {
    struct box b;
    auto_buf fast = BUF_INIT, slow = BUF_INIT;
    auto_free char *log = NULL, *out = NULL;
    int quick, idle, late;
    size_t lines = 0;

    box_init(&b);
    quick = box_attach(&b, OUT | MON_ATTACH_MUX, "");
    idle = box_attach(&b, MON_ATTACH_STDERR, "");
    late = box_attach(&b, MON_ATTACH_STDOUT, "");
    box_start(&b, "i=0; while [ $i -lt 20000 ]; do echo line $i of the many lines of this text; "
                  "i=$((i+1)); done");
    while (slow.len < 100000) {
        read_all(late, &slow, slow.len + 500);
        (void)usleep(1000);
        read_all(quick, &fast, fast.len + 500);
    }
    while (fast.len < 700000) { /* the other one blocks meanwhile, but not for long */
        size_t before = slow.len;

        read_all(late, &slow, before + 10000);
        read_all(quick, &fast, fast.len + 10000);
    }
    read_all(late, &slow, SIZE_MAX);
    read_all(quick, &fast, SIZE_MAX);
    expect_end(idle, "");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    out = demux(&fast, 1);
    assert_string_equal(out, slow.data);
    assert_true(str_ends(out, "\nline 19999 of the many lines of this text\n"));
    log = box_file(&b, "log");
    for (char *s = log; (s = strchr(s, '\n')); s++)
        lines++;
    assert_int_equal(lines, 20000);
    (void)close(quick);
    (void)close(late);
    assert_int_equal(box_done(&b), 0);
}

/* A client that takes nothing holds the process up for ten seconds, then it is dropped. */
static void test_stalled_client(void **state) {
    struct box b;
    int64_t begin = clock_mono_ns();
    int client;

    box_init(&b);
    str_set(&b.o.log_driver, "none");
    client = box_attach(&b, OUT, "");
    box_start(&b, "head -c 4000000 /dev/zero");
    assert_int_equal(box_expect(&b, MON_CLIENT_GONE, NULL).client, 1);
    assert_true(clock_mono_ns() - begin > 9 * NS_PER_SEC);
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    (void)close(client);
    assert_int_equal(box_done(&b), 0);
}

static void test_client_leaves(void **state) {
    struct box b;
    int client;

    box_init(&b);
    b.with_stdin = true;
    client = box_attach(&b, OUT, "");
    box_start(&b, "echo begun; read x; echo ended");
    expect_text(client, "begun\n");
    (void)close(client);
    assert_int_equal(box_expect(&b, MON_CLIENT_GONE, NULL).client, 1);
    box_send(&b, &(struct mon_msg){.type = MON_CLOSE_STDIN});
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

/* Somebody outside of the container holds the pipe: that is not waited for. */
static void test_held_pipe(void **state) {
    struct box b;
    int64_t begin = clock_mono_ns();
    int client;

    box_init(&b);
    client = box_attach(&b, OUT, "");
    box_start(&b, "sleep 3 & echo here");
    expect_end(client, "here\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
    assert_true(clock_mono_ns() - begin < 2 * NS_PER_SEC);
}

static void test_signals_are_ignored(void **state) {
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    struct box b;
    int client;

    box_init(&b);
    b.with_stdin = true;
    client = box_attach(&b, OUT, "");
    box_start(&b, "echo up; read x");
    expect_text(client, "up\n");
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        assert_int_equal(kill(b.monitor, signals[i]), 0);
    box_send(&b, &(struct mon_msg){.type = MON_CLOSE_STDIN});
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 1);
    (void)close(client);
    assert_int_equal(box_done(&b), 0);
}

/* ---- input ---------------------------------------------------------------------------------- */

static void test_stdin_once(void **state) {
    struct box b;
    int client;

    box_init(&b);
    b.with_stdin = b.o.stdin_once = true;
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    box_start(&b, "cat; echo done");
    say(client, "some\ntext");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    expect_end(client, "some\ntextdone\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

static void test_exec_stdin_closes(void **state) {
    struct box b;
    int client;

    box_init(&b);
    b.o.exec_id = xstrdup("e1");
    str_set(&b.o.log_driver, NULL);
    b.with_stdin = true;
    client = box_attach(&b, OUT | MON_ATTACH_STDIN | MON_ATTACH_STDIN_CLOSES, "");
    box_start(&b, "wc -c");
    for (int i = 0; i < 100; i++) {
        char block[10000];

        memset(block, 'x', sizeof block);
        assert_int_equal(io_write_all(client, block, sizeof block), 0);
    }
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    expect_end(client, "1000000\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

/* A client that writes and goes away altogether: what it wrote arrives. */
static void test_input_of_the_departed(void **state) {
    struct box b;
    int watcher, client;

    box_init(&b);
    b.with_stdin = b.o.stdin_once = true;
    watcher = box_attach(&b, OUT, "");
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    say(client, "last words\n");
    (void)close(client);
    box_start(&b, "echo first; cat");
    expect_end(watcher, "first\nlast words\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

/* Input that came with the request, from two clients at once, while stdin is full. */
static void test_early_input(void **state) {
    auto_free char *much = xmalloc(MON_TEXT_MAX - 1);
    struct box b;
    int clients[8], watcher;

    memset(much, 'x', MON_TEXT_MAX - 2);
    much[MON_TEXT_MAX - 2] = '\0';
    box_init(&b);
    b.with_stdin = true;
    watcher = box_attach(&b, OUT, "");
    for (size_t i = 0; i < 8; i++) /* more than the pipe holds */
        clients[i] = box_attach_early(&b, MON_ATTACH_STDIN, "\x10", much);
    box_start(&b, "sleep 0.3; head -c 131065 | wc -c; wc -c");
    say(clients[0], "and more\n");
    expect_text(watcher, "131065\n");
    box_send(&b, &(struct mon_msg){.type = MON_CLOSE_STDIN});
    expect_end(watcher, "0\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    for (size_t i = 0; i < 8; i++)
        (void)close(clients[i]);
    assert_int_equal(box_done(&b), 0);
}

/* Without stdin_once stdin is shared, and outlives a client's end of input, which ends its
 * attachment. */
static void test_shared_stdin(void **state) {
    struct box b;
    int one, two;

    box_init(&b);
    b.with_stdin = true;
    one = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    two = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    box_start(&b, "while read x; do echo got $x; done; echo end");
    say(one, "a\n");
    expect_text(one, "got a\n");
    expect_text(two, "got a\n");
    assert_int_equal(shutdown(one, SHUT_WR), 0);
    expect_end(one, "");
    assert_int_equal(box_expect(&b, MON_CLIENT_GONE, NULL).client, 1);
    say(two, "b\n");
    expect_text(two, "got b\n");
    box_send(&b, &(struct mon_msg){.type = MON_CLOSE_STDIN});
    expect_end(two, "end\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

/* The process closes its stdin: clients may go on typing. */
static void test_input_nobody_reads(void **state) {
    struct box b;
    char block[200000];
    int client;

    memset(block, 'y', sizeof block);
    box_init(&b);
    b.with_stdin = b.o.stdin_once = true;
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    box_start(&b, "exec <&-; echo closed; sleep 0.3; echo end");
    expect_text(client, "closed\n");
    assert_int_equal(io_write_all(client, block, sizeof block), 0);
    expect_end(client, "end\n"); /* no reset, though input is left unread */
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

/* ---- terminals ------------------------------------------------------------------------------ */

static void test_tty(void **state) {
    struct box b;
    int client;

    box_init(&b);
    b.tty = b.with_stdin = true;
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "\x10\x11");
    box_send(&b, &(struct mon_msg){.type = MON_RESIZE, .rows = 33, .cols = 77});
    box_start(&b, "stty -echo; echo quiet; read x; stty size; echo got $x; read y; echo then $y");
    expect_text(client, "quiet\r\n"); /* echo is off */
    say(client, "hello\n");
    expect_text(client, "33 77\r\ngot hello\r\n");
    say(client, "\x10");
    (void)usleep(20000);
    say(client, "\x11");
    assert_int_equal(box_expect(&b, MON_DETACHED, NULL).client, 1);
    expect_end(client, "");
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "\x10\x11");
    say(client, "wor\x10");
    say(client, "ld\n"); /* not the sequence: all of it is passed on */
    expect_end(client, "then wor\x10ld\r\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

/* For a moment no process has the terminal open. */
static void test_tty_reopened(void **state) {
    struct box b;
    int client;

    box_init(&b);
    b.tty = true;
    client = box_attach(&b, OUT, "");
    box_start(&b, "t=$(tty); echo a; exec <&- >&- 2>&-; sleep 0.3; exec >$t; echo b");
    expect_end(client, "a\r\nb\r\n");
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

/* ---- fenced comes and goes ------------------------------------------------------------------ */

static void test_fenced_returns(void **state) {
    struct box b;
    struct mon_msg hello;
    int client, pidfd = -1;
    pid_t pid;

    box_init(&b);
    b.with_stdin = true;
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    box_start(&b, "echo a; read x; echo b$x; read x");
    expect_text(client, "a\n");
    box_leave(&b);
    say(client, "1\n"); /* its stream lives on without fenced */
    expect_text(client, "b1\n");
    box_return(&b);
    hello = box_expect(&b, MON_STATUS, &pidfd);
    assert_true(hello.pid > 0 && hello.start_time > 0);
    assert_int_equal(pidfd_pid(pidfd, &pid), 0);
    assert_int_equal(pid, hello.pid);
    assert_int_equal(pidfd_signal(pidfd, SIGTERM), 0);
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 143);
    (void)close(pidfd);
    (void)close(client);
    assert_int_equal(box_done(&b), 0);
}

static void test_exit_while_fenced_is_away(void **state) {
    struct box b;
    auto_free char *file = NULL;
    struct pollfd p;
    int client;

    box_init(&b);
    b.with_stdin = b.o.stdin_once = true;
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    box_start(&b, "read x; exit 3");
    box_leave(&b);
    say(client, "\n");
    p = (struct pollfd){.fd = client, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    for (int i = 0; i < 2000 && kill(b.monitor, 0) == 0 && !file; i++)
        file = box_file(&b, "exit");
    assert_non_null(file);
    assert_true(str_starts(file, "3 0 "));
    (void)close(client);
    assert_int_equal(box_done(&b), 0);
}

/* fenced comes back while the monitor is busy with the end, or just before. */
static void test_exit_is_told_on_return(void **state) {
    struct box b;

    box_init(&b);
    box_start(&b, "exec sleep 0.2");
    box_leave(&b);
    box_return(&b);
    (void)box_expect(&b, MON_STATUS, NULL);
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 0);
    assert_int_equal(box_done(&b), 0);
}

static void test_newer_connection_replaces(void **state) {
    struct box b;
    int old, client;

    box_init(&b);
    b.with_stdin = true;
    client = box_attach(&b, OUT, "");
    box_start(&b, "echo up; read x");
    expect_text(client, "up\n");
    old = b.conn;
    box_return(&b);
    (void)box_expect(&b, MON_STATUS, NULL);
    expect_end(old, "");
    box_send(&b, &(struct mon_msg){.type = MON_CLOSE_STDIN});
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 1);
    (void)close(client);
    assert_int_equal(box_done(&b), 0);
}

/* ---- resources ------------------------------------------------------------------------------ */

static void test_oom_and_cgroups(void **state) {
    bool unified = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    auto_free char *group =
        xasprintf("/sys/fs/cgroup/%sfence-test-%d", unified ? "" : "memory/", (int)getpid());
    auto_free char *limit =
        xasprintf("%s/%s", group, unified ? "memory.max" : "memory.limit_in_bytes");
    struct mon_msg x;
    struct stat st;
    struct box b;

    if (mkdir(group, 0755) < 0 || io_write_existing_at(AT_FDCWD, limit, "20971520") < 0) {
        (void)rmdir(group);
        skip();
    }
    box_init(&b);
    strv_add(&b.o.cgroup_remove, group);
    b.o.cgroup_memory = xstrdup(group);
    box_start(&b, "x=$(head -c 100000000 /dev/zero | tr '\\0' x)");
    (void)box_expect(&b, MON_OOM, NULL);
    x = box_expect(&b, MON_EXIT, NULL);
    assert_int_equal(x.status, 137);
    assert_int_equal(x.oom, 1);
    assert_int_equal(stat(group, &st), -1);
    assert_int_equal(box_done(&b), 0);
}

/* Without pages of the program file, which monitors share. */
static int64_t private_kib(pid_t pid) {
    auto_free char *path = xasprintf("/proc/%d/smaps_rollup", (int)pid);
    auto_buf text = BUF_INIT;
    int64_t sum = 0;

    assert_int_equal(io_read_file_at(AT_FDCWD, path, &text), 0);
    for (const char *s = buf_str(&text); (s = strstr(s, "\nAnonymous:"));) {
        s = strchr(s, ':') + 1;
        sum += strtol(s, NULL, 10);
    }
    return sum;
}

static void test_memory(void **state) {
    struct box b;
    int64_t fresh, after;
    int client;

    box_init(&b);
    b.with_stdin = true;
    client = box_attach(&b, OUT | MON_ATTACH_STDIN, "");
    box_start(&b,
              "echo up; read x; head -c 1000000 /dev/zero | tr '\\0' '\\n'; echo end >&2; read x");
    expect_text(client, "up\n");
    fresh = private_kib(b.monitor);
    (void)close(client);
    client = box_attach(&b, MON_ATTACH_STDIN | MON_ATTACH_STDERR, "");
    say(client, "\n");
    expect_text(client, "end\n");
    for (int i = 0; (after = private_kib(b.monitor)) > fresh + 40 && i < 100; i++)
        (void)usleep(100000);
    print_message("private memory: %lld KiB at rest, %lld KiB after a burst of output\n",
                  (long long)fresh, (long long)after);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(fresh < 120 && after < 140);
#endif
    box_send(&b, &(struct mon_msg){.type = MON_CLOSE_STDIN});
    assert_int_equal(box_expect(&b, MON_EXIT, NULL).status, 1);
    (void)close(client);
    assert_int_equal(box_done(&b), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_and_exit),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_much_output),
        cmocka_unit_test(test_stalled_client),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_held_pipe),
        cmocka_unit_test(test_signals_are_ignored),
        cmocka_unit_test(test_stdin_once),
        cmocka_unit_test(test_exec_stdin_closes),
        cmocka_unit_test(test_input_of_the_departed),
        cmocka_unit_test(test_early_input),
        cmocka_unit_test(test_shared_stdin),
        cmocka_unit_test(test_input_nobody_reads),
        cmocka_unit_test(test_tty),
        cmocka_unit_test(test_tty_reopened),
        cmocka_unit_test(test_fenced_returns),
        cmocka_unit_test(test_exit_while_fenced_is_away),
        cmocka_unit_test(test_exit_is_told_on_return),
        cmocka_unit_test(test_newer_connection_replaces),
        cmocka_unit_test(test_oom_and_cgroups),
        cmocka_unit_test(test_memory),
    };

    if (!getenv("FENCE_MONITOR")) {
        (void)fputs("FENCE_MONITOR names no program\n", stderr);
        return 77;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
