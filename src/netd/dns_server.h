/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The resolver at 127.0.0.11 of one sandbox, by UDP and TCP: answers what the networks know, hands
 * everything else to forward.h. */
#include "netd/sandbox.h"

struct dns_client;
/* Whom an answer goes to. */
struct dns_peer {
    struct dns_client *tcp; /* or NULL: by UDP, to `udp` */
    struct {
        uint32_t addr; /* network order */
        uint16_t port;
    } udp;
};

/* Takes both sockets. */
int dns_server_open(struct sandbox *s, int udp, int tcp);
/* Ends what waits, too. */
void dns_server_close(struct sandbox *s);
/* What a forwarded query has come to. An answer that is too long for a UDP client is replaced by a
 * truncated one. */
void dns_server_reply(struct sandbox *s, const struct dns_peer *to, const void *answer, size_t n);
/* For queries that nobody has answered; `query` is the client's message. */
void dns_server_refuse(struct sandbox *s, const struct dns_peer *to, const void *query, size_t n,
                       int rcode);
