/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/str.h"

struct endpoint {
    char *container;
    struct netd_addr ip4, ip6;
    char **names;
    unsigned generation;
};

/* Those that share a name, in the order in which they came. */
struct holders {
    struct endpoint **v;
    size_t count;
};

struct names_network {
    char *name;
    struct map endpoints; /* container -> struct endpoint */
    struct map names;     /* in lower case -> struct holders */
    struct map addresses; /* text -> struct endpoint */
};

static void endpoint_free(void *p) {
    struct endpoint *ep = p;
    strv_free(ep->names);
    free(ep->container);
    free(ep);
}

static void holders_free(void *p) {
    struct holders *h = p;
    free(h->v);
    free(h);
}

static void network_free(void *p) {
    struct names_network *net = p;
    map_clear(&net->names, holders_free);
    map_clear(&net->endpoints, endpoint_free);
    map_done(&net->names);
    map_done(&net->endpoints);
    map_done(&net->addresses);
    free(net->name);
    free(net);
}

void names_done(struct names *n) {
    map_clear(&n->networks, network_free);
    map_done(&n->networks);
}

/* ---- changes --------------------------------------------------------------------------------- */
static char *lowered(const char *s) {
    char *copy = xstrdup(s);
    str_lower(copy);
    return copy;
}

static void hold(struct names_network *net, const char *as_given, struct endpoint *ep) {
    auto_free char *name = lowered(as_given);
    struct holders *h = map_get(&net->names, name);
    if (!h) {
        h = xnew(struct holders);
        (void)map_put(&net->names, name, h); /* there was none */
    }
    for (size_t i = 0; i < h->count; i++)
        if (h->v[i] == ep)
            return;
    h->v = xreallocarray(h->v, h->count + 1, sizeof(struct endpoint *));
    h->v[h->count++] = ep;
}

static void let_go(struct names_network *net, const char *as_given, const struct endpoint *ep) {
    auto_free char *name = lowered(as_given);
    struct holders *h = map_get(&net->names, name);
    for (size_t i = 0; h && i < h->count; i++) {
        if (h->v[i] != ep)
            continue;
        memmove(h->v + i, h->v + i + 1, (h->count - i - 1) * sizeof(struct endpoint *));
        h->count--;
        break;
    }
    if (h && h->count == 0)
        holders_free(map_del(&net->names, name));
}

static void note_address(struct names_network *net, const struct netd_addr *a,
                         struct endpoint *ep) {
    char text[NETD_ADDR_TEXT];
    if (a->family)
        (void)map_put(&net->addresses, netd_addr_text(a, 0, text), ep); /* the last one wins */
}

static void forget_address(struct names_network *net, const struct netd_addr *a,
                           const struct endpoint *ep) {
    char text[NETD_ADDR_TEXT];
    if (a->family && map_get(&net->addresses, netd_addr_text(a, 0, text)) == ep)
        (void)map_del(&net->addresses, text);
}

static void remove_endpoint(struct names_network *net, const char *container) {
    struct endpoint *ep = map_del(&net->endpoints, container);
    if (!ep)
        return;
    strv_for_each (name, ep->names)
        let_go(net, name, ep);
    forget_address(net, &ep->ip4, ep);
    forget_address(net, &ep->ip6, ep);
    endpoint_free(ep);
}

void names_put(struct names *n, const struct names_put *p) {
    struct names_network *net = map_get(&n->networks, p->network);
    struct endpoint *ep = xnew(struct endpoint);

    if (!net) {
        net = xnew(struct names_network);
        (void)map_put(&n->networks, p->network, net); /* there was none */
    }
    str_set(&net->name, p->network_name);
    remove_endpoint(net, p->container);
    *ep = (struct endpoint){.container = xstrdup(p->container),
                            .ip4 = p->ip4,
                            .ip6 = p->ip6,
                            .names = strv_dup(p->names),
                            .generation = p->generation};
    strv_for_each (name, ep->names)
        hold(net, name, ep);
    note_address(net, &ep->ip4, ep);
    note_address(net, &ep->ip6, ep);
    (void)map_put(&net->endpoints, p->container, ep); /* removed above */
}

void names_del(struct names *n, const char *network, const char *container) {
    struct names_network *net = map_get(&n->networks, network);
    if (!net)
        return;
    remove_endpoint(net, container);
    if (net->endpoints.count == 0)
        network_free(map_del(&n->networks, network));
}

void names_sweep(struct names *n, unsigned generation) {
    map_for_each (e, &n->networks) {
        struct names_network *net = e->value;
        map_for_each (x, &net->endpoints) {
            const struct endpoint *ep = x->value;
            auto_free char *container =
                ep->generation == generation ? NULL : xstrdup(ep->container);
            if (container)
                remove_endpoint(net, container);
        }
        if (net->endpoints.count == 0) {
            auto_free char *id = xstrdup(e->key);
            network_free(map_del(&n->networks, id));
        }
    }
}

size_t names_count(const struct names *n) {
    size_t count = 0;
    map_for_each (e, &n->networks)
        count += ((const struct names_network *)e->value)->endpoints.count;
    return count;
}

/* ---- questions ------------------------------------------------------------------------------- */
static void shuffle(struct netd_addr *v, size_t n) {
    for (size_t i = n; i > 1; i--) {
        size_t k = random_u64() % i;
        struct netd_addr x = v[i - 1];
        v[i - 1] = v[k];
        v[k] = x;
    }
}

static int find_in(const struct names_network *net, const char *name, int family,
                   struct netd_addr *out, size_t max) {
    const struct holders *h = map_get(&net->names, name);
    size_t n = 0;
    if (!h)
        return -ENOENT;
    for (size_t i = 0; i < h->count && n < max; i++) {
        const struct netd_addr *a = family == AF_INET ? &h->v[i]->ip4 : &h->v[i]->ip6;
        if (a->family == family)
            out[n++] = *a;
    }
    shuffle(out, n);
    return (int)n;
}

/* What the alias of a link stands for, or NULL. */
static const char *linked(char *const *links, const char *name) {
    size_t n = strlen(name);
    strv_for_each (link, links) {
        if (strncasecmp(link, name, n) == 0 && link[n] == '=')
            return link + n + 1;
    }
    return NULL;
}

static int find_on(const struct names *n, char *const *networks, const char *network_name,
                   const char *name, int family, struct netd_addr *out, size_t max) {
    strv_for_each (id, networks) {
        const struct names_network *net = map_get(&n->networks, id);
        int r = -ENOENT;
        if (net && (!network_name || str_case_eq(net->name, network_name)))
            r = find_in(net, name, family, out, max);
        if (r >= 0)
            return r;
    }
    return -ENOENT;
}

int names_find(const struct names *n, char *const *networks, char *const *links, const char *name,
               int family, struct netd_addr *out, size_t max) {
    char copy[DNS_NAME_TEXT];
    const char *target = linked(links, name);
    int r = -ENOENT;

    if (target && strlen(target) < sizeof(copy)) {
        snprintf(copy, sizeof(copy), "%s", target);
        str_lower(copy);
        r = find_on(n, networks, NULL, copy, family, out, max);
    }
    if (r < 0)
        r = find_on(n, networks, NULL, name, family, out, max);
    const char *dot = strrchr(name, '.');
    if (r >= 0 || !dot || strlen(name) >= sizeof(copy))
        return r;
    snprintf(copy, sizeof(copy), "%.*s", (int)(dot - name), name);
    target = linked(links, copy);
    if (target && strlen(target) < sizeof(copy)) {
        snprintf(copy, sizeof(copy), "%s", target);
        str_lower(copy);
    }
    return find_on(n, networks, dot + 1, copy, family, out, max);
}

int names_reverse(const struct names *n, char *const *networks, const struct netd_addr *a,
                  char out[static DNS_NAME_TEXT]) {
    char text[NETD_ADDR_TEXT];
    (void)netd_addr_text(a, 0, text);
    strv_for_each (id, networks) {
        const struct names_network *net = map_get(&n->networks, id);
        const struct endpoint *ep = net ? map_get(&net->addresses, text) : NULL;
        if (!ep || !ep->names)
            continue;
        int len = snprintf(out, DNS_NAME_TEXT, "%s.%s", ep->names[0], net->name);
        return len > 0 && len < DNS_NAME_TEXT ? 0 : -ENOENT;
    }
    return -ENOENT;
}
