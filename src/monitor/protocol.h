/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Between fenced and a container's set-up process A, later its monitor. SOCK_SEQPACKET: a message
 * is a struct mon_msg followed by `text_len` bytes; descriptors by SCM_RIGHTS.
 *
 * The first connection is made by fenced and inherited (A answers STARTED or FAILED on it). Further
 * ones come through <state_dir>/monitor.sock: the monitor greets each with STATUS (pidfd attached),
 * and with EXIT if the process has ended already. At most one control connection is live; a new one
 * replaces the old.
 *
 * Order on exit: reap, exit file written, cgroup removed, attach clients flushed, EXIT sent; then
 * the overlay descriptor is closed (which may sync the disk) and the process ends.
 */
#include <stdint.h>

#define MON_MAGIC   0x464d4f4eu
#define MON_VERSION 1u

enum mon_type {
    /* A or monitor -> fenced */
    MON_STARTED = 1, /* pid, start_time (clock ticks of /proc/PID/stat), pidfd attached */
    MON_FAILED,      /* status: errno; text: "class\0message"; the sender ends afterwards */
    MON_STATUS,      /* pid, start_time, pidfd attached: greeting on a later connection */
    MON_EXIT,        /* status: exit code (128 + signal when killed), oom, time_ns */
    MON_OOM,         /* a process of the container was killed by the OOM killer */
    MON_DETACHED,    /* client: an attach client typed the detach keys */
    MON_CLIENT_GONE, /* client: an attach client has ended otherwise */
    MON_DONE,        /* A, of an operation that makes no process: it holds; the sender ends */
    /* fenced -> monitor (may be sent before STARTED: A leaves them for the monitor) */
    MON_ATTACH = 32, /* client, flags; text: `rows` bytes of detach keys, then input that the client
                        has sent already; the client's socket attached */
    MON_RESIZE,      /* rows, cols */
    MON_CLOSE_STDIN,
    MON_SIGNAL_READY, /* unused, reserved */
};

enum mon_attach_flags {
    MON_ATTACH_STDIN = 1,
    MON_ATTACH_STDOUT = 2,
    MON_ATTACH_STDERR = 4,
    /* Frame output as Docker's multiplexed stream (stdcopy); off for ttys: raw bytes. */
    MON_ATTACH_MUX = 8,
    /* Take the client's end of input as the end of stdin even without stdin_once (exec). */
    MON_ATTACH_STDIN_CLOSES = 16,
};

/* Of EXIT: something still holds the container's control groups, fenced must remove them. */
#define MON_EXIT_GROUPS_LEFT 1u

struct mon_msg {
    uint32_t magic, version, type, text_len;
    uint64_t client; /* chosen by fenced, unique for a connection */
    int64_t pid, start_time, time_ns;
    int32_t status, oom, rows, cols;
    uint32_t flags;
    uint32_t reserved[3];
};
#define MON_TEXT_MAX 16384

/* <state_dir>/pid:  "<pid> <start_time>\n" written by A before STARTED.
 * <state_dir>/exit: "<status> <oom 0|1> <time_ns>\n", by rename, before MON_EXIT. */
