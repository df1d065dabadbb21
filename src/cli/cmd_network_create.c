/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/create.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag create_flags[] = {
    {.name = "attachable", .type = FLAG_BOOL, .usage = "Enable manual container attachment"},
    {.name = "aux-address", .type = FLAG_MAP, .type_name = "map", .usage = "Auxiliary IPv4 or IPv6 addresses used by Network driver", .shown = "map[]"},
    {.name = "config-from", .type = FLAG_STRING, .usage = "The network from which to copy the configuration"},
    {.name = "config-only", .type = FLAG_BOOL, .usage = "Create a configuration only network"},
    {.name = "driver", .shorthand = 'd', .type = FLAG_STRING, .usage = "Driver to manage the Network", .shown = "\"bridge\"", .initial = "bridge"},
    {.name = "gateway", .type = FLAG_STRINGS, .usage = "IPv4 or IPv6 Gateway for the master subnet"},
    {.name = "ingress", .type = FLAG_BOOL, .usage = "Create swarm routing-mesh network"},
    {.name = "internal", .type = FLAG_BOOL, .usage = "Restrict external access to the network"},
    {.name = "ip-range", .type = FLAG_STRINGS, .usage = "Allocate container ip from a sub-range"},
    {.name = "ipam-driver", .type = FLAG_STRING, .usage = "IP Address Management Driver", .shown = "\"default\"", .initial = "default"},
    {.name = "ipam-opt", .type = FLAG_MAP, .usage = "Set IPAM driver specific options", .shown = "map[]"},
    {.name = "ipv4", .type = FLAG_BOOL, .usage = "Enable or disable IPv4 address assignment", .shown = "true", .initial = "true"},
    {.name = "ipv6", .type = FLAG_BOOL, .usage = "Enable or disable IPv6 address assignment"},
    {.name = "label", .type = FLAG_LIST, .usage = "Set metadata on a network", .check = check_label},
    {.name = "opt", .shorthand = 'o', .type = FLAG_MAP, .usage = "Set driver specific options", .shown = "map[]"},
    {.name = "scope", .type = FLAG_STRING, .usage = "Control the network's scope"},
    {.name = "subnet", .type = FLAG_STRINGS, .usage = "Subnet in CIDR format that represents a network segment"},
    {.name = NULL},
};
/* clang-format on */

/* ---- subnets, ranges, gateways --------------------------------------------------------------- */

struct prefix {
    unsigned char bytes[16];
    int family;
    unsigned bits;
};

static bool parse_ip(const char *s, struct prefix *ret) {
    *ret = (struct prefix){.family = strchr(s, ':') ? AF_INET6 : AF_INET};
    ret->bits = ret->family == AF_INET ? 32 : 128;
    return inet_pton(ret->family, s, ret->bytes) == 1;
}

static int parse_cidr(const char *s, struct prefix *ret, struct err *e) {
    auto_free char *ip = xstrndup(s, strcspn(s, "/"));
    const char *slash = strchr(s, '/');
    struct prefix p;
    uint64_t bits;

    if (!slash || !parse_ip(ip, &p) || str_to_u64(slash + 1, &bits) < 0 || bits > p.bits)
        return err_set(e, ERR_INVALID, "invalid CIDR address: %s", s);
    p.bits = (unsigned)bits;
    *ret = p;
    return 0;
}

/* 1: `data`, an address or a CIDR, lies in the subnet; 0: it does not. */
static int subnet_matches(const char *subnet, const char *data, struct err *e) {
    struct prefix s, d;
    int r = parse_cidr(subnet, &s, e);

    if (r < 0) {
        err_wrap(e, "invalid subnet");
        return r;
    }
    if (strchr(data, '/')) {
        r = parse_cidr(data, &d, e);
        if (r < 0)
            return r;
    } else if (!parse_ip(data, &d)) {
        return 0;
    }
    if (s.family != d.family)
        return 0;
    for (unsigned i = 0; i < s.bits; i++)
        if ((s.bytes[i / 8] ^ d.bytes[i / 8]) & (0x80u >> i % 8))
            return 0;
    return 1;
}

struct ipam {
    const char *subnet, *range, *gateway;
    struct strmap aux;
};

static int add_subnets(char *const *subnets, struct ipam *all, struct err *e) {
    for (size_t i = 0; subnets && subnets[i]; i++) {
        for (size_t k = 0; k < i; k++) {
            int r = subnet_matches(subnets[i], subnets[k], e);

            if (r == 0)
                r = subnet_matches(subnets[k], subnets[i], e);
            if (r < 0)
                return r;
            if (r > 0)
                return err_set(e, ERR_INVALID,
                               "multiple overlapping subnet configuration is not supported");
        }
        all[i].subnet = subnets[i];
    }
    return 0;
}

/* Each value goes to the subnet that it lies in. */
static int add_ranges(char *const *ranges, struct ipam *all, size_t n, struct err *e) {
    strv_for_each (range, ranges) {
        struct prefix ignored;
        bool match = false;

        if (parse_cidr(range, &ignored, e) < 0)
            return -EINVAL;

        for (size_t i = 0; i < n; i++) {
            int r = subnet_matches(all[i].subnet, range, e);

            if (r < 0)
                return r;
            if (r == 0)
                continue;
            if (all[i].range)
                return err_set(e, ERR_INVALID,
                               "cannot configure multiple ranges (%s, %s) on the same subnet (%s)",
                               range, all[i].range, all[i].subnet);
            all[i].range = range;
            match = true;
        }
        if (!match)
            return err_set(e, ERR_INVALID, "no matching subnet for range %s", range);
    }
    return 0;
}

static int add_gateways(char *const *gateways, struct ipam *all, size_t n, struct err *e) {
    strv_for_each (gateway, gateways) {
        bool match = false;

        for (size_t i = 0; i < n; i++) {
            int r = subnet_matches(all[i].subnet, gateway, e);

            if (r < 0)
                return r;
            if (r == 0)
                continue;
            if (all[i].gateway)
                return err_set(
                    e, ERR_INVALID,
                    "cannot configure multiple gateways (%s, %s) for the same subnet (%s)", gateway,
                    all[i].gateway, all[i].subnet);
            all[i].gateway = gateway;
            match = true;
        }
        if (!match)
            return err_set(e, ERR_INVALID, "no matching subnet for gateway %s", gateway);
    }
    return 0;
}

static int add_aux(char *const *list, struct ipam *all, size_t n, struct err *e) {
    strv_for_each (item, list) {
        const char *eq = strchr(item, '='), *address = eq ? eq + 1 : "";
        auto_free char *name = xstrndup(item, strcspn(item, "="));
        bool match = false;

        for (size_t i = 0; i < n; i++) {
            int r = subnet_matches(all[i].subnet, address, e);

            if (r < 0)
                return r;
            if (r == 0)
                continue;
            strmap_put(&all[i].aux, name, address);
            match = true;
        }
        if (!match)
            return err_set(e, ERR_INVALID, "no matching subnet for aux-address %s", address);
    }
    return 0;
}

/* ---- the request ----------------------------------------------------------------------------- */

static void put_strmap(struct jw *w, const char *key, const struct strmap *m) {
    jw_key(w, key);
    jw_object(w);
    strmap_for_each(item, m) jw_kstr(w, item->key, item->value);
    jw_end_object(w);
}

static void put_pairs(struct jw *w, const char *key, char *const *list) {
    struct strmap m = {0};

    strv_for_each (item, list) {
        const char *eq = strchr(item, '=');
        auto_free char *name = xstrndup(item, strcspn(item, "="));

        strmap_put(&m, name, eq ? eq + 1 : "");
    }
    put_strmap(w, key, &m);
    strmap_done(&m);
}

static void put_ipam(struct jw *w, const struct flags *f, const struct ipam *all, size_t n) {
    jw_key(w, "IPAM");
    jw_object(w);
    jw_kstr(w, "Driver", flag_str(f, "ipam-driver"));
    put_pairs(w, "Options", flag_list(f, "ipam-opt"));
    jw_key(w, "Config");
    jw_array(w);
    for (size_t i = 0; i < n; i++) {
        jw_object(w);
        jw_kstr(w, "Subnet", all[i].subnet);
        if (all[i].range)
            jw_kstr(w, "IPRange", all[i].range);
        if (all[i].gateway)
            jw_kstr(w, "Gateway", all[i].gateway);
        if (all[i].aux.count)
            put_strmap(w, "AuxiliaryAddresses", &all[i].aux);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
}

static void put_body(struct jw *w, const struct flags *f, const char *name, const struct ipam *all,
                     size_t n) {
    jw_object(w);
    jw_kstr(w, "Driver", flag_str(f, "driver"));
    jw_kstr(w, "Scope", flag_str(f, "scope"));
    if (flag_changed(f, "ipv4"))
        jw_kbool(w, "EnableIPv4", flag_bool(f, "ipv4"));
    if (flag_changed(f, "ipv6"))
        jw_kbool(w, "EnableIPv6", flag_bool(f, "ipv6"));
    put_ipam(w, f, all, n);
    jw_kbool(w, "Internal", flag_bool(f, "internal"));
    jw_kbool(w, "Attachable", flag_bool(f, "attachable"));
    jw_kbool(w, "Ingress", flag_bool(f, "ingress"));
    jw_kbool(w, "ConfigOnly", flag_bool(f, "config-only"));
    if (*flag_str(f, "config-from")) {
        jw_key(w, "ConfigFrom");
        jw_object(w);
        jw_kstr(w, "Network", flag_str(f, "config-from"));
        jw_end_object(w);
    } else {
        jw_knull(w, "ConfigFrom");
    }
    put_pairs(w, "Options", flag_list(f, "opt"));
    put_pairs(w, "Labels", flag_list(f, "label"));
    jw_kstr(w, "Name", name);
    jw_kbool(w, "CheckDuplicate", true); /* before API 1.44 a name could be given twice */
    jw_end_object(w);
}

static int cmd_network_create(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    char *const *subnets = flag_list(f, "subnet");
    size_t n = strv_len(subnets);
    auto_free struct ipam *all = xcalloc(n + 1, sizeof *all);
    auto_buf body = BUF_INIT;
    auto_json *answer = NULL;
    struct jw w;
    int r = 0;

    if (n < strv_len(flag_list(f, "ip-range")) || n < strv_len(flag_list(f, "gateway")))
        return err_set(e, ERR_INVALID,
                       "every ip-range or gateway must have a corresponding subnet");
    r = add_subnets(subnets, all, e);
    if (r == 0)
        r = add_ranges(flag_list(f, "ip-range"), all, n, e);
    if (r == 0)
        r = add_gateways(flag_list(f, "gateway"), all, n, e);
    if (r == 0)
        r = add_aux(flag_list(f, "aux-address"), all, n, e);
    if (r == 0) {
        jw_init(&w, &body);
        put_body(&w, f, a->argv[0], all, n);
        r = client_post_json(&cli->client, "/networks/create", NULL, buf_str(&body), &answer, e);
    }
    if (r == 0)
        put_line("%s", str_or_empty(jsn_str(answer, "Id")));
    for (size_t i = 0; i < n; i++)
        strmap_done(&all[i].aux);
    return r;
}

const struct command command_network_create = {
    .use = "[OPTIONS] NETWORK",
    .summary = "Create a network",
    .flags = create_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_network_create,
};
