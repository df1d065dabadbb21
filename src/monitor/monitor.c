/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop, the process' end, and what follows from it: see the phases in monitor_internal.h. Each
 * round polls everything, hears fenced first (a client that was announced before the process
 * started misses nothing), then clients, then the process' output.
 */
#include "monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "monitor/monitor_internal.h"
#include "sys/procfd.h"

/* After the end: output that others still hold open is not waited for longer than it pauses this
 * long; and no longer than DRAIN_MAX_NS once more than a pipe can hold has come. */
#define DRAIN_QUIET_NS (50 * NS_PER_MS)
#define DRAIN_MAX_NS   (500 * NS_PER_MS)
#define PIPE_SIZE_MAX  (1u << 20)
/* Slow clients do not hold the news of the end back for longer. */
#define FLUSH_MAX_NS   (2 * NS_PER_SEC)
#define REPORT_MAX_NS  (5 * NS_PER_SEC)
#define LEAVE_MAX_NS   (12 * NS_PER_SEC)
#define CGROUP_WAIT_MS 2000
/* When to look at the counter again after an OOM event; doubled each time. */
#define OOM_CHECK_NS     (5 * NS_PER_MS)
#define OOM_CHECK_MAX_NS (320 * NS_PER_MS)
#define TRIM_NS          NS_PER_SEC

#define POLL_MAX (MONITOR_CLIENTS_MAX + MKNOD_HELPERS_MAX + 16)

static struct monitor the_monitor;
static struct pollfd poll_set[POLL_MAX];
static size_t poll_count;
static int64_t wake_ns; /* 0: nothing is due */

struct pollfd *monitor_poll_add(struct monitor *m, int fd, short events) {
    struct pollfd *p;

    if (fd < 0 || poll_count == POLL_MAX) /* the clients are counted: it is never full */
        return NULL;
    p = &poll_set[poll_count++];
    *p = (struct pollfd){.fd = fd, .events = events};
    return p;
}

void monitor_wake_at(struct monitor *m, int64_t at_ns) {
    if (!wake_ns || at_ns < wake_ns)
        wake_ns = at_ns;
}

void monitor_touch(struct monitor *m) {
    m->trim_ns = m->now_ns + TRIM_NS;
}

/* ---- memory --------------------------------------------------------------------------------- */

static void drop_pages(char *p, size_t n) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)p + page - 1) & ~(page - 1), to = ((uintptr_t)p + n) & ~(page - 1);

    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* advice only */
}

static void trim(struct monitor *m) {
    if (!m->trim_ns || m->now_ns < m->trim_ns)
        return;
    m->trim_ns = 0;
    drop_pages(m->batch, sizeof m->batch);
    if (m->stdin_len == 0)
        drop_pages(m->input, sizeof m->input);
    if (m->is_logging)
        log_writer_trim(&m->log);
    clients_trim(m);
}

/* ---- out of memory -------------------------------------------------------------------------- */

static void oom_look(struct monitor *m) {
    uint64_t kills;

    if (m->oom.fd < 0 || cgroup_oom_read(&m->oom, &kills) < 0)
        return;
    if (kills > m->oom_kills) {
        m->oom_kills = kills;
        control_send(m, &(struct mon_msg){.type = MON_OOM});
    }
}

/* The v1 event comes before the kill is counted. */
static void oom_ready(struct monitor *m, const struct pollfd *p) {
    bool event = p && p->revents;

    if (!event && !(m->oom_check_ns && m->now_ns >= m->oom_check_ns))
        return;
    oom_look(m);
    m->oom_pause_ns = event ? OOM_CHECK_NS : m->oom_pause_ns * 2;
    m->oom_check_ns = m->oom_pause_ns <= OOM_CHECK_MAX_NS ? m->now_ns + m->oom_pause_ns : 0;
    if (event && !(p->revents & POLLIN)) { /* the group has gone */
        cgroup_oom_done(&m->oom);
        m->oom.fd = -1;
        m->oom_check_ns = 0;
    }
}

/* ---- mknod ---------------------------------------------------------------------------------- */

static const struct pollfd *mknod_poll(struct monitor *m) {
    const struct pollfd *p = NULL;

    if (m->mknod.listener < 0)
        return NULL;
    for (size_t i = 0; i < MKNOD_HELPERS_MAX; i++) {
        if (m->mknod.helpers[i].pid > 0)
            (void)monitor_poll_add(m, m->mknod.helpers[i].pidfd, POLLIN); /* mknod_reap asks all */
    }
    if (mknod_server_ready(&m->mknod))
        p = monitor_poll_add(m, m->mknod.listener, POLLIN);
    return p;
}

static void mknod_ready(struct monitor *m, const struct pollfd *p) {
    if (m->mknod.listener < 0)
        return;
    mknod_reap(&m->mknod);
    if (!p || !p->revents)
        return;
    if (!(p->revents & POLLIN) || mknod_serve(&m->mknod) == -ENOTCONN)
        mknod_server_done(&m->mknod);
}

/* ---- the end of the process ----------------------------------------------------------------- */

static void enter(struct monitor *m, enum monitor_phase phase) {
    m->phase = phase;
    m->ended_ns = m->now_ns;
}

static void exit_record(struct monitor *m, const siginfo_t *info) {
    char text[80];
    int status = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
    int n;

    oom_look(m);
    m->exit = (struct mon_msg){.type = MON_EXIT,
                               .pid = m->o.pid,
                               .start_time = m->o.start_time,
                               .status = status,
                               .oom = m->oom_kills > 0 && status == 128 + SIGKILL,
                               .time_ns = clock_real_ns()};
    n = snprintf(text, sizeof text, "%d %d %lld\n", m->exit.status, m->exit.oom,
                 (long long)m->exit.time_ns);
    /* Where it cannot be written, fenced still hears it as long as it is there. */
    (void)io_replace_file_at(m->o.state_dir_fd, "exit", text, (size_t)n, 0600);
    m->last_output_ns = m->now_ns;
    m->drained = 0;
    enter(m, PHASE_DRAINING);
}

static void process_ready(struct monitor *m, const struct pollfd *p) {
    siginfo_t info = {0};
    int r;

    if (!p || !p->revents || m->phase != PHASE_RUNNING)
        return;
    r = pidfd_wait(m->o.pidfd, WEXITED | WNOHANG, &info);
    if (r == 1) {
        exit_record(m, &info);
    } else if (r < 0) {
        /* Not our child: somebody else took its status. */
        info.si_code = CLD_EXITED;
        info.si_status = 255;
        exit_record(m, &info);
    }
}

static bool is_drained(const struct monitor *m) {
    if (stdio_is_ended(m))
        return true;
    if (m->now_ns - m->last_output_ns >= DRAIN_QUIET_NS)
        return true;
    return m->drained > PIPE_SIZE_MAX && m->now_ns - m->ended_ns >= DRAIN_MAX_NS;
}

static void leave_cgroups(struct monitor *m) {
    oom_look(m);
    cgroup_oom_done(&m->oom);
    m->oom.fd = -1;
    m->oom_check_ns = 0;
    if (m->o.cgroup_remove && cgroup_remove_dirs(m->o.cgroup_remove, CGROUP_WAIT_MS) < 0)
        m->exit.flags |= MON_EXIT_GROUPS_LEFT;
}

/* Goes on to the next phases as far as they are due. */
static void advance(struct monitor *m) {
    int64_t since = m->now_ns - m->ended_ns;

    if (m->phase == PHASE_DRAINING && is_drained(m)) {
        enter(m, PHASE_FLUSHING);
        since = 0;
        stdio_finish(m);
        if (m->mknod.listener >= 0)
            mknod_server_done(&m->mknod);
        leave_cgroups(m);
        m->now_ns = clock_mono_ns(); /* that may have taken its time */
    }
    if (m->phase == PHASE_FLUSHING && (clients_are_flushed(m) || since >= FLUSH_MAX_NS)) {
        if (m->conn < 0)
            control_accept(m);
        enter(m, PHASE_REPORTING);
        since = 0;
        m->report_pause_ns = NS_PER_MS / 2;
        /* EXIT before the clients see their end: whoever then asks fenced finds the exit code. */
        control_send(m, &m->exit);
        clients_end(m);
    }
    if (m->phase == PHASE_REPORTING && (control_is_idle(m) || since >= REPORT_MAX_NS)) {
        enter(m, PHASE_LEAVING);
        since = 0;
    }
    if (m->phase == PHASE_LEAVING && (m->client_count == 0 || since >= LEAVE_MAX_NS))
        m->phase = PHASE_DONE;
}

static void advance_wake(struct monitor *m) {
    switch (m->phase) {
    case PHASE_RUNNING:
        break;
    case PHASE_DRAINING:
        monitor_wake_at(m, m->last_output_ns + DRAIN_QUIET_NS);
        break;
    case PHASE_FLUSHING:
        monitor_wake_at(m, m->ended_ns + FLUSH_MAX_NS);
        break;
    case PHASE_REPORTING: /* the kernel does not tell when a message has been taken */
        monitor_wake_at(m, m->now_ns + m->report_pause_ns);
        if (m->report_pause_ns < 50 * NS_PER_MS)
            m->report_pause_ns *= 2;
        break;
    case PHASE_LEAVING:
        monitor_wake_at(m, m->ended_ns + LEAVE_MAX_NS);
        break;
    case PHASE_DONE:
        break;
    }
}

/* ---- the loop ------------------------------------------------------------------------------- */

static int wait_for_events(struct monitor *m) {
    struct timespec ts = {0};
    int r;

    if (wake_ns) {
        int64_t left = wake_ns - clock_mono_ns();

        if (left > 0)
            ts = (struct timespec){left / NS_PER_SEC, left % NS_PER_SEC};
    }
    r = ppoll(poll_set, poll_count, wake_ns ? &ts : NULL, NULL);
    if (r < 0 && errno != EINTR)
        return -errno;
    if (r < 0) {
        for (size_t i = 0; i < poll_count; i++)
            poll_set[i].revents = 0;
    }
    return 0;
}

static int round_once(struct monitor *m) {
    const struct pollfd *listen, *process, *oom, *mknod;
    int r;

    poll_count = 0;
    wake_ns = 0;
    (void)monitor_poll_add(m, m->conn, (short)(POLLIN | (m->outbox_len > 0 ? POLLOUT : 0)));
    listen = monitor_poll_add(m, m->o.listen_fd, POLLIN);
    process = m->phase == PHASE_RUNNING ? monitor_poll_add(m, m->o.pidfd, POLLIN) : NULL;
    oom = monitor_poll_add(m, m->oom.fd, POLLIN);
    mknod = mknod_poll(m);
    clients_poll(m);
    stdio_poll(m);
    advance_wake(m);
    if (m->oom_check_ns)
        monitor_wake_at(m, m->oom_check_ns);
    if (m->trim_ns)
        monitor_wake_at(m, m->trim_ns);

    r = wait_for_events(m);
    if (r < 0)
        return r;
    m->now_ns = clock_mono_ns();
    control_receive(m);
    control_flush(m);
    if (listen && listen->revents)
        control_accept(m);
    oom_ready(m, oom);
    mknod_ready(m, mknod);
    clients_ready(m);
    stdio_ready(m);
    process_ready(m, process);
    trim(m);
    advance(m);
    return 0;
}

static void log_begin(struct monitor *m) {
    const struct log_writer_options lo = {.path = m->o.log_path,
                                          .attrs = m->o.log_attrs,
                                          .max_size = m->o.log_max_size,
                                          .max_file = m->o.log_max_file};

    if (!str_eq(m->o.log_driver, "json-file") || str_empty(m->o.log_path))
        return;
    m->is_logging = true;
    (void)log_writer_open(&m->log, &lo); /* it tries again and counts what is lost */
}

static void close_on_exec(const struct monitor_options *o) {
    const int fds[] = {o->conn_fd,   o->listen_fd, o->state_dir_fd, o->pidfd,      o->stdin_fd,
                       o->stdout_fd, o->stderr_fd, o->tty_fd,       o->overlay_fd, o->seccomp_fd};

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0)
            (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
}

int monitor_run(const struct monitor_options *o) {
    struct monitor *m = &the_monitor;
    int r = 0;

    m->o = *o;
    m->now_ns = clock_mono_ns();
    m->oom.fd = m->oom.dir_fd = -1;
    list_init(&m->clients);
    close_on_exec(o);
    mknod_server_init(&m->mknod, o->seccomp_fd);
    if (o->mknod_allow)
        (void)mknod_server_allow_list(&m->mknod, o->mknod_allow); /* what is refused stays EPERM */
    if (o->cgroup_memory && cgroup_oom_open(o->cgroup_memory, &m->oom) < 0)
        m->oom.fd = -1;
    control_init(m);
    stdio_init(m);
    log_begin(m);
    control_receive(m);
    while (m->phase != PHASE_DONE && r == 0)
        r = round_once(m);
    /* Closing it may write the file system back, which can take long: last. */
    fd_close(m->conn);
    fd_close(m->o.listen_fd);
    fd_close(m->o.overlay_fd);
    return r;
}
