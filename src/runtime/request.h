/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the engine asks the spawner for: an OCI runtime configuration plus what OCI does not say.
 * It travels as one JSON document in a memfd (rt_request_table); the set-up process A reads it.
 *
 *   fenced --(SOCK_SEQPACKET: struct spawn_msg, fds)--> spawner --fork--> A --clone3--> B = init
 *   A --(conn, SOCK_SEQPACKET: see monitor/protocol.h)--> fenced, then A executes fence-monitor,
 *   which inherits conn.
 */
#include <stdbool.h>
#include <stdint.h>

#include "format/field.h"
#include "oci/runtime_spec.h"

enum { SPAWN_FD_CONN, SPAWN_FD_REQUEST, SPAWN_FD_JOIN };
#define SPAWN_MAGIC   0x464e4345u
#define SPAWN_VERSION 1u
struct spawn_msg {
    uint32_t magic, version;
    /* fds follow: conn, request memfd, then one pidfd for each of these that is 1, in this order:
     * the container whose namespaces are joined. */
    uint32_t join_net, join_ipc, join_pid, join_exec;
};

/* Option of a bind: what is bound is the path that follows, below the source, which no link and no
 * race can make it leave. */
#define RT_SUBPATH_OPTION "fence.subpath="

/* One interface in the container's network namespace. */
struct rt_net {
    char *mode;    /* "none", "host", "join", "bridge" */
    char *bridge;  /* name of the master, mode bridge */
    char *host_if; /* veth name outside */
    char *name;    /* inside: "eth0" */
    char *mac;     /* "02:42:ac:11:00:02" */
    char *address; /* "172.17.0.2/16" */
    char *gateway; /* "172.17.0.1" or empty */
    char *address6, *gateway6;
    int64_t mtu;
};

struct rt_rootfs {
    char **lower; /* top layer first, absolute paths of layers/<id>/diff */
    char *upper;  /* containers/<id>/diff; its sibling `work` is the work directory */
    char *work;
    bool is_volatile;
};

struct rt_log {
    char *driver;     /* "json-file" or "none" */
    char *path;       /* the live file */
    int64_t max_size; /* bytes; 0: no rotation */
    int64_t max_file;
    bool compress;
    char *extra; /* JSON object text for "attrs" (labels, env, tag), or empty */
};

struct rt_request {
    char *op;        /* "create" or "exec" */
    char *id;        /* container */
    char *exec_id;   /* op exec */
    char *state_dir; /* <exec-root>/containers/<id>[/exec-<id>]: made by the engine, mode 0711 */
    char *monitor;   /* absolute path of fence-monitor */
    char *init;      /* absolute path of fence-init when --init, else empty */
    struct oci_spec spec;
    struct rt_rootfs rootfs;
    struct rt_net net;
    struct rt_log log;
    char *user;          /* as given: "", "1000", "name", "name:group": resolved inside the image */
    char **extra_groups; /* GroupAdd: names or numbers */
    bool user_home;      /* set HOME from passwd when the environment has none */
    bool open_stdin;     /* a pipe; else /dev/null */
    bool stdin_once;     /* the first stdin client's end of input closes the container's stdin */
    bool privileged;
    bool mknod_notify; /* serve harmless mknod (user namespace on, no listener in the profile) */
    bool oom_kill_disable;
    int64_t pid; /* op exec: the init's pid as the host sees it */
};
extern const struct field_table rt_request_table;
