/* SPDX-License-Identifier: Apache-2.0 */
/* The process' side: output is read in batches, logged and given to clients; input is written. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "monitor/monitor_internal.h"

#define TTY_RETRY_NS (NS_PER_SEC / 5)

static bool is_tty(const struct monitor *m) {
    return m->o.tty_fd >= 0;
}

void stdio_init(struct monitor *m) {
    const int fds[LOG_STREAM_COUNT_] = {is_tty(m) ? m->o.tty_fd : m->o.stdout_fd, m->o.stderr_fd};

    for (int i = 0; i < LOG_STREAM_COUNT_; i++) {
        m->output[i] = (struct monitor_output){.fd = fds[i], .stream = (enum log_stream)i};
        if (fds[i] >= 0)
            (void)io_set_nonblock(fds[i], true); /* pipes and ttys know it */
    }
    m->stdin_fd = is_tty(m) ? (m->o.open_stdin ? m->o.tty_fd : -1) : m->o.stdin_fd;
    if (m->stdin_fd >= 0)
        (void)io_set_nonblock(m->stdin_fd, true);
}

/* ---- input ---------------------------------------------------------------------------------- */

static void input_end(struct monitor *m) {
    if (!is_tty(m))
        (void)fd_close(m->stdin_fd);
    m->stdin_fd = -1;
    m->stdin_len = m->stdin_at = 0;
}

static void input_write(struct monitor *m) {
    while (m->stdin_at < m->stdin_len) {
        ssize_t r = write(m->stdin_fd, m->input + m->stdin_at, m->stdin_len - m->stdin_at);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && errno == EAGAIN)
            return;
        if (r < 0 && is_tty(m))
            break; /* nobody has it open just now: typed into the void */
        if (r < 0) {
            input_end(m);
            return;
        }
        m->stdin_at += (size_t)r;
    }
    m->stdin_at = m->stdin_len = 0;
    if (m->stdin_closing)
        input_end(m);
}

bool stdio_wants_input(const struct monitor *m) {
    return m->stdin_fd < 0 || m->stdin_closing || m->stdin_len == 0;
}

void stdio_input(struct monitor *m, size_t n) {
    if (m->stdin_fd < 0 || m->stdin_closing)
        return;
    m->stdin_at = 0;
    m->stdin_len = n;
    input_write(m);
}

void stdio_close_input(struct monitor *m) {
    if (m->stdin_fd < 0 || is_tty(m))
        return;
    m->stdin_closing = true;
    if (m->stdin_len == 0)
        input_end(m);
}

/* ---- output --------------------------------------------------------------------------------- */

static void output_end(struct monitor *m, struct monitor_output *o) {
    if (!is_tty(m))
        (void)fd_close(o->fd);
    o->fd = -1;
}

/* A tty that no process has open reads as an error, until one opens it again. */
static void tty_is_empty(struct monitor *m, struct monitor_output *o) {
    if (m->phase == PHASE_RUNNING)
        o->retry_ns = m->now_ns + TTY_RETRY_NS;
    else
        output_end(m, o);
}

static void output_read(struct monitor *m, struct monitor_output *o) {
    ssize_t n = read(o->fd, m->batch, sizeof m->batch);

    o->retry_ns = 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (is_tty(m))
            tty_is_empty(m, o);
        else
            output_end(m, o);
        return;
    }
    m->last_output_ns = m->now_ns;
    m->drained += (uint64_t)n;
    monitor_touch(m);
    if (m->is_logging)
        log_writer_put(&m->log, o->stream, m->batch, (size_t)n);
    clients_write(m, o->stream, m->batch, (size_t)n);
}

void stdio_poll(struct monitor *m) {
    for (int i = 0; i < LOG_STREAM_COUNT_; i++) {
        struct monitor_output *o = &m->output[i];

        o->poll = NULL;
        if (o->fd < 0 || m->phase >= PHASE_FLUSHING)
            continue;
        if (clients_block(m, o->stream)) {
            m->last_output_ns = m->now_ns; /* a drain has not come to its end */
            continue;
        }
        if (o->retry_ns && m->phase == PHASE_RUNNING)
            monitor_wake_at(m, o->retry_ns);
        else
            o->poll = monitor_poll_add(m, o->fd, POLLIN);
    }
    if (m->stdin_fd >= 0 && m->stdin_len > 0)
        (void)monitor_poll_add(m, m->stdin_fd, POLLOUT); /* input_write finds out itself */
}

void stdio_ready(struct monitor *m) {
    for (int i = 0; i < LOG_STREAM_COUNT_; i++) {
        struct monitor_output *o = &m->output[i];

        if (o->fd < 0)
            continue;
        if ((o->poll && o->poll->revents) || (o->retry_ns && o->retry_ns <= m->now_ns))
            output_read(m, o);
    }
    if (m->stdin_fd >= 0 && m->stdin_len > 0)
        input_write(m);
}

bool stdio_is_ended(const struct monitor *m) {
    return m->output[LOG_STDOUT].fd < 0 && m->output[LOG_STDERR].fd < 0;
}

void stdio_finish(struct monitor *m) {
    for (int i = 0; i < LOG_STREAM_COUNT_; i++) {
        if (m->output[i].fd >= 0)
            output_end(m, &m->output[i]);
    }
    if (m->stdin_fd >= 0)
        input_end(m);
    m->o.tty_fd = fd_close(m->o.tty_fd);
    if (m->is_logging)
        log_writer_close(&m->log);
    m->is_logging = false;
}
