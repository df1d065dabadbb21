/* SPDX-License-Identifier: Apache-2.0 */
#include "network/addr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/id.h"
#include "base/str.h"

static size_t ip_size(const struct ip *ip) {
    return ip->family == AF_INET ? 4 : ip->family == AF_INET6 ? 16 : 0;
}

int ip_parse(const char *s, struct ip *ret) {
    struct ip ip = {0};

    if (str_empty(s))
        return -EINVAL;
    ip.family = strchr(s, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(ip.family, s, ip.b) != 1)
        return -EINVAL;
    *ret = ip;
    return 0;
}

const char *ip_text(const struct ip *ip, char out[static IP_TEXT_MAX]) {
    if (!ip_is_set(ip) || !inet_ntop(ip->family, ip->b, out, IP_TEXT_MAX))
        out[0] = '\0';
    return out;
}

bool ip_is_set(const struct ip *ip) {
    return ip->family == AF_INET || ip->family == AF_INET6;
}

bool ip_equal(const struct ip *a, const struct ip *b) {
    return a->family == b->family && memcmp(a->b, b->b, ip_size(a)) == 0;
}

bool ip_is_any(const struct ip *ip) {
    static const unsigned char zero[16];

    return ip_is_set(ip) && memcmp(ip->b, zero, ip_size(ip)) == 0;
}

bool ip_is_loopback(const struct ip *ip) {
    static const unsigned char one[16] = {[15] = 1};

    if (ip->family == AF_INET)
        return ip->b[0] == 127;
    return ip->family == AF_INET6 && memcmp(ip->b, one, sizeof one) == 0;
}

int ip_bits(const struct ip *ip) {
    return (int)ip_size(ip) * 8;
}

/* ---- subnets --------------------------------------------------------------------------------- */
int cidr_parse(const char *s, struct cidr *ret) {
    const char *slash = s ? strchr(s, '/') : NULL;
    char text[IP_TEXT_MAX];
    struct cidr c = {0};
    uint64_t prefix;

    if (!slash || (size_t)(slash - s) >= sizeof text)
        return -EINVAL;
    memcpy(text, s, (size_t)(slash - s));
    text[slash - s] = '\0';
    /* Longer than three digits is no prefix: "/0000000016". */
    if (ip_parse(text, &c.ip) < 0 || strlen(slash + 1) > 3 || str_to_u64(slash + 1, &prefix) < 0 ||
        prefix > (uint64_t)ip_bits(&c.ip))
        return -EINVAL;
    c.prefix = (int)prefix;
    *ret = c;
    return 0;
}

const char *cidr_text(const struct cidr *c, char out[static CIDR_TEXT_MAX]) {
    char text[IP_TEXT_MAX];

    if (!ip_is_set(&c->ip))
        out[0] = '\0';
    else
        (void)snprintf(out, CIDR_TEXT_MAX, "%s/%d", ip_text(&c->ip, text), c->prefix); /* fits */
    return out;
}

/* The bits of byte `i` that belong to the network. */
static unsigned char mask_byte(int prefix, size_t i) {
    int bits = prefix - (int)i * 8;

    return bits >= 8 ? 0xff : bits <= 0 ? 0 : (unsigned char)(0xff00u >> bits);
}

struct cidr cidr_network(const struct cidr *c) {
    struct cidr out = *c;

    for (size_t i = 0; i < sizeof out.ip.b; i++)
        out.ip.b[i] &= mask_byte(c->prefix, i);
    return out;
}

bool cidr_has(const struct cidr *c, const struct ip *ip) {
    if (!ip_is_set(ip) || c->ip.family != ip->family)
        return false;
    for (size_t i = 0; i < ip_size(ip); i++)
        if ((c->ip.b[i] ^ ip->b[i]) & mask_byte(c->prefix, i))
            return false;
    return true;
}

bool cidr_overlap(const struct cidr *a, const struct cidr *b) {
    return a->prefix <= b->prefix ? cidr_has(a, &b->ip) : cidr_has(b, &a->ip);
}

int cidr_at(const struct cidr *c, uint64_t n, struct ip *ret) {
    int host = ip_bits(&c->ip) - c->prefix;
    struct ip ip = cidr_network(c).ip;
    size_t i = ip_size(&ip);

    if (!ip_is_set(&ip) || (host < 64 && n >> host))
        return -ERANGE;
    /* The host part of the network's own address is 0: nothing is carried. */
    while (n && i > 0) {
        ip.b[--i] |= (unsigned char)n;
        n >>= 8;
    }
    *ret = ip;
    return 0;
}

uint64_t cidr_index(const struct cidr *c, const struct ip *ip) {
    uint64_t n = 0;

    for (size_t i = 0; i < ip_size(ip); i++) {
        unsigned char host = (unsigned char)(ip->b[i] & ~mask_byte(c->prefix, i));

        if (n >> 56)
            return UINT64_MAX;
        n = n << 8 | host;
    }
    return n;
}

void mac_of_ip(const struct ip *ip, char out[static MAC_TEXT_MAX]) {
    unsigned char m[6] = {0x02, 0x42};

    if (ip->family == AF_INET) {
        memcpy(m + 2, ip->b, 4);
    } else {
        random_bytes(m, sizeof m);
        m[0] = (unsigned char)((m[0] & 0xfc) | 0x02); /* for one station, locally administered */
    }
    (void)snprintf(out, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
                   m[5]); /* fits */
}
