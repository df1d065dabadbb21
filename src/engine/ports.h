/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Published ports of containers: what -p and -P ask for, which host ports it became, and the rules
 * and reservations behind them. Loop thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/json.h"

struct container;

/* One host port of one address, while the container runs (in its record). */
struct published_port {
    int64_t port; /* the container's */
    char *proto;  /* "tcp", "udp", "sctp" */
    char *host_ip;
    int64_t host_port;
};
extern const struct field_table published_port_table;

typedef void ports_done(void *arg, struct err *e);
/* At a start, when the addresses are known: reserves host ports, then writes the rules. All or
 * nothing; done may be called before this returns (nothing to publish). */
void ports_publish(struct container *c, ports_done *done, void *arg);
/* Of a running container, beyond what it has: a PortMap. Kept in its configuration when it
 * succeeds. */
void ports_add(struct container *c, const char *port_map, ports_done *done, void *arg);
/* Takes some away again: "80/tcp" (all host ports of it) or "8080:80/tcp". */
int ports_remove(struct container *c, char *const *what, struct err *e);
/* Gives all back. */
void ports_withdraw(struct container *c);
/* Of an adopted container; also what fence-netd must be told when it has been started anew. */
void ports_adopt(struct container *c);
void ports_tell(struct container *c);
/* The rules once more: the address behind the ports has changed. */
void ports_retarget(struct container *c);

/* NetworkSettings.Ports of inspect, Ports of the list. */
void ports_emit_map(const struct container *c, struct jw *w);
void ports_emit_list(const struct container *c, struct jw *w);
/* Whether the container publishes (host) or exposes this: "80", "80/udp", "8000-8010/tcp". */
bool ports_match(const struct container *c, const char *text, bool published);
