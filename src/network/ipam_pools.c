/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/str.h"
#include "format/digest.h"
#include "network/ipam.h"

#define HOST_SUBNETS_MAX 65536 /* a router with the whole table of the internet gets no answer */

/* ---- the list -------------------------------------------------------------------------------- */
static void add_pool(struct ipam_pools *p, const struct cidr *base, int size) {
    p->pool = xreallocarray(p->pool, p->count + 1, sizeof *p->pool);
    p->pool[p->count++] = (struct ipam_pool){cidr_network(base), size};
}

void ipam_pools_default(struct ipam_pools *ret, const char *engine_id) {
    struct cidr v4 = {.ip = {AF_INET, {172, 17}}, .prefix = 16};
    struct cidr v6 = {.ip = {AF_INET6, {0xfd}}, .prefix = 48};
    char digest[DIGEST_SIZE];

    *ret = (struct ipam_pools){0};
    for (; v4.ip.b[1] < 32; v4.ip.b[1]++)
        add_pool(ret, &v4, 16);
    v4.ip.b[0] = 192;
    v4.ip.b[1] = 168;
    add_pool(ret, &v4, 20);
    /* RFC 4193, section 3.2.2: 40 bits of a hash make the prefix unlikely to be another's. */
    digest_of(str_or_empty(engine_id), strlen(str_or_empty(engine_id)), digest);
    for (int i = 0; i < 5; i++) {
        const char *d = digest + DIGEST_LEN - 10 + 2 * i;

        v6.ip.b[1 + i] = (unsigned char)(hex_value(d[0]) << 4 | hex_value(d[1]));
    }
    add_pool(ret, &v6, 64);
}

int ipam_pools_add(struct ipam_pools *p, const char *text, struct err *e) {
    auto_strv fields = str_split(text, ',');
    struct cidr base = {0};
    uint64_t size = 0;

#define BAD "invalid argument \"%s\" for \"--default-address-pool\" flag: "
    strv_for_each (f, fields) {
        const char *value = strchr(f, '=');

        if (!value)
            return err_set(e, ERR_INVALID, BAD "invalid field '%s' must be a key=value pair", text,
                           f);
        value++;
        if (strncasecmp(f, "base=", 5) == 0) {
            if (cidr_parse(value, &base) < 0)
                return err_set(e, ERR_INVALID, BAD "invalid base pool \"%s\": it is no subnet",
                               text, value);
        } else if (strncasecmp(f, "size=", 5) == 0) {
            if (str_to_u64(value, &size) < 0)
                return err_set(e, ERR_INVALID, BAD "invalid size value: %s (must be integer)", text,
                               value);
        } else {
            return err_set(e, ERR_INVALID, BAD "unexpected key '%.*s' in '%s'", text,
                           (int)(value - 1 - f), f, f);
        }
    }
    if (!ip_is_set(&base.ip))
        return err_set(e, ERR_INVALID, BAD "a base=SUBNET is needed", text);
    if (size < (uint64_t)base.prefix || size > (uint64_t)ip_bits(&base.ip))
        return err_set(e, ERR_INVALID,
                       BAD "invalid pools size: %llu is not between the base's prefix %d and %d",
                       text, (unsigned long long)size, base.prefix, ip_bits(&base.ip));
#undef BAD
    add_pool(p, &base, (int)size);
    return 0;
}

void ipam_pools_done(struct ipam_pools *p) {
    free(p->pool);
    *p = (struct ipam_pools){0};
}

/* ---- choosing -------------------------------------------------------------------------------- */
/* The n-th network of a pool. */
static bool pool_at(const struct ipam_pool *p, uint64_t n, struct cidr *ret) {
    struct cidr c = p->base;
    int bits = p->size - p->base.prefix;

    if (bits < 64 && n >> bits)
        return false;
    /* Lays the bits of n below those of the base, from bit p->size - 1 upwards. */
    for (int bit = p->size - 1; n; bit--, n >>= 1)
        if (n & 1)
            c.ip.b[bit / 8] |= (unsigned char)(0x80u >> bit % 8);
    c.prefix = p->size;
    *ret = c;
    return true;
}

/* The first network of the pool behind `u`, which meets its n-th. */
static uint64_t behind(const struct ipam_pool *p, uint64_t n, const struct cidr *u) {
    int bits = p->size - u->prefix;
    uint64_t step;

    if (bits <= 0)
        return n + 1;
    if (u->prefix <= p->base.prefix || bits >= 64)
        return UINT64_MAX;
    step = UINT64_C(1) << bits;
    return (n / step + 1) * step;
}

static bool choose_from(const struct ipam_pool *p, const struct cidr *used, size_t count,
                        struct cidr *ret) {
    struct cidr c;
    uint64_t n = 0;

    while (n != UINT64_MAX && pool_at(p, n, &c)) {
        const struct cidr *met = NULL;

        for (size_t i = 0; i < count && !met; i++)
            if (cidr_overlap(&used[i], &c))
                met = &used[i];
        if (!met) {
            *ret = c;
            return true;
        }
        n = behind(p, n, met);
    }
    return false;
}

int ipam_choose(const struct ipam_pools *p, int family, const struct cidr *used, size_t n,
                struct cidr *ret, struct err *e) {
    for (size_t i = 0; i < p->count; i++)
        if (p->pool[i].base.ip.family == family && choose_from(&p->pool[i], used, n, ret))
            return 0;
    return err_set(e, ERR_NOT_FOUND,
                   "could not find an available, non-overlapping IPv%d address pool among the "
                   "defaults to assign to the network",
                   family == AF_INET ? 4 : 6);
}

/* ---- what the host has ----------------------------------------------------------------------- */
struct found {
    struct cidr *c;
    size_t count;
};

static void add_found(struct found *f, int family, const struct nlattr *a, int prefix) {
    struct cidr c = {.ip.family = family, .prefix = prefix};
    size_t size = (size_t)ip_bits(&c.ip) / 8;

    if (size == 0 || !a || mnl_attr_get_payload_len(a) != size || f->count >= HOST_SUBNETS_MAX)
        return;
    memcpy(c.ip.b, mnl_attr_get_payload(a), size);
    c = cidr_network(&c);
    /* Default routes in one or two pieces; link-local and multicast are on every interface. */
    if (prefix <= 1 || ip_is_loopback(&c.ip) || c.ip.b[0] == (family == AF_INET ? 224 : 0xff) ||
        (family == AF_INET6 && c.ip.b[0] == 0xfe))
        return;
    if (f->count % 64 == 0)
        f->c = xreallocarray(f->c, f->count + 64, sizeof *f->c);
    f->c[f->count++] = c;
}

static int on_message(const struct nlmsghdr *h, void *arg) {
    const struct nlattr *a, *wanted = NULL;

    if (h->nlmsg_type == RTM_NEWADDR) {
        const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);

        mnl_attr_for_each(a, h, sizeof *m) {
            if (mnl_attr_get_type(a) == IFA_ADDRESS)
                wanted = a;
        }
        add_found(arg, m->ifa_family, wanted, m->ifa_prefixlen);
    } else if (h->nlmsg_type == RTM_NEWROUTE) {
        const struct rtmsg *m = mnl_nlmsg_get_payload(h);

        mnl_attr_for_each(a, h, sizeof *m) {
            if (mnl_attr_get_type(a) == RTA_DST)
                wanted = a;
        }
        if (m->rtm_table != RT_TABLE_LOCAL)
            add_found(arg, m->rtm_family, wanted, m->rtm_dst_len);
    }
    return MNL_CB_OK;
}

static int dump(struct mnl_socket *s, uint16_t type, struct found *f) {
    char room[32768]; /* what the kernel fills at most in one part of a dump */
    struct nlmsghdr *h = mnl_nlmsg_put_header(room);
    unsigned port = mnl_socket_get_portid(s);
    ssize_t n;
    int r;

    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    h->nlmsg_seq = type;
    /* rtmsg and ifaddrmsg both begin with the family, 0 for all; rtmsg is the longer one. */
    mnl_nlmsg_put_extra_header(h, sizeof(struct rtmsg));
    if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
        return -errno;
    do {
        n = mnl_socket_recvfrom(s, room, sizeof room);
        if (n < 0)
            return -errno;
        r = mnl_cb_run(room, (size_t)n, type, port, on_message, f);
    } while (r > MNL_CB_STOP);
    return r < 0 ? -errno : 0;
}

int ipam_host_subnets(struct cidr **ret, size_t *ret_n) {
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    struct found f = {0};
    int r;

    if (!s)
        return -errno;
    r = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
    if (r == 0)
        r = dump(s, RTM_GETADDR, &f);
    if (r == 0)
        r = dump(s, RTM_GETROUTE, &f);
    (void)mnl_socket_close(s); /* nothing was written */
    if (r < 0) {
        free(f.c);
        return r;
    }
    *ret = f.c;
    *ret_n = f.count;
    return 0;
}
