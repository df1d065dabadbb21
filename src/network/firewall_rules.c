/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The ruleset. It is always the same: what there is to know about networks, ports, links and guards
 * is in sets and maps, so that its cost does not grow with them. As nft would write it:
 *
 *   table inet fence {
 *     chain prerouting { type nat hook prerouting priority dstnat
 *       meta nfproto ipv4 dnat ip to meta l4proto . ip daddr . th dport map @ports4_at
 *       ip daddr != 127.0.0.0/8 fib daddr type local dnat ip to meta l4proto . th dport map @ports4
 *       (the same for IPv6) }
 *     chain output { type nat hook output priority dstnat; (the same) }
 *     chain postrouting { type nat hook postrouting priority srcnat
 *       oifname @bridges goto inwards
 *       snat ip to iifname map @snat4
 *       meta nfproto ipv4 iifname @masq4 masquerade }
 *     chain inwards {
 *       ct status dnat iifname . oifname @same masquerade       # or the answer goes past us
 *       ct status dnat iifname "" fib saddr type != local masquerade }  # the same, bridged
 *     chain forward { type filter hook forward priority filter
 *       oifname @bridges goto to_ours
 *       iifname @internal drop }
 *     chain to_ours {
 *       iifname @bridges goto between
 *       ip saddr @nets4 drop
 *       ct state established,related accept
 *       oifname @internal drop
 *       ct status dnat accept
 *       meta nfproto ipv4 oifname @routed4 accept
 *       drop }                                                  # direct routing, too
 *     chain between {
 *       ct state established,related accept
 *       iifname . oifname @same goto inside
 *       iifname @internal drop
 *       oifname @internal drop
 *       ct status dnat accept
 *       drop }
 *     chain inside {                                    # one bridge, by way of br_netfilter
 *       iifname != @closed accept
 *       ct status dnat accept
 *       ip saddr . ip daddr . meta l4proto . th dport @links4 accept
 *       icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
 *       drop }
 *   }
 *   table bridge fence {
 *     chain prerouting { type filter hook prerouting priority filter
 *       iifname @guarded goto guard }
 *     chain forward { type filter hook forward priority filter
 *       iifname @closed_ports goto closed }
 *     ...
 *   }
 *
 * Faults on purpose (cuts, losses) have rules only while there are any.
 *
 * What is needed: nat in family inet (5.2), iifname in postrouting (5.7). The bridge table does
 * without `meta ibrname` and without connection tracking, which are options of the kernel that not
 * everybody turns on: answers within a bridge are known by the mirrored element of a link, and for
 * TCP by not being the first segment.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include "network/firewall_internal.h"

/* linux/netfilter_bridge.h does not go together with net/if.h. */
#define NF_BR_PRE_ROUTING        0
#define NF_BR_FORWARD            2
#define NF_BR_POST_ROUTING       4
#define NF_BR_PRI_FILTER_BRIDGED (-200)
#define NF_BR_PRI_FILTER_OTHER   200

#define IF_WORDS  4 /* registers of an interface's name */
#define TCP_FLAGS 13
#define SYN       0x02
#define ACK       0x10

/* Where addresses lie in a header, and how long they are. */
struct layout {
    int family;
    uint32_t saddr, daddr, len;
    unsigned words;
};
static const struct layout V4 = {AF_INET, 12, 16, 4, 1}, V6 = {AF_INET6, 8, 24, 16, 4};

static void load_ip(struct nft_rule r, const struct layout *l, bool source, unsigned reg) {
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, source ? l->saddr : l->daddr, l->len, reg);
}

static void load_port(struct nft_rule r, bool source, unsigned reg) {
    nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, source ? 0 : 2, 2, reg);
}

static void simple(struct nft_batch *b, const char *chain, int32_t code, const char *to) {
    struct nft_rule r = nft_rule_begin(b, chain);

    nft_verdict(r, code, to);
    nft_rule_end(r);
}

/* iifname or oifname @set VERDICT */
static void by_if(struct nft_batch *b, const char *chain, bool out, enum fw_set set, bool invert,
                  int32_t code, const char *to) {
    struct nft_rule r = nft_rule_begin(b, chain);

    nft_match_if(r, out, fw_sets[set].name, invert);
    nft_verdict(r, code, to);
    nft_rule_end(r);
}

static void by_ct(struct nft_batch *b, const char *chain, uint32_t key, uint32_t bits) {
    struct nft_rule r = nft_rule_begin(b, chain);

    nft_match_ct_bits(r, key, bits);
    nft_verdict(r, NF_ACCEPT, NULL);
    nft_rule_end(r);
}

static void established(struct nft_batch *b, const char *chain) {
    by_ct(b, chain, NFT_CT_STATE,
          NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
}

static void match_same(struct nft_rule r) {
    nft_meta(r, NFT_META_IIFNAME, 0);
    nft_meta(r, NFT_META_OIFNAME, IF_WORDS);
    nft_lookup(r, fw_sets[FW_SAME].name, 0, false);
}

/* ---- translation ----------------------------------------------------------------------------- */
static void match_fib(struct nft_rule r, bool of_source, bool local) {
    const uint32_t type = RTN_LOCAL;

    nft_fib_type(r, of_source, 7);
    nft_cmp(r, local, 7, &type, sizeof type);
}

/* Connections to 127.0.0.0/8 and ::1 are left to the relays: answers to a translated one could not
 * come back. */
static void match_no_loopback(struct nft_rule r, const struct layout *l) {
    const unsigned char mask[16] = {255}, net[16] = {127};
    struct in6_addr one = IN6ADDR_LOOPBACK_INIT;

    load_ip(r, l, false, 0);
    if (l->family == AF_INET) {
        nft_mask(r, 0, mask, 4);
        nft_cmp(r, false, 0, net, 4);
    } else {
        nft_cmp(r, false, 0, &one, sizeof one);
    }
}

static void published(struct nft_batch *b, const char *chain, const struct layout *l,
                      enum fw_set at, enum fw_set any) {
    uint32_t family = l->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
    struct nft_rule r = nft_rule_begin(b, chain);

    nft_match_family(r, l->family);
    nft_meta(r, NFT_META_L4PROTO, 0);
    load_ip(r, l, false, 1);
    load_port(r, false, 1 + l->words);
    nft_lookup_map(r, fw_sets[at].name, 0, 8);
    nft_nat(r, true, family, 8, (int)(8 + l->words));
    nft_rule_end(r);

    r = nft_rule_begin(b, chain);
    nft_match_family(r, l->family);
    nft_meta(r, NFT_META_L4PROTO, 0);
    load_port(r, false, 1);
    nft_lookup_map(r, fw_sets[any].name, 0, 8);
    match_no_loopback(r, l);
    match_fib(r, false, true); /* last: most packets are for no published port */
    nft_nat(r, true, family, 8, (int)(8 + l->words));
    nft_rule_end(r);
}

static void put_nat(struct nft_batch *b) {
    static const struct {
        const char *name;
        struct nft_hook hook;
    } IN[] = {{"prerouting", {"nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST}},
              {"output", {"nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST}}};
    static const struct nft_hook POST = {"nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC};
    static const char none[IFNAMSIZ];
    struct nft_rule r;

    for (size_t i = 0; i < sizeof IN / sizeof *IN; i++) {
        nft_chain(b, IN[i].name, &IN[i].hook);
        published(b, IN[i].name, &V4, FW_PORTS4_AT, FW_PORTS4);
        published(b, IN[i].name, &V6, FW_PORTS6_AT, FW_PORTS6);
    }
    nft_chain(b, "inwards", NULL);
    /* A container that reached one of its own bridge by a published port: the answer would go
     * straight to it, past the translation. All others keep the client's address. */
    r = nft_rule_begin(b, "inwards");
    nft_match_ct_bits(r, NFT_CT_STATUS, IPS_DST_NAT);
    match_same(r);
    nft_masquerade(r);
    nft_rule_end(r);
    /* The same with br_netfilter, which tells no incoming interface here. The host's own
     * connections have none either, but an address of the host. */
    r = nft_rule_begin(b, "inwards");
    nft_match_ct_bits(r, NFT_CT_STATUS, IPS_DST_NAT);
    nft_meta(r, NFT_META_IIFNAME, 0);
    nft_cmp(r, true, 0, none, sizeof none);
    match_fib(r, true, false);
    nft_masquerade(r);
    nft_rule_end(r);

    nft_chain(b, "postrouting", &POST);
    by_if(b, "postrouting", true, FW_BRIDGES, false, NFT_GOTO, "inwards");
    for (int i = 0; i < 2; i++) {
        r = nft_rule_begin(b, "postrouting");
        nft_match_family(r, i == 0 ? AF_INET : AF_INET6);
        nft_meta(r, NFT_META_IIFNAME, 0);
        nft_lookup_map(r, fw_sets[i == 0 ? FW_SNAT4 : FW_SNAT6].name, 0, 8);
        nft_nat(r, false, i == 0 ? NFPROTO_IPV4 : NFPROTO_IPV6, 8, -1);
        nft_rule_end(r);
        r = nft_rule_begin(b, "postrouting");
        nft_match_family(r, i == 0 ? AF_INET : AF_INET6);
        nft_match_if(r, false, fw_sets[i == 0 ? FW_MASQ4 : FW_MASQ6].name, false);
        nft_masquerade(r);
        nft_rule_end(r);
    }
}

/* ---- filtering ------------------------------------------------------------------------------- */
/* saddr . daddr . proto . dport, or mirrored: of an answer. */
static void match_link(struct nft_rule r, const struct layout *l, const char *set, bool mirrored) {
    load_ip(r, l, !mirrored, 0);
    load_ip(r, l, mirrored, l->words);
    nft_meta(r, NFT_META_L4PROTO, 2 * l->words);
    load_port(r, mirrored, 2 * l->words + 1);
    nft_lookup(r, set, 0, false);
}

static void accept_neighbours(struct nft_batch *b, const char *chain) {
    static const uint8_t TYPES[] = {ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT};

    for (size_t i = 0; i < sizeof TYPES; i++) {
        struct nft_rule r = nft_rule_begin(b, chain);

        nft_match_proto(r, true, IPPROTO_ICMPV6);
        nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0);
        nft_cmp(r, true, 0, &TYPES[i], 1);
        nft_verdict(r, NF_ACCEPT, NULL);
        nft_rule_end(r);
    }
}

static void put_inside(struct nft_batch *b) {
    static const struct {
        const struct layout *l;
        enum fw_set links;
    } FAMILY[] = {{&V4, FW_LINKS4}, {&V6, FW_LINKS6}};

    nft_chain(b, "inside", NULL);
    by_if(b, "inside", false, FW_CLOSED, true, NF_ACCEPT, NULL);
    by_ct(b, "inside", NFT_CT_STATUS, IPS_DST_NAT);
    for (size_t i = 0; i < sizeof FAMILY / sizeof *FAMILY; i++) {
        struct nft_rule r = nft_rule_begin(b, "inside");

        nft_match_family(r, FAMILY[i].l->family);
        match_link(r, FAMILY[i].l, fw_sets[FAMILY[i].links].name, false);
        nft_verdict(r, NF_ACCEPT, NULL);
        nft_rule_end(r);
    }
    accept_neighbours(b, "inside");
    simple(b, "inside", NF_DROP, NULL);
}

static void put_between(struct nft_batch *b) {
    struct nft_rule r;

    nft_chain(b, "between", NULL);
    established(b, "between");
    r = nft_rule_begin(b, "between");
    match_same(r);
    nft_verdict(r, NFT_GOTO, "inside");
    nft_rule_end(r);
    by_if(b, "between", false, FW_INTERNAL, false, NF_DROP, NULL);
    by_if(b, "between", true, FW_INTERNAL, false, NF_DROP, NULL);
    by_ct(b, "between", NFT_CT_STATUS, IPS_DST_NAT);
    simple(b, "between", NF_DROP, NULL);
}

static void put_to_ours(struct nft_batch *b) {
    struct nft_rule r;

    nft_chain(b, "to_ours", NULL);
    by_if(b, "to_ours", false, FW_BRIDGES, false, NFT_GOTO, "between");
    /* Somebody outside who uses a container's address could otherwise send into a connection of
     * two networks of ours. */
    for (int i = 0; i < 2; i++) {
        r = nft_rule_begin(b, "to_ours");
        nft_match_family(r, i == 0 ? AF_INET : AF_INET6);
        load_ip(r, i == 0 ? &V4 : &V6, true, 0);
        nft_lookup(r, fw_sets[i == 0 ? FW_NETS4 : FW_NETS6].name, 0, false);
        nft_verdict(r, NF_DROP, NULL);
        nft_rule_end(r);
    }
    established(b, "to_ours");
    by_if(b, "to_ours", true, FW_INTERNAL, false, NF_DROP, NULL);
    by_ct(b, "to_ours", NFT_CT_STATUS, IPS_DST_NAT);
    for (int i = 0; i < 2; i++) {
        r = nft_rule_begin(b, "to_ours");
        nft_match_family(r, i == 0 ? AF_INET : AF_INET6);
        nft_match_if(r, true, fw_sets[i == 0 ? FW_ROUTED4 : FW_ROUTED6].name, false);
        nft_verdict(r, NF_ACCEPT, NULL);
        nft_rule_end(r);
    }
    simple(b, "to_ours", NF_DROP, NULL);
}

static void put_cuts(struct nft_batch *b, const char *chain, enum fw_set v4, enum fw_set v6) {
    static const uint16_t TYPES[] = {ETH_P_IP, ETH_P_IPV6};

    for (int i = 0; i < 2; i++) {
        const struct layout *l = i == 0 ? &V4 : &V6;
        const uint16_t type = htons(TYPES[i]);
        struct nft_rule r = nft_rule_begin(b, chain);

        nft_meta(r, NFT_META_PROTOCOL, 0);
        nft_cmp(r, true, 0, &type, sizeof type);
        load_ip(r, l, true, 0);
        load_ip(r, l, false, l->words);
        nft_lookup(r, fw_sets[i == 0 ? v4 : v6].name, 0, false);
        nft_verdict(r, NF_DROP, NULL);
        nft_rule_end(r);
    }
}

void fw_put_inet(struct nft_batch *b, struct fw_faults with) {
    static const struct nft_hook FORWARD = {"filter", NF_INET_FORWARD, NF_IP_PRI_FILTER};

    nft_table_renew(b);
    for (int i = 0; i < FW_SET_BRIDGE; i++)
        nft_set_add(b, &fw_sets[i]);
    put_nat(b);
    put_inside(b);
    put_between(b);
    put_to_ours(b);
    nft_chain(b, "forward", &FORWARD);
    if (with.cuts)
        put_cuts(b, "forward", FW_CUTS4, FW_CUTS6);
    by_if(b, "forward", true, FW_BRIDGES, false, NFT_GOTO, "to_ours");
    by_if(b, "forward", false, FW_INTERNAL, false, NF_DROP, NULL);
}

/* ---- family bridge: spoofing ----------------------------------------------------------------- */
static void by_type(struct nft_batch *b, const char *chain, uint16_t type, int32_t code,
                    const char *to) {
    const uint16_t wire = htons(type);
    struct nft_rule r = nft_rule_begin(b, chain);

    /* From the frame and not from the packet's meta data: a tag of a virtual LAN, which the
     * receiver may take off, is a type of its own here. */
    nft_payload(r, NFT_PAYLOAD_LL_HEADER, 12, 2, 0);
    nft_cmp(r, true, 0, &wire, sizeof wire);
    nft_verdict(r, code, to);
    nft_rule_end(r);
}

/* Interface and something of the packet are in the set (or not). */
static void guarded(struct nft_batch *b, const char *chain, uint32_t base, uint32_t offset,
                    uint32_t len, enum fw_set set, bool invert, int32_t code, const char *to) {
    struct nft_rule r = nft_rule_begin(b, chain);

    nft_meta(r, NFT_META_IIFNAME, 0);
    nft_payload(r, base, offset, len, IF_WORDS);
    nft_lookup(r, fw_sets[set].name, 0, invert);
    nft_verdict(r, code, to);
    nft_rule_end(r);
}

static void by_icmp6(struct nft_batch *b, const char *chain, uint8_t type, int32_t code) {
    struct nft_rule r = nft_rule_begin(b, chain);

    nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0);
    nft_cmp(r, true, 0, &type, 1);
    nft_verdict(r, code, NULL);
    nft_rule_end(r);
}

/* fe80::/10 at an offset of the network or transport header. */
static void by_link_local(struct nft_batch *b, const char *chain, uint32_t base, uint32_t offset,
                          int32_t code, const char *to) {
    static const unsigned char mask[2] = {0xff, 0xc0}, net[2] = {0xfe, 0x80};
    struct nft_rule r = nft_rule_begin(b, chain);

    nft_payload(r, base, offset, sizeof net, 0);
    nft_mask(r, 0, mask, sizeof mask);
    nft_cmp(r, true, 0, net, sizeof net);
    nft_verdict(r, code, to);
    nft_rule_end(r);
}

static void put_guard6(struct nft_batch *b) {
    static const unsigned char zero[16];
    struct nft_rule r;

    nft_chain(b, "guard_nd", NULL);
    r = nft_rule_begin(b, "guard_nd");
    nft_match_proto(r, false, IPPROTO_ICMPV6);
    nft_verdict(r, NF_ACCEPT, NULL);
    nft_rule_end(r);
    by_icmp6(b, "guard_nd", ND_ROUTER_ADVERT, NF_DROP); /* containers are nobody's routers */
    by_icmp6(b, "guard_nd", ND_REDIRECT, NF_DROP);
    r = nft_rule_begin(b, "guard_nd");
    nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0);
    nft_cmp(r, false, 0, &(uint8_t){ND_NEIGHBOR_ADVERT}, 1);
    nft_verdict(r, NF_ACCEPT, NULL);
    nft_rule_end(r);
    /* An advertisement may speak of the port's own addresses only. */
    guarded(b, "guard_nd", NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, FW_GUARD_IP6, false, NF_ACCEPT,
            NULL);
    by_link_local(b, "guard_nd", NFT_PAYLOAD_TRANSPORT_HEADER, 8, NF_ACCEPT, NULL);
    simple(b, "guard_nd", NF_DROP, NULL);

    nft_chain(b, "guard_ip6", NULL);
    guarded(b, "guard_ip6", NFT_PAYLOAD_NETWORK_HEADER, V6.saddr, 16, FW_GUARD_IP6, false, NFT_GOTO,
            "guard_nd");
    by_link_local(b, "guard_ip6", NFT_PAYLOAD_NETWORK_HEADER, V6.saddr, NFT_GOTO, "guard_nd");
    /* Without an address: it looks whether its own is free, or joins groups. */
    r = nft_rule_begin(b, "guard_ip6");
    nft_match_proto(r, true, IPPROTO_ICMPV6);
    load_ip(r, &V6, true, 0);
    nft_cmp(r, true, 0, zero, sizeof zero);
    nft_verdict(r, NFT_GOTO, "guard_nd");
    nft_rule_end(r);
    simple(b, "guard_ip6", NF_DROP, NULL);
}

static void put_guard(struct nft_batch *b) {
    static const struct nft_hook PRE = {"filter", NF_BR_PRE_ROUTING, NF_BR_PRI_FILTER_BRIDGED};
    static const unsigned char zero[4];
    struct nft_rule r;

    nft_chain(b, "guard_ip4", NULL);
    guarded(b, "guard_ip4", NFT_PAYLOAD_NETWORK_HEADER, V4.saddr, 4, FW_GUARD_IP4, false, NF_ACCEPT,
            NULL);
    simple(b, "guard_ip4", NF_DROP, NULL);
    put_guard6(b);
    /* ARP for IPv4 over Ethernet: the sender's MAC address is at 8, its IP address at 14. */
    nft_chain(b, "guard_arp", NULL);
    guarded(b, "guard_arp", NFT_PAYLOAD_NETWORK_HEADER, 8, 6, FW_GUARD_MAC, true, NF_DROP, NULL);
    guarded(b, "guard_arp", NFT_PAYLOAD_NETWORK_HEADER, 14, 4, FW_GUARD_IP4, false, NF_ACCEPT,
            NULL);
    r = nft_rule_begin(b, "guard_arp"); /* looks whether its address is free (RFC 5227) */
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 14, 4, 0);
    nft_cmp(r, true, 0, zero, sizeof zero);
    nft_verdict(r, NF_ACCEPT, NULL);
    nft_rule_end(r);
    simple(b, "guard_arp", NF_DROP, NULL);

    nft_chain(b, "guard", NULL);
    guarded(b, "guard", NFT_PAYLOAD_LL_HEADER, 6, 6, FW_GUARD_MAC, true, NF_DROP, NULL);
    by_type(b, "guard", ETH_P_IP, NFT_GOTO, "guard_ip4");
    by_type(b, "guard", ETH_P_IPV6, NFT_GOTO, "guard_ip6");
    by_type(b, "guard", ETH_P_ARP, NFT_GOTO, "guard_arp");
    simple(b, "guard", NF_DROP, NULL);
    nft_chain(b, "prerouting", &PRE);
    by_if(b, "prerouting", false, FW_GUARDED, false, NFT_GOTO, "guard");
}

/* ---- family bridge: icc ---------------------------------------------------------------------- */
static void put_closed_ip(struct nft_batch *b, const char *chain, const struct layout *l,
                          enum fw_set links, enum fw_set targets) {
    struct nft_rule r;

    nft_chain(b, chain, NULL);
    for (int mirrored = 0; mirrored < 2; mirrored++) {
        r = nft_rule_begin(b, chain);
        match_link(r, l, fw_sets[links].name, mirrored);
        nft_verdict(r, mirrored ? NFT_GOTO : NF_ACCEPT, mirrored ? "answer" : NULL);
        nft_rule_end(r);
        /* With br_netfilter, translated packets for the same bridge are bridged. */
        r = nft_rule_begin(b, chain);
        nft_meta(r, NFT_META_L4PROTO, 0);
        load_ip(r, l, mirrored, 1);
        load_port(r, mirrored, 1 + l->words);
        nft_lookup(r, fw_sets[targets].name, 0, false);
        nft_verdict(r, mirrored ? NFT_GOTO : NF_ACCEPT, mirrored ? "answer" : NULL);
        nft_rule_end(r);
    }
    if (l->family == AF_INET6)
        accept_neighbours(b, chain);
    simple(b, chain, NF_DROP, NULL);
}

static void put_closed(struct nft_batch *b, bool with_cuts) {
    static const struct nft_hook FORWARD = {"filter", NF_BR_FORWARD, NF_BR_PRI_FILTER_BRIDGED};
    static const uint8_t both = SYN | ACK, syn = SYN;
    struct nft_rule r;

    nft_chain(b, "answer", NULL);
    r = nft_rule_begin(b, "answer"); /* the first segment of a connection is no answer */
    nft_match_proto(r, true, IPPROTO_TCP);
    nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS, 1, 0);
    nft_mask(r, 0, &both, 1);
    nft_cmp(r, true, 0, &syn, 1);
    nft_verdict(r, NF_DROP, NULL);
    nft_rule_end(r);
    simple(b, "answer", NF_ACCEPT, NULL);
    put_closed_ip(b, "closed_ip4", &V4, FW_BLINKS4, FW_TARGETS4);
    put_closed_ip(b, "closed_ip6", &V6, FW_BLINKS6, FW_TARGETS6);
    nft_chain(b, "closed", NULL);
    by_type(b, "closed", ETH_P_IP, NFT_GOTO, "closed_ip4");
    by_type(b, "closed", ETH_P_IPV6, NFT_GOTO, "closed_ip6");
    by_type(b, "closed", ETH_P_ARP, NF_ACCEPT, NULL);
    simple(b, "closed", NF_DROP, NULL);
    nft_chain(b, "forward", &FORWARD);
    if (with_cuts)
        put_cuts(b, "forward", FW_BCUTS4, FW_BCUTS6);
    by_if(b, "forward", false, FW_CLOSED_PORTS, false, NFT_GOTO, "closed");
}

/* ---- family bridge: losses ------------------------------------------------------------------- */
static void put_losses(struct nft_batch *b) {
    static const struct nft_hook POST = {"filter", NF_BR_POST_ROUTING, NF_BR_PRI_FILTER_OTHER};
    struct nft_rule r;

    nft_chain(b, "postrouting", &POST);
    by_if(b, "postrouting", true, FW_LOSSY, true, NF_ACCEPT, NULL);
    r = nft_rule_begin(b, "postrouting");
    nft_meta(r, NFT_META_OIFNAME, 0);
    nft_random(r, 1000, IF_WORDS);
    nft_lookup(r, fw_sets[FW_LOSSES].name, 0, false);
    nft_verdict(r, NF_DROP, NULL);
    nft_rule_end(r);
}

void fw_put_bridge(struct nft_batch *b, struct fw_faults with) {
    nft_table_renew(b);
    for (int i = FW_SET_BRIDGE; i < FW_SET_MAX_; i++)
        nft_set_add(b, &fw_sets[i]);
    put_guard(b);
    put_closed(b, with.cuts);
    if (with.losses)
        put_losses(b);
}
