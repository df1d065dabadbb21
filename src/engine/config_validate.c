/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Checks of HostConfig, in the order and the words of dockerd: clients show them to people and
 * some match on them. Limits are in config_resources.c.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/config.h"
#include "engine/log_attrs.h"
#include "engine/mounts_plan.h"
#include "format/units.h"
#include "sys/caps.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- single members ------------------------------------------------------------------------ */
int restart_policy_validate(const struct restart_policy *p, struct err *e) {
    const char *name = str_or_empty(p->name);

    if (str_eq(name, "always") || str_eq(name, "unless-stopped") || str_eq(name, "no")) {
        if (p->maximum_retry_count != 0) {
            return err_set(e, ERR_INVALID,
                           "maximum retry count cannot be used with restart policy '%s'", name);
        }
        return 0;
    }
    if (str_eq(name, "on-failure")) {
        return p->maximum_retry_count < 0
                   ? err_set(e, ERR_INVALID, "maximum retry count cannot be negative")
                   : 0;
    }
    return *name ? err_set(e, ERR_INVALID, "invalid restart policy '%s'", name) : 0;
}

static int check_extra_hosts(char *const *hosts, struct err *e) {
    strv_for_each (host, hosts) {
        const char *colon = strchr(host, ':');
        struct in6_addr address;

        if (!colon || colon == host || host[strcspn(host, " \t\r\n")]) {
            return err_set(e, ERR_INVALID, "bad format for add-host: \"%s\"", host);
        }
        if (!str_eq(colon + 1, "host-gateway") && inet_pton(AF_INET, colon + 1, &address) != 1 &&
            inet_pton(AF_INET6, colon + 1, &address) != 1) {
            return err_set(e, ERR_INVALID, "invalid IP address in add-host: \"%s\"", colon + 1);
        }
    }
    return 0;
}

/* These become lines of resolv.conf: a line break in one would be an option of its own. */
static int check_dns(const struct host_config *h, struct err *e) {
    strv_for_each (server, h->dns) {
        struct in6_addr address;
        auto_free char *plain = xstrndup(server, strcspn(server, "%")); /* fe80::1%eth0 */

        if (*server && inet_pton(AF_INET, server, &address) != 1 &&
            (inet_pton(AF_INET6, plain, &address) != 1 || strpbrk(server, " \t\r\n"))) {
            return err_set(e, ERR_INVALID, "%s is not an ip address", server);
        }
    }
    strv_for_each (domain, h->dns_search) {
        if (strpbrk(domain, " \t\r\n")) {
            return err_set(e, ERR_INVALID, "%s is not a valid domain", domain);
        }
    }
    strv_for_each (option, h->dns_options) {
        if (strpbrk(option, "\r\n")) {
            return err_set(e, ERR_INVALID, "invalid DNS option: %s", option);
        }
    }
    return 0;
}

static int check_ulimits(const struct host_config *h, struct err *e) {
    static const char *const names[] = {
        "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
        "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",    "as"};

    for (size_t i = 0; i < h->ulimits.count; i++) {
        const struct ulimit *u = field_array_at(&h->ulimits, struct ulimit, i);
        bool known = false;

        for (size_t k = 0; k < COUNT(names); k++) {
            known = known || str_eq(u->name, names[k]);
        }
        if (!known) {
            return err_set(e, ERR_INVALID, "invalid ulimit type: %s", str_or_empty(u->name));
        }
        if (u->hard != -1 && (u->soft == -1 || u->soft > u->hard)) {
            return err_set(e, ERR_INVALID,
                           "ulimit soft limit must be less than or equal to hard limit: %" PRId64
                           " > %" PRId64,
                           u->soft, u->hard);
        }
        if (u->soft < -1 || u->hard < -1) {
            return err_set(e, ERR_INVALID, "invalid ulimit value: %s=%" PRId64 ":%" PRId64, u->name,
                           u->soft, u->hard);
        }
    }
    return 0;
}

static bool is_permissions(const char *s) {
    return *s && strspn(s, "rwm") == strlen(s) && strlen(s) <= 3;
}

/* "c 1:3 rwm", "b *:* r", "a *:* rwm" */
static bool is_device_rule(const char *s) {
    const char *p = s;

    if (!*p || !strchr("acb", *p) || p[1] != ' ') {
        return false;
    }
    p += 2;
    for (int part = 0; part < 2; part++) {
        size_t n = *p == '*' ? 1 : strspn(p, "0123456789");

        if (n == 0 || n > 10 || p[n] != (part == 0 ? ':' : ' ')) {
            return false;
        }
        p += n + 1;
    }
    return is_permissions(p);
}

static int check_devices(const struct host_config *h, struct err *e) {
    for (size_t i = 0; i < h->devices.count; i++) {
        const struct device_mapping *d = field_array_at(&h->devices, struct device_mapping, i);

        if (str_or_empty(d->path_on_host)[0] != '/') {
            return err_set(e, ERR_INVALID, "invalid device path: '%s' is not an absolute path",
                           str_or_empty(d->path_on_host));
        }
        if (!str_empty(d->path_in_container) && d->path_in_container[0] != '/') {
            return err_set(e, ERR_INVALID, "invalid device path: '%s' is not an absolute path",
                           d->path_in_container);
        }
        if (!str_empty(d->cgroup_permissions) && !is_permissions(d->cgroup_permissions)) {
            return err_set(e, ERR_INVALID, "bad mode specified: %s", d->cgroup_permissions);
        }
    }
    strv_for_each (rule, h->device_cgroup_rules) {
        if (!is_device_rule(rule)) {
            return err_set(e, ERR_INVALID, "invalid device cgroup rule format: '%s'", rule);
        }
    }
    return 0;
}

/* "net.ipv4.ip_forward" or "net/ipv4/ip_forward" as the path that the runtime makes of it: the
 * first separator decides, and the other one is a dot of a name then. Owned by the caller. */
static char *sysctl_path(const char *key) {
    const char *separator = strpbrk(key, "./");
    char *path = xstrdup(key);

    for (char *p = path; separator && *separator == '.' && *p; p++) {
        *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
    }
    return path;
}

/* "net.//.kernel" is net/../kernel: no way out of the part that is checked. */
static bool is_straight(const char *path) {
    auto_strv parts = str_split(path, '/');

    strv_for_each (part, parts) {
        if (!*part || str_eq(part, ".") || str_eq(part, "..")) {
            return false;
        }
    }
    return true;
}

/* What runc and the kernel allow in the namespaces that the container has for itself. */
static int check_sysctls(const struct host_config *h, struct err *e) {
    static const char *const ipc[] = {"kernel/msgmax", "kernel/msgmnb",         "kernel/msgmni",
                                      "kernel/sem",    "kernel/shmall",         "kernel/shmmax",
                                      "kernel/shmmni", "kernel/shm_rmid_forced"};

    strmap_for_each(s, &h->sysctls) {
        auto_free char *path = sysctl_path(s->key);
        bool is_ipc = str_starts(path, "fs/mqueue/"), is_net = str_starts(path, "net/");

        for (size_t i = 0; i < COUNT(ipc); i++) {
            is_ipc = is_ipc || str_eq(path, ipc[i]);
        }
        if (!is_straight(path) || (!is_ipc && !is_net && !str_eq(path, "kernel/domainname"))) {
            return err_set(e, ERR_INVALID, "sysctl \"%s\" is not in a separate kernel namespace",
                           s->key);
        }
        if (is_net && mode_is_host(h->network_mode)) {
            return err_set(e, ERR_INVALID, "sysctl \"%s\" not allowed in host network namespace",
                           s->key);
        }
        if (is_ipc && mode_is_host(h->ipc_mode)) {
            return err_set(e, ERR_INVALID,
                           "sysctl \"%s\" is not allowed in the hosts ipc namespace", s->key);
        }
        if (!is_net && !is_ipc && mode_is_host(h->uts_mode)) {
            return err_set(e, ERR_INVALID,
                           "sysctl \"%s\" is not allowed in the hosts UTS namespace", s->key);
        }
    }
    return 0;
}

/* ---- logging ------------------------------------------------------------------------------- */
/* Of both drivers that keep files; "local" knows the first three options only. */
static int check_files(const struct strmap *config, const char *driver, struct err *e) {
    static const char *const keys[] = {"max-file",     "max-size", "compress",  "labels",
                                       "labels-regex", "env",      "env-regex", "tag"};
    const bool local = str_eq(driver, "local"); /* rotates by default */
    const size_t known_keys = local ? 3 : COUNT(keys);
    const char *size = strmap_get(config, "max-size"), *files = strmap_get(config, "max-file");
    const char *compress = strmap_get(config, "compress");
    int64_t bytes = local ? 1 : -1, count = local ? 2 : 1;
    bool yes = false;

    strmap_for_each(o, config) {
        bool known = str_eq(o->key, "mode") || str_eq(o->key, "max-buffer-size");

        for (size_t i = 0; i < known_keys; i++) {
            known = known || str_eq(o->key, keys[i]);
        }
        if (!known) {
            return err_set(e, ERR_INVALID, "unknown log opt '%s' for %s log driver", o->key,
                           driver);
        }
    }
    if (size && !str_eq(size, "-1")) { /* dockerd's spelling of unlimited */
        if (units_parse_bytes(size, &bytes) < 0) {
            return err_set(e, ERR_INVALID, "invalid size: '%s'", size);
        }
        if (bytes <= 0) {
            return err_set(e, ERR_INVALID, "max-size must be a positive number");
        }
    }
    if (files && str_to_i64(files, &count) < 0) {
        return err_set(e, ERR_INVALID, "strconv.Atoi: parsing \"%s\": invalid syntax", files);
    }
    if (count < 1) {
        return err_set(e, ERR_INVALID, "max-file cannot be less than 1");
    }
    if (compress && str_to_bool(compress, &yes) < 0) {
        return err_set(e, ERR_INVALID, "strconv.ParseBool: parsing \"%s\": invalid syntax",
                       compress);
    }
    if (yes && (count < 2 || bytes < 0)) {
        return err_set(e, ERR_INVALID,
                       "compress cannot be true when max-file is less than 2 or "
                       "max-size is not set");
    }
    return log_attrs_check(config, e);
}

static int check_log(const struct log_config *l, char ***warnings, struct err *e) {
    const char *mode = strmap_get(&l->config, "mode");
    const char *buffer = strmap_get(&l->config, "max-buffer-size");
    int64_t bytes;

    if (str_eq(l->type, "none")) {
        return 0; /* dockerd looks at no option then */
    }
    if (!str_empty(mode) && !str_eq(mode, "blocking") && !str_eq(mode, "non-blocking")) {
        return err_set(e, ERR_INVALID, "logger: logging mode not supported: %s", mode);
    }
    if (buffer && !str_eq(mode, "non-blocking")) {
        return err_set(e, ERR_INVALID,
                       "logger: max-buffer-size option is only supported with "
                       "'mode=non-blocking'");
    }
    if (buffer && units_parse_bytes(buffer, &bytes) < 0) {
        return err_set(e, ERR_INVALID, "error parsing option max-buffer-size: invalid size: '%s'",
                       buffer);
    }
    if (!str_empty(l->type) && !str_eq(l->type, "json-file") && !str_eq(l->type, "local")) {
        return err_set(e, ERR_INVALID,
                       "error looking up logging plugin %s: plugin \"%s\" not found", l->type,
                       l->type);
    }
    if (str_eq(mode, "non-blocking")) {
        strv_add(warnings, "Log mode non-blocking has no effect: logs are files of this host, and "
                           "no output is dropped.");
    }
    return check_files(&l->config, str_empty(l->type) ? "json-file" : l->type, e);
}

/* ---- modes --------------------------------------------------------------------------------- */
static bool mode_joins(const char *mode) {
    return !str_empty(mode_container(mode));
}

static bool mode_is_plain(const char *mode) {
    return str_empty(mode) || str_eq(mode, "private") || str_eq(mode, "host");
}

static int check_net_container(const struct host_config *h, const struct container_config *c,
                               struct err *e) {
    bool joins = mode_container(h->network_mode);
    bool ports = !str_empty(h->port_bindings) && !str_eq(h->port_bindings, "{}") &&
                 !str_eq(h->port_bindings, "null");

    if (str_eq(h->network_mode, "container") || (joins && !mode_joins(h->network_mode))) {
        return err_set(e, ERR_INVALID,
                       "Invalid network mode: invalid container format "
                       "container:<name|id>");
    }
    if (joins && !str_empty(c->hostname)) {
        return err_set(e, ERR_INVALID, "conflicting options: hostname and the network mode");
    }
    if (joins && strv_len(h->links)) {
        return err_set(e, ERR_INVALID,
                       "conflicting options: container type network can't be used "
                       "with links. This would result in undefined behavior");
    }
    if (joins && strv_len(h->dns)) {
        return err_set(e, ERR_INVALID, "conflicting options: dns and the network mode");
    }
    if (joins && strv_len(h->extra_hosts)) {
        return err_set(e, ERR_INVALID,
                       "conflicting options: custom host-to-IP mapping and the "
                       "network mode");
    }
    if ((joins || mode_is_host(h->network_mode)) && !str_empty(c->mac_address)) {
        return err_set(e, ERR_INVALID, "conflicting options: mac-address and the network mode");
    }
    if (joins && (ports || h->publish_all_ports)) {
        return err_set(e, ERR_INVALID,
                       "conflicting options: port publishing and the container "
                       "type network mode");
    }
    if (joins && c->exposed_ports.count) {
        return err_set(e, ERR_INVALID,
                       "conflicting options: port exposing and the container type "
                       "network mode");
    }
    return 0;
}

int host_config_validate_modes(const struct host_config *h, const struct container_config *c,
                               struct err *e) {
    int r = check_net_container(h, c, e);

    if (r < 0) {
        return r;
    }
    if (mode_is_host(h->uts_mode) && !str_empty(c->hostname)) {
        return err_set(e, ERR_INVALID, "conflicting options: hostname and the UTS mode");
    }
    if (mode_is_host(h->network_mode) && strv_len(h->links)) {
        return err_set(e, ERR_INVALID,
                       "conflicting options: host type networking can't be used "
                       "with links. This would result in undefined behavior");
    }
    if (!str_empty(h->isolation) && !str_eq(h->isolation, "default")) {
        return err_set(e, ERR_INVALID, "Invalid isolation: \"%s\" - linux only supports 'default'",
                       h->isolation);
    }
    if (h->io_maximum_bandwidth) {
        return err_set(e, ERR_INVALID,
                       "Invalid QoS settings: linux does not support configuration "
                       "of maximum bandwidth");
    }
    if (h->io_maximum_iops) {
        return err_set(e, ERR_INVALID,
                       "Invalid QoS settings: linux does not support configuration "
                       "of maximum IOPs");
    }
    return 0;
}

static int check_modes(const struct host_config *h, struct err *e) {
    if (!mode_is_plain(h->pid_mode) && !mode_joins(h->pid_mode)) {
        return err_set(e, ERR_INVALID, "invalid PID mode: %s", h->pid_mode);
    }
    if (!mode_is_plain(h->ipc_mode) && !mode_joins(h->ipc_mode) &&
        !str_eq(h->ipc_mode, "shareable") && !str_eq(h->ipc_mode, "none")) {
        return err_set(e, ERR_INVALID, "invalid IPC mode: %s", h->ipc_mode);
    }
    if (!mode_is_plain(h->uts_mode)) {
        return err_set(e, ERR_INVALID, "invalid UTS mode: %s", h->uts_mode);
    }
    if (!mode_is_plain(h->userns_mode)) {
        return err_set(e, ERR_INVALID, "invalid userns mode: %s", h->userns_mode);
    }
    if (!mode_is_plain(h->cgroupns_mode)) {
        return err_set(e, ERR_INVALID, "invalid cgroup namespace mode: %s", h->cgroupns_mode);
    }
    return 0;
}

static int check_runtime(struct host_config *h, const struct host_facts *f, struct err *e) {
    if (str_empty(h->runtime)) {
        str_set(&h->runtime, RUNTIME_NATIVE);
    }
    if (str_eq(h->runtime, RUNTIME_NATIVE)) {
        return 0;
    }
    for (const char *const *name = f->runtimes; name && *name; name++) {
        if (str_eq(h->runtime, *name)) {
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "unknown or invalid runtime name: %s", h->runtime);
}

static int check_cgroup_parent(const char *parent, struct err *e) {
    auto_free char *clean = NULL;

    if (str_empty(parent)) {
        return 0;
    }
    /* Below the hierarchies' roots, whatever the spelling: no way up and out. */
    clean = xasprintf("/%s/", parent);
    if (strstr(clean, "/../") || strlen(parent) > 512 || strpbrk(parent, "\r\n")) {
        return err_set(e, ERR_INVALID, "invalid cgroup parent: %s", parent);
    }
    return 0;
}

/* ---- all of it ----------------------------------------------------------------------------- */
static int check_mounts(const struct host_config *h, struct err *e) {
    for (size_t i = 0; i < h->mounts.count; i++) {
        struct mount_point p;
        int r = mount_spec_resolve(field_array_at(&h->mounts, struct mount_spec, i), true, &p, e);

        if (r < 0) {
            return r;
        }
        field_done(&mount_point_table, &p);
    }
    return 0;
}

static int check_security(const struct host_config *h, struct err *e) {
    struct security_options so;
    uint64_t caps;
    int r = lcap_combine(h->cap_add, h->cap_drop, h->privileged, LCAP_ALL, &caps, e);

    if (r == 0) {
        r = security_options_parse(h->security_opt, &so, e);
    }
    if (r == 0) {
        security_options_done(&so);
    }
    return r;
}

/* The part that dockerd does for all platforms. */
static int check_common(const struct host_config *h, char ***warnings, struct err *e) {
    int r;

    if (h->auto_remove && !str_empty(h->restart_policy.name) &&
        !str_eq(h->restart_policy.name, "no")) {
        return err_set(e, ERR_INVALID, "can't create 'AutoRemove' container with restart policy");
    }
    r = check_mounts(h, e);
    if (r == 0) {
        r = check_extra_hosts(h->extra_hosts, e);
    }
    if (r == 0) {
        r = restart_policy_validate(&h->restart_policy, e);
    }
    if (r == 0) {
        r = check_security(h, e);
    }
    if (r == 0) {
        r = check_log(&h->log_config, warnings, e);
    }
    if (r == 0) {
        r = check_modes(h, e);
    }
    return r;
}

int host_config_validate(struct host_config *h, const struct container_config *c,
                         const struct host_facts *f, char ***warnings, struct err *e) {
    int r = check_common(h, warnings, e);

    (void)c;
    if (r == 0) {
        r = host_resources_validate(h, f, false, warnings, e);
    }
    if (r < 0) {
        return r;
    }
    if (h->shm_size < 0) {
        return err_set(e, ERR_INVALID, "SHM size can not be less than 0");
    }
    if (h->oom_score_adj < -1000 || h->oom_score_adj > 1000) {
        return err_set(e, ERR_INVALID,
                       "Invalid value %" PRId64 ", range for oom score adj is [-1000, 1000]",
                       h->oom_score_adj);
    }
    if (str_eq(h->cgroupns_mode, "private") && !f->cgroupns) {
        strv_add(warnings, "Your kernel does not support cgroup namespaces.  Cgroup namespace "
                           "setting discarded.");
        str_set(&h->cgroupns_mode, "host");
    }
    r = check_runtime(h, f, e);
    if (r == 0) {
        r = check_cgroup_parent(h->cgroup_parent, e);
    }
    if (r == 0) {
        r = check_ulimits(h, e);
    }
    if (r == 0) {
        r = check_devices(h, e);
    }
    if (r == 0) {
        r = check_sysctls(h, e);
    }
    return r < 0 ? r : check_dns(h, e);
}

int host_defaults_validate(const struct host_config *h, struct err *e) {
    auto_strv warnings = NULL; /* each container's create says them */
    int r = check_log(&h->log_config, &warnings, e);

    if (r == 0) {
        r = check_ulimits(h, e);
    }
    return r < 0 ? r : check_dns(h, e);
}
