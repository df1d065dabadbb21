/* SPDX-License-Identifier: Apache-2.0 */

/* What of nf_tables a kernel lacks: its answer to a whole ruleset is a mere "no such file". */
#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <sys/socket.h>

#include "network/firewall_internal.h"

enum part { PART_INET, PART_SET, PART_CT, PART_NAT, PART_FIB, PART_MASQ, PART_MAX_ };
static const char *const NAMES[PART_MAX_] = {
    [PART_INET] = "tables of family inet (CONFIG_NF_TABLES_INET)",
    [PART_SET] = "sets (CONFIG_NF_TABLES)",
    [PART_CT] = "connection tracking (CONFIG_NFT_CT)",
    [PART_NAT] = "address translation (CONFIG_NFT_NAT)",
    [PART_FIB] = "questions about routes (CONFIG_NFT_FIB_INET)",
    [PART_MASQ] = "masquerading (CONFIG_NFT_MASQ)",
};

static void put_part(struct nft_batch *b, enum part part) {
    static const struct nft_hook FILTER = {"filter", NF_INET_FORWARD, NF_IP_PRI_FILTER},
                                 PRE = {"nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST},
                                 POST = {"nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC};
    struct nft_rule r;

    nft_chain(b, "c", part == PART_MASQ ? &POST : part == PART_NAT ? &PRE : &FILTER);
    if (part == PART_SET)
        nft_set_add(b, &fw_sets[FW_BRIDGES]);
    r = nft_rule_begin(b, "c");
    if (part == PART_SET)
        nft_match_if(r, true, fw_sets[FW_BRIDGES].name, false);
    else if (part == PART_CT)
        nft_match_ct_bits(r, NFT_CT_STATUS, 1);
    else if (part == PART_FIB)
        nft_fib_type(r, false, 0);
    if (part == PART_MASQ) {
        nft_masquerade(r);
    } else if (part == PART_NAT) {
        nft_meta(r, NFT_META_NFPROTO, 0);
        nft_nat(r, true, NFPROTO_IPV4, 0, -1);
    } else {
        nft_verdict(r, NF_ACCEPT, NULL);
    }
    nft_rule_end(r);
}

const char *fw_missing(struct firewall *f) {
    char table[64];

    (void)snprintf(table, sizeof table, "%.48s-probe", f->table); /* fits */
    for (int part = 0; part < PART_MAX_; part++) {
        struct nft_batch b;
        int r;

        nft_batch_begin(&b, &f->sock);
        b.family = NFPROTO_INET;
        b.table = table;
        nft_table_renew(&b);
        put_part(&b, (enum part)part);
        nft_table_delete(&b); /* in the same transaction: nobody sees it */
        r = nft_batch_send(&f->sock, &b);
        nft_batch_done(&b);
        if (r < 0)
            return NAMES[part];
    }
    return NULL;
}
