/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table inside a container's network namespace that leads the resolver's port 53 to the port
 * where it really is, so that 53 stays free for servers of the container's own:
 *
 *     table ip fence_dns {
 *         chain queries { type filter hook output priority 310
 *             ip daddr 127.0.0.11 udp dport 53 udp dport set <udp>       # and tcp
 *         chain answers { type filter hook output priority -310
 *             ip saddr 127.0.0.11 udp sport <udp> udp sport set 53
 *     }
 *
 * Both on output, because all of it is loopback traffic and the address stays: no NAT, which would
 * track every connection of the container. One before and one behind connection tracking, so that
 * this, if the container has turned it on, sees port 53 in both directions.
 *
 * The table is owned by the socket that made it (Linux 5.12): a `nft flush ruleset` inside leaves
 * it alone, and it goes when the socket is closed.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "netd/sandbox.h"
#include "sys/netlink.h"
#include "wire/dns.h"

/* linux/netfilter/nf_tables.h of Linux 5.12, 6.9 and 6.3 */
#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif
#define TABLE_PERSIST    0x4
#define MSG_DESTROYTABLE 26

#define TABLE           "fence_dns"
#define RESOLVER        0x7f00000bu
#define PRIORITY_BEFORE (-310) /* connection tracking is at -200, "raw" at -300 */
#define PRIORITY_BEHIND 310
#define IP_SADDR        12
#define IP_DADDR        16
#define PORT_SOURCE     0
#define PORT_TARGET     2
#define UDP_CHECKSUM    6
#define TCP_CHECKSUM    16
#define BATCH_MAX       12

struct batch {
    struct nl_msg messages[BATCH_MAX];
    size_t count;
};

/* Acknowledged is only the last: it comes when all have been carried out. */
static struct nl_msg *begin(struct batch *b, uint16_t type, uint16_t flags, uint8_t family,
                            uint16_t resource) {
    struct nl_msg *m = &b->messages[b->count++];
    struct nfgenmsg g = {
        .nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    nl_init(m, type, flags);
    m->hdr.nlmsg_flags &= (uint16_t)~NLM_F_ACK;
    m->hdr.nlmsg_seq = (uint32_t)b->count;
    nl_put_raw(m, &g, sizeof(g));
    return m;
}

static struct nl_msg *begin_nft(struct batch *b, uint16_t type, uint16_t flags) {
    return begin(b, NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_IPV4, 0);
}

static void put_be32(struct nl_msg *m, uint16_t type, uint32_t v) {
    nl_put_u32(m, type, htonl(v));
}

static struct nl_msg *put_table(struct batch *b, uint16_t type, uint16_t flags) {
    struct nl_msg *m = begin_nft(b, type, flags);
    nl_put_str(m, NFTA_TABLE_NAME, TABLE);
    return m;
}

static void put_chain(struct batch *b, const char *name, int32_t priority) {
    struct nl_msg *m = begin_nft(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    nl_put_str(m, NFTA_CHAIN_TABLE, TABLE);
    nl_put_str(m, NFTA_CHAIN_NAME, name);
    nl_put_str(m, NFTA_CHAIN_TYPE, "filter");
    size_t hook = nl_nest(m, NFTA_CHAIN_HOOK);
    put_be32(m, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
    put_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)priority);
    nl_nest_end(m, hook);
}

/* ---- expressions ----------------------------------------------------------------------------- */
struct expr {
    size_t elem, data;
};

static struct expr begin_expr(struct nl_msg *m, const char *name) {
    struct expr x;
    x.elem = nl_nest(m, NFTA_LIST_ELEM);
    nl_put_str(m, NFTA_EXPR_NAME, name);
    x.data = nl_nest(m, NFTA_EXPR_DATA);
    return x;
}

static void end_expr(struct nl_msg *m, struct expr x) {
    nl_nest_end(m, x.data);
    nl_nest_end(m, x.elem);
}

static void put_value(struct nl_msg *m, uint16_t attr, const void *p, size_t n) {
    size_t nest = nl_nest(m, attr);
    nl_put(m, NFTA_DATA_VALUE, p, n);
    nl_nest_end(m, nest);
}

/* Compares what lies in register 1. */
static void compare(struct nl_msg *m, const void *p, size_t n) {
    struct expr x = begin_expr(m, "cmp");
    put_be32(m, NFTA_CMP_SREG, NFT_REG_1);
    put_be32(m, NFTA_CMP_OP, NFT_CMP_EQ);
    put_value(m, NFTA_CMP_DATA, p, n);
    end_expr(m, x);
}

static void match_packet(struct nl_msg *m, uint32_t base, uint32_t offset, const void *p,
                         size_t n) {
    struct expr x = begin_expr(m, "payload");
    put_be32(m, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_be32(m, NFTA_PAYLOAD_BASE, base);
    put_be32(m, NFTA_PAYLOAD_OFFSET, offset);
    put_be32(m, NFTA_PAYLOAD_LEN, (uint32_t)n);
    end_expr(m, x);
    compare(m, p, n);
}

static void match_protocol(struct nl_msg *m, uint8_t protocol) {
    struct expr x = begin_expr(m, "meta");
    put_be32(m, NFTA_META_DREG, NFT_REG_1);
    put_be32(m, NFTA_META_KEY, NFT_META_L4PROTO);
    end_expr(m, x);
    compare(m, &protocol, sizeof(protocol));
}

static void set_port(struct nl_msg *m, uint32_t offset, uint16_t port, uint32_t checksum) {
    const uint16_t wire = htons(port);
    struct expr x = begin_expr(m, "immediate");
    put_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    put_value(m, NFTA_IMMEDIATE_DATA, &wire, sizeof(wire));
    end_expr(m, x);
    x = begin_expr(m, "payload");
    put_be32(m, NFTA_PAYLOAD_SREG, NFT_REG_1);
    put_be32(m, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    put_be32(m, NFTA_PAYLOAD_OFFSET, offset);
    put_be32(m, NFTA_PAYLOAD_LEN, sizeof(wire));
    put_be32(m, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
    put_be32(m, NFTA_PAYLOAD_CSUM_OFFSET, checksum);
    end_expr(m, x);
}

/* Packets of the protocol with the resolver's address at `address` and the port `from` at `place`
 * get the port `to` there. */
static void put_rule(struct batch *b, const char *chain, uint8_t protocol, uint32_t address,
                     uint32_t place, uint16_t from, uint16_t to) {
    const uint32_t resolver = htonl(RESOLVER);
    const uint16_t from_wire = htons(from);
    struct nl_msg *m = begin_nft(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nl_put_str(m, NFTA_RULE_TABLE, TABLE);
    nl_put_str(m, NFTA_RULE_CHAIN, chain);
    size_t list = nl_nest(m, NFTA_RULE_EXPRESSIONS);
    match_packet(m, NFT_PAYLOAD_NETWORK_HEADER, address, &resolver, sizeof(resolver));
    match_protocol(m, protocol);
    match_packet(m, NFT_PAYLOAD_TRANSPORT_HEADER, place, &from_wire, sizeof(from_wire));
    set_port(m, place, to, protocol == IPPROTO_UDP ? UDP_CHECKSUM : TCP_CHECKSUM);
    nl_nest_end(m, list);
}

/* ---- the batch ------------------------------------------------------------------------------- */
static void fill(struct batch *b, bool owned, uint16_t udp, uint16_t tcp) {
    (void)begin(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    /* One that an earlier process has left goes in the same step. */
    if (owned) {
        put_table(b, MSG_DESTROYTABLE, 0);
        put_be32(put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE), NFTA_TABLE_FLAGS,
                 NFT_TABLE_F_OWNER | TABLE_PERSIST);
    } else {
        put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
        put_table(b, NFT_MSG_DELTABLE, 0);
        put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    }
    put_chain(b, "queries", PRIORITY_BEHIND);
    put_chain(b, "answers", PRIORITY_BEFORE);
    put_rule(b, "queries", IPPROTO_UDP, IP_DADDR, PORT_TARGET, DNS_PORT, udp);
    put_rule(b, "queries", IPPROTO_TCP, IP_DADDR, PORT_TARGET, DNS_PORT, tcp);
    put_rule(b, "answers", IPPROTO_UDP, IP_SADDR, PORT_SOURCE, udp, DNS_PORT);
    put_rule(b, "answers", IPPROTO_TCP, IP_SADDR, PORT_SOURCE, tcp, DNS_PORT);
    b->messages[b->count - 1].hdr.nlmsg_flags |= NLM_F_ACK;
    (void)begin(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

/* The first error, or 0 with the acknowledgement. */
static int read_answer(int sock) {
    const struct timeval patience = {.tv_sec = 5};
    char room[NL_MSG_MAX];
    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        return -errno;
    for (;;) {
        ssize_t n = recv(sock, room, sizeof(room), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)room;
        if ((size_t)n >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) && h->nlmsg_type == NLMSG_ERROR)
            return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
    }
}

static int make(struct batch *b, bool owned, uint16_t udp, uint16_t tcp) {
    struct iovec iov[BATCH_MAX];
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct msghdr msg = {.msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = iov};
    auto_fd sock = nl_open(NETLINK_NETFILTER);
    if (sock < 0)
        return sock;
    b->count = 0;
    fill(b, owned, udp, tcp);
    for (size_t i = 0; i < b->count; i++) {
        if (b->messages[i].failed)
            return -EMSGSIZE;
        /* Each message begins at a multiple of four; nl_put() has filled up with zeros. */
        iov[i] = (struct iovec){&b->messages[i], NLMSG_ALIGN(b->messages[i].hdr.nlmsg_len)};
    }
    msg.msg_iovlen = b->count;
    if (sendmsg(sock, &msg, 0) < 0)
        return -errno;
    int r = read_answer(sock);
    return r < 0 ? r : take_fd(&sock);
}

int redirect_make(uint16_t udp_port, uint16_t tcp_port) {
    auto_free struct batch *b = xnew(struct batch);
    int r = make(b, true, udp_port, tcp_port);
    /* An older kernel has no owners. */
    return r < 0 ? make(b, false, udp_port, tcp_port) : r;
}
