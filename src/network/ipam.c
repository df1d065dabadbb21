/* SPDX-License-Identifier: Apache-2.0 */
#include "network/ipam.h"

#include <errno.h>
#include <string.h>

#include <net/if.h>

#include "base/alloc.h"
#include "base/str.h"

/* An address that is not free. */
struct lease {
    bool reserved; /* gateway, --aux-address: never given out */
    bool released; /* rests until its interface has gone */
    char *host_if; /* of a released one */
};

struct ipam_subnet {
    struct cidr subnet;
    struct ip gateway;
    uint64_t first, last; /* what ipam_take() gives out by itself, as indices of the subnet */
    uint64_t next;
    bool full_prefix;  /* /31, /32, /128: no address stands for the network */
    struct map leases; /* address text -> struct lease */
    size_t in_use;
};

static void lease_free(void *arg) {
    struct lease *l = arg;

    free(l->host_if);
    free(l);
}

static struct lease *lease_find(const struct ipam_subnet *s, const struct ip *ip) {
    char text[IP_TEXT_MAX];

    return map_get(&s->leases, ip_text(ip, text));
}

static void lease_put(struct ipam_subnet *s, const struct ip *ip, bool reserved) {
    struct lease *l = xnew(struct lease), *old;
    char text[IP_TEXT_MAX];

    l->reserved = reserved;
    old = map_put(&s->leases, ip_text(ip, text), l);
    if (old)
        lease_free(old);
    if (!reserved)
        s->in_use++;
}

static uint64_t last_index(const struct cidr *c) {
    int host = ip_bits(&c->ip) - c->prefix;

    return host >= 64 ? UINT64_MAX : (UINT64_C(1) << host) - 1;
}

/* The network's own address, and for IPv4 the broadcast address. */
static bool is_special(const struct ipam_subnet *s, const struct ip *ip) {
    uint64_t n = cidr_index(&s->subnet, ip);

    if (s->full_prefix)
        return false;
    return n == 0 || (ip->family == AF_INET && n == last_index(&s->subnet));
}

/* Never given to anybody, or given out and not back, or resting. */
/* rested: and nobody can be there any more who had it. */
static bool is_free(struct ipam_subnet *s, const struct ip *ip, bool rested) {
    struct lease *l = lease_find(s, ip);
    char text[IP_TEXT_MAX];

    if (is_special(s, ip))
        return false;
    if (!l)
        return true;
    if (!l->released || (rested && l->host_if && if_nametoindex(l->host_if) != 0))
        return false;
    (void)map_del(&s->leases, ip_text(ip, text)); /* is `l` */
    lease_free(l);
    return true;
}

/* The next free one of the range, in turn. */
static bool next_free(struct ipam_subnet *s, struct ip *ret) {
    uint64_t start = s->next;

    do {
        struct ip ip;
        bool found = cidr_at(&s->subnet, s->next, &ip) == 0 && is_free(s, &ip, true);

        s->next = s->next == s->last ? s->first : s->next + 1;
        if (found) {
            *ret = ip;
            return true;
        }
    } while (s->next != start);
    return false;
}

/* ---- one subnet ------------------------------------------------------------------------------ */
static int set_range(struct ipam_subnet *s, const struct cidr *range, struct err *e) {
    struct cidr r = ip_is_set(&range->ip) ? cidr_network(range) : s->subnet;
    char text[CIDR_TEXT_MAX];
    uint64_t host;

    if (r.prefix < s->subnet.prefix || !cidr_has(&s->subnet, &r.ip))
        return err_set(e, ERR_INVALID, "no matching subnet for range %s", cidr_text(range, text));
    s->first = cidr_index(&s->subnet, &r.ip);
    host = last_index(&r);
    s->last = host > UINT64_MAX - s->first ? UINT64_MAX : s->first + host;
    if (!s->full_prefix && s->first == 0 && s->last > 0)
        s->first = 1;
    if (!s->full_prefix && s->subnet.ip.family == AF_INET && s->last == last_index(&s->subnet) &&
        s->last > s->first)
        s->last--;
    s->next = s->first;
    return 0;
}

static int reserve_aux(struct ipam_subnet *s, const struct strmap *aux, struct err *e) {
    if (!aux)
        return 0;
    strmap_for_each(a, aux) {
        char text[CIDR_TEXT_MAX];
        struct ip ip;

        if (ip_parse(a->value, &ip) < 0)
            return err_set(e, ERR_INVALID,
                           "non parsable secondary ip address (%s:%s) passed for the network",
                           a->key, a->value);
        if (!cidr_has(&s->subnet, &ip))
            return err_set(e, ERR_FORBIDDEN,
                           "auxiliary address: (%s:%s) must belong to the master pool: %s", a->key,
                           a->value, cidr_text(&s->subnet, text));
        if (!is_free(s, &ip, true))
            return err_set(e, ERR_FORBIDDEN,
                           "failed to allocate secondary ip address (%s:%s): Address already in "
                           "use",
                           a->key, a->value);
        lease_put(s, &ip, true);
    }
    return 0;
}

/* Docker takes the gateway first, so that an --aux-address of the first address is refused; we let
 * the auxiliary addresses go first where no gateway is named. */
static int reserve_gateway(struct ipam_subnet *s, const struct ip *wanted, struct err *e) {
    char text[IP_TEXT_MAX];
    struct ip ip;

    if (ip_is_set(wanted)) {
        if (!cidr_has(&s->subnet, wanted))
            return err_set(e, ERR_INVALID,
                           "failed to allocate gateway (%s): Requested address is out of range",
                           ip_text(wanted, text));
        /* Who asks for it by name gets it at once, as with a restart. */
        if (!is_free(s, wanted, false))
            return err_set(e, ERR_FORBIDDEN,
                           "failed to allocate gateway (%s): Address already in use",
                           ip_text(wanted, text));
        ip = *wanted;
    } else if (!next_free(s, &ip)) {
        return err_set(e, ERR_INVALID,
                       "failed to allocate gateway (): No available addresses on this pool");
    }
    lease_put(s, &ip, true);
    s->gateway = ip;
    return 0;
}

int ipam_subnet_new(const struct ipam_config *c, struct ipam_subnet **ret, struct err *e) {
    struct cidr network = cidr_network(&c->subnet);
    char text[CIDR_TEXT_MAX], right[CIDR_TEXT_MAX];
    struct ipam_subnet *s;
    int r;

    if (!ip_is_set(&c->subnet.ip))
        return err_set(e, ERR_INVALID, "invalid subnet : invalid CIDR block notation");
    if (!ip_equal(&network.ip, &c->subnet.ip))
        return err_set(e, ERR_INVALID, "invalid subnet %s: it should be %s",
                       cidr_text(&c->subnet, text), cidr_text(&network, right));
    s = xnew(struct ipam_subnet);
    s->subnet = network;
    s->full_prefix = network.prefix >= ip_bits(&network.ip) - (network.ip.family == AF_INET);
    r = set_range(s, &c->range, e);
    if (r == 0 && ip_is_set(&c->gateway))
        r = reserve_gateway(s, &c->gateway, e);
    if (r == 0)
        r = reserve_aux(s, c->aux, e);
    if (r == 0 && !ip_is_set(&c->gateway))
        r = reserve_gateway(s, &c->gateway, e);
    if (r < 0) {
        ipam_subnet_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void ipam_subnet_free(struct ipam_subnet *s) {
    if (!s)
        return;
    map_clear(&s->leases, lease_free);
    free(s);
}

const struct cidr *ipam_subnet_cidr(const struct ipam_subnet *s) {
    return &s->subnet;
}

struct ip ipam_subnet_gateway(const struct ipam_subnet *s) {
    return s->gateway;
}

int ipam_take(struct ipam_subnet *s, const struct ip *wanted, const char *network, struct ip *ret,
              struct err *e) {
    char text[IP_TEXT_MAX];
    struct ip ip;

    if (wanted) {
        if (!cidr_has(&s->subnet, wanted))
            return err_set(e, ERR_INVALID,
                           "Invalid address %s: It does not belong to any of this network's "
                           "subnets",
                           ip_text(wanted, text));
        /* Who asks for it by name gets it at once, as with a restart. */
        if (!is_free(s, wanted, false))
            return err_set(e, ERR_FORBIDDEN, "Address already in use");
        ip = *wanted;
    } else if (!next_free(s, &ip)) {
        return err_set(e, ERR_SYSTEM,
                       "no available IPv%d addresses on this network's address pools: %s",
                       s->subnet.ip.family == AF_INET ? 4 : 6, network);
    }
    lease_put(s, &ip, false);
    *ret = ip;
    return 0;
}

void ipam_release(struct ipam_subnet *s, const struct ip *ip, const char *host_if) {
    struct lease *l = lease_find(s, ip);
    char text[IP_TEXT_MAX];

    if (!l || l->reserved || l->released)
        return;
    s->in_use--;
    if (str_empty(host_if)) {
        (void)map_del(&s->leases, ip_text(ip, text)); /* is `l` */
        lease_free(l);
        return;
    }
    l->released = true;
    l->host_if = xstrdup(host_if);
}

size_t ipam_in_use(const struct ipam_subnet *s) {
    return s->in_use;
}
