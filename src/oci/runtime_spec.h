/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The OCI runtime configuration (config.json of a bundle, runtime-spec 1.1) as a struct: what the
 * engine hands to a runtime, in memory to the native one and as a file to a foreign one.
 *
 * Every struct here is owned through its field table: field_init, field_parse, field_copy and
 * field_done of format/field.h. Parts for other systems, rdma, intelRdt, hooks and time offsets are
 * skipped when read and never written. linux.seccomp stays JSON text: only runtime/ looks into it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "format/field.h"

#define OCI_RUNTIME_VERSION "1.0.2"

/* ---- process ------------------------------------------------------------------------------- */
struct oci_box {
    uint64_t height, width;
};

struct oci_user {
    int64_t uid, gid;
    struct uint_list additional_gids;
    struct opt_uint umask;
    char *username; /* Windows; kept because bundles carry it */
};

/* Names as "CAP_CHOWN". */
struct oci_capabilities {
    char **bounding, **effective, **inheritable, **permitted, **ambient;
};

struct oci_rlimit {
    char *type; /* "RLIMIT_NOFILE" */
    uint64_t hard, soft;
};

struct oci_process {
    bool terminal;
    struct oci_box *console_size; /* NULL: not given */
    struct oci_user user;
    char **args, **env;
    char *cwd;
    struct oci_capabilities *capabilities; /* NULL: none at all */
    struct field_array rlimits;            /* struct oci_rlimit */
    bool no_new_privileges;
    char *apparmor_profile, *selinux_label;
    struct opt_int oom_score_adj;
};

/* ---- root and mounts ----------------------------------------------------------------------- */
struct oci_root {
    char *path; /* absolute, or relative to the bundle */
    bool readonly;
};

struct oci_id_map {
    int64_t container_id, host_id, size;
};

struct oci_mount {
    char *destination, *type, *source;
    char **options;
    struct field_array uid_mappings, gid_mappings; /* struct oci_id_map; set: mount idmapped */
};

/* ---- linux --------------------------------------------------------------------------------- */
struct oci_namespace {
    char *type; /* "pid" "network" "ipc" "uts" "mount" "user" "cgroup" "time" */
    char *path; /* NULL or "": a new one */
};

struct oci_device {
    char *type; /* "c" "b" "u" "p" */
    char *path;
    int64_t major, minor;
    struct opt_uint file_mode, uid, gid;
};

struct oci_device_rule {
    bool allow;
    char *type;                  /* "a" "c" "b"; NULL or "": "a" */
    struct opt_int major, minor; /* unset: all */
    char *access;                /* of "rwm" */
};

/* Bytes; -1: unlimited. */
struct oci_memory {
    struct opt_int limit, reservation, swap, kernel, kernel_tcp;
    struct opt_uint swappiness;
    int disable_oom_killer; /* FIELD_TRI */
    int use_hierarchy;      /* FIELD_TRI */
    int check_before_update;
};

/* quota, period and the realtime pair in microseconds. */
struct oci_cpu {
    struct opt_uint shares;
    struct opt_int quota;
    struct opt_uint burst, period;
    struct opt_int realtime_runtime;
    struct opt_uint realtime_period;
    char *cpus, *mems;
    struct opt_int idle;
};

struct oci_pids {
    int64_t limit; /* <= 0: no limit */
};

struct oci_weight_device {
    int64_t major, minor;
    struct opt_uint weight, leaf_weight;
};

struct oci_throttle_device {
    int64_t major, minor;
    uint64_t rate; /* bytes or operations a second */
};

struct oci_block_io {
    struct opt_uint weight, leaf_weight;
    struct field_array weight_device;                           /* struct oci_weight_device */
    struct field_array throttle_read_bps, throttle_write_bps;   /* struct oci_throttle_device */
    struct field_array throttle_read_iops, throttle_write_iops; /* struct oci_throttle_device */
};

struct oci_hugepage_limit {
    char *page_size; /* "2MB" */
    uint64_t limit;  /* bytes */
};

struct oci_net_priority {
    char *name;
    uint64_t priority;
};

struct oci_network {
    struct opt_uint class_id;
    struct field_array priorities; /* struct oci_net_priority */
};

struct oci_resources {
    struct field_array devices; /* struct oci_device_rule, in order; later ones win */
    struct oci_memory *memory;
    struct oci_cpu *cpu;
    struct oci_pids *pids;
    struct oci_block_io *block_io;
    struct field_array hugepage_limits; /* struct oci_hugepage_limit */
    struct oci_network *network;
    struct strmap unified; /* cgroup v2 file -> text */
};

struct oci_personality {
    char *domain; /* "LINUX" or "LINUX32" */
    char **flags;
};

struct oci_linux {
    struct field_array namespaces;                 /* struct oci_namespace */
    struct field_array uid_mappings, gid_mappings; /* struct oci_id_map, of the user namespace */
    struct strmap sysctl;
    char *cgroups_path;
    struct oci_resources *resources;
    char *rootfs_propagation;   /* "private" "rslave" ... or empty */
    char *seccomp;              /* JSON text, or NULL: unconfined */
    struct field_array devices; /* struct oci_device */
    char **masked_paths, **readonly_paths;
    char *mount_label;
    struct oci_personality *personality;
};

struct oci_spec {
    char *oci_version;
    struct oci_process process;
    struct oci_root root;
    char *hostname, *domainname;
    struct field_array mounts; /* struct oci_mount, in the order of mounting */
    struct strmap annotations;
    struct oci_linux lin; /* "linux": the plain word is a macro of gcc */
};

extern const struct field_table oci_spec_table;
extern const struct field_table oci_process_table;
extern const struct field_table oci_resources_table;
extern const struct field_table oci_capabilities_table;
/* Element tables, for field_array_add(). */
extern const struct field_table oci_mount_table;
extern const struct field_table oci_id_map_table;
extern const struct field_table oci_namespace_table;
extern const struct field_table oci_device_table;
extern const struct field_table oci_device_rule_table;
extern const struct field_table oci_rlimit_table;
extern const struct field_table oci_weight_device_table;
extern const struct field_table oci_throttle_device_table;
extern const struct field_table oci_hugepage_limit_table;
/* For the pointers of struct oci_resources and oci_process: xnew() and field_init() with these. */
extern const struct field_table oci_memory_table;
extern const struct field_table oci_cpu_table;
extern const struct field_table oci_pids_table;
extern const struct field_table oci_block_io_table;
extern const struct field_table oci_box_table;

/* The namespace of that type, or NULL: not in the list, so the host's. Borrowed. */
struct oci_namespace *oci_spec_namespace(const struct oci_spec *s, const char *type);
/* Adds a namespace; path may be NULL. */
void oci_spec_add_namespace(struct oci_spec *s, const char *type, const char *path);
/* Adds a mount; options are given as one comma-separated text (may be NULL). The pointer is good
 * until the next addition. */
struct oci_mount *oci_spec_add_mount(struct oci_spec *s, const char *destination, const char *type,
                                     const char *source, const char *options);
/* What is missing or malformed for any runtime (ERR_INVALID): version, args, relative cwd, root,
 * mounts without an absolute destination, unknown or repeated namespace types. */
int oci_spec_check(const struct oci_spec *s, struct err *e);
