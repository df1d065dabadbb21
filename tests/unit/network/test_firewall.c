/* SPDX-License-Identifier: Apache-2.0 */
#include "netns.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "network/bridge.h"
#include "network/firewall.h"
#include "network/nft_msg.h"
#include "sys/netlink.h"

#define TABLE "fwtest"

/*
 *   lan 192.168.9.2 ── host 192.168.9.1, 192.168.8.1 ── br1 172.30.1.1/24: a .2, b .3
 *                                                   └── br2 172.30.2.1/24: c .2
 */
struct world {
    int host, lan, a, b, c;
    struct firewall *f;
    struct fw_network br1, br2;
};
static struct world w;

/* The same test for both families. */
struct family {
    const char *lan, *host, *other, *a, *b, *c, *gateway1, *gateway2, *any;
};
static const struct family V4 = {"192.168.9.2", "192.168.9.1", "192.168.8.1",
                                 "172.30.1.2",  "172.30.1.3",  "172.30.2.2",
                                 "172.30.1.1",  "172.30.2.1",  "0.0.0.0"};
static const struct family V6 = {"fd09::2",   "fd09::1",   "fd08::1",   "fd30:1::2", "fd30:1::3",
                                 "fd30:2::2", "fd30:1::1", "fd30:2::1", "::"};
static const struct family *const FAMILIES[] = {&V4, &V6};
#define for_each_family(x)                                                                         \
    for (const struct family *const *x##_i = FAMILIES, *x; x##_i < FAMILIES + 2 && (x = *x##_i);   \
         x##_i++)

static char peer[IP_TEXT_MAX];

/* What is to work may take its time on a busy machine. */
#define assert_open(...)   assert_true(open_to(NS_PATIENT_MS, __VA_ARGS__))
#define assert_closed(...) assert_false(open_to(NS_SHORT_MS, __VA_ARGS__))
static bool open_to(int wait_ms, int ns, const char *ip, uint16_t port, int srv) {
    bool yes;

    ns_wait_ms = wait_ms;
    yes = reaches(ns, ip, port, srv, peer, NULL, NULL);
    ns_wait_ms = NS_PATIENT_MS;
    return yes;
}

static void make_bridge(const char *name, const char *ip4, const char *ip6) {
    struct cidr a[] = {cidr_of(ip4), cidr_of(ip6)};
    auto_fd nl = nl_open(NETLINK_ROUTE);

    assert_int_equal(bridge_make(nl, &(struct bridge_config){name, a, 2, 0, true}, NULL), 0);
}

static void firewall_up(struct world *x) {
    assert_int_equal(firewall_open(TABLE, &x->f), 0);
    firewall_begin(x->f);
    assert_int_equal(firewall_network_put(x->f, &x->br1), 0);
    assert_int_equal(firewall_network_put(x->f, &x->br2), 0);
    assert_int_equal(firewall_commit(x->f), 0);
}

static int build(const char *bridged) {
    w.host = ns_host();
    w.lan = ns_new();
    w.a = ns_new();
    w.b = ns_new();
    w.c = ns_new();
    assert_int_equal(bridge_forwarding(true, true), 0);
    if (access("/proc/sys/net/bridge", F_OK) == 0) {
        sysctl_put("/proc/sys/net/bridge/bridge-nf-call-iptables", bridged);
        sysctl_put("/proc/sys/net/bridge/bridge-nf-call-ip6tables", bridged);
    }
    make_bridge("br1", "172.30.1.1/24", "fd30:1::1/64");
    make_bridge("br2", "172.30.2.1/24", "fd30:2::1/64");
    ns_plug(w.host, w.lan,
            &(struct plug){.host_if = "lan0",
                           .host4 = "192.168.9.1/24",
                           .host6 = "fd09::1/64",
                           .ip4 = "192.168.9.2/24",
                           .ip6 = "fd09::2/64",
                           .gateway4 = "192.168.9.1",
                           .gateway6 = "fd09::1",
                           .mac = {2, 0, 0, 0, 9, 2}});
    ns_address(w.host, "lan0", "192.168.8.1/24");
    ns_address(w.host, "lan0", "fd08::1/64");
    ns_plug(w.host, w.a,
            &(struct plug){"vetha",
                           "br1",
                           NULL,
                           NULL,
                           "172.30.1.2/24",
                           "fd30:1::2/64",
                           "172.30.1.1",
                           "fd30:1::1",
                           {2, 0, 0, 0, 1, 2}});
    ns_plug(w.host, w.b,
            &(struct plug){"vethb",
                           "br1",
                           NULL,
                           NULL,
                           "172.30.1.3/24",
                           "fd30:1::3/64",
                           "172.30.1.1",
                           "fd30:1::1",
                           {2, 0, 0, 0, 1, 3}});
    ns_plug(w.host, w.c,
            &(struct plug){"vethc",
                           "br2",
                           NULL,
                           NULL,
                           "172.30.2.2/24",
                           "fd30:2::2/64",
                           "172.30.2.1",
                           "fd30:2::1",
                           {2, 0, 0, 0, 2, 2}});
    w.br1 = (struct fw_network){.bridge = "br1",
                                .subnets = {cidr_of("172.30.1.0/24"), cidr_of("fd30:1::/64")},
                                .subnet_count = 2,
                                .masquerade = true,
                                .icc = true};
    w.br2 = w.br1;
    memcpy(w.br2.bridge, "br2", 4);
    w.br2.subnets[0] = cidr_of("172.30.2.0/24");
    w.br2.subnets[1] = cidr_of("fd30:2::/64");
    firewall_up(&w);
    return 0;
}

static int setup(void **state) {
    return build("0");
}

static int setup_bridged(void **state) {
    return build("1");
}

static int teardown(void **state) {
    firewall_withdraw(w.f);
    firewall_close(w.f);
    close(w.host);
    close(w.lan);
    close(w.a);
    close(w.b);
    close(w.c);
    return 0;
}

static struct fw_port port_of(uint8_t proto, const char *host, uint16_t host_port, const char *to,
                              uint16_t to_port, const char *bridge) {
    struct fw_port p = {.proto = proto,
                        .host = ip_of(host),
                        .host_port = host_port,
                        .to = ip_of(to),
                        .to_port = to_port};

    memcpy(p.bridge, bridge, strlen(bridge) + 1);
    return p;
}

static void publish(uint8_t proto, const char *host, uint16_t host_port, const char *to,
                    uint16_t to_port) {
    struct fw_port p = port_of(proto, host, host_port, to, to_port, "br1");

    assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
}

/* ---- published ports ------------------------------------------------------------------------- */
static void test_published(void **state) {
    for_each_family(x) {
        auto_fd srv = server(w.a, x->any, 80, IPPROTO_TCP);

        assert_closed(w.lan, x->host, 8080, srv);
        publish(IPPROTO_TCP, x->any, 8080, x->a, 80);
        publish(IPPROTO_TCP, x->host, 8081, x->a, 80);

        /* From the LAN, with the client's address. */
        assert_open(w.lan, x->host, 8080, srv);
        assert_string_equal(peer, x->lan);
        assert_open(w.lan, x->other, 8080, srv);
        assert_open(w.lan, x->host, 8081, srv);
        assert_closed(w.lan, x->other, 8081, srv);
        /* From the host by its own addresses. */
        assert_open(w.host, x->host, 8080, srv);
        assert_open(w.host, x->gateway1, 8080, srv);
        assert_open(w.host, x->host, 8081, srv);
        /* From containers: of another network with the real address, of the same with the
         * bridge's, itself too. */
        assert_open(w.c, x->host, 8080, srv);
        assert_string_equal(peer, x->c);
        assert_open(w.c, x->gateway2, 8080, srv);
        assert_open(w.b, x->host, 8080, srv);
        assert_string_equal(peer, x->gateway1);
        assert_open(w.a, x->host, 8080, srv);
        assert_open(w.a, x->host, 8081, srv);
        /* Not past the published port. */
        assert_closed(w.lan, x->a, 80, srv);
        assert_closed(w.c, x->a, 80, srv);
        assert_closed(w.lan, x->host, 80, srv);
        /* The host itself reaches it directly. */
        assert_open(w.host, x->a, 80, srv);
    }
}

static void test_udp(void **state) {
    for_each_family(x) {
        auto_fd srv = server(w.a, x->any, 53, IPPROTO_UDP);
        auto_fd host = server(w.host, x->any, 5353, IPPROTO_UDP);

        assert_open(w.lan, x->host, 5353, host);
        publish(IPPROTO_UDP, x->any, 5353, x->a, 53);
        assert_open(w.lan, x->host, 5353, srv);
        assert_string_equal(peer, x->lan);
        assert_open(w.host, x->host, 5353, srv);
        assert_closed(w.lan, x->host, 5354, srv);
    }
}

/* Loopback is the relays' part. */
static void test_loopback(void **state) {
    struct fw_port p = port_of(IPPROTO_TCP, "127.0.0.1", 8080, V4.a, 80, "br1");
    auto_fd srv4 = server(w.host, "127.0.0.1", 8080, IPPROTO_TCP);
    auto_fd srv6 = server(w.host, "::1", 8080, IPPROTO_TCP);

    assert_int_equal(firewall_ports_put(w.f, &p, 1), -EINVAL);
    publish(IPPROTO_TCP, "0.0.0.0", 8080, V4.a, 80);
    publish(IPPROTO_TCP, "::", 8080, V6.a, 80);
    assert_open(w.host, "127.0.0.1", 8080, srv4);
    assert_open(w.host, "::1", 8080, srv6);
}

/* ---- networks -------------------------------------------------------------------------------- */
static void test_outside(void **state) {
    for_each_family(x) {
        auto_fd srv = server(w.lan, x->any, 80, IPPROTO_TCP);
        struct fw_network n = w.br1;

        assert_open(w.a, x->lan, 80, srv);
        assert_string_equal(peer, x->host);
        n.snat[0] = ip_of(x->other);
        assert_int_equal(firewall_network_put(w.f, &n), 0);
        assert_open(w.a, x->lan, 80, srv);
        assert_string_equal(peer, x->other);
        n.masquerade = false;
        assert_int_equal(firewall_network_put(w.f, &n), 0);
        assert_open(w.a, x->lan, 80, srv);
        assert_string_equal(peer, x->a);
        assert_int_equal(firewall_network_put(w.f, &w.br1), 0);
    }
}

static void test_isolation(void **state) {
    for_each_family(x) {
        auto_fd a = server(w.a, x->any, 80, IPPROTO_TCP);
        auto_fd c = server(w.c, x->any, 80, IPPROTO_TCP);
        auto_fd host = server(w.host, x->any, 22, IPPROTO_TCP);

        assert_open(w.b, x->a, 80, a);
        assert_string_equal(peer, x->b);
        assert_closed(w.c, x->a, 80, a);
        assert_closed(w.a, x->c, 80, c);
        assert_closed(w.lan, x->a, 80, a);
        assert_open(w.a, x->gateway1, 22, host); /* services of the host */
        assert_open(w.a, x->host, 22, host);
    }
}

static void test_internal(void **state) {
    struct fw_network n = w.br2;

    n.internal = true;
    assert_int_equal(firewall_network_put(w.f, &n), 0);
    for_each_family(x) {
        auto_fd lan = server(w.lan, x->any, 80, IPPROTO_TCP);
        auto_fd a = server(w.a, x->any, 80, IPPROTO_TCP);
        auto_fd c = server(w.c, x->any, 80, IPPROTO_TCP);
        auto_fd host = server(w.host, x->any, 22, IPPROTO_TCP);

        publish(IPPROTO_TCP, x->any, 8080, x->a, 80);
        publish(IPPROTO_TCP, x->any, 8082, x->c, 80);
        assert_closed(w.c, x->lan, 80, lan);
        assert_closed(w.c, x->host, 8080, a);
        assert_closed(w.lan, x->c, 80, c);
        assert_closed(w.lan, x->host, 8082, c);
        assert_open(w.host, x->c, 80, c);
        assert_open(w.c, x->gateway2, 22, host);
    }
}

static void test_routed(void **state) {
    struct fw_network n = w.br1;

    n.routed4 = n.routed6 = true;
    assert_int_equal(firewall_network_put(w.f, &n), 0);
    for_each_family(x) {
        auto_fd lan = server(w.lan, x->any, 80, IPPROTO_TCP);
        auto_fd a = server(w.a, x->any, 80, IPPROTO_TCP);

        assert_open(w.lan, x->a, 80, a);
        assert_string_equal(peer, x->lan);
        assert_open(w.a, x->lan, 80, lan);
        assert_string_equal(peer, x->a);
        assert_closed(w.c, x->a, 80, a);
    }
}

static void test_network_goes(void **state) {
    auto_fd a = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);

    assert_closed(w.lan, V4.a, 80, a);
    assert_int_equal(firewall_network_del(w.f, "br1"), 0);
    assert_int_equal(firewall_network_del(w.f, "br1"), 0);
    assert_open(w.lan, V4.a, 80, a); /* none of ours any more */
}

/* ---- icc, links ------------------------------------------------------------------------------ */
static void put_guard(const char *host_if, const char *ip4, const char *ip6, unsigned char last) {
    struct fw_guard g = {.mac = {2, 0, 0, 0, 1, last}, .count = 2};

    memcpy(g.host_if, host_if, strlen(host_if) + 1);
    g.addresses[0] = ip_of(ip4);
    g.addresses[1] = ip_of(ip6);
    assert_int_equal(firewall_guard_put(w.f, &g), 0);
}

static void guard_all(void) {
    put_guard("vetha", V4.a, V6.a, 2);
    put_guard("vethb", V4.b, V6.b, 3);
}

static void test_icc(void **state) {
    struct fw_network n = w.br1;

    n.icc = false;
    guard_all();
    assert_int_equal(firewall_network_put(w.f, &n), 0);
    for_each_family(x) {
        auto_fd a80 = server(w.a, x->any, 80, IPPROTO_TCP);
        auto_fd a81 = server(w.a, x->any, 81, IPPROTO_TCP);
        auto_fd a53 = server(w.a, x->any, 53, IPPROTO_UDP);
        auto_fd b80 = server(w.b, x->any, 80, IPPROTO_TCP);
        auto_fd lan = server(w.lan, x->any, 80, IPPROTO_TCP);
        auto_fd host = server(w.host, x->any, 22, IPPROTO_TCP);
        struct fw_link l[2] = {
            {"br1", ip_of(x->b), ip_of(x->a), IPPROTO_TCP, 80},
            {"br1", ip_of(x->b), ip_of(x->a), IPPROTO_UDP, 53},
        };

        assert_closed(w.b, x->a, 80, a80);
        assert_closed(w.b, x->a, 53, a53);
        assert_int_equal(firewall_links_put(w.f, l, 2), 0);
        assert_open(w.b, x->a, 80, a80);
        assert_string_equal(peer, x->b);
        assert_open(w.b, x->a, 53, a53);
        assert_closed(w.b, x->a, 81, a81);
        assert_closed(w.a, x->b, 80, b80);
        assert_open(w.b, x->lan, 80, lan);
        assert_open(w.b, x->gateway1, 22, host);
        /* What is published is reachable for the neighbour as for everybody. */
        publish(IPPROTO_TCP, x->any, 8081, x->a, 81);
        publish(IPPROTO_TCP, x->any, 8082, x->a, 81);
        assert_open(w.b, x->host, 8081, a81);
        assert_open(w.lan, x->host, 8081, a81);
        {
            struct fw_port p = port_of(IPPROTO_TCP, x->any, 8081, x->a, 81, "br1");

            assert_int_equal(firewall_ports_del(w.f, &p, 1), 0);
        }
        assert_open(w.b, x->host, 8082, a81);
        assert_int_equal(firewall_links_del(w.f, l, 2), 0);
        assert_closed(w.b, x->a, 80, a80);
    }
    assert_int_equal(firewall_network_put(w.f, &w.br1), 0);
    {
        auto_fd a80 = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);

        assert_open(w.b, V4.a, 80, a80);
    }
}

/* ---- spoofing -------------------------------------------------------------------------------- */
static int packet_socket(int ns) {
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int fd;

    ns_enter(ns);
    fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
    at.sll_ifindex = (int)if_nametoindex("eth0");
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    ns_enter(w.host);
    return fd;
}

/* Whether a frame that ends with this marker gets from one port to the other. */
static bool frame_arrives(int from, int to, unsigned char *frame, size_t n) {
    static unsigned char marker = 1;
    int waited = 0;

    marker++;
    memset(frame + n - 8, marker, 8);
    assert_int_equal(send(from, frame, n, 0), n);
    for (;;) {
        struct pollfd p = {.fd = to, .events = POLLIN};
        unsigned char room[2048];
        ssize_t k;

        if (poll(&p, 1, 100) == 0 && ++waited == 2)
            return false;
        k = recv(to, room, sizeof room, 0);
        if (k == (ssize_t)n && memcmp(room + n - 8, frame + n - 8, 8) == 0)
            return true;
    }
}

/* An ARP reply, a datagram, a neighbour advertisement: broadcast, by MAC and address. */
static size_t arp(unsigned char *f, unsigned char src, unsigned char sha, const char *spa) {
    static const unsigned char HEAD[] = {0, 1, 8, 0, 6, 4, 0, 2};
    struct ip ip = ip_of(spa);

    memset(f, 0, 128);
    memset(f, 0xff, 6);
    memcpy(f + 6, (unsigned char[]){2, 0, 0, 0, 1, src, 8, 6}, 8);
    memcpy(f + 14, HEAD, sizeof HEAD);
    memcpy(f + 22, (unsigned char[]){2, 0, 0, 0, 1, sha}, 6);
    memcpy(f + 28, ip.b, 4);
    return 64;
}

static uint16_t checksum(const unsigned char *p, size_t n) {
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static size_t ipv4(unsigned char *f, unsigned char src, const char *saddr) {
    struct ip ip = ip_of(saddr);
    uint16_t sum;

    memset(f, 0, 128);
    memset(f, 0xff, 6);
    memcpy(f + 6, (unsigned char[]){2, 0, 0, 0, 1, src, 8, 0}, 8);
    memcpy(f + 14, (unsigned char[]){0x45, 0, 0, 50, 0, 1, 0, 0, 64, 17}, 10);
    memcpy(f + 26, ip.b, 4);
    memset(f + 30, 0xff, 4);
    sum = checksum(f + 14, 20);
    memcpy(f + 24, &sum, 2);
    return 64;
}

static size_t ipv6(unsigned char *f, unsigned char src, const char *saddr, unsigned char type,
                   const char *target) {
    struct ip ip = ip_of(saddr), t = ip_of(target);

    memset(f, 0, 128);
    memcpy(f, (unsigned char[]){0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 1, src, 0x86, 0xdd}, 14);
    memcpy(f + 14, (unsigned char[]){0x60, 0, 0, 0, 0, 40, 58, 255}, 8);
    memcpy(f + 22, ip.b, 16);
    memcpy(f + 38, (unsigned char[]){0xff, 2, [15] = 1}, 16);
    f[54] = type;
    memcpy(f + 62, t.b, 16);
    return 94;
}

static void test_spoofing(void **state) {
    auto_fd a = packet_socket(w.a);
    auto_fd b = packet_socket(w.b);
    unsigned char f[128];

    /* Nothing is guarded: everything passes. */
    assert_true(frame_arrives(a, b, f, arp(f, 2, 2, V4.b)));
    guard_all();
    assert_true(frame_arrives(a, b, f, arp(f, 2, 2, V4.a)));
    assert_true(frame_arrives(a, b, f, arp(f, 2, 2, "0.0.0.0")));
    assert_false(frame_arrives(a, b, f, arp(f, 2, 2, V4.b)));
    assert_false(frame_arrives(a, b, f, arp(f, 2, 2, V4.gateway1)));
    assert_false(frame_arrives(a, b, f, arp(f, 2, 3, V4.a)));
    assert_false(frame_arrives(a, b, f, arp(f, 3, 2, V4.a)));
    assert_true(frame_arrives(a, b, f, ipv4(f, 2, V4.a)));
    assert_false(frame_arrives(a, b, f, ipv4(f, 2, V4.b)));
    assert_false(frame_arrives(a, b, f, ipv4(f, 2, "8.8.8.8")));
    assert_false(frame_arrives(a, b, f, ipv4(f, 9, V4.a)));
    assert_true(frame_arrives(a, b, f, ipv6(f, 2, V6.a, 136, V6.a)));
    assert_true(frame_arrives(a, b, f, ipv6(f, 2, "fe80::1:2", 136, "fe80::1:2")));
    assert_true(frame_arrives(a, b, f, ipv6(f, 2, "::", 135, V6.a)));
    assert_false(frame_arrives(a, b, f, ipv6(f, 2, V6.a, 136, V6.b)));
    assert_false(frame_arrives(a, b, f, ipv6(f, 2, "fe80::1:2", 136, V6.gateway1)));
    assert_false(frame_arrives(a, b, f, ipv6(f, 2, V6.b, 136, V6.b)));
    assert_false(frame_arrives(a, b, f, ipv6(f, 2, "fe80::1:2", 134, "::"))); /* a router */
    assert_false(frame_arrives(a, b, f, ipv6(f, 2, "fe80::1:2", 137, "::")));
    /* In a virtual LAN of number 0, which receivers take off. */
    {
        unsigned char tagged[128];
        size_t n = arp(f, 2, 2, V4.b);

        memcpy(tagged, f, 12);
        memcpy(tagged + 12, (unsigned char[]){0x81, 0, 0, 0}, 4);
        memcpy(tagged + 16, f + 12, n - 12);
        assert_false(frame_arrives(a, b, tagged, n + 4));
    }
    /* The other port is guarded by its own addresses, and without a guard all is open again. */
    assert_true(frame_arrives(b, a, f, arp(f, 3, 3, V4.b)));
    assert_int_equal(firewall_guard_del(w.f, "vetha"), 0);
    assert_true(frame_arrives(a, b, f, arp(f, 2, 2, V4.b)));
    assert_false(frame_arrives(b, a, f, arp(f, 3, 3, V4.a)));
}

/* Ordinary traffic passes the guards. */
static void test_guarded(void **state) {
    guard_all();
    for_each_family(x) {
        auto_fd a = server(w.a, x->any, 80, IPPROTO_TCP);
        auto_fd lan = server(w.lan, x->any, 80, IPPROTO_TCP);

        publish(IPPROTO_TCP, x->any, 8080, x->a, 80);
        assert_open(w.b, x->a, 80, a);
        assert_open(w.b, x->lan, 80, lan);
        assert_open(w.b, x->host, 8080, a);
        assert_open(w.a, x->host, 8080, a);
        assert_open(w.lan, x->host, 8080, a);
    }
    ns_address(w.a, "eth0", "172.30.1.77/24");
    {
        auto_fd lan = server(w.lan, "0.0.0.0", 80, IPPROTO_TCP);

        ns_wait_ms = NS_SHORT_MS;
        assert_false(reaches_from(w.a, "172.30.1.77", V4.lan, 80, lan, peer, NULL, NULL));
        ns_wait_ms = NS_PATIENT_MS;
        assert_true(reaches_from(w.a, V4.a, V4.lan, 80, lan, peer, NULL, NULL));
    }
}

/* ---- repair ---------------------------------------------------------------------------------- */
static void delete_table(uint8_t family) {
    struct nft_batch b;
    struct nft_sock s;

    assert_int_equal(nft_sock_open(&s), 0);
    nft_batch_begin(&b, &s);
    b.family = family;
    b.table = TABLE;
    nft_table_delete(&b);
    assert_int_equal(nft_batch_send(&s, &b), 0);
    nft_batch_done(&b);
    nft_sock_close(&s);
}

static bool told(void) {
    struct pollfd p = {.fd = firewall_fd(w.f), .events = POLLIN};

    return poll(&p, 1, NS_SHORT_MS) == 1;
}

static void test_flush(void **state) {
    auto_fd a = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);

    publish(IPPROTO_TCP, "0.0.0.0", 8080, V4.a, 80);
    assert_true(told());
    assert_false(firewall_on_event(w.f)); /* our own changes are none */
    assert_false(told());
    delete_table(NFPROTO_INET);
    assert_closed(w.lan, V4.host, 8080, a);
    assert_true(told());
    assert_true(firewall_on_event(w.f));
    assert_open(w.lan, V4.host, 8080, a);
    assert_false(firewall_on_event(w.f));
    delete_table(NFPROTO_BRIDGE);
    assert_true(firewall_on_event(w.f));
    /* A change that meets a table that has gone writes all, too. */
    delete_table(NFPROTO_INET);
    publish(IPPROTO_TCP, "0.0.0.0", 8081, V4.a, 80);
    assert_open(w.lan, V4.host, 8080, a);
    assert_open(w.lan, V4.host, 8081, a);
}

/* The next daemon's table comes in the place of the last one's, at once. */
static void test_next_life(void **state) {
    auto_fd a = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);
    struct fw_port p = port_of(IPPROTO_TCP, "0.0.0.0", 8081, V4.a, 80, "br1");

    publish(IPPROTO_TCP, "0.0.0.0", 8080, V4.a, 80);
    firewall_close(w.f);
    assert_open(w.lan, V4.host, 8080, a);
    assert_int_equal(firewall_open(TABLE, &w.f), 0);
    assert_open(w.lan, V4.host, 8080, a);
    firewall_begin(w.f);
    assert_int_equal(firewall_network_put(w.f, &w.br1), 0);
    assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
    assert_open(w.lan, V4.host, 8080, a);
    assert_int_equal(firewall_commit(w.f), 0);
    assert_closed(w.lan, V4.host, 8080, a);
    assert_open(w.lan, V4.host, 8081, a);
}

/* What the kernel refuses changes nothing, and the next change is not hindered. */
static void test_refused(void **state) {
    auto_fd a = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);
    struct fw_network bad = {.bridge = "br3", .subnet_count = 1, .icc = true};
    struct fw_port p = port_of(IPPROTO_TCP, "0.0.0.0", 8080, V4.a, 80, "br1");

    bad.subnets[0] = cidr_of("172.30.1.128/25"); /* lies in that of br1 */
    firewall_begin(w.f);
    assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
    assert_int_equal(firewall_network_put(w.f, &bad), 0);
    assert_true(firewall_commit(w.f) < 0);
    assert_closed(w.lan, V4.host, 8080, a);
    assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
    assert_open(w.lan, V4.host, 8080, a);
}

/* ---- many ------------------------------------------------------------------------------------ */
static void test_many(void **state) {
    enum { MANY = 10000 };
    struct fw_port *p = xcalloc(MANY, sizeof *p);
    auto_fd a = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);
    int64_t t;

    for (int i = 0; i < MANY; i++)
        p[i] = port_of(IPPROTO_TCP, "0.0.0.0", (uint16_t)(10000 + i), V4.a, 80, "br1");
    t = clock_mono_ns();
    assert_int_equal(firewall_ports_put(w.f, p, MANY), 0);
    print_message("%d ports in %lld us\n", MANY, (long long)((clock_mono_ns() - t) / 1000));
    assert_open(w.lan, V4.host, 19999, a);
    t = clock_mono_ns();
    publish(IPPROTO_TCP, "0.0.0.0", 8080, V4.a, 80);
    print_message("one more in %lld us\n", (long long)((clock_mono_ns() - t) / 1000));
    t = clock_mono_ns();
    assert_false(firewall_on_event(w.f));
    print_message("notifications of it in %lld us\n", (long long)((clock_mono_ns() - t) / 1000));
    delete_table(NFPROTO_INET);
    t = clock_mono_ns();
    assert_true(firewall_on_event(w.f));
    print_message("repaired in %lld us\n", (long long)((clock_mono_ns() - t) / 1000));
    assert_open(w.lan, V4.host, 19999, a);
    t = clock_mono_ns();
    assert_int_equal(firewall_ports_del(w.f, p, MANY), 0);
    print_message("removed in %lld us\n", (long long)((clock_mono_ns() - t) / 1000));
    assert_closed(w.lan, V4.host, 19999, a);
    assert_open(w.lan, V4.host, 8080, a);
    free(p);
}

static void test_many_networks(void **state) {
    int64_t t = clock_mono_ns();

    firewall_begin(w.f);
    for (int i = 0; i < 1000; i++) {
        struct fw_network n = {.subnet_count = 2, .masquerade = true, .icc = true};
        auto_free char *v4 = xasprintf("10.%d.%d.0/24", i / 256, i % 256);
        auto_free char *v6 = xasprintf("fd31:%x::/64", i);

        (void)snprintf(n.bridge, sizeof n.bridge, "many%d", i);
        n.subnets[0] = cidr_of(v4); /* each is followed by the next */
        n.subnets[1] = cidr_of(v6);
        assert_int_equal(firewall_network_put(w.f, &n), 0);
    }
    assert_int_equal(firewall_commit(w.f), 0);
    print_message("1000 networks in %lld us\n", (long long)((clock_mono_ns() - t) / 1000));
    t = clock_mono_ns();
    assert_int_equal(firewall_network_del(w.f, "many500"), 0);
    print_message("one removed in %lld us\n", (long long)((clock_mono_ns() - t) / 1000));
    for (int i = 0; i < 1000; i++) {
        auto_free char *name = xasprintf("many%d", i);

        assert_int_equal(firewall_network_del(w.f, name), 0);
    }
    assert_int_equal(firewall_network_put(w.f, &w.br1), 0);
}

/* ---- connections ----------------------------------------------------------------------------- */
static void test_cut(void **state) {
    for_each_family(x) {
        struct fw_port p = port_of(IPPROTO_TCP, x->any, 8080, x->a, 80, "br1");
        auto_fd a = server(w.a, x->any, 80, IPPROTO_TCP);
        auto_fd client = -1;
        auto_fd conn = -1;
        auto_fd other = -1;
        auto_fd other_conn = -1;
        struct pollfd poller = {.events = POLLIN};
        char c;

        publish(IPPROTO_TCP, x->any, 8081, x->a, 80);
        assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
        assert_true(reaches(w.lan, x->host, 8080, a, peer, &client, &conn));
        assert_true(reaches(w.lan, x->host, 8081, a, peer, &other, &other_conn));
        assert_int_equal(firewall_ports_put(w.f, &p, 1), 0); /* the same again cuts nothing */
        assert_int_equal(send(client, "1", 1, MSG_NOSIGNAL), 1);
        poller.fd = conn;
        assert_int_equal(poll(&poller, 1, NS_PATIENT_MS), 1);
        assert_int_equal(recv(conn, &c, 1, 0), 1);

        assert_int_equal(firewall_ports_del(w.f, &p, 1), 0);
        assert_int_equal(send(client, "2", 1, MSG_NOSIGNAL), 1);
        poller.fd = conn;
        assert_int_equal(poll(&poller, 1, NS_SHORT_MS), 0);
        /* The host answers that nobody is there. */
        poller.fd = client;
        assert_int_equal(poll(&poller, 1, NS_PATIENT_MS), 1);
        assert_int_equal(recv(client, &c, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_int_equal(send(other, "3", 1, MSG_NOSIGNAL), 1);
        poller.fd = other_conn;
        assert_int_equal(poll(&poller, 1, NS_PATIENT_MS), 1);
    }
}

/* A client that goes on sending finds the next container at that port. */
static void test_cut_udp(void **state) {
    for_each_family(x) {
        struct fw_port p = port_of(IPPROTO_UDP, x->any, 5353, x->a, 53, "br1");
        auto_fd a = server(w.a, x->any, 53, IPPROTO_UDP);
        auto_fd b = server(w.b, x->any, 53, IPPROTO_UDP);
        auto_fd client = -1;
        struct pollfd poller = {.events = POLLIN};
        char room[8];

        assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
        assert_true(reaches(w.lan, x->host, 5353, a, peer, &client, NULL));
        p.to = ip_of(x->b);
        assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
        {
            struct ip h = ip_of(x->host);
            struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(5353)};
            struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(5353)};

            memcpy(&to4.sin_addr, h.b, 4);
            memcpy(&to6.sin6_addr, h.b, 16);
            assert_int_equal(
                sendto(client, "x", 1, 0,
                       h.family == AF_INET ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6,
                       h.family == AF_INET ? sizeof to4 : sizeof to6),
                1);
        }
        poller.fd = b;
        assert_int_equal(poll(&poller, 1, NS_PATIENT_MS), 1);
        assert_int_equal(recv(b, room, sizeof room, 0), 1);
    }
}

#define T(name)                                                                                    \
    { #name, name, setup, teardown, NULL }
#define TB(name)                                                                                   \
    { #name " (br_netfilter)", name, setup_bridged, teardown, NULL }

/* With an argument: one test. */
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        T(test_published),    TB(test_published), T(test_udp),       TB(test_udp),
        T(test_loopback),     T(test_outside),    TB(test_outside),  T(test_isolation),
        TB(test_isolation),   T(test_internal),   TB(test_internal), T(test_routed),
        T(test_network_goes), T(test_icc),        TB(test_icc),      T(test_spoofing),
        TB(test_spoofing),    T(test_guarded),    TB(test_guarded),  T(test_flush),
        T(test_next_life),    T(test_refused),    T(test_many),      T(test_many_networks),
        T(test_cut),          T(test_cut_udp),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
