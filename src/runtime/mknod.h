/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * mknod of harmless devices inside a user namespace.
 *
 * The kernel refuses device nodes to root of a user namespace. The container's filter therefore
 * hands mknod and mknodat of character devices to the monitor, which lets a forked helper make
 * the node: in the caller's mount namespace and root, with the caller's fsuid, fsgid and umask, if
 * the caller holds CAP_MKNOD in its namespace and the device is on the list. Everything else
 * continues into the kernel, which says EPERM.
 *
 * The devices cgroup stays the barrier: a node grants nothing that the container's device list
 * does not. For a process with a single thread; nothing is allocated.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MKNOD_HELPERS_MAX 8
#define MKNOD_ALLOW_MAX   128
#define MKNOD_ANY         UINT32_MAX /* every minor number */

struct mknod_device {
    uint32_t major, minor;
};

struct mknod_helper {
    pid_t pid;   /* 0: free */
    int pidfd;   /* readable when it has ended */
    uint64_t id; /* of the notification */
};

struct mknod_server {
    int listener; /* owned, -1: none */
    size_t allow_count;
    struct mknod_device allow[MKNOD_ALLOW_MAX]; /* beside the seven that are always served */
    struct mknod_helper helpers[MKNOD_HELPERS_MAX];
};

/* Takes the listener. */
void mknod_server_init(struct mknod_server *s, int listener);
/* Ends the helpers that are left, closes all. */
void mknod_server_done(struct mknod_server *s);
/* -ENOSPC when the list is full. */
int mknod_server_allow(struct mknod_server *s, uint32_t major, uint32_t minor);
/* "10:200,136:*" (option of the monitor): character devices. -EINVAL, -ENOSPC. */
int mknod_server_allow_list(struct mknod_server *s, const char *list);
/* Is a helper free? Poll the listener (POLLIN) only then; poll all helpers' pidfds. */
bool mknod_server_ready(const struct mknod_server *s);
/* The listener is readable: takes one notification and starts a helper that answers it. -EAGAIN:
 * no helper is free or nothing was waiting; -ENOTCONN: nobody uses the filter any more (POLLHUP),
 * stop polling. */
int mknod_serve(struct mknod_server *s);
/* Reaps helpers that have ended; a caller whose helper died without an answer gets EPERM. */
void mknod_reap(struct mknod_server *s);

/* For the list and for tests: is c major:minor one of the seven? */
bool mknod_is_harmless(uint32_t major, uint32_t minor);
