/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * dockerd's command line and daemon.json -> settings. One table (daemon_options.c) says for every
 * option its flag, its key, its type and what Fence does with it: options of capabilities that do
 * not exist yet are accepted at their default and refused by name otherwise, never ignored.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "engine/engine.h"

struct daemon_options {
    char **hosts; /* -H, in order */
    char *config_file, *data_root, *exec_root, *pidfile, *group, *log_level, *log_format;
    char *cgroup_parent, *log_driver, *bridge, *bip, *fixed_cidr, *default_gateway, *nft_table;
    char *default_gateway6, *fixed_cidr6, *host_gateway, *host_binding, **address_pools;
    char *cors_header, *tls_cert, *tls_key, *tls_ca, *seccomp_profile, *init_path, *userns_remap;
    char *userns_fallback, *libexec, *idmap_dir, *default_ipc_mode, *node_name;
    char **labels, **dns, **dns_search, **dns_opts;
    struct strmap log_opts, default_ulimits;
    int64_t mtu, shutdown_timeout, shm_size;
    bool debug, tls, tls_verify, live_restore, docker_compat, ip_masq, icc, ip_forward, firewall,
        ipv6, userland_proxy, no_new_privileges, experimental, init, selinux_enabled, help, version,
        validate;
    bool cors_enabled; /* the old --api-enable-cors: any origin */
};

void daemon_options_init(struct daemon_options *o);
void daemon_options_done(struct daemon_options *o);
/* The command line, then the configuration file (a file named explicitly must exist). Conflicts
 * between the two are refused in dockerd's words. ERR_INVALID. */
int daemon_options_load(struct daemon_options *o, int argc, char *const *argv, struct err *e);
/* What the values mean: addresses, limits, options of logs, listeners. Opens nothing, so that
 * --validate can ask. ERR_INVALID. */
int daemon_options_check(const struct daemon_options *o, struct err *e);
/* The text of --seccomp-profile, "unconfined", or NULL for the built-in one; the caller's. */
int daemon_seccomp_profile(const struct daemon_options *o, char **ret, struct err *e);
/* What SIGHUP reads again: labels, debug, live-restore, shutdown-timeout. */
int daemon_options_reload(struct daemon_options *o, struct err *e);
/* --help, generated from the table. */
void daemon_options_usage(void);
/* Moves what the engine needs. */
void daemon_options_engine(struct daemon_options *o, struct engine_options *ret);
