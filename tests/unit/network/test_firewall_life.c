/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <poll.h>
#include <stdio.h>

#include <linux/netfilter.h>

#include "base/alloc.h"
#include "base/clock.h"

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

/* The questions that name what a kernel lacks are right: this one lacks nothing. */
static void test_probe(void **state) {
    assert_null(fw_missing(w.f));
    assert_int_equal(count_of("tables", "-probe"), 0);
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
static void time_connections(int srv, const char *when) {
    int64_t t = clock_mono_ns();

    for (int i = 0; i < 300; i++)
        assert_open(w.lan, V4.host, 8080, srv);
    print_message("a connection to a published port %s: %lld us\n", when,
                  (long long)(clock_mono_ns() - t) / 1000 / 300);
}

static void test_many(void **state) {
    enum { MANY = 10000 };
    struct fw_port *p = xcalloc(MANY, sizeof *p);
    auto_fd a = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);
    int64_t t;

    for (int i = 0; i < MANY; i++)
        p[i] = port_of(IPPROTO_TCP, "0.0.0.0", (uint16_t)(10000 + i), V4.a, 80, "br1");
    publish(IPPROTO_TCP, "0.0.0.0", 8080, V4.a, 80);
    time_connections(a, "alone");
    t = clock_mono_ns();
    assert_int_equal(firewall_ports_put(w.f, p, MANY), 0);
    print_message("%d ports in %lld us\n", MANY, (long long)((clock_mono_ns() - t) / 1000));
    assert_open(w.lan, V4.host, 19999, a);
    time_connections(a, "among 10,000");
    t = clock_mono_ns();
    publish(IPPROTO_TCP, "0.0.0.0", 8081, V4.a, 80);
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
    assert_int_equal(firewall_ports_del(w.f, p, 1), 0);
    print_message("one removed, its flows looked for, in %lld us\n",
                  (long long)(clock_mono_ns() - t) / 1000);
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
        publish(IPPROTO_TCP, x->host, 8080, x->a, 80); /* both are for the same connections */
        assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
        assert_true(reaches(w.lan, x->host, 8080, a, peer, &client, &conn));
        assert_true(reaches(w.lan, x->host, 8081, a, peer, &other, &other_conn));
        assert_int_equal(firewall_ports_put(w.f, &p, 1), 0); /* the same again cuts nothing */
        assert_int_equal(send(client, "1", 1, MSG_NOSIGNAL), 1);
        poller.fd = conn;
        assert_int_equal(poll(&poller, 1, NS_PATIENT_MS), 1);
        assert_int_equal(recv(conn, &c, 1, 0), 1);

        firewall_begin(w.f);
        assert_int_equal(firewall_ports_del(w.f, &p, 1), 0);
        p.host = ip_of(x->host);
        assert_int_equal(firewall_ports_del(w.f, &p, 1), 0);
        for (uint16_t i = 0; i < 8 * (x == &V6); i++) { /* many addresses: one question for all */
            struct fw_port q = port_of(IPPROTO_TCP, x->any, (uint16_t)(9000 + i), x->b, 80, "br1");

            q.to.b[15] = (unsigned char)(100 + i);
            assert_int_equal(firewall_ports_put(w.f, &q, 1), 0);
            assert_int_equal(firewall_ports_del(w.f, &q, 1), 0);
        }
        assert_int_equal(firewall_commit(w.f), 0);
        cutter_wait(w.f->cutter);
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

/* A container that comes back at once: its new connections are not the old ones. */
static void test_cut_and_back(void **state) {
    struct fw_port p = port_of(IPPROTO_TCP, "0.0.0.0", 8080, V4.a, 80, "br1");
    auto_fd a = server(w.a, "0.0.0.0", 80, IPPROTO_TCP);

    for (int i = 0; i < 10; i++) {
        auto_fd client = -1;
        auto_fd conn = -1;
        struct pollfd poller = {.events = POLLIN};

        assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
        assert_true(reaches(w.lan, V4.host, 8080, a, peer, &client, &conn));
        cutter_wait(w.f->cutter);
        assert_int_equal(send(client, "1", 1, MSG_NOSIGNAL), 1);
        poller.fd = conn;
        assert_int_equal(poll(&poller, 1, NS_PATIENT_MS), 1);
        assert_int_equal(firewall_ports_del(w.f, &p, 1), 0);
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
        cutter_wait(w.f->cutter);
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

static const struct CMUnitTest TESTS[] = {
    T(test_flush),         T(test_next_life), T(test_probe),        T(test_refused), T(test_many),
    T(test_many_networks), T(test_cut),       T(test_cut_and_back), T(test_cut_udp),
};
world_main(TESTS)
