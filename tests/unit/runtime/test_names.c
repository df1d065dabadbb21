/* SPDX-License-Identifier: Apache-2.0 */
/* fence-netd and set-up processes, all real: it is started as one, and told of a container's
 * network namespace before the container's program runs. In a network namespace of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "box.h"
#include "netd/message.h"
#include "sys/fdpass.h"
#include "sys/procfd.h"

static int daemon_conn; /* fence-netd's connection with its daemon, which we are */
static char socket_path[128];

static int group_setup(void **state) {
    struct spawn_joins none = SPAWN_JOINS_NONE;
    auto_err e = ERR_INIT;
    struct rt_request q;
    int pair[2];
    if (unshare(CLONE_NEWNET) < 0 || box_group_setup(state) < 0)
        return -1;
    snprintf(socket_path, sizeof(socket_path), "%s/" NETD_SOCKET, work);
    field_init(&rt_request_table, &q);
    q.op = xstrdup("netd");
    q.id = xstrdup("netd");
    q.monitor = xstrdup(getenv("FENCE_NETD"));
    q.net.netd = xstrdup(socket_path);
    auto_fd request = spawn_request_fd(&q, &e);
    field_done(&rt_request_table, &q);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
        spawner_request(spawner.control, request, pair[1], &none, &e) < 0)
        return -1;
    close(pair[1]);
    daemon_conn = pair[0];
    return 0;
}

static void say(struct buf *b) {
    assert_int_equal(netd_end(b), 0);
    assert_int_equal(fdpass_send(daemon_conn, b->data, b->len, NULL, 0), 0);
}

static int group_teardown(void **state) {
    auto_buf b = BUF_INIT;
    char rest[64];
    netd_begin(&b, NETD_SHUTDOWN, 0);
    say(&b);
    /* It has ended, and its socket is gone, when this does. */
    assert_int_equal(fdpass_recv(daemon_conn, rest, sizeof(rest), NULL, NULL), 0);
    close(daemon_conn);
    assert_int_not_equal(access(socket_path, F_OK), 0);
    return box_group_teardown(state);
}

static bool attached(unsigned count) {
    auto_buf b = BUF_INIT;
    char answer[512], want[32];
    struct netd_msg head;
    struct netd_in in;
    netd_begin(&b, NETD_STATUS, 0);
    say(&b);
    ssize_t n = fdpass_recv(daemon_conn, answer, sizeof(answer), NULL, NULL);
    assert_true(n > 0);
    assert_int_equal(netd_open(answer, (size_t)n, &head, &in), 0);
    snprintf(want, sizeof(want), " attached=%u ", count);
    return strstr(netd_get_text(&in, sizeof(answer)), want);
}

static void put_names(const char *id) {
    char *const names[] = {(char *)"web", NULL}, *const networks[] = {(char *)"n", NULL};
    const struct netd_addr ip = {AF_INET, {10, 1, 0, 9}}, none = {0};
    auto_buf b = BUF_INIT;
    netd_begin(&b, NETD_ENDPOINT_PUT, 0);
    netd_put_text(&b, "n");
    netd_put_text(&b, "web");
    netd_put_addr(&b, &ip);
    netd_put_addr(&b, &none);
    netd_put_list(&b, names);
    netd_put_text(&b, "net");
    say(&b);
    netd_begin(&b, NETD_SANDBOX_PUT, 0);
    netd_put_text(&b, id);
    netd_put_list(&b, networks);
    netd_put_list(&b, NULL);
    netd_put_list(&b, NULL);
    netd_put_u8(&b, 0);
    say(&b);
}

/* Asks 127.0.0.11 in the container's namespace for web. */
static void expect_name(const struct box *b) {
    static const char query[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\3web\0\0\1\0\1";
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_in to = {
            .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f00000b)};
        struct timeval patience = {.tv_sec = 5};
        char answer[512];
        int pidfd = pidfd_open_pid(b->pid);
        if (pidfd < 0 || setns(pidfd, CLONE_NEWNET) < 0)
            _exit(2);
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
            send(fd, query, sizeof(query) - 1, 0) < 0)
            _exit(3);
        ssize_t n = recv(fd, answer, sizeof(answer), 0);
        _exit(n > 4 && memcmp(answer + n - 4, "\x0a\x01\x00\x09", 4) == 0 ? 0 : 4);
    }
    int status;
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void box_with_names(struct box *b, bool userns, bool told) {
    box_init(b, userns, "/bin/probe|sleep=60");
    b->req.net.mode = xstrdup("own");
    b->req.net.netd = xstrdup(socket_path);
    if (told)
        put_names(b->req.id);
    box_send(b);
    box_wait(b, true);
}

static void names_are_there(void **state) {
    for (int userns = 0; userns < 2; userns++) {
        struct box b;
        box_with_names(&b, userns, true);
        if (b.error)
            print_message("error: %s\n", b.error);
        assert_true(b.started);
        assert_true(attached(1));
        expect_name(&b);
        assert_int_equal(kill(b.pid, SIGKILL), 0);
        box_wait(&b, false);
        box_done(&b);
        for (int i = 0; !attached(0) && i < 1000; i++)
            usleep(5000);
        assert_true(attached(0));
    }
}

static void names_that_nobody_has_told(void **state) {
    struct box b;
    box_with_names(&b, false, false);
    assert_false(b.started);
    assert_non_null(b.error);
    assert_non_null(strstr(b.error, "the daemon has not told the names of this container: no such "
                                    "file or directory"));
    assert_true(attached(0));
    box_done(&b);
}

static void nobody_at_the_socket(void **state) {
    struct box b;
    box_init(&b, false, "/bin/probe|sleep=60");
    b.req.net.mode = xstrdup("own");
    b.req.net.netd = xasprintf("%s/nobody.sock", work);
    box_send(&b);
    box_wait(&b, true);
    assert_false(b.started);
    assert_non_null(strstr(b.error, "failed to reach fence-netd at "));
    box_done(&b);
}

int main(void) {
    if (!box_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_there),
        cmocka_unit_test(names_that_nobody_has_told),
        cmocka_unit_test(nobody_at_the_socket),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
