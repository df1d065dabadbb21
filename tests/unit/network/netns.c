/* SPDX-License-Identifier: Apache-2.0 */
#include "netns.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "base/io.h"
#include "sys/link.h"
#include "sys/netlink.h"

int ns_wait_ms = NS_PATIENT_MS;

struct ip ip_of(const char *s) {
    struct ip ip = {0};

    assert_int_equal(ip_parse(s, &ip), 0);
    return ip;
}

struct cidr cidr_of(const char *s) {
    struct cidr c = {0};

    assert_int_equal(cidr_parse(s, &c), 0);
    return c;
}

/* ---- namespaces ------------------------------------------------------------------------------ */
static void lo_up(void) {
    auto_fd nl = nl_open(NETLINK_ROUTE);
    unsigned lo;

    assert_true(nl >= 0);
    assert_int_equal(link_index("lo", &lo), 0);
    assert_int_equal(link_set_up(nl, lo), 0);
}

int ns_host(void) {
    int fd;

    assert_int_equal(unshare(CLONE_NEWNET), 0);
    fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    lo_up();
    /* Link-local addresses would be of no use for the first seconds. */
    sysctl_put("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    sysctl_put("/proc/sys/net/ipv6/conf/all/accept_dad", "0");
    return fd;
}

int ns_new(void) {
    auto_fd back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd;

    assert_true(back >= 0);
    fd = ns_host();
    ns_enter(back);
    return fd;
}

void ns_enter(int ns) {
    assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

void sysctl_put(const char *path, const char *value) {
    assert_int_equal(io_write_existing_at(AT_FDCWD, path, value), 0);
}

static void move(int nl, const char *name, int ns) {
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct nl_msg m;
    unsigned index;

    assert_int_equal(link_index(name, &index), 0);
    info.ifi_index = (int)index;
    nl_init(&m, RTM_NEWLINK, 0);
    nl_put_raw(&m, &info, sizeof info);
    nl_put_str(&m, IFLA_IFNAME, "eth0");
    nl_put_u32(&m, IFLA_NET_NS_FD, (uint32_t)ns);
    assert_int_equal(nl_talk(nl, &m), 0);
}

static void add_default_route(int nl, unsigned index, const char *gateway) {
    struct ip ip = ip_of(gateway);
    struct rtmsg route = {.rtm_family = (unsigned char)ip.family,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_BOOT,
                          .rtm_scope = RT_SCOPE_UNIVERSE,
                          .rtm_type = RTN_UNICAST};
    struct nl_msg m;

    nl_init(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    nl_put_raw(&m, &route, sizeof route);
    nl_put(&m, RTA_GATEWAY, ip.b, (size_t)ip_bits(&ip) / 8);
    nl_put_u32(&m, RTA_OIF, index);
    assert_int_equal(nl_talk(nl, &m), 0);
}

static void configure(const char *name, const char *ip4, const char *ip6, const char *gateway4,
                      const char *gateway6) {
    auto_fd nl = nl_open(NETLINK_ROUTE);
    unsigned index;

    assert_int_equal(link_index(name, &index), 0);
    if (ip4)
        assert_int_equal(link_add_address(nl, index, ip4), 0);
    if (ip6)
        assert_int_equal(link_add_address(nl, index, ip6), 0);
    assert_int_equal(link_set_up(nl, index), 0);
    if (gateway4)
        add_default_route(nl, index, gateway4);
    if (gateway6)
        add_default_route(nl, index, gateway6);
}

void ns_plug(int host, int ns, const struct plug *p) {
    struct link_veth v = {.name = p->host_if, .peer_name = "peer", .mac = p->mac};
    unsigned master = 0, port;

    ns_enter(host);
    if (p->bridge)
        assert_int_equal(link_index(p->bridge, &master), 0);
    v.master = master;
    {
        auto_fd nl = nl_open(NETLINK_ROUTE);

        assert_int_equal(link_add_veth(nl, &v), 0);
        move(nl, "peer", ns);
        assert_int_equal(link_index(p->host_if, &port), 0);
        if (p->bridge)
            assert_int_equal(link_set_hairpin(nl, port), 0); /* as the runtime does */
        else
            configure(p->host_if, p->host4, p->host6, NULL, NULL);
    }
    ns_enter(ns);
    configure("eth0", p->ip4, p->ip6, p->gateway4, p->gateway6);
    ns_enter(host);
}

void ns_address(int ns, const char *name, const char *address) {
    auto_fd back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    ns_enter(ns);
    configure(name, strchr(address, ':') ? NULL : address, strchr(address, ':') ? address : NULL,
              NULL, NULL);
    ns_enter(back);
}

/* ---- traffic --------------------------------------------------------------------------------- */
union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t to_sockaddr(const char *text, uint16_t port, union address *out) {
    struct ip ip = ip_of(text);

    *out = (union address){0};
    if (ip.family == AF_INET) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        memcpy(&out->v4.sin_addr, ip.b, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    memcpy(&out->v6.sin6_addr, ip.b, 16);
    return sizeof out->v6;
}

static void peer_text(const union address *a, char out[static IP_TEXT_MAX]) {
    if (a->any.sa_family == AF_INET)
        inet_ntop(AF_INET, &a->v4.sin_addr, out, IP_TEXT_MAX);
    else
        inet_ntop(AF_INET6, &a->v6.sin6_addr, out, IP_TEXT_MAX);
}

static int socket_in(int ns, int family, int proto) {
    auto_fd back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd;

    ns_enter(ns);
    fd = socket(family,
                (proto == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
                proto);
    assert_true(fd >= 0);
    ns_enter(back);
    return fd;
}

int server(int ns, const char *ip, uint16_t port, int proto) {
    union address a;
    socklen_t n = to_sockaddr(ip, port, &a);
    int fd = socket_in(ns, a.any.sa_family, proto), yes = 1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    assert_int_equal(bind(fd, &a.any, n), 0);
    if (proto == IPPROTO_TCP)
        assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static bool ready(int fd, short what) {
    struct pollfd p = {.fd = fd, .events = what};

    return poll(&p, 1, ns_wait_ms) == 1 && (p.revents & what);
}

static bool reaches_udp(int fd, const union address *a, socklen_t n, int srv, union address *peer) {
    socklen_t len = sizeof *peer;
    char room[16];

    if (sendto(fd, "hello", 5, 0, &a->any, n) != 5 || !ready(srv, POLLIN))
        return false;
    assert_int_equal(recvfrom(srv, room, sizeof room, 0, &peer->any, &len), 5);
    if (sendto(srv, "world", 5, 0, &peer->any, len) != 5 || !ready(fd, POLLIN))
        return false;
    return recv(fd, room, sizeof room, 0) == 5;
}

static bool reaches_tcp(int fd, const union address *a, socklen_t n, int srv, union address *peer,
                        int *ret_conn) {
    socklen_t len = sizeof *peer, size = sizeof(int);
    int error = 0;

    if (connect(fd, &a->any, n) < 0 && errno != EINPROGRESS)
        return false;
    if (!ready(fd, POLLOUT) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
        return false;
    if (!ready(srv, POLLIN))
        return false;
    *ret_conn = accept4(srv, &peer->any, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(*ret_conn >= 0);
    return true;
}

bool reaches_from(int ns, const char *source, const char *ip, uint16_t port, int srv,
                  char peer[static IP_TEXT_MAX], int *ret_fd, int *ret_conn) {
    union address a, from = {0};
    socklen_t n = to_sockaddr(ip, port, &a), size = sizeof(int);
    auto_fd conn = -1;
    auto_fd fd = -1;
    int type = 0;
    bool ok;

    assert_int_equal(getsockopt(srv, SOL_SOCKET, SO_TYPE, &type, &size), 0);
    fd = socket_in(ns, a.any.sa_family, type == SOCK_DGRAM ? IPPROTO_UDP : IPPROTO_TCP);
    if (source) {
        union address s;
        socklen_t k = to_sockaddr(source, 0, &s);

        assert_int_equal(bind(fd, &s.any, k), 0);
    }
    peer[0] = '\0';
    ok = type == SOCK_DGRAM ? reaches_udp(fd, &a, n, srv, &from)
                            : reaches_tcp(fd, &a, n, srv, &from, &conn);
    if (!ok)
        return false;
    peer_text(&from, peer);
    if (ret_fd)
        *ret_fd = take_fd(&fd);
    if (ret_conn)
        *ret_conn = take_fd(&conn);
    return true;
}

bool reaches(int ns, const char *ip, uint16_t port, int srv, char peer[static IP_TEXT_MAX],
             int *ret_fd, int *ret_conn) {
    return reaches_from(ns, NULL, ip, port, srv, peer, ret_fd, ret_conn);
}
