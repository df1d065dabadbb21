/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers on networks. What was asked for is part of the container's record and stays while it
 * is stopped; addresses and interfaces are taken at its start and given back at its end. Loop
 * thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/config.h"
#include "engine/networks.h"
#include "runtime/request.h"

struct container;

struct endpoint {
    char *network;    /* its name; what was given, as long as there is no such network */
    char *network_id; /* once it has been attached there */
    char *want_ip4, *want_ip6, *want_mac;
    char **link_local, **links, **aliases;
    struct strmap driver_opts;
    int64_t gw_priority;
    /* while it is attached; id NULL: it is not */
    char *id, *host_if, *if_name, *mac, *address, *gateway, *address6, *gateway6;
    int64_t prefix_len, prefix_len6;
    /* A set-up process is making or removing the interface of the running container. Written before
     * it is asked to: a daemon that dies meanwhile leaves it to the next one to take it away. */
    bool changing;
};
extern const struct field_table endpoint_table;

/* ---- what is asked for ----------------------------------------------------------------------- */
/* Of a create body; network names are resolved where there are such networks. ERR_INVALID in
 * dockerd's words for what cannot be. */
int endpoints_plan(struct container *c, const struct networking_config *n, struct err *e);
/* NULL when it is not on that network. */
struct endpoint *endpoint_on(const struct container *c, const struct network *n);
/* The one that the network mode names; NULL with container:, NULL for old records. */
struct endpoint *endpoint_main(const struct container *c);
/* Through which the container reaches the world; NULL: nothing. */
const struct endpoint *endpoint_gateway(const struct container *c, int family);
/* Whether its names come from fence-netd: a user network is among them. */
bool endpoints_need_names(const struct container *c);

/* ---- while it runs --------------------------------------------------------------------------- */
/* Takes addresses on all its networks and tells rules and names. All or nothing. */
int endpoints_attach(struct container *c, struct err *e);
/* What the set-up process makes of it. */
void endpoints_fill(const struct container *c, struct rt_net *ret);
void endpoint_interface(const struct container *c, const struct endpoint *ep,
                        struct rt_interface *ret);
/* Of a container that an earlier daemon has started: takes the same addresses. */
void endpoints_adopt(struct container *c);
/* Gives all back; without harm for one that has none. */
void endpoints_release(struct container *c);
/* Ids of the networks it is attached to; the caller's. */
char **endpoints_networks(const struct container *c);
/* "network" events of a start ("connect") or end ("disconnect"). */
void endpoints_events(struct engine *eng, char *const *networks, const char *container,
                      const char *action);
/* Puts what fence-netd must know of it: names, and where it asks. */
void endpoints_tell_names(const struct container *c);

/* Of an adopted container: takes away what the last daemon had begun to connect or disconnect. */
void endpoints_finish_changes(struct container *c);

/* ---- between endpoints.c and endpoints_connect.c ----------------------------------------------
 */
int endpoint_check_wants(const struct network *n, const struct endpoint_settings *s, struct err *e);
struct endpoint *endpoint_add(struct container *c, const struct network *n,
                              const struct endpoint_settings *s);
int endpoint_attach_one(struct container *c, struct endpoint *ep, struct err *e);
/* As endpoint_gateway(), when that one will have gone. */
const struct endpoint *endpoint_gateway_without(const struct container *c, int family,
                                                const struct endpoint *without);
/* Gives back what it has and forgets it. */
void endpoint_drop(struct container *c, const struct network *n);

/* ---- connect, disconnect --------------------------------------------------------------------- */
typedef void endpoint_done(void *arg, struct err *e);
void network_connect(struct network *n, struct container *c, const struct endpoint_settings *s,
                     endpoint_done *done, void *arg);
void network_disconnect(struct network *n, struct container *c, bool force, endpoint_done *done,
                        void *arg);
