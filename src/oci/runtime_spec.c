/* SPDX-License-Identifier: Apache-2.0 */

/* Field tables of the OCI runtime configuration, in the order and with the omissions of the
 * specification's own Go structs, so that a bundle of ours reads like one of runc's. */
#include "oci/runtime_spec.h"

#include <string.h>

#include "base/alloc.h"

#define OMIT FIELD_OMIT_EMPTY

static const struct field box_fields[] = {
    FIELD(struct oci_box, "height", FIELD_UINT, height, 0),
    FIELD(struct oci_box, "width", FIELD_UINT, width, 0),
    FIELD_END,
};
const struct field_table oci_box_table = FIELD_TABLE(struct oci_box, box_fields);

static const struct field user_fields[] = {
    FIELD(struct oci_user, "uid", FIELD_INT, uid, 0),
    FIELD(struct oci_user, "gid", FIELD_INT, gid, 0),
    FIELD(struct oci_user, "umask", FIELD_UINT_NULL, umask, OMIT),
    FIELD(struct oci_user, "additionalGids", FIELD_UINTS, additional_gids, OMIT),
    FIELD(struct oci_user, "username", FIELD_STR, username, OMIT),
    FIELD_END,
};
static const struct field_table user_table = FIELD_TABLE(struct oci_user, user_fields);

static const struct field capabilities_fields[] = {
    FIELD(struct oci_capabilities, "bounding", FIELD_STRV, bounding, OMIT),
    FIELD(struct oci_capabilities, "effective", FIELD_STRV, effective, OMIT),
    FIELD(struct oci_capabilities, "inheritable", FIELD_STRV, inheritable, OMIT),
    FIELD(struct oci_capabilities, "permitted", FIELD_STRV, permitted, OMIT),
    FIELD(struct oci_capabilities, "ambient", FIELD_STRV, ambient, OMIT),
    FIELD_END,
};
const struct field_table oci_capabilities_table =
    FIELD_TABLE(struct oci_capabilities, capabilities_fields);

static const struct field rlimit_fields[] = {
    FIELD(struct oci_rlimit, "type", FIELD_STR, type, 0),
    FIELD(struct oci_rlimit, "hard", FIELD_UINT, hard, 0),
    FIELD(struct oci_rlimit, "soft", FIELD_UINT, soft, 0),
    FIELD_END,
};
const struct field_table oci_rlimit_table = FIELD_TABLE(struct oci_rlimit, rlimit_fields);

static const struct field process_fields[] = {
    FIELD(struct oci_process, "terminal", FIELD_BOOL_T, terminal, OMIT),
    FIELD_SUB(struct oci_process, "consoleSize", FIELD_STRUCT_P, console_size, OMIT, oci_box_table),
    FIELD_SUB(struct oci_process, "user", FIELD_STRUCT, user, 0, user_table),
    FIELD(struct oci_process, "args", FIELD_STRV, args, OMIT),
    FIELD(struct oci_process, "env", FIELD_STRV, env, OMIT),
    FIELD(struct oci_process, "cwd", FIELD_STR, cwd, 0),
    FIELD_SUB(struct oci_process, "capabilities", FIELD_STRUCT_P, capabilities, OMIT,
              oci_capabilities_table),
    FIELD_SUB(struct oci_process, "rlimits", FIELD_ARRAY, rlimits, OMIT, oci_rlimit_table),
    FIELD(struct oci_process, "noNewPrivileges", FIELD_BOOL_T, no_new_privileges, OMIT),
    FIELD(struct oci_process, "apparmorProfile", FIELD_STR, apparmor_profile, OMIT),
    FIELD(struct oci_process, "oomScoreAdj", FIELD_INT_NULL, oom_score_adj, OMIT),
    FIELD(struct oci_process, "selinuxLabel", FIELD_STR, selinux_label, OMIT),
    FIELD_END,
};
const struct field_table oci_process_table = FIELD_TABLE(struct oci_process, process_fields);

static const struct field root_fields[] = {
    FIELD(struct oci_root, "path", FIELD_STR, path, 0),
    FIELD(struct oci_root, "readonly", FIELD_BOOL_T, readonly, OMIT),
    FIELD_END,
};
static const struct field_table root_table = FIELD_TABLE(struct oci_root, root_fields);

static const struct field id_map_fields[] = {
    FIELD(struct oci_id_map, "containerID", FIELD_INT, container_id, 0),
    FIELD(struct oci_id_map, "hostID", FIELD_INT, host_id, 0),
    FIELD(struct oci_id_map, "size", FIELD_INT, size, 0),
    FIELD_END,
};
const struct field_table oci_id_map_table = FIELD_TABLE(struct oci_id_map, id_map_fields);

static const struct field mount_fields[] = {
    FIELD(struct oci_mount, "destination", FIELD_STR, destination, 0),
    FIELD(struct oci_mount, "type", FIELD_STR, type, OMIT),
    FIELD(struct oci_mount, "source", FIELD_STR, source, OMIT),
    FIELD(struct oci_mount, "options", FIELD_STRV, options, OMIT),
    FIELD_SUB(struct oci_mount, "uidMappings", FIELD_ARRAY, uid_mappings, OMIT, oci_id_map_table),
    FIELD_SUB(struct oci_mount, "gidMappings", FIELD_ARRAY, gid_mappings, OMIT, oci_id_map_table),
    FIELD_END,
};
const struct field_table oci_mount_table = FIELD_TABLE(struct oci_mount, mount_fields);

static const struct field namespace_fields[] = {
    FIELD(struct oci_namespace, "type", FIELD_STR, type, 0),
    FIELD(struct oci_namespace, "path", FIELD_STR, path, OMIT),
    FIELD_END,
};
const struct field_table oci_namespace_table = FIELD_TABLE(struct oci_namespace, namespace_fields);

static const struct field device_fields[] = {
    FIELD(struct oci_device, "path", FIELD_STR, path, 0),
    FIELD(struct oci_device, "type", FIELD_STR, type, 0),
    FIELD(struct oci_device, "major", FIELD_INT, major, 0),
    FIELD(struct oci_device, "minor", FIELD_INT, minor, 0),
    FIELD(struct oci_device, "fileMode", FIELD_UINT_NULL, file_mode, OMIT),
    FIELD(struct oci_device, "uid", FIELD_UINT_NULL, uid, OMIT),
    FIELD(struct oci_device, "gid", FIELD_UINT_NULL, gid, OMIT),
    FIELD_END,
};
const struct field_table oci_device_table = FIELD_TABLE(struct oci_device, device_fields);

static const struct field device_rule_fields[] = {
    FIELD(struct oci_device_rule, "allow", FIELD_BOOL_T, allow, 0),
    FIELD(struct oci_device_rule, "type", FIELD_STR, type, OMIT),
    FIELD(struct oci_device_rule, "major", FIELD_INT_NULL, major, OMIT),
    FIELD(struct oci_device_rule, "minor", FIELD_INT_NULL, minor, OMIT),
    FIELD(struct oci_device_rule, "access", FIELD_STR, access, OMIT),
    FIELD_END,
};
const struct field_table oci_device_rule_table =
    FIELD_TABLE(struct oci_device_rule, device_rule_fields);

static const struct field memory_fields[] = {
    FIELD(struct oci_memory, "limit", FIELD_INT_NULL, limit, OMIT),
    FIELD(struct oci_memory, "reservation", FIELD_INT_NULL, reservation, OMIT),
    FIELD(struct oci_memory, "swap", FIELD_INT_NULL, swap, OMIT),
    FIELD(struct oci_memory, "kernel", FIELD_INT_NULL, kernel, OMIT),
    FIELD(struct oci_memory, "kernelTCP", FIELD_INT_NULL, kernel_tcp, OMIT),
    FIELD(struct oci_memory, "swappiness", FIELD_UINT_NULL, swappiness, OMIT),
    FIELD(struct oci_memory, "disableOOMKiller", FIELD_TRI, disable_oom_killer, OMIT),
    FIELD(struct oci_memory, "useHierarchy", FIELD_TRI, use_hierarchy, OMIT),
    FIELD(struct oci_memory, "checkBeforeUpdate", FIELD_TRI, check_before_update, OMIT),
    FIELD_END,
};
const struct field_table oci_memory_table = FIELD_TABLE(struct oci_memory, memory_fields);

static const struct field cpu_fields[] = {
    FIELD(struct oci_cpu, "shares", FIELD_UINT_NULL, shares, OMIT),
    FIELD(struct oci_cpu, "quota", FIELD_INT_NULL, quota, OMIT),
    FIELD(struct oci_cpu, "burst", FIELD_UINT_NULL, burst, OMIT),
    FIELD(struct oci_cpu, "period", FIELD_UINT_NULL, period, OMIT),
    FIELD(struct oci_cpu, "realtimeRuntime", FIELD_INT_NULL, realtime_runtime, OMIT),
    FIELD(struct oci_cpu, "realtimePeriod", FIELD_UINT_NULL, realtime_period, OMIT),
    FIELD(struct oci_cpu, "cpus", FIELD_STR, cpus, OMIT),
    FIELD(struct oci_cpu, "mems", FIELD_STR, mems, OMIT),
    FIELD(struct oci_cpu, "idle", FIELD_INT_NULL, idle, OMIT),
    FIELD_END,
};
const struct field_table oci_cpu_table = FIELD_TABLE(struct oci_cpu, cpu_fields);

static const struct field pids_fields[] = {
    FIELD(struct oci_pids, "limit", FIELD_INT, limit, 0),
    FIELD_END,
};
const struct field_table oci_pids_table = FIELD_TABLE(struct oci_pids, pids_fields);

static const struct field weight_device_fields[] = {
    FIELD(struct oci_weight_device, "major", FIELD_INT, major, 0),
    FIELD(struct oci_weight_device, "minor", FIELD_INT, minor, 0),
    FIELD(struct oci_weight_device, "weight", FIELD_UINT_NULL, weight, OMIT),
    FIELD(struct oci_weight_device, "leafWeight", FIELD_UINT_NULL, leaf_weight, OMIT),
    FIELD_END,
};
const struct field_table oci_weight_device_table =
    FIELD_TABLE(struct oci_weight_device, weight_device_fields);

static const struct field throttle_device_fields[] = {
    FIELD(struct oci_throttle_device, "major", FIELD_INT, major, 0),
    FIELD(struct oci_throttle_device, "minor", FIELD_INT, minor, 0),
    FIELD(struct oci_throttle_device, "rate", FIELD_UINT, rate, 0),
    FIELD_END,
};
const struct field_table oci_throttle_device_table =
    FIELD_TABLE(struct oci_throttle_device, throttle_device_fields);

static const struct field block_io_fields[] = {
    FIELD(struct oci_block_io, "weight", FIELD_UINT_NULL, weight, OMIT),
    FIELD(struct oci_block_io, "leafWeight", FIELD_UINT_NULL, leaf_weight, OMIT),
    FIELD_SUB(struct oci_block_io, "weightDevice", FIELD_ARRAY, weight_device, OMIT,
              oci_weight_device_table),
    FIELD_SUB(struct oci_block_io, "throttleReadBpsDevice", FIELD_ARRAY, throttle_read_bps, OMIT,
              oci_throttle_device_table),
    FIELD_SUB(struct oci_block_io, "throttleWriteBpsDevice", FIELD_ARRAY, throttle_write_bps, OMIT,
              oci_throttle_device_table),
    FIELD_SUB(struct oci_block_io, "throttleReadIOPSDevice", FIELD_ARRAY, throttle_read_iops, OMIT,
              oci_throttle_device_table),
    FIELD_SUB(struct oci_block_io, "throttleWriteIOPSDevice", FIELD_ARRAY, throttle_write_iops,
              OMIT, oci_throttle_device_table),
    FIELD_END,
};
const struct field_table oci_block_io_table = FIELD_TABLE(struct oci_block_io, block_io_fields);

static const struct field hugepage_limit_fields[] = {
    FIELD(struct oci_hugepage_limit, "pageSize", FIELD_STR, page_size, 0),
    FIELD(struct oci_hugepage_limit, "limit", FIELD_UINT, limit, 0),
    FIELD_END,
};
const struct field_table oci_hugepage_limit_table =
    FIELD_TABLE(struct oci_hugepage_limit, hugepage_limit_fields);

static const struct field net_priority_fields[] = {
    FIELD(struct oci_net_priority, "name", FIELD_STR, name, 0),
    FIELD(struct oci_net_priority, "priority", FIELD_UINT, priority, 0),
    FIELD_END,
};
static const struct field_table net_priority_table =
    FIELD_TABLE(struct oci_net_priority, net_priority_fields);

static const struct field network_fields[] = {
    FIELD(struct oci_network, "classID", FIELD_UINT_NULL, class_id, OMIT),
    FIELD_SUB(struct oci_network, "priorities", FIELD_ARRAY, priorities, OMIT, net_priority_table),
    FIELD_END,
};
static const struct field_table network_table = FIELD_TABLE(struct oci_network, network_fields);

static const struct field resources_fields[] = {
    FIELD_SUB(struct oci_resources, "devices", FIELD_ARRAY, devices, OMIT, oci_device_rule_table),
    FIELD_SUB(struct oci_resources, "memory", FIELD_STRUCT_P, memory, OMIT, oci_memory_table),
    FIELD_SUB(struct oci_resources, "cpu", FIELD_STRUCT_P, cpu, OMIT, oci_cpu_table),
    FIELD_SUB(struct oci_resources, "pids", FIELD_STRUCT_P, pids, OMIT, oci_pids_table),
    FIELD_SUB(struct oci_resources, "blockIO", FIELD_STRUCT_P, block_io, OMIT, oci_block_io_table),
    FIELD_SUB(struct oci_resources, "hugepageLimits", FIELD_ARRAY, hugepage_limits, OMIT,
              oci_hugepage_limit_table),
    FIELD_SUB(struct oci_resources, "network", FIELD_STRUCT_P, network, OMIT, network_table),
    FIELD(struct oci_resources, "unified", FIELD_STRMAP, unified, OMIT),
    FIELD_END,
};
const struct field_table oci_resources_table = FIELD_TABLE(struct oci_resources, resources_fields);

static const struct field personality_fields[] = {
    FIELD(struct oci_personality, "domain", FIELD_STR, domain, 0),
    FIELD(struct oci_personality, "flags", FIELD_STRV, flags, OMIT),
    FIELD_END,
};
static const struct field_table personality_table =
    FIELD_TABLE(struct oci_personality, personality_fields);

static const struct field linux_fields[] = {
    FIELD_SUB(struct oci_linux, "uidMappings", FIELD_ARRAY, uid_mappings, OMIT, oci_id_map_table),
    FIELD_SUB(struct oci_linux, "gidMappings", FIELD_ARRAY, gid_mappings, OMIT, oci_id_map_table),
    FIELD(struct oci_linux, "sysctl", FIELD_STRMAP, sysctl, OMIT),
    FIELD_SUB(struct oci_linux, "resources", FIELD_STRUCT_P, resources, OMIT, oci_resources_table),
    FIELD(struct oci_linux, "cgroupsPath", FIELD_STR, cgroups_path, OMIT),
    FIELD_SUB(struct oci_linux, "namespaces", FIELD_ARRAY, namespaces, OMIT, oci_namespace_table),
    FIELD_SUB(struct oci_linux, "devices", FIELD_ARRAY, devices, OMIT, oci_device_table),
    FIELD(struct oci_linux, "seccomp", FIELD_RAW, seccomp, OMIT),
    FIELD(struct oci_linux, "rootfsPropagation", FIELD_STR, rootfs_propagation, OMIT),
    FIELD(struct oci_linux, "maskedPaths", FIELD_STRV, masked_paths, OMIT),
    FIELD(struct oci_linux, "readonlyPaths", FIELD_STRV, readonly_paths, OMIT),
    FIELD(struct oci_linux, "mountLabel", FIELD_STR, mount_label, OMIT),
    FIELD_SUB(struct oci_linux, "personality", FIELD_STRUCT_P, personality, OMIT,
              personality_table),
    FIELD_END,
};
static const struct field_table linux_table = FIELD_TABLE(struct oci_linux, linux_fields);

static const struct field spec_fields[] = {
    FIELD(struct oci_spec, "ociVersion", FIELD_STR, oci_version, 0),
    FIELD_SUB(struct oci_spec, "process", FIELD_STRUCT, process, 0, oci_process_table),
    FIELD_SUB(struct oci_spec, "root", FIELD_STRUCT, root, 0, root_table),
    FIELD(struct oci_spec, "hostname", FIELD_STR, hostname, OMIT),
    FIELD(struct oci_spec, "domainname", FIELD_STR, domainname, OMIT),
    FIELD_SUB(struct oci_spec, "mounts", FIELD_ARRAY, mounts, OMIT, oci_mount_table),
    FIELD(struct oci_spec, "annotations", FIELD_STRMAP, annotations, OMIT),
    FIELD_SUB(struct oci_spec, "linux", FIELD_STRUCT, lin, 0, linux_table),
    FIELD_END,
};
const struct field_table oci_spec_table = FIELD_TABLE(struct oci_spec, spec_fields);

struct oci_namespace *oci_spec_namespace(const struct oci_spec *s, const char *type) {
    for (size_t i = 0; i < s->lin.namespaces.count; i++) {
        struct oci_namespace *ns = field_array_at(&s->lin.namespaces, struct oci_namespace, i);

        if (str_eq(ns->type, type)) {
            return ns;
        }
    }
    return NULL;
}

void oci_spec_add_namespace(struct oci_spec *s, const char *type, const char *path) {
    struct oci_namespace *ns = field_array_add(&s->lin.namespaces, &oci_namespace_table);

    str_set(&ns->type, type);
    str_set(&ns->path, path);
}

struct oci_mount *oci_spec_add_mount(struct oci_spec *s, const char *destination, const char *type,
                                     const char *source, const char *options) {
    struct oci_mount *m = field_array_add(&s->mounts, &oci_mount_table);

    str_set(&m->destination, destination);
    str_set(&m->type, type);
    str_set(&m->source, source);
    if (options) {
        m->options = str_split(options, ',');
    }
    return m;
}

static int check_namespaces(const struct oci_spec *s, struct err *e) {
    static const char *const known[] = {"pid",   "network", "ipc",    "uts",
                                        "mount", "user",    "cgroup", "time"};
    bool seen[sizeof(known) / sizeof(known[0])] = {0};

    for (size_t i = 0; i < s->lin.namespaces.count; i++) {
        const struct oci_namespace *ns =
            field_array_at(&s->lin.namespaces, struct oci_namespace, i);
        size_t k = 0;

        while (k < sizeof(known) / sizeof(known[0]) && !str_eq(known[k], ns->type)) {
            k++;
        }
        if (k == sizeof(known) / sizeof(known[0])) {
            return err_set(e, ERR_INVALID, "unknown namespace type: %s", str_or_empty(ns->type));
        }
        if (seen[k]) {
            return err_set(e, ERR_INVALID, "namespace given twice: %s", ns->type);
        }
        if (!str_empty(ns->path) && ns->path[0] != '/') {
            return err_set(e, ERR_INVALID, "namespace path is not absolute: %s", ns->path);
        }
        seen[k] = true;
    }
    return 0;
}

int oci_spec_check(const struct oci_spec *s, struct err *e) {
    /* Any 1.x: minor versions only add members. */
    if (!str_starts(str_or_empty(s->oci_version), "1.")) {
        return err_set(e, ERR_INVALID, "unsupported ociVersion: \"%s\"",
                       str_or_empty(s->oci_version));
    }
    if (strv_len(s->process.args) == 0) {
        return err_set(e, ERR_INVALID, "args must not be empty");
    }
    if (str_or_empty(s->process.cwd)[0] != '/') {
        return err_set(e, ERR_INVALID, "Cwd must be an absolute path");
    }
    if (str_empty(s->root.path)) {
        return err_set(e, ERR_INVALID, "Root must be specified");
    }
    for (size_t i = 0; i < s->mounts.count; i++) {
        const struct oci_mount *m = field_array_at(&s->mounts, struct oci_mount, i);

        if (str_or_empty(m->destination)[0] != '/') {
            return err_set(e, ERR_INVALID, "mount destination is not absolute: %s",
                           str_or_empty(m->destination));
        }
    }
    return check_namespaces(s, e);
}
