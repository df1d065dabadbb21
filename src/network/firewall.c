/* SPDX-License-Identifier: Apache-2.0 */
#include "network/firewall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "network/firewall_internal.h"

#define WATCH_ROOM  (32 << 20) /* notifications: 100,000 elements of our own, too */
#define KEY_TEXT    128
#define CALL_BRIDGE "/proc/sys/net/bridge/bridge-nf-call-iptables"

static const size_t SIZES[FW_KIND_MAX_] = {
    [FW_NETWORK] = sizeof(struct fw_network), [FW_PORT] = sizeof(struct fw_port),
    [FW_LINK] = sizeof(struct fw_link),       [FW_GUARD] = sizeof(struct fw_guard),
    [FW_CUT] = sizeof(struct fw_cut),         [FW_LOSS] = sizeof(struct fw_loss),
};

/* ---- open, close ----------------------------------------------------------------------------- */
static int open_watch(void) {
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    int group = NFNLGRP_NFTABLES, room = WATCH_ROOM;
    auto_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);

    if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof self) < 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
        return -errno;
    /* Without it, a large change of ours would overrun the queue, and be taken for a loss. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    return take_fd(&fd);
}

int firewall_open(const char *table, struct firewall **ret) {
    struct firewall *f = xnew(struct firewall);
    int r;

    f->watch = -1;
    f->cutter = cutter_new();
    f->table = xstrdup(table);
    r = nft_sock_open(&f->sock);
    if (r == 0)
        r = nft_probe(&f->sock);
    if (r == 0)
        r = f->watch = open_watch();
    if (r < 0) {
        firewall_close(f);
        return r;
    }
    *ret = f;
    return 0;
}

static void drop_ops(struct firewall *f) {
    for (size_t i = 0; i < f->op_count; i++) {
        free(f->ops[i].key);
        free(f->ops[i].before);
    }
    free(f->ops);
    f->ops = NULL;
    f->op_count = 0;
}

void firewall_close(struct firewall *f) {
    if (!f)
        return;
    drop_ops(f);
    cutter_free(f->cutter);
    for (int i = 0; i < FW_KIND_MAX_; i++)
        map_clear(&f->objects[i], free);
    nft_sock_close(&f->sock);
    fd_close(f->watch);
    free(f->table);
    free(f);
}

void firewall_withdraw(struct firewall *f) {
    static const uint8_t FAMILY[] = {NFPROTO_INET, NFPROTO_BRIDGE};

    fw_foreign_withdraw(f);
    for (size_t i = 0; i < sizeof FAMILY; i++) {
        struct nft_batch b;

        nft_batch_begin(&b, &f->sock);
        b.family = FAMILY[i];
        b.table = f->table;
        nft_table_delete(&b);
        (void)nft_batch_send(&f->sock, &b); /* nothing is left to do about it */
        nft_batch_done(&b);
    }
    f->written = false;
}

/* ---- writing --------------------------------------------------------------------------------- */
static void put_elems(const struct firewall *f, struct nft_batch *b, const struct fw_elems *all) {
    for (int set = 0; set < FW_SET_MAX_; set++) {
        struct nlattr *list = NULL;
        bool adding = false;
        size_t n = 0;

        b->family = set >= FW_SET_BRIDGE ? NFPROTO_BRIDGE : NFPROTO_INET;
        b->table = f->table;
        for (size_t i = 0; i < all->n; i++) {
            const struct fw_elem *e = &all->v[i];

            if ((int)e->set != set)
                continue;
            if (list && (n == NFT_ELEMS_MAX || adding != e->add)) {
                nft_elems_end(b, list);
                list = NULL;
            }
            if (!list) {
                list = nft_elems_begin(b, e->add, fw_sets[set].name);
                adding = e->add;
                n = 0;
            }
            nft_elem(b, &fw_sets[set], &e->e, e->add);
            n++;
        }
        if (list)
            nft_elems_end(b, list);
    }
}

static bool number_is_set(const char *path) {
    auto_buf text = BUF_INIT;

    return io_read_file_at(AT_FDCWD, path, &text) == 0 && text.len > 0 && text.data[0] != '0';
}

/* Everything, in one transaction. */
static int write_whole(struct firewall *f) {
    const struct fw_faults with = {f->objects[FW_CUT].count > 0, f->objects[FW_LOSS].count > 0};
    struct fw_elems all = {0};
    struct nft_batch b;
    int r;

    f->br_netfilter = number_is_set(CALL_BRIDGE);
    for (int kind = 0; kind < FW_KIND_MAX_; kind++)
        map_for_each (m, &f->objects[kind]) {
            fw_elements(f, (enum fw_kind)kind, m->value, true, &all);
        }
    nft_batch_begin(&b, &f->sock);
    b.table = f->table;
    b.family = NFPROTO_INET;
    fw_put_inet(&b, with);
    if (!f->no_bridge) {
        b.family = NFPROTO_BRIDGE;
        fw_put_bridge(&b, with);
    }
    put_elems(f, &b, &all);
    r = nft_batch_send(&f->sock, &b);
    nft_batch_done(&b);
    free(all.v);
    return r;
}

/* The first time, the kernel shows what it has. */
static int write_first(struct firewall *f) {
    int r = write_whole(f);

    if (r == 0 || f->no_bridge)
        return r;
    f->no_bridge = true;
    if (write_whole(f) < 0) {
        const char *missing = fw_missing(f);

        f->no_bridge = false;
        if (missing) {
            log_error("this kernel's nf_tables lacks something that networks need", "part",
                      missing);
            return -EOPNOTSUPP;
        }
        return r; /* that was not it */
    }
    log_warn("this kernel has no nf_tables for bridges (CONFIG_NF_TABLES_BRIDGE): containers of "
             "one network can use each other's addresses, and --icc=false needs br_netfilter");
    return 0;
}

static bool same_elems(const struct fw_elems *all, size_t from, size_t middle) {
    size_t n = middle - from;

    if (all->n - middle != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct fw_elem *a = &all->v[from + i], *b = &all->v[middle + i];

        if (a->set != b->set || memcmp(&a->e, &b->e, sizeof a->e) != 0)
            return false;
    }
    return true;
}

/* What has changed since the last commit. */
static int write_changes(struct firewall *f) {
    struct fw_elems all = {0};
    struct nft_batch b;
    int r = 0;

    for (size_t i = 0; i < f->op_count; i++) {
        const struct fw_op *op = &f->ops[i];
        size_t from = all.n, middle;

        if (op->before)
            fw_elements(f, op->kind, op->before, false, &all);
        middle = all.n;
        if (op->after)
            fw_elements(f, op->kind, op->after, true, &all);
        if (same_elems(&all, from, middle))
            all.n = from;
        /* Elements that two ports may have in common are not counted: see below. */
        if (op->kind == FW_PORT && all.n - from > (op->before ? 1 : 0) + (op->after ? 1u : 0))
            r = -EAGAIN;
    }
    if (r == 0 && all.n > 0) {
        nft_batch_begin(&b, &f->sock);
        put_elems(f, &b, &all);
        r = nft_batch_send(&f->sock, &b);
        nft_batch_done(&b);
    }
    free(all.v);
    return r;
}

/* A network without icc decides about ports and guards too; faults change the ruleset. */
static bool needs_whole(const struct firewall *f) {
    if (!f->written)
        return true;
    for (size_t i = 0; i < f->op_count; i++) {
        const struct fw_network *a = f->ops[i].before, *b = f->ops[i].after;

        if (f->ops[i].kind == FW_CUT || f->ops[i].kind == FW_LOSS)
            return true;
        if (f->ops[i].kind == FW_NETWORK && ((a && !a->icc) || (b && !b->icc)))
            return true;
    }
    return false;
}

/* ---- connections ----------------------------------------------------------------------------- */
static void forget_flows(struct firewall *f) {
    struct ct_match *m = xcalloc(2 * f->op_count + 1, sizeof *m);
    size_t n = 0;

    for (size_t i = 0; i < f->op_count; i++) {
        const struct fw_port *a = f->ops[i].before, *b = f->ops[i].after;

        if (f->ops[i].kind != FW_PORT)
            continue;
        if (a && b && ip_equal(&a->to, &b->to) && a->to_port == b->to_port)
            continue;
        if (a)
            m[n++] = (struct ct_match){a->proto, a->host, a->host_port, a->to, a->to_port};
        /* A client that went on sending while nobody was there has a flow to the host itself. */
        if (b && b->proto == IPPROTO_UDP)
            m[n++] = (struct ct_match){b->proto, b->host, b->host_port, {0}, 0};
    }
    cutter_add(f->cutter, m, n);
    free(m);
}

/* What is published now must not be met by what the last commits are cutting. */
static void wait_for_cuts(struct firewall *f) {
    for (size_t i = 0; i < f->op_count; i++) {
        const struct fw_port *p = f->ops[i].after;

        if (f->ops[i].kind == FW_PORT && p)
            cutter_wait_port(f->cutter, p->proto, p->host_port);
    }
}

/* ---- transactions ---------------------------------------------------------------------------- */
static void roll_back(struct firewall *f) {
    for (size_t i = f->op_count; i > 0; i--) {
        struct fw_op *op = &f->ops[i - 1];
        void *gone = op->before ? map_put(&f->objects[op->kind], op->key, op->before)
                                : map_del(&f->objects[op->kind], op->key);

        free(gone);
        op->before = NULL;
    }
    drop_ops(f);
}

static int commit(struct firewall *f) {
    bool networks = !f->written;
    int r = -EAGAIN;

    if (f->op_count == 0 && f->written)
        return 0;
    wait_for_cuts(f);
    if (!needs_whole(f))
        r = write_changes(f);
    /* Somebody may have taken an element away; then the whole is the answer. */
    if (r < 0)
        r = f->written ? write_whole(f) : write_first(f);
    if (r < 0) {
        roll_back(f);
        return r;
    }
    f->written = true;
    for (size_t i = 0; i < f->op_count; i++)
        networks = networks || f->ops[i].kind == FW_NETWORK;
    forget_flows(f);
    drop_ops(f);
    if (networks)
        fw_foreign_apply(f);
    return 0;
}

void firewall_begin(struct firewall *f) {
    f->in_batch = true;
}

int firewall_commit(struct firewall *f) {
    f->in_batch = false;
    return commit(f);
}

static int unless_batch(struct firewall *f) {
    return f->in_batch ? 0 : commit(f);
}

/* `object` NULL: goes. */
static void change(struct firewall *f, enum fw_kind kind, const char *key, const void *object) {
    void *after = object ? xmemdup(object, SIZES[kind]) : NULL;
    void *before = after ? map_put(&f->objects[kind], key, after) : map_del(&f->objects[kind], key);

    if (!before && !after)
        return;
    if ((f->op_count & (f->op_count - 1)) == 0) /* full at each power of two */
        f->ops = xreallocarray(f->ops, f->op_count ? f->op_count * 2 : 1, sizeof *f->ops);
    f->ops[f->op_count++] = (struct fw_op){kind, xstrdup(key), before, after};
}

/* ---- objects --------------------------------------------------------------------------------- */
int firewall_network_put(struct firewall *f, const struct fw_network *n) {
    if (str_empty(n->bridge) || n->subnet_count > sizeof n->subnets / sizeof *n->subnets)
        return -EINVAL;
    change(f, FW_NETWORK, n->bridge, n);
    return unless_batch(f);
}

int firewall_network_del(struct firewall *f, const char *bridge) {
    change(f, FW_NETWORK, bridge, NULL);
    return unless_batch(f);
}

static const char *port_key(const struct fw_port *p, char out[static KEY_TEXT]) {
    unsigned char raw[1 + 16 + 2] = {p->proto};

    memcpy(raw + 1, p->host.b, 16);
    raw[17] = (unsigned char)(p->host_port >> 8);
    raw[18] = (unsigned char)p->host_port;
    out[0] = p->host.family == AF_INET ? '4' : '6';
    hex_encode(raw, sizeof raw, out + 1);
    return out;
}

int firewall_ports_put(struct firewall *f, const struct fw_port *p, size_t n) {
    char key[KEY_TEXT];

    for (size_t i = 0; i < n; i++)
        if (!ip_is_set(&p[i].host) || p[i].host.family != p[i].to.family ||
            ip_is_loopback(&p[i].host) || p[i].host_port == 0 || p[i].to_port == 0)
            return -EINVAL;
    for (size_t i = 0; i < n; i++)
        change(f, FW_PORT, port_key(&p[i], key), &p[i]);
    return unless_batch(f);
}

int firewall_ports_del(struct firewall *f, const struct fw_port *p, size_t n) {
    char key[KEY_TEXT];

    for (size_t i = 0; i < n; i++)
        change(f, FW_PORT, port_key(&p[i], key), NULL);
    return unless_batch(f);
}

static const char *link_key(const struct fw_link *l, char out[static KEY_TEXT]) {
    unsigned char raw[16 + 16 + 1 + 2];

    memcpy(raw, l->from.b, 16);
    memcpy(raw + 16, l->to.b, 16);
    raw[32] = l->proto;
    raw[33] = (unsigned char)(l->port >> 8);
    raw[34] = (unsigned char)l->port;
    out[0] = l->to.family == AF_INET ? '4' : '6';
    hex_encode(raw, sizeof raw, out + 1);
    return out;
}

int firewall_links_put(struct firewall *f, const struct fw_link *l, size_t n) {
    char key[KEY_TEXT];

    for (size_t i = 0; i < n; i++)
        if (!ip_is_set(&l[i].to) || l[i].from.family != l[i].to.family)
            return -EINVAL;
    for (size_t i = 0; i < n; i++)
        change(f, FW_LINK, link_key(&l[i], key), &l[i]);
    return unless_batch(f);
}

int firewall_links_del(struct firewall *f, const struct fw_link *l, size_t n) {
    char key[KEY_TEXT];

    for (size_t i = 0; i < n; i++)
        change(f, FW_LINK, link_key(&l[i], key), NULL);
    return unless_batch(f);
}

int firewall_guard_put(struct firewall *f, const struct fw_guard *g) {
    if (str_empty(g->host_if) || g->count > sizeof g->addresses / sizeof *g->addresses)
        return -EINVAL;
    change(f, FW_GUARD, g->host_if, g);
    return unless_batch(f);
}

int firewall_guard_del(struct firewall *f, const char *host_if) {
    change(f, FW_GUARD, host_if, NULL);
    return unless_batch(f);
}

/* ---- faults ---------------------------------------------------------------------------------- */
static const char *cut_key(const struct fw_cut *c, char out[static KEY_TEXT]) {
    bool swap = memcmp(c->a.b, c->b.b, sizeof c->a.b) > 0; /* a pair has no order */
    char a[IP_TEXT_MAX], b[IP_TEXT_MAX];

    (void)snprintf(out, KEY_TEXT, "%s %s", ip_text(swap ? &c->b : &c->a, a),
                   ip_text(swap ? &c->a : &c->b, b)); /* fits */
    return out;
}

int firewall_cuts_put(struct firewall *f, const struct fw_cut *c, size_t n) {
    char key[KEY_TEXT];

    if (f->no_bridge)
        return -EOPNOTSUPP;
    for (size_t i = 0; i < n; i++)
        if (!ip_is_set(&c[i].a) || c[i].a.family != c[i].b.family)
            return -EINVAL;
    for (size_t i = 0; i < n; i++)
        change(f, FW_CUT, cut_key(&c[i], key), &c[i]);
    return unless_batch(f);
}

int firewall_cuts_del(struct firewall *f, const struct fw_cut *c, size_t n) {
    char key[KEY_TEXT];

    for (size_t i = 0; i < n; i++)
        change(f, FW_CUT, cut_key(&c[i], key), NULL);
    return unless_batch(f);
}

int firewall_loss_put(struct firewall *f, const struct fw_loss *l) {
    if (f->no_bridge)
        return -EOPNOTSUPP;
    if (str_empty(l->host_if) || l->permille < 1 || l->permille > 1000)
        return -EINVAL;
    change(f, FW_LOSS, l->host_if, l);
    return unless_batch(f);
}

int firewall_loss_del(struct firewall *f, const char *host_if) {
    change(f, FW_LOSS, host_if, NULL);
    return unless_batch(f);
}

/* ---- notifications --------------------------------------------------------------------------- */
/* Every object's message names its table in attribute 1. */
static bool names_table(const struct nlmsghdr *h, const char *table) {
    const struct nlattr *a;

    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(a) == NFTA_TABLE_NAME)
            return mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 &&
                   str_eq(mnl_attr_get_str(a), table);
    }
    return false;
}

struct seen {
    bool ours, others, lost;
};

static void look(const struct firewall *f, const struct nlmsghdr *h, struct seen *s) {
    const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);

    if (h->nlmsg_pid == f->sock.port || h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
        h->nlmsg_len < NLMSG_LENGTH(sizeof *g))
        return;
    switch (h->nlmsg_type & 0xff) {
    case NFT_MSG_DELTABLE:
    case NFT_MSG_DELCHAIN:
    case NFT_MSG_DELRULE:
    case NFT_MSG_DELSET:
    case NFT_MSG_DELSETELEM:
        if ((g->nfgen_family == NFPROTO_INET || g->nfgen_family == NFPROTO_BRIDGE) &&
            names_table(h, f->table))
            s->ours = true;
        else
            s->others = true;
        break;
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_NEWRULE:
        s->others = true;
        break;
    default:
        break;
    }
}

static struct seen drain(struct firewall *f) {
    struct seen s = {0};
    char room[32768];

    for (;;) {
        ssize_t n = recv(f->watch, room, sizeof room, 0);
        const struct nlmsghdr *h = (const struct nlmsghdr *)room;
        int left = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ENOBUFS) {
            s.lost = true;
            continue;
        }
        if (n < 0)
            return s;
        for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
            look(f, h, &s);
    }
}

int firewall_fd(const struct firewall *f) {
    return f->watch;
}

bool firewall_on_event(struct firewall *f) {
    struct seen s = drain(f);
    bool repaired = false;

    if (f->written && (s.ours || s.lost)) {
        int r = write_whole(f);

        if (r < 0)
            log_error("the nf_tables rules were removed by somebody and could not be written again",
                      "error", strerror(-r));
        else if (s.ours)
            log_warn("the nf_tables rules were removed by somebody and are written again");
        repaired = s.ours;
        /* What was lost by our own writing must not make us write for ever. */
        s.others = drain(f).others || s.others || s.lost;
    }
    if (f->written && s.others)
        fw_foreign_apply(f);
    return repaired;
}
