/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The spawner's side: a small single-threaded process that forks a set-up process for each request
 * and forgets it.
 */
#include "monitor/options.h"
#include "runtime/request.h"
#include "sys/cgroupfs.h"
#include "sys/clone.h"

/* What is found out once and inherited by every set-up process. */
struct rt_host {
    struct cgroupfs_host cgroups;
    struct ns_ids namespaces; /* the spawner's own, and so A's */
};

/* Serves the control socket until its end. Returns an exit status. */
int spawner_serve(int control);

/* Puts the running program into a sealed copy in memory and executes that: the program of a
 * container may be a link to /proc/self/exe, and must then find nothing that it could write to.
 * Returns when this is the copy already (or no copy can be had: -errno). */
int spawner_seal_self(char *const *argv);

/* The set-up process: carries out the request and becomes the monitor, or reports and ends. Takes
 * the descriptors. join: net, ipc, pid, exec, each -1 or a pidfd. */
_Noreturn void setup_main(const struct rt_host *host, int conn, int request, const int join[4]);
/* Instead of it, when there is no process to run it (a full process table): tells that on conn. */
void setup_tell_no_process(int conn, int errnum);
