/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "network/firewall_internal.h"

/* Parts of a key take whole words of 4 bytes. */
#define W_IF    16u
#define W_IP4   4u
#define W_IP6   16u
#define W_MAC   8u
#define W_PROTO 4u
#define W_PORT  4u
#define W_MARK  4u

#define LINK4                                                                                      \
    NFT_CONCAT4(NFT_T_IPV4, NFT_T_IPV4, NFT_T_PROTO, NFT_T_PORT), 2 * W_IP4 + W_PROTO + W_PORT
#define LINK6                                                                                      \
    NFT_CONCAT4(NFT_T_IPV6, NFT_T_IPV6, NFT_T_PROTO, NFT_T_PORT), 2 * W_IP6 + W_PROTO + W_PORT
#define PORT  NFT_CONCAT2(NFT_T_PROTO, NFT_T_PORT), W_PROTO + W_PORT
#define AT4   NFT_CONCAT3(NFT_T_PROTO, NFT_T_IPV4, NFT_T_PORT), W_PROTO + W_IP4 + W_PORT
#define AT6   NFT_CONCAT3(NFT_T_PROTO, NFT_T_IPV6, NFT_T_PORT), W_PROTO + W_IP6 + W_PORT
#define PAIR4 NFT_CONCAT2(NFT_T_IPV4, NFT_T_IPV4), 2 * W_IP4
#define PAIR6 NFT_CONCAT2(NFT_T_IPV6, NFT_T_IPV6), 2 * W_IP6
#define TO4   NFT_CONCAT2(NFT_T_IPV4, NFT_T_PORT), W_IP4 + W_PORT
#define TO6   NFT_CONCAT2(NFT_T_IPV6, NFT_T_PORT), W_IP6 + W_PORT

/* clang-format off */
const struct nft_set fw_sets[FW_SET_MAX_] = {
    [FW_BRIDGES]      = {"bridges", NFT_T_IF, W_IF, 0, 0, false},
    [FW_SAME]         = {"same", NFT_CONCAT2(NFT_T_IF, NFT_T_IF), 2 * W_IF, 0, 0, false},
    [FW_CLOSED]       = {"closed", NFT_T_IF, W_IF, 0, 0, false},
    [FW_INTERNAL]     = {"internal", NFT_T_IF, W_IF, 0, 0, false},
    [FW_ROUTED4]      = {"routed4", NFT_T_IF, W_IF, 0, 0, false},
    [FW_ROUTED6]      = {"routed6", NFT_T_IF, W_IF, 0, 0, false},
    [FW_MASQ4]        = {"masq4", NFT_T_IF, W_IF, 0, 0, false},
    [FW_MASQ6]        = {"masq6", NFT_T_IF, W_IF, 0, 0, false},
    [FW_SNAT4]        = {"snat4", NFT_T_IF, W_IF, NFT_T_IPV4, W_IP4, false},
    [FW_SNAT6]        = {"snat6", NFT_T_IF, W_IF, NFT_T_IPV6, W_IP6, false},
    [FW_NETS4]        = {"nets4", NFT_T_IPV4, W_IP4, 0, 0, true},
    [FW_NETS6]        = {"nets6", NFT_T_IPV6, W_IP6, 0, 0, true},
    [FW_PORTS4]       = {"ports4", PORT, TO4, false},
    [FW_PORTS6]       = {"ports6", PORT, TO6, false},
    [FW_PORTS4_AT]    = {"ports4_at", AT4, TO4, false},
    [FW_PORTS6_AT]    = {"ports6_at", AT6, TO6, false},
    [FW_LINKS4]       = {"links4", LINK4, 0, 0, false},
    [FW_LINKS6]       = {"links6", LINK6, 0, 0, false},
    [FW_CUTS4]        = {"cuts4", PAIR4, 0, 0, false},
    [FW_CUTS6]        = {"cuts6", PAIR6, 0, 0, false},
    [FW_GUARDED]      = {"guarded", NFT_T_IF, W_IF, 0, 0, false},
    [FW_GUARD_MAC]    = {"macs", NFT_CONCAT2(NFT_T_IF, NFT_T_ETHER), W_IF + W_MAC, 0, 0, false},
    [FW_GUARD_IP4]    = {"addresses4", NFT_CONCAT2(NFT_T_IF, NFT_T_IPV4), W_IF + W_IP4, 0, 0, false},
    [FW_GUARD_IP6]    = {"addresses6", NFT_CONCAT2(NFT_T_IF, NFT_T_IPV6), W_IF + W_IP6, 0, 0, false},
    [FW_CLOSED_PORTS] = {"closed_ports", NFT_T_IF, W_IF, 0, 0, false},
    [FW_BLINKS4]      = {"links4", LINK4, 0, 0, false},
    [FW_BLINKS6]      = {"links6", LINK6, 0, 0, false},
    [FW_TARGETS4]     = {"targets4", AT4, 0, 0, false},
    [FW_TARGETS6]     = {"targets6", AT6, 0, 0, false},
    [FW_BCUTS4]       = {"cuts4", PAIR4, 0, 0, false},
    [FW_BCUTS6]       = {"cuts6", PAIR6, 0, 0, false},
    [FW_LOSSY]        = {"lossy", NFT_T_IF, W_IF, 0, 0, false},
    [FW_LOSSES]       = {"losses", NFT_CONCAT2(NFT_T_IF, NFT_T_MARK), W_IF + W_MARK, 0, 0, false},
};
/* clang-format on */

/* ---- keys ------------------------------------------------------------------------------------ */
struct key {
    unsigned char *at;
};

static void add_bytes(struct key *k, const void *p, size_t n, size_t words_size) {
    memcpy(k->at, p, n); /* the rest of the last word is 0 */
    k->at += words_size;
}

static void add_if(struct key *k, const char *name) {
    add_bytes(k, name, strnlen(name, IFNAMSIZ - 1), W_IF);
}

static void add_ip(struct key *k, const struct ip *ip) {
    size_t n = (size_t)ip_bits(ip) / 8;

    add_bytes(k, ip->b, n, n);
}

static void add_port(struct key *k, uint16_t port) {
    uint16_t wire = htons(port);

    add_bytes(k, &wire, sizeof wire, W_PORT);
}

static void add_proto(struct key *k, uint8_t proto) {
    add_bytes(k, &proto, 1, W_PROTO);
}

static struct nft_elem *elem(struct fw_elems *out, enum fw_set set, bool add) {
    struct fw_elem *e;

    if ((out->n & (out->n - 1)) == 0) /* full at each power of two */
        out->v = xreallocarray(out->v, out->n ? out->n * 2 : 1, sizeof *out->v);
    e = &out->v[out->n++];
    *e = (struct fw_elem){.set = set, .add = add};
    return &e->e;
}

static void elem_if(struct fw_elems *out, enum fw_set set, bool add, const char *name) {
    add_if(&(struct key){elem(out, set, add)->key}, name);
}

/* ---- networks -------------------------------------------------------------------------------- */
static void subnet(struct fw_elems *out, bool add, const struct cidr *c) {
    enum fw_set set = c->ip.family == AF_INET ? FW_NETS4 : FW_NETS6;
    struct cidr network = cidr_network(c);
    struct nft_elem *e = elem(out, set, add);
    int bit = network.prefix - 1;

    add_ip(&(struct key){e->key}, &network.ip);
    /* The end is what follows: 1 is added to the network's part. */
    for (; bit >= 0; bit--) {
        network.ip.b[bit / 8] ^= (unsigned char)(0x80u >> bit % 8);
        if (network.ip.b[bit / 8] & (0x80u >> bit % 8))
            break;
    }
    if (bit < 0)
        return; /* up to the last address there is */
    e = elem(out, set, add);
    e->end = true;
    add_ip(&(struct key){e->key}, &network.ip);
}

static void network(const struct fw_network *n, bool add, struct fw_elems *out) {
    struct key k;

    elem_if(out, FW_BRIDGES, add, n->bridge);
    k.at = elem(out, FW_SAME, add)->key;
    add_if(&k, n->bridge);
    add_if(&k, n->bridge);
    if (!n->icc)
        elem_if(out, FW_CLOSED, add, n->bridge);
    if (n->internal)
        elem_if(out, FW_INTERNAL, add, n->bridge);
    for (size_t i = 0; i < n->subnet_count && i < sizeof n->subnets / sizeof *n->subnets; i++)
        if (ip_is_set(&n->subnets[i].ip))
            subnet(out, add, &n->subnets[i]);
    for (int i = 0; i < 2; i++) {
        bool routed = i == 0 ? n->routed4 : n->routed6;
        const struct ip *snat = NULL;

        for (int j = 0; j < 2; j++)
            if (n->snat[j].family == (i == 0 ? AF_INET : AF_INET6))
                snat = &n->snat[j];
        if (routed) {
            elem_if(out, i == 0 ? FW_ROUTED4 : FW_ROUTED6, add, n->bridge);
        } else if (n->masquerade && snat) {
            struct nft_elem *e = elem(out, i == 0 ? FW_SNAT4 : FW_SNAT6, add);

            add_if(&(struct key){e->key}, n->bridge);
            add_ip(&(struct key){e->data}, snat);
        } else if (n->masquerade) {
            elem_if(out, i == 0 ? FW_MASQ4 : FW_MASQ6, add, n->bridge);
        }
    }
}

/* The network whose subnet has the address; NULL. */
static const struct fw_network *network_of(const struct firewall *f, const struct ip *ip) {
    map_for_each (m, &f->objects[FW_NETWORK]) {
        const struct fw_network *n = m->value;

        for (size_t i = 0; i < n->subnet_count; i++)
            if (cidr_has(&n->subnets[i], ip))
                return n;
    }
    return NULL;
}

/* ---- ports, links, guards -------------------------------------------------------------------- */
static void port(const struct firewall *f, const struct fw_port *p, bool add,
                 struct fw_elems *out) {
    bool v4 = p->to.family == AF_INET, any = ip_is_any(&p->host);
    const struct fw_network *n = map_get(&f->objects[FW_NETWORK], p->bridge);
    struct nft_elem *e =
        elem(out, any ? (v4 ? FW_PORTS4 : FW_PORTS6) : (v4 ? FW_PORTS4_AT : FW_PORTS6_AT), add);
    struct key k = {e->key};

    add_proto(&k, p->proto);
    if (!any)
        add_ip(&k, &p->host);
    add_port(&k, p->host_port);
    k.at = e->data;
    add_ip(&k, &p->to);
    add_port(&k, p->to_port);
    if (!n || n->icc || !f->br_netfilter || f->no_bridge)
        return;
    k.at = elem(out, v4 ? FW_TARGETS4 : FW_TARGETS6, add)->key;
    add_proto(&k, p->proto);
    add_ip(&k, &p->to);
    add_port(&k, p->to_port);
}

static void one_link(const struct fw_link *l, enum fw_set set, bool add, struct fw_elems *out) {
    struct key k = {elem(out, set, add)->key};

    add_ip(&k, &l->from);
    add_ip(&k, &l->to);
    add_proto(&k, l->proto);
    add_port(&k, l->port);
}

static void guard(const struct firewall *f, const struct fw_guard *g, bool add,
                  struct fw_elems *out) {
    bool closed = false;
    struct key k;

    elem_if(out, FW_GUARDED, add, g->host_if);
    k.at = elem(out, FW_GUARD_MAC, add)->key;
    add_if(&k, g->host_if);
    add_bytes(&k, g->mac, sizeof g->mac, W_MAC);
    for (size_t i = 0; i < g->count && i < sizeof g->addresses / sizeof *g->addresses; i++) {
        const struct ip *ip = &g->addresses[i];
        const struct fw_network *n = network_of(f, ip);

        if (!ip_is_set(ip))
            continue;
        k.at = elem(out, ip->family == AF_INET ? FW_GUARD_IP4 : FW_GUARD_IP6, add)->key;
        add_if(&k, g->host_if);
        add_ip(&k, ip);
        closed = closed || (n && !n->icc);
    }
    if (closed)
        elem_if(out, FW_CLOSED_PORTS, add, g->host_if);
}

/* ---- faults ---------------------------------------------------------------------------------- */
static void cut(const struct fw_cut *c, bool add, struct fw_elems *out) {
    bool v4 = c->a.family == AF_INET;

    for (int i = 0; i < 4; i++) { /* both tables, both directions */
        enum fw_set set = i < 2 ? (v4 ? FW_CUTS4 : FW_CUTS6) : (v4 ? FW_BCUTS4 : FW_BCUTS6);
        struct key k = {elem(out, set, add)->key};

        add_ip(&k, i % 2 ? &c->a : &c->b);
        add_ip(&k, i % 2 ? &c->b : &c->a);
    }
}

static void loss(const struct fw_loss *l, bool add, struct fw_elems *out) {
    elem_if(out, FW_LOSSY, add, l->host_if);
    for (uint32_t i = 0; i < l->permille; i++) {
        struct key k = {elem(out, FW_LOSSES, add)->key};

        add_if(&k, l->host_if);
        add_bytes(&k, &i, sizeof i, W_MARK);
    }
}

void fw_elements(const struct firewall *f, enum fw_kind kind, const void *object, bool add,
                 struct fw_elems *out) {
    if (kind == FW_NETWORK) {
        network(object, add, out);
    } else if (kind == FW_PORT) {
        port(f, object, add, out);
    } else if (kind == FW_LINK) {
        const struct fw_link *l = object;
        bool v4 = l->to.family == AF_INET;

        one_link(l, v4 ? FW_LINKS4 : FW_LINKS6, add, out);
        if (!f->no_bridge)
            one_link(l, v4 ? FW_BLINKS4 : FW_BLINKS6, add, out);
    } else if (kind == FW_GUARD && !f->no_bridge) {
        guard(f, object, add, out);
    } else if (kind == FW_CUT) {
        cut(object, add, out);
    } else if (kind == FW_LOSS) {
        loss(object, add, out);
    }
}
