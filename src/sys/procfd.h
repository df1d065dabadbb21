/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Processes by descriptor. All return -errno on failure; descriptors are close-on-exec.
 * (Not called pidfd.h: the C library has a <sys/pidfd.h>.) */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int pidfd_open_pid(pid_t pid);
/* -ESRCH when it has been reaped. */
int pidfd_signal(int pidfd, int sig);
/* The process id as this process' pid namespace sees it (from /proc/self/fdinfo); -ESRCH when the
 * process has been reaped, 0 never. */
int pidfd_pid(int pidfd, pid_t *ret);
/* waitid(P_PIDFD): options WEXITED and so on. 1: reported, 0: WNOHANG and nothing yet. Only the
 * parent can. */
int pidfd_wait(int pidfd, int options, siginfo_t *ret);
/* Field 22 of /proc/PID/stat: start time in clock ticks since boot. Together with the pid it names
 * a process for good. */
int proc_start_time(pid_t pid, int64_t *ret);
/* Whether it is past the point where its descriptors begin to close. Of a child that has not been
 * waited for, so that the pid is still its own. */
bool proc_is_exiting(pid_t pid);
