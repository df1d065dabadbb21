/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's side of interfaces that come and go: answers, errors, a spawner that dies. Needs
 * root; FENCE_SPAWNER names the program. All of it in a network namespace of its own. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/net_call.h"
#include "engine/spawner_link.h"
#include "sys/link.h"
#include "sys/netlink.h"
#include "sys/procfd.h"

struct fixture {
    struct engine engine;
    pid_t pid; /* a process with a network namespace of its own: a container */
    int pidfd;
    unsigned answers;
    char *error; /* the last answer's, or NULL */
};

/* Sleeps in a new network namespace; returns when it is in there. */
static pid_t sleeper(void) {
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    assert_true(pid > 0);
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    char *program = xstrdup(getenv("FENCE_SPAWNER"));
    *strrchr(program, '/') = '\0';
    f->engine.options.libexec = program;
    f->engine.loop = loop_new();
    list_init(&f->engine.net_calls);
    f->engine.spawner = spawner_link_new(&f->engine);
    f->pid = sleeper();
    f->pidfd = pidfd_open_pid(f->pid);
    assert_true(f->pidfd >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    net_call_drop_all(&f->engine);
    spawner_link_free(f->engine.spawner);
    loop_free(f->engine.loop);
    assert_int_equal(kill(f->pid, SIGKILL), 0);
    assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
    fd_close(f->pidfd);
    free(f->engine.options.libexec);
    free(f->error);
    free(f);
    return 0;
}

static void on_done(void *arg, struct err *e) {
    struct fixture *f = arg;
    f->answers++;
    free(f->error);
    f->error = e->class == ERR_NONE ? NULL : xstrdup(err_msg(e));
    loop_stop(f->engine.loop);
}

static int call(struct fixture *f, const char *op, const char *bridge) {
    struct rt_request q;
    field_init(&rt_request_table, &q);
    str_set(&q.op, op);
    str_set(&q.id, "box");
    struct rt_interface *i = field_array_add(&q.net.interfaces, &rt_interface_table);
    str_set(&i->kind, "veth");
    str_set(&i->bridge, bridge);
    str_set(&i->host_if, "vethtest0");
    str_set(&i->name, "eth0");
    strv_add(&i->addresses, "10.1.0.2/16");
    int r = net_call(&f->engine, &q, f->pidfd, on_done, f);
    field_done(&rt_request_table, &q);
    return r;
}

static bool is_there(void) {
    unsigned index;
    return link_index("vethtest0", &index) == 0;
}

static void run(struct fixture *f, unsigned answers) {
    while (f->answers < answers)
        assert_int_equal(loop_run(f->engine.loop), 0);
    assert_int_equal(f->answers, answers);
}

static void answers_come_once(void **state) {
    struct fixture *f = *state;
    assert_int_equal(call(f, "connect", "br1"), 0);
    assert_int_equal(f->answers, 0); /* from the loop */
    run(f, 1);
    assert_null(f->error);
    assert_true(is_there());
    assert_int_equal(call(f, "connect", "br9"), 0);
    run(f, 2);
    assert_string_equal(f->error, "failed to find bridge br9: no such device");
    assert_int_equal(call(f, "disconnect", ""), 0);
    run(f, 3);
    assert_null(f->error);
    assert_false(is_there());
}

static void what_cannot_be_sent_is_told_at_once(void **state) {
    struct fixture *f = *state;
    str_set(&f->engine.options.libexec, "/nowhere");
    assert_true(call(f, "connect", "br1") < 0);
    assert_int_equal(f->answers, 1);
    assert_non_null(strstr(f->error, "/nowhere/fence-spawner"));
}

/* Its command line is empty for a moment while it executes the copy of itself. */
static pid_t spawner_pid(void) {
    char line[32] = "";
    char command[64];
    snprintf(command, sizeof command, "pgrep -P %d -xf fence-spawner", (int)getpid());
    for (int n = 0; n < 500 && !*line; n++) {
        FILE *p = popen(command, "re");
        assert_non_null(p);
        if (!fgets(line, sizeof line, p))
            usleep(10 * 1000);
        (void)pclose(p);
    }
    assert_true(*line);
    return (pid_t)atoi(line);
}

static void a_dying_spawner_loses_nothing(void **state) {
    struct fixture *f = *state;
    auto_err e = ERR_INIT;
    assert_int_equal(spawner_link_warm_up(f->engine.spawner, &e), 0);
    pid_t pid = spawner_pid();
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(call(f, "connect", "br1"), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    run(f, 1);
    assert_null(f->error);
    assert_true(is_there());
    assert_int_not_equal(spawner_pid(), pid);
    assert_int_equal(call(f, "disconnect", ""), 0);
    run(f, 2);
    assert_null(f->error);
}

static void the_end_of_the_daemon_is_an_answer(void **state) {
    struct fixture *f = *state;
    auto_err e = ERR_INIT;
    assert_int_equal(spawner_link_warm_up(f->engine.spawner, &e), 0);
    pid_t pid = spawner_pid();
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(call(f, "connect", "br1"), 0);
    net_call_drop_all(&f->engine);
    assert_int_equal(f->answers, 1);
    assert_string_equal(f->error,
                        "the daemon ends while the network of container box is being changed");
    /* What lay in the socket is not carried out any more. */
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(call(f, "disconnect", ""), 0);
    run(f, 2);
    assert_false(is_there());
}

int main(void) {
    if (geteuid() != 0 || !getenv("FENCE_SPAWNER") || unshare(CLONE_NEWNET) < 0) {
        fprintf(stderr, "needs root, network namespaces and FENCE_SPAWNER\n");
        return 77;
    }
    if (system("ip link add br1 type bridge && ip link set br1 up") != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_come_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_sent_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dying_spawner_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_the_daemon_is_an_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
