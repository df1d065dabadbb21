/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to fenced. It may end at any time, which changes nothing here; the next one comes
 * through the listening socket and is told how things stand.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "base/alloc.h"
#include "base/io.h"
#include "monitor/monitor_internal.h"
#include "sys/fdpass.h"

struct packet {
    struct mon_msg msg;
    char text[MON_TEXT_MAX];
};

static void disconnect(struct monitor *m) {
    m->conn = fd_close(m->conn);
    m->outbox_len = 0;
}

/* 0, -EAGAIN, or another -errno after which there is no connection. */
static int send_now(struct monitor *m, struct mon_msg *msg, int fd) {
    int r;

    msg->magic = MON_MAGIC;
    msg->version = MON_VERSION;
    do
        r = fdpass_send(m->conn, msg, sizeof *msg, &fd, fd >= 0 ? 1 : 0);
    while (r == -EINTR);
    if (r < 0 && r != -EAGAIN)
        disconnect(m);
    return r;
}

void control_flush(struct monitor *m) {
    size_t sent = 0;

    while (m->conn >= 0 && sent < m->outbox_len && send_now(m, &m->outbox[sent], -1) == 0)
        sent++;
    if (m->conn < 0)
        return;
    m->outbox_len -= sent;
    memmove(m->outbox, m->outbox + sent, m->outbox_len * sizeof m->outbox[0]);
}

void control_send(struct monitor *m, const struct mon_msg *msg) {
    if (m->conn < 0)
        return;
    /* A fenced that leaves so much unread learns the state anew when it comes back. */
    if (m->outbox_len == MONITOR_OUTBOX_MAX) {
        disconnect(m);
        return;
    }
    m->outbox[m->outbox_len++] = *msg;
    control_flush(m);
}

static void resize(struct monitor *m, const struct mon_msg *msg) {
    struct winsize ws = {.ws_row = (unsigned short)msg->rows, .ws_col = (unsigned short)msg->cols};

    if (msg->rows < 0 || msg->rows > UINT16_MAX || msg->cols < 0 || msg->cols > UINT16_MAX)
        return;
    if (m->o.tty_fd >= 0)
        (void)ioctl(m->o.tty_fd, TIOCSWINSZ, &ws); /* a wish; there is nobody to tell */
}

static void handle(struct monitor *m, const struct packet *p, int fd) {
    switch (p->msg.type) {
    case MON_ATTACH:
        if (fd >= 0 && p->msg.rows >= 0 && p->msg.rows <= DETACH_KEYS_MAX &&
            (uint32_t)p->msg.rows <= p->msg.text_len) {
            client_add(m, &p->msg, p->text, fd);
            return;
        }
        control_send(m, &(struct mon_msg){.type = MON_CLIENT_GONE, .client = p->msg.client});
        break;
    case MON_RESIZE:
        resize(m, &p->msg);
        break;
    case MON_CLOSE_STDIN:
        stdio_close_input(m);
        break;
    default: /* of a newer fenced */
        break;
    }
    fd_close(fd);
}

void control_receive(struct monitor *m) {
    while (m->conn >= 0) {
        static struct packet p; /* big for a stack whose pages are counted */
        size_t n_fds = 1;
        int fd = -1;
        ssize_t n = fdpass_recv(m->conn, &p, sizeof p, &fd, &n_fds);

        if (n_fds == 0 || n < 0)
            fd = -1;
        if (n == -EINTR || n == -EMSGSIZE)
            continue;
        if (n == -EAGAIN)
            break;
        if (n <= 0) {
            disconnect(m);
            break;
        }
        if ((size_t)n < sizeof p.msg || p.msg.magic != MON_MAGIC ||
            p.msg.text_len != (size_t)n - sizeof p.msg) {
            fd_close(fd);
            continue;
        }
        handle(m, &p, fd);
    }
}

void control_accept(struct monitor *m) {
    int fd = accept4(m->o.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct mon_msg hello = {.type = MON_STATUS, .pid = m->o.pid, .start_time = m->o.start_time};

    if (fd < 0)
        return;
    disconnect(m);
    m->conn = fd;
    m->generation++;
    /* The socket is new: there is room for both. */
    if (send_now(m, &hello, m->o.pidfd) == 0 && m->phase >= PHASE_REPORTING)
        control_send(m, &m->exit);
}

void control_init(struct monitor *m) {
    m->conn = m->o.conn_fd;
    if (m->conn >= 0)
        (void)io_set_nonblock(m->conn, true); /* a socket: cannot fail */
    if (m->o.listen_fd >= 0)
        (void)io_set_nonblock(m->o.listen_fd, true);
}

bool control_is_idle(struct monitor *m) {
    int unread = 0;

    if (m->conn < 0)
        return true;
    return m->outbox_len == 0 && (ioctl(m->conn, SIOCOUTQ, &unread) < 0 || unread == 0);
}
