/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <poll.h>

#include "base/alloc.h"
#include "base/str.h"

static bool told(void) {
    struct pollfd p = {.fd = firewall_fd(w.f), .events = POLLIN};

    return poll(&p, 1, NS_SHORT_MS) == 1;
}

static size_t drops(void) {
    auto_strv told = firewall_foreign_drops(w.f);

    return strv_len(told);
}

#define TAG "comment \"" TABLE "\""

/* iptables' own chain with the policy that Docker and ufw give it. */
static void test_foreign_policy(void **state) {
    nft("table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop;\n"
        "  ip daddr 192.168.9.2 tcp dport 81 drop\n }\n}\n"
        "table ip6 filter { chain FORWARD { type filter hook forward priority 0; policy drop;\n"
        "  ip6 daddr fd09::2 tcp dport 81 drop\n }\n}\n");
    for (int round = 0; round < 2; round++) {
        assert_true(told());
        assert_false(firewall_on_event(w.f));
        assert_int_equal(drops(), 0);
        assert_int_equal(count_of("table ip filter", TAG), 4);
        for_each_family(x) {
            auto_fd a = server(w.a, x->any, 80, IPPROTO_TCP);
            auto_fd lan = server(w.lan, x->any, 80, IPPROTO_TCP);
            auto_fd lan81 = server(w.lan, x->any, 81, IPPROTO_TCP);

            publish(IPPROTO_TCP, x->any, 8080, x->a, 80);
            assert_open(w.lan, x->host, 8080, a);
            assert_open(w.a, x->lan, 80, lan);
            if (round == 0)
                assert_closed(w.a, x->lan, 81, lan81); /* an explicit rule stays in force */
            assert_closed(w.lan, x->a, 80, a);
        }
        if (round == 0)
            nft("flush table ip filter; flush table ip6 filter");
    }
    /* What is not ours any more is not accepted any more. */
    assert_int_equal(firewall_network_del(w.f, "br1"), 0);
    assert_int_equal(count_of("table ip filter", TAG), 2);
    assert_int_equal(count_of("table ip filter", "\"br1\""), 0);
    assert_int_equal(firewall_network_put(w.f, &w.br1), 0);
    assert_int_equal(count_of("table ip filter", TAG), 4);
    nft("add chain ip filter FORWARD { policy accept; }");
    assert_false(firewall_on_event(w.f));
    assert_int_equal(count_of("table ip filter", TAG), 0);
    nft("add chain ip filter FORWARD { policy drop; }");
    assert_false(firewall_on_event(w.f));
    assert_int_equal(count_of("table ip filter", TAG), 4);
    firewall_withdraw(w.f);
    assert_int_equal(count_of("ruleset", TABLE), 0);
}

static void test_foreign_docker(void **state) {
    auto_fd lan = server(w.lan, "0.0.0.0", 80, IPPROTO_TCP);

    nft("table ip filter {\n"
        "  chain DOCKER-USER { ip saddr 172.30.2.0/24 counter drop\n counter return\n }\n"
        "  chain FORWARD { type filter hook forward priority 0; policy drop;\n"
        "    counter jump DOCKER-USER\n oifname \"docker0\" counter accept\n }\n}\n");
    assert_closed(w.a, V4.lan, 80, lan);
    assert_false(firewall_on_event(w.f));
    assert_open(w.a, V4.lan, 80, lan);
    assert_closed(w.c, V4.lan, 80, lan);
    assert_int_equal(count_of("chain ip filter DOCKER-USER", TAG), 4);
    assert_int_equal(count_of("chain ip filter FORWARD", TAG), 0);
    assert_int_equal(drops(), 0);
    nft("flush chain ip filter FORWARD; delete chain ip filter DOCKER-USER");
    assert_false(firewall_on_event(w.f));
    assert_open(w.a, V4.lan, 80, lan);
}

/* Its last rule rejects, by way of another chain. */
static void test_foreign_firewalld(void **state) {
    auto_fd lan = server(w.lan, "0.0.0.0", 80, IPPROTO_TCP);

    nft("table inet firewalld {\n"
        "  chain filter_FWD_public { reject with icmpx admin-prohibited\n }\n"
        "  chain filter_FORWARD_ZONES { iifname \"lan0\" goto filter_FWD_public\n"
        "    goto filter_FWD_public\n }\n"
        "  chain filter_FORWARD { type filter hook forward priority 10; policy accept;\n"
        "    ct state established,related accept\n ct status dnat accept\n"
        "    iifname \"lo\" accept\n jump filter_FORWARD_ZONES\n"
        "    ct state invalid drop\n reject with icmpx admin-prohibited\n }\n}\n");
    assert_closed(w.a, V4.lan, 80, lan);
    assert_false(firewall_on_event(w.f));
    assert_open(w.a, V4.lan, 80, lan);
    assert_int_equal(drops(), 0);
}

/* An administrator's own table is left alone, and told. */
static void test_foreign_own(void **state) {
    auto_strv told_of = NULL;

    assert_int_equal(drops(), 0);
    nft("table inet mine { chain forward { type filter hook forward priority 0; policy "
        "drop;\n}\n}\n"
        "table inet harmless { chain forward { type filter hook forward priority 0;\n"
        "  tcp dport 25 drop\n }\n}\n");
    (void)firewall_on_event(w.f);
    assert_int_equal(count_of("table inet mine", TAG), 0);
    told_of = firewall_foreign_drops(w.f);
    assert_int_equal(strv_len(told_of), 1);
    assert_string_equal(
        told_of[0],
        "the nf_tables chain forward of table inet mine drops what is forwarded, and with it what "
        "containers send and what is for their published ports: accept it there, with \"nft insert "
        "rule inet mine forward iifname br1 accept\" and the same with oifname for each bridge");
}

static const struct CMUnitTest TESTS[] = {
    T(test_foreign_policy),
    T(test_foreign_docker),
    T(test_foreign_firewalld),
    T(test_foreign_own),
};
world_main(TESTS)
