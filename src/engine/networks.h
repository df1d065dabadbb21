/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Networks as users know them: what POST /networks/create makes, and the three that every engine
 * has. Loop thread.
 *
 *   networks.c         the table of them: load, find, bring up, remove, events
 *   networks_create.c  a new one: Docker's checks, subnets, defaults
 *   endpoints.c        containers on networks (endpoints.h)
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "engine/filters.h"
#include "format/field.h"
#include "network/addr.h"
#include "network/ipam.h"

struct engine;

/* From dockerd's flags. Strings are owned by whoever fills this in. */
struct network_options {
    char *bridge;     /* "fence0"; "none" disables the default bridge */
    char *bip;        /* "172.17.0.1/16"; NULL: the first free pool */
    char *fixed_cidr; /* NULL: the whole subnet */
    char *gateway;    /* NULL: the bridge's own address */
    char *fixed_cidr6, *gateway6;
    char *table;          /* nf_tables table, "fence" unless several daemons share a host */
    char *host_binding;   /* --ip: where ports are published unless they say so; NULL: everywhere */
    char **address_pools; /* --default-address-pool */
    int64_t mtu;          /* 0: 1500 */
    bool ip_masq, icc, ip_forward, ipv6;
    bool firewall; /* --iptables: write rules */
};
/* Whether networks_open() can make sense of them. ERR_INVALID. */
int network_options_check(const struct network_options *o, struct err *e);

/* One entry of IPAM.Config. */
struct network_ipam {
    char *subnet, *ip_range, *gateway;
    struct strmap aux;
};
extern const struct field_table network_ipam_table;

/* What the database holds. */
struct network_record {
    char *id, *name, *driver; /* "bridge", "macvlan", "ipvlan", "host", "null" */
    int64_t created_ns;
    bool ipv6, internal, attachable, ingress, config_only;
    bool made_parent; /* the VLAN interface is ours, and goes with the network */
    bool own_subnets; /* named by the user: then addresses of containers may be named, too */
    char *config_from, *ipam_driver;
    struct strmap ipam_options;
    struct field_array ipam; /* struct network_ipam, complete: with the subnet and gateway chosen */
    struct strmap options, labels;
};
extern const struct field_table network_record_table;

/* The options of drivers, read. */
struct network_settings {
    char bridge[16]; /* the Linux bridge; IFNAMSIZ */
    bool icc, masquerade, routed4, routed6, inhibit_ipv4;
    struct ip host_binding; /* where ports are published unless they say so; family 0: everywhere */
    struct ip snat[2];
    int64_t mtu;
    char *if_prefix; /* "eth" */
    char *parent;    /* macvlan, ipvlan: "" makes a dummy of our own */
    char *mode;      /* ... "bridge", "l2", ... */
};

#define NETWORK_SUBNETS_MAX 8
struct network {
    struct engine *engine;
    struct network_record rec;
    struct network_settings set;
    struct ipam_subnet *subnets[NETWORK_SUBNETS_MAX];
    size_t subnet_count;
    size_t endpoints; /* containers on it, running or not, that hold an address */
    bool predefined;
};

/* Makes the predefined ones, loads the others, brings up bridges. */
int networks_open(struct engine *eng, struct err *e);
/* The containers that run have taken what they have: all the rules in one go, which replace those
 * of the last daemon without a moment in between. */
void networks_adopted(struct engine *eng);
/* withdraw: nothing runs any more, so the rules go. Bridges stay, as Docker's. */
void networks_close(struct engine *eng, bool withdraw);

/* By id, name, or unique id prefix. ERR_NOT_FOUND "network X not found". */
struct network *network_find(struct engine *eng, const char *ref, struct err *e);
struct network *network_default(struct engine *eng); /* "bridge", NULL with --bridge=none */
bool network_is_user(const struct network *n);       /* with names and aliases */
bool network_has_bridge(const struct network *n);
/* The subnet of a family, NULL without. */
struct ipam_subnet *network_subnet(const struct network *n, int family);
/* "NAME (SHORT-ID)", as texts have it. */
char *network_label(const struct network *n) __attribute__((returns_nonnull));

/* *want is emptied. Errors as dockerd's. The record is written before the bridge is made: a daemon
 * that dies between leaves none that nobody knows. warning: "" or a sentence. */
typedef void network_created(void *arg, struct network *n, const char *warning, struct err *e);
void network_create(struct engine *eng, struct network_record *want, network_created *done,
                    void *arg);
int network_remove(struct engine *eng, const char *ref, struct err *e);
/* Removes what no container is on; *ret_names are the names of what went. */
void networks_prune(struct engine *eng, const struct filters *f, int64_t until_ns,
                    char ***ret_names);

/* Bridge, VLAN or dummy parent, rules: what is missing is made. The second looks first whether
 * somebody has taken the interface away, which is one system call. */
int network_bring_up(struct network *n, struct err *e);
int network_bring_up_if_missing(struct network *n, struct err *e);
void network_event(const struct network *n, const char *action, const char *container_id);
/* The bridges' rules again, because somebody took them away; for the firewall's descriptor. */
void networks_watch(struct engine *eng);

/* ---- between networks.c, networks_create.c and network_settings.c ------------------------------
 */
/* Reads rec.options; ERR_INVALID and others in dockerd's words. */
int network_settings_parse(const struct network_record *r, struct network_settings *ret,
                           struct err *e);
void network_settings_done(struct network_settings *s);
/* Makes the subnets from rec.ipam, and writes the gateways that were chosen back into it. */
int network_open_subnets(struct network *n, struct err *e);
/* Of the default bridge, from --bip and the like. */
int network_default_subnets(const struct network_options *o, const struct ipam_pools *pools,
                            struct field_array *ret, struct err *e);
/* The parent interface of macvlan and ipvlan: a VLAN or dummy that is not there is made, and one
 * that was made goes with its network. */
int network_parent_up(struct network *n, struct err *e);
void network_parent_down(struct network *n);
void network_free(struct network *n);
void network_register(struct network *n);
