/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <arpa/inet.h>

#include "base/alloc.h"

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

/* A neighbour that uses a container's address gets nowhere, not even to what is published. */
static void test_foreign_source(void **state) {
    static const char *const SOURCES[] = {"172.30.2.77", "fd30:2::77"};
    int i = 0;

    for_each_family(x) {
        auto_fd srv = server(w.a, x->any, 80, IPPROTO_TCP);
        auto_free char *address =
            xasprintf("%s/%d", SOURCES[i], strchr(SOURCES[i], ':') ? 128 : 32);

        publish(IPPROTO_TCP, x->any, 8080, x->a, 80);
        ns_address(w.lan, "eth0", address);
        ns_wait_ms = NS_SHORT_MS;
        assert_false(reaches_from(w.lan, SOURCES[i], x->host, 8080, srv, peer, NULL, NULL));
        ns_wait_ms = NS_PATIENT_MS;
        assert_true(reaches_from(w.lan, x->lan, x->host, 8080, srv, peer, NULL, NULL));
        i++;
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

/* ---- faults on purpose ----------------------------------------------------------------------- */
static void test_cuts(void **state) {
    for_each_family(x) {
        auto_fd a = server(w.a, x->any, 80, IPPROTO_TCP);
        auto_fd b = server(w.b, x->any, 80, IPPROTO_TCP);
        struct fw_cut c[] = {{ip_of(x->a), ip_of(x->b)}, {ip_of(x->a), ip_of(x->c)}};
        struct fw_cut mirrored = {ip_of(x->b), ip_of(x->a)};

        publish(IPPROTO_TCP, x->any, 8080, x->a, 80);
        assert_open(w.b, x->a, 80, a);
        assert_int_equal(firewall_cuts_put(w.f, c, 2), 0);
        assert_closed(w.b, x->a, 80, a);
        assert_closed(w.a, x->b, 80, b);
        assert_closed(w.c, x->host, 8080, a);
        assert_open(w.lan, x->host, 8080, a);
        assert_int_equal(firewall_cuts_del(w.f, &mirrored, 1), 0);
        assert_open(w.b, x->a, 80, a);
        assert_closed(w.c, x->host, 8080, a);
        assert_int_equal(firewall_cuts_del(w.f, c, 2), 0);
        assert_open(w.c, x->host, 8080, a);
    }
    assert_int_equal(count_of("ruleset", "@cuts"), 0);
}

static size_t arrived(int srv) {
    size_t n = 0;
    char c;

    while (recv(srv, &c, 1, 0) == 1)
        n++;
    return n;
}

static void test_losses(void **state) {
    enum { SENT = 400 };
    auto_fd a = server(w.a, "0.0.0.0", 53, IPPROTO_UDP);
    auto_fd b = server(w.b, "0.0.0.0", 53, IPPROTO_UDP);
    auto_fd client = -1;
    struct fw_loss l = {"vetha", 300};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct ip ip = ip_of(V4.a);
    size_t n;

    assert_true(reaches(w.b, V4.a, 53, a, peer, &client, NULL));
    memcpy(&to.sin_addr, ip.b, 4);
    if (firewall_loss_put(w.f, &l) < 0) {
        print_message("this kernel has no CONFIG_NFT_NUMGEN\n");
        skip();
    }
    for (int i = 0; i < SENT; i++)
        assert_int_equal(sendto(client, "x", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
    n = arrived(a);
    assert_in_range(n, SENT / 2, SENT * 9 / 10); /* 280, and 9 is the deviation */
    l.permille = 1000;
    assert_int_equal(firewall_loss_put(w.f, &l), 0);
    assert_closed(w.b, V4.a, 53, a);
    assert_closed(w.host, V4.a, 53, a);
    assert_open(w.host, V4.b, 53, b);
    l.permille = 1001;
    assert_int_equal(firewall_loss_put(w.f, &l), -EINVAL);
    assert_int_equal(firewall_loss_del(w.f, "vetha"), 0);
    assert_open(w.b, V4.a, 53, a);
    assert_int_equal(count_of("ruleset", "numgen"), 0);
}

static const struct CMUnitTest TESTS[] = {
    T(test_published),      TB(test_published),   T(test_udp),      TB(test_udp),
    T(test_foreign_source), T(test_loopback),     T(test_outside),  TB(test_outside),
    T(test_isolation),      TB(test_isolation),   T(test_internal), TB(test_internal),
    T(test_routed),         T(test_network_goes), T(test_icc),      TB(test_icc),
    T(test_cuts),           TB(test_cuts),        T(test_losses),
};
world_main(TESTS)
