/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/request.h"

static const struct field rootfs_fields[] = {
    FIELD(struct rt_rootfs, "lower", FIELD_STRV, lower, 0),
    FIELD(struct rt_rootfs, "upper", FIELD_STR, upper, 0),
    FIELD(struct rt_rootfs, "work", FIELD_STR, work, 0),
    FIELD(struct rt_rootfs, "volatile", FIELD_BOOL_T, is_volatile, 0),
    FIELD_END,
};
static const struct field_table rootfs_table = FIELD_TABLE(struct rt_rootfs, rootfs_fields);

static const struct field interface_fields[] = {
    FIELD(struct rt_interface, "kind", FIELD_STR, kind, 0),
    FIELD(struct rt_interface, "bridge", FIELD_STR, bridge, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "parent", FIELD_STR, parent, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "linkMode", FIELD_STR, link_mode, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "hostIf", FIELD_STR, host_if, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "name", FIELD_STR, name, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "mac", FIELD_STR, mac, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "addresses", FIELD_STRV, addresses, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "gateway", FIELD_STR, gateway, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "gateway6", FIELD_STR, gateway6, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "routes", FIELD_STRV, routes, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "mtu", FIELD_INT, mtu, FIELD_OMIT_EMPTY),
    FIELD(struct rt_interface, "sysctls", FIELD_STRMAP, sysctls, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table rt_interface_table = FIELD_TABLE(struct rt_interface, interface_fields);

static const struct field default_fields[] = {
    FIELD(struct rt_default, "name", FIELD_STR, name, 0),
    FIELD(struct rt_default, "gateway", FIELD_STR, gateway, 0),
    FIELD_END,
};
const struct field_table rt_default_table = FIELD_TABLE(struct rt_default, default_fields);

static const struct field net_fields[] = {
    FIELD(struct rt_net, "mode", FIELD_STR, mode, 0),
    FIELD_SUB(struct rt_net, "interfaces", FIELD_ARRAY, interfaces, FIELD_OMIT_EMPTY,
              rt_interface_table),
    FIELD_SUB(struct rt_net, "defaults", FIELD_ARRAY, defaults, FIELD_OMIT_EMPTY, rt_default_table),
    FIELD(struct rt_net, "netd", FIELD_STR, netd, FIELD_OMIT_EMPTY),
    FIELD_END,
};
static const struct field_table net_table = FIELD_TABLE(struct rt_net, net_fields);

static const struct field log_fields[] = {
    FIELD(struct rt_log, "driver", FIELD_STR, driver, 0),
    FIELD(struct rt_log, "path", FIELD_STR, path, 0),
    FIELD(struct rt_log, "maxSize", FIELD_INT, max_size, 0),
    FIELD(struct rt_log, "maxFile", FIELD_INT, max_file, 0),
    FIELD(struct rt_log, "compress", FIELD_BOOL_T, compress, 0),
    FIELD(struct rt_log, "extra", FIELD_STR, extra, FIELD_OMIT_EMPTY),
    FIELD_END,
};
static const struct field_table log_table = FIELD_TABLE(struct rt_log, log_fields);

static const struct field request_fields[] = {
    FIELD(struct rt_request, "op", FIELD_STR, op, 0),
    FIELD(struct rt_request, "id", FIELD_STR, id, 0),
    FIELD(struct rt_request, "execId", FIELD_STR, exec_id, FIELD_OMIT_EMPTY),
    FIELD(struct rt_request, "stateDir", FIELD_STR, state_dir, 0),
    FIELD(struct rt_request, "monitor", FIELD_STR, monitor, 0),
    FIELD(struct rt_request, "init", FIELD_STR, init, FIELD_OMIT_EMPTY),
    FIELD_SUB(struct rt_request, "spec", FIELD_STRUCT, spec, 0, oci_spec_table),
    FIELD_SUB(struct rt_request, "rootfs", FIELD_STRUCT, rootfs, 0, rootfs_table),
    FIELD_SUB(struct rt_request, "net", FIELD_STRUCT, net, 0, net_table),
    FIELD_SUB(struct rt_request, "log", FIELD_STRUCT, log, 0, log_table),
    FIELD(struct rt_request, "user", FIELD_STR, user, FIELD_OMIT_EMPTY),
    FIELD(struct rt_request, "extraGroups", FIELD_STRV, extra_groups, FIELD_OMIT_EMPTY),
    FIELD(struct rt_request, "userHome", FIELD_BOOL_T, user_home, 0),
    FIELD(struct rt_request, "openStdin", FIELD_BOOL_T, open_stdin, 0),
    FIELD(struct rt_request, "stdinOnce", FIELD_BOOL_T, stdin_once, 0),
    FIELD(struct rt_request, "privileged", FIELD_BOOL_T, privileged, 0),
    FIELD(struct rt_request, "mknodNotify", FIELD_BOOL_T, mknod_notify, 0),
    FIELD(struct rt_request, "oomKillDisable", FIELD_BOOL_T, oom_kill_disable, 0),
    FIELD(struct rt_request, "pid", FIELD_INT, pid, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table rt_request_table = FIELD_TABLE(struct rt_request, request_fields);
