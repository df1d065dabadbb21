/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting a container to a network and disconnecting it, also while it runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/net_call.h"
#include "engine/netd_link.h"
#include "engine/netfiles.h"
#include "engine/ports.h"

#define NETWORKS_CHANGING_MAX 32 /* at once, of one container */

/* A call that waits for a start to end, then for the set-up process. */
struct change {
    struct engine *engine;
    char container[ID_LEN + 1], network[ID_LEN + 1];
    char endpoint[ID_LEN + 1]; /* that is being changed; a restart meanwhile gives it another id */
    struct endpoint_settings settings;
    bool connecting, force;
    endpoint_done *done;
    void *arg;
};

static void finish(struct change *x, struct err *e) {
    x->done(x->arg, e);
    field_done(&endpoint_settings_table, &x->settings);
    free(x);
}

static void connected(void *arg, struct err *e);
static void disconnected(void *arg, struct err *e);

static void put_default(struct rt_net *net, const struct endpoint *ep, const char *gateway) {
    struct rt_default *d;

    if (!ep)
        return;
    d = field_array_add(&net->defaults, &rt_default_table);
    str_set(&d->name, ep->if_name);
    str_set(&d->gateway, gateway);
}

/* done() is called in any case. */
static void call_runtime(struct container *c, struct change *x, const struct endpoint *ep) {
    void (*done)(void *arg, struct err *e) = x->connecting ? connected : disconnected;
    const struct endpoint *without = x->connecting ? NULL : ep;
    const struct endpoint *gw = endpoint_gateway_without(c, AF_INET, without);
    const struct endpoint *gw6 = endpoint_gateway_without(c, AF_INET6, without);
    struct rt_request q;

    field_init(&rt_request_table, &q);
    str_set(&q.op, x->connecting ? "connect" : "disconnect");
    str_set(&q.id, c->rec.id);
    q.state_dir = container_state_dir(c);
    str_set(&q.net.mode, "own");
    endpoint_interface(c, ep, field_array_add(&q.net.interfaces, &rt_interface_table));
    put_default(&q.net, gw, gw ? gw->gateway : NULL);
    put_default(&q.net, gw6, gw6 ? gw6->gateway6 : NULL);
    (void)net_call(c->engine, &q, c->pidfd, done, x); /* done() is told */
    field_done(&rt_request_table, &q);
}

static bool is_same(const struct change *x, const struct endpoint *ep) {
    return ep && str_eq(ep->id, x->endpoint);
}

/* The intention is in the database. */
static void intended(void *arg, int written) {
    struct change *x = arg;
    struct container *c = map_get(&x->engine->containers, x->container);
    struct network *n = map_get(&x->engine->networks, x->network);
    struct endpoint *ep = c && n ? endpoint_on(c, n) : NULL;
    auto_err e = ERR_INIT;

    if (written < 0)
        (void)err_sys(&e, written, "cannot save container %s", x->container); /* sets */
    else if (is_same(x, ep) && c->rec.running) {
        call_runtime(c, x, ep);
        return;
    }
    if (x->connecting)
        connected(x, &e);
    else
        disconnected(x, &e);
}

static void begin_change(struct container *c, struct change *x, struct endpoint *ep) {
    ep->changing = true;
    snprintf(x->endpoint, sizeof x->endpoint, "%s", ep->id);
    container_save(c, intended, x);
}

/* ---- connect --------------------------------------------------------------------------------- */
static int check_connect(const struct container *c, const struct network *n, const struct change *x,
                         struct err *e) {
    const char *mode = c->rec.host.network_mode;

    if (c->removing || c->rec.dead)
        return err_set(e, ERR_CONFLICT, "container %s is marked for removal", c->rec.id);
    if (mode_container(mode))
        return err_set(
            e, ERR_INVALID,
            "container sharing network namespace with another container or host cannot be "
            "connected to any other network");
    if (mode_is_host(mode) || str_eq(n->rec.driver, "host"))
        return err_set(e, ERR_INVALID,
                       "container cannot be disconnected from host network or connected to host "
                       "network");
    if (network_mode_is_none(mode) || str_eq(n->rec.driver, "null"))
        return err_set(
            e, ERR_INVALID,
            "container cannot be connected to multiple networks with one of the networks "
            "in private (none) mode");
    if (endpoint_on(c, n))
        return err_set(e, ERR_FORBIDDEN, "endpoint with name %s already exists in network %s",
                       c->rec.name, n->rec.name);
    return endpoint_check_wants(n, &x->settings, e);
}

static void save_and_tell(struct container *c, const struct network *n, const char *action) {
    network_event(n, action, c->rec.id);
    container_save(c, NULL, NULL);
    if (c->rec.running) {
        netfiles_refresh(c);
        endpoints_tell_names(c);
    }
}

/* A port that cannot be had does not undo the connection, as in Docker. */
static void ports_published(void *arg, struct err *e) {
    struct change *x = arg;
    struct container *c = map_get(&x->engine->containers, x->container);
    auto_err none = ERR_INIT;

    if (e->class != ERR_NONE)
        log_warn("the ports of a container could not be published on its new network", "container",
                 x->container, "error", err_msg(e));
    else if (c)
        container_save(c, NULL, NULL);
    finish(x, &none);
}

static void connected(void *arg, struct err *e) {
    struct change *x = arg;
    struct container *c = map_get(&x->engine->containers, x->container);
    struct network *n = map_get(&x->engine->networks, x->network);
    struct endpoint *ep = c && n ? endpoint_on(c, n) : NULL;
    auto_err own = ERR_INIT;

    if (!ep) {
        (void)err_set(&own, ERR_CONFLICT,
                      "the container has been removed or disconnected meanwhile");
        finish(x, &own);
        return;
    }
    if (!is_same(x, ep)) { /* it has ended: the connection is one of its next start, or was */
        finish(x, &own);
        return;
    }
    if (e->class != ERR_NONE) {
        endpoint_drop(c, n);
        container_save(c, NULL, NULL);
        finish(x, e);
        return;
    }
    ep->changing = false;
    save_and_tell(c, n, "connect");
    if (c->rec.running && !c->rec.ports.count) {
        ports_publish(c, ports_published, x); /* it may lead outside for the first time */
        return;
    }
    finish(x, e);
}

static void connect_settled(struct container *c, void *arg) {
    struct change *x = arg;
    struct network *n = map_get(&x->engine->networks, x->network);
    auto_err e = ERR_INIT;
    struct endpoint *ep;
    int r;

    if (!n)
        r = err_set(&e, ERR_NOT_FOUND, "network %s not found", x->network);
    else
        r = check_connect(c, n, x, &e);
    if (r < 0) {
        finish(x, &e);
        return;
    }
    ep = endpoint_add(c, n, &x->settings);
    if (!c->rec.running) {
        save_and_tell(c, n, "connect");
        finish(x, &e);
        return;
    }
    r = endpoint_attach_one(c, ep, &e);
    if (r == 0) {
        begin_change(c, x, ep);
    } else {
        endpoint_drop(c, n);
        finish(x, &e);
    }
}

/* ---- disconnect ------------------------------------------------------------------------------ */
/* To the network that leads outside now; without one nothing is published. */
static void move_ports(struct container *c) {
    if (endpoint_gateway(c, AF_INET) || endpoint_gateway(c, AF_INET6))
        ports_retarget(c);
    else
        ports_withdraw(c);
}

static void disconnect_settled(struct container *c, void *arg);

static void disconnected(void *arg, struct err *e) {
    struct change *x = arg;
    struct container *c = map_get(&x->engine->containers, x->container);
    struct network *n = map_get(&x->engine->networks, x->network);
    struct endpoint *ep = c && n ? endpoint_on(c, n) : NULL;
    bool carried_ports = c && c->rec.ports.count > 0;

    if (ep && ep->id && !is_same(x, ep)) { /* a restart has attached it again */
        err_done(e);
        container_when_settled(c, disconnect_settled, x);
        return;
    }
    if (ep && e->class != ERR_NONE && c->rec.running && !x->force) {
        ep->changing = false;
        container_save(c, NULL, NULL);
        finish(x, e);
        return;
    }
    err_done(e);
    if (ep) {
        endpoint_drop(c, n);
        if (carried_ports && c->rec.running)
            move_ports(c);
        save_and_tell(c, n, "disconnect");
    }
    finish(x, e);
}

static void disconnect_settled(struct container *c, void *arg) {
    struct change *x = arg;
    struct network *n = map_get(&x->engine->networks, x->network);
    struct endpoint *ep = n ? endpoint_on(c, n) : NULL;
    auto_err e = ERR_INIT;
    int r = 0;

    if (!n)
        r = err_set(&e, ERR_NOT_FOUND, "network %s not found", x->network);
    else if (!ep)
        r = err_set(&e, ERR_SYSTEM, "container %s is not connected to network %s", c->rec.id,
                    n->rec.name);
    else if (mode_is_host(c->rec.host.network_mode))
        r = err_set(&e, ERR_INVALID,
                    "container cannot be disconnected from host network or connected to host "
                    "network");
    if (r == 0 && c->rec.running && ep->if_name) {
        begin_change(c, x, ep);
        return;
    }
    if (r < 0) {
        finish(x, &e);
        return;
    }
    endpoint_drop(c, n);
    save_and_tell(c, n, "disconnect");
    finish(x, &e);
}

/* ---- both ------------------------------------------------------------------------------------ */
static void begin(struct network *n, struct container *c, const struct endpoint_settings *s,
                  bool connecting, bool force, endpoint_done *done, void *arg) {
    struct change *x = xnew(struct change);

    x->engine = c->engine;
    snprintf(x->container, sizeof x->container, "%s", c->rec.id);
    snprintf(x->network, sizeof x->network, "%s", n->rec.id);
    field_init(&endpoint_settings_table, &x->settings);
    if (s)
        field_copy(&endpoint_settings_table, &x->settings, s);
    x->connecting = connecting;
    x->force = force;
    x->done = done;
    x->arg = arg;
    container_when_settled(c, connecting ? connect_settled : disconnect_settled, x);
}

void network_connect(struct network *n, struct container *c, const struct endpoint_settings *s,
                     endpoint_done *done, void *arg) {
    begin(n, c, s, true, false, done, arg);
}

void network_disconnect(struct network *n, struct container *c, bool force, endpoint_done *done,
                        void *arg) {
    begin(n, c, NULL, false, force, done, arg);
}

/* ---- after a daemon's death ------------------------------------------------------------------ */
static void taken_away(void *arg, struct err *e) {
    if (e->class != ERR_NONE)
        log_warn("a connection that was cut off could not be taken away", "container", arg, "error",
                 err_msg(e));
    free(arg);
}

void endpoints_finish_changes(struct container *c) {
    struct network *changing[NETWORKS_CHANGING_MAX];
    size_t count = 0;

    for (size_t i = 0; i < c->rec.endpoints.count && count < NETWORKS_CHANGING_MAX; i++) {
        const struct endpoint *ep = field_array_at(&c->rec.endpoints, struct endpoint, i);
        struct network *n = ep->changing ? map_get(&c->engine->networks, ep->network_id) : NULL;

        if (n)
            changing[count++] = n;
    }
    for (size_t i = 0; i < count; i++)
        network_disconnect(changing[i], c, true, taken_away, xstrdup(c->rec.id));
}
