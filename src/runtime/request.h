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

#include "base/map.h"
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
struct rt_interface {
    char *kind;       /* "veth": a port of a bridge; "macvlan", "ipvlan": a child of `parent` */
    char *bridge;     /* veth: the master; empty: none */
    char *parent;     /* macvlan, ipvlan: the host's interface */
    char *link_mode;  /* macvlan: bridge, private, vepa, passthru; ipvlan: l2, l3, l3s; or empty */
    char *host_if;    /* veth: its name outside, which no other interface has */
    char *name;       /* inside: "eth0" */
    char *mac;        /* "02:42:ac:11:00:02"; empty: the kernel's choice */
    char **addresses; /* "172.17.0.2/16", "fd00::2/64"; without one of IPv6 it has no IPv6 at all */
    /* Of a start: the default routes through it; empty: none; "0.0.0.0" and "::": without a
     * gateway. */
    char *gateway, *gateway6;
    char **routes; /* "10.1.0.0/16 via 172.17.0.9", or without "via" */
    int64_t mtu;   /* 0: the kernel's choice */
    /* Below net. with a component IFNAME, which stands for `name`: "net.ipv4.conf.IFNAME.x" */
    struct strmap sysctls;
};
extern const struct field_table rt_interface_table;

/* A default route as it is to hold after an interface has come or gone. */
struct rt_default {
    char *name;    /* the interface, inside */
    char *gateway; /* "172.17.0.1" or of IPv6; "0.0.0.0" and "::": without a gateway */
};
extern const struct field_table rt_default_table;

struct rt_net {
    char *mode; /* "none", "host", "join", "own" */
    struct field_array interfaces;
    /* Ops connect and disconnect: all default routes that hold afterwards, one for a family at most
     * (the interfaces' own gateways are not looked at). */
    struct field_array defaults;
    /* Socket of fence-netd, which is to answer names in the new namespace; empty: it is not. Op
     * netd: where it is to be. */
    char *netd;
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
    /* "create", "exec", or of a running container (JOIN: net): "connect" and "disconnect", for
     * which `id` and `net` are all that counts. Disconnecting takes kind, host_if and name.
     * "netd": becomes fence-netd; `monitor` and net.netd count. */
    char *op;
    char *id;        /* container */
    char *exec_id;   /* op exec */
    char *state_dir; /* <exec-root>/containers/<id>[/exec-<id>]: made by the engine, mode 0711 */
    char *monitor;   /* absolute path of fence-monitor; op netd: of fence-netd */
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
