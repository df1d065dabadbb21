/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which names mean which addresses on which network. Pure; names are compared without case. */
#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "netd/message.h"
#include "wire/dns.h"

#define NAMES_ANSWERS_MAX 512 /* containers with the same alias that are answered */

struct names {
    struct map networks; /* id -> struct names_network */
};
void names_done(struct names *n);

struct names_put {
    const char *network, *container, *network_name;
    struct netd_addr ip4, ip6;
    char *const *names; /* the first is the one that PTR answers */
    unsigned generation;
};
/* Replaces the endpoint of this network and container. */
void names_put(struct names *n, const struct names_put *p);
void names_del(struct names *n, const char *network, const char *container);
/* Removes the endpoints of other generations than this. */
void names_sweep(struct names *n, unsigned generation);
size_t names_count(const struct names *n);

/* Asks the networks in order: "name", then "name.network"; `links` ("alias=name") come first.
 * Addresses of the family, in random order; their count, or -ENOENT when no network knows it. */
int names_find(const struct names *n, char *const *networks, char *const *links, const char *name,
               int family, struct netd_addr *out, size_t max);
/* "name.network" of an address; -ENOENT. */
int names_reverse(const struct names *n, char *const *networks, const struct netd_addr *a,
                  char out[static DNS_NAME_TEXT]);
