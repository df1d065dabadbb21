/* SPDX-License-Identifier: Apache-2.0 */
#include "network/conntrack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/map.h"

/* Of the kernel's nf_internals.h; Linux has them in its API as numbers only. */
#define CTA_FILTER_F_CTA_IP_SRC    (1u << 0)
#define CTA_FILTER_F_CTA_PROTO_NUM (1u << 3)

#define COUNT    "/proc/sys/net/netfilter/nf_conntrack_count"
#define KEY_TEXT 128
/* More different addresses than that: the kernel is not asked for each. */
#define QUESTIONS_MAX 4

struct tuple {
    struct ip from, to;
    uint16_t from_port, to_port;
    uint8_t proto;
};

struct walk {
    struct map wanted; /* keys of matches */
    struct buf deletes;
    uint32_t seq;
};

/* ---- reading an entry ------------------------------------------------------------------------ */
static void parse_ip(const struct nlattr *nest, struct tuple *t) {
    const struct nlattr *a;

    mnl_attr_for_each_nested(a, nest) {
        unsigned type = mnl_attr_get_type(a);
        bool v6 = type == CTA_IP_V6_SRC || type == CTA_IP_V6_DST;
        struct ip *ip = type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC ? &t->from : &t->to;
        size_t n = v6 ? 16 : 4;

        if (type > CTA_IP_V6_DST || mnl_attr_get_payload_len(a) != n)
            continue;
        ip->family = v6 ? AF_INET6 : AF_INET;
        memcpy(ip->b, mnl_attr_get_payload(a), n);
    }
}

static void parse_proto(const struct nlattr *nest, struct tuple *t) {
    const struct nlattr *a;

    mnl_attr_for_each_nested(a, nest) {
        unsigned type = mnl_attr_get_type(a);
        size_t n = mnl_attr_get_payload_len(a);

        if (type == CTA_PROTO_NUM && n == 1)
            t->proto = mnl_attr_get_u8(a);
        else if (type == CTA_PROTO_SRC_PORT && n == 2)
            t->from_port = ntohs(mnl_attr_get_u16(a));
        else if (type == CTA_PROTO_DST_PORT && n == 2)
            t->to_port = ntohs(mnl_attr_get_u16(a));
    }
}

static void parse_tuple(const struct nlattr *nest, struct tuple *t) {
    const struct nlattr *a;

    mnl_attr_for_each_nested(a, nest) {
        if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
            parse_ip(a, t);
        else if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO)
            parse_proto(a, t);
    }
}

/* ---- choosing -------------------------------------------------------------------------------- */
static const char *key_of(uint8_t proto, const struct ip *host, uint16_t host_port,
                          const struct ip *to, uint16_t to_port, char out[static KEY_TEXT]) {
    char at[IP_TEXT_MAX], text[IP_TEXT_MAX];

    (void)snprintf(out, KEY_TEXT, "%d %s %d %s %d", proto, ip_text(host, at), host_port,
                   ip_text(to, text), to_port); /* fits */
    return out;
}

static bool is_wanted(const struct walk *w, const struct tuple *orig, const struct tuple *reply,
                      uint32_t status) {
    const struct ip none = {0}, any = {.family = orig->to.family};
    bool translated = status & IPS_DST_NAT;
    /* The source of the answers is where a flow was translated to. */
    const struct ip *to = translated ? &reply->from : &none;
    uint16_t to_port = translated ? reply->from_port : 0;
    char key[KEY_TEXT];

    return map_get(&w->wanted, key_of(orig->proto, &orig->to, orig->to_port, to, to_port, key)) ||
           map_get(&w->wanted, key_of(orig->proto, &any, orig->to_port, to, to_port, key));
}

static void add_delete(struct walk *w, uint8_t family, const struct nlattr *const *keep, size_t n) {
    char room[1024];
    struct nlmsghdr *h = mnl_nlmsg_put_header(room);
    struct nfgenmsg *g;

    h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
    h->nlmsg_flags = NLM_F_REQUEST;
    h->nlmsg_seq = ++w->seq;
    g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = family;
    g->version = NFNETLINK_V0;
    for (size_t i = 0; i < n; i++)
        if (keep[i] && h->nlmsg_len + mnl_attr_get_len(keep[i]) + 8u < sizeof room)
            mnl_attr_put(h, keep[i]->nla_type, mnl_attr_get_payload_len(keep[i]),
                         mnl_attr_get_payload(keep[i]));
    (void)buf_append(&w->deletes, h, NLMSG_ALIGN(h->nlmsg_len)); /* the end of the walk asks */
}

static int on_entry(const struct nlmsghdr *h, void *arg) {
    const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
    const struct nlattr *a, *keep[3] = {0}; /* the tuple, zone and id name one entry */
    struct tuple orig = {0}, reply = {0};
    struct walk *w = arg;
    uint32_t status = 0;

    mnl_attr_for_each(a, h, sizeof *g) {
        switch (mnl_attr_get_type(a)) {
        case CTA_TUPLE_ORIG:
            parse_tuple(a, &orig);
            keep[0] = a;
            break;
        case CTA_TUPLE_REPLY:
            parse_tuple(a, &reply);
            break;
        case CTA_ZONE:
            keep[1] = a;
            break;
        case CTA_ID:
            keep[2] = a;
            break;
        case CTA_STATUS:
            if (mnl_attr_get_payload_len(a) == sizeof status)
                status = ntohl(mnl_attr_get_u32(a));
            break;
        default:
            break;
        }
    }
    if (keep[0] && is_wanted(w, &orig, &reply, status))
        add_delete(w, g->nfgen_family, keep, sizeof keep / sizeof *keep);
    return MNL_CB_OK;
}

/* ---- exchange -------------------------------------------------------------------------------- */
/* What the kernel is asked for. It then copies only that out of its table (5.8; an older one copies
 * everything, and all that comes is looked at in any case). */
struct question {
    int family;
    struct ip to;  /* translated to this address, or family 0 and ... */
    uint8_t proto; /* ... of this protocol; 0: everything */
};

static void put_filter(struct nlmsghdr *h, const struct question *q) {
    bool reply = ip_is_set(&q->to);
    uint32_t flags = reply ? CTA_FILTER_F_CTA_IP_SRC : CTA_FILTER_F_CTA_PROTO_NUM;
    struct nlattr *tuple, *nest;

    if (!reply && q->proto == 0)
        return;
    tuple = mnl_attr_nest_start(h, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
    nest = mnl_attr_nest_start(h, reply ? CTA_TUPLE_IP : CTA_TUPLE_PROTO);
    if (reply)
        mnl_attr_put(h, q->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC,
                     (size_t)ip_bits(&q->to) / 8, q->to.b);
    else
        mnl_attr_put_u8(h, CTA_PROTO_NUM, q->proto);
    mnl_attr_nest_end(h, nest);
    mnl_attr_nest_end(h, tuple);
    nest = mnl_attr_nest_start(h, CTA_FILTER);
    mnl_attr_put_u32(h, reply ? CTA_FILTER_REPLY_FLAGS : CTA_FILTER_ORIG_FLAGS, flags);
    mnl_attr_nest_end(h, nest);
}

static int ask(struct mnl_socket *s, const struct question *q, struct walk *w) {
    char room[65536];
    struct nlmsghdr *h = mnl_nlmsg_put_header(room);
    struct nfgenmsg *g;
    uint32_t seq = ++w->seq;
    int r;

    h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    h->nlmsg_seq = seq;
    g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = (uint8_t)q->family;
    g->version = NFNETLINK_V0;
    put_filter(h, q);
    if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
        return -errno;
    do {
        ssize_t n = mnl_socket_recvfrom(s, room, sizeof room);

        if (n < 0)
            return -errno;
        r = mnl_cb_run(room, (size_t)n, seq, mnl_socket_get_portid(s), on_entry, w);
    } while (r > MNL_CB_STOP);
    return r < 0 ? -errno : 0;
}

/* A walk of the table takes a millisecond or two, and each entry that is copied out of it counts: a
 * question for each address, as long as they are few. The number of questions. */
static size_t plan(const struct ct_match *m, size_t n, int family,
                   struct question out[static QUESTIONS_MAX]) {
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        struct question q = {family, m[i].to, ip_is_set(&m[i].to) ? 0 : m[i].proto};
        bool have = false;

        if (m[i].host.family != family)
            continue;
        for (size_t k = 0; k < count; k++)
            have = have || (ip_equal(&out[k].to, &q.to) && out[k].proto == q.proto);
        if (have)
            continue;
        if (count == QUESTIONS_MAX) {
            out[0] = (struct question){.family = family};
            return 1;
        }
        out[count++] = q;
    }
    return count;
}

/* Entries that have ended meanwhile are errors that nobody reads: the socket is closed. */
static int send_deletes(struct mnl_socket *s, const struct walk *w) {
    size_t at = 0;

    if (w->deletes.failed)
        return -E2BIG;
    while (at < w->deletes.len) {
        size_t n = 0;

        /* nfnetlink reads all messages of one datagram. */
        while (at + n < w->deletes.len && n < 16384) {
            struct nlmsghdr h;

            memcpy(&h, w->deletes.data + at + n, sizeof h);
            n += NLMSG_ALIGN(h.nlmsg_len);
        }
        if (mnl_socket_sendto(s, w->deletes.data + at, n) < 0)
            return -errno;
        at += n;
    }
    return 0;
}

/* The common case is that there is nothing, and the table has 262,144 rows. */
static bool table_is_empty(void) {
    auto_buf text = BUF_INIT;

    return io_read_file_at(AT_FDCWD, COUNT, &text) == 0 && text.len > 0 && text.data[0] == '0';
}

int conntrack_forget(const struct ct_match *m, size_t n) {
    struct walk w = {0};
    struct mnl_socket *s;
    char key[KEY_TEXT];
    int r = 0;

    if (table_is_empty())
        return 0;
    s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!s)
        return -errno;
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
        r = -errno;
    for (size_t i = 0; i < n; i++)
        (void)map_put(&w.wanted,
                      key_of(m[i].proto, &m[i].host, m[i].host_port, &m[i].to, m[i].to_port, key),
                      &w); /* a set: the value does not matter */
    for (int i = 0; i < 2; i++) {
        struct question q[QUESTIONS_MAX];
        size_t count = plan(m, n, i == 0 ? AF_INET : AF_INET6, q);

        for (size_t k = 0; k < count && r == 0; k++)
            r = ask(s, &q[k], &w);
    }
    if (r == 0)
        r = send_deletes(s, &w);
    (void)mnl_socket_close(s);
    map_done(&w.wanted);
    buf_done(&w.deletes);
    return r == -EINVAL ? -EOPNOTSUPP : r;
}
