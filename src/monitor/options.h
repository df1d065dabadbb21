/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line with which a set-up process executes fence-monitor. One table (options.c) serves
 * both directions, so that what monitor_argv() writes is what monitor_options_parse() reads.
 *
 *     fence-monitor <container id> [--exec-id=<id>] --conn=3 --pidfd=4 ...
 *
 * The runtime, which comes before this folder in the layer order, links `monitor_options` (see
 * src/logs/meson.build); it has no dependency but base.
 */
#include <stdbool.h>
#include <stdint.h>

/* Every descriptor is -1 when absent. The caller of execve() clears FD_CLOEXEC on those that are
 * given and on nothing else; the monitor sets it again. stdin, stdout, stderr of the monitor itself
 * (0, 1, 2) shall be /dev/null: they are not used. */
struct monitor_options {
    char *id;      /* container */
    char *exec_id; /* NULL: the container's init */

    int conn_fd;      /* SOCK_SEQPACKET to fenced, see protocol.h */
    int listen_fd;    /* <state_dir>/monitor.sock, SOCK_SEQPACKET, listening */
    int state_dir_fd; /* the state directory: the exit file goes there */
    int pidfd;        /* of the process, which is a child of the monitor */
    int64_t pid, start_time;

    int stdin_fd;  /* write end of the process' stdin pipe */
    int stdout_fd; /* read ends */
    int stderr_fd;
    int tty_fd;      /* pty master: then the three above are -1 */
    bool open_stdin; /* a tty's input is offered to clients (a pipe is when stdin_fd is given) */
    bool stdin_once; /* the first client that ends its input ends stdin */

    int overlay_fd; /* O_PATH of the root file system's overlay; closed last */

    int seccomp_fd;    /* listener for mknod, served by runtime/mknod.h */
    char *mknod_allow; /* further allowed character devices, "10:200,10:229", or NULL */

    char *log_driver;     /* "json-file"; anything else or NULL: no log file */
    char *log_path;       /* absolute */
    int64_t log_max_size; /* bytes; 0: no rotation */
    int64_t log_max_file; /* files in all, the live one included; less than 2: truncated in place */
    bool log_compress;    /* rotated files are compressed by fenced, not here: logs/compress.h */
    char *log_attrs;      /* one JSON object for "attrs", or NULL */

    char **cgroup_remove; /* directories to remove at the end, absolute: cgroup_dirs() */
    char *cgroup_memory;  /* directory to watch for OOM kills (its first one), or NULL */
};

/* All descriptors -1, everything else zero. */
void monitor_options_init(struct monitor_options *o);
/* Frees strings and vectors (a parsed or a built struct alike); closes nothing. */
void monitor_options_done(struct monitor_options *o);

/* The vector for execve(); the caller frees it (strv_free). argv[0] is "fence-monitor". */
char **monitor_argv(const struct monitor_options *o) __attribute__((warn_unused_result));
/* The reverse, into an initialised struct. -EINVAL for an unknown or malformed option, a missing id
 * or descriptors that contradict each other; *ret_what (may be NULL) then points at the argument.
 */
int monitor_options_parse(char *const *argv, struct monitor_options *o, const char **ret_what)
    __attribute__((warn_unused_result));
