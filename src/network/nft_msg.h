/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * nf_tables messages: a batch (one transaction) is built in memory, then sent at once. -errno.
 *
 * Registers are numbered in words of 4 bytes, 0 to 15: an IPv4 address, a protocol or a port takes
 * one, a MAC address two, an IPv6 address or an interface's name four. The parts of a concatenated
 * key lie in registers that follow each other.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

struct nlattr;

/* ---- the socket ------------------------------------------------------------------------------ */
struct nft_sock {
    int fd;
    unsigned port; /* its netlink address: notifications carry it */
    uint32_t seq;
};
int nft_sock_open(struct nft_sock *s);
void nft_sock_close(struct nft_sock *s);
/* Asks for a list; each message goes to `each`. `family` 0: all. */
int nft_dump(struct nft_sock *s, uint16_t type, uint8_t family, const char *table,
             const char *chain, void (*each)(void *arg, const struct nlmsghdr *h), void *arg);
/* -EOPNOTSUPP without nf_tables. */
int nft_probe(struct nft_sock *s);

/* ---- batches --------------------------------------------------------------------------------- */
struct nft_batch {
    char *data;
    size_t len, cap;
    uint32_t seq, first;
    uint8_t family;     /* of the messages that follow */
    const char *table;  /* likewise, borrowed */
    struct nlmsghdr *h; /* the message under construction */
    size_t last;        /* where it, or the last one, begins */
    uint32_t set_id;    /* of the last set: unique in the batch */
};
void nft_batch_begin(struct nft_batch *b, struct nft_sock *s);
void nft_batch_done(struct nft_batch *b);
/* Makes it so, or changes nothing. */
int nft_batch_send(struct nft_sock *s, struct nft_batch *b);

/* An empty table, instead of the one of that name that may be there. */
void nft_table_renew(struct nft_batch *b);
void nft_table_delete(struct nft_batch *b);
struct nft_hook {
    const char *type; /* "filter", "nat" */
    uint32_t hook;
    int32_t priority;
};
/* NULL: a chain to jump to. */
void nft_chain(struct nft_batch *b, const char *name, const struct nft_hook *hook);

/* ---- sets ------------------------------------------------------------------------------------ */
/* libnftables' numbers of data types, for those who list the table. */
#define NFT_T_IPV4              7u
#define NFT_T_IPV6              8u
#define NFT_T_ETHER             9u
#define NFT_T_PROTO             12u
#define NFT_T_PORT              13u
#define NFT_T_IF                41u
#define NFT_T_MARK              19u
#define NFT_CONCAT2(a, b)       ((a) << 6 | (b))
#define NFT_CONCAT3(a, b, c)    (NFT_CONCAT2(a, b) << 6 | (c))
#define NFT_CONCAT4(a, b, c, d) (NFT_CONCAT3(a, b, c) << 6 | (d))
#define NFT_KEY_MAX             40
struct nft_set {
    const char *name;
    uint32_t key_type, key_size;
    uint32_t data_type, data_size; /* size 0: a set, otherwise a map */
    bool interval;
};
void nft_set_add(struct nft_batch *b, const struct nft_set *set);
struct nft_elem {
    unsigned char key[NFT_KEY_MAX], data[NFT_KEY_MAX];
    bool end; /* of an interval, itself outside */
};
/* Elements of one set, up to NFT_ELEMS_MAX between begin and end. */
#define NFT_ELEMS_MAX 256
struct nlattr *nft_elems_begin(struct nft_batch *b, bool add, const char *set);
void nft_elem(struct nft_batch *b, const struct nft_set *set, const struct nft_elem *e,
              bool with_data);
void nft_elems_end(struct nft_batch *b, struct nlattr *list);

/* ---- rules ----------------------------------------------------------------------------------- */
struct nft_rule {
    struct nft_batch *b;
    struct nlattr *list;
};
struct nft_rule nft_rule_begin(struct nft_batch *b, const char *chain);
/* For tables of others: before the rule with that handle (0: at the end), with a comment. */
struct nft_rule nft_rule_place(struct nft_batch *b, const char *chain, uint64_t before,
                               const char *comment);
void nft_rule_end(struct nft_rule r);
void nft_rule_delete(struct nft_batch *b, const char *chain, uint64_t handle);

void nft_meta(struct nft_rule r, uint32_t key, unsigned reg);
void nft_payload(struct nft_rule r, uint32_t base, uint32_t offset, uint32_t len, unsigned reg);
void nft_ct(struct nft_rule r, uint32_t key, unsigned reg);
void nft_fib_type(struct nft_rule r, bool of_source, unsigned reg);
/* A random number below `modulus`, in host byte order. */
void nft_random(struct nft_rule r, uint32_t modulus, unsigned reg);
void nft_mask(struct nft_rule r, unsigned reg, const void *mask, uint32_t len);
void nft_cmp(struct nft_rule r, bool equal, unsigned reg, const void *value, uint32_t len);
/* NFT_BREAK unless the key at `reg` is in the set (is not, with `invert`). */
void nft_lookup(struct nft_rule r, const char *set, unsigned reg, bool invert);
/* The data goes to `to`. */
void nft_lookup_map(struct nft_rule r, const char *map, unsigned reg, unsigned to);
/* Destination or source translation; port_reg < 0: the address only. */
void nft_nat(struct nft_rule r, bool destination, uint32_t family, unsigned reg, int port_reg);
void nft_masquerade(struct nft_rule r);
void nft_counter(struct nft_rule r);
/* NF_ACCEPT, NF_DROP, NFT_RETURN, or NFT_JUMP and NFT_GOTO with a chain. */
void nft_verdict(struct nft_rule r, int32_t code, const char *chain);

/* Frequent matches. They use register 0 (a name: 0 to 3). */
void nft_match_if(struct nft_rule r, bool out, const char *set, bool invert);
void nft_match_family(struct nft_rule r, int family);
void nft_match_proto(struct nft_rule r, bool equal, uint8_t proto);
void nft_match_ct_bits(struct nft_rule r, uint32_t key, uint32_t bits);
