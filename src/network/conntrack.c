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

#define COUNT    "/proc/sys/net/netfilter/nf_conntrack_count"
#define KEY_TEXT 96

struct tuple {
    struct ip from, to;
    uint16_t from_port, to_port;
    uint8_t proto;
};

struct walk {
    struct map wanted; /* key of a match -> struct ct_match */
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
static const char *key_of(uint8_t proto, uint16_t host_port, const struct ip *to, uint16_t to_port,
                          char out[static KEY_TEXT]) {
    char text[IP_TEXT_MAX];

    (void)snprintf(out, KEY_TEXT, "%d %d %s %d", proto, host_port, ip_text(to, text),
                   to_port); /* fits */
    return out;
}

static bool is_wanted(const struct walk *w, const struct tuple *orig, const struct tuple *reply,
                      uint32_t status) {
    const struct ip none = {0};
    const struct ct_match *m;
    char key[KEY_TEXT];

    /* The source of the answers is where a flow was translated to. */
    if (status & IPS_DST_NAT)
        m = map_get(&w->wanted,
                    key_of(orig->proto, orig->to_port, &reply->from, reply->from_port, key));
    else
        m = map_get(&w->wanted, key_of(orig->proto, orig->to_port, &none, 0, key));
    return m && m->host.family == orig->to.family &&
           (ip_is_any(&m->host) || ip_equal(&m->host, &orig->to));
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
static int dump(struct mnl_socket *s, int family, struct walk *w) {
    char room[65536];
    struct nlmsghdr *h = mnl_nlmsg_put_header(room);
    struct nfgenmsg *g;
    uint32_t seq = ++w->seq;
    int r;

    h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    h->nlmsg_seq = seq;
    g = mnl_nlmsg_put_extra_header(h, sizeof *g);
    g->nfgen_family = (uint8_t)family;
    g->version = NFNETLINK_V0;
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

static bool has_family(const struct ct_match *m, size_t n, int family) {
    for (size_t i = 0; i < n; i++)
        if (m[i].host.family == family)
            return true;
    return false;
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
        (void)map_put(&w.wanted, key_of(m[i].proto, m[i].host_port, &m[i].to, m[i].to_port, key),
                      (void *)(uintptr_t)&m[i]);
    if (r == 0 && has_family(m, n, AF_INET))
        r = dump(s, AF_INET, &w);
    if (r == 0 && has_family(m, n, AF_INET6))
        r = dump(s, AF_INET6, &w);
    if (r == 0)
        r = send_deletes(s, &w);
    (void)mnl_socket_close(s);
    map_done(&w.wanted);
    buf_done(&w.deletes);
    return r == -EINVAL ? -EOPNOTSUPP : r;
}
