/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * DNS messages (RFC 1035, EDNS0 of RFC 6891) as a resolver between containers and other servers
 * needs them: queries are parsed strictly, answers built, answers of others held against the query.
 * Pure. Used by fence-netd, which is built without the rest of this folder.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_PORT        53
#define DNS_MESSAGE_MAX 65535
#define DNS_UDP_PLAIN   512 /* what a client without EDNS takes by UDP */
#define DNS_HEADER      12
#define DNS_NAME_TEXT   254 /* the longest name as text, with its NUL */

enum dns_type {
    DNS_A = 1,
    DNS_PTR = 12,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_OPT = 41,
    DNS_ANY = 255,
};
#define DNS_CLASS_IN 1
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16,
};

struct dns_query {
    uint16_t id, type, class;
    bool recursion_desired, checking_disabled;
    bool edns, dnssec_ok;
    uint16_t udp_size;   /* what the client takes by UDP */
    size_t question_len; /* bytes of the question, which begins behind the header; 0: unreadable */
    /* In lower case, without the last dot. "" for the root, and for a name that has no plain text:
     * a dot, a blank or a byte outside of ASCII in a label. */
    char name[DNS_NAME_TEXT];
};

/* 0; a dns_rcode to be answered at once (FORMERR, NOTIMP, BADVERS); -EBADMSG for what deserves no
 * answer: less than a header, or an answer itself. */
int dns_query_parse(const void *p, size_t n, struct dns_query *ret);

/* An answer under construction in the caller's room, which holds at least DNS_UDP_PLAIN bytes.
 * Records that pass `max` are left out, and the answer says so (TC). */
struct dns_answer {
    uint8_t *p;
    size_t len, max;
    uint16_t count;
    bool edns, dnssec_ok, truncated;
    int rcode;
};
/* The query's header and question. `query` is the message that was parsed into q. */
void dns_answer_begin(struct dns_answer *a, void *room, size_t max, const void *query,
                      const struct dns_query *q, int rcode);
/* 4 or 16 bytes in network order. */
void dns_answer_address(struct dns_answer *a, const void *address, size_t n, uint32_t ttl);
/* A name as text, without the last dot; one that is no name is left out. */
void dns_answer_ptr(struct dns_answer *a, const char *name, uint32_t ttl);
/* Completes it; its length. */
size_t dns_answer_end(struct dns_answer *a);

/* Is this an answer to the query that was sent: its id, its question byte by byte, letters' case
 * included? */
bool dns_reply_fits(const void *reply, size_t n, const void *query, size_t question_len);
bool dns_reply_is_truncated(const void *reply);
int dns_reply_rcode(const void *reply);
/* Walks all records: 0, or -EBADMSG for a message that lies about its own form. */
int dns_message_check(const void *p, size_t n);

/* The address that a name below in-addr.arpa or ip6.arpa stands for: 4 or 16, its length; 0 for
 * another name. */
size_t dns_reverse_address(const char *name, uint8_t out[static 16]);
