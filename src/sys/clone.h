/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Making processes and joining namespaces, and what a process does to its descriptors before it
 * executes another program. For single-threaded processes; -errno on failure. */
#include <stdint.h>
#include <sys/types.h>

struct clone_request {
    uint64_t flags;  /* CLONE_*; without CLONE_PIDFD and CLONE_INTO_CGROUP, see below */
    int exit_signal; /* SIGCHLD; 0 with CLONE_PARENT */
    int cgroup_fd;   /* v2 directory for CLONE_INTO_CGROUP, or -1 */
};
/* As fork(): 0 in the child, the pid in the parent. *ret_pidfd (may be NULL) is set in the parent
 * and is close-on-exec. */
pid_t sys_clone(const struct clone_request *c, int *ret_pidfd);
/* Runs fn(arg) in a child process that has our memory and descriptors but credentials and
 * namespaces of its own, and waits for its end: what fn() does to those leaves ours as they are.
 * What fn() forks goes on with a stack of 1 MiB. */
int sys_call_beside(int (*fn)(void *), void *arg);
/* Joins namespaces of the process behind a pidfd, or one namespace by its file. */
int sys_setns(int fd, int flags);
/* Opens /proc/PID/ns/NAME of the process behind the pidfd; the answer is for that process, not for
 * a later one with the same number. */
int ns_open(int pidfd, const char *name);
/* Which namespaces a process is in, by the device and inode of their files. */
#define NS_TYPES 7
struct ns_ids {
    struct {
        dev_t dev;
        ino_t ino;
    } of[NS_TYPES];
};
/* Of the process behind the pidfd (-ESRCH: it has ended), or of the caller: -1. */
int ns_ids_read(int pidfd, struct ns_ids *ret);
/* The CLONE_NEW* of those in which the two differ. */
uint64_t ns_ids_differ(const struct ns_ids *a, const struct ns_ids *b);
/* Do two namespace descriptors mean the same one? 1, 0 or -errno. */
int ns_same(int a, int b);

/* Marks every descriptor >= first close-on-exec, or closes it. */
int fds_cloexec_from(unsigned first);
int fds_close_from(unsigned first);
/* Sets or clears FD_CLOEXEC. */
int fd_set_cloexec(int fd, int on);
/* All signals to their default action, none blocked. */
void signals_reset(void);
