/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attached clients. Output goes to a client's socket at once, what does not fit waits in its queue;
 * a client whose queue is full holds the process' output back, for ten seconds without progress at
 * most. Sockets are the client's own (hijacked) connections: their file descriptions may be shared,
 * so every call says MSG_DONTWAIT instead of changing the mode.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "monitor/monitor_internal.h"

#define MUX_HEADER 8
/* How long a TCP client may take to close its side; a socket closed before would reset the
 * connection and with it the output that is on its way. */
#define LINGER_NS (2 * NS_PER_SEC)

static void client_free(struct monitor *m, struct monitor_client *c) {
    list_remove(&c->node);
    m->client_count--;
    fd_close(c->fd);
    free(c->queue);
    free(c->early);
    free(c);
}

static void tell(struct monitor *m, const struct monitor_client *c, enum mon_type type) {
    if (!c->silent && c->generation == m->generation)
        control_send(m, &(struct mon_msg){.type = type, .client = c->id});
}

static void client_drop(struct monitor *m, struct monitor_client *c) {
    tell(m, c, MON_CLIENT_GONE);
    client_free(m, c);
}

/* Does its input go to the process? */
static bool is_typing(const struct monitor *m, const struct monitor_client *c) {
    return (c->flags & MON_ATTACH_STDIN) && !c->ending && m->phase == PHASE_RUNNING;
}

/* Output does not reach it any more; what it wrote before it went is still read. */
static void client_lost(struct monitor *m, struct monitor_client *c) {
    if (!is_typing(m, c) || c->input_ended) {
        client_drop(m, c);
        return;
    }
    c->flags &= ~(uint32_t)(MON_ATTACH_STDOUT | MON_ATTACH_STDERR);
    c->head = c->len = 0;
}

/* Reads and forgets. False when the other side has closed. */
static bool discard_input(struct monitor_client *c) {
    char sink[4096];
    ssize_t n;

    do
        n = recv(c->fd, sink, sizeof sink, MSG_DONTWAIT);
    while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 && errno == EAGAIN;
}

/* Everything is sent: an orderly end, also towards a client that still writes. */
static void client_shut(struct monitor *m, struct monitor_client *c) {
    int domain = AF_UNIX;
    socklen_t len = sizeof domain;

    (void)getsockopt(c->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    (void)shutdown(c->fd, domain == AF_UNIX ? SHUT_RDWR : SHUT_WR); /* gone is as good */
    tell(m, c, MON_CLIENT_GONE);
    c->silent = true;
    if (!discard_input(c) || domain == AF_UNIX) {
        client_free(m, c);
        return;
    }
    c->lingering = true;
    c->stall_ns = m->now_ns;
}

static void client_end(struct monitor *m, struct monitor_client *c) {
    if (c->ending)
        return;
    c->ending = true;
    c->stall_ns = m->now_ns;
    if (c->len == 0)
        client_shut(m, c);
}

/* n bytes of input lie at m->input + DETACH_KEYS_MAX: the detach keys are taken out, the rest is
 * the process'. */
static void typed(struct monitor *m, struct monitor_client *c, size_t n) {
    bool match = false;

    n = detach_filter(&c->detach, m->input + DETACH_KEYS_MAX, n, m->input, &match);
    if (n > 0)
        stdio_input(m, n);
    if (match) {
        tell(m, c, MON_DETACHED);
        c->silent = true;
        client_end(m, c);
    }
}

/* What the client sent before it was handed over, as soon as it can be taken. May free the client.
 */
static void early_input(struct monitor *m, struct monitor_client *c) {
    size_t n = c->early_len;

    if (!c->early || (is_typing(m, c) && !stdio_wants_input(m)))
        return;
    memcpy(m->input + DETACH_KEYS_MAX, c->early, is_typing(m, c) ? n : 0);
    free(take_ptr(c->early));
    c->early_len = 0;
    if (is_typing(m, c)) {
        monitor_touch(m);
        typed(m, c, n);
    }
}

void client_add(struct monitor *m, const struct mon_msg *msg, const char *text, int fd) {
    struct monitor_client *c = NULL;

    if (m->client_count < MONITOR_CLIENTS_MAX)
        c = calloc(1, sizeof *c);
    if (!c) {
        control_send(m, &(struct mon_msg){.type = MON_CLIENT_GONE, .client = msg->client});
        fd_close(fd);
        return;
    }
    c->id = msg->client;
    c->generation = m->generation;
    c->flags = msg->flags;
    c->fd = fd;
    c->detach.len = (size_t)msg->rows;
    memcpy(c->detach.keys, text, c->detach.len); /* the caller has checked the lengths */
    list_append(&m->clients, &c->node);
    m->client_count++;
    if (m->phase >= PHASE_FLUSHING) {
        client_end(m, c);
        return;
    }
    if (msg->text_len > c->detach.len && is_typing(m, c)) {
        c->early_len = msg->text_len - c->detach.len;
        c->early = malloc(c->early_len);
        if (!c->early) {
            client_drop(m, c);
            return;
        }
        memcpy(c->early, text + c->detach.len, c->early_len);
    }
    early_input(m, c);
}

/* ---- output --------------------------------------------------------------------------------- */

static bool queue_put(struct monitor *m, struct monitor_client *c, const char *p, size_t n) {
    if (n == 0)
        return true;
    if (!c->queue)
        c->queue = malloc(MONITOR_QUEUE_MAX);
    if (!c->queue || n > MONITOR_QUEUE_MAX - c->len)
        return false;
    if (n > MONITOR_QUEUE_MAX - c->head - c->len) {
        memmove(c->queue, c->queue + c->head, c->len);
        c->head = 0;
    }
    if (c->len == 0)
        c->stall_ns = m->now_ns;
    memcpy(c->queue + c->head + c->len, p, n);
    c->len += n;
    monitor_touch(m);
    return true;
}

/* -EAGAIN when the socket is full; another -errno when the client has gone. */
static ssize_t send_parts(struct monitor_client *c, struct iovec *iov, size_t count) {
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;

    do
        n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* False: the client has gone. */
static bool client_write(struct monitor *m, struct monitor_client *c, enum log_stream stream,
                         const char *p, size_t n) {
    const unsigned char header[MUX_HEADER] = {(unsigned char)(stream + 1),
                                              0,
                                              0,
                                              0,
                                              (unsigned char)(n >> 24),
                                              (unsigned char)(n >> 16),
                                              (unsigned char)(n >> 8),
                                              (unsigned char)n};
    size_t head = c->flags & MON_ATTACH_MUX ? MUX_HEADER : 0, sent = 0;
    struct iovec iov[2] = {{(void *)header, head}, {(void *)p, n}};

    if (c->len == 0) {
        ssize_t r = send_parts(c, iov, 2);

        if (r < 0 && r != -EAGAIN)
            return false;
        sent = r < 0 ? 0 : (size_t)r;
    }
    if (sent < head && !queue_put(m, c, (const char *)header + sent, head - sent))
        return false;
    sent = sent > head ? sent - head : 0;
    return queue_put(m, c, p + sent, n - sent);
}

static bool wants(const struct monitor_client *c, enum log_stream stream) {
    return !c->ending &&
           (c->flags & (stream == LOG_STDOUT ? MON_ATTACH_STDOUT : MON_ATTACH_STDERR));
}

void clients_write(struct monitor *m, enum log_stream stream, const char *p, size_t n) {
    struct monitor_client *c, *next;

    list_for_each_safe (c, next, &m->clients, node) {
        if (wants(c, stream) && !client_write(m, c, stream, p, n))
            client_lost(m, c);
    }
}

static bool is_full(const struct monitor_client *c) {
    return c->len + MONITOR_BATCH + MUX_HEADER > MONITOR_QUEUE_MAX;
}

bool clients_block(const struct monitor *m, enum log_stream stream) {
    const struct monitor_client *c;

    list_for_each (c, &m->clients, node) {
        if (wants(c, stream) && is_full(c))
            return true;
    }
    return false;
}

/* False: the client has gone. */
static bool queue_send(struct monitor *m, struct monitor_client *c) {
    while (c->len > 0) {
        struct iovec iov = {c->queue + c->head, c->len};
        ssize_t n = send_parts(c, &iov, 1);

        if (n == -EAGAIN)
            return true;
        if (n < 0)
            return false;
        c->head += (size_t)n;
        c->len -= (size_t)n;
        c->stall_ns = m->now_ns;
    }
    c->head = 0;
    return true;
}

/* ---- input ---------------------------------------------------------------------------------- */

/*
 * The client has ended its input. For one without stdin (docker closes its side at once) that means
 * nothing. Otherwise it is the end of the process' input where the container is made so; where it
 * is not, and on a tty, the attachment ends, as with Docker.
 */
static void input_ended(struct monitor *m, struct monitor_client *c) {
    bool closes = m->o.tty_fd < 0 && (m->o.stdin_once || (c->flags & MON_ATTACH_STDIN_CLOSES));

    c->input_ended = true;
    if (!is_typing(m, c))
        return;
    if (c->detach.held > 0)
        stdio_input(m, detach_rest(&c->detach, m->input));
    if (closes)
        stdio_close_input(m);
    else
        client_end(m, c);
}

static void input_read(struct monitor *m, struct monitor_client *c) {
    char *in = m->input + DETACH_KEYS_MAX;
    ssize_t n;

    if (!is_typing(m, c)) {
        if (!discard_input(c))
            input_ended(m, c);
        return;
    }
    n = recv(c->fd, in, MONITOR_BATCH, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        input_ended(m, c);
        return;
    }
    monitor_touch(m);
    typed(m, c, (size_t)n);
}

/* ---- the round ------------------------------------------------------------------------------ */

void clients_poll(struct monitor *m) {
    struct monitor_client *c;

    list_for_each (c, &m->clients, node) {
        short events = 0;
        bool full = is_full(c);

        c->poll = NULL;
        if (c->len > 0)
            events |= POLLOUT;
        if (!c->early && !c->input_ended && (!is_typing(m, c) || stdio_wants_input(m)))
            events |= POLLIN;
        if (c->early && stdio_wants_input(m))
            monitor_wake_at(m, m->now_ns);
        if (full && !c->blocked)
            c->stall_ns = m->now_ns;
        c->blocked = full;
        if (c->blocked || c->ending)
            monitor_wake_at(m, c->stall_ns + (c->lingering ? LINGER_NS : MONITOR_STALL_NS));
        /* Hung up, but what it sent before cannot be read yet: it would only spin. */
        if (c->hung_up && !c->input_ended && !events)
            continue;
        c->poll = monitor_poll_add(m, c->fd, events);
    }
}

static bool is_overdue(const struct monitor *m, const struct monitor_client *c) {
    int64_t limit = c->lingering ? LINGER_NS : MONITOR_STALL_NS;

    return (c->blocked || c->ending) && m->now_ns - c->stall_ns >= limit;
}

static void client_ready(struct monitor *m, struct monitor_client *c, short revents) {
    if (c->lingering) {
        if (revents && !discard_input(c))
            client_free(m, c);
        return;
    }
    c->hung_up = revents & (POLLHUP | POLLERR);
    if ((revents & POLLOUT) && !queue_send(m, c)) {
        client_lost(m, c);
        return;
    }
    if (c->ending) {
        if (c->len == 0)
            client_shut(m, c);
        else if (revents & POLLERR)
            client_drop(m, c);
        return;
    }
    /* What it wrote before it hung up still counts. */
    if (!c->early && !c->input_ended && (revents & (POLLIN | POLLHUP | POLLERR)) &&
        (!is_typing(m, c) || stdio_wants_input(m))) {
        input_read(m, c); /* may free it */
        return;
    }
    if (c->input_ended && c->hung_up)
        client_drop(m, c);
}

void clients_ready(struct monitor *m) {
    struct monitor_client *c, *next;

    list_for_each_safe (c, next, &m->clients, node) {
        if (is_overdue(m, c))
            client_drop(m, c);
        else if (c->poll && c->poll->revents)
            client_ready(m, c, c->poll->revents);
        else
            early_input(m, c);
    }
}

void clients_end(struct monitor *m) {
    struct monitor_client *c, *next;

    list_for_each_safe (c, next, &m->clients, node) {
        c->silent = true; /* EXIT says it */
        client_end(m, c);
    }
}

bool clients_are_flushed(const struct monitor *m) {
    const struct monitor_client *c;

    list_for_each (c, &m->clients, node) {
        if (!c->lingering && c->len > 0)
            return false;
    }
    return true;
}

void clients_trim(struct monitor *m) {
    struct monitor_client *c;

    list_for_each (c, &m->clients, node) {
        if (c->len == 0)
            free(take_ptr(c->queue));
    }
}
