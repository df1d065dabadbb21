/* SPDX-License-Identifier: Apache-2.0 */

/* GET /containers/{id}/ports/explain: who can reach each port of a container, and why. */
#include <string.h>
#include <sys/socket.h>

#include "api/containers.h"
#include "base/alloc.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/port_map.h"
#include "engine/ports.h"
#include "network/firewall.h"

static void reach(struct jw *w, const char *from, bool allowed, const char *why) {
    jw_object(w);
    jw_kstr(w, "From", from);
    jw_kbool(w, "Allowed", allowed);
    jw_kstr(w, "Why", why);
    jw_end_object(w);
}

/* From other machines, to an address of the host. */
static void from_outside(const struct container *c, const struct published_port *p,
                         char *const *drops, struct jw *w) {
    const struct ip any = {0};
    struct ip host = any;
    auto_free char *why = NULL;

    if (ip_parse(p->host_ip, &host) == 0 && ip_is_loopback(&host)) {
        reach(w, "other machines", false, "it is published on a loopback address of this host");
        return;
    }
    if (drops && *drops) {
        reach(w, "other machines", false, *drops);
        return;
    }
    if (host.family == AF_INET6 && !endpoint_gateway(c, AF_INET6))
        why = xstrdup("relayed by fence-netd: the container has no IPv6 address, so it sees the "
                      "gateway's address as the client's");
    else if (ip_is_any(&host))
        why = xstrdup("address translation on every address of this host; the container sees the "
                      "client's own address");
    else
        why =
            xasprintf("address translation on %s of this host; the container sees the client's own "
                      "address",
                      p->host_ip);
    reach(w, "other machines", true, why);
}

static void from_host(const struct published_port *p, struct jw *w) {
    auto_free char *why = NULL;
    struct ip host = {0};

    if (ip_parse(p->host_ip, &host) == 0 && !ip_is_any(&host) && !ip_is_loopback(&host))
        why = xasprintf("at %s only", p->host_ip);
    else
        why = xasprintf("at %s by the relay of fence-netd%s",
                        host.family == AF_INET6 ? "[::1]" : "127.0.0.1",
                        ip_is_any(&host) ? ", at its other addresses by address translation" : "");
    reach(w, "this host", true, why);
}

static void from_containers(const struct published_port *p, struct jw *w) {
    struct ip host = {0};

    if (ip_parse(p->host_ip, &host) == 0 && ip_is_loopback(&host))
        reach(w, "containers of other networks", false,
              "it is published on a loopback address of this host");
    else
        reach(w, "containers of other networks", true,
              "through an address of this host, as from outside");
}

static void from_neighbours(const struct container *c, struct jw *w) {
    for (size_t i = 0; i < c->rec.endpoints.count; i++) {
        const struct endpoint *ep = field_array_at(&c->rec.endpoints, struct endpoint, i);
        const struct network *n = network_find(c->engine, ep->network, NULL);
        auto_free char *from = NULL, *why = NULL;

        if (!n || !ep->id || str_empty(ep->address))
            continue;
        from = xasprintf("containers of network %s", n->rec.name);
        why = n->set.icc ? xasprintf("directly at %s", ep->address)
                         : xstrdup("only those that are linked: the network has enable_icc=false");
        reach(w, from, n->set.icc, why);
    }
}

static void emit_published(const struct container *c, const struct published_port *p,
                           char *const *drops, struct jw *w) {
    auto_free char *port = xasprintf("%lld/%s", (long long)p->port, p->proto);
    auto_free char *host_port = xasprintf("%lld", (long long)p->host_port);

    jw_object(w);
    jw_kstr(w, "Port", port);
    jw_kstr(w, "HostIp", p->host_ip);
    jw_kstr(w, "HostPort", host_port);
    jw_key(w, "Reach");
    jw_array(w);
    from_outside(c, p, drops, w);
    from_host(p, w);
    from_containers(p, w);
    from_neighbours(c, w);
    jw_end_array(w);
    jw_end_object(w);
}

static void emit_exposed(const struct container *c, const char *port, struct jw *w) {
    jw_object(w);
    jw_kstr(w, "Port", port);
    jw_kstr(w, "HostIp", "");
    jw_kstr(w, "HostPort", "");
    jw_key(w, "Reach");
    jw_array(w);
    reach(w, "other machines", false, "it is not published, and direct routing is closed");
    reach(w, "this host", true, "directly at the container's address");
    from_neighbours(c, w);
    jw_end_array(w);
    jw_end_object(w);
}

static bool is_published(const struct container *c, const char *key) {
    uint16_t port;
    uint8_t proto;

    if (port_parse(key, &port, &proto) < 0)
        return true; /* nothing to tell of it */
    for (size_t i = 0; i < c->rec.ports.count; i++) {
        const struct published_port *p = field_array_at(&c->rec.ports, struct published_port, i);

        if (p->port == port && port_proto_number(p->proto) == proto)
            return true;
    }
    return false;
}

void containers_ports_explain(struct api_call *call) {
    struct container *c = call_container(call);
    auto_buf b = BUF_INIT;
    auto_strv drops = NULL;
    struct jw w;

    if (!c)
        return;
    if (!c->rec.running) {
        call_errorf(call, ERR_CONFLICT, "Container %s is not running", c->rec.id);
        return;
    }
    if (call->engine->firewall)
        drops = firewall_foreign_drops(call->engine->firewall);
    jw_init(&w, &b);
    jw_object(&w);
    jw_key(&w, "Ports");
    jw_array(&w);
    for (size_t i = 0; i < c->rec.ports.count; i++)
        emit_published(c, field_array_at(&c->rec.ports, struct published_port, i), drops, &w);
    strmap_for_each(port, &c->rec.config.exposed_ports) {
        if (!is_published(c, port->key))
            emit_exposed(c, port->key, &w);
    }
    jw_end_array(&w);
    jw_kstrv(&w, "Warnings", drops);
    jw_end_object(&w);
    call_json(call, 200, &b);
}
