/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside the set-up process A and its children; nobody else includes this.
 *
 * A (setup*.c) runs in the host's namespaces with the daemon's rights. B (init_*.c) is its clone
 * and inherits this struct by copy, descriptors included; it works inside the container's
 * namespaces until it executes the program. Both are single-threaded.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <net/if.h>

#include "base/err.h"
#include "runtime/cgroup.h"
#include "runtime/mounts_host.h"
#include "runtime/request.h"
#include "runtime/rootfs.h"
#include "runtime/seccomp.h"
#include "runtime/spawner.h"
#include "runtime/sync.h"

struct setup_stdio {
    int in[2], out[2], err[2]; /* pipes, [0] to read; -1: none (tty, or no stdin) */
};

struct setup {
    const struct rt_host *host;
    struct rt_request request;
    bool is_exec;
    int conn;
    int join_net, join_ipc, join_pid, join_exec; /* pidfds or -1 */

    /* Which namespaces the first process gets: CLONE_NEW* of new ones; joins are separate. */
    uint64_t new_ns;
    bool join_user; /* the user namespace of a joined container */
    bool mapped;    /* the first process has another user namespace than we */
    struct rootfs_map map;

    struct cgroup cgroup;
    struct cgroup_join cgroup_join;
    struct rt_mounts mounts;
    struct seccomp_program seccomp;
    struct setup_stdio stdio;
    int null; /* the host's /dev/null */

    int sync;       /* A: towards B */
    int sync_child; /* B: towards A */
    pid_t pid;
    int pidfd;
    int tty, listener; /* from B */
    int overlay;       /* A keeps it until the monitor has reported the exit */
    char **host_ifs;   /* veths that we made: their ends in our namespace */
    pid_t maker;       /* A's own pid */
    int host_nl;       /* for B: a netlink socket of A's network namespace, or -1 */
    size_t named;      /* op connect: so many interfaces have their names inside */
    int names;         /* the question to fence-netd, or -1 */
    int net_ns;        /* op connect: the container's network namespace; else -1 */
    int state_dir, monitor_socket;
    int64_t start_time; /* of B */
};

/* ---- A ------------------------------------------------------------------------------------- */
/* Each returns only on failure, with everything that it made undone. */
int setup_create(struct setup *s, enum sync_kind *kind, struct err *e);
int setup_exec(struct setup *s, enum sync_kind *kind, struct err *e);
/* Of a running container; these return when all is done as well. */
int setup_connect(struct setup *s, struct err *e);
int setup_disconnect(struct setup *s, struct err *e);
/* setup_netd.c: becomes fence-netd, which has s->conn as its daemon's connection. Returns on
 * failure only. */
int setup_netd(struct setup *s, struct err *e);
/* Tells fence-netd of the new network namespace; its answer is waited for in the second. Without
 * one in the request, neither does anything. */
int setup_names_begin(struct setup *s, struct err *e);
int setup_names_end(struct setup *s, struct err *e);

/* setup_common.c */
int setup_stdio_open(struct setup *s, struct err *e);
int setup_seccomp_load(struct setup *s, struct err *e);
/* Clones B, through a process between when namespaces must be joined before (join_pid, join_user,
 * exec). In B this calls init_create() or init_exec() and does not return. */
int setup_clone(struct setup *s, struct err *e);
/* Settings of B that only the host's root may make: oom_score_adj, raised resource limits. What the
 * daemon itself may not do is clipped (engine/host_limits.h has told it). */
int setup_privileged_settings(struct setup *s, struct err *e);
/* Serves B's messages until it has executed the program; its error otherwise. */
int setup_wait_for_exec(struct setup *s, enum sync_kind *kind, struct err *e);
/* Opens the state directory that this start was given, first of all. A start whose daemon has gone
 * ends here: the next daemon removes the directory and may make another for a start of its own.
 * Later on the descriptor alone is used, so that nothing can be written into that one. */
int setup_open_state(struct setup *s, struct err *e);
/* Only whether the daemon is there still. */
int setup_check_daemon(const struct setup *s, struct err *e);
/* pid file and socket; while B is at work. */
int setup_prepare_monitor(struct setup *s, struct err *e);
/* STARTED, and execution of the monitor. Returns on failure only. */
int setup_hand_over(struct setup *s, struct err *e);
/* Removes what setup_prepare_monitor() made. */
void setup_undo_monitor(struct setup *s);
/* Ends B and waits for it. */
void setup_kill(struct setup *s);

/* setup_net.c: makes the interfaces, in the namespace of s->pid or s->net_ns. What a failure leaves
 * goes with setup_net_undo() and that namespace. */
int setup_net_host(struct setup *s, struct err *e);
void setup_net_undo(struct setup *s);
/* The name that the n-th interface has in the container's namespace until it is configured. */
const char *setup_net_made_as(const struct setup *s, size_t n, char out[static IFNAMSIZ]);

/* ---- B ------------------------------------------------------------------------------------- */
struct init {
    struct setup *s;
    int sync;
    enum sync_kind kind; /* of errors at this stage */
    int root;            /* the container's root directory */
    int proc;            /* a proc file system of our own, verified */
    int tty_slave;       /* or -1 */
    char *program;       /* resolved path */
};

_Noreturn void init_create(struct setup *s);
_Noreturn void init_exec(struct setup *s);

/* init_mounts.c */
int init_mounts_make(struct init *b, struct err *e);   /* new instances, still detached */
int init_mounts_attach(struct init *b, struct err *e); /* below b->root */
int init_mounts_seal(struct init *b, struct err *e);   /* masked, read-only, propagation */
/* init_net.c */
int init_net_lo(struct init *b, struct err *e);
int init_net_interfaces(struct init *b, struct err *e);
/* Later, so that bridges have opened their ports: tells neighbours of the addresses. */
void init_net_announce(struct init *b);
int init_sysctls(struct init *b, struct err *e);
/* init_tty.c: makes the pty in the container's devpts, sends the master to A. */
int init_tty(struct init *b, bool bind_console, struct err *e);
/* init_finish.c: makes a working directory that is missing, while the root can be written: for a
 * container, not for an exec, as Docker. */
int init_make_cwd(struct init *b, struct err *e);
/* User, directories, stdio, rights, exec. Returns on failure only. */
int init_finish(struct init *b, struct err *e);
