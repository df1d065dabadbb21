/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* fenced's side of the control connection to a set-up process and the monitor that it becomes
 * (monitor/protocol.h). Loop thread. */
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "loop/loop.h"

struct monitor_started {
    int64_t pid, start_time;
    int pidfd; /* the receiver's from now on */
};
struct monitor_exit {
    int status; /* 128 + signal when killed */
    bool oom;
    bool groups_left; /* control groups that the monitor could not remove */
    int64_t time_ns;
};

/* A callback may free the link. */
struct monitor_events {
    /* STARTED on the first connection, STATUS on later ones. */
    void (*started)(void *arg, const struct monitor_started *s);
    /* The set-up failed; e is the receiver's to free. */
    void (*failed)(void *arg, struct err *e);
    void (*exited)(void *arg, const struct monitor_exit *x);
    void (*oom)(void *arg);
    void (*client_end)(void *arg, uint64_t client, bool detached);
    /* An operation without a process holds (engine/net_call.h); others may leave it NULL. */
    void (*done)(void *arg);
    /* The other side has gone: nothing comes any more. */
    void (*closed)(void *arg);
};

struct monitor_link;
/* Takes fd. */
struct monitor_link *monitor_link_new(struct loop *l, int fd, const struct monitor_events *events,
                                      void *arg);
void monitor_link_free(struct monitor_link *m);
/* Connects to <state_dir>/monitor.sock; the descriptor or -errno. */
int monitor_link_connect(const char *state_dir);
/* Takes client_fd. flags: enum mon_attach_flags. early: input that the client has sent already. */
int monitor_link_attach(struct monitor_link *m, uint64_t client, unsigned flags, const char *keys,
                        size_t keys_len, const char *early, size_t early_len, int client_fd);
int monitor_link_resize(struct monitor_link *m, int rows, int cols);
int monitor_link_close_stdin(struct monitor_link *m);

/* <state_dir>/exit and <state_dir>/pid. -ENOENT when the file is not there. */
int monitor_read_exit(const char *state_dir, struct monitor_exit *ret);
int monitor_read_pid(const char *state_dir, int64_t *ret_pid, int64_t *ret_start_time);
