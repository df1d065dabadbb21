/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces of a running container: A makes one on the host's side and enters the network
 * namespace, in a helper that shares its memory, to configure it. Either all of it holds afterwards
 * or nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/vfs.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/net_config.h"
#include "runtime/setup.h"
#include "sys/clone.h"
#include "sys/link.h"
#include "sys/netlink.h"

#define PORT_OPENS_MS 100

/* What the helper needs, and how it went. */
struct inside {
    struct setup *s;
    int host_nl; /* of the host's namespace, in which a socket stays */
    int nl, proc;
    int (*work)(struct inside *in, struct err *e);
    struct err *e;
    int result;
};

static const struct rt_interface *interface_at(const struct setup *s, size_t n) {
    return field_array_at(&s->request.net.interfaces, struct rt_interface, n);
}

/* ---- in the container's network namespace ---------------------------------------------------- */

static int inside_main(void *arg) {
    struct inside *in = arg;
    int r = sys_setns(in->s->net_ns, CLONE_NEWNET);
    if (r >= 0)
        in->nl = r = nl_open(NETLINK_ROUTE);
    in->result = r < 0 ? err_sys(in->e, r, "failed to enter the container's network namespace")
                       : in->work(in, in->e);
    in->nl = fd_close(in->nl);
    return 0;
}

/* Of interfaces that are no veths: those go with their ends on the host. */
static int undo_inside(struct inside *in, struct err *e) {
    const struct setup *s = in->s;
    (void)e;
    for (size_t n = 0; n < s->request.net.interfaces.count; n++) {
        char name[IFNAMSIZ];
        const char *made_as = setup_net_made_as(s, n, name);
        if (str_eq(interface_at(s, n)->kind, "veth"))
            continue;
        (void)link_del(in->nl, made_as); /* not made, or named already */
        if (n < s->named)
            (void)link_del(in->nl, interface_at(s, n)->name);
    }
    return 0;
}

static int connect_steps(struct inside *in, struct net_defaults *before, struct err *e) {
    struct setup *s = in->s;
    size_t count = s->request.net.interfaces.count;
    int r = net_defaults_read(in->nl, before, e);
    if (r < 0)
        return r;
    for (size_t n = 0; r >= 0 && n < count; n++) {
        const struct rt_interface *i = interface_at(s, n);
        char name[IFNAMSIZ];
        if (net_has_ipv6(i)) /* what has been without IPv6 so far lacks ::1 */
            (void)net_sysctl_write(in->proc, "net/ipv6/conf/lo/disable_ipv6", "0");
        r = net_configure(in->nl, in->proc, i, true, setup_net_made_as(s, n, name), e);
        if (r >= 0)
            s->named = n + 1;
    }
    struct net_defaults wanted;
    if (r >= 0)
        r = net_defaults_plan(&s->request.net.defaults, &wanted, e);
    if (r < 0)
        return r;
    r = net_defaults_apply(in->nl, before, &wanted, e);
    if (r < 0) {
        struct net_defaults now;
        if (net_defaults_read(in->nl, &now, NULL) >= 0)
            (void)net_defaults_apply(in->nl, &now, before, NULL); /* as far as it goes */
    }
    return r;
}

static int connect_inside(struct inside *in, struct err *e) {
    struct setup *s = in->s;
    struct net_defaults before;
    int r = connect_steps(in, &before, e);
    if (r < 0) {
        (void)undo_inside(in, NULL); /* cannot fail */
        return r;
    }
    for (size_t n = 0; n < s->request.net.interfaces.count; n++)
        net_announce(in->nl, in->host_nl, interface_at(s, n), PORT_OPENS_MS);
    return 0;
}

/* The routes first: what goes last cannot fail half way. */
static int disconnect_inside(struct inside *in, struct err *e) {
    struct setup *s = in->s;
    struct net_defaults before, wanted;
    int r = net_defaults_read(in->nl, &before, e);
    if (r >= 0)
        r = net_defaults_plan(&s->request.net.defaults, &wanted, e);
    if (r >= 0)
        r = net_defaults_apply(in->nl, &before, &wanted, e);
    if (r < 0)
        return r;
    for (size_t n = 0; r >= 0 && n < s->request.net.interfaces.count; n++) {
        const struct rt_interface *i = interface_at(s, n);
        /* A veth by its end on the host, which nobody in the container can have renamed. */
        r = str_eq(i->kind, "veth") ? link_del(in->host_nl, str_or_empty(i->host_if))
                                    : link_del(in->nl, str_or_empty(i->name));
        if (r == -ENODEV)
            r = 0; /* somebody else has removed it */
        if (r < 0)
            err_sys(e, r, "failed to remove interface %s", str_or_empty(i->name));
    }
    if (r < 0)
        (void)net_defaults_apply(in->nl, &wanted, &before, NULL); /* as far as it goes */
    return r;
}

/* ---- on the host ----------------------------------------------------------------------------- */

static int open_namespace(struct setup *s, struct err *e) {
    if (s->join_net < 0)
        return err_set(e, ERR_INVALID, "%s without a container", s->request.op);
    s->net_ns = ns_open(s->join_net, "net");
    if (s->net_ns == -ESRCH)
        return err_set(e, ERR_CONFLICT, "container %s is not running", s->request.id);
    if (s->net_ns < 0)
        return err_sys(e, s->net_ns, "failed to open the container's network namespace");
    auto_fd own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int same = own < 0 ? -errno : ns_same(own, s->net_ns);
    if (same < 0)
        return err_sys(e, same, "failed to look at the container's network namespace");
    return same ? err_set(e, ERR_CONFLICT, "container %s has the host's network", s->request.id)
                : 0;
}

/* sys/net of any proc shows the namespace of the process that looks. */
static int open_proc(int *ret, struct err *e) {
    struct statfs fs;
    auto_fd proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0 || fstatfs(proc, &fs) < 0)
        return err_sys(e, errno, "open /proc");
    if (fs.f_type != PROC_SUPER_MAGIC)
        return err_set(e, ERR_SYSTEM, "/proc is no proc file system");
    *ret = take_fd(&proc);
    return 0;
}

static int call_inside(struct setup *s, int (*work)(struct inside *in, struct err *e),
                       struct err *e) {
    struct inside in = {
        .s = s, .host_nl = -1, .nl = -1, .proc = -1, .work = work, .e = e, .result = -ECHILD};
    int r = open_proc(&in.proc, e);
    if (r >= 0) {
        in.host_nl = nl_open(NETLINK_ROUTE);
        r = in.host_nl < 0 ? err_sys(e, in.host_nl, "failed to open a netlink socket") : 0;
    }
    if (r >= 0) {
        r = sys_call_beside(inside_main, &in);
        if (r < 0)
            err_sys(e, r, "fork");
        else
            r = in.result;
        if (r == -ECHILD)
            err_set(e, ERR_SYSTEM, "the set-up process ended early");
    }
    fd_close(in.host_nl);
    fd_close(in.proc);
    return r;
}

int setup_connect(struct setup *s, struct err *e) {
    int r = open_namespace(s, e);
    if (r >= 0)
        r = setup_net_host(s, e);
    if (r >= 0)
        r = call_inside(s, connect_inside, e);
    else if (s->net_ns >= 0)
        (void)call_inside(s, undo_inside, NULL); /* macvlans that came before the failure */
    /* A daemon that has gone meanwhile will not hear of it, and the next one takes away what it
     * finds: perhaps it has looked already. */
    if (r >= 0) {
        r = setup_check_daemon(s, e);
        if (r < 0)
            (void)call_inside(s, undo_inside, NULL); /* as far as it goes */
    }
    if (r < 0)
        setup_net_undo(s);
    return r;
}

int setup_disconnect(struct setup *s, struct err *e) {
    int r = open_namespace(s, e);
    return r < 0 ? r : call_inside(s, disconnect_inside, e);
}
