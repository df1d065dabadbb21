/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <poll.h>

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>

#include "base/alloc.h"

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

static const struct CMUnitTest TESTS[] = {
    T(test_spoofing),
    TB(test_spoofing),
    T(test_guarded),
    TB(test_guarded),
};
world_main(TESTS)
