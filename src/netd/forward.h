/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Questions that the networks do not answer go to the sandbox's servers, from the container's own
 * namespace (to a server on a loopback address: from the host's), each with an id and a port that
 * nobody can guess. A server that says nothing for two seconds, or has failed, is followed by the
 * next. */
#include "netd/dns_server.h"

/* 0: an answer will be sent to the peer; else the dns_rcode that answers it now. */
int forward_query(struct sandbox *s, const struct dns_peer *from, const uint8_t *query, size_t n,
                  const struct dns_query *q);
/* Of one TCP client: how many, and an end of them without an answer. */
unsigned forward_count(const struct sandbox *s, const struct dns_client *c);
void forward_cancel(struct sandbox *s, const struct dns_client *c);
void forward_cancel_all(struct sandbox *s);
