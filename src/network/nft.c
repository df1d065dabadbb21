/* SPDX-License-Identifier: Apache-2.0 */
#include "network/nft.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include "base/alloc.h"

#define BATCH_MAX       (32u << 10)
#define PRIORITY_SRCNAT 100
#define PRIORITY_FILTER 0
#define IP_SADDR_OFFSET 12

struct nft {
    struct mnl_socket *request, *watch;
    unsigned port; /* of `request`: its own changes are no disturbance */
    uint32_t seq;
};

/* A batch under construction. */
struct batch {
    char *room;
    struct mnl_nlmsg_batch *b;
    uint32_t seq;
    bool full;
};

static struct nlmsghdr *begin_msg(struct batch *b, uint16_t type, uint16_t flags) {
    struct nlmsghdr *h = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(b->b));
    struct nfgenmsg *g;

    h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    h->nlmsg_seq = b->seq++;
    g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = NFPROTO_IPV4;
    g->version = NFNETLINK_V0;
    return h;
}

static void end_msg(struct batch *b) {
    if (!mnl_nlmsg_batch_next(b->b))
        b->full = true;
}

static void mark(struct batch *b, uint16_t type) {
    struct nlmsghdr *h = mnl_nlmsg_put_header(mnl_nlmsg_batch_current(b->b));
    struct nfgenmsg *g;

    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST;
    h->nlmsg_seq = b->seq++;
    g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = AF_UNSPEC;
    g->version = NFNETLINK_V0;
    g->res_id = htons(NFNL_SUBSYS_NFTABLES);
    end_msg(b);
}

static void put_table(struct batch *b, uint16_t type, uint16_t flags, const char *table) {
    struct nlmsghdr *h = begin_msg(b, type, flags);

    mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
    end_msg(b);
}

static void put_chain(struct batch *b, const char *table, const char *name, const char *type,
                      uint32_t hook, int32_t priority) {
    struct nlmsghdr *h = begin_msg(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    struct nlattr *nest;

    mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
    mnl_attr_put_strz(h, NFTA_CHAIN_NAME, name);
    mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, type);
    nest = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
    mnl_attr_put_u32(h, NFTA_HOOK_HOOKNUM, htonl(hook));
    mnl_attr_put_u32(h, NFTA_HOOK_PRIORITY, htonl((uint32_t)priority));
    mnl_attr_nest_end(h, nest);
    end_msg(b);
}

/* ---- expressions ----------------------------------------------------------------------------- */
struct expr {
    struct nlattr *elem, *data;
};

static struct expr begin_expr(struct nlmsghdr *h, const char *name) {
    struct expr x;

    x.elem = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
    mnl_attr_put_strz(h, NFTA_EXPR_NAME, name);
    x.data = mnl_attr_nest_start(h, NFTA_EXPR_DATA);
    return x;
}

static void end_expr(struct nlmsghdr *h, struct expr x) {
    mnl_attr_nest_end(h, x.data);
    mnl_attr_nest_end(h, x.elem);
}

static void put_value(struct nlmsghdr *h, uint16_t attr, const void *p, size_t n) {
    struct nlattr *nest = mnl_attr_nest_start(h, attr);

    mnl_attr_put(h, NFTA_DATA_VALUE, n, p);
    mnl_attr_nest_end(h, nest);
}

static void cmp(struct nlmsghdr *h, uint32_t op, const void *p, size_t n) {
    struct expr x = begin_expr(h, "cmp");

    mnl_attr_put_u32(h, NFTA_CMP_SREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(h, NFTA_CMP_OP, htonl(op));
    put_value(h, NFTA_CMP_DATA, p, n);
    end_expr(h, x);
}

/* oifname or iifname against the bridge's name. */
static void match_interface(struct nlmsghdr *h, uint32_t key, uint32_t op, const char *name) {
    struct expr x = begin_expr(h, "meta");
    char padded[IFNAMSIZ] = {0};

    mnl_attr_put_u32(h, NFTA_META_DREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(h, NFTA_META_KEY, htonl(key));
    end_expr(h, x);
    memcpy(padded, name, strnlen(name, IFNAMSIZ - 1));
    cmp(h, op, padded, sizeof padded);
}

static void mask_register(struct nlmsghdr *h, const uint32_t *mask) {
    struct expr x = begin_expr(h, "bitwise");
    const uint32_t zero = 0;

    mnl_attr_put_u32(h, NFTA_BITWISE_SREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(h, NFTA_BITWISE_DREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(h, NFTA_BITWISE_LEN, htonl(sizeof *mask));
    put_value(h, NFTA_BITWISE_MASK, mask, sizeof *mask);
    put_value(h, NFTA_BITWISE_XOR, &zero, sizeof zero);
    end_expr(h, x);
}

static void match_source(struct nlmsghdr *h, uint32_t subnet, uint32_t mask) {
    struct expr x = begin_expr(h, "payload");

    mnl_attr_put_u32(h, NFTA_PAYLOAD_DREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(h, NFTA_PAYLOAD_BASE, htonl(NFT_PAYLOAD_NETWORK_HEADER));
    mnl_attr_put_u32(h, NFTA_PAYLOAD_OFFSET, htonl(IP_SADDR_OFFSET));
    mnl_attr_put_u32(h, NFTA_PAYLOAD_LEN, htonl(sizeof subnet));
    end_expr(h, x);
    mask_register(h, &mask);
    cmp(h, NFT_CMP_EQ, &subnet, sizeof subnet);
}

static void match_established(struct nlmsghdr *h) {
    const uint32_t wanted =
        NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED); /* host order */
    const uint32_t zero = 0;
    struct expr x = begin_expr(h, "ct");

    mnl_attr_put_u32(h, NFTA_CT_DREG, htonl(NFT_REG_1));
    mnl_attr_put_u32(h, NFTA_CT_KEY, htonl(NFT_CT_STATE));
    end_expr(h, x);
    mask_register(h, &wanted);
    cmp(h, NFT_CMP_NEQ, &zero, sizeof zero);
}

static void verdict(struct nlmsghdr *h, int32_t code) {
    struct expr x = begin_expr(h, "immediate");
    struct nlattr *data, *v;

    mnl_attr_put_u32(h, NFTA_IMMEDIATE_DREG, htonl(NFT_REG_VERDICT));
    data = mnl_attr_nest_start(h, NFTA_IMMEDIATE_DATA);
    v = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);
    mnl_attr_put_u32(h, NFTA_VERDICT_CODE, htonl((uint32_t)code));
    mnl_attr_nest_end(h, v);
    mnl_attr_nest_end(h, data);
    end_expr(h, x);
}

/* ---- rules ----------------------------------------------------------------------------------- */
static struct nlmsghdr *begin_rule(struct batch *b, const char *table, const char *chain,
                                   struct nlattr **exprs) {
    struct nlmsghdr *h = begin_msg(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

    mnl_attr_put_strz(h, NFTA_RULE_TABLE, table);
    mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
    *exprs = mnl_attr_nest_start(h, NFTA_RULE_EXPRESSIONS);
    return h;
}

static void end_rule(struct batch *b, struct nlmsghdr *h, struct nlattr *exprs) {
    mnl_attr_nest_end(h, exprs);
    end_msg(b);
}

static void put_rules(struct batch *b, const struct nft_rules *r) {
    struct nlattr *exprs;
    struct nlmsghdr *h;

    if (r->masquerade) {
        put_chain(b, r->table, "postrouting", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
        h = begin_rule(b, r->table, "postrouting", &exprs);
        match_source(h, r->subnet, r->mask);
        match_interface(h, NFT_META_OIFNAME, NFT_CMP_NEQ, r->bridge);
        end_expr(h, begin_expr(h, "masq"));
        end_rule(b, h, exprs);
    }
    put_chain(b, r->table, "forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER);
    h = begin_rule(b, r->table, "forward", &exprs);
    match_interface(h, NFT_META_OIFNAME, NFT_CMP_EQ, r->bridge);
    match_established(h);
    verdict(h, NF_ACCEPT);
    end_rule(b, h, exprs);
    h = begin_rule(b, r->table, "forward", &exprs);
    match_interface(h, NFT_META_IIFNAME, NFT_CMP_NEQ, r->bridge);
    match_interface(h, NFT_META_OIFNAME, NFT_CMP_EQ, r->bridge);
    verdict(h, NF_DROP);
    end_rule(b, h, exprs);
    if (!r->icc) {
        h = begin_rule(b, r->table, "forward", &exprs);
        match_interface(h, NFT_META_IIFNAME, NFT_CMP_EQ, r->bridge);
        match_interface(h, NFT_META_OIFNAME, NFT_CMP_EQ, r->bridge);
        verdict(h, NF_DROP);
        end_rule(b, h, exprs);
    }
}

/* ---- exchange -------------------------------------------------------------------------------- */
static void batch_begin(struct nft *n, struct batch *b) {
    b->room = xmalloc(2 * BATCH_MAX); /* libmnl wants room for one message behind the limit */
    b->b = mnl_nlmsg_batch_start(b->room, BATCH_MAX);
    b->seq = n->seq;
    b->full = false;
    mark(b, NFNL_MSG_BATCH_BEGIN);
}

/* The kernel answers errors only (no message asks for an acknowledgement but the end does not
 * count): the last real message carries NLM_F_ACK. */
static int batch_send(struct nft *n, struct batch *b, struct nlmsghdr *last) {
    char answer[8192];
    int r = 0;

    last->nlmsg_flags |= NLM_F_ACK;
    mark(b, NFNL_MSG_BATCH_END);
    n->seq = b->seq;
    if (b->full)
        r = -EMSGSIZE;
    else if (mnl_socket_sendto(n->request, mnl_nlmsg_batch_head(b->b), mnl_nlmsg_batch_size(b->b)) <
             0)
        r = -errno;
    mnl_nlmsg_batch_stop(b->b);
    free(b->room);
    while (r == 0) {
        ssize_t len = mnl_socket_recvfrom(n->request, answer, sizeof answer);
        const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
        int left = (int)len;

        if (len < 0)
            return -errno;
        for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
            const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

            if (h->nlmsg_type != NLMSG_ERROR)
                continue;
            return e->error; /* 0: the acknowledgement */
        }
    }
    return r;
}

int nft_open(struct nft **ret) {
    struct timeval patience = {.tv_sec = 5};
    struct nft *n = xnew(struct nft);
    int r = 0, group = NFNLGRP_NFTABLES;

    n->request = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!n->request || mnl_socket_bind(n->request, 0, MNL_SOCKET_AUTOPID) < 0)
        r = -errno;
    if (r == 0) {
        n->port = mnl_socket_get_portid(n->request);
        (void)setsockopt(mnl_socket_get_fd(n->request), SOL_SOCKET, SO_RCVTIMEO, &patience,
                         sizeof patience); /* without it the kernel's answer is awaited for ever */
        n->watch = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (!n->watch || mnl_socket_bind(n->watch, 0, MNL_SOCKET_AUTOPID) < 0 ||
            mnl_socket_setsockopt(n->watch, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
            r = -errno;
    }
    if (r < 0) {
        nft_close(n);
        return r;
    }
    *ret = n;
    return 0;
}

void nft_close(struct nft *n) {
    if (!n)
        return;
    if (n->request)
        (void)mnl_socket_close(n->request);
    if (n->watch)
        (void)mnl_socket_close(n->watch);
    free(n);
}

int nft_write(struct nft *n, const struct nft_rules *r) {
    struct nlmsghdr *last;
    struct batch b;

    batch_begin(n, &b);
    /* Made, deleted, made: an old table goes in the same transaction, a missing one is no error. */
    put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE, r->table);
    put_table(&b, NFT_MSG_DELTABLE, 0, r->table);
    put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE, r->table);
    put_rules(&b, r);
    last = begin_msg(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    mnl_attr_put_strz(last, NFTA_TABLE_NAME, r->table);
    end_msg(&b);
    return batch_send(n, &b, last);
}

int nft_delete(struct nft *n, const char *table) {
    struct nlmsghdr *last;
    struct batch b;

    batch_begin(n, &b);
    put_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE, table);
    last = begin_msg(&b, NFT_MSG_DELTABLE, 0);
    mnl_attr_put_strz(last, NFTA_TABLE_NAME, table);
    end_msg(&b);
    return batch_send(n, &b, last);
}

int nft_watch_fd(const struct nft *n) {
    return mnl_socket_get_fd(n->watch);
}

/* Every object's message names its table in attribute 1. */
static bool names_table(const struct nlmsghdr *h, const char *table) {
    const struct nlattr *a;

    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(a) == NFTA_TABLE_NAME)
            return mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 &&
                   strcmp(mnl_attr_get_str(a), table) == 0;
    }
    return false;
}

bool nft_was_disturbed(struct nft *n, const char *table) {
    char room[8192];
    bool yes = false;

    for (;;) {
        ssize_t len = mnl_socket_recvfrom(n->watch, room, sizeof room);
        const struct nlmsghdr *h = (const struct nlmsghdr *)room;
        int left = (int)len;

        if (len < 0)
            return yes || errno == ENOBUFS; /* too many at once: rather write once too often */
        for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
            unsigned type = h->nlmsg_type & 0xff;

            if (h->nlmsg_pid == n->port || h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
                continue;
            if ((type == NFT_MSG_DELTABLE || type == NFT_MSG_DELCHAIN || type == NFT_MSG_DELRULE) &&
                names_table(h, table))
                yes = true;
        }
    }
}
