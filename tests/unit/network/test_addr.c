/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include <cmocka.h>

#include "network/addr.h"

static struct ip ip_of(const char *s) {
    struct ip ip = {0};

    assert_int_equal(ip_parse(s, &ip), 0);
    return ip;
}

static struct cidr cidr_of(const char *s) {
    struct cidr c = {0};

    assert_int_equal(cidr_parse(s, &c), 0);
    return c;
}

static void test_ip(void **state) {
    static const char *const BAD[] = {
        "",         "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4",   "1.2.3.4 ",   " 1.2.3.4",
        "fd00:::1", "fd00",  ":",         "g::1",      "1.2.3.4/24", "fe80::1%lo", "0x7f.0.0.1"};
    static const char *const GOOD[][2] = {{"1.2.3.4", "1.2.3.4"},
                                          {"fd00:0:0::1", "fd00::1"},
                                          {"::", "::"},
                                          {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
                                          {"FD00::A", "fd00::a"}};
    struct ip untouched = {.family = 77}, none = {0};
    char text[IP_TEXT_MAX];

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(ip_parse(BAD[i], &untouched), -EINVAL);
        assert_int_equal(untouched.family, 77);
    }
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        struct ip ip = ip_of(GOOD[i][0]);

        assert_string_equal(ip_text(&ip, text), GOOD[i][1]);
    }
    assert_string_equal(ip_text(&none, text), "");
    assert_false(ip_is_set(&none));
    assert_int_equal(ip_bits(&none), 0);
    assert_int_equal(ip_parse(NULL, &untouched), -EINVAL);
}

static void test_kinds(void **state) {
    struct ip any4 = ip_of("0.0.0.0"), any6 = ip_of("::"), lo4 = ip_of("127.8.0.1"),
              lo6 = ip_of("::1"), a = ip_of("10.0.0.1"), b = ip_of("::2");

    assert_true(ip_is_any(&any4) && ip_is_any(&any6));
    assert_false(ip_is_any(&lo6) || ip_is_any(&a) || ip_is_any(&b));
    assert_true(ip_is_loopback(&lo4) && ip_is_loopback(&lo6));
    assert_false(ip_is_loopback(&a) || ip_is_loopback(&b) || ip_is_loopback(&any6));
    assert_false(ip_equal(&any4, &any6));
    assert_true(ip_equal(&a, &a));
    assert_int_equal(ip_bits(&a), 32);
    assert_int_equal(ip_bits(&b), 128);
}

static void test_cidr(void **state) {
    static const char *const BAD[] = {"10.0.0.0",    "10.0.0.0/",        "10.0.0.0/33",
                                      "10.0.0.0/-1", "10.0.0.0/a",       "/24",
                                      "fd00::/129",  "10.0.0.0/ 8",      "",
                                      "10.0.0/0/24", "10.0.0.0/00000008"};
    static const struct {
        const char *in, *network;
    } GOOD[] = {{"172.17.5.9/16", "172.17.0.0/16"},
                {"10.1.2.3/32", "10.1.2.3/32"},
                {"10.1.2.3/0", "0.0.0.0/0"},
                {"10.1.2.255/25", "10.1.2.128/25"},
                {"fd00:1:2:3:4::1/64", "fd00:1:2:3::/64"},
                {"fd00::ffff/121", "fd00::ff80/121"},
                {"::1/128", "::1/128"}};
    struct cidr c = {0};
    char text[CIDR_TEXT_MAX];

    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(cidr_parse(BAD[i], &c), -EINVAL);
    assert_string_equal(cidr_text(&c, text), "");
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        struct cidr n;

        c = cidr_of(GOOD[i].in);
        n = cidr_network(&c);
        assert_string_equal(cidr_text(&c, text), GOOD[i].in);
        assert_string_equal(cidr_text(&n, text), GOOD[i].network);
        assert_true(cidr_has(&n, &c.ip));
    }
}

static void test_membership(void **state) {
    struct cidr a = cidr_of("10.0.0.0/8"), b = cidr_of("10.200.0.0/16"), c = cidr_of("11.0.0.0/8"),
                d = cidr_of("fd00::/8"), all = cidr_of("0.0.0.0/0");
    struct ip in = ip_of("10.255.255.255"), out = ip_of("11.0.0.0"), none = {0};

    assert_true(cidr_has(&a, &in));
    assert_false(cidr_has(&a, &out) || cidr_has(&d, &in) || cidr_has(&a, &none));
    assert_true(cidr_overlap(&a, &b) && cidr_overlap(&b, &a) && cidr_overlap(&all, &c));
    assert_false(cidr_overlap(&a, &c) || cidr_overlap(&a, &d) || cidr_overlap(&all, &d));
}

static void test_index(void **state) {
    static const struct {
        const char *subnet;
        uint64_t n;
        const char *ip; /* NULL: past the end */
    } CASES[] = {{"172.17.0.0/16", 0, "172.17.0.0"},
                 {"172.17.9.9/16", 258, "172.17.1.2"},
                 {"172.17.0.0/16", 65535, "172.17.255.255"},
                 {"172.17.0.0/16", 65536, NULL},
                 {"10.0.0.1/32", 0, "10.0.0.1"},
                 {"10.0.0.1/32", 1, NULL},
                 {"0.0.0.0/0", 0xffffffff, "255.255.255.255"},
                 {"10.1.2.128/25", 127, "10.1.2.255"},
                 {"fd00::/64", 1, "fd00::1"},
                 {"fd00::/64", UINT64_MAX, "fd00::ffff:ffff:ffff:ffff"},
                 {"fd00::/48", UINT64_MAX, "fd00::ffff:ffff:ffff:ffff"},
                 {"fd00::8000/113", 0x7fff, "fd00::ffff"},
                 {"fd00::8000/113", 0x8000, NULL}};

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct cidr c = cidr_of(CASES[i].subnet);
        char text[IP_TEXT_MAX];
        struct ip ip = {0};

        if (!CASES[i].ip) {
            assert_int_equal(cidr_at(&c, CASES[i].n, &ip), -ERANGE);
            assert_false(ip_is_set(&ip));
            continue;
        }
        assert_int_equal(cidr_at(&c, CASES[i].n, &ip), 0);
        assert_string_equal(ip_text(&ip, text), CASES[i].ip);
        assert_true(cidr_index(&c, &ip) == CASES[i].n);
    }
    {
        struct cidr wide = cidr_of("fd00::/8");
        struct ip far = ip_of("fd00:1::");

        assert_true(cidr_index(&wide, &far) == UINT64_MAX);
    }
}

static void test_mac(void **state) {
    struct ip v4 = ip_of("172.17.0.2"), v6 = ip_of("fd00::2");
    char a[MAC_TEXT_MAX], b[MAC_TEXT_MAX];
    unsigned first;

    mac_of_ip(&v4, a);
    assert_string_equal(a, "02:42:ac:11:00:02");
    mac_of_ip(&v6, a);
    mac_of_ip(&v6, b);
    assert_int_equal(strlen(a), 17);
    assert_string_not_equal(a, b);
    first = (unsigned)strtoul(a, NULL, 16);
    assert_int_equal(first & 3, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip),    cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_cidr),  cmocka_unit_test(test_membership),
        cmocka_unit_test(test_index), cmocka_unit_test(test_mac),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
