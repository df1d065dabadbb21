/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Shared by the files of the firewall: firewall.c (state, transactions), firewall_elements.c (what
 * an object means in sets), firewall_rules.c (the ruleset that looks into them), firewall_foreign.c
 * (tables of others). */
#include "base/map.h"
#include "network/cutter.h"
#include "network/firewall.h"
#include "network/nft_msg.h"

/* In the table of family inet. */
enum fw_set {
    FW_BRIDGES,  /* ours */
    FW_SAME,     /* a bridge, and itself: in and out by the same one */
    FW_CLOSED,   /* bridges without icc */
    FW_INTERNAL, /* nothing in or out */
    FW_ROUTED4,  /* reachable from outside by their addresses */
    FW_ROUTED6,
    FW_MASQ4, /* what comes from them leaves with the host's address */
    FW_MASQ6,
    FW_SNAT4, /* or with this one */
    FW_SNAT6,
    FW_NETS4, /* subnets: nobody else may send with an address of theirs */
    FW_NETS6,
    FW_PORTS4, /* published on any address of the host */
    FW_PORTS6,
    FW_PORTS4_AT, /* on one of them */
    FW_PORTS6_AT,
    FW_LINKS4,
    FW_LINKS6,
    FW_CUTS4,
    FW_CUTS6,
    /* In the table of family bridge. */
    FW_GUARDED, /* bridge ports with a guard */
    FW_GUARD_MAC,
    FW_GUARD_IP4,
    FW_GUARD_IP6,
    FW_CLOSED_PORTS, /* those of bridges without icc */
    FW_BLINKS4,
    FW_BLINKS6,
    FW_TARGETS4, /* what is published on bridges without icc */
    FW_TARGETS6,
    FW_BCUTS4,
    FW_BCUTS6,
    FW_LOSSY, /* bridge ports, and the numbers that lose */
    FW_LOSSES,
    FW_SET_MAX_,
};
#define FW_SET_BRIDGE FW_GUARDED /* the first of family bridge */
extern const struct nft_set fw_sets[FW_SET_MAX_];

struct fw_elem {
    enum fw_set set;
    bool add;
    struct nft_elem e;
};
struct fw_elems {
    struct fw_elem *v;
    size_t n;
};

enum fw_kind { FW_NETWORK, FW_PORT, FW_LINK, FW_GUARD, FW_CUT, FW_LOSS, FW_KIND_MAX_ };
/* A change that is not in the kernel yet. */
struct fw_op {
    enum fw_kind kind;
    char *key;
    void *before, *after; /* NULL: was not, will not be there */
};

struct firewall {
    char *table;
    struct nft_sock sock;
    int watch;
    struct cutter *cutter;
    struct map objects[FW_KIND_MAX_];
    struct fw_op *ops;
    size_t op_count;
    bool in_batch;
    bool written;      /* the table in the kernel is ours, of this life */
    bool no_bridge;    /* this kernel has no nf_tables of family bridge */
    bool br_netfilter; /* bridged packets pass the tables of family inet as well */
};

/* The elements of one object, at the end of `out`. */
void fw_elements(const struct firewall *f, enum fw_kind kind, const void *object, bool add,
                 struct fw_elems *out);
/* What this kernel lacks of what the ruleset needs, for a message; NULL: nothing. */
const char *fw_missing(struct firewall *f);
/* The tables without elements; what is for faults only where there are such. */
struct fw_faults {
    bool cuts, losses;
};
void fw_put_inet(struct nft_batch *b, struct fw_faults with);
void fw_put_bridge(struct nft_batch *b, struct fw_faults with);

/* Puts accepts where others drop, takes those away that are for no bridge of ours any more. */
void fw_foreign_apply(struct firewall *f);
void fw_foreign_withdraw(struct firewall *f);
