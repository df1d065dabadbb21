/* SPDX-License-Identifier: Apache-2.0 */
/* fence-init as a process; that it is not PID 1 here changes nothing but who reaps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

struct run {
    pid_t pid;
    int fd; /* its stdout, or the pty master */
};

static struct run start(bool tty, const char *const *program) {
    const char *argv[8] = {"fence-init", "--"};
    struct run r = {.fd = -1};
    int ends[2], slave = -1;

    for (size_t i = 0; program[i]; i++)
        argv[i + 2] = program[i];
    if (tty) {
        r.fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(r.fd >= 0 && unlockpt(r.fd) == 0);
        slave = ioctl(r.fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(slave >= 0);
    } else {
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        r.fd = ends[0];
        slave = ends[1];
    }
    r.pid = fork();
    assert_true(r.pid >= 0);
    if (r.pid == 0) {
        if (tty && (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) < 0 || dup2(slave, 0) < 0))
            _exit(99);
        if (dup2(slave, 1) < 0 || dup2(slave, 2) < 0)
            _exit(99);
        /* Under nohup, or behind a shell's &: what is ignored at the start a shell cannot trap. */
        (void)signal(SIGHUP, SIG_DFL);
        (void)signal(SIGINT, SIG_DFL);
        (void)signal(SIGQUIT, SIG_DFL);
        (void)execv(getenv("FENCE_INIT"), (char *const *)argv);
        _exit(99);
    }
    (void)close(slave);
    return r;
}

static int finish(struct run *r) {
    int status;

    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    (void)close(r->fd);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(struct run *r, const char *text) {
    char got[256];
    size_t n = strlen(text);

    assert_true(n < sizeof got);
    assert_int_equal(io_read_full(r->fd, got, n), n);
    assert_memory_equal(got, text, n);
}

#define SH(script)                                                                                 \
    (const char *const[]) {                                                                        \
        "sh", "-c", script, NULL                                                                   \
    }

static void test_status(void **state) {
    static const struct {
        const char *script;
        int code;
    } cases[] = {{"exit 0", 0}, {"exit 42", 42}, {"kill -TERM $$", 143}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct run r = start(false, SH(cases[i].script));

        assert_int_equal(finish(&r), cases[i].code);
    }
}

static void test_not_started(void **state) {
    struct run r = start(false, (const char *const[]){"/no/such/program", NULL});

    expect(&r, "fence-init: exec /no/such/program: No such file or directory\n");
    assert_int_equal(finish(&r), 127);
    r = start(false, (const char *const[]){"/tmp", NULL});
    expect(&r, "fence-init: exec /tmp: Permission denied\n");
    assert_int_equal(finish(&r), 126);
}

static void test_signals_are_forwarded(void **state) {
    static const int signals[] = {SIGTERM, SIGHUP, SIGUSR1, SIGINT};

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct run r = start(false, SH("trap 'echo caught; exit 5' TERM HUP USR1 INT; echo up; "
                                       "while :; do sleep 0.02; done"));

        expect(&r, "up\n");
        assert_int_equal(kill(r.pid, signals[i]), 0);
        expect(&r, "caught\n");
        assert_int_equal(finish(&r), 5);
    }
}

/* Orphans end up with it and do not stay zombies. */
static void test_reaps(void **state) {
    struct run r = start(false, SH("(sleep 0.05 & echo $! ) ; sleep 0.3; echo done; read x"));
    char line[64] = "", path[96];
    size_t n = 0;

    while (n < sizeof line - 1 && read(r.fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    expect(&r, "done\n");
    (void)snprintf(path, sizeof path, "/proc/%s/stat", line);
    assert_int_equal(access(path, F_OK), -1);
    (void)kill(r.pid, SIGKILL);
    assert_int_equal(waitpid(r.pid, NULL, 0), r.pid);
    (void)close(r.fd);
}

/* The program is in the terminal's foreground: it may read, and ^C reaches it. */
static void test_terminal(void **state) {
    struct run r = start(true, SH("stty -echo; echo up; read x; echo got $x; sleep 10"));

    expect(&r, "up\r\n");
    assert_int_equal(io_write_all(r.fd, "text\n", 5), 0);
    expect(&r, "got text\r\n");
    assert_int_equal(io_write_all(r.fd, "\x03", 1), 0);
    assert_int_equal(finish(&r), 130);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_not_started),
        cmocka_unit_test(test_signals_are_forwarded),
        cmocka_unit_test(test_reaps),
        cmocka_unit_test(test_terminal),
    };

    if (!getenv("FENCE_INIT")) {
        (void)fputs("FENCE_INIT names no program\n", stderr);
        return 77;
    }
    return cmocka_run_group_tests_name("init", tests, NULL, NULL);
}
