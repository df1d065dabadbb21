/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's end of fence-netd, with the real process: started, found again, lost, ended. Needs
 * root; FENCE_SPAWNER names a program beside which the others are. In a network namespace of its
 * own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/netd_link.h"
#include "engine/spawner_link.h"
#include "netd/client.h"
#include "sys/link.h"
#include "sys/netlink.h"
#include "sys/procfd.h"

struct fixture {
    struct engine engine;
    struct netd_link *link;
    char dir[64];
    unsigned answers, losses;
    char *error; /* the last answer's, or NULL */
    uint16_t ports[2];
};

static struct fixture *current; /* lost() has the engine alone */

static void on_lost(struct engine *eng) {
    current->losses++;
    loop_stop(eng->loop);
}

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    char *program = xstrdup(getenv("FENCE_SPAWNER"));
    *strrchr(program, '/') = '\0';
    snprintf(f->dir, sizeof f->dir, "/tmp/netd-link-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->engine.options.libexec = program;
    f->engine.options.exec_root = f->dir;
    f->engine.loop = loop_new();
    list_init(&f->engine.net_calls);
    f->engine.spawner = spawner_link_new(&f->engine);
    f->link = netd_link_new(&f->engine, on_lost);
    *state = current = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    if (f->link)
        netd_link_shutdown(f->link);
    netd_link_free(f->link);
    spawner_link_free(f->engine.spawner);
    loop_free(f->engine.loop);
    auto_free char *path = xasprintf("%s/netd.sock", f->dir);
    for (int i = 0; access(path, F_OK) == 0 && i < 2000; i++)
        usleep(5000);
    assert_int_equal(rmdir(f->dir), 0); /* the process has taken its socket away */
    free(f->engine.options.libexec);
    free(f->error);
    free(f);
    return 0;
}

static void on_reserved(void *arg, const uint16_t *ports, struct err *e) {
    struct fixture *f = arg;
    f->answers++;
    free(f->error);
    f->error = ports ? NULL : xstrdup(err_msg(e));
    if (ports)
        memcpy(f->ports, ports, sizeof f->ports);
    loop_stop(f->engine.loop);
}

static struct netd_port tcp(uint16_t first, uint16_t last) {
    struct netd_port p = {
        .proto = IPPROTO_TCP, .host_count = 2, .first = first, .last = last, .to_port = 80};
    assert_int_equal(ip_parse("0.0.0.0", &p.hosts[0]), 0);
    assert_int_equal(ip_parse("::", &p.hosts[1]), 0);
    assert_int_equal(ip_parse("127.0.0.1", &p.to), 0);
    return p;
}

static void reserve(struct fixture *f, const char *owner, struct netd_port a, struct netd_port b) {
    const struct netd_port p[2] = {a, b};
    unsigned before = f->answers;
    netd_reserve(f->link, owner, p, 2, on_reserved, f);
    assert_int_equal(f->answers, before); /* not from the call itself */
    while (f->answers == before)
        assert_int_equal(loop_run(f->engine.loop), 0);
}

static void test_reserve(void **state) {
    struct fixture *f = *state;
    assert_false(netd_link_is_up(f->link));
    reserve(f, "a", tcp(7000, 7000), tcp(7001, 7010));
    assert_null(f->error);
    assert_true(netd_link_is_up(f->link));
    assert_int_equal(f->ports[0], 7000);
    assert_int_equal(f->ports[1], 7001);
    reserve(f, "b", tcp(7001, 7010), tcp(7002, 7010));
    assert_int_equal(f->ports[0], 7002);
    assert_int_equal(f->ports[1], 7003);
    /* Docker's words; and the first of the two is given back */
    reserve(f, "c", tcp(7004, 7004), tcp(7000, 7000));
    assert_string_equal(f->error, "listen tcp4 0.0.0.0:7000: bind: address already in use");
    reserve(f, "c", tcp(7004, 7004), tcp(7002, 7003));
    assert_string_equal(f->error, "all ports are allocated");
    reserve(f, "c", tcp(7004, 7004), tcp(7005, 7005));
    assert_null(f->error);
    const struct netd_port one = {.proto = IPPROTO_TCP, .first = 7002};
    netd_release(f->link, "b", &one, 1);
    netd_release(f->link, "a", NULL, 0);
    reserve(f, "d", tcp(7000, 7000), tcp(7002, 7003));
    assert_null(f->error);
    assert_int_equal(f->ports[1], 7002);
}

static void test_many_ports(void **state) {
    struct fixture *f = *state;
    enum { COUNT = 2500 };
    auto_free struct netd_port *p = xcalloc(COUNT, sizeof *p);
    for (size_t i = 0; i < COUNT; i++)
        p[i] = tcp((uint16_t)(20000 + i), (uint16_t)(20000 + i));
    netd_reserve(f->link, "many", p, COUNT, on_reserved, f);
    while (f->answers == 0)
        assert_int_equal(loop_run(f->engine.loop), 0);
    assert_null(f->error);
    netd_release(f->link, "many", NULL, 0);
    /* One in the last part that is taken: nothing of the others stays. */
    reserve(f, "other", tcp(22400, 22400), tcp(22401, 22401));
    netd_reserve(f->link, "many", p, COUNT, on_reserved, f);
    while (f->answers < 3)
        assert_int_equal(loop_run(f->engine.loop), 0);
    assert_string_equal(f->error, "listen tcp4 0.0.0.0:22400: bind: address already in use");
    reserve(f, "other", tcp(20000, 20000), tcp(22000, 22000));
    assert_null(f->error);
}

static pid_t process_of(const struct fixture *f) {
    struct ucred who;
    socklen_t len = sizeof who;
    auto_fd fd = netd_connect(netd_link_path(f->link), 0);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len), 0);
    return who.pid;
}

static void test_lost(void **state) {
    struct fixture *f = *state;
    reserve(f, "a", tcp(7000, 7000), tcp(7001, 7001));
    pid_t first = process_of(f);
    assert_int_equal(kill(first, SIGKILL), 0);
    while (f->losses == 0)
        assert_int_equal(loop_run(f->engine.loop), 0);
    assert_false(netd_link_is_up(f->link));
    reserve(f, "a", tcp(7000, 7000), tcp(7001, 7001));
    assert_null(f->error);
    pid_t second = process_of(f);
    assert_int_not_equal(first, second);
    /* One that is on its way when the process dies is made again. */
    assert_int_equal(kill(second, SIGKILL), 0);
    reserve(f, "b", tcp(7000, 7000), tcp(7001, 7001));
    assert_null(f->error);
}

static void test_found_again(void **state) {
    struct fixture *f = *state;
    reserve(f, "a", tcp(7000, 7000), tcp(7001, 7001));
    pid_t first = process_of(f);
    netd_link_free(f->link);
    f->link = netd_link_new(&f->engine, on_lost);
    assert_true(netd_link_is_up(f->link));
    assert_int_equal(process_of(f), first);
    /* The next daemon knows of one port only, under another owner too. */
    netd_sync_begin(f->link);
    reserve(f, "a", tcp(7000, 7000), tcp(7002, 7002));
    assert_null(f->error);
    netd_sync_end(f->link);
    reserve(f, "b", tcp(7001, 7001), tcp(7003, 7003));
    assert_null(f->error);
    reserve(f, "b", tcp(7000, 7000), tcp(7004, 7004));
    assert_string_equal(f->error, "listen tcp4 0.0.0.0:7000: bind: address already in use");
}

static void test_no_program(void **state) {
    struct fixture *f = *state;
    auto_free char *spawner = xasprintf("%s/fence-spawner", f->engine.options.libexec);
    auto_free char *link = xasprintf("%s/fence-spawner", f->dir);
    char *libexec = f->engine.options.libexec;
    assert_int_equal(symlink(spawner, link), 0);
    f->engine.options.libexec = f->dir;
    reserve(f, "a", tcp(7000, 7000), tcp(7001, 7001));
    f->engine.options.libexec = libexec;
    assert_int_equal(unlink(link), 0);
    assert_non_null(strstr(f->error, "host ports cannot be reserved: failed to execute "));
    assert_non_null(strstr(f->error, "fence-netd: no such file or directory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reserve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_ports, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_program, setup, teardown),
    };
    if (geteuid() != 0)
        return 77;
    unsigned index;
    auto_fd nl = unshare(CLONE_NEWNET) == 0 ? nl_open(NETLINK_ROUTE) : -1;
    if (nl < 0 || link_index("lo", &index) < 0 || link_set_up(nl, index) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
