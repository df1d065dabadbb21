/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine: everything the daemon knows, owned by the loop thread. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/events.h"
#include "engine/networks.h"
#include "image/layer.h"
#include "image/store.h"
#include "loop/loop.h"
#include "runtime/cgroup.h"
#include "runtime/lsm.h"
#include "store/store.h"
#include "volume/volume.h"

/* From flags and daemon.json (engine/daemon_config.h). Strings are owned. */
struct engine_options {
    char *data_root, *exec_root;
    char *cgroup_parent; /* "/docker" unless given */
    char *libexec;       /* directory of fence-spawner, fence-monitor, fence-init */
    char *name;          /* of the host, for /info */
    char *cors_origin;   /* NULL: no CORS headers */
    char *idmap_dir;     /* leases of id ranges, shared by all daemons of the host */
    char *init_path;     /* --init-path, NULL: fence-init */
    struct strmap log_opts;
    char *log_driver;
    char **labels, **dns, **dns_search, **dns_options;
    struct strmap ulimits; /* "nofile" -> "soft:hard" */
    struct network_options net;
    int64_t shutdown_timeout, shm_size;
    bool live_restore, debug, docker_compat, userns_refuse, no_new_privileges, experimental,
        default_init, selinux_enabled;
    char *seccomp_profile;  /* path, "unconfined", or NULL for the default */
    char *default_ipc_mode; /* NULL: "private" */
    char *host_gateway;     /* --host-gateway-ip, NULL: the default bridge's */
    char *userns_remap;     /* "": a range a container; "host": user namespaces off by default */
};

struct exec;
struct http_server;
struct spawner_link;
struct netd_link;
struct firewall;
struct idmap;

struct engine {
    struct loop *loop;
    struct engine_options options;
    struct data_root *data_root;
    struct store *store;
    struct layer_store *layers;
    struct image_store *images;
    struct volume_store *volumes;
    struct map networks, network_names; /* id, name -> struct network */
    struct ipam_pools pools;
    struct firewall *firewall; /* NULL: no nf_tables here */
    struct netd_link *netd;
    int netlink; /* NETLINK_ROUTE */
    struct events *events;
    struct idmap *idmap;
    struct cgroupfs_host *cgroups; /* this host's hierarchies */
    struct cgroup_info cgroup_info;
    struct lsm_host lsm;
    bool selinux; /* new containers get labels */
    struct lsm_contexts contexts;
    struct spawner_link *spawner;
    struct http_server *server; /* for sockets made for containers; NULL before it listens */
    struct map containers;      /* id -> struct container */
    struct map names;           /* name without slash -> struct container */
    struct map execs;           /* id -> struct exec */
    struct list net_calls;      /* on their way (engine/net_call.h) */
    struct map ready_chains;    /* chain ids whose fix-up layer is known: starts need no worker */
    char **listeners;           /* "-H" values served, for /info */
    char **warnings;            /* about how the daemon was started, for /info */
    char *id;                   /* of this engine, kept in the data root */
    int64_t started_ns;
    int lock_fd; /* of the data root */
    struct loop_fd *network_watch;
    struct loop_timer *network_pause;
    bool stopping, syncing, cleaning, clean_again;
    bool root_unmappable; /* the data root's file system cannot be idmapped by this kernel */
};

/* Opens the data root, loads the state, adopts running containers, starts the spawner. */
int engine_open(struct loop *l, struct engine_options *options, struct engine **ret, struct err *e);
/* Closes without touching the containers: they belong to their monitors. */
void engine_close(struct engine *eng);
/* dockerd's SIGTERM: stops all containers unless live-restore is on, then done(arg). */
void engine_shutdown(struct engine *eng, void (*done)(void *arg), void *arg);

/* Background jobs, each at most once at a time. */
void engine_empty_trash(struct engine *eng);
void engine_sync_layers(struct engine *eng);
