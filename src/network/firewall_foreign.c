/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Tables of others. A packet must be accepted in every base chain of a hook, so our accept is of no
 * use against the drop of somebody else's chain on forward. Where such a chain is made for rules of
 * others (iptables' FORWARD, Docker's DOCKER-USER in it, firewalld's), two rules for each bridge
 * are put there,
 *
 *     iifname "fence0" counter accept comment "fence"
 *     oifname "fence0" counter accept comment "fence"
 *
 * in words that iptables-nft can print. They come behind whatever else is there, only before what
 * drops without a condition: explicit rules of the administrator stay in force, and our own table
 * decides about the bridges in any case.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "network/firewall_internal.h"
#include "network/legacy_tables.h"

#define DEPTH_MAX 8
#define COMMENT   128

/* A base chain on forward, of somebody else. */
struct chain {
    uint8_t family;
    bool policy_drops;
    char *table, *name;
};

struct rule {
    uint64_t handle;
    bool conditional;
    bool drops; /* or rejects */
    bool returns;
    char *jump;  /* to this chain */
    bool tagged; /* ours */
    bool out;    /* oifname */
    char *bridge;
};

struct chains {
    const struct firewall *f;
    struct chain *v;
    size_t n;
};

struct rules {
    const struct firewall *f;
    struct rule *v;
    size_t n;
};

static void chains_done(struct chains *c) {
    for (size_t i = 0; i < c->n; i++) {
        free(c->v[i].table);
        free(c->v[i].name);
    }
    free(c->v);
}

static void rules_done(struct rules *r) {
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].jump);
        free(r->v[i].bridge);
    }
    free(r->v);
}

/* ---- reading --------------------------------------------------------------------------------- */
static const char *text_of(const struct nlattr *a) {
    return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(a) : NULL;
}

static uint32_t number_of(const struct nlattr *a) {
    return a && mnl_attr_get_payload_len(a) == 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static const struct nlattr *nested(const struct nlattr *nest, unsigned type) {
    const struct nlattr *a;

    if (!nest)
        return NULL;
    mnl_attr_for_each_nested(a, nest) {
        if (mnl_attr_get_type(a) == type)
            return a;
    }
    return NULL;
}

static const struct nlattr *attribute(const struct nlmsghdr *h, unsigned type) {
    const struct nlattr *a;

    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(a) == type)
            return a;
    }
    return NULL;
}

static void on_chain(void *arg, const struct nlmsghdr *h) {
    const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
    const struct nlattr *hook = attribute(h, NFTA_CHAIN_HOOK);
    const char *table = text_of(attribute(h, NFTA_CHAIN_TABLE));
    const char *name = text_of(attribute(h, NFTA_CHAIN_NAME));
    struct chains *c = arg;

    if (!hook || !table || !name || str_eq(table, c->f->table) ||
        (g->nfgen_family != NFPROTO_IPV4 && g->nfgen_family != NFPROTO_IPV6 &&
         g->nfgen_family != NFPROTO_INET) ||
        !str_eq(text_of(attribute(h, NFTA_CHAIN_TYPE)), "filter") ||
        number_of(nested(hook, NFTA_HOOK_HOOKNUM)) != NF_INET_FORWARD)
        return;
    c->v = xreallocarray(c->v, c->n + 1, sizeof *c->v);
    c->v[c->n++] = (struct chain){
        .family = g->nfgen_family,
        .policy_drops = attribute(h, NFTA_CHAIN_POLICY) &&
                        number_of(attribute(h, NFTA_CHAIN_POLICY)) == NF_DROP,
        .table = xstrdup(table),
        .name = xstrdup(name),
    };
}

static void read_verdict(const struct nlattr *data, struct rule *r) {
    const struct nlattr *v = nested(nested(data, NFTA_IMMEDIATE_DATA), NFTA_DATA_VERDICT);
    int32_t code = (int32_t)number_of(nested(v, NFTA_VERDICT_CODE));

    if (!v)
        return; /* a value for a register */
    if (code == NF_DROP)
        r->drops = true;
    else if (code == NFT_RETURN)
        r->returns = true;
    else if (code == NFT_JUMP || code == NFT_GOTO)
        str_set(&r->jump, text_of(nested(v, NFTA_VERDICT_CHAIN)));
}

static void read_expression(const struct nlattr *e, struct rule *r) {
    const char *name = text_of(nested(e, NFTA_EXPR_NAME));
    const struct nlattr *data = nested(e, NFTA_EXPR_DATA);

    if (str_eq(name, "immediate")) {
        read_verdict(data, r);
    } else if (str_eq(name, "reject")) {
        r->drops = true;
    } else if (str_eq(name, "target")) { /* of xtables, in iptables-nft */
        r->drops = r->drops || str_eq(text_of(nested(data, NFTA_TARGET_NAME)), "REJECT");
    } else if (str_eq(name, "meta") && r->tagged) {
        r->out = number_of(nested(data, NFTA_META_KEY)) == NFT_META_OIFNAME;
    } else if (str_eq(name, "cmp") && r->tagged) {
        const struct nlattr *value = nested(nested(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);

        free(r->bridge);
        r->bridge =
            value ? xstrndup(mnl_attr_get_payload(value), mnl_attr_get_payload_len(value)) : NULL;
    } else if (str_eq(name, "match")) {
        r->conditional =
            r->conditional || !str_eq(text_of(nested(data, NFTA_MATCH_NAME)), "comment");
    } else if (!str_eq(name, "counter") && !str_eq(name, "log") && !str_eq(name, "notrack")) {
        r->conditional = true;
    }
}

static bool is_tagged(const struct firewall *f, const struct nlattr *userdata) {
    const unsigned char *p = userdata ? mnl_attr_get_payload(userdata) : NULL;
    size_t n = userdata ? mnl_attr_get_payload_len(userdata) : 0, len = strlen(f->table) + 1;

    /* Type 0, a comment, and its length. */
    return n == 2 + len && p[0] == 0 && p[1] == len && memcmp(p + 2, f->table, len) == 0;
}

static void on_rule(void *arg, const struct nlmsghdr *h) {
    const struct nlattr *list = attribute(h, NFTA_RULE_EXPRESSIONS), *e;
    const struct nlattr *handle = attribute(h, NFTA_RULE_HANDLE);
    struct rules *all = arg;
    struct rule r = {0};

    if (!list || !handle || mnl_attr_get_payload_len(handle) != 8)
        return;
    r.handle = be64toh(mnl_attr_get_u64(handle));
    r.tagged = is_tagged(all->f, attribute(h, NFTA_RULE_USERDATA));
    mnl_attr_for_each_nested(e, list) {
        read_expression(e, &r);
    }
    all->v = xreallocarray(all->v, all->n + 1, sizeof *all->v);
    all->v[all->n++] = r;
}

static int read_rules(struct firewall *f, const struct chain *c, const char *chain,
                      struct rules *ret) {
    *ret = (struct rules){.f = f};
    return nft_dump(&f->sock, NFT_MSG_GETRULE, c->family, c->table, chain, on_rule, ret);
}

/* ---- judging --------------------------------------------------------------------------------- */
static bool ends_in_drop(struct firewall *f, const struct chain *c, const char *chain, int depth);

static bool rule_drops(struct firewall *f, const struct chain *c, const struct rule *r, int depth) {
    if (r->conditional || r->tagged)
        return false;
    return r->drops || (r->jump && ends_in_drop(f, c, r->jump, depth + 1));
}

/* The first rule that drops everything that gets there; n when there is none. */
static size_t first_drop(struct firewall *f, const struct chain *c, const struct rules *all,
                         int depth) {
    size_t i = 0;

    while (i < all->n && !rule_drops(f, c, &all->v[i], depth))
        i++;
    return i;
}

static bool ends_in_drop(struct firewall *f, const struct chain *c, const char *chain, int depth) {
    struct rules all;
    bool yes = false;

    if (depth > DEPTH_MAX)
        return false;
    if (read_rules(f, c, chain, &all) == 0)
        yes = first_drop(f, c, &all, depth) < all.n;
    rules_done(&all);
    return yes;
}

/* iptables' and firewalld's; a table that an administrator wrote himself is his. */
static bool takes_rules(const struct chain *c) {
    if (c->family == NFPROTO_INET)
        return str_eq(c->table, "firewalld") && str_eq(c->name, "filter_FORWARD");
    return str_eq(c->table, "filter") && str_eq(c->name, "FORWARD");
}

/* ---- placing --------------------------------------------------------------------------------- */
static void put_accept(const struct firewall *f, struct nft_batch *b, const char *chain,
                       uint64_t before, const char *bridge, bool out) {
    struct nft_rule r = nft_rule_place(b, chain, before, f->table);

    nft_meta(r, out ? NFT_META_OIFNAME : NFT_META_IIFNAME, 0);
    nft_cmp(r, true, 0, bridge, (uint32_t)strlen(bridge) + 1); /* with its end: no prefix */
    nft_counter(r);
    nft_verdict(r, NF_ACCEPT, NULL);
    nft_rule_end(r);
}

/* Whether exactly the accepts of our bridges are there, before the rule `limit`. */
static bool is_complete(const struct firewall *f, const struct rules *all, size_t limit,
                        bool wanted) {
    size_t n = 0;

    for (size_t i = 0; i < all->n; i++) {
        if (!all->v[i].tagged)
            continue;
        if (i > limit || !all->v[i].bridge || !map_get(&f->objects[FW_NETWORK], all->v[i].bridge))
            return false;
        n++;
    }
    return n == (wanted ? 2 * f->objects[FW_NETWORK].count : 0);
}

/* Takes our accepts out of a chain and puts those that are wanted. */
static int settle(struct firewall *f, const struct chain *c, const char *chain,
                  const struct rules *all, size_t limit, bool wanted) {
    struct nft_batch b;
    int r;

    if (is_complete(f, all, limit, wanted))
        return 0;
    nft_batch_begin(&b, &f->sock);
    b.family = c->family;
    b.table = c->table;
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].tagged)
            nft_rule_delete(&b, chain, all->v[i].handle);
    map_for_each (m, &f->objects[FW_NETWORK]) {
        for (int out = 0; wanted && out < 2; out++)
            put_accept(f, &b, chain, limit < all->n ? all->v[limit].handle : 0, m->key, out);
    }
    r = nft_batch_send(&f->sock, &b);
    nft_batch_done(&b);
    return r;
}

/* Docker's chain for rules of others, which it calls first of all. Older ones end with a return. */
static int settle_docker_user(struct firewall *f, const struct chain *c, bool wanted) {
    struct rules all;
    size_t limit;
    int r = read_rules(f, c, "DOCKER-USER", &all);

    if (r == 0) {
        for (limit = 0; limit < all.n; limit++)
            if (all.v[limit].returns && !all.v[limit].conditional)
                break;
        r = settle(f, c, "DOCKER-USER", &all, limit, wanted);
    }
    rules_done(&all);
    return r;
}

static bool calls(const struct rules *all, const char *chain) {
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->v[i].jump, chain))
            return true;
    return false;
}

static char *sentence(const struct firewall *f, const struct chain *c) {
    const char *family = c->family == NFPROTO_IPV4   ? "ip"
                         : c->family == NFPROTO_IPV6 ? "ip6"
                                                     : "inet";
    const char *bridge = "BRIDGE";

    map_for_each (m, &f->objects[FW_NETWORK]) {
        bridge = m->key;
        break;
    }
    return xasprintf(
        "the nf_tables chain %s of table %s %s drops what is forwarded, and with it what "
        "containers send and what is for their published ports: accept it there, with "
        "\"nft insert rule %s %s %s iifname %s accept\" and the same with oifname for "
        "each bridge",
        c->name, family, c->table, family, c->table, c->name, bridge);
}

/* What one chain needs; a sentence at the end of *told where it cannot be had. */
static void settle_chain(struct firewall *f, const struct chain *c, bool withdraw, char ***told) {
    struct rules all;
    bool drops, docker;
    size_t limit;
    int r;

    if (read_rules(f, c, c->name, &all) < 0) {
        rules_done(&all);
        return; /* changed while it was read: the next notification is on its way */
    }
    limit = first_drop(f, c, &all, 0);
    drops = !withdraw && f->objects[FW_NETWORK].count > 0 && (c->policy_drops || limit < all.n);
    if (!takes_rules(c)) {
        if (drops && told)
            strv_take(told, sentence(f, c));
        rules_done(&all);
        return;
    }
    docker = calls(&all, "DOCKER-USER");
    r = settle(f, c, c->name, &all, limit, drops && !docker);
    if (docker && r == 0)
        r = settle_docker_user(f, c, drops);
    if (r < 0)
        log_debug("rules of others could not be added to", "table", c->table, "chain", c->name,
                  "error", strerror(-r));
    if (r < 0 && drops && told)
        strv_take(told, sentence(f, c)); /* an owner that lets nobody else change it */
    rules_done(&all);
}

static void settle_all(struct firewall *f, bool withdraw, char ***told) {
    struct chains c = {.f = f};

    /* -EINTR: it changed meanwhile, and what was read is still true of what it names. */
    (void)nft_dump(&f->sock, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NULL, NULL, on_chain, &c);
    for (size_t i = 0; i < c.n; i++)
        settle_chain(f, &c.v[i], withdraw, told);
    chains_done(&c);
}

void fw_foreign_apply(struct firewall *f) {
    settle_all(f, false, NULL);
}

void fw_foreign_withdraw(struct firewall *f) {
    settle_all(f, true, NULL);
}

char **firewall_foreign_drops(struct firewall *f) {
    static const struct {
        int family;
        const char *command, *file;
    } LEGACY[] = {{AF_INET, "iptables-legacy", "ip_tables_names"},
                  {AF_INET6, "ip6tables-legacy", "ip6_tables_names"}};
    char **told = NULL;

    if (f->objects[FW_NETWORK].count == 0)
        return NULL;
    settle_all(f, false, &told);
    for (size_t i = 0; i < sizeof LEGACY / sizeof *LEGACY; i++)
        if (legacy_forward_drops(LEGACY[i].family) == 1)
            strv_take(
                &told,
                xasprintf("the chain FORWARD of %s, table filter (it is in /proc/net/%s), has "
                          "the policy DROP, and with it goes what containers send and what is "
                          "for their published ports: nf_tables cannot change that, accept it "
                          "there with \"%s -I FORWARD -i BRIDGE -j ACCEPT\" and the same with "
                          "-o for each bridge",
                          LEGACY[i].command, LEGACY[i].file, LEGACY[i].command));
    return told;
}
