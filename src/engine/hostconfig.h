/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a container is attached to this host: Docker's HostConfig, all of it, whether this engine
 * acts on a member yet or refuses it (engine/create_body.h). The table parses API bodies and the
 * engine's own records, and prints what dockerd prints: its order, its nulls, its omissions.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/field.h"

/* Name of the engine's own runtime, in HostConfig.Runtime. */
#define RUNTIME_NATIVE "fence"

/* ---- members ------------------------------------------------------------------------------- */
struct log_config {
    char *type; /* "json-file", "none" */
    struct strmap config;
};

struct restart_policy {
    char *name;                  /* "", "no", "always", "unless-stopped", "on-failure" */
    int64_t maximum_retry_count; /* on-failure only; 0: no limit */
};

struct device_mapping {
    char *path_on_host, *path_in_container, *cgroup_permissions; /* of "rwm" */
};

struct device_request {
    char *driver;
    int64_t count; /* -1: all */
    char **device_ids;
    char *capabilities; /* JSON text: a list of lists of strings */
    struct strmap options;
};

struct weight_device {
    char *path;
    int64_t weight;
};

struct throttle_device {
    char *path;
    uint64_t rate; /* bytes or operations a second */
};

struct ulimit {
    char *name;         /* "nofile" */
    int64_t hard, soft; /* -1: unlimited */
};

struct mount_bind_options {
    char *propagation;
    bool non_recursive, create_mountpoint, read_only_non_recursive, read_only_force_recursive;
};

struct mount_driver_config {
    char *name;
    struct strmap options;
};

struct mount_volume_options {
    bool no_copy;
    struct strmap labels;
    char *subpath;
    struct mount_driver_config *driver_config;
};

struct mount_image_options {
    char *subpath;
};

struct mount_tmpfs_options {
    int64_t size_bytes; /* 0: no limit */
    int64_t mode;       /* 0: 1777 */
    char *options;      /* JSON text: [["uid","5"],["noexec"]] */
};

/* An entry of HostConfig.Mounts; the pointers are NULL unless given. */
struct mount_spec {
    char *type; /* "bind", "volume", "tmpfs" */
    char *source, *target;
    bool read_only;
    char *consistency; /* meaningless on Linux, kept */
    struct mount_bind_options *bind_options;
    struct mount_volume_options *volume_options;
    struct mount_image_options *image_options;
    struct mount_tmpfs_options *tmpfs_options;
};

/* ---- the whole ----------------------------------------------------------------------------- */
struct host_config {
    char **binds;
    char *container_id_file; /* written by the client */
    struct log_config log_config;
    char *network_mode;  /* "default", "bridge", "none", "host", "container:<id>", a network */
    char *port_bindings; /* JSON text: {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, or NULL */
    struct restart_policy restart_policy;
    bool auto_remove;
    char *volume_driver;
    char **volumes_from; /* "<container>[:ro|rw|z|Z]" */
    char **cap_add, **cap_drop;
    char *cgroupns_mode; /* "host", "private" */
    char **dns, **dns_options, **dns_search;
    char **extra_hosts; /* "name:address", also "name:host-gateway" */
    char **group_add;
    char *ipc_mode; /* "private", "shareable", "none", "host", "container:<id>" */
    char *cgroup;
    char **links;
    int64_t oom_score_adj; /* -1000 to 1000 */
    char *pid_mode;        /* "", "host", "container:<id>" */
    bool privileged, publish_all_ports, readonly_rootfs;
    char **security_opt;
    struct strmap storage_opt;
    struct strmap tmpfs; /* destination -> options */
    char *uts_mode;      /* "", "host" */
    char *userns_mode;   /* "", "host", "private" */
    int64_t shm_size;    /* bytes */
    struct strmap sysctls;
    char *runtime;
    struct uint_list console_size; /* height, width */
    struct strmap annotations;
    char *isolation; /* "", "default" */

    /* Docker's Resources. Memory in bytes, CPU times in microseconds. */
    int64_t cpu_shares;
    int64_t memory;
    int64_t nano_cpus; /* 10^-9 CPUs */
    char *cgroup_parent;
    int64_t blkio_weight;
    struct field_array blkio_weight_device;     /* struct weight_device */
    struct field_array blkio_device_read_bps;   /* struct throttle_device */
    struct field_array blkio_device_write_bps;  /* struct throttle_device */
    struct field_array blkio_device_read_iops;  /* struct throttle_device */
    struct field_array blkio_device_write_iops; /* struct throttle_device */
    int64_t cpu_period, cpu_quota, cpu_realtime_period, cpu_realtime_runtime;
    char *cpuset_cpus, *cpuset_mems;    /* "0-3,5" */
    struct field_array devices;         /* struct device_mapping */
    char **device_cgroup_rules;         /* "c 1:3 rwm" */
    struct field_array device_requests; /* struct device_request */
    int64_t kernel_memory, kernel_memory_tcp;
    int64_t memory_reservation;
    int64_t memory_swap;              /* memory and swap together; -1: no limit, 0: twice memory */
    struct opt_int memory_swappiness; /* 0 to 100 */
    int oom_kill_disable;             /* FIELD_TRI */
    struct opt_int pids_limit;        /* unset: no limit */
    struct field_array ulimits;       /* struct ulimit */
    int64_t cpu_count, cpu_percent, io_maximum_iops, io_maximum_bandwidth; /* Windows */

    struct field_array mounts; /* struct mount_spec */
    /* NULL: Docker's defaults (at create) or none (after it); an empty vector: none. */
    char **masked_paths, **readonly_paths;
    int init; /* FIELD_TRI */
};

extern const struct field_table host_config_table;
extern const struct field_table mount_spec_table;
extern const struct field_table restart_policy_table;
extern const struct field_table device_mapping_table;
extern const struct field_table throttle_device_table;
extern const struct field_table weight_device_table;
extern const struct field_table ulimit_table;

/* Docker's lists, ends with NULL. */
extern const char *const host_default_masked_paths[];
extern const char *const host_default_readonly_paths[];

struct host_defaults {
    const char *log_driver;        /* of the daemon; NULL: "json-file" */
    const struct strmap *log_opts; /* applied when the container names no driver; may be NULL */
    int64_t shm_size;              /* 0: 64 MiB */
    const char *ipc_mode;          /* NULL: "private" */
    bool cgroup_v2;                /* cgroup namespaces are private there by default */
};
/* Fills in what dockerd fills in at create, so that inspect shows what will be used. Idempotent. */
void host_config_set_defaults(struct host_config *h, const struct host_defaults *d);

/* ---- modes --------------------------------------------------------------------------------- */
/* For pid, ipc, network and uts modes. mode_container() gives what follows "container:", or NULL;
 * borrowed. */
bool mode_is_host(const char *mode);
const char *mode_container(const char *mode);
/* "", "default", "bridge": the default bridge. */
bool network_mode_is_bridge(const char *mode);
bool network_mode_is_none(const char *mode);
/* None of default, bridge, none, host, container:. */
bool network_mode_is_user(const char *mode);

/* ---- security options ---------------------------------------------------------------------- */
struct security_options {
    char *seccomp;         /* NULL: the default; "unconfined"; else a profile's JSON text */
    char *apparmor;        /* NULL: the default */
    char **label;          /* "disable", "type:T", ... */
    int no_new_privileges; /* -1: the daemon's default */
};
void security_options_done(struct security_options *s);
/* ERR_INVALID `invalid --security-opt 1: "x"`; repeated options: the last one counts. *ret is owned
 * by the caller on success. */
int security_options_parse(char *const *opts, struct security_options *ret, struct err *e);
