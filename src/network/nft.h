/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's nf_tables table: written whole, in one atomic batch, over netlink.
 *
 *     table ip <name> {
 *         chain postrouting { type nat hook postrouting priority srcnat
 *             ip saddr <subnet> oifname != <bridge> masquerade }
 *         chain forward { type filter hook forward priority filter
 *             oifname <bridge> ct state established,related accept
 *             iifname != <bridge> oifname <bridge> drop      # nothing is published: closed to the
 * LAN iifname <bridge> oifname <bridge> drop }       # without icc
 *     }
 */
#include <stdbool.h>
#include <stdint.h>

struct nft_rules {
    const char *table, *bridge;
    uint32_t subnet, mask; /* network byte order */
    bool masquerade, icc;
};
struct nft;
/* -errno; -EPROTONOSUPPORT and -EOPNOTSUPP: the kernel has no nf_tables. */
int nft_open(struct nft **ret);
void nft_close(struct nft *n);
/* Replaces the table. */
int nft_write(struct nft *n, const struct nft_rules *r);
/* A missing table is success. */
int nft_delete(struct nft *n, const char *table);
/* A socket with notifications of changes to any table. */
int nft_watch_fd(const struct nft *n);
/* Empties it; true when somebody else removed something from `table`. */
bool nft_was_disturbed(struct nft *n, const char *table);
