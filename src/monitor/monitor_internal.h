/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parts of the monitor, which is one object in static storage: its buffers are memory only once
 * they are touched. */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "logs/writer.h"
#include "monitor/detach.h"
#include "monitor/options.h"
#include "monitor/protocol.h"
#include "runtime/cgroup.h"
#include "runtime/mknod.h"

#define MONITOR_BATCH       (64u << 10) /* one read of output, or of a client's input */
#define MONITOR_QUEUE_MAX   (256u << 10)
#define MONITOR_CLIENTS_MAX 256
#define MONITOR_STALL_NS    (INT64_C(10) * 1000000000)
#define MONITOR_OUTBOX_MAX  32

enum monitor_phase {
    PHASE_RUNNING,
    PHASE_DRAINING,  /* the process has ended: the rest of its output is read */
    PHASE_FLUSHING,  /* clients get what is queued for them */
    PHASE_REPORTING, /* EXIT is on its way */
    PHASE_LEAVING,   /* EXIT has arrived; clients that are slow to close are waited for */
    PHASE_DONE,
};

struct monitor_client {
    struct list node;
    uint64_t id;
    unsigned generation; /* of the control connection that the id belongs to */
    uint32_t flags;      /* enum mon_attach_flags */
    int fd;
    struct detach detach;
    bool input_ended;
    bool ending;      /* gets what is queued and is closed then */
    bool lingering;   /* all sent and shut down; the other side's close is waited for */
    bool silent;      /* its end is no news */
    bool hung_up;     /* poll would report it forever */
    bool blocked;     /* its queue cannot take another batch */
    int64_t stall_ns; /* blocked, ending or lingering: since when without progress */
    char *queue;      /* MONITOR_QUEUE_MAX bytes, or NULL */
    char *early;      /* input that came with MON_ATTACH and waits for stdin, or NULL */
    size_t early_len;
    size_t head, len;
    struct pollfd *poll; /* of the current round, or NULL */
};

struct monitor_output {
    int fd; /* -1: ended */
    enum log_stream stream;
    int64_t retry_ns; /* a tty without a process on it: when to look again; 0: poll it */
    struct pollfd *poll;
};

struct monitor {
    struct monitor_options o;
    enum monitor_phase phase;
    int64_t now_ns; /* monotonic, of the current round */

    /* control.c */
    int conn; /* -1: fenced is away */
    unsigned generation;
    struct mon_msg outbox[MONITOR_OUTBOX_MAX];
    size_t outbox_len;

    /* client.c */
    struct list clients;
    size_t client_count;

    /* stdio.c */
    struct monitor_output output[LOG_STREAM_COUNT_];
    bool is_logging;
    int stdin_fd; /* pipe or tty, -1: closed or none */
    bool stdin_closing;
    size_t stdin_at, stdin_len;

    /* monitor.c */
    struct cgroup_oom oom;
    uint64_t oom_kills;
    int64_t oom_check_ns, oom_pause_ns; /* a kill is counted a moment after its event */
    struct mknod_server mknod;
    int64_t ended_ns;       /* monotonic: when the current phase began */
    int64_t last_output_ns; /* of the drain */
    uint64_t drained;
    int64_t report_pause_ns;
    struct mon_msg exit;
    int64_t trim_ns; /* when to give touched memory back, 0: nothing touched */

    struct log_writer log;
    char batch[MONITOR_BATCH];
    char input[MONITOR_BATCH + DETACH_KEYS_MAX];
};

/* A descriptor of this round's poll; events 0 with fd >= 0 still reports errors. */
struct pollfd *monitor_poll_add(struct monitor *m, int fd, short events);
/* The round shall end at `at_ns` at the latest. */
void monitor_wake_at(struct monitor *m, int64_t at_ns);
/* Buffers were touched: trim them after a quiet second. */
void monitor_touch(struct monitor *m);

/* ---- control.c: the connection to fenced ---------------------------------------------------- */
void control_init(struct monitor *m);
/* Everything that has arrived. */
void control_receive(struct monitor *m);
/* A new connection replaces the old one; greets it. */
void control_accept(struct monitor *m);
/* Sends or queues; without a connection the message is dropped. */
void control_send(struct monitor *m, const struct mon_msg *msg);
void control_flush(struct monitor *m);
/* Has fenced taken everything that was sent (or is it away)? */
bool control_is_idle(struct monitor *m);

/* ---- client.c: attached clients ------------------------------------------------------------- */
/* Takes fd. */
void client_add(struct monitor *m, const struct mon_msg *msg, const char *text, int fd);
/* Output of the process, at most MONITOR_BATCH bytes, to those who want it. */
void clients_write(struct monitor *m, enum log_stream stream, const char *p, size_t n);
/* Is one of them so far behind that this stream must wait? */
bool clients_block(const struct monitor *m, enum log_stream stream);
void clients_poll(struct monitor *m);
void clients_ready(struct monitor *m);
/* No more output: flush and close. */
void clients_end(struct monitor *m);
/* Are all queues empty? */
bool clients_are_flushed(const struct monitor *m);
void clients_trim(struct monitor *m);

/* ---- stdio.c: the process' side ------------------------------------------------------------- */
void stdio_init(struct monitor *m);
void stdio_poll(struct monitor *m);
/* Output of this round, then pending input. */
void stdio_ready(struct monitor *m);
/* Is m->input free for a client's input, or is there nobody to read it (then it is dropped)? */
bool stdio_wants_input(const struct monitor *m);
/* m->input[0..n) is to be written to the process. */
void stdio_input(struct monitor *m, size_t n);
/* Closes stdin once what is pending has been written. A tty stays open. */
void stdio_close_input(struct monitor *m);
/* All output read, or closed. */
bool stdio_is_ended(const struct monitor *m);
void stdio_finish(struct monitor *m);
