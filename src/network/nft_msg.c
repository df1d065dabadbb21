/* SPDX-License-Identifier: Apache-2.0 */
#include "network/nft_msg.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include "base/alloc.h"

#define MSG_ROOM   (64u << 10) /* more than the longest message: NFT_ELEMS_MAX elements */
#define SEND_MAX   (64 << 20)  /* of the kernel's queue: a whole table with 100,000 elements */
#define PATIENCE_S 10

/* ---- messages -------------------------------------------------------------------------------- */
static struct nlmsghdr *begin_msg(struct nft_batch *b, uint16_t type, uint16_t flags,
                                  uint8_t family, uint16_t res_id) {
    struct nfgenmsg *g;

    if (b->cap - b->len < MSG_ROOM) {
        b->cap = b->cap * 2 + MSG_ROOM;
        b->data = xrealloc(b->data, b->cap);
    }
    b->last = b->len;
    b->h = mnl_nlmsg_put_header(b->data + b->len);
    b->h->nlmsg_type = type;
    b->h->nlmsg_flags = NLM_F_REQUEST | flags;
    b->h->nlmsg_seq = b->seq++;
    g = mnl_nlmsg_put_extra_header(b->h, sizeof *g);
    g->nfgen_family = family;
    g->version = NFNETLINK_V0;
    g->res_id = htons(res_id);
    return b->h;
}

static struct nlmsghdr *begin(struct nft_batch *b, uint16_t type, uint16_t flags) {
    return begin_msg(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, b->family, 0);
}

static void end(struct nft_batch *b) {
    b->len += NLMSG_ALIGN(b->h->nlmsg_len);
    b->h = NULL;
}

void nft_batch_begin(struct nft_batch *b, struct nft_sock *s) {
    *b = (struct nft_batch){.seq = s->seq, .first = s->seq};
    begin_msg(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end(b);
}

void nft_batch_done(struct nft_batch *b) {
    free(b->data);
    *b = (struct nft_batch){0};
}

/* Reads until the answer to one of the sequence numbers [first, last] is there. The answers that an
 * earlier batch has left (one for each message that failed) are passed over. */
static int await(struct nft_sock *s, uint32_t first, uint32_t last) {
    char room[16384];

    for (;;) {
        ssize_t n = recv(s->fd, room, sizeof room, 0);
        const struct nlmsghdr *h = (const struct nlmsghdr *)room;
        int left = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
            const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

            if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) &&
                h->nlmsg_seq - first <= last - first)
                return e->error; /* 0: the acknowledgement */
        }
    }
}

static int send_all(struct nft_sock *s, const void *p, size_t n) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    while (sendto(s->fd, p, n, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int nft_batch_send(struct nft_sock *s, struct nft_batch *b) {
    int r;

    /* Not the batch's end: only newer kernels acknowledge that. */
    ((struct nlmsghdr *)(void *)(b->data + b->last))->nlmsg_flags |= NLM_F_ACK;
    begin_msg(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end(b);
    s->seq = b->seq;
    r = send_all(s, b->data, b->len);
    return r == 0 ? await(s, b->first, b->seq - 1) : r;
}

/* ---- the socket ------------------------------------------------------------------------------ */
int nft_sock_open(struct nft_sock *s) {
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    socklen_t len = sizeof self;
    int room = SEND_MAX, yes = 1, r;

    s->seq = 1;
    s->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (s->fd < 0)
        return -errno;
    if (bind(s->fd, (struct sockaddr *)&self, sizeof self) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&self, &len) < 0 ||
        setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
        r = -errno;
        nft_sock_close(s);
        return r;
    }
    /* Large batches need the first; without the second, errors carry a copy of the request. */
    (void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    (void)setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof yes);
    s->port = self.nl_pid;
    return 0;
}

void nft_sock_close(struct nft_sock *s) {
    s->fd = fd_close(s->fd);
}

/* The answers to a question, up to NLMSG_DONE or the only one. */
static int collect(struct nft_sock *s, uint32_t seq, bool dump,
                   void (*each)(void *arg, const struct nlmsghdr *h), void *arg) {
    char room[32768]; /* what the kernel fills at most in one part of a dump */

    for (;;) {
        ssize_t n = recv(s->fd, room, sizeof room, 0);
        const struct nlmsghdr *h = (const struct nlmsghdr *)room;
        int left = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
            if (h->nlmsg_seq != seq)
                continue;
            if (h->nlmsg_flags & NLM_F_DUMP_INTR)
                return -EINTR; /* something changed meanwhile */
            if (h->nlmsg_type == NLMSG_DONE)
                return 0;
            if (h->nlmsg_type == NLMSG_ERROR)
                return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
            if (each)
                each(arg, h);
            if (!dump)
                return 0;
        }
    }
}

int nft_dump(struct nft_sock *s, uint16_t type, uint8_t family, const char *table,
             const char *chain, void (*each)(void *arg, const struct nlmsghdr *h), void *arg) {
    struct nft_batch b = {.seq = s->seq++, .family = family};
    struct nlmsghdr *h = begin(&b, type, NLM_F_DUMP);
    int r;

    /* Attributes 1 and 2 are the table and the chain of a rule; other dumps take a table only. */
    if (table)
        mnl_attr_put_strz(h, NFTA_RULE_TABLE, table);
    if (chain)
        mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
    r = send_all(s, h, h->nlmsg_len);
    if (r == 0)
        r = collect(s, h->nlmsg_seq, true, each, arg);
    nft_batch_done(&b);
    return r;
}

int nft_probe(struct nft_sock *s) {
    struct nft_batch b = {.seq = s->seq++};
    struct nlmsghdr *h = begin(&b, NFT_MSG_GETGEN, 0);
    int r = send_all(s, h, h->nlmsg_len);

    if (r == 0)
        r = collect(s, h->nlmsg_seq, false, NULL, NULL);
    nft_batch_done(&b);
    return r == -EINVAL ? -EOPNOTSUPP : r; /* nfnetlink's answer for a part that it has not */
}

/* ---- tables and chains ----------------------------------------------------------------------- */
static void put_table(struct nft_batch *b, uint16_t type, uint16_t flags) {
    mnl_attr_put_strz(begin(b, type, flags), NFTA_TABLE_NAME, b->table);
    end(b);
}

/* Made, deleted, made: an old one goes in the same transaction, a missing one is no error. */
void nft_table_renew(struct nft_batch *b) {
    nft_table_delete(b);
    put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
}

void nft_table_delete(struct nft_batch *b) {
    put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_table(b, NFT_MSG_DELTABLE, 0);
}

void nft_chain(struct nft_batch *b, const char *name, const struct nft_hook *hook) {
    struct nlmsghdr *h = begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    struct nlattr *nest;

    mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, b->table);
    mnl_attr_put_strz(h, NFTA_CHAIN_NAME, name);
    if (hook) {
        mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, hook->type);
        nest = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
        mnl_attr_put_u32(h, NFTA_HOOK_HOOKNUM, htonl(hook->hook));
        mnl_attr_put_u32(h, NFTA_HOOK_PRIORITY, htonl((uint32_t)hook->priority));
        mnl_attr_nest_end(h, nest);
    }
    end(b);
}

/* ---- sets ------------------------------------------------------------------------------------ */
void nft_set_add(struct nft_batch *b, const struct nft_set *set) {
    struct nlmsghdr *h = begin(b, NFT_MSG_NEWSET, NLM_F_CREATE);
    uint32_t flags = set->interval ? NFT_SET_INTERVAL : 0;

    mnl_attr_put_strz(h, NFTA_SET_TABLE, b->table);
    mnl_attr_put_strz(h, NFTA_SET_NAME, set->name);
    mnl_attr_put_u32(h, NFTA_SET_ID, htonl(++b->set_id));
    mnl_attr_put_u32(h, NFTA_SET_KEY_TYPE, htonl(set->key_type));
    mnl_attr_put_u32(h, NFTA_SET_KEY_LEN, htonl(set->key_size));
    if (set->data_size) {
        flags |= NFT_SET_MAP;
        mnl_attr_put_u32(h, NFTA_SET_DATA_TYPE, htonl(set->data_type));
        mnl_attr_put_u32(h, NFTA_SET_DATA_LEN, htonl(set->data_size));
    }
    mnl_attr_put_u32(h, NFTA_SET_FLAGS, htonl(flags));
    if (set->key_type == NFT_T_IF) {
        /* For nft(8) to print names: type 0, the key's byte order, is 1, the host's. */
        const unsigned char data[2 + 4] = {0, 4, 1};

        mnl_attr_put(h, NFTA_SET_USERDATA, sizeof data, data);
    }
    end(b);
}

struct nlattr *nft_elems_begin(struct nft_batch *b, bool add, const char *set) {
    struct nlmsghdr *h =
        begin(b, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);

    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, b->table);
    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
    return mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void put_value(struct nlmsghdr *h, uint16_t attr, const void *p, size_t n) {
    struct nlattr *nest = mnl_attr_nest_start(h, attr);

    mnl_attr_put(h, NFTA_DATA_VALUE, n, p);
    mnl_attr_nest_end(h, nest);
}

void nft_elem(struct nft_batch *b, const struct nft_set *set, const struct nft_elem *e,
              bool with_data) {
    struct nlattr *nest = mnl_attr_nest_start(b->h, NFTA_LIST_ELEM);

    put_value(b->h, NFTA_SET_ELEM_KEY, e->key, set->key_size);
    if (set->data_size && with_data)
        put_value(b->h, NFTA_SET_ELEM_DATA, e->data, set->data_size);
    if (e->end)
        mnl_attr_put_u32(b->h, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
    mnl_attr_nest_end(b->h, nest);
}

void nft_elems_end(struct nft_batch *b, struct nlattr *list) {
    mnl_attr_nest_end(b->h, list);
    end(b);
}

/* ---- rules ----------------------------------------------------------------------------------- */
struct nft_rule nft_rule_begin(struct nft_batch *b, const char *chain) {
    return nft_rule_place(b, chain, 0, NULL);
}

struct nft_rule nft_rule_place(struct nft_batch *b, const char *chain, uint64_t before,
                               const char *comment) {
    uint16_t flags = before ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_APPEND;
    struct nlmsghdr *h = begin(b, NFT_MSG_NEWRULE, flags);

    mnl_attr_put_strz(h, NFTA_RULE_TABLE, b->table);
    mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
    if (before)
        mnl_attr_put_u64(h, NFTA_RULE_POSITION, htobe64(before));
    if (comment) {
        /* libnftnl's form: type 0, a comment; its length with the NUL. */
        unsigned char data[2 + 128] = {0};
        size_t n = strnlen(comment, 127);

        data[1] = (unsigned char)(n + 1);
        memcpy(data + 2, comment, n);
        mnl_attr_put(h, NFTA_RULE_USERDATA, 2 + n + 1, data);
    }
    return (struct nft_rule){b, mnl_attr_nest_start(h, NFTA_RULE_EXPRESSIONS)};
}

void nft_rule_end(struct nft_rule r) {
    mnl_attr_nest_end(r.b->h, r.list);
    end(r.b);
}

void nft_rule_delete(struct nft_batch *b, const char *chain, uint64_t handle) {
    struct nlmsghdr *h = begin(b, NFT_MSG_DELRULE, 0);

    mnl_attr_put_strz(h, NFTA_RULE_TABLE, b->table);
    mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
    mnl_attr_put_u64(h, NFTA_RULE_HANDLE, htobe64(handle));
    end(b);
}

struct expr {
    struct nlattr *elem, *data;
};

static struct expr begin_expr(struct nft_rule r, const char *name) {
    struct expr x;

    x.elem = mnl_attr_nest_start(r.b->h, NFTA_LIST_ELEM);
    mnl_attr_put_strz(r.b->h, NFTA_EXPR_NAME, name);
    x.data = mnl_attr_nest_start(r.b->h, NFTA_EXPR_DATA);
    return x;
}

static void end_expr(struct nft_rule r, struct expr x) {
    mnl_attr_nest_end(r.b->h, x.data);
    mnl_attr_nest_end(r.b->h, x.elem);
}

static void put(struct nft_rule r, uint16_t attr, uint32_t v) {
    mnl_attr_put_u32(r.b->h, attr, htonl(v));
}

static uint32_t reg_of(unsigned word) {
    return NFT_REG32_00 + word;
}

void nft_meta(struct nft_rule r, uint32_t key, unsigned reg) {
    struct expr x = begin_expr(r, "meta");

    put(r, NFTA_META_DREG, reg_of(reg));
    put(r, NFTA_META_KEY, key);
    end_expr(r, x);
}

void nft_payload(struct nft_rule r, uint32_t base, uint32_t offset, uint32_t len, unsigned reg) {
    struct expr x = begin_expr(r, "payload");

    put(r, NFTA_PAYLOAD_DREG, reg_of(reg));
    put(r, NFTA_PAYLOAD_BASE, base);
    put(r, NFTA_PAYLOAD_OFFSET, offset);
    put(r, NFTA_PAYLOAD_LEN, len);
    end_expr(r, x);
}

void nft_ct(struct nft_rule r, uint32_t key, unsigned reg) {
    struct expr x = begin_expr(r, "ct");

    put(r, NFTA_CT_DREG, reg_of(reg));
    put(r, NFTA_CT_KEY, key);
    end_expr(r, x);
}

void nft_fib_type(struct nft_rule r, bool of_source, unsigned reg) {
    struct expr x = begin_expr(r, "fib");

    put(r, NFTA_FIB_DREG, reg_of(reg));
    put(r, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    put(r, NFTA_FIB_FLAGS, of_source ? NFTA_FIB_F_SADDR : NFTA_FIB_F_DADDR);
    end_expr(r, x);
}

void nft_random(struct nft_rule r, uint32_t modulus, unsigned reg) {
    struct expr x = begin_expr(r, "numgen");

    put(r, NFTA_NG_DREG, reg_of(reg));
    put(r, NFTA_NG_MODULUS, modulus);
    put(r, NFTA_NG_TYPE, NFT_NG_RANDOM);
    put(r, NFTA_NG_OFFSET, 0);
    end_expr(r, x);
}

void nft_mask(struct nft_rule r, unsigned reg, const void *mask, uint32_t len) {
    static const unsigned char zero[16];
    struct expr x = begin_expr(r, "bitwise");

    put(r, NFTA_BITWISE_SREG, reg_of(reg));
    put(r, NFTA_BITWISE_DREG, reg_of(reg));
    put(r, NFTA_BITWISE_LEN, len);
    put_value(r.b->h, NFTA_BITWISE_MASK, mask, len);
    put_value(r.b->h, NFTA_BITWISE_XOR, zero, len);
    end_expr(r, x);
}

void nft_cmp(struct nft_rule r, bool equal, unsigned reg, const void *value, uint32_t len) {
    struct expr x = begin_expr(r, "cmp");

    put(r, NFTA_CMP_SREG, reg_of(reg));
    put(r, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_value(r.b->h, NFTA_CMP_DATA, value, len);
    end_expr(r, x);
}

void nft_lookup(struct nft_rule r, const char *set, unsigned reg, bool invert) {
    struct expr x = begin_expr(r, "lookup");

    mnl_attr_put_strz(r.b->h, NFTA_LOOKUP_SET, set);
    put(r, NFTA_LOOKUP_SREG, reg_of(reg));
    if (invert)
        put(r, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    end_expr(r, x);
}

void nft_lookup_map(struct nft_rule r, const char *map, unsigned reg, unsigned to) {
    struct expr x = begin_expr(r, "lookup");

    mnl_attr_put_strz(r.b->h, NFTA_LOOKUP_SET, map);
    put(r, NFTA_LOOKUP_SREG, reg_of(reg));
    put(r, NFTA_LOOKUP_DREG, reg_of(to));
    end_expr(r, x);
}

void nft_nat(struct nft_rule r, bool destination, uint32_t family, unsigned reg, int port_reg) {
    struct expr x = begin_expr(r, "nat");

    put(r, NFTA_NAT_TYPE, destination ? NFT_NAT_DNAT : NFT_NAT_SNAT);
    put(r, NFTA_NAT_FAMILY, family);
    put(r, NFTA_NAT_REG_ADDR_MIN, reg_of(reg));
    if (port_reg >= 0)
        put(r, NFTA_NAT_REG_PROTO_MIN, reg_of((unsigned)port_reg));
    end_expr(r, x);
}

void nft_masquerade(struct nft_rule r) {
    end_expr(r, begin_expr(r, "masq"));
}

void nft_counter(struct nft_rule r) {
    end_expr(r, begin_expr(r, "counter"));
}

void nft_verdict(struct nft_rule r, int32_t code, const char *chain) {
    struct expr x = begin_expr(r, "immediate");
    struct nlattr *data, *v;

    put(r, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    data = mnl_attr_nest_start(r.b->h, NFTA_IMMEDIATE_DATA);
    v = mnl_attr_nest_start(r.b->h, NFTA_DATA_VERDICT);
    put(r, NFTA_VERDICT_CODE, (uint32_t)code);
    if (chain)
        mnl_attr_put_strz(r.b->h, NFTA_VERDICT_CHAIN, chain);
    mnl_attr_nest_end(r.b->h, v);
    mnl_attr_nest_end(r.b->h, data);
    end_expr(r, x);
}

void nft_match_if(struct nft_rule r, bool out, const char *set, bool invert) {
    nft_meta(r, out ? NFT_META_OIFNAME : NFT_META_IIFNAME, 0);
    nft_lookup(r, set, 0, invert);
}

void nft_match_family(struct nft_rule r, int family) {
    const uint8_t proto = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;

    nft_meta(r, NFT_META_NFPROTO, 0);
    nft_cmp(r, true, 0, &proto, sizeof proto);
}

void nft_match_proto(struct nft_rule r, bool equal, uint8_t proto) {
    nft_meta(r, NFT_META_L4PROTO, 0);
    nft_cmp(r, equal, 0, &proto, sizeof proto);
}

void nft_match_ct_bits(struct nft_rule r, uint32_t key, uint32_t bits) {
    const uint32_t zero = 0;

    nft_ct(r, key, 0);
    nft_mask(r, 0, &bits, sizeof bits); /* host byte order, as the register */
    nft_cmp(r, false, 0, &zero, sizeof zero);
}
