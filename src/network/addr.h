/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* IP addresses and subnets of both families. Pure; -EINVAL for what is no address. */
#include <stdbool.h>
#include <stdint.h>

#define IP_TEXT_MAX   46 /* INET6_ADDRSTRLEN */
#define CIDR_TEXT_MAX 50
#define MAC_TEXT_MAX  18

struct ip {
    int family;          /* AF_INET, AF_INET6; 0: none */
    unsigned char b[16]; /* network byte order; IPv4 uses the first four, the others are 0 */
};
/* An address with its prefix: "172.17.0.1/16" keeps its host bits. */
struct cidr {
    struct ip ip;
    int prefix;
};

int ip_parse(const char *s, struct ip *ret);
/* `out`, or "" for none. */
const char *ip_text(const struct ip *ip, char out[static IP_TEXT_MAX]);
bool ip_is_set(const struct ip *ip);
bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_is_any(const struct ip *ip);      /* 0.0.0.0 or :: */
bool ip_is_loopback(const struct ip *ip); /* 127/8 or ::1 */
int ip_bits(const struct ip *ip);         /* 32 or 128 */

int cidr_parse(const char *s, struct cidr *ret);
const char *cidr_text(const struct cidr *c, char out[static CIDR_TEXT_MAX]);
struct cidr cidr_network(const struct cidr *c); /* without host bits */
bool cidr_has(const struct cidr *c, const struct ip *ip);
bool cidr_overlap(const struct cidr *a, const struct cidr *b);
/* The n-th address of the subnet, 0 being the network's own. -ERANGE past its end. */
int cidr_at(const struct cidr *c, uint64_t n, struct ip *ret);
/* Where an address lies in its subnet: the inverse; saturates at UINT64_MAX. */
uint64_t cidr_index(const struct cidr *c, const struct ip *ip);

/* Docker's MAC of an IPv4 address: 02:42 and the four bytes. Another family: random, local. */
void mac_of_ip(const struct ip *ip, char out[static MAC_TEXT_MAX]);
