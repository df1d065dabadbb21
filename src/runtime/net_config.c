/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/net_config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "sys/link.h"
#include "sys/path.h"

static const int families[2] = {AF_INET, AF_INET6};

/* ---- sysctls --------------------------------------------------------------------------------- */

int net_sysctl_write(int proc, const char *path, const char *value) {
    auto_free char *file = xasprintf("sys/%s", path);
    if (strstr(file, "/../") || str_ends(file, "/.."))
        return -EINVAL; /* what has been checked is the beginning */
    auto_fd fd = path_open_in_how(proc, file, O_WRONLY, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
    return fd < 0 ? fd : io_write_all(fd, value, strlen(value));
}

char *net_sysctl_path(const char *key) {
    char *path = xstrdup(key);
    const char *separator = strpbrk(key, "./");
    if (separator && *separator == '.')
        for (char *p = path; *p; p++)
            *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
    return path;
}

/* The component IFNAME becomes the interface's name. NULL: this is no setting of an interface. */
static char *interface_sysctl(const char *key, const char *name) {
    auto_free char *path = net_sysctl_path(key);
    char *at = strstr(path, "/IFNAME/");
    if (!at)
        at = strstr(path, "/ifname/"); /* docker's client turns all letters into small ones */
    if (!str_starts(path, "net/") || !at)
        return NULL;
    *at = '\0';
    return xasprintf("%s/%s/%s", path, name, at + strlen("/IFNAME/"));
}

static int write_sysctls(int proc, const struct rt_interface *i, struct err *e) {
    strmap_for_each(entry, &i->sysctls) {
        auto_free char *path = interface_sysctl(entry->key, i->name);
        if (!path)
            return err_set(e, ERR_INVALID,
                           "invalid sysctl %s of an interface: it must be like "
                           "net.X.Y.IFNAME.Z",
                           entry->key);
        int r = net_sysctl_write(proc, path, entry->value);
        if (r < 0)
            return err_sys(e, r, "failed to set /proc/sys/%s", path);
    }
    return 0;
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static bool is_ipv6(const char *address) {
    return strchr(address, ':') != NULL;
}

bool net_has_ipv6(const struct rt_interface *i) {
    strv_for_each (address, i->addresses)
        if (is_ipv6(address))
            return true;
    return false;
}

static void set_ipv6(int proc, const char *name, const char *setting, const char *value) {
    auto_free char *path = xasprintf("net/ipv6/conf/%s/%s", name, setting);
    (void)net_sysctl_write(proc, path, value); /* no IPv6 in this kernel: then there is none */
}

/* As Docker: an endpoint without an IPv6 address has no link-local one either. */
static void choose_ipv6(int proc, const struct rt_interface *i) {
    bool on = net_has_ipv6(i);
    set_ipv6(proc, i->name, "disable_ipv6", on ? "0" : "1");
    if (!on)
        return;
    /* Addresses are given out once; waiting for nobody's objection would take a second. */
    set_ipv6(proc, i->name, "accept_dad", "0");
    set_ipv6(proc, i->name, "ndisc_notify", "1");
}

static int add_addresses(int nl, unsigned index, const struct rt_interface *i, struct err *e) {
    strv_for_each (address, i->addresses) {
        int r = link_add_address(nl, index, address);
        if (r < 0)
            return err_sys(e, r, "failed to set address %s", address);
    }
    return 0;
}

/* Without a bridge that would not listen yet, the kernel can tell the neighbours here. */
static int set_up(int nl, unsigned index, const struct rt_interface *i) {
    bool announce = str_empty(i->bridge);
    if (announce)
        (void)link_set_arp_notify(nl, index, true); /* neighbours ask again when nobody answers */
    int r = link_set_up(nl, index);
    if (announce)
        (void)link_set_arp_notify(nl, index, false);
    return r;
}

static int add_routes(int nl, unsigned index, const struct rt_interface *i, struct err *e) {
    strv_for_each (text, i->routes) {
        auto_free char *to = xstrdup(text);
        char *via = strstr(to, " via ");
        struct route route;
        if (via) {
            *via = '\0';
            via += strlen(" via ");
        }
        int r = route_parse(to, via, &route);
        if (r >= 0) {
            route.index = index;
            r = route_put(nl, &route, false);
        }
        if (r < 0)
            return err_sys(e, r, "failed to add route %s", text);
    }
    return 0;
}

int net_configure(int nl, int proc, const struct rt_interface *i, bool ns_has_ipv6,
                  const char *made_as, struct err *e) {
    unsigned index;
    int r = link_index(made_as, &index);
    if (r < 0)
        return err_sys(e, r, "failed to find interface %s", made_as);
    if (!str_eq(made_as, i->name))
        r = link_rename(nl, index, i->name);
    if (r == -EEXIST)
        return err_set(e, ERR_CONFLICT, "the container has an interface %s already", i->name);
    if (r < 0)
        return err_sys(e, r, "failed to name interface %s", i->name);
    if (ns_has_ipv6)
        choose_ipv6(proc, i);
    r = add_addresses(nl, index, i, e);
    if (r < 0)
        return r;
    r = set_up(nl, index, i);
    if (r < 0)
        return err_sys(e, r, "failed to set up interface %s", i->name);
    r = write_sysctls(proc, i, e);
    return r < 0 ? r : add_routes(nl, index, i, e);
}

int net_own_gateways(int nl, const struct rt_interface *i, struct err *e) {
    const char *gateways[] = {i->gateway, i->gateway6};
    for (size_t k = 0; k < 2; k++) {
        struct route route;
        if (str_empty(gateways[k]))
            continue;
        int r = route_parse(NULL, gateways[k], &route);
        if (r >= 0)
            r = link_index(i->name, &route.index);
        if (r >= 0)
            r = route_put(nl, &route, false);
        if (r < 0)
            return err_sys(e, r, "failed to set gateway %s", gateways[k]);
    }
    return 0;
}

void net_announce(int nl, int host_nl, const struct rt_interface *i, int patience_ms) {
    unsigned index;
    if (str_empty(i->bridge) || !strv_len(i->addresses) || link_index(i->name, &index) < 0)
        return;
    (void)link_wait_running(host_nl, i->host_if, patience_ms);
    (void)link_announce(nl, index, i->name); /* neighbours ask again when nobody answers */
}

/* ---- default routes -------------------------------------------------------------------------- */

int net_defaults_read(int nl, struct net_defaults *ret, struct err *e) {
    struct net_defaults d = {0};
    for (size_t k = 0; k < 2; k++) {
        int r = route_default(nl, families[k], &d.route[k]);
        if (r < 0 && r != -EOPNOTSUPP && r != -EAFNOSUPPORT) /* a kernel without IPv6 */
            return err_sys(e, r, "failed to read the default route");
        d.set[k] = r == 1;
    }
    *ret = d;
    return 0;
}

int net_defaults_plan(const struct field_array *wanted, struct net_defaults *ret, struct err *e) {
    struct net_defaults d = {0};
    for (size_t n = 0; n < wanted->count; n++) {
        const struct rt_default *w = field_array_at(wanted, struct rt_default, n);
        struct route route;
        if (route_parse(NULL, str_or_empty(w->gateway), &route) < 0)
            return err_set(e, ERR_INVALID, "invalid gateway: %s", str_or_empty(w->gateway));
        size_t k = route.family == AF_INET6;
        if (d.set[k])
            return err_set(e, ERR_INVALID, "more than one default route: %s", w->gateway);
        int r = link_index(str_or_empty(w->name), &route.index);
        if (r < 0)
            return err_sys(e, r, "failed to find interface %s", str_or_empty(w->name));
        d.route[k] = route;
        d.set[k] = true;
    }
    *ret = d;
    return 0;
}

int net_defaults_apply(int nl, const struct net_defaults *now, const struct net_defaults *wanted,
                       struct err *e) {
    for (size_t k = 0; k < 2; k++) {
        int r = 0;
        if (wanted->set[k]) {
            if (!now->set[k] || !route_equal(&now->route[k], &wanted->route[k]))
                r = route_put(nl, &wanted->route[k], true);
        } else if (now->set[k]) {
            r = route_del(nl, &now->route[k]);
            if (r == -ESRCH)
                r = 0; /* gone meanwhile */
        }
        if (r < 0)
            return err_sys(e, r, "failed to change the default route");
    }
    return 0;
}
