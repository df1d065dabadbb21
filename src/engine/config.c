/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "engine/mounts_plan.h"

#define OMIT FIELD_OMIT_EMPTY

/* ---- networking ---------------------------------------------------------------------------- */
static const struct field ipam_fields[] = {
    FIELD(struct endpoint_ipam, "IPv4Address", FIELD_STR, ipv4_address, OMIT),
    FIELD(struct endpoint_ipam, "IPv6Address", FIELD_STR, ipv6_address, OMIT),
    FIELD(struct endpoint_ipam, "LinkLocalIPs", FIELD_STRV, link_local_ips, OMIT),
    FIELD_END,
};
const struct field_table endpoint_ipam_table = FIELD_TABLE(struct endpoint_ipam, ipam_fields);

#define ES struct endpoint_settings
static const struct field endpoint_fields[] = {
    FIELD_SUB(ES, "IPAMConfig", FIELD_STRUCT_P, ipam_config, 0, endpoint_ipam_table),
    FIELD(ES, "Links", FIELD_STRV, links, 0),
    FIELD(ES, "Aliases", FIELD_STRV, aliases, 0),
    FIELD(ES, "NetworkID", FIELD_STR, network_id, 0),
    FIELD(ES, "EndpointID", FIELD_STR, endpoint_id, 0),
    FIELD(ES, "Gateway", FIELD_STR, gateway, 0),
    FIELD(ES, "IPAddress", FIELD_STR, ip_address, 0),
    FIELD(ES, "IPPrefixLen", FIELD_INT, ip_prefix_len, 0),
    FIELD(ES, "IPv6Gateway", FIELD_STR, ipv6_gateway, 0),
    FIELD(ES, "GlobalIPv6Address", FIELD_STR, global_ipv6_address, 0),
    FIELD(ES, "GlobalIPv6PrefixLen", FIELD_INT, global_ipv6_prefix_len, 0),
    FIELD(ES, "MacAddress", FIELD_STR, mac_address, 0),
    FIELD(ES, "DriverOpts", FIELD_STRMAP, driver_opts, FIELD_NULL_EMPTY),
    FIELD(ES, "DNSNames", FIELD_STRV, dns_names, OMIT),
    FIELD(ES, "GwPriority", FIELD_INT, gw_priority, OMIT),
    FIELD_END,
};
const struct field_table endpoint_settings_table = FIELD_TABLE(ES, endpoint_fields);

static const struct field networking_fields[] = {
    FIELD_SUB(struct networking_config, "EndpointsConfig", FIELD_MAP, endpoints, 0,
              endpoint_settings_table),
    FIELD_END,
};
const struct field_table networking_config_table =
    FIELD_TABLE(struct networking_config, networking_fields);

/* ---- merge --------------------------------------------------------------------------------- */
static void inherit_str(char **p, const char *from) {
    if (str_empty(*p)) {
        str_set(p, from);
    }
}

static void inherit_strv(char ***p, char *const *from) {
    strv_free(*p);
    *p = strv_dup(from);
}

static void inherit_map(struct strmap *m, const struct strmap *from) {
    strmap_for_each(entry, from) {
        if (!strmap_get(m, entry->key)) {
            strmap_put(m, entry->key, entry->value);
        }
    }
}

/* Do two entries of an environment name the same variable? */
static bool same_variable(const char *a, const char *b) {
    size_t n = strcspn(a, "=");

    return strcspn(b, "=") == n && memcmp(a, b, n) == 0;
}

static void inherit_env(char ***env, char *const *from) {
    strv_for_each (theirs, from) {
        bool found = false;

        strv_for_each (mine, *env) {
            found = found || same_variable(mine, theirs);
        }
        if (!found) {
            strv_add(env, theirs);
        }
    }
}

static void inherit_int(int64_t *p, int64_t from) {
    if (*p == 0) {
        *p = from;
    }
}

static void inherit_health(struct container_config *c, const struct health_config *from) {
    struct health_config *h = c->healthcheck;

    if (!from) {
        return;
    }
    if (!h) {
        h = c->healthcheck = xnew(struct health_config);
        field_init(&health_config_table, h);
    }
    if (strv_len(h->test) == 0) {
        inherit_strv(&h->test, from->test);
    }
    inherit_int(&h->interval, from->interval);
    inherit_int(&h->timeout, from->timeout);
    inherit_int(&h->start_period, from->start_period);
    inherit_int(&h->start_interval, from->start_interval);
    inherit_int(&h->retries, from->retries);
}

void container_config_merge(struct container_config *c, const struct container_config *image) {
    if (image) {
        inherit_str(&c->user, image->user);
        inherit_map(&c->exposed_ports, &image->exposed_ports);
        inherit_env(&c->env, image->env);
        inherit_map(&c->labels, &image->labels);
        /* An entrypoint of the user's own comes without the image's arguments; an empty one
         * (not a missing one) takes the image's away. */
        if (strv_len(c->entrypoint) == 0) {
            if (strv_len(c->cmd) == 0) {
                inherit_strv(&c->cmd, image->cmd);
                c->args_escaped = image->args_escaped;
            }
            if (!c->entrypoint) {
                inherit_strv(&c->entrypoint, image->entrypoint);
            }
        }
        inherit_health(c, image->healthcheck);
        inherit_str(&c->working_dir, image->working_dir);
        inherit_map(&c->volumes, &image->volumes);
        inherit_str(&c->stop_signal, image->stop_signal);
        if (!c->stop_timeout.set) {
            c->stop_timeout = image->stop_timeout;
        }
        if (strv_len(c->shell) == 0) {
            inherit_strv(&c->shell, image->shell);
        }
    }
    /* docker run --entrypoint "" */
    if (strv_len(c->entrypoint) == 1 && !*c->entrypoint[0]) {
        c->entrypoint = strv_free(c->entrypoint);
    }
}

int container_config_command(const struct container_config *c, char **ret_path, char ***ret_args,
                             struct err *e) {
    char **args = NULL;
    const char *path = NULL;

    strv_for_each (word, c->entrypoint) {
        if (path) {
            strv_add(&args, word);
        } else {
            path = word;
        }
    }
    strv_for_each (word, c->cmd) {
        if (path) {
            strv_add(&args, word);
        } else {
            path = word;
        }
    }
    if (!path) {
        return err_set(e, ERR_INVALID, "No command specified");
    }
    *ret_path = xstrdup(path);
    *ret_args = args;
    return 0;
}

/* ---- signals ------------------------------------------------------------------------------- */
/* Real-time signals as a container sees them: the C libraries keep 32 and 33 for themselves, and
 * Docker counts RTMIN from 34. */
#define SIGNAL_RTMIN 34
#define SIGNAL_RTMAX 64

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"BUS", SIGBUS},       {"CHLD", SIGCHLD},
    {"CLD", SIGCHLD},  {"CONT", SIGCONT}, {"FPE", SIGFPE},       {"HUP", SIGHUP},
    {"ILL", SIGILL},   {"INT", SIGINT},   {"IO", SIGIO},         {"IOT", SIGIOT},
    {"KILL", SIGKILL}, {"PIPE", SIGPIPE}, {"POLL", SIGPOLL},     {"PROF", SIGPROF},
    {"PWR", SIGPWR},   {"QUIT", SIGQUIT}, {"SEGV", SIGSEGV},     {"STKFLT", SIGSTKFLT},
    {"STOP", SIGSTOP}, {"SYS", SIGSYS},   {"TERM", SIGTERM},     {"TRAP", SIGTRAP},
    {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH},
    {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
};

static int realtime_signal(const char *name) {
    const char *offset;
    uint64_t n;
    int number;

    if (str_case_eq(name, "RTMIN")) {
        return SIGNAL_RTMIN;
    }
    if (str_case_eq(name, "RTMAX")) {
        return SIGNAL_RTMAX;
    }
    if (strncasecmp(name, "RTMIN+", 6) != 0 && strncasecmp(name, "RTMAX-", 6) != 0) {
        return -EINVAL;
    }
    offset = name + 6;
    if (str_to_u64(offset, &n) < 0 || n > SIGNAL_RTMAX - SIGNAL_RTMIN) {
        return -EINVAL;
    }
    number = name[5] == '+' ? SIGNAL_RTMIN + (int)n : SIGNAL_RTMAX - (int)n;
    return number;
}

int signal_parse(const char *s) {
    uint64_t n;

    if (str_to_u64(s, &n) == 0) {
        return n >= 1 && n <= SIGNAL_RTMAX ? (int)n : -EINVAL;
    }
    if (strncasecmp(s, "SIG", 3) == 0) {
        s += 3;
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (str_case_eq(s, signals[i].name)) {
            return signals[i].number;
        }
    }
    return realtime_signal(s);
}

bool signal_is_number(const char *s) {
    uint64_t n;

    return str_to_u64(s, &n) == 0 && n > 0;
}

/* ---- checks -------------------------------------------------------------------------------- */
static int check_health(const struct health_config *h, struct err *e) {
    const struct {
        const char *name;
        int64_t ns;
    } durations[] = {
        {"Interval", h->interval},
        {"Timeout", h->timeout},
        {"StartPeriod", h->start_period},
        {"StartInterval", h->start_interval},
    };

    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        if (durations[i].ns != 0 && durations[i].ns < NS_PER_MS) {
            return err_set(e, ERR_INVALID, "%s in Healthcheck cannot be less than 1ms",
                           durations[i].name);
        }
    }
    if (h->retries < 0) {
        return err_set(e, ERR_INVALID, "Retries in Healthcheck cannot be negative");
    }
    return 0;
}

/* sethostname() takes 64 bytes; the name goes into files of lines as well. */
static int check_name(const char *what, const char *name, struct err *e) {
    bool bad = strlen(str_or_empty(name)) > 64;

    for (const char *p = str_or_empty(name); *p; p++) {
        bad = bad || (unsigned char)*p < ' ' || *p == '/' || *p == 0x7f;
    }
    return bad ? err_set(e, ERR_INVALID, "invalid %s format: %s", what, name) : 0;
}

bool mac_is_valid(const char *mac) {
    size_t len = strlen(mac);

    if (len != 17) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (i % 3 == 2 ? mac[i] != ':' && mac[i] != '-'
                       : !strchr("0123456789abcdefABCDEF", mac[i])) {
            return false;
        }
    }
    return true;
}

int container_config_validate(struct container_config *c, struct err *e) {
    int r;

    if (!str_empty(c->working_dir)) {
        if (c->working_dir[0] != '/') {
            return err_set(e, ERR_INVALID,
                           "the working directory '%s' is invalid, it needs to be an absolute path",
                           c->working_dir);
        }
        auto_free char *clean = path_clean(c->working_dir);
        str_set(&c->working_dir, clean);
    }
    if (!str_empty(c->stop_signal) && signal_parse(c->stop_signal) < 0) {
        return err_set(e, ERR_INVALID, "Invalid signal: %s", c->stop_signal);
    }
    strv_for_each (variable, c->env) {
        if (!*variable || *variable == '=') {
            return err_set(e, ERR_INVALID, "invalid environment variable: %s", variable);
        }
    }
    if (c->healthcheck) {
        r = check_health(c->healthcheck, e);
        if (r < 0) {
            return r;
        }
    }
    if (!str_empty(c->mac_address) && !mac_is_valid(c->mac_address)) {
        return err_set(e, ERR_INVALID, "address %s: invalid MAC address", c->mac_address);
    }
    r = check_name("hostname", c->hostname, e);
    return r < 0 ? r : check_name("domainname", c->domainname, e);
}
