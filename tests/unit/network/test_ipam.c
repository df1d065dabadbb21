/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sched.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "network/ipam.h"
#include "sys/link.h"
#include "sys/netlink.h"
#include "sys/route.h"

static struct ip ip_of(const char *s) {
    struct ip ip = {0};

    if (s)
        assert_int_equal(ip_parse(s, &ip), 0);
    return ip;
}

static struct cidr cidr_of(const char *s) {
    struct cidr c = {0};

    if (s)
        assert_int_equal(cidr_parse(s, &c), 0);
    return c;
}

static struct ipam_subnet *subnet(const char *cidr, const char *range, const char *gateway) {
    struct ipam_config c = {cidr_of(cidr), cidr_of(range), ip_of(gateway), NULL};
    auto_err e = ERR_INIT;
    struct ipam_subnet *s = NULL;

    if (ipam_subnet_new(&c, &s, &e) < 0)
        fail_msg("%s", err_msg(&e));
    return s;
}

static void expect_gateway(const struct ipam_subnet *s, const char *wanted) {
    struct ip g = ipam_subnet_gateway(s);
    char text[IP_TEXT_MAX];

    assert_string_equal(ip_text(&g, text), wanted);
}

static void expect_take(struct ipam_subnet *s, const char *wanted) {
    auto_err e = ERR_INIT;
    char text[IP_TEXT_MAX];
    struct ip ip;

    if (ipam_take(s, NULL, "n (1)", &ip, &e) < 0)
        fail_msg("%s", err_msg(&e));
    assert_string_equal(ip_text(&ip, text), wanted);
}

static void expect_refused(struct ipam_subnet *s, const char *wanted, enum err_class class,
                           const char *msg) {
    struct ip ip = ip_of(wanted), got = {.family = 77};
    auto_err e = ERR_INIT;

    assert_true(ipam_take(s, wanted ? &ip : NULL, "n (1)", &got, &e) < 0);
    assert_string_equal(err_msg(&e), msg);
    assert_int_equal(e.class, class);
    assert_int_equal(got.family, 77);
}

static void take(struct ipam_subnet *s, const char *wanted) {
    struct ip ip = ip_of(wanted), got;

    assert_int_equal(ipam_take(s, &ip, "n (1)", &got, NULL), 0);
    assert_true(ip_equal(&ip, &got));
}

static void release(struct ipam_subnet *s, const char *ip, const char *host_if) {
    struct ip i = ip_of(ip);

    ipam_release(s, &i, host_if);
}

/* What dockerd 20.10 gives in these cases. */
static void test_turns(void **state) {
    struct ipam_subnet *s = subnet("10.0.0.0/29", NULL, NULL);

    expect_gateway(s, "10.0.0.1");
    expect_take(s, "10.0.0.2");
    expect_take(s, "10.0.0.3");
    release(s, "10.0.0.2", NULL);
    assert_int_equal(ipam_in_use(s), 1);
    expect_take(s, "10.0.0.4"); /* .2 rests until its turn comes */
    take(s, "10.0.0.6");
    expect_take(s, "10.0.0.5");
    expect_take(s, "10.0.0.2");
    expect_refused(s, NULL, ERR_SYSTEM,
                   "no available IPv4 addresses on this network's address pools: n (1)");
    assert_int_equal(ipam_in_use(s), 5);
    release(s, "10.0.0.5", NULL);
    release(s, "10.0.0.5", NULL);
    assert_int_equal(ipam_in_use(s), 4);
    expect_take(s, "10.0.0.5");
    ipam_subnet_free(s);
}

static void test_wanted(void **state) {
    struct ipam_subnet *s = subnet("10.0.0.0/24", NULL, "10.0.0.254");

    take(s, "10.0.0.9");
    expect_refused(s, "10.0.0.9", ERR_FORBIDDEN, "Address already in use");
    expect_refused(s, "10.0.0.254", ERR_FORBIDDEN, "Address already in use");
    expect_refused(s, "10.0.0.0", ERR_FORBIDDEN, "Address already in use");
    expect_refused(s, "10.0.0.255", ERR_FORBIDDEN, "Address already in use");
    expect_refused(s, "10.0.1.1", ERR_INVALID,
                   "Invalid address 10.0.1.1: It does not belong to any of this network's subnets");
    expect_refused(s, "fd00::1", ERR_INVALID,
                   "Invalid address fd00::1: It does not belong to any of this network's subnets");
    release(s, "10.0.0.254", NULL); /* the gateway is nobody's to give back */
    expect_refused(s, "10.0.0.254", ERR_FORBIDDEN, "Address already in use");
    expect_take(s, "10.0.0.1");
    ipam_subnet_free(s);
}

static void test_range(void **state) {
    struct ipam_subnet *s = subnet("10.0.0.0/24", "10.0.0.77/30", NULL);

    expect_gateway(s, "10.0.0.76");
    expect_take(s, "10.0.0.77");
    expect_take(s, "10.0.0.78");
    expect_take(s, "10.0.0.79");
    expect_refused(s, NULL, ERR_SYSTEM,
                   "no available IPv4 addresses on this network's address pools: n (1)");
    take(s, "10.0.0.200"); /* by name, outside of the range too */
    ipam_subnet_free(s);

    s = subnet("10.0.0.0/24", "10.0.0.252/30", "10.0.0.1");
    expect_take(s, "10.0.0.252");
    expect_take(s, "10.0.0.253");
    expect_take(s, "10.0.0.254"); /* and not the broadcast address */
    release(s, "10.0.0.253", NULL);
    expect_take(s, "10.0.0.253");
    ipam_subnet_free(s);

    s = subnet("10.0.0.0/24", "10.0.0.0/30", "10.0.0.2");
    expect_take(s, "10.0.0.1");
    expect_take(s, "10.0.0.3");
    ipam_subnet_free(s);
}

static void test_ipv6(void **state) {
    struct ipam_subnet *s = subnet("fd00::/64", NULL, NULL);

    expect_gateway(s, "fd00::1");
    expect_take(s, "fd00::2");
    take(s, "fd00::ffff:ffff:ffff:ffff");
    expect_refused(s, "fd00::", ERR_FORBIDDEN, "Address already in use");
    ipam_subnet_free(s);

    s = subnet("fd00::/126", NULL, NULL);
    expect_take(s, "fd00::2");
    expect_take(s, "fd00::3");
    expect_refused(s, NULL, ERR_SYSTEM,
                   "no available IPv6 addresses on this network's address pools: n (1)");
    ipam_subnet_free(s);

    s = subnet("fd00::/64", "fd00::8:0:0:0/80", "fd00::1");
    expect_take(s, "fd00::8:0:0:0");
    expect_take(s, "fd00::8:0:0:1");
    ipam_subnet_free(s);

    s = subnet("fd00::/16", NULL, NULL);
    expect_take(s, "fd00::2");
    ipam_subnet_free(s);
}

static void test_small(void **state) {
    struct ipam_subnet *s = subnet("10.0.0.0/31", NULL, NULL);

    expect_gateway(s, "10.0.0.0"); /* RFC 3021 */
    expect_take(s, "10.0.0.1");
    ipam_subnet_free(s);
    s = subnet("10.0.0.0/30", NULL, NULL);
    expect_gateway(s, "10.0.0.1");
    expect_take(s, "10.0.0.2");
    expect_refused(s, NULL, ERR_SYSTEM,
                   "no available IPv4 addresses on this network's address pools: n (1)");
    ipam_subnet_free(s);
}

static void expect_bad(const char *cidr, const char *range, const char *gateway,
                       const struct strmap *aux, enum err_class class, const char *msg) {
    struct ipam_config c = {cidr_of(cidr), cidr_of(range), ip_of(gateway), aux};
    struct ipam_subnet *s = NULL;
    auto_err e = ERR_INIT;

    assert_true(ipam_subnet_new(&c, &s, &e) < 0);
    assert_string_equal(err_msg(&e), msg);
    assert_int_equal(e.class, class);
    assert_null(s);
}

static void test_refused(void **state) {
    struct strmap aux = {0};

    expect_bad("10.0.0.5/24", NULL, NULL, NULL, ERR_INVALID,
               "invalid subnet 10.0.0.5/24: it should be 10.0.0.0/24");
    expect_bad("10.0.0.0/24", "10.0.1.0/25", NULL, NULL, ERR_INVALID,
               "no matching subnet for range 10.0.1.0/25");
    expect_bad("10.0.0.0/24", "10.0.0.0/16", NULL, NULL, ERR_INVALID,
               "no matching subnet for range 10.0.0.0/16");
    expect_bad("10.0.0.0/24", "fd00::/64", NULL, NULL, ERR_INVALID,
               "no matching subnet for range fd00::/64");
    expect_bad("10.0.0.0/24", NULL, "10.0.1.1", NULL, ERR_INVALID,
               "failed to allocate gateway (10.0.1.1): Requested address is out of range");
    expect_bad("10.0.0.0/24", NULL, "10.0.0.0", NULL, ERR_FORBIDDEN,
               "failed to allocate gateway (10.0.0.0): Address already in use");
    strmap_put(&aux, "a", "10.1.0.3");
    expect_bad("10.0.0.0/24", NULL, NULL, &aux, ERR_FORBIDDEN,
               "auxiliary address: (a:10.1.0.3) must belong to the master pool: 10.0.0.0/24");
    strmap_put(&aux, "a", "bogus");
    expect_bad("10.0.0.0/24", NULL, NULL, &aux, ERR_INVALID,
               "non parsable secondary ip address (a:bogus) passed for the network");
    strmap_put(&aux, "a", "10.0.0.1");
    expect_bad("10.0.0.0/24", NULL, "10.0.0.1", &aux, ERR_FORBIDDEN,
               "failed to allocate secondary ip address (a:10.0.0.1): Address already in use");
    strmap_put(&aux, "b", "10.0.0.1");
    expect_bad("10.0.0.0/24", NULL, NULL, &aux, ERR_FORBIDDEN,
               "failed to allocate secondary ip address (b:10.0.0.1): Address already in use");
    strmap_done(&aux);
    aux = (struct strmap){0};
    strmap_put(&aux, "a", "10.0.0.1");
    strmap_put(&aux, "b", "10.0.0.2");
    expect_bad("10.0.0.0/30", NULL, NULL, &aux, ERR_INVALID,
               "failed to allocate gateway (): No available addresses on this pool");
    strmap_done(&aux);
}

static void test_aux(void **state) {
    struct ipam_config c = {.subnet = cidr_of("10.0.0.0/24")};
    struct ipam_subnet *s = NULL;
    struct strmap aux = {0};

    strmap_put(&aux, "router", "10.0.0.1");
    strmap_put(&aux, "printer", "10.0.0.3");
    c.aux = &aux;
    assert_int_equal(ipam_subnet_new(&c, &s, NULL), 0);
    expect_gateway(s, "10.0.0.2");
    expect_take(s, "10.0.0.4");
    expect_refused(s, "10.0.0.3", ERR_FORBIDDEN, "Address already in use");
    assert_int_equal(ipam_in_use(s), 1);
    ipam_subnet_free(s);
    strmap_done(&aux);
}

/* An interface that is still there keeps its address. */
static void test_rest(void **state) {
    struct ip ip;
    struct ipam_subnet *s = subnet("10.0.0.0/30", NULL, NULL);

    take(s, "10.0.0.2");
    release(s, "10.0.0.2", "lo");
    assert_int_equal(ipam_in_use(s), 0);
    assert_true(ipam_take(s, NULL, "n (1)", &ip, NULL) < 0);
    take(s, "10.0.0.2"); /* who names it gets it: a container that is started again */
    expect_refused(s, "10.0.0.2", ERR_FORBIDDEN, "Address already in use");
    ipam_subnet_free(s);
    s = subnet("10.0.0.0/30", NULL, NULL);
    take(s, "10.0.0.2");
    release(s, "10.0.0.2", "nosuchif");
    assert_int_equal(ipam_take(s, NULL, "n (1)", &ip, NULL), 0);
    ipam_subnet_free(s);
}

/* ---- pools ----------------------------------------------------------------------------------- */
static void expect_choice(const struct ipam_pools *p, int family, const struct cidr *used, size_t n,
                          const char *wanted) {
    char text[CIDR_TEXT_MAX];
    auto_err e = ERR_INIT;
    struct cidr c;

    if (ipam_choose(p, family, used, n, &c, &e) < 0)
        fail_msg("%s", err_msg(&e));
    assert_string_equal(cidr_text(&c, text), wanted);
}

static void test_default_pools(void **state) {
    struct cidr used[64], first;
    struct ipam_pools p, q;
    char text[CIDR_TEXT_MAX];
    auto_err e = ERR_INIT;
    size_t n = 0;

    ipam_pools_default(&p, "ENGINE");
    expect_choice(&p, AF_INET, NULL, 0, "172.17.0.0/16");
    used[n++] = cidr_of("172.17.0.1/16");
    expect_choice(&p, AF_INET, used, n, "172.18.0.0/16");
    used[n++] = cidr_of("172.16.0.0/12");
    expect_choice(&p, AF_INET, used, n, "192.168.0.0/20");
    used[n++] = cidr_of("192.168.17.0/24");
    used[n++] = cidr_of("192.168.0.0/20");
    expect_choice(&p, AF_INET, used, n, "192.168.32.0/20");
    used[n++] = cidr_of("192.168.0.0/16");
    assert_true(ipam_choose(&p, AF_INET, used, n, &first, &e) < 0);
    assert_string_equal(err_msg(&e), "could not find an available, non-overlapping IPv4 address "
                                     "pool among the defaults to assign to the network");
    assert_int_equal(e.class, ERR_NOT_FOUND);

    assert_int_equal(ipam_choose(&p, AF_INET6, NULL, 0, &first, NULL), 0);
    assert_int_equal(first.prefix, 64);
    assert_int_equal(first.ip.b[0], 0xfd);
    expect_choice(&p, AF_INET6, NULL, 0, cidr_text(&first, text)); /* always the same */
    used[0] = first;
    assert_int_equal(ipam_choose(&p, AF_INET6, used, 1, &first, NULL), 0);
    assert_int_equal(first.ip.b[7], 1);
    ipam_pools_default(&q, "ANOTHER");
    assert_int_equal(ipam_choose(&q, AF_INET6, NULL, 0, &first, NULL), 0);
    assert_memory_not_equal(first.ip.b, used[0].ip.b, 6);
    ipam_pools_done(&p);
    ipam_pools_done(&q);
}

static void test_pools(void **state) {
    struct cidr used[] = {cidr_of("10.0.0.0/8"), cidr_of("11.0.3.0/26"), cidr_of("11.0.0.0/30")};
    struct ipam_pools p = {0};
    struct cidr c;

    assert_int_equal(ipam_pools_add(&p, "base=10.0.0.0/8,size=28", NULL), 0);
    assert_int_equal(ipam_pools_add(&p, "size=25,base=11.0.3.9/24", NULL), 0);
    assert_int_equal(ipam_pools_add(&p, "base=fd00:1::/32,size=64", NULL), 0);
    expect_choice(&p, AF_INET, NULL, 0, "10.0.0.0/28");
    expect_choice(&p, AF_INET, used, 3, "11.0.3.128/25"); /* 2^20 of them are not tried singly */
    expect_choice(&p, AF_INET6, used, 3, "fd00:1::/64");
    ipam_pools_done(&p);
    assert_int_equal(ipam_pools_add(&p, "base=10.0.0.0/24,size=24", NULL), 0);
    assert_true(ipam_choose(&p, AF_INET6, NULL, 0, &c, NULL) < 0);
    expect_choice(&p, AF_INET, used + 1, 2, "10.0.0.0/24");
    ipam_pools_done(&p);
}

static void test_bad_pools(void **state) {
    static const struct {
        const char *text, *msg;
    } CASES[] = {
        {"bogus", "invalid field 'bogus' must be a key=value pair"},
        {"base=10.0.0.0/8,size=x", "invalid size value: x (must be integer)"},
        {"base=10.0.0.0/8,length=9", "unexpected key 'length' in 'length=9'"},
        {"base=10.0.0.0,size=24", "invalid base pool \"10.0.0.0\": it is no subnet"},
        {"size=24", "a base=SUBNET is needed"},
        {"base=10.0.0.0/8,size=4",
         "invalid pools size: 4 is not between the base's prefix 8 and 32"},
        {"base=10.0.0.0/8,size=33",
         "invalid pools size: 33 is not between the base's prefix 8 and 32"},
        {"base=10.0.0.0/8", "invalid pools size: 0 is not between the base's prefix 8 and 32"},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        auto_free char *wanted =
            xasprintf("invalid argument \"%s\" for \"--default-address-pool\" flag: %s",
                      CASES[i].text, CASES[i].msg);
        struct ipam_pools p = {0};
        auto_err e = ERR_INIT;

        assert_true(ipam_pools_add(&p, CASES[i].text, &e) < 0);
        assert_string_equal(err_msg(&e), wanted);
        assert_int_equal(e.class, ERR_INVALID);
        assert_int_equal(p.count, 0);
    }
}

static bool has(const struct cidr *c, size_t n, const char *wanted) {
    struct cidr w = cidr_of(wanted);

    for (size_t i = 0; i < n; i++)
        if (ip_equal(&c[i].ip, &w.ip) && c[i].prefix == w.prefix)
            return true;
    return false;
}

static void test_host(void **state) {
    auto_free struct cidr *c = NULL;
    auto_fd nl = -1;
    size_t n = 99;
    struct route route;
    unsigned lo;

    if (unshare(CLONE_NEWNET) < 0)
        skip();
    nl = nl_open(NETLINK_ROUTE);
    assert_true(nl >= 0);
    assert_int_equal(ipam_host_subnets(&c, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(link_index("lo", &lo), 0);
    assert_int_equal(link_set_up(nl, lo), 0);
    assert_int_equal(link_add_address(nl, lo, "10.9.8.7/24"), 0);
    assert_int_equal(link_add_address(nl, lo, "fd00:9::7/64"), 0);
    assert_int_equal(route_parse(NULL, "10.9.8.1", &route), 0);
    route.index = lo;
    assert_int_equal(route_put(nl, &route, false), 0);
    assert_int_equal(ipam_host_subnets(&c, &n), 0);
    assert_true(has(c, n, "10.9.8.0/24"));
    assert_true(has(c, n, "fd00:9::/64"));
    assert_false(has(c, n, "0.0.0.0/0"));
    assert_false(has(c, n, "127.0.0.0/8"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),         cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_range),         cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_small),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_aux),           cmocka_unit_test(test_rest),
        cmocka_unit_test(test_default_pools), cmocka_unit_test(test_pools),
        cmocka_unit_test(test_bad_pools),     cmocka_unit_test(test_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
