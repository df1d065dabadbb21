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
/* Joins namespaces of the process behind a pidfd, or one namespace by its file. */
int sys_setns(int fd, int flags);
/* Opens /proc/PID/ns/NAME of the process behind the pidfd; the answer is for that process, not for
 * a later one with the same number. */
int ns_open(int pidfd, const char *name);
/* Is the namespace `name` of that process the caller's own? 1, 0 or -errno. */
int ns_is_own(int pidfd, const char *name);
/* Do two namespace descriptors mean the same one? 1, 0 or -errno. */
int ns_same(int a, int b);

/* Marks every descriptor >= first close-on-exec, or closes it. */
int fds_cloexec_from(unsigned first);
int fds_close_from(unsigned first);
/* Sets or clears FD_CLOEXEC. */
int fd_set_cloexec(int fd, int on);
/* All signals to their default action, none blocked. */
void signals_reset(void);
