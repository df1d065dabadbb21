/* SPDX-License-Identifier: Apache-2.0 */

/* What the daemon's options say, held against the rules of those who will use it: before anything
 * is opened, and all that --validate does. */
#include <fcntl.h>

#include "api/daemon_options.h"
#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/config.h"
#include "engine/networks.h"
#include "engine/spec.h"
#include "runtime/seccomp.h"
#include "wire/listen.h"

#define SECCOMP_PROFILE_MAX (1u << 20)

/* dockerd's words. */
static int check_ipc_mode(const char *mode, struct err *e) {
    static const char hint[] = "Use \"shareable\" or \"private\".";

    if (str_empty(mode) || str_eq(mode, "private") || str_eq(mode, "shareable"))
        return 0;
    if (str_eq(mode, "host") || str_eq(mode, "none") || str_starts(mode, "container:"))
        return err_set(e, ERR_INVALID, "IPC mode \"%s\" is not supported as default value. %s",
                       mode, hint);
    return err_set(e, ERR_INVALID, "Default IPC mode setting (%s) is invalid. %s", mode, hint);
}

/* What a container gets that asks for nothing, as if it had asked for it. */
static int check_container_defaults(const struct daemon_options *o, struct err *e) {
    struct host_config h;
    int r = 0;

    field_init(&host_config_table, &h);
    str_set(&h.log_config.type, o->log_driver);
    strmap_copy(&h.log_config.config, &o->log_opts);
    h.dns = strv_dup(o->dns);
    h.dns_search = strv_dup(o->dns_search);
    h.dns_options = strv_dup(o->dns_opts);
    strmap_for_each(limit, &o->default_ulimits) {
        struct ulimit *u = field_array_add(&h.ulimits, &ulimit_table);

        str_set(&u->name, limit->key);
        if (r == 0 && default_ulimit_parse(limit->value, &u->soft, &u->hard) < 0)
            r = err_set(e, ERR_INVALID, "invalid default ulimit: %s=%s", limit->key, limit->value);
    }
    if (r == 0)
        r = host_defaults_validate(&h, e);
    field_done(&host_config_table, &h);
    return r;
}

static int check_network(const struct daemon_options *o, struct err *e) {
    const struct network_options n = {.bridge = o->bridge,
                                      .bip = o->bip,
                                      .fixed_cidr = o->fixed_cidr,
                                      .gateway = o->default_gateway,
                                      .fixed_cidr6 = o->fixed_cidr6,
                                      .gateway6 = o->default_gateway6,
                                      .host_binding = o->host_binding,
                                      .address_pools = o->address_pools,
                                      .mtu = o->mtu};

    return network_options_check(&n, e);
}

static int check_hosts(const struct daemon_options *o, struct err *e) {
    const struct listen_options lo = {.default_path = "", .tls = o->tls};

    strv_for_each (host, o->hosts) {
        auto_free char *spec = NULL;
        int r = listen_normalize(host, &lo, &spec, e);

        if (r < 0)
            return r;
    }
    if (o->tls && (str_empty(o->tls_cert) || str_empty(o->tls_key)))
        return err_set(e, ERR_INVALID,
                       "could not load X509 key pair: both a certificate and a key are needed "
                       "(--tlscert, --tlskey)");
    return 0;
}

int daemon_seccomp_profile(const struct daemon_options *o, char **ret, struct err *e) {
    auto_buf text = {.max = SECCOMP_PROFILE_MAX};
    int r;

    if (str_empty(o->seccomp_profile) || str_eq(o->seccomp_profile, "default") ||
        str_eq(o->seccomp_profile, "builtin")) {
        *ret = NULL;
        return 0;
    }
    if (str_eq(o->seccomp_profile, "unconfined")) {
        *ret = xstrdup("unconfined");
        return 0;
    }
    r = io_read_file_at(AT_FDCWD, o->seccomp_profile, &text);
    if (r < 0)
        return err_sys(e, r, "opening seccomp profile (%s) failed", o->seccomp_profile);
    r = seccomp_profile_check(buf_str(&text), e);
    if (r == 0)
        *ret = buf_take(&text);
    return r;
}

int daemon_options_check(const struct daemon_options *o, struct err *e) {
    auto_free char *profile = NULL;
    enum log_level level;
    int r;

    if (log_level_parse(o->log_level, &level) < 0)
        return err_set(e, ERR_INVALID, "unable to parse logging level: %s", o->log_level);
    r = check_ipc_mode(o->default_ipc_mode, e);
    if (r == 0)
        r = check_container_defaults(o, e);
    if (r == 0)
        r = check_network(o, e);
    if (r == 0)
        r = daemon_seccomp_profile(o, &profile, e);
    return r < 0 ? r : check_hosts(o, e);
}
