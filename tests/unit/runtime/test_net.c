/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of containers, in a network namespace of the test's own with two bridges: interfaces at
 * a start, and those that a running container gets and loses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "box.h"
#include "monitor/protocol.h"
#include "sys/fdpass.h"
#include "sys/link.h"
#include "sys/netlink.h"
#include "sys/procfd.h"

/* ---- looking --------------------------------------------------------------------------------- */

/* The output of a command in the network namespace of the process; 0: in ours. */
static char *in_ns(int pid, const char *format, ...) __attribute__((format(printf, 2, 3)));
static char *in_ns(int pid, const char *format, ...) {
    char command[1024], all[1200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof(command), format, ap);
    va_end(ap);
    if (pid)
        snprintf(all, sizeof(all), "nsenter -t %d -n sh -c '%s' 2>&1", pid, command);
    else
        snprintf(all, sizeof(all), "(%s) 2>&1", command);
    FILE *f = popen(all, "re");
    assert_non_null(f);
    auto_buf out = {.max = 65536};
    char line[1024];
    while (fgets(line, sizeof(line), f))
        assert_true(buf_append(&out, line, strlen(line)));
    (void)pclose(f);
    return xstrdup(buf_str(&out));
}

/* Index, name, addresses: one line each, without what differs from run to run. */
static char *addresses(int pid) {
    return in_ns(pid, "ip -o addr show scope global | sed -E \"s/^[0-9]+: //; s/ brd [0-9.]+//; "
                      "s/ +/ /g; s/\\\\\\\\.*//; s/ $//\"");
}

static char *routes(int pid) {
    return in_ns(pid, "ip route; ip -6 route show default");
}

static bool answers(const char *address) {
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    bool six = strchr(address, ':');
    assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, address,
                               six ? (void *)&sa6.sin6_addr : (void *)&sa.sin_addr),
                     1);
    auto_fd fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval patience = {.tv_sec = 5};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    int r = six ? connect(fd, (struct sockaddr *)&sa6, sizeof(sa6))
                : connect(fd, (struct sockaddr *)&sa, sizeof(sa));
    return r < 0 && errno == ECONNREFUSED; /* nobody listens there, but somebody is there */
}

/* ---- neighbours ------------------------------------------------------------------------------ */

static int watch(const char *link, uint16_t protocol) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(protocol));
    struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
    unsigned index;
    assert_true(fd >= 0);
    assert_int_equal(link_index(link, &index), 0);
    sa.sll_ifindex = (int)index;
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

/* Takes the descriptor. */
static void expect_announced(int fd, const char *address, const char *mac) {
    unsigned char want_mac[6], want[4], frame[1500];
    assert_int_equal(mac_parse(mac, want_mac), 0);
    assert_int_equal(inet_pton(AF_INET, address, want), 1);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        ssize_t n = recv(fd, frame, sizeof(frame), 0);
        /* sender and target are the address itself */
        if (n >= 42 && memcmp(frame + 22, want_mac, 6) == 0 && memcmp(frame + 28, want, 4) == 0 &&
            memcmp(frame + 38, want, 4) == 0)
            break;
    }
    close(fd);
}

/* An unsolicited advertisement for the address. Takes the descriptor. */
static void expect_advertised(int fd, const char *address) {
    unsigned char want[16], frame[1500];
    assert_int_equal(inet_pton(AF_INET6, address, want), 1);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        ssize_t n = recv(fd, frame, sizeof(frame), 0);
        /* 14 bytes of Ethernet, 40 of IPv6, then ICMPv6: type 136, the target from its byte 8 on */
        if (n >= 78 && frame[20] == IPPROTO_ICMPV6 && frame[54] == 136 &&
            memcmp(frame + 62, want, 16) == 0)
            break;
    }
    close(fd);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct rt_interface *add_interface(struct rt_request *q, const char *kind,
                                          const char *master, const char *host_if, const char *name,
                                          const char *address) {
    struct rt_interface *i = field_array_add(&q->net.interfaces, &rt_interface_table);
    i->kind = xstrdup(kind);
    *(str_eq(kind, "veth") ? &i->bridge : &i->parent) = xstrdup(master);
    i->host_if = xstrdup(host_if);
    i->name = xstrdup(name);
    strv_add(&i->addresses, address);
    return i;
}

static void add_default(struct rt_request *q, const char *name, const char *gateway) {
    struct rt_default *d = field_array_add(&q->net.defaults, &rt_default_table);
    d->name = xstrdup(name);
    d->gateway = xstrdup(gateway);
}

/* Sends a request about a running container; NULL: done, else the error's text. Frees q. */
static char *ask(struct rt_request *q, const char *op, const struct box *b) {
    struct {
        struct mon_msg m;
        char text[MON_TEXT_MAX + 1];
    } in;
    int conn[2];
    size_t no_fds = 0;
    auto_err e = ERR_INIT;
    struct spawn_joins joins = SPAWN_JOINS_NONE;
    auto_fd pidfd = pidfd_open_pid(b->pid);
    assert_true(pidfd >= 0);
    joins.net = pidfd;
    q->op = xstrdup(op);
    q->id = xstrdup("box");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, conn), 0);
    auto_fd request = spawn_request_fd(q, &e);
    assert_int_equal(spawner_request(spawner.control, request, conn[1], &joins, &e), 0);
    close(conn[1]);
    ssize_t n = fdpass_recv(conn[0], &in, sizeof(in) - 1, NULL, &no_fds);
    assert_true(n >= (ssize_t)sizeof(in.m));
    in.text[in.m.text_len] = '\0';
    assert_true(in.m.type == MON_DONE || in.m.type == MON_FAILED);
    no_fds = 0;
    char after[64];
    assert_int_equal(fdpass_recv(conn[0], after, sizeof(after), NULL, &no_fds), 0); /* it ends */
    close(conn[0]);
    field_done(&rt_request_table, q);
    field_init(&rt_request_table, q);
    return in.m.type == MON_DONE ? NULL : xstrdup(in.text + strlen(in.text) + 1);
}

static void expect_done(struct rt_request *q, const char *op, const struct box *b) {
    auto_free char *error = ask(q, op, b);
    if (error)
        print_message("error: %s\n", error);
    assert_null(error);
}

static void expect_refused(struct rt_request *q, const char *op, const struct box *b,
                           const char *want) {
    auto_free char *error = ask(q, op, b);
    assert_non_null(error);
    assert_string_equal(error, want);
}

/* A container with eth0 at br1 that sleeps. */
static void start_sleeper(struct box *b, bool userns) {
    box_init(b, userns, "/bin/probe|sleep=60");
    b->req.net.mode = xstrdup("own");
    struct rt_interface *i =
        add_interface(&b->req, "veth", "br1", "vethtest0", "eth0", "10.1.0.2/16");
    i->gateway = xstrdup("10.1.0.1");
    box_send(b);
    box_wait(b, true);
    if (b->error)
        print_message("error: %s\n", b->error);
    assert_true(b->started);
}

static void end(struct box *b) {
    assert_int_equal(kill(b->pid, SIGKILL), 0);
    box_wait(b, false);
    box_done(b);
    /* The namespace and what is in it go in the background. */
    for (int n = 0; n < 200; n++) {
        auto_free char *left = in_ns(0, "ip -o link | grep -c vethtest");
        if (str_starts(left, "0"))
            return;
        usleep(50 * 1000);
    }
    fail_msg("an interface is left");
}

#define expect_text(expression, want)                                                              \
    do {                                                                                           \
        auto_free char *text_ = expression;                                                        \
        assert_string_equal(text_, want);                                                          \
    } while (0)

/* ---- the tests ------------------------------------------------------------------------------- */

static void several_interfaces_at_a_start(void **state) {
    (void)state;
    for (int userns = 0; userns < 2; userns++) {
        struct box b;
        int arp1 = watch("br1", ETH_P_ARP), arp2 = watch("br2", ETH_P_ARP);
        int nd1 = watch("br1", ETH_P_IPV6);
        box_init(&b, userns, "/bin/probe|sleep=60");
        b.req.net.mode = xstrdup("own");
        struct rt_interface *i =
            add_interface(&b.req, "veth", "br1", "vethtest0", "eth0", "10.1.0.2/16");
        strv_add(&i->addresses, "fd00:1::2/64");
        i->mac = xstrdup("02:42:0a:01:00:02");
        i->gateway = xstrdup("10.1.0.1");
        i->gateway6 = xstrdup("fd00:1::1");
        i->mtu = 1400;
        strv_add(&i->routes, "10.9.0.0/16 via 10.1.0.7");
        strv_add(&i->routes, "10.8.0.0/16");
        strmap_put(&i->sysctls, "net.ipv4.conf.IFNAME.log_martians", "1");
        i = add_interface(&b.req, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
        i->mac = xstrdup("02:42:0a:02:00:02");
        box_send(&b);
        box_wait(&b, true);
        if (b.error)
            print_message("error: %s\n", b.error);
        assert_true(b.started);
        expect_announced(arp1, "10.1.0.2", "02:42:0a:01:00:02");
        expect_announced(arp2, "10.2.0.2", "02:42:0a:02:00:02");
        expect_advertised(nd1, "fd00:1::2");
        expect_text(addresses(b.pid), "eth0 inet 10.1.0.2/16 scope global eth0\n"
                                      "eth0 inet6 fd00:1::2/64 scope global nodad\n"
                                      "eth1 inet 10.2.0.2/16 scope global eth1\n");
        expect_text(routes(b.pid), "default via 10.1.0.1 dev eth0 \n"
                                   "10.1.0.0/16 dev eth0 proto kernel scope link src 10.1.0.2 \n"
                                   "10.2.0.0/16 dev eth1 proto kernel scope link src 10.2.0.2 \n"
                                   "10.8.0.0/16 dev eth0 scope link \n"
                                   "10.9.0.0/16 via 10.1.0.7 dev eth0 \n"
                                   "default via fd00:1::1 dev eth0 metric 1024 pref medium\n");
        expect_text(in_ns(b.pid, "cd /proc/sys/net; cat ipv4/conf/eth0/log_martians "
                                 "ipv4/conf/eth0/arp_notify ipv6/conf/*/disable_ipv6"),
                    "1\n0\n0\n0\n0\n1\n0\n");
        expect_text(in_ns(b.pid, "ip -o link show eth0 | grep -o \"mtu 1400\""), "mtu 1400\n");
        assert_true(answers("10.1.0.2"));
        assert_true(answers("fd00:1::2"));
        assert_true(answers("10.2.0.2"));
        end(&b);
    }
}

static void none_has_loopback_only(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true, "/bin/probe|cat=/proc/sys/net/ipv6/conf/all/disable_ipv6");
    b.req.net.mode = xstrdup("none");
    expect_output(&b, "1\n");
}

static void a_start_that_fails_leaves_nothing(void **state) {
    (void)state;
    struct box b;
    box_init(&b, true, "/bin/probe");
    b.req.net.mode = xstrdup("own");
    add_interface(&b.req, "veth", "br1", "vethtest0", "eth0", "10.1.0.2/16");
    add_interface(&b.req, "veth", "br3", "vethtest1", "eth1", "10.2.0.2/16");
    box_run(&b);
    assert_non_null(strstr(b.error, "failed to find bridge br3: no such device"));
    box_done(&b);
    box_init(&b, true, "/bin/probe");
    b.req.net.mode = xstrdup("own");
    add_interface(&b.req, "veth", "br1", "vethtest0", "eth0", "10.1.0.2/16")->gateway =
        xstrdup("10.5.0.1");
    box_run(&b);
    assert_non_null(strstr(b.error, "failed to set gateway 10.5.0.1: network is unreachable"));
    box_done(&b);
    expect_text(in_ns(0, "ip -o link | grep -c vethtest"), "0\n");
}

static void running_containers_are_connected(void **state) {
    (void)state;
    for (int userns = 0; userns < 2; userns++) {
        struct box b;
        struct rt_request q;
        start_sleeper(&b, userns);
        expect_text(in_ns(b.pid, "cat /proc/sys/net/ipv6/conf/*/disable_ipv6"), "1\n1\n1\n1\n");

        field_init(&rt_request_table, &q);
        int arp = watch("br2", ETH_P_ARP), nd = watch("br2", ETH_P_IPV6);
        struct rt_interface *i =
            add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
        strv_add(&i->addresses, "fd00:2::2/64");
        i->mac = xstrdup("02:42:0a:02:00:02");
        i->mtu = 1300;
        strmap_put(&i->sysctls, "net.ipv4.conf.ifname.log_martians", "1");
        add_default(&q, "eth1", "10.2.0.1");
        add_default(&q, "eth1", "fd00:2::1");
        expect_done(&q, "connect", &b);
        expect_announced(arp, "10.2.0.2", "02:42:0a:02:00:02");
        expect_advertised(nd, "fd00:2::2");
        expect_text(addresses(b.pid), "eth0 inet 10.1.0.2/16 scope global eth0\n"
                                      "eth1 inet 10.2.0.2/16 scope global eth1\n"
                                      "eth1 inet6 fd00:2::2/64 scope global nodad\n");
        expect_text(routes(b.pid), "default via 10.2.0.1 dev eth1 \n"
                                   "10.1.0.0/16 dev eth0 proto kernel scope link src 10.1.0.2 \n"
                                   "10.2.0.0/16 dev eth1 proto kernel scope link src 10.2.0.2 \n"
                                   "default via fd00:2::1 dev eth1 metric 1024 pref medium\n");
        /* all, default, eth0, eth1, lo */
        expect_text(in_ns(b.pid, "cd /proc/sys/net; cat ipv6/conf/*/disable_ipv6 "
                                 "ipv4/conf/eth1/log_martians"),
                    "1\n1\n1\n0\n0\n1\n");
        assert_true(answers("10.2.0.2"));
        assert_true(answers("fd00:2::2"));

        add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
        add_default(&q, "eth0", "10.1.0.1");
        expect_done(&q, "disconnect", &b);
        expect_text(addresses(b.pid), "eth0 inet 10.1.0.2/16 scope global eth0\n");
        expect_text(routes(b.pid), "default via 10.1.0.1 dev eth0 \n"
                                   "10.1.0.0/16 dev eth0 proto kernel scope link src 10.1.0.2 \n");
        expect_text(in_ns(0, "ip -o link | grep -c vethtest"), "1\n");

        /* Again: there is nothing left to remove, which is what was wanted. */
        add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
        add_default(&q, "eth0", "10.1.0.1");
        expect_done(&q, "disconnect", &b);
        /* The last one, and with it the default route. */
        add_interface(&q, "veth", "br1", "vethtest0", "eth0", "10.1.0.2/16");
        expect_done(&q, "disconnect", &b);
        expect_text(addresses(b.pid), "");
        expect_text(routes(b.pid), "");
        end(&b);
    }
}

static const char *const sleeper_routes =
    "default via 10.1.0.1 dev eth0 \n"
    "10.1.0.0/16 dev eth0 proto kernel scope link src 10.1.0.2 \n";

static void failures_undo_everything(void **state) {
    (void)state;
    struct box b;
    struct rt_request q;
    start_sleeper(&b, true);
    field_init(&rt_request_table, &q);

    add_interface(&q, "veth", "br3", "vethtest1", "eth1", "10.2.0.2/16");
    expect_refused(&q, "connect", &b, "failed to find bridge br3: no such device");

    add_interface(&q, "veth", "br2", "vethtest1", "eth0", "10.2.0.2/16");
    expect_refused(&q, "connect", &b, "the container has an interface eth0 already");

    add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
    add_default(&q, "eth1", "10.3.0.1");
    expect_refused(&q, "connect", &b, "failed to change the default route: network is unreachable");

    /* IPv4 could be changed, IPv6 not: the interface has no IPv6. */
    add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
    add_default(&q, "eth1", "10.2.0.1");
    add_default(&q, "eth1", "fd00:2::1");
    auto_free char *error = ask(&q, "connect", &b);
    assert_non_null(error);
    assert_true(str_starts(error, "failed to change the default route: "));

    add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
    add_default(&q, "eth7", "10.2.0.1");
    expect_refused(&q, "connect", &b, "failed to find interface eth7: no such device");

    strmap_put(&add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16")->sysctls,
               "kernel.IFNAME.x", "1");
    expect_refused(&q, "connect", &b,
                   "invalid sysctl kernel.IFNAME.x of an interface: it must be like "
                   "net.X.Y.IFNAME.Z");

    add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/33");
    expect_refused(&q, "connect", &b, "failed to set address 10.2.0.2/33: invalid argument");

    add_interface(&q, "vxlan", "br2", "vethtest1", "eth1", "10.2.0.2/16");
    expect_refused(&q, "connect", &b, "unknown kind of interface \"vxlan\"");

    add_interface(&q, "veth", "br1", "vethtest0", "eth0", "10.1.0.2/16");
    add_default(&q, "eth0", "10.3.0.1");
    expect_refused(&q, "disconnect", &b,
                   "failed to change the default route: network is unreachable");

    expect_text(addresses(b.pid), "eth0 inet 10.1.0.2/16 scope global eth0\n");
    expect_text(routes(b.pid), sleeper_routes);
    expect_text(in_ns(b.pid, "ip -o link | grep -c eth"), "1\n");
    expect_text(in_ns(0, "ip -o link | grep -c vethtest"), "1\n");
    end(&b);
}

static void the_hosts_network_is_refused(void **state) {
    (void)state;
    struct box self = {.pid = (int)getpid()};
    struct rt_request q;
    field_init(&rt_request_table, &q);
    add_interface(&q, "veth", "br2", "vethtest1", "eth1", "10.2.0.2/16");
    expect_refused(&q, "connect", &self, "container box has the host's network");
}

/* At a start and later, on one end of a pair of the test's own. */
static void child_interfaces(const char *kind, const char *mode) {
    struct box b;
    struct rt_request q;
    box_init(&b, true, "/bin/probe|sleep=60");
    b.req.net.mode = xstrdup("own");
    struct rt_interface *i = add_interface(&b.req, kind, "parent0", "", "eth0", "10.3.0.2/24");
    i->link_mode = xstrdup(mode);
    i->gateway = xstrdup("10.3.0.1");
    if (str_eq(kind, "macvlan"))
        i->mac = xstrdup("02:42:0a:03:00:02");
    int arp = watch("outside", ETH_P_ARP);
    box_send(&b);
    box_wait(&b, true);
    if (b.error)
        print_message("error: %s\n", b.error);
    assert_true(b.started);
    expect_text(addresses(b.pid), "eth0 inet 10.3.0.2/24 scope global eth0\n");
    if (str_eq(kind, "macvlan"))
        expect_announced(arp, "10.3.0.2", "02:42:0a:03:00:02");
    else
        close(arp);
    assert_true(answers("10.3.0.2"));
    expect_text(in_ns(b.pid, "cat /proc/sys/net/ipv4/conf/eth0/arp_notify"), "0\n");

    field_init(&rt_request_table, &q);
    i = add_interface(&q, kind, "parent0", "", "eth1", "10.3.0.3/24");
    i->link_mode = xstrdup(mode);
    add_default(&q, "eth1", "10.3.0.1");
    expect_done(&q, "connect", &b);
    auto_free char *detail =
        in_ns(b.pid, "ip -d -o link show eth1 | grep -o \"%s *mode %s\"", kind, mode);
    assert_non_null(strstr(detail, mode));

    /* A name that is taken, after it was made under another one; a second one after the first. */
    i = add_interface(&q, kind, "parent0", "", "eth1", "10.3.0.4/24");
    i->link_mode = xstrdup(mode);
    expect_refused(&q, "connect", &b, "the container has an interface eth1 already");
    i = add_interface(&q, kind, "parent0", "", "eth2", "10.3.0.4/24");
    i->link_mode = xstrdup(mode);
    i = add_interface(&q, kind, "parent9", "", "eth3", "10.3.0.5/24");
    auto_free char *want =
        xasprintf("error occurred looking up the %s parent iface parent9: no such device", kind);
    expect_refused(&q, "connect", &b, want);
    expect_text(in_ns(b.pid, "ip -o link | grep -c @"), "2\n");

    add_interface(&q, kind, "parent0", "", "eth1", "10.3.0.3/24");
    add_default(&q, "eth0", "10.3.0.1");
    expect_done(&q, "disconnect", &b);
    expect_text(addresses(b.pid), "eth0 inet 10.3.0.2/24 scope global eth0\n");
    end(&b);
}

/* True: the kernel has the driver; else that is what the user is told. */
static bool kernel_has(const char *kind, const char *option) {
    struct box b;
    box_init(&b, true, "/bin/probe");
    b.req.net.mode = xstrdup("own");
    add_interface(&b.req, kind, "parent0", "", "eth0", "10.3.0.2/24");
    box_run(&b);
    bool has = !b.error;
    if (!has) {
        auto_free char *want =
            xasprintf("this kernel has no %s driver (%s): networks", kind, option);
        assert_non_null(strstr(b.error, want));
        print_message("skipped: this kernel has no %s driver\n", kind);
    }
    box_done(&b);
    return has;
}

static void macvlans(void **state) {
    (void)state;
    if (!kernel_has("macvlan", "CONFIG_MACVLAN"))
        skip();
    child_interfaces("macvlan", "bridge");
    child_interfaces("macvlan", "vepa");
}

static void ipvlans(void **state) {
    (void)state;
    if (!kernel_has("ipvlan", "CONFIG_IPVLAN"))
        skip();
    child_interfaces("ipvlan", "l2");
}

static void other_links(void **state) {
    (void)state;
    auto_fd nl = nl_open(NETLINK_ROUTE);
    assert_true(nl >= 0);
    assert_int_equal(link_add_vlan(nl, "parent9.7", "parent9", 7), -ENODEV);
    assert_int_equal(link_add_vlan(nl, "parent0.0", "parent0", 0), -EINVAL);
    int r = link_add_vlan(nl, "parent0.7", "parent0", 7);
    if (r == -EOPNOTSUPP) {
        print_message("not tried: this kernel has no VLANs\n");
    } else {
        assert_int_equal(r, 0);
        expect_text(in_ns(0, "ip -d -o link show parent0.7 | grep -o \"vlan.*id 7 \""),
                    "vlan protocol 802.1Q id 7 \n");
        assert_int_equal(link_del(nl, "parent0.7"), 0);
    }
    r = link_add_dummy(nl, "vethtestd");
    if (r == -EOPNOTSUPP) {
        print_message("not tried: this kernel has no dummy interfaces\n");
    } else {
        assert_int_equal(r, 0);
        assert_int_equal(link_del(nl, "vethtestd"), 0);
    }
}

static int group_setup(void **state) {
    if (unshare(CLONE_NEWNET) < 0) /* the spawner inherits it */
        return -1;
    run_command("ip link set lo up; for n in 1 2; do ip link add br$n type bridge && "
                "ip addr add 10.$n.0.1/16 dev br$n && "
                "ip addr add fd00:$n::1/64 dev br$n nodad && ip link set br$n up || exit 1; done; "
                "ip link add parent0 type veth peer name outside && ip link set parent0 up && "
                "ip link set outside up && ip addr add 10.3.0.1/24 dev outside");
    return box_group_setup(state);
}

int main(void) {
    if (!box_possible())
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_interfaces_at_a_start),
        cmocka_unit_test(none_has_loopback_only),
        cmocka_unit_test(a_start_that_fails_leaves_nothing),
        cmocka_unit_test(running_containers_are_connected),
        cmocka_unit_test(failures_undo_everything),
        cmocka_unit_test(the_hosts_network_is_refused),
        cmocka_unit_test(macvlans),
        cmocka_unit_test(ipvlans),
        cmocka_unit_test(other_links),
    };
    return cmocka_run_group_tests(tests, group_setup, box_group_teardown);
}
