/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"
#include "network/bridge.h"
#include "sys/link.h"
#include "sys/netlink.h"

static int nl = -1;

/* A network namespace of its own for each test. */
static int fresh(void **state) {
    if (unshare(CLONE_NEWNET) < 0)
        return -1;
    fd_close(nl);
    nl = nl_open(NETLINK_ROUTE);
    return nl < 0 ? -1 : 0;
}

static struct cidr cidr_of(const char *s) {
    struct cidr c = {0};

    assert_int_equal(cidr_parse(s, &c), 0);
    return c;
}

static char *sysctl(const char *path) {
    auto_buf b = BUF_INIT;

    assert_int_equal(io_read_file_at(AT_FDCWD, path, &b), 0);
    return buf_take(&b);
}

static void expect_sysctl(const char *path, const char *wanted) {
    auto_free char *got = sysctl(path);

    assert_string_equal(got, wanted);
}

static size_t addresses(const char *name, int family) {
    struct ifaddrs *all = NULL;
    size_t n = 0;

    assert_int_equal(getifaddrs(&all), 0);
    for (struct ifaddrs *a = all; a; a = a->ifa_next)
        n += a->ifa_addr && a->ifa_addr->sa_family == family && str_eq(a->ifa_name, name);
    freeifaddrs(all);
    return n;
}

static void request(const char *name, unsigned long what, struct ifreq *ret) {
    auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    *ret = (struct ifreq){0};
    memcpy(ret->ifr_name, name, strlen(name) + 1);
    assert_int_equal(ioctl(fd, what, ret), 0);
}

static void make(const struct bridge_config *c) {
    auto_err e = ERR_INIT;

    if (bridge_make(nl, c, &e) < 0)
        fail_msg("%s", err_msg(&e));
}

static void test_make(void **state) {
    struct cidr a[] = {cidr_of("172.30.0.1/24"), cidr_of("fd00:30::1/64")};
    struct bridge_config c = {.name = "br0", .addresses = a, .count = 1};
    struct ifreq before, after;
    unsigned port;

    make(&c);
    request("br0", SIOCGIFFLAGS, &after);
    assert_true(after.ifr_flags & IFF_UP);
    request("br0", SIOCGIFMTU, &after);
    assert_int_equal(after.ifr_mtu, 1500);
    assert_int_equal(addresses("br0", AF_INET), 1);
    assert_int_equal(addresses("br0", AF_INET6), 0);
    expect_sysctl("/proc/sys/net/ipv6/conf/br0/disable_ipv6", "1\n");

    /* Ports come and go, its MAC address stays. */
    request("br0", SIOCGIFHWADDR, &before);
    assert_int_equal(link_index("br0", &port), 0);
    for (int i = 0; i < 8; i++) {
        const char *name = (const char *[]){"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"}[i];
        auto_free char *peer = xasprintf("q%d", i);
        unsigned char mac[6] = {0};
        struct link_veth v = {.name = name, .peer_name = peer, .master = port, .mac = mac};

        mac[0] = 0x02;
        mac[5] = (unsigned char)(i + 1);
        assert_int_equal(link_add_veth(nl, &v), 0);
    }
    request("br0", SIOCGIFHWADDR, &after);
    assert_memory_equal(before.ifr_hwaddr.sa_data, after.ifr_hwaddr.sa_data, 6);

    /* The same again, with IPv6 and another size now. */
    c.count = 2;
    c.ipv6 = true;
    c.mtu = 1400;
    make(&c);
    make(&c);
    assert_int_equal(addresses("br0", AF_INET), 1);
    assert_true(addresses("br0", AF_INET6) >= 1);
    expect_sysctl("/proc/sys/net/ipv6/conf/br0/disable_ipv6", "0\n");
    expect_sysctl("/proc/sys/net/ipv6/conf/br0/accept_ra", "0\n");
    make(&(struct bridge_config){.name = "br1", .ipv6 = true});
    expect_sysctl("/proc/sys/net/ipv6/conf/br1/accept_dad", "0\n");
    request("br0", SIOCGIFMTU, &after);
    assert_int_equal(after.ifr_mtu, 1400);
}

/* What is taken over keeps what it has. */
static void test_take_over(void **state) {
    struct cidr own[] = {cidr_of("10.5.0.1/24"), cidr_of("fd00:5::1/64")};
    struct cidr ours = cidr_of("172.30.0.1/24");
    struct bridge_config c = {
        .name = "br0", .addresses = own, .count = 2, .mtu = 1300, .ipv6 = true};
    struct ifreq r;

    make(&c);
    make(&(struct bridge_config){.name = "br0", .addresses = &ours, .count = 1});
    assert_int_equal(addresses("br0", AF_INET), 2);
    assert_true(addresses("br0", AF_INET6) >= 1);
    request("br0", SIOCGIFMTU, &r);
    assert_int_equal(r.ifr_mtu, 1300);
}

static void test_refused(void **state) {
    struct cidr a = cidr_of("172.30.0.1/24");
    struct bridge_config c = {.name = "lo", .addresses = &a, .count = 1};
    auto_err e = ERR_INIT, f = ERR_INIT;
    unsigned index;

    assert_true(bridge_make(nl, &c, &e) < 0);
    assert_string_equal(err_msg(&e), "existing interface lo is not a bridge");
    assert_int_equal(e.class, ERR_INVALID);
    assert_int_equal(addresses("lo", AF_INET), 0);
    assert_int_equal(bridge_remove(nl, "lo"), -EINVAL);

    /* A failure leaves nothing. */
    c.name = "br0";
    c.mtu = 7;
    assert_true(bridge_make(nl, &c, &f) < 0);
    assert_int_equal(link_index("br0", &index), -ENODEV);
}

static void collect(void *arg, const char *name) {
    strv_add(arg, name);
}

static void test_list(void **state) {
    auto_strv names = NULL;

    make(&(struct bridge_config){.name = "br-one"});
    make(&(struct bridge_config){.name = "br-two"});
    make(&(struct bridge_config){.name = "other"});
    {
        struct link_veth v = {.name = "br-veth", .peer_name = "x"};

        assert_int_equal(link_add_veth(nl, &v), 0);
    }
    assert_int_equal(bridge_list("br-", collect, &names), 0);
    assert_int_equal(strv_len(names), 2);
    assert_true(strv_has(names, "br-one") && strv_has(names, "br-two"));
    assert_int_equal(bridge_remove(nl, "br-one"), 0);
    assert_int_equal(bridge_remove(nl, "br-one"), 0);
    names = strv_free(names);
    assert_int_equal(bridge_list("br-", collect, &names), 0);
    assert_int_equal(strv_len(names), 1);
}

static void test_forwarding(void **state) {
    struct link_veth v = {.name = "eth9", .peer_name = "x"};

    assert_int_equal(link_add_veth(nl, &v), 0);
    expect_sysctl("/proc/sys/net/ipv6/conf/eth9/accept_ra", "1\n");
    assert_int_equal(bridge_forwarding(true, false), 0);
    expect_sysctl("/proc/sys/net/ipv4/ip_forward", "1\n");
    expect_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "0\n");
    assert_int_equal(bridge_forwarding(true, true), 0);
    expect_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1\n");
    expect_sysctl("/proc/sys/net/ipv6/conf/eth9/accept_ra", "2\n");
    expect_sysctl("/proc/sys/net/ipv6/conf/default/accept_ra", "1\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_make, fresh),
        cmocka_unit_test_setup(test_take_over, fresh),
        cmocka_unit_test_setup(test_refused, fresh),
        cmocka_unit_test_setup(test_list, fresh),
        cmocka_unit_test_setup(test_forwarding, fresh),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    fd_close(nl);
    return r;
}
