/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Routes of the main table over rtnetlink. `nl` is nl_open(NETLINK_ROUTE) and names the network
 * namespace by where it was opened. -errno. */
#include <stdbool.h>

struct route {
    int family; /* AF_INET, AF_INET6 */
    unsigned char to[16], via[16];
    unsigned prefix; /* 0: a default route */
    bool has_via;    /* else what it leads to is on the link itself */
    unsigned index;  /* of the interface */
};

/* to: "10.1.0.0/16", or NULL: the default route of via's family. via: a gateway; NULL, or an
 * unspecified address ("0.0.0.0", "::"): none. -EINVAL. */
int route_parse(const char *to, const char *via, struct route *ret);
/* `replace`: in the place of the one to the same destination, if there is one. */
int route_put(int nl, const struct route *r, bool replace);
int route_del(int nl, const struct route *r);
/* The default route that is preferred to others. 1, 0: there is none. */
int route_default(int nl, int family, struct route *ret);
bool route_equal(const struct route *a, const struct route *b);
