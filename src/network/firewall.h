/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's own nf_tables table (family inet, one per daemon), over netlink: what may reach
 * containers, and how. This module keeps what should be there in memory; a change is one atomic
 * batch with the elements it concerns, and the whole is written again when somebody has flushed it.
 *
 * Loop thread. A call returns when the kernel has answered (a few 100 us at most for a port; 10,000
 * ports in one batch about 80 ms). -errno; -EPROTONOSUPPORT or -EOPNOTSUPP: no nf_tables in this
 * kernel; then nothing is published or masqueraded and the caller warns once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <net/if.h>

#include "network/addr.h"

struct firewall;
/* Changes nothing yet. The first commit (a call without begin is one) writes the table anew, in the
 * place of what an earlier daemon left: until then that works on, so what is adopted belongs into
 * one batch with the networks. */
int firewall_open(const char *table, struct firewall **ret);
/* Leaves the table as it is, for the containers that run on. */
void firewall_close(struct firewall *f);
/* Takes the table away. */
void firewall_withdraw(struct firewall *f);

/* Changes between begin and commit go to the kernel as one batch; without begin each call is one.
 * On failure of the commit nothing has changed, neither there nor here; between begin and commit
 * calls fail for arguments only (-EINVAL). */
void firewall_begin(struct firewall *f);
int firewall_commit(struct firewall *f);

/* ---- networks -------------------------------------------------------------------------------- */
struct fw_network {
    char bridge[IFNAMSIZ]; /* its key */
    struct cidr subnets[8];
    size_t subnet_count;
    bool masquerade;   /* what leaves through other interfaces gets the host's address */
    struct ip snat[2]; /* com.docker.network.host_ipv4/6: instead of masquerading; family 0: none */
    bool icc;          /* containers reach each other; without, only links do */
    bool internal;     /* nothing in or out */
    /* gateway_mode_ipv4/6 "routed": reachable without a published port, no NAT. */
    bool routed4, routed6;
};
/* Replaces the one with that bridge. Containers of different networks do not reach each other but
 * through published ports; nothing that is not published is reachable from outside, by direct
 * routing neither. */
int firewall_network_put(struct firewall *f, const struct fw_network *n);
int firewall_network_del(struct firewall *f, const char *bridge);

/* ---- published ports ------------------------------------------------------------------------- */
struct fw_port {
    uint8_t proto;  /* IPPROTO_TCP, _UDP, _SCTP */
    struct ip host; /* 0.0.0.0, :: or an address of the host; never loopback (the relays' part) */
    uint16_t host_port;
    struct ip to; /* the container's address, of the same family */
    uint16_t to_port;
    char bridge[IFNAMSIZ];
};
/* An equal key (proto, host, host_port) replaces. Connections that exist when a port is taken away
 * (or given, for UDP) are cut: conntrack forgets them, some 20 ms later, by a thread. A put of a
 * port whose connections are just being cut waits for that. */
int firewall_ports_put(struct firewall *f, const struct fw_port *p, size_t n);
int firewall_ports_del(struct firewall *f, const struct fw_port *p, size_t n);

/* ---- links ----------------------------------------------------------------------------------- */
/* --icc=false: `from` may open connections to this port of `to`, both on that bridge. */
struct fw_link {
    char bridge[IFNAMSIZ];
    struct ip from, to;
    uint8_t proto;
    uint16_t port;
};
int firewall_links_put(struct firewall *f, const struct fw_link *l, size_t n);
int firewall_links_del(struct firewall *f, const struct fw_link *l, size_t n);

/* ---- spoofing -------------------------------------------------------------------------------- */
/* A bridge port may send with these addresses only (ARP, IPv4, IPv6 and MAC, and IPv6's link-local
 * ones), in a table of the bridge family with the same name. A port on a network without icc needs
 * its guard for that, too: the network is known by the addresses. May be put before there is an
 * interface of that name. Without nf_tables for bridges in the kernel it has no effect. */
struct fw_guard {
    char host_if[IFNAMSIZ];
    unsigned char mac[6];
    struct ip addresses[4];
    size_t count;
};
int firewall_guard_put(struct firewall *f, const struct fw_guard *g);
int firewall_guard_del(struct firewall *f, const char *host_if);

/* ---- faults on purpose ----------------------------------------------------------------------- */
/* Nothing passes between the two addresses, in either direction. These and losses are in the
 * ruleset only while there are any. -EOPNOTSUPP without nf_tables for bridges. */
struct fw_cut {
    struct ip a, b; /* of one family */
};
int firewall_cuts_put(struct firewall *f, const struct fw_cut *c, size_t n);
int firewall_cuts_del(struct firewall *f, const struct fw_cut *c, size_t n);

/* So many of a thousand frames to the container behind a bridge port get lost, at random, as netem
 * at that interface would have it. Needs CONFIG_NFT_NUMGEN: -ENOENT or -EOPNOTSUPP without. */
struct fw_loss {
    char host_if[IFNAMSIZ];
    unsigned permille; /* 1 to 1000 */
};
int firewall_loss_put(struct firewall *f, const struct fw_loss *l);
int firewall_loss_del(struct firewall *f, const char *host_if);

/* ---- others on this host --------------------------------------------------------------------- */
/* Notifications of the kernel: readable means call on_event(), which empties it and, when somebody
 * else has removed something of ours, writes all again and returns true. */
int firewall_fd(const struct firewall *f);
bool firewall_on_event(struct firewall *f);
/* Our accept cannot beat the drop of a foreign base chain on forward (Docker's FORWARD policy,
 * firewalld, ufw). Where one is found, a tagged accept for our bridges is put where its owner wants
 * such (DOCKER-USER, FORWARD of iptables' tables, firewalld's chains), again after each change
 * there. What cannot be helped is told: one sentence per chain that still drops, naming table and
 * chain; the caller's strv, or NULL. */
char **firewall_foreign_drops(struct firewall *f);
