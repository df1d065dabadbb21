/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Cutting connections: what the kernel forgets is looked up in the rules again. */
#include <stddef.h>
#include <stdint.h>

#include "network/addr.h"

struct ct_match {
    uint8_t proto;
    struct ip host; /* 0.0.0.0 or ::: any address */
    uint16_t host_port;
    struct ip to; /* flows that were translated to it; family 0: those that were not translated */
    uint16_t to_port;
};
/* Walks the kernel's table once. -errno; -EOPNOTSUPP without CONFIG_NF_CT_NETLINK. */
int conntrack_forget(const struct ct_match *m, size_t n);
