/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/str.h"
#include "sys/netlink.h"

static size_t address_len(int family) {
    return family == AF_INET ? 4 : 16;
}

static int parse_address(const char *s, int *ret_family, unsigned char out[static 16]) {
    memset(out, 0, 16);
    *ret_family = strchr(s, ':') ? AF_INET6 : AF_INET;
    return inet_pton(*ret_family, s, out) == 1 ? 0 : -EINVAL;
}

static int parse_destination(const char *s, struct route *r) {
    char text[64];
    const char *slash = strchr(s, '/');
    uint64_t prefix;
    if (!slash || (size_t)(slash - s) >= sizeof(text))
        return -EINVAL;
    memcpy(text, s, (size_t)(slash - s));
    text[slash - s] = '\0';
    if (parse_address(text, &r->family, r->to) < 0 || str_to_u64(slash + 1, &prefix) < 0 ||
        prefix > address_len(r->family) * 8)
        return -EINVAL;
    r->prefix = (unsigned)prefix;
    return 0;
}

int route_parse(const char *to, const char *via, struct route *ret) {
    static const unsigned char none[16];
    struct route r = {0};
    int family;
    if (to && parse_destination(to, &r) < 0)
        return -EINVAL;
    if (!to && !via)
        return -EINVAL;
    if (via) {
        if (parse_address(via, &family, r.via) < 0 || (to && family != r.family))
            return -EINVAL;
        r.family = family;
        r.has_via = memcmp(r.via, none, sizeof(none)) != 0;
    }
    *ret = r;
    return 0;
}

static void put_route(struct nl_msg *m, const struct route *r, unsigned char scope) {
    struct rtmsg route = {.rtm_family = (unsigned char)r->family,
                          .rtm_dst_len = (unsigned char)r->prefix,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_BOOT,
                          .rtm_scope = scope,
                          .rtm_type = RTN_UNICAST};
    nl_put_raw(m, &route, sizeof(route));
    if (r->prefix)
        nl_put(m, RTA_DST, r->to, address_len(r->family));
    if (r->has_via)
        nl_put(m, RTA_GATEWAY, r->via, address_len(r->family));
    nl_put_u32(m, RTA_OIF, r->index);
}

int route_put(int nl, const struct route *r, bool replace) {
    struct nl_msg m;
    nl_init(&m, RTM_NEWROUTE, NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL));
    put_route(&m, r, r->has_via || r->family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
    return nl_talk(nl, &m);
}

int route_del(int nl, const struct route *r) {
    struct nl_msg m;
    nl_init(&m, RTM_DELROUTE, 0);
    put_route(&m, r, RT_SCOPE_NOWHERE);
    return nl_talk(nl, &m);
}

struct search {
    int family;
    bool found;
    uint32_t metric;
    struct route best;
};

static void look_at(void *arg, const struct nlmsghdr *h) {
    struct search *s = arg;
    struct rtmsg m;
    if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(m)))
        return;
    memcpy(&m, NLMSG_DATA(h), sizeof(m));
    if (m.rtm_family != s->family || m.rtm_dst_len || m.rtm_table != RT_TABLE_MAIN ||
        m.rtm_type != RTN_UNICAST)
        return;
    struct route r = {.family = s->family};
    uint32_t metric = 0;
    const unsigned char *p = (const unsigned char *)h + NLMSG_SPACE(sizeof(m));
    size_t left = h->nlmsg_len - NLMSG_SPACE(sizeof(m));
    while (left >= sizeof(struct nlattr)) {
        struct nlattr a;
        memcpy(&a, p, sizeof(a));
        if (a.nla_len < sizeof(a) || a.nla_len > left)
            break;
        size_t n = a.nla_len - sizeof(a), step = NLA_ALIGN((size_t)a.nla_len);
        if (a.nla_type == RTA_GATEWAY && n == address_len(s->family)) {
            memcpy(r.via, p + sizeof(a), n);
            r.has_via = true;
        } else if (a.nla_type == RTA_OIF && n == sizeof(r.index)) {
            memcpy(&r.index, p + sizeof(a), n);
        } else if (a.nla_type == RTA_PRIORITY && n == sizeof(metric)) {
            memcpy(&metric, p + sizeof(a), n);
        }
        p += step;
        left -= step < left ? step : left;
    }
    if (s->found && metric >= s->metric)
        return;
    s->found = true;
    s->metric = metric;
    s->best = r;
}

int route_default(int nl, int family, struct route *ret) {
    struct search s = {.family = family};
    struct nl_msg m;
    nl_init(&m, RTM_GETROUTE, NLM_F_DUMP);
    struct rtmsg route = {.rtm_family = (unsigned char)family};
    nl_put_raw(&m, &route, sizeof(route));
    int r = nl_dump(nl, &m, look_at, &s);
    if (r < 0)
        return r;
    if (s.found)
        *ret = s.best;
    return s.found;
}

bool route_equal(const struct route *a, const struct route *b) {
    size_t n = address_len(a->family);
    return a->family == b->family && a->prefix == b->prefix && a->index == b->index &&
           a->has_via == b->has_via && memcmp(a->to, b->to, n) == 0 &&
           (!a->has_via || memcmp(a->via, b->via, n) == 0);
}
