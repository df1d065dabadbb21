/* SPDX-License-Identifier: Apache-2.0 */
#include "api/daemon_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "format/json.h"
#include "format/units.h"

#define CONFIG_FILE        "/etc/fence/daemon.json"
#define COMPAT_CONFIG_FILE "/etc/docker/daemon.json"
#define CONFIG_FILE_MAX    (1u << 20)

enum type { T_STRING, T_BOOL, T_INT, T_BYTES, T_LIST, T_MAP };

struct option {
    const char *flag; /* without dashes */
    char letter;      /* 0: none */
    const char *key;  /* of daemon.json; NULL: the flag's name; "": not there */
    enum type type;
    size_t offset; /* into struct daemon_options; REFUSED for options that are not done yet */
    const char *standard; /* refused options: the value that passes (dockerd's default) */
    const char *help;     /* NULL: hidden */
};

#define REFUSED ((size_t)-1)
#define AT(m)   offsetof(struct daemon_options, m)

static const struct option table[] = {
    {"api-cors-header", 0, NULL, T_STRING, AT(cors_header), NULL,
     "Set CORS headers in the Engine API"},
    {"api-enable-cors", 0, "", T_BOOL, AT(cors_enabled), NULL, NULL},
    {"bip", 0, NULL, T_STRING, AT(bip), NULL, "Specify network bridge IP"},
    {"bridge", 'b', NULL, T_STRING, AT(bridge), NULL,
     "Attach containers to a network bridge (\"none\": no networking)"},
    {"cgroup-parent", 0, NULL, T_STRING, AT(cgroup_parent), NULL,
     "Set parent cgroup for all containers"},
    {"config-file", 0, "", T_STRING, AT(config_file), NULL, "Daemon configuration file"},
    {"data-root", 0, NULL, T_STRING, AT(data_root), NULL, "Root directory of persistent state"},
    {"graph", 'g', NULL, T_STRING, AT(data_root), NULL, NULL},
    {"debug", 'D', NULL, T_BOOL, AT(debug), NULL, "Enable debug mode"},
    {"default-address-pool", 0, "default-address-pools", T_LIST, AT(address_pools), NULL,
     "Default address pools for networks (base=10.0.0.0/8,size=24)"},
    {"default-gateway", 0, NULL, T_STRING, AT(default_gateway), NULL,
     "Container default gateway IPv4 address"},
    {"default-gateway-v6", 0, NULL, T_STRING, AT(default_gateway6), NULL,
     "Container default gateway IPv6 address"},
    {"default-ipc-mode", 0, NULL, T_STRING, AT(default_ipc_mode), NULL,
     "Default mode for containers ipc (\"shareable\" | \"private\")"},
    {"default-shm-size", 0, NULL, T_BYTES, AT(shm_size), NULL, "Default shm size for containers"},
    {"default-ulimit", 0, "default-ulimits", T_MAP, AT(default_ulimits), NULL,
     "Default ulimits for containers"},
    {"dns", 0, NULL, T_LIST, AT(dns), NULL, "DNS server to use"},
    {"dns-opt", 0, "dns-opts", T_LIST, AT(dns_opts), NULL, "DNS options to use"},
    {"dns-search", 0, NULL, T_LIST, AT(dns_search), NULL, "DNS search domains to use"},
    {"docker-compat", 0, NULL, T_BOOL, AT(docker_compat), NULL,
     "Use Docker's paths, group and names"},
    {"exec-root", 0, NULL, T_STRING, AT(exec_root), NULL,
     "Root directory for execution state files"},
    {"experimental", 0, NULL, T_BOOL, AT(experimental), NULL, "Enable experimental features"},
    {"fixed-cidr", 0, NULL, T_STRING, AT(fixed_cidr), NULL, "IPv4 subnet for fixed IPs"},
    {"fixed-cidr-v6", 0, NULL, T_STRING, AT(fixed_cidr6), NULL,
     "IPv6 subnet of the default bridge"},
    {"group", 'G', NULL, T_STRING, AT(group), NULL, "Group for the unix socket"},
    {"host-gateway-ip", 0, NULL, T_STRING, AT(host_gateway), NULL,
     "IP address that the special name host-gateway stands for"},
    {"help", 'h', "", T_BOOL, AT(help), NULL, "Print usage"},
    {"host", 'H', "hosts", T_LIST, AT(hosts), NULL, "Daemon socket(s) to connect to"},
    {"icc", 0, NULL, T_BOOL, AT(icc), NULL, "Enable inter-container communication"},
    {"idmap-dir", 0, NULL, T_STRING, AT(idmap_dir), NULL,
     "Directory of the host's id range leases"},
    {"init", 0, NULL, T_BOOL, AT(init), NULL,
     "Run an init in the container to forward signals and reap processes"},
    {"init-path", 0, NULL, T_STRING, AT(init_path), NULL, "Path to the init binary"},
    {"ip", 0, NULL, T_STRING, AT(host_binding), NULL, "Default IP when publishing container ports"},
    {"ip-forward", 0, NULL, T_BOOL, AT(ip_forward), NULL, "Enable net.ipv4.ip_forward"},
    {"ip-masq", 0, NULL, T_BOOL, AT(ip_masq), NULL, "Enable IP masquerading"},
    {"iptables", 0, NULL, T_BOOL, AT(firewall), NULL,
     "Write packet filter rules (by nf_tables; iptables itself is never called)"},
    {"ipv6", 0, NULL, T_BOOL, AT(ipv6), NULL, "Enable IPv6 on the default bridge"},
    {"label", 0, "labels", T_LIST, AT(labels), NULL, "Set key=value labels to the daemon"},
    {"libexec-dir", 0, "", T_STRING, AT(libexec), NULL,
     "Directory of fence-spawner, fence-monitor and fence-init"},
    {"live-restore", 0, NULL, T_BOOL, AT(live_restore), NULL,
     "Keep containers running when the daemon is stopped"},
    {"log-driver", 0, NULL, T_STRING, AT(log_driver), NULL, "Default driver for container logs"},
    {"log-format", 0, NULL, T_STRING, AT(log_format), NULL,
     "Set the logging format (\"text\"|\"json\")"},
    {"log-level", 'l', NULL, T_STRING, AT(log_level), NULL,
     "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\"|\"fatal\")"},
    {"log-opt", 0, "log-opts", T_MAP, AT(log_opts), NULL,
     "Default log driver options for containers"},
    {"mtu", 0, NULL, T_INT, AT(mtu), NULL, "Set the containers network MTU"},
    {"nft-table", 0, NULL, T_STRING, AT(nft_table), NULL,
     "Name of the daemon's own nf_tables table"},
    {"no-new-privileges", 0, NULL, T_BOOL, AT(no_new_privileges), NULL,
     "Set no-new-privileges by default for new containers"},
    {"node-name", 0, NULL, T_STRING, AT(node_name), NULL, "Name of this host in `info`"},
    {"pidfile", 'p', NULL, T_STRING, AT(pidfile), NULL, "Path to use for daemon PID file"},
    {"seccomp-profile", 0, NULL, T_STRING, AT(seccomp_profile), NULL,
     "Path to seccomp profile (\"unconfined\": none)"},
    {"selinux-enabled", 0, NULL, T_BOOL, AT(selinux_enabled), NULL,
     "Enable SELinux support: containers get labels of the host's policy"},
    {"shutdown-timeout", 0, NULL, T_INT, AT(shutdown_timeout), NULL,
     "Set the default shutdown timeout in seconds"},
    {"tls", 0, NULL, T_BOOL, AT(tls), NULL, "Use TLS; implied by --tlsverify"},
    {"tlscacert", 0, NULL, T_STRING, AT(tls_ca), NULL, "Trust certs signed only by this CA"},
    {"tlscert", 0, NULL, T_STRING, AT(tls_cert), NULL, "Path to TLS certificate file"},
    {"tlskey", 0, NULL, T_STRING, AT(tls_key), NULL, "Path to TLS key file"},
    {"tlsverify", 0, NULL, T_BOOL, AT(tls_verify), NULL, "Use TLS and verify the remote"},
    /* Address translation carries the traffic either way; what it cannot is fence-netd's. */
    {"userland-proxy", 0, NULL, T_BOOL, AT(userland_proxy), NULL,
     "Accepted for Docker's sake: there is no proxy per port"},
    {"userns-fallback", 0, NULL, T_STRING, AT(userns_fallback), NULL,
     "When a container cannot have its own user namespace: \"warn\" | \"refuse\""},
    {"userns-remap", 0, NULL, T_STRING, AT(userns_remap), NULL,
     "\"host\": no user namespaces by default"},
    {"validate", 0, "", T_BOOL, AT(validate), NULL, "Validate daemon configuration and exit"},
    {"version", 'v', "", T_BOOL, AT(version), NULL, "Print version information and quit"},
    /* What is not done yet: the default passes, anything else is refused by name. */
    {"add-runtime", 0, "runtimes", T_MAP, REFUSED, "", NULL},
    {"allow-nondistributable-artifacts", 0, NULL, T_LIST, REFUSED, "", NULL},
    {"authorization-plugin", 0, "authorization-plugins", T_LIST, REFUSED, "", NULL},
    {"builder", 0, NULL, T_MAP, REFUSED, "", NULL},
    {"cluster-advertise", 0, NULL, T_STRING, REFUSED, "", NULL},
    {"cluster-store", 0, NULL, T_STRING, REFUSED, "", NULL},
    {"cluster-store-opt", 0, "cluster-store-opts", T_MAP, REFUSED, "", NULL},
    {"containerd", 0, NULL, T_STRING, REFUSED, "", NULL},
    {"containerd-namespace", 0, NULL, T_STRING, REFUSED, "moby", NULL},
    {"containerd-plugins-namespace", 0, NULL, T_STRING, REFUSED, "plugins.moby", NULL},
    {"cpu-rt-period", 0, NULL, T_INT, REFUSED, "0", NULL},
    {"cpu-rt-runtime", 0, NULL, T_INT, REFUSED, "0", NULL},
    {"cri-containerd", 0, NULL, T_BOOL, REFUSED, "false", NULL},
    {"default-cgroupns-mode", 0, NULL, T_STRING, REFUSED, "", NULL},
    {"default-runtime", 0, NULL, T_STRING, REFUSED, "runc", NULL},
    {"exec-opt", 0, "exec-opts", T_LIST, REFUSED, "native.cgroupdriver=cgroupfs", NULL},
    {"features", 0, NULL, T_MAP, REFUSED, "", NULL},
    {"default-network-opt", 0, "default-network-opts", T_MAP, REFUSED, "", NULL},
    {"insecure-registry", 0, "insecure-registries", T_LIST, REFUSED, "", NULL},
    {"ip6tables", 0, NULL, T_BOOL, REFUSED, "false", NULL},
    {"max-concurrent-downloads", 0, NULL, T_INT, REFUSED, "3", NULL},
    {"max-concurrent-uploads", 0, NULL, T_INT, REFUSED, "5", NULL},
    {"max-download-attempts", 0, NULL, T_INT, REFUSED, "5", NULL},
    {"metrics-addr", 0, NULL, T_STRING, REFUSED, "", NULL},
    {"network-control-plane-mtu", 0, NULL, T_INT, REFUSED, "1500", NULL},
    {"node-generic-resource", 0, "node-generic-resources", T_LIST, REFUSED, "", NULL},
    {"oom-score-adjust", 0, NULL, T_INT, REFUSED, "0", NULL},
    {"http-proxy", 0, "", T_STRING, REFUSED, "", NULL},
    {"https-proxy", 0, "", T_STRING, REFUSED, "", NULL},
    {"no-proxy", 0, "", T_STRING, REFUSED, "", NULL},
    {"proxies", 0, NULL, T_MAP, REFUSED, "", NULL},
    {"raw-logs", 0, NULL, T_BOOL, REFUSED, "false", NULL},
    {"registry-mirror", 0, "registry-mirrors", T_LIST, REFUSED, "", NULL},
    {"rootless", 0, NULL, T_BOOL, REFUSED, "false", NULL},
    {"storage-driver", 's', NULL, T_STRING, REFUSED, "overlay2", NULL},
    {"storage-opt", 0, "storage-opts", T_LIST, REFUSED, "", NULL},
    {"swarm-default-advertise-addr", 0, NULL, T_STRING, REFUSED, "", NULL},
    {"userland-proxy-path", 0, NULL, T_STRING, REFUSED, "", NULL},
};
#define OPTIONS (sizeof table / sizeof *table)

static const char *key_of(const struct option *o) {
    return o->key ? o->key : o->flag;
}

void daemon_options_init(struct daemon_options *o) {
    *o = (struct daemon_options){.ip_masq = true,
                                 .icc = true,
                                 .ip_forward = true,
                                 .firewall = true,
                                 .userland_proxy = true,
                                 .shutdown_timeout = 15,
                                 .shm_size = 64 << 20};
}

void daemon_options_done(struct daemon_options *o) {
    for (size_t i = 0; i < OPTIONS; i++) {
        char *at = (char *)o + table[i].offset;

        if (table[i].offset == REFUSED)
            continue;
        if (table[i].type == T_STRING) {
            free(*(char **)at);
            *(char **)at = NULL; /* an old spelling has the same place */
        } else if (table[i].type == T_LIST) {
            *(char ***)at = strv_free(*(char ***)at);
        } else if (table[i].type == T_MAP) {
            strmap_done((struct strmap *)at);
        }
    }
}

/* ---- values ---------------------------------------------------------------------------------- */
static int refuse(const struct option *o, const char *value, struct err *e) {
    if (str_eq(value, o->standard) || (str_empty(value) && o->type != T_BOOL))
        return 0;
    return err_set(e, ERR_INVALID, "--%s=%s is not supported yet (only its default is)", o->flag,
                   value);
}

static int put(struct daemon_options *to, const struct option *o, const char *value,
               struct err *e) {
    char *at = (char *)to + o->offset;
    const char *eq;
    int64_t n;
    bool b;

    if (o->offset == REFUSED)
        return refuse(o, value, e);
    switch (o->type) {
    case T_STRING:
        str_set((char **)at, value);
        return 0;
    case T_BOOL:
        if (str_to_bool(value, &b) < 0)
            break;
        *(bool *)at = b;
        return 0;
    case T_INT:
        if (str_to_i64(value, &n) < 0)
            break;
        *(int64_t *)at = n;
        return 0;
    case T_BYTES:
        if (units_parse_bytes(value, &n) < 0)
            break;
        *(int64_t *)at = n;
        return 0;
    case T_LIST:
        strv_add((char ***)at, value);
        return 0;
    case T_MAP:
        eq = strchr(value, '=');
        if (!eq)
            break;
        {
            auto_free char *key = xstrndup(value, (size_t)(eq - value));

            strmap_put((struct strmap *)at, key, eq + 1);
        }
        return 0;
    }
    return err_set(e, ERR_INVALID, "invalid argument \"%s\" for \"--%s\" flag", value, o->flag);
}

/* ---- command line ---------------------------------------------------------------------------- */
static const struct option *find_flag(const char *name, size_t len) {
    for (size_t i = 0; i < OPTIONS; i++)
        if (strlen(table[i].flag) == len && memcmp(table[i].flag, name, len) == 0)
            return &table[i];
    return NULL;
}

static const struct option *find_letter(char c) {
    for (size_t i = 0; i < OPTIONS; i++)
        if (table[i].letter == c)
            return &table[i];
    return NULL;
}

/* One argument (and the next, as its value). *i moves on. `given` is marked. */
static int parse_one(struct daemon_options *o, int argc, char *const *argv, int *i, bool *given,
                     struct err *e) {
    const char *arg = argv[*i], *value = NULL, *name = arg + 1;
    const struct option *opt;

    if (*arg != '-' || !arg[1])
        return err_set(e, ERR_INVALID, "unknown argument: %s", arg);
    if (arg[1] == '-') {
        size_t len = strcspn(arg + 2, "=");

        name = arg + 2;
        opt = find_flag(name, len);
        if (name[len] == '=')
            value = name + len + 1;
    } else {
        /* "-H=x", "-Hx", "-D", and the single dash that old daemons took for long names */
        size_t len = strcspn(name, "=");

        opt = len > 1 ? find_flag(name, len) : NULL;
        if (!opt) {
            opt = find_letter(*name);
            len = 1;
        }
        if (name[len] == '=')
            value = name + len + 1;
        else if (name[len] && opt && opt->type != T_BOOL)
            value = name + len;
        else if (name[len])
            return err_set(e, ERR_INVALID, "unknown shorthand flag: '%c' in %s", *name, arg);
    }
    if (!opt)
        return err_set(e, ERR_INVALID,
                       arg[1] == '-' ? "unknown flag: %s" : "unknown shorthand flag: %s", arg);
    if (!value) {
        if (opt->type == T_BOOL)
            value = "true";
        else if (++*i < argc)
            value = argv[*i];
        else
            return err_set(e, ERR_INVALID, "flag needs an argument: --%s", opt->flag);
    }
    given[opt - table] = true;
    return put(o, opt, value, e);
}

/* ---- daemon.json ----------------------------------------------------------------------------- */
/* The decoder of Go says these words, so dockerd does. */
static const char *go_kind(struct json_object *v) {
    switch (json_object_get_type(v)) {
    case json_type_boolean:
        return "bool";
    case json_type_int:
    case json_type_double:
        return "number";
    case json_type_array:
        return "array";
    case json_type_object:
        return "object";
    default:
        return "string";
    }
}

static int wrong_type(const struct option *o, struct json_object *v, const char *wanted,
                      struct err *e) {
    bool fraction = o->type == T_INT && json_object_is_type(v, json_type_double);

    return err_set(e, ERR_INVALID,
                   "json: cannot unmarshal %s%s%s into Go struct field Config.%s of type %s",
                   go_kind(v), fraction ? " " : "", fraction ? json_object_get_string(v) : "",
                   key_of(o), wanted);
}

/* A single value of an option, or an item of a list or map. */
static int check_scalar(const struct option *o, struct json_object *v, struct err *e) {
    enum json_type is = json_object_get_type(v);

    if (is == json_type_null)
        return 0;
    switch (o->type) {
    case T_BOOL:
        return is == json_type_boolean ? 0 : wrong_type(o, v, "bool", e);
    case T_INT:
        return is == json_type_int ? 0 : wrong_type(o, v, "int", e);
    case T_BYTES: /* "64m" and 67108864 */
        return is == json_type_int || is == json_type_string ? 0 : wrong_type(o, v, "string", e);
    default:
        return is == json_type_string ? 0 : wrong_type(o, v, "string", e);
    }
}

static int list_values(const struct option *o, struct json_object *v, char ***ret, struct err *e) {
    if (!json_object_is_type(v, json_type_array))
        return wrong_type(o, v, "[]string", e);
    for (size_t i = 0; i < json_object_array_length(v); i++) {
        struct json_object *item = json_object_array_get_idx(v, i);
        int r;

        if (jsn_str(item, "base")) { /* default-address-pools */
            strv_take(ret, xasprintf("base=%s,size=%lld", jsn_str(item, "base"),
                                     (long long)jsn_int(item, "size", 0)));
            continue;
        }
        r = o->offset == REFUSED ? 0 : check_scalar(o, item, e);

        if (r < 0)
            return r;
        strv_add(ret, str_or_empty(json_object_get_string(item)));
    }
    return 0;
}

static int map_values(const struct option *o, struct json_object *v, char ***ret, struct err *e) {
    if (!json_object_is_type(v, json_type_object))
        return wrong_type(o, v, "map[string]string", e);
    json_object_object_foreach(v, key, item) {
        struct json_object *soft = jsn_get(item, "Soft"), *hard = jsn_get(item, "Hard");

        if (soft || hard) { /* default-ulimits */
            strv_take(ret, xasprintf("%s=%lld:%lld", key, (long long)jsn_int(item, "Soft", 0),
                                     (long long)jsn_int(item, "Hard", 0)));
        } else {
            int r = o->offset == REFUSED ? 0 : check_scalar(o, item, e);

            if (r < 0)
                return r;
            strv_take(ret, xasprintf("%s=%s", key, str_or_empty(json_object_get_string(item))));
        }
    }
    return 0;
}

/* A JSON value as the texts that the command line would have had; null says nothing, as in Go. */
static int values_of(const struct option *o, struct json_object *v, char ***ret, struct err *e) {
    int r;

    if (!v)
        return 0;
    if (o->type == T_LIST)
        return list_values(o, v, ret, e);
    if (o->type == T_MAP)
        return map_values(o, v, ret, e);
    r = check_scalar(o, v, e);
    if (r == 0)
        strv_add(ret, json_object_get_string(v));
    return r;
}

static int apply_file(struct daemon_options *o, struct json_object *doc, const bool *given,
                      struct err *e) {
    json_object_object_foreach(doc, key, value) {
        const struct option *opt = NULL;
        auto_strv values = NULL;
        int r;

        for (size_t i = 0; i < OPTIONS && !opt; i++)
            if (*key && str_eq(key_of(&table[i]), key))
                opt = &table[i];
        if (!opt)
            return err_set(e, ERR_INVALID,
                           "the following directives don't match any configuration option: %s",
                           key);
        if (given && given[opt - table])
            return err_set(e, ERR_INVALID,
                           "the following directives are specified both as a flag and in the "
                           "configuration file: %s: (from file: %s)",
                           key, str_or_empty(json_object_get_string(value)));
        r = values_of(opt, value, &values, e);
        if (r < 0)
            return r;
        strv_for_each (text, values) {
            r = put(o, opt, text, e);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int read_file(struct daemon_options *o, const char *path, bool must_exist, const bool *given,
                     struct err *e) {
    auto_buf text = {.max = CONFIG_FILE_MAX};
    struct json_object *doc = NULL;
    int r = io_read_file_at(AT_FDCWD, path, &text);

    if (r == -ENOENT && !must_exist)
        return 0;
    if (r < 0) {
        r = err_sys(e, r, "open %s", path);
    } else if (strspn(buf_str(&text), " \t\r\n") < text.len) {
        r = jsn_parse(buf_str(&text), text.len, &doc, e);
        if (r == 0 && !json_object_is_type(doc, json_type_object))
            r = err_set(e, ERR_INVALID, "the file holds no JSON object");
        if (r == 0)
            r = apply_file(o, doc, given, e);
    }
    json_object_put(doc);
    if (r < 0)
        err_wrap(e, "unable to configure the Fence daemon with file %s", path);
    return r;
}

/* ---- defaults that depend on others ---------------------------------------------------------- */
static void set_default(char **s, const char *value) {
    if (!*s)
        *s = xstrdup(value);
}

static int complete(struct daemon_options *o, struct err *e) {
    bool compat = o->docker_compat;

    set_default(&o->data_root, compat ? "/var/lib/docker" : "/var/lib/fence");
    set_default(&o->exec_root, compat ? "/var/run/docker" : "/run/fence");
    set_default(&o->pidfile, compat ? "/var/run/docker.pid" : "/run/fence.pid");
    set_default(&o->group, compat ? "docker" : "fence");
    set_default(&o->bridge, compat ? "docker0" : "fence0");
    set_default(&o->bip, compat ? "172.17.0.1/16" : "172.30.0.1/16");
    set_default(&o->nft_table, "fence");
    set_default(&o->cgroup_parent, "/docker");
    set_default(&o->log_driver, "json-file");
    set_default(&o->idmap_dir, "/run/fence/idmap");
    set_default(&o->log_level, "info");
    set_default(&o->userns_remap, "");
    if (o->tls_verify)
        o->tls = true;
    if (!str_empty(o->userns_remap) && !str_eq(o->userns_remap, "host") &&
        !str_eq(o->userns_remap, "default"))
        return err_set(e, ERR_INVALID,
                       "--userns-remap=%s: every container has a range of its own; only \"host\" "
                       "and \"default\" are supported",
                       o->userns_remap);
    if (o->userns_fallback && !str_eq(o->userns_fallback, "warn") &&
        !str_eq(o->userns_fallback, "refuse"))
        return err_set(e, ERR_INVALID, "--userns-fallback must be \"warn\" or \"refuse\"");
    if (o->log_format && !str_eq(o->log_format, "text") && !str_eq(o->log_format, "json"))
        return err_set(e, ERR_INVALID, "unknown log format: %s", o->log_format);
    if (!str_eq(o->log_driver, "json-file") && !str_eq(o->log_driver, "local") &&
        !str_eq(o->log_driver, "none"))
        return err_set(e, ERR_INVALID, "--log-driver=%s is not supported yet", o->log_driver);
    if (*o->data_root != '/' || *o->exec_root != '/')
        return err_set(e, ERR_INVALID, "--data-root and --exec-root must be absolute paths");
    strv_for_each (label, o->labels)
        if (!strchr(label, '='))
            return err_set(e, ERR_INVALID, "bad attribute format: %s", label);
    return 0;
}

int daemon_options_load(struct daemon_options *o, int argc, char *const *argv, struct err *e) {
    bool given[OPTIONS] = {false};
    const char *path;
    int r = 0;

    for (int i = 1; i < argc && r == 0; i++) {
        /* "docker daemon ..." and "docker -d ..." come here with their first word */
        if (i == 1 && (str_eq(argv[i], "daemon") || str_eq(argv[i], "-d")))
            continue;
        r = parse_one(o, argc, argv, &i, given, e);
    }
    if (r < 0 || o->help || o->version)
        return r;
    path = o->config_file ? o->config_file : o->docker_compat ? COMPAT_CONFIG_FILE : CONFIG_FILE;
    r = read_file(o, path, o->config_file != NULL, given, e);
    if (!o->config_file)
        o->config_file = xstrdup(path);
    if (r == 0)
        r = complete(o, e);
    return r < 0 ? r : daemon_options_check(o, e);
}

int daemon_options_reload(struct daemon_options *o, struct err *e) {
    struct daemon_options fresh;
    int r;

    daemon_options_init(&fresh);
    fresh.debug = o->debug;
    fresh.live_restore = o->live_restore;
    fresh.shutdown_timeout = o->shutdown_timeout;
    r = read_file(&fresh, o->config_file, false, NULL, e);
    if (r == 0) {
        o->debug = fresh.debug;
        o->live_restore = fresh.live_restore;
        o->shutdown_timeout = fresh.shutdown_timeout;
        if (fresh.labels) {
            strv_free(o->labels);
            o->labels = take_ptr(fresh.labels);
        }
    }
    daemon_options_done(&fresh);
    return r;
}

void daemon_options_usage(void) {
    static const char *const types[] = {"string", "", "int", "bytes", "list", "map"};

    printf("\nUsage:\tfenced [OPTIONS]\n\nA container engine that serves the Docker API.\n\n"
           "Options:\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option *o = &table[i];
        char left[64], letter[8] = "    ";

        if (!o->help)
            continue;
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s %s", letter, o->flag, types[o->type]);
        printf("  %-36s %s\n", left, o->help);
    }
}

void daemon_options_engine(struct daemon_options *o, struct engine_options *ret) {
    char host[256] = "localhost";

    (void)gethostname(host, sizeof host - 1); /* the default stays */
    *ret = (struct engine_options){
        .data_root = take_ptr(o->data_root),
        .exec_root = take_ptr(o->exec_root),
        .cgroup_parent = take_ptr(o->cgroup_parent),
        .libexec = take_ptr(o->libexec),
        .name = o->node_name ? take_ptr(o->node_name) : xstrdup(host),
        .cors_origin = take_ptr(o->cors_header),
        .idmap_dir = take_ptr(o->idmap_dir),
        .init_path = take_ptr(o->init_path),
        .log_driver = take_ptr(o->log_driver),
        .labels = strv_dup(o->labels),
        .dns = take_ptr(o->dns),
        .dns_search = take_ptr(o->dns_search),
        .dns_options = take_ptr(o->dns_opts),
        .shutdown_timeout = o->shutdown_timeout,
        .shm_size = o->shm_size,
        .live_restore = o->live_restore,
        .debug = o->debug,
        .docker_compat = o->docker_compat,
        .userns_refuse = str_eq(o->userns_fallback, "refuse"),
        .no_new_privileges = o->no_new_privileges,
        .selinux_enabled = o->selinux_enabled,
        .experimental = o->experimental,
        .default_init = o->init,
        .default_ipc_mode = take_ptr(o->default_ipc_mode),
        .userns_remap = take_ptr(o->userns_remap),
        .net = {.bridge = take_ptr(o->bridge),
                .bip = take_ptr(o->bip),
                .fixed_cidr = take_ptr(o->fixed_cidr),
                .gateway = take_ptr(o->default_gateway),
                .table = take_ptr(o->nft_table),
                .mtu = o->mtu,
                .ip_masq = o->ip_masq,
                .icc = o->icc,
                .ip_forward = o->ip_forward,
                .firewall = o->firewall,
                .ipv6 = o->ipv6,
                .fixed_cidr6 = take_ptr(o->fixed_cidr6),
                .gateway6 = take_ptr(o->default_gateway6),
                .host_binding = take_ptr(o->host_binding),
                .address_pools = take_ptr(o->address_pools)},
        .host_gateway = take_ptr(o->host_gateway),
    };
    if (o->cors_enabled && !ret->cors_origin)
        ret->cors_origin = xstrdup("*");
    strmap_copy(&ret->log_opts, &o->log_opts);
    strmap_copy(&ret->ulimits, &o->default_ulimits);
}
