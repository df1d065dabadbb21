/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A process under a monitor, as the set-up process would leave it; the test is fenced. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "monitor/options.h"
#include "monitor/protocol.h"

struct box {
    char dir[64];
    char log[96];
    int conn; /* fenced's end, -1 after box_leave */
    pid_t monitor;
    uint64_t next_client;
    struct monitor_options o; /* changed by a test before box_start: flags, log, cgroups */
    bool tty, with_stdin;
};

/* A fresh directory and options with a log. */
void box_init(struct box *b);
/* Runs `script` with sh in a process whose parent becomes the monitor. */
void box_start(struct box *b, const char *script);
/* A new client; returns the test's end of its socket. May be called before box_start. */
int box_attach(struct box *b, uint32_t flags, const char *keys);
/* The same for a client that has sent input already. */
int box_attach_early(struct box *b, uint32_t flags, const char *keys, const char *early);
void box_send(struct box *b, const struct mon_msg *msg);
/* The next message of the type, others skipped; fails the test after ten seconds. The descriptor
 * that comes with it is closed or, when ret_fd is given, the caller's. */
struct mon_msg box_expect(struct box *b, uint32_t type, int *ret_fd);
/* fenced dies; and comes back. */
void box_leave(struct box *b);
void box_return(struct box *b);
/* Waits for the monitor to end and removes the directory. The exit status of the monitor. */
int box_done(struct box *b);
/* Content of a file in the directory. */
char *box_file(struct box *b, const char *name);

/* Reads until the end of the stream, or at most `max` bytes. */
void read_all(int fd, struct buf *out, size_t max);
/* Takes Docker's frames apart: what the stream got (1: stdout, 2: stderr). */
char *demux(const struct buf *in, int stream);
