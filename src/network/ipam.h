/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who has which address: one struct ipam_subnet per subnet of a network, and the pools from which
 * networks without a --subnet get one. Loop thread; no system calls but ipam_host_subnets().
 */
#include <stddef.h>

#include "base/err.h"
#include "base/map.h"
#include "network/addr.h"

/* ---- one subnet ------------------------------------------------------------------------------ */
struct ipam_config {
    struct cidr subnet;       /* host bits must be 0 */
    struct cidr range;        /* --ip-range; family 0: the whole subnet */
    struct ip gateway;        /* family 0: the first address of the range that is free */
    const struct strmap *aux; /* --aux-address: name -> address, or NULL; never given out */
};

struct ipam_subnet;
/* In Docker's words. ERR_INVALID: "invalid subnet 10.0.0.5/24: it should be 10.0.0.0/24", "no
 * matching subnet for range ...", "failed to allocate gateway (10.1.0.1): Requested address is out
 * of range", "failed to allocate gateway (): No available addresses on this pool". ERR_FORBIDDEN:
 * "auxiliary address: (NAME:ADDRESS) must belong to the master pool: ...", "failed to allocate
 * secondary ip address (NAME:ADDRESS): Address already in use" and the same for the gateway. */
int ipam_subnet_new(const struct ipam_config *c, struct ipam_subnet **ret, struct err *e);
void ipam_subnet_free(struct ipam_subnet *s);
const struct cidr *ipam_subnet_cidr(const struct ipam_subnet *s);
struct ip ipam_subnet_gateway(const struct ipam_subnet *s);

/* Takes `wanted`, or (NULL) the next one in turn, so that an address rests before it comes again.
 * ERR_FORBIDDEN "Address already in use"; ERR_SYSTEM "no available IPv4 addresses on this network's
 * address pools: NAME (ID)" with `network` for NAME (ID); ERR_INVALID "Invalid address 1.2.3.4: It
 * does not belong to any of this network's subnets". */
int ipam_take(struct ipam_subnet *s, const struct ip *wanted, const char *network, struct ip *ret,
              struct err *e);
/* Gives it back. While an interface of that name is there (NULL: none) it rests: a network
 * namespace is taken down in the background. */
void ipam_release(struct ipam_subnet *s, const struct ip *ip, const char *host_if);
size_t ipam_in_use(const struct ipam_subnet *s);

/* ---- pools ----------------------------------------------------------------------------------- */
struct ipam_pool {
    struct cidr base;
    int size; /* prefix of each network: "base=172.17.0.0/16,size=24" */
};
struct ipam_pools {
    struct ipam_pool *pool;
    size_t count;
};
/* Docker's own list for IPv4 (172.17 to 172.31 /16, then 192.168.0.0/16 by /20), and for IPv6 the
 * /64s of a /48 that is made from the engine's id, as RFC 4193 says. */
void ipam_pools_default(struct ipam_pools *ret, const char *engine_id);
/* Adds one --default-address-pool. ERR_INVALID: "invalid argument ... for
 * "--default-address-pool"". */
int ipam_pools_add(struct ipam_pools *p, const char *text, struct err *e);
void ipam_pools_done(struct ipam_pools *p);
/* The first subnet of the pools that meets none of `used`. ERR_NOT_FOUND in Docker's words: "could
 * not find an available, non-overlapping IPv4 address pool among the defaults to assign to the
 * network". */
int ipam_choose(const struct ipam_pools *p, int family, const struct cidr *used, size_t n,
                struct cidr *ret, struct err *e);
/* What the host's interfaces and routes occupy (without default routes, loopback and link-local
 * addresses): a new network must not hide it. *ret is the caller's. -errno. */
int ipam_host_subnets(struct cidr **ret, size_t *ret_n);
