/* SPDX-License-Identifier: Apache-2.0 */
#include "box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "sys/fdpass.h"
#include "sys/procfd.h"

#define WAIT_MS 20000

void box_init(struct box *b) {
    *b = (struct box){.conn = -1};
    (void)snprintf(b->dir, sizeof b->dir, "/tmp/fence-test-monitor-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->log, sizeof b->log, "%s/log", b->dir);
    monitor_options_init(&b->o);
    b->o.id = xstrdup("c0ffee");
    b->o.log_driver = xstrdup("json-file");
    b->o.log_path = xstrdup(b->log);
}

/* ---- the set-up process --------------------------------------------------------------------- */

static void must(bool ok, const char *what) {
    if (!ok) {
        perror(what);
        _exit(99);
    }
}

static void keep(int fd) {
    must(fcntl(fd, F_SETFD, 0) == 0, "fcntl");
}

static _Noreturn void run_script(const char *script, int in, int out, int err, int slave) {
    if (slave >= 0) {
        must(setsid() >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0, "tty");
        in = out = err = slave;
    }
    must(dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2, "dup2");
    (void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
    _exit(127);
}

static int listen_at(const char *dir) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s/monitor.sock", dir);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(fd, 8) == 0,
         "listen");
    return fd;
}

static _Noreturn void set_up_process(struct box *b, int conn, const char *script) {
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, master = -1, slave = -1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    char **argv;
    pid_t pid;

    must(null >= 0, "null");
    if (b->tty) {
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        must(master >= 0 && unlockpt(master) == 0, "ptmx");
        slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        must(slave >= 0, "pty");
    } else {
        must(pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 && pipe2(in, O_CLOEXEC) == 0,
             "pipe");
    }
    pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        if (b->o.cgroup_memory) {
            char procs[512];

            (void)snprintf(procs, sizeof procs, "%s/cgroup.procs", b->o.cgroup_memory);
            must(io_write_existing_at(AT_FDCWD, procs, "0") == 0, "cgroup");
        }
        run_script(script, b->with_stdin ? in[0] : null, out[1], err[1], slave);
    }
    b->o.pid = pid;
    must(proc_start_time(pid, &b->o.start_time) == 0, "start time");
    b->o.pidfd = pidfd_open_pid(pid);
    b->o.conn_fd = conn;
    b->o.listen_fd = listen_at(b->dir);
    b->o.state_dir_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(b->o.pidfd >= 0 && b->o.state_dir_fd >= 0, "descriptors");
    keep(b->o.pidfd);
    keep(b->o.conn_fd);
    keep(b->o.listen_fd);
    keep(b->o.state_dir_fd);
    if (b->tty) {
        keep(b->o.tty_fd = master);
        b->o.open_stdin = b->with_stdin;
    } else {
        if (b->with_stdin)
            keep(b->o.stdin_fd = in[1]);
        keep(b->o.stdout_fd = out[0]);
        keep(b->o.stderr_fd = err[0]);
    }
    /* As promised in options.h; and a monitor that a failed test leaves behind holds no pipe. */
    must(dup2(null, 0) == 0 && dup2(null, 1) == 1, "dup2");
    argv = monitor_argv(&b->o);
    (void)execv(getenv("FENCE_MONITOR"), argv);
    must(false, "execv of FENCE_MONITOR");
    _exit(99);
}

/* The set-up process' end of the connection, which exists before the process does. */
static int other_end = -1;

static void connect_pair(struct box *b) {
    int pair[2];

    if (b->conn >= 0)
        return;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    b->conn = pair[0];
    other_end = pair[1];
}

void box_start(struct box *b, const char *script) {
    connect_pair(b);
    b->monitor = fork();
    assert_true(b->monitor >= 0);
    if (b->monitor == 0)
        set_up_process(b, other_end, script);
    other_end = fd_close(other_end);
}

/* ---- fenced --------------------------------------------------------------------------------- */

static void send_with(struct box *b, struct mon_msg msg, const char *text, int fd) {
    struct iovec iov[2] = {{&msg, sizeof msg}, {(void *)text, strlen(text)}};

    msg.magic = MON_MAGIC;
    msg.version = MON_VERSION;
    msg.text_len = (uint32_t)strlen(text);
    assert_int_equal(fdpass_sendv(b->conn, iov, msg.text_len ? 2 : 1, &fd, fd >= 0), 0);
}

void box_send(struct box *b, const struct mon_msg *msg) {
    send_with(b, *msg, "", -1);
}

int box_attach_early(struct box *b, uint32_t flags, const char *keys, const char *early) {
    auto_free char *text = xasprintf("%s%s", keys, early);
    struct mon_msg msg = {.type = MON_ATTACH,
                          .client = ++b->next_client,
                          .flags = flags,
                          .rows = (int32_t)strlen(keys)};
    int pair[2];

    connect_pair(b);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    send_with(b, msg, text, pair[1]);
    (void)close(pair[1]);
    return pair[0];
}

int box_attach(struct box *b, uint32_t flags, const char *keys) {
    return box_attach_early(b, flags, keys, "");
}

struct mon_msg box_expect(struct box *b, uint32_t type, int *ret_fd) {
    for (;;) {
        struct pollfd p = {.fd = b->conn, .events = POLLIN};
        struct {
            struct mon_msg msg;
            char text[MON_TEXT_MAX];
        } in;
        size_t n_fds = 1;
        int fd = -1;
        ssize_t n;

        if (poll(&p, 1, WAIT_MS) != 1)
            fail_msg("no message of type %u", type);
        n = fdpass_recv(b->conn, &in, sizeof in, &fd, &n_fds);
        if (n <= 0)
            fail_msg("the connection ended before a message of type %u", type);
        assert_true(n >= (ssize_t)sizeof in.msg && in.msg.magic == MON_MAGIC);
        if (in.msg.type == type && ret_fd)
            *ret_fd = fd;
        else
            fd_close(n_fds ? fd : -1);
        if (in.msg.type == type)
            return in.msg;
    }
}

void box_leave(struct box *b) {
    b->conn = fd_close(b->conn);
}

void box_return(struct box *b) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "%s/monitor.sock", b->dir);
    b->conn = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(b->conn >= 0);
    /* The set-up process may still be at it. */
    for (int i = 0; connect(b->conn, (struct sockaddr *)&sa, sizeof sa) < 0; i++) {
        if (i == WAIT_MS)
            fail_msg("%s: %s", sa.sun_path, strerror(errno));
        (void)usleep(1000);
    }
}

char *box_file(struct box *b, const char *name) {
    auto_free char *path = xasprintf("%s/%s", b->dir, name);
    auto_buf text = BUF_INIT;
    int r = io_read_file_at(AT_FDCWD, path, &text);

    if (r < 0)
        fail_msg("%s: %s", path, strerror(-r));
    return buf_take(&text);
}

static void remove_dir(const char *path) {
    DIR *d = opendir(path);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d))) {
        if (e->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
    }
    (void)closedir(d);
    assert_int_equal(rmdir(path), 0);
}

int box_done(struct box *b) {
    int status = -1;

    for (int waited = 0; waitpid(b->monitor, &status, WNOHANG) == 0; waited++) {
        if (waited == WAIT_MS) {
            (void)kill(b->monitor, SIGKILL);
            fail_msg("the monitor does not end");
        }
        (void)usleep(1000);
    }
    box_leave(b);
    remove_dir(b->dir);
    monitor_options_done(&b->o);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- streams -------------------------------------------------------------------------------- */

void read_all(int fd, struct buf *out, size_t max) {
    while (out->len < max) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char block[65536];
        size_t want = max - out->len < sizeof block ? max - out->len : sizeof block;
        ssize_t n;

        if (poll(&p, 1, WAIT_MS) != 1)
            fail_msg("the stream stalls after %zu bytes: %s", out->len, buf_str(out));
        n = read(fd, block, want);
        if (n < 0)
            fail_msg("read: %s", strerror(errno));
        if (n == 0)
            return;
        assert_true(buf_append(out, block, (size_t)n));
    }
}

char *demux(const struct buf *in, int stream) {
    auto_buf out = BUF_INIT;
    size_t at = 0;

    while (at < in->len) {
        const unsigned char *h = (const unsigned char *)in->data + at;
        size_t n;

        assert_true(in->len - at >= 8);
        assert_true(h[0] <= 2 && h[1] == 0 && h[2] == 0 && h[3] == 0);
        n = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
        assert_true(in->len - at - 8 >= n);
        if (h[0] == stream)
            assert_true(buf_append(&out, h + 8, n));
        at += 8 + n;
    }
    return buf_take(&out);
}
