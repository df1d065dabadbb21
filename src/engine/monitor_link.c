/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/monitor_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "monitor/protocol.h"
#include "sys/fdpass.h"

struct monitor_link {
    struct loop *loop;
    int fd;
    struct loop_fd *watch;
    const struct monitor_events *events;
    void *arg;
    bool in_callback, freed;
};

static void really_free(struct monitor_link *m) {
    loop_fd_free(m->watch);
    fd_close(m->fd);
    free(m);
}

void monitor_link_free(struct monitor_link *m) {
    if (!m)
        return;
    m->freed = true;
    if (!m->in_callback)
        really_free(m);
}

/* "class\0text" as A sends it. */
static void on_failed(struct monitor_link *m, const struct mon_msg *msg, const char *text) {
    size_t class_len = strnlen(text, msg->text_len);
    struct err e = ERR_INIT;

    if (class_len < msg->text_len)
        (void)err_set(&e, err_class_parse(text), "%.*s", (int)(msg->text_len - class_len - 1),
                      text + class_len + 1); /* sets, cannot fail */
    else
        (void)err_sys(&e, msg->status, "container set-up failed");
    m->events->failed(m->arg, &e);
    err_done(&e);
}

static void on_message(struct monitor_link *m, const struct mon_msg *msg, const char *text,
                       int *fd) {
    switch (msg->type) {
    case MON_STARTED:
    case MON_STATUS:
        if (*fd >= 0) {
            struct monitor_started s = {msg->pid, msg->start_time, take_fd(fd)};

            m->events->started(m->arg, &s);
        }
        break;
    case MON_FAILED:
        on_failed(m, msg, text);
        break;
    case MON_EXIT: {
        struct monitor_exit x = {.status = msg->status,
                                 .oom = msg->oom != 0,
                                 .groups_left = msg->flags & MON_EXIT_GROUPS_LEFT,
                                 .time_ns = msg->time_ns};

        m->events->exited(m->arg, &x);
        break;
    }
    case MON_OOM:
        m->events->oom(m->arg);
        break;
    case MON_DETACHED:
    case MON_CLIENT_GONE:
        m->events->client_end(m->arg, msg->client, msg->type == MON_DETACHED);
        break;
    case MON_DONE:
        if (m->events->done)
            m->events->done(m->arg);
        break;
    default: /* of a newer release: nothing that an older one must know */
        break;
    }
}

static void on_ready(void *arg, unsigned events) {
    struct monitor_link *m = arg;

    (void)events;
    m->in_callback = true;
    while (!m->freed) {
        struct {
            struct mon_msg msg;
            char text[MON_TEXT_MAX + 1];
        } in;
        size_t n_fds = 1;
        int fd = -1;
        ssize_t n = fdpass_recv(m->fd, &in, sizeof in - 1, &fd, &n_fds);

        if (n == -EAGAIN || n == -EINTR)
            break;
        if (n < (ssize_t)sizeof in.msg || in.msg.magic != MON_MAGIC ||
            in.msg.text_len != (size_t)n - sizeof in.msg) {
            fd_close(fd);
            loop_fd_set(m->watch, 0);
            m->events->closed(m->arg);
            break;
        }
        in.text[in.msg.text_len] = '\0';
        on_message(m, &in.msg, in.text, &fd);
        fd_close(fd);
    }
    m->in_callback = false;
    if (m->freed)
        really_free(m);
}

struct monitor_link *monitor_link_new(struct loop *l, int fd, const struct monitor_events *events,
                                      void *arg) {
    struct monitor_link *m = xnew(struct monitor_link);

    (void)io_set_nonblock(fd, true); /* a socket: cannot fail */
    m->loop = l;
    m->fd = fd;
    m->events = events;
    m->arg = arg;
    m->watch = loop_fd_new(l, fd, LOOP_READ, on_ready, m);
    return m;
}

int monitor_link_connect(const char *state_dir) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    auto_fd dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd fd = -1;
    int n;

    if (dir < 0)
        return -errno;
    /* Through the descriptor: state directories may be longer than sun_path. */
    n = snprintf(sa.sun_path, sizeof sa.sun_path, "/proc/self/fd/%d/monitor.sock", dir);
    if (n < 0 || (size_t)n >= sizeof sa.sun_path)
        return -ENAMETOOLONG;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
        return -errno;
    return take_fd(&fd);
}

static int send_msg(struct monitor_link *m, struct mon_msg *msg, const void *text, size_t len,
                    int fd) {
    struct iovec iov[2] = {{msg, sizeof *msg}, {(void *)text, len}};

    if (len > MON_TEXT_MAX)
        return -EMSGSIZE;
    msg->magic = MON_MAGIC;
    msg->version = MON_VERSION;
    msg->text_len = (uint32_t)len;
    return fdpass_sendv(m->fd, iov, len ? 2 : 1, &fd, fd >= 0 ? 1 : 0);
}

int monitor_link_attach(struct monitor_link *m, uint64_t client, unsigned flags, const char *keys,
                        size_t keys_len, const char *early, size_t early_len, int client_fd) {
    struct mon_msg msg = {
        .type = MON_ATTACH, .client = client, .flags = flags, .rows = (int32_t)keys_len};
    auto_buf text = {.max = MON_TEXT_MAX};
    int r;

    if (buf_append(&text, keys, keys_len) && buf_append(&text, early, early_len))
        r = send_msg(m, &msg, text.data, text.len, client_fd);
    else
        r = -EMSGSIZE; /* more input than a request may carry: the client is refused */

    fd_close(client_fd);
    return r;
}

int monitor_link_resize(struct monitor_link *m, int rows, int cols) {
    struct mon_msg msg = {.type = MON_RESIZE, .rows = rows, .cols = cols};

    return send_msg(m, &msg, NULL, 0, -1);
}

int monitor_link_close_stdin(struct monitor_link *m) {
    struct mon_msg msg = {.type = MON_CLOSE_STDIN};

    return send_msg(m, &msg, NULL, 0, -1);
}

static int read_state_file(const char *state_dir, const char *name, struct buf *b) {
    auto_fd dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return -errno;
    b->max = 4096;
    return io_read_file_at(dir, name, b);
}

int monitor_read_exit(const char *state_dir, struct monitor_exit *ret) {
    auto_buf b = BUF_INIT;
    struct monitor_exit x = {0};
    long long when;
    int r, oom;

    r = read_state_file(state_dir, "exit", &b);
    if (r < 0)
        return r;
    if (sscanf(buf_str(&b), "%d %d %lld", &x.status, &oom, &when) != 3)
        return -EBADMSG;
    x.oom = oom != 0;
    x.time_ns = when;
    *ret = x;
    return 0;
}

int monitor_read_pid(const char *state_dir, int64_t *ret_pid, int64_t *ret_start_time) {
    auto_buf b = BUF_INIT;
    long long pid, start;
    int r;

    r = read_state_file(state_dir, "pid", &b);
    if (r < 0)
        return r;
    if (sscanf(buf_str(&b), "%lld %lld", &pid, &start) != 2 || pid <= 0)
        return -EBADMSG;
    *ret_pid = pid;
    *ret_start_time = start;
    return 0;
}
