/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/hostconfig.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

#define OMIT        FIELD_OMIT_EMPTY
#define SHM_DEFAULT (64 << 20)

/* ---- tables -------------------------------------------------------------------------------- */
static const struct field log_config_fields[] = {
    FIELD(struct log_config, "Type", FIELD_STR, type, 0),
    FIELD(struct log_config, "Config", FIELD_STRMAP, config, 0),
    FIELD_END,
};
static const struct field_table log_config_table =
    FIELD_TABLE(struct log_config, log_config_fields);

static const struct field restart_policy_fields[] = {
    FIELD(struct restart_policy, "Name", FIELD_STR, name, 0),
    FIELD(struct restart_policy, "MaximumRetryCount", FIELD_INT, maximum_retry_count, 0),
    FIELD_END,
};
const struct field_table restart_policy_table =
    FIELD_TABLE(struct restart_policy, restart_policy_fields);

static const struct field device_mapping_fields[] = {
    FIELD(struct device_mapping, "PathOnHost", FIELD_STR, path_on_host, 0),
    FIELD(struct device_mapping, "PathInContainer", FIELD_STR, path_in_container, 0),
    FIELD(struct device_mapping, "CgroupPermissions", FIELD_STR, cgroup_permissions, 0),
    FIELD_END,
};
const struct field_table device_mapping_table =
    FIELD_TABLE(struct device_mapping, device_mapping_fields);

static const struct field device_request_fields[] = {
    FIELD(struct device_request, "Driver", FIELD_STR, driver, 0),
    FIELD(struct device_request, "Count", FIELD_INT, count, 0),
    FIELD(struct device_request, "DeviceIDs", FIELD_STRV, device_ids, 0),
    FIELD(struct device_request, "Capabilities", FIELD_RAW, capabilities, 0),
    FIELD(struct device_request, "Options", FIELD_STRMAP, options, FIELD_NULL_EMPTY),
    FIELD_END,
};
static const struct field_table device_request_table =
    FIELD_TABLE(struct device_request, device_request_fields);

static const struct field weight_device_fields[] = {
    FIELD(struct weight_device, "Path", FIELD_STR, path, 0),
    FIELD(struct weight_device, "Weight", FIELD_INT, weight, 0),
    FIELD_END,
};
const struct field_table weight_device_table =
    FIELD_TABLE(struct weight_device, weight_device_fields);

static const struct field throttle_device_fields[] = {
    FIELD(struct throttle_device, "Path", FIELD_STR, path, 0),
    FIELD(struct throttle_device, "Rate", FIELD_UINT, rate, 0),
    FIELD_END,
};
const struct field_table throttle_device_table =
    FIELD_TABLE(struct throttle_device, throttle_device_fields);

static const struct field ulimit_fields[] = {
    FIELD(struct ulimit, "Name", FIELD_STR, name, 0),
    FIELD(struct ulimit, "Hard", FIELD_INT, hard, 0),
    FIELD(struct ulimit, "Soft", FIELD_INT, soft, 0),
    FIELD_END,
};
const struct field_table ulimit_table = FIELD_TABLE(struct ulimit, ulimit_fields);

static const struct field bind_options_fields[] = {
    FIELD(struct mount_bind_options, "Propagation", FIELD_STR, propagation, OMIT),
    FIELD(struct mount_bind_options, "NonRecursive", FIELD_BOOL_T, non_recursive, OMIT),
    FIELD(struct mount_bind_options, "CreateMountpoint", FIELD_BOOL_T, create_mountpoint, OMIT),
    FIELD(struct mount_bind_options, "ReadOnlyNonRecursive", FIELD_BOOL_T, read_only_non_recursive,
          OMIT),
    FIELD(struct mount_bind_options, "ReadOnlyForceRecursive", FIELD_BOOL_T,
          read_only_force_recursive, OMIT),
    FIELD_END,
};
static const struct field_table bind_options_table =
    FIELD_TABLE(struct mount_bind_options, bind_options_fields);

static const struct field driver_config_fields[] = {
    FIELD(struct mount_driver_config, "Name", FIELD_STR, name, OMIT),
    FIELD(struct mount_driver_config, "Options", FIELD_STRMAP, options, OMIT),
    FIELD_END,
};
static const struct field_table driver_config_table =
    FIELD_TABLE(struct mount_driver_config, driver_config_fields);

static const struct field volume_options_fields[] = {
    FIELD(struct mount_volume_options, "NoCopy", FIELD_BOOL_T, no_copy, OMIT),
    FIELD(struct mount_volume_options, "Labels", FIELD_STRMAP, labels, OMIT),
    FIELD(struct mount_volume_options, "Subpath", FIELD_STR, subpath, OMIT),
    FIELD_SUB(struct mount_volume_options, "DriverConfig", FIELD_STRUCT_P, driver_config, OMIT,
              driver_config_table),
    FIELD_END,
};
static const struct field_table volume_options_table =
    FIELD_TABLE(struct mount_volume_options, volume_options_fields);

static const struct field image_options_fields[] = {
    FIELD(struct mount_image_options, "Subpath", FIELD_STR, subpath, OMIT),
    FIELD_END,
};
static const struct field_table image_options_table =
    FIELD_TABLE(struct mount_image_options, image_options_fields);

static const struct field tmpfs_options_fields[] = {
    FIELD(struct mount_tmpfs_options, "SizeBytes", FIELD_INT, size_bytes, OMIT),
    FIELD(struct mount_tmpfs_options, "Mode", FIELD_INT, mode, OMIT),
    FIELD(struct mount_tmpfs_options, "Options", FIELD_RAW, options, OMIT),
    FIELD_END,
};
static const struct field_table tmpfs_options_table =
    FIELD_TABLE(struct mount_tmpfs_options, tmpfs_options_fields);

static const struct field mount_spec_fields[] = {
    FIELD(struct mount_spec, "Type", FIELD_STR, type, OMIT),
    FIELD(struct mount_spec, "Source", FIELD_STR, source, OMIT),
    FIELD(struct mount_spec, "Target", FIELD_STR, target, OMIT),
    FIELD(struct mount_spec, "ReadOnly", FIELD_BOOL_T, read_only, OMIT),
    FIELD(struct mount_spec, "Consistency", FIELD_STR, consistency, OMIT),
    FIELD_SUB(struct mount_spec, "BindOptions", FIELD_STRUCT_P, bind_options, OMIT,
              bind_options_table),
    FIELD_SUB(struct mount_spec, "VolumeOptions", FIELD_STRUCT_P, volume_options, OMIT,
              volume_options_table),
    FIELD_SUB(struct mount_spec, "ImageOptions", FIELD_STRUCT_P, image_options, OMIT,
              image_options_table),
    FIELD_SUB(struct mount_spec, "TmpfsOptions", FIELD_STRUCT_P, tmpfs_options, OMIT,
              tmpfs_options_table),
    FIELD_END,
};
const struct field_table mount_spec_table = FIELD_TABLE(struct mount_spec, mount_spec_fields);

/* The order of Docker 20.10's struct; what newer versions added stands where they put it. */
#define HC struct host_config
static const struct field host_config_fields[] = {
    FIELD(HC, "Binds", FIELD_STRV, binds, 0),
    FIELD(HC, "ContainerIDFile", FIELD_STR, container_id_file, 0),
    FIELD_SUB(HC, "LogConfig", FIELD_STRUCT, log_config, 0, log_config_table),
    FIELD(HC, "NetworkMode", FIELD_STR, network_mode, 0),
    FIELD(HC, "PortBindings", FIELD_RAW, port_bindings, 0),
    FIELD_SUB(HC, "RestartPolicy", FIELD_STRUCT, restart_policy, 0, restart_policy_table),
    FIELD(HC, "AutoRemove", FIELD_BOOL_T, auto_remove, 0),
    FIELD(HC, "VolumeDriver", FIELD_STR, volume_driver, 0),
    FIELD(HC, "VolumesFrom", FIELD_STRV, volumes_from, 0),
    FIELD(HC, "CapAdd", FIELD_STRLIST, cap_add, 0),
    FIELD(HC, "CapDrop", FIELD_STRLIST, cap_drop, 0),
    FIELD(HC, "CgroupnsMode", FIELD_STR, cgroupns_mode, 0),
    FIELD(HC, "Dns", FIELD_STRV, dns, 0),
    FIELD(HC, "DnsOptions", FIELD_STRV, dns_options, 0),
    FIELD(HC, "DnsSearch", FIELD_STRV, dns_search, 0),
    FIELD(HC, "ExtraHosts", FIELD_STRV, extra_hosts, 0),
    FIELD(HC, "GroupAdd", FIELD_STRV, group_add, 0),
    FIELD(HC, "IpcMode", FIELD_STR, ipc_mode, 0),
    FIELD(HC, "Cgroup", FIELD_STR, cgroup, 0),
    FIELD(HC, "Links", FIELD_STRV, links, 0),
    FIELD(HC, "OomScoreAdj", FIELD_INT, oom_score_adj, 0),
    FIELD(HC, "PidMode", FIELD_STR, pid_mode, 0),
    FIELD(HC, "Privileged", FIELD_BOOL_T, privileged, 0),
    FIELD(HC, "PublishAllPorts", FIELD_BOOL_T, publish_all_ports, 0),
    FIELD(HC, "ReadonlyRootfs", FIELD_BOOL_T, readonly_rootfs, 0),
    FIELD(HC, "SecurityOpt", FIELD_STRV, security_opt, 0),
    FIELD(HC, "StorageOpt", FIELD_STRMAP, storage_opt, OMIT),
    FIELD(HC, "Tmpfs", FIELD_STRMAP, tmpfs, OMIT),
    FIELD(HC, "UTSMode", FIELD_STR, uts_mode, 0),
    FIELD(HC, "UsernsMode", FIELD_STR, userns_mode, 0),
    FIELD(HC, "ShmSize", FIELD_INT, shm_size, 0),
    FIELD(HC, "Sysctls", FIELD_STRMAP, sysctls, OMIT),
    FIELD(HC, "Runtime", FIELD_STR, runtime, OMIT),
    FIELD(HC, "ConsoleSize", FIELD_UINTS, console_size, 0),
    FIELD(HC, "Annotations", FIELD_STRMAP, annotations, OMIT),
    FIELD(HC, "Isolation", FIELD_STR, isolation, 0),
    FIELD(HC, "CpuShares", FIELD_INT, cpu_shares, 0),
    FIELD(HC, "Memory", FIELD_INT, memory, 0),
    FIELD(HC, "NanoCpus", FIELD_INT, nano_cpus, 0),
    FIELD(HC, "CgroupParent", FIELD_STR, cgroup_parent, 0),
    FIELD(HC, "BlkioWeight", FIELD_INT, blkio_weight, 0),
    FIELD_SUB(HC, "BlkioWeightDevice", FIELD_ARRAY, blkio_weight_device, FIELD_LIST_EMPTY,
              weight_device_table),
    FIELD_SUB(HC, "BlkioDeviceReadBps", FIELD_ARRAY, blkio_device_read_bps, 0,
              throttle_device_table),
    FIELD_SUB(HC, "BlkioDeviceWriteBps", FIELD_ARRAY, blkio_device_write_bps, 0,
              throttle_device_table),
    FIELD_SUB(HC, "BlkioDeviceReadIOps", FIELD_ARRAY, blkio_device_read_iops, 0,
              throttle_device_table),
    FIELD_SUB(HC, "BlkioDeviceWriteIOps", FIELD_ARRAY, blkio_device_write_iops, 0,
              throttle_device_table),
    FIELD(HC, "CpuPeriod", FIELD_INT, cpu_period, 0),
    FIELD(HC, "CpuQuota", FIELD_INT, cpu_quota, 0),
    FIELD(HC, "CpuRealtimePeriod", FIELD_INT, cpu_realtime_period, 0),
    FIELD(HC, "CpuRealtimeRuntime", FIELD_INT, cpu_realtime_runtime, 0),
    FIELD(HC, "CpusetCpus", FIELD_STR, cpuset_cpus, 0),
    FIELD(HC, "CpusetMems", FIELD_STR, cpuset_mems, 0),
    FIELD_SUB(HC, "Devices", FIELD_ARRAY, devices, FIELD_LIST_EMPTY, device_mapping_table),
    FIELD(HC, "DeviceCgroupRules", FIELD_STRV, device_cgroup_rules, 0),
    FIELD_SUB(HC, "DeviceRequests", FIELD_ARRAY, device_requests, 0, device_request_table),
    FIELD(HC, "KernelMemory", FIELD_INT, kernel_memory, 0),
    FIELD(HC, "KernelMemoryTCP", FIELD_INT, kernel_memory_tcp, 0),
    FIELD(HC, "MemoryReservation", FIELD_INT, memory_reservation, 0),
    FIELD(HC, "MemorySwap", FIELD_INT, memory_swap, 0),
    FIELD(HC, "MemorySwappiness", FIELD_INT_NULL, memory_swappiness, 0),
    FIELD(HC, "OomKillDisable", FIELD_TRI, oom_kill_disable, 0),
    FIELD(HC, "PidsLimit", FIELD_INT_NULL, pids_limit, 0),
    FIELD_SUB(HC, "Ulimits", FIELD_ARRAY, ulimits, 0, ulimit_table),
    FIELD(HC, "CpuCount", FIELD_INT, cpu_count, 0),
    FIELD(HC, "CpuPercent", FIELD_INT, cpu_percent, 0),
    FIELD(HC, "IOMaximumIOps", FIELD_INT, io_maximum_iops, 0),
    FIELD(HC, "IOMaximumBandwidth", FIELD_INT, io_maximum_bandwidth, 0),
    FIELD_SUB(HC, "Mounts", FIELD_ARRAY, mounts, OMIT, mount_spec_table),
    FIELD(HC, "MaskedPaths", FIELD_STRV, masked_paths, 0),
    FIELD(HC, "ReadonlyPaths", FIELD_STRV, readonly_paths, 0),
    FIELD(HC, "Init", FIELD_TRI, init, OMIT),
    FIELD_END,
};
const struct field_table host_config_table = FIELD_TABLE(HC, host_config_fields);

/* ---- defaults ------------------------------------------------------------------------------ */
/* Docker's list of today: interrupts and powercap tell what other tenants do (CVE-2020-8694). */
const char *const host_default_masked_paths[] = {
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    NULL,
};
const char *const host_default_readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

static char **list_dup(const char *const *list) {
    size_t n = 0;
    char **v;

    while (list[n]) {
        n++;
    }
    v = xcalloc(n + 1, sizeof(*v));
    for (size_t i = 0; i < n; i++) {
        v[i] = xstrdup(list[i]);
    }
    return v;
}

static void default_str(char **p, const char *value) {
    if (str_empty(*p)) {
        str_set(p, value);
    }
}

/* SELinux labels would keep a container that shares the host's processes or IPC objects from them:
 * Docker adds the option where the user said nothing about labels. */
static void set_label_option(struct host_config *h) {
    if (!h->privileged && !mode_is_host(h->pid_mode) && !mode_is_host(h->ipc_mode)) {
        return;
    }
    strv_for_each (opt, h->security_opt) {
        if (str_starts(opt, "label=") || str_starts(opt, "label:")) {
            return;
        }
    }
    strv_add(&h->security_opt, "label=disable");
}

void host_config_set_defaults(struct host_config *h, const struct host_defaults *d) {

    default_str(&h->network_mode, "default");
    if (str_empty(h->log_config.type)) {
        str_set(&h->log_config.type, d->log_driver ? d->log_driver : "json-file");
        /* The daemon's options belong to its own driver, and single ones may be overridden. */
        if (d->log_opts) {
            strmap_for_each(o, d->log_opts) {
                if (!strmap_get(&h->log_config.config, o->key)) {
                    strmap_put(&h->log_config.config, o->key, o->value);
                }
            }
        }
    }
    if (h->shm_size == 0) {
        h->shm_size = d->shm_size ? d->shm_size : SHM_DEFAULT;
    }
    default_str(&h->ipc_mode, d->ipc_mode ? d->ipc_mode : "private");
    /* For privileged containers and for old clients too. */
    default_str(&h->cgroupns_mode, d->cgroup_v2 ? "private" : "host");
    if (h->oom_kill_disable < 0) {
        h->oom_kill_disable = 0;
    }
    if (h->memory_swap == 0 && h->memory > 0) {
        h->memory_swap = h->memory > INT64_MAX / 2 ? -1 : h->memory * 2;
    }
    if (!h->console_size.set || h->console_size.count != 2) {
        uint64_t size[2] = {0, 0};

        for (size_t i = 0; i < h->console_size.count && i < 2; i++) {
            size[i] = h->console_size.items[i];
        }
        free(h->console_size.items);
        h->console_size = (struct uint_list){xmemdup(size, sizeof(size)), 2, true};
    }
    set_label_option(h);
    /* Privileged: neither is masked, which dockerd prints as null. */
    if (!h->privileged) {
        if (!h->masked_paths) {
            h->masked_paths = list_dup(host_default_masked_paths);
        }
        if (!h->readonly_paths) {
            h->readonly_paths = list_dup(host_default_readonly_paths);
        }
    }
}

/* ---- modes --------------------------------------------------------------------------------- */
bool mode_is_host(const char *mode) {
    return str_eq(mode, "host");
}

const char *mode_container(const char *mode) {
    return str_after(str_or_empty(mode), "container:");
}

bool network_mode_is_bridge(const char *mode) {
    return str_empty(mode) || str_eq(mode, "default") || str_eq(mode, "bridge");
}

bool network_mode_is_none(const char *mode) {
    return str_eq(mode, "none");
}

bool network_mode_is_user(const char *mode) {
    return !network_mode_is_bridge(mode) && !network_mode_is_none(mode) && !mode_is_host(mode) &&
           !mode_container(mode);
}

/* ---- security options ---------------------------------------------------------------------- */
void security_options_done(struct security_options *s) {
    free(s->seccomp);
    free(s->apparmor);
    strv_free(s->label);
    *s = (struct security_options){.no_new_privileges = -1};
}

static int security_option(const char *opt, struct security_options *s, struct err *e) {
    auto_free char *key = NULL;
    const char *sep, *value;
    bool yes;

    if (str_eq(opt, "no-new-privileges")) {
        s->no_new_privileges = 1;
        return 0;
    }
    if (str_eq(opt, "disable")) {
        strv_add(&s->label, "disable");
        return 0;
    }
    /* "=" is today's separator, ":" the one of old; the first of either counts, since a seccomp
     * profile is JSON text and full of colons. */
    sep = opt + strcspn(opt, "=:");
    if (!*sep) {
        return err_set(e, ERR_INVALID, "invalid --security-opt 1: \"%s\"", opt);
    }
    key = xstrndup(opt, (size_t)(sep - opt));
    value = sep + 1;
    if (str_eq(key, "label")) {
        strv_add(&s->label, value);
    } else if (str_eq(key, "apparmor")) {
        str_set(&s->apparmor, value);
    } else if (str_eq(key, "seccomp")) {
        /* "builtin" is Docker's word for the default. */
        str_set(&s->seccomp, str_eq(value, "builtin") ? NULL : value);
    } else if (str_eq(key, "no-new-privileges") && str_to_bool(value, &yes) == 0) {
        s->no_new_privileges = yes;
    } else {
        return err_set(e, ERR_INVALID, "invalid --security-opt 2: \"%s\"", opt);
    }
    return 0;
}

int security_options_parse(char *const *opts, struct security_options *ret, struct err *e) {
    struct security_options s = {.no_new_privileges = -1};

    strv_for_each (opt, opts) {
        int r = security_option(opt, &s, e);

        if (r < 0) {
            security_options_done(&s);
            return r;
        }
    }
    *ret = s;
    return 0;
}
