/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/create_body.h"
#include "engine/port_map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/mounts_plan.h"
#include "format/json.h"
#include "sys/caps.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The names that Go's decoder puts into the texts about wrong types. */
#define GO_WRAPPER "ContainerConfigWrapper"

void create_body_init(struct create_body *b) {
    memset(b, 0, sizeof(*b));
    field_init(&container_config_table, &b->config);
    field_init(&host_config_table, &b->host);
    field_init(&networking_config_table, &b->networking);
}

void create_body_done(struct create_body *b) {
    field_done(&container_config_table, &b->config);
    field_done(&host_config_table, &b->host);
    field_done(&networking_config_table, &b->networking);
}

/* ---- parse --------------------------------------------------------------------------------- */
/* Is any member of the table in the object? Go leaves an embedded pointer nil otherwise. */
static bool has_member_of(const struct field_table *t, struct json_object *o) {
    json_object_object_foreach(o, key, value) {
        (void)value;
        for (const struct field *f = t->fields; f->name; f++) {
            if (strcasecmp(f->name, key) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Until API 1.18 the limits were members of the configuration itself. */
static void take_legacy_limits(struct host_config *h, const struct host_config *old) {
    if (old->memory && !h->memory) {
        h->memory = old->memory;
    }
    if (old->memory_swap && !h->memory_swap) {
        h->memory_swap = old->memory_swap;
    }
    if (old->cpu_shares && !h->cpu_shares) {
        h->cpu_shares = old->cpu_shares;
    }
    if (!str_empty(old->cpuset_cpus) && str_empty(h->cpuset_cpus)) {
        str_set(&h->cpuset_cpus, old->cpuset_cpus);
    }
    if (!str_empty(old->volume_driver) && str_empty(h->volume_driver)) {
        str_set(&h->volume_driver, old->volume_driver);
    }
}

static int parse_host(struct json_object *doc, struct host_config *h, struct err *e) {
    struct json_object *inner = jsn_get(doc, "HostConfig");
    struct host_config old;
    const char *cpuset;
    int r;

    field_init(&host_config_table, &old);
    r = field_parse(&host_config_table, doc, &old, GO_WRAPPER, e);
    if (r == 0 && inner && !json_object_is_type(inner, json_type_object)) {
        /* field_parse() would name the type of the table's root. */
        const char *kind = json_object_is_type(inner, json_type_string)    ? "string"
                           : json_object_is_type(inner, json_type_boolean) ? "bool"
                           : json_object_is_type(inner, json_type_array)   ? "array"
                                                                           : "number";
        r = err_set(e, ERR_INVALID,
                    "json: cannot unmarshal %s into Go struct field " GO_WRAPPER
                    ".HostConfig of type container.HostConfig",
                    kind);
    }
    if (r == 0 && inner) {
        r = field_parse(&host_config_table, inner, h, "HostConfig.HostConfig", e);
        if (r == 0) {
            take_legacy_limits(h, &old);
        }
    } else if (r == 0) {
        struct host_config none = *h;

        *h = old;
        old = none;
    }
    field_done(&host_config_table, &old);
    cpuset = jsn_str(doc, "Cpuset");
    if (r == 0 && !str_empty(cpuset) && str_empty(h->cpuset_cpus)) {
        str_set(&h->cpuset_cpus, cpuset);
    }
    return r;
}

/* Go's types are narrower than ours in two places that people get wrong. */
static int check_ranges(const struct host_config *h, struct err *e) {
    if (h->blkio_weight < 0 || h->blkio_weight > UINT16_MAX) {
        return err_set(e, ERR_INVALID,
                       "json: cannot unmarshal number %" PRId64
                       " into Go struct field HostConfig.HostConfig.BlkioWeight of type uint16",
                       h->blkio_weight);
    }
    for (size_t i = 0; i < h->blkio_weight_device.count; i++) {
        int64_t weight = field_array_at(&h->blkio_weight_device, struct weight_device, i)->weight;

        if (weight < 0 || weight > UINT16_MAX) {
            return err_set(e, ERR_INVALID,
                           "json: cannot unmarshal number %" PRId64
                           " into Go struct field WeightDevice.HostConfig.BlkioWeightDevice.Weight "
                           "of type uint16",
                           weight);
        }
    }
    return 0;
}

/* What older clients mean by members that newer versions of the API brought or changed. */
static void adapt_to_version(struct create_body *b, int minor) {
    struct host_config *h = &b->host;

    if (minor < 40) {
        h->kernel_memory_tcp = 0;
        if (str_empty(h->ipc_mode)) {
            str_set(&h->ipc_mode, "shareable");
        }
    }
    if (minor >= 42) {
        h->kernel_memory = 0;
    }
    if (minor < 44 && b->config.healthcheck) {
        b->config.healthcheck->start_interval = 0;
    }
    b->flat_read_only_binds = minor < 44;
    b->several_endpoints = minor >= 44;
    for (size_t i = 0; minor < 44 && i < b->networking.endpoints.count; i++) {
        /* What clients sent back of an inspect, and no wish. */
        str_set(&field_map_at(&b->networking.endpoints, struct endpoint_settings, i)->mac_address,
                NULL);
    }
    for (size_t i = 0; i < h->mounts.count; i++) {
        struct mount_bind_options *o =
            field_array_at(&h->mounts, struct mount_spec, i)->bind_options;

        if (o && minor < 40) {
            o->non_recursive = false;
        }
        if (o && minor < 42) {
            o->create_mountpoint = false;
        }
        if (o && minor < 44) {
            o->read_only_non_recursive = o->read_only_force_recursive = false;
        }
    }
}

int create_body_parse(const char *text, size_t len, int api_minor, struct create_body *ret,
                      struct err *e) {
    auto_json *doc = NULL;
    struct create_body b;
    int r;

    if (len == 0) {
        return err_set(e, ERR_INVALID, "EOF");
    }
    r = jsn_parse(text, len, &doc, e);
    if (r < 0) {
        return r;
    }
    create_body_init(&b);
    if (doc) {
        r = field_parse(&container_config_table, doc, &b.config, GO_WRAPPER, e);
    }
    if (r == 0 && (!doc || !has_member_of(&container_config_table, doc))) {
        r = err_set(e, ERR_INVALID, "Config cannot be empty in order to create a container");
    }
    if (r == 0) {
        r = parse_host(doc, &b.host, e);
    }
    if (r == 0 && jsn_get(doc, "NetworkingConfig")) {
        r = field_parse(&networking_config_table, jsn_get(doc, "NetworkingConfig"), &b.networking,
                        "NetworkingConfig.NetworkingConfig", e);
    }
    if (r == 0) {
        r = check_ranges(&b.host, e);
    }
    if (r == 0) {
        adapt_to_version(&b, api_minor);
        r = host_config_validate_modes(&b.host, &b.config, e);
    }
    if (r < 0) {
        create_body_done(&b);
        return r;
    }
    *ret = b;
    return 0;
}

void create_body_merge(struct create_body *b, const struct container_config *image,
                       const struct host_defaults *d) {
    container_config_merge(&b->config, image);
    host_config_set_defaults(&b->host, d);
}

/* ---- networking ---------------------------------------------------------------------------- */
static int check_ipam(const struct endpoint_ipam *ipam, struct err *e) {
    unsigned char address[sizeof(struct in6_addr)];

    if (!str_empty(ipam->ipv4_address) && inet_pton(AF_INET, ipam->ipv4_address, address) != 1) {
        return err_set(e, ERR_INVALID, "invalid IPv4 address: %s", ipam->ipv4_address);
    }
    if (!str_empty(ipam->ipv6_address) && inet_pton(AF_INET6, ipam->ipv6_address, address) != 1) {
        return err_set(e, ERR_INVALID, "invalid IPv6 address: %s", ipam->ipv6_address);
    }
    strv_for_each (ip, ipam->link_local_ips) {
        if (inet_pton(AF_INET, ip, address) != 1 && inet_pton(AF_INET6, ip, address) != 1) {
            return err_set(e, ERR_INVALID, "invalid link-local IP address: %s", ip);
        }
    }
    return 0;
}

/* The address of a container is its endpoint's, whichever of the two places names it. */
static int check_mac(const struct endpoint_settings *s, const struct container_config *c,
                     struct err *e) {
    if (str_empty(s->mac_address)) {
        return 0;
    }
    if (!mac_is_valid(s->mac_address)) {
        return err_set(e, ERR_INVALID, "address %s: invalid MAC address", s->mac_address);
    }
    if (c && !str_empty(c->mac_address) && !str_case_eq(c->mac_address, s->mac_address)) {
        return err_set(e, ERR_INVALID,
                       "the container-wide MAC address must match the endpoint-specific MAC "
                       "address for the main network, or be left empty");
    }
    return 0;
}

int create_body_check_endpoint(const struct endpoint_settings *s, const struct container_config *c,
                               struct err *e) {
    int r = s->ipam_config ? check_ipam(s->ipam_config, e) : 0;

    return r < 0 ? r : check_mac(s, c, e);
}

static int check_endpoints(const struct networking_config *n, const struct container_config *c,
                           bool several, struct err *e) {
    if (n->endpoints.count > 1 && !several) {
        auto_free char *names = strv_join(n->endpoints.keys, ", ");

        return err_set(e, ERR_INVALID, "Container cannot be connected to network endpoints: %s",
                       names);
    }
    for (size_t i = 0; i < n->endpoints.count; i++) {
        int r = create_body_check_endpoint(field_map_at(&n->endpoints, struct endpoint_settings, i),
                                           n->endpoints.count > 1 ? NULL : c, e);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* ---- what is not supported yet ------------------------------------------------------------- */
/* 400 "<what> is not supported yet: <member>=<value>" */
static int refuse(struct err *e, const char *what, const char *member, const char *value) {
    return err_set(e, ERR_INVALID, "%s not supported yet: %s=%s", what, member, value);
}

static int check_mount_options(const struct mount_spec *m, struct err *e) {
    const struct mount_volume_options *o = m->volume_options;

    if (m->image_options) {
        return refuse(e, "image mounts are", "Mounts.ImageOptions", str_or_empty(m->source));
    }
    if (!o) {
        return 0;
    }
    if (o->driver_config && !str_empty(o->driver_config->name) &&
        !str_eq(o->driver_config->name, "local")) {
        return err_set(e, ERR_NOT_FOUND,
                       "create %s: error looking up volume plugin %s: plugin \"%s\" not found",
                       str_or_empty(m->source), o->driver_config->name, o->driver_config->name);
    }
    return 0;
}

static int check_storage(const struct host_config *h, struct err *e) {
    strmap_for_each(o, &h->storage_opt) {
        if (str_eq(o->key, "size")) {
            return err_set(e, ERR_INVALID,
                           "--storage-opt is supported only for overlay over xfs with 'pquota' "
                           "mount option");
        }
        return err_set(e, ERR_INVALID, "Unknown option %s", o->key);
    }
    if (!str_empty(h->volume_driver) && !str_eq(h->volume_driver, "local")) {
        /* The first volume that would be made names it. */
        strv_for_each (bind, h->binds) {
            auto_free char *name = xstrndup(bind, strcspn(bind, ":"));

            if (*name != '/') {
                return err_set(
                    e, ERR_NOT_FOUND,
                    "create %s: error looking up volume plugin %s: plugin \"%s\" not found", name,
                    h->volume_driver, h->volume_driver);
            }
        }
        return err_set(e, ERR_NOT_FOUND,
                       "error looking up volume plugin %s: plugin \"%s\" not found",
                       h->volume_driver, h->volume_driver);
    }
    for (size_t i = 0; i < h->mounts.count; i++) {
        int r = check_mount_options(field_array_at(&h->mounts, struct mount_spec, i), e);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int create_body_check_supported(const struct create_body *b, struct err *e) {
    const struct host_config *h = &b->host;
    int r = port_map_check(h->port_bindings, e);

    if (r == 0) {
        r = check_storage(h, e);
    }
    if (r < 0) {
        return r;
    }
    if (!str_empty(h->cgroup)) {
        return refuse(e, "sharing another container's cgroup is", "HostConfig.Cgroup", h->cgroup);
    }
    for (size_t i = 0; i < h->device_requests.count; i++) {
        const struct device_request *q =
            field_array_at(&h->device_requests, struct device_request, i);

        auto_free char *capabilities = xstrdup(q->capabilities ? q->capabilities : "[]");
        char *to = capabilities;

        /* Go's %v of [["gpu"]] */
        for (const char *from = capabilities; *from; from++) {
            if (*from != '"')
                *to++ = *from == ',' ? ' ' : *from;
        }
        *to = '\0';
        return err_set(e, ERR_INVALID,
                       "could not select device driver \"%s\" with capabilities: %s",
                       str_or_empty(q->driver), capabilities);
    }
    if (h->cpu_count) {
        return refuse(e, "CPU counts are", "HostConfig.CpuCount", "nonzero");
    }
    return 0;
}

int create_body_validate(struct create_body *b, const struct host_facts *facts, char ***warnings,
                         struct err *e) {
    auto_free char *path = NULL;
    auto_strv args = NULL;
    int r = container_config_command(&b->config, &path, &args, e);

    if (r == 0) {
        r = container_config_validate(&b->config, e);
    }
    if (r == 0) {
        r = host_config_validate(&b->host, &b->config, facts, warnings, e);
    }
    if (r == 0) {
        r = check_endpoints(&b->networking, &b->config, b->several_endpoints, e);
    }
    if (r == 0) {
        r = create_body_check_supported(b, e);
    }
    if (r == 0 && mode_is_host(b->host.network_mode) && !str_empty(b->host.port_bindings)) {
        auto_json *doc = NULL;

        if (jsn_parse(b->host.port_bindings, strlen(b->host.port_bindings), &doc, NULL) == 0 &&
            doc && json_object_is_type(doc, json_type_object) && json_object_object_length(doc)) {
            strv_add(warnings, "Published ports are discarded when using host network mode");
        }
    }
    return r;
}

/* ---- user namespace ------------------------------------------------------------------------ */
/*
 * The capabilities whose permission check asks the host's user namespace: inside another one they
 * are held and do nothing. Everything not in this list works inside (for what the container's own
 * namespaces own), and is no reason to leave it.
 */
const char *const userns_host_capabilities[] = {
    "CAP_DAC_READ_SEARCH", /* open_by_handle_at() */
    "CAP_LINUX_IMMUTABLE",
    "CAP_IPC_LOCK",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN", /* mounting block devices, most of bpf() and perf, quotas, ... */
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_AUDIT_CONTROL",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    NULL,
};

#define FALLBACK_TEXT "The container uses the host's user namespace: "

static bool needs_host(unsigned nr) {
    for (const char *const *name = userns_host_capabilities; *name; name++) {
        if (str_eq(*name, lcap_name(nr))) {
            return true;
        }
    }
    return false;
}

/* The reason as a sentence, or NULL. */
static char *capability_reason(const struct host_config *h) {
    strv_for_each (name, h->cap_add) {
        unsigned nr;

        if (str_case_eq(name, "ALL") || str_case_eq(name, "CAP_ALL")) {
            return xstrdup(FALLBACK_TEXT "capability ALL has no effect inside another one");
        }
        if (lcap_parse(name, &nr) == 0 && needs_host(nr)) {
            return xasprintf(FALLBACK_TEXT "capability %s has no effect inside another one",
                             lcap_name(nr) + strlen("CAP_"));
        }
    }
    return NULL;
}

static char *fallback_reason(const struct host_config *h, const struct userns_facts *f) {
    const struct {
        const char *name, *mode;
    } namespaces[] = {
        {"network", h->network_mode},
        {"PID", h->pid_mode},
        {"IPC", h->ipc_mode},
    };

    if (!f->kernel_can) {
        return xstrdup(FALLBACK_TEXT "this kernel cannot map the ids of image layers (Linux 5.19)");
    }
    if (f->unmappable_root) {
        return xasprintf(FALLBACK_TEXT "the file system of the image layers in %s cannot be mapped",
                         f->unmappable_root);
    }
    for (size_t i = 0; i < COUNT(namespaces); i++) {
        if (mode_is_host(namespaces[i].mode)) {
            return xasprintf(FALLBACK_TEXT "the host's %s namespace was asked for",
                             namespaces[i].name);
        }
    }
    if (f->unmappable_bind) {
        return xasprintf(FALLBACK_TEXT "the file system of %s cannot be mapped",
                         f->unmappable_bind);
    }
    if (f->runtime) {
        return xasprintf(FALLBACK_TEXT "runtime %s does not announce idmapped mounts", f->runtime);
    }
    return capability_reason(h);
}

enum userns_choice userns_decide(const struct host_config *h, const struct userns_facts *f,
                                 char **ret_reason) {
    char *reason = NULL;
    bool private = str_eq(h->userns_mode, "private");

    if (ret_reason) {
        *ret_reason = NULL;
    }
    if (mode_is_host(h->userns_mode) || (!private && (h->privileged || f->daemon_off))) {
        return USERNS_HOST;
    }
    reason = fallback_reason(h, f);
    if (!reason) {
        return USERNS_PRIVATE;
    }
    if (ret_reason) {
        *ret_reason = reason;
    } else {
        free(reason);
    }
    return USERNS_FALLBACK;
}
