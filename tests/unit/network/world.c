/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "network/bridge.h"
#include "sys/netlink.h"

struct world w;

const struct family V4 = {"192.168.9.2", "192.168.9.1", "192.168.8.1", "172.30.1.2", "172.30.1.3",
                          "172.30.2.2",  "172.30.1.1",  "172.30.2.1",  "0.0.0.0"};
const struct family V6 = {"fd09::2",   "fd09::1",   "fd08::1",   "fd30:1::2", "fd30:1::3",
                          "fd30:2::2", "fd30:1::1", "fd30:2::1", "::"};
const struct family *const FAMILIES[2] = {&V4, &V6};
char peer[IP_TEXT_MAX];

bool open_to(int wait_ms, int ns, const char *ip, uint16_t port, int srv) {
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

int world_setup(void **state) {
    return build("0");
}

int world_setup_bridged(void **state) {
    return build("1");
}

int world_teardown(void **state) {
    firewall_withdraw(w.f);
    firewall_close(w.f);
    close(w.host);
    close(w.lan);
    close(w.a);
    close(w.b);
    close(w.c);
    return 0;
}

struct fw_port port_of(uint8_t proto, const char *host, uint16_t host_port, const char *to,
                       uint16_t to_port, const char *bridge) {
    struct fw_port p = {.proto = proto,
                        .host = ip_of(host),
                        .host_port = host_port,
                        .to = ip_of(to),
                        .to_port = to_port};

    memcpy(p.bridge, bridge, strlen(bridge) + 1);
    return p;
}

void publish(uint8_t proto, const char *host, uint16_t host_port, const char *to,
             uint16_t to_port) {
    struct fw_port p = port_of(proto, host, host_port, to, to_port, "br1");

    assert_int_equal(firewall_ports_put(w.f, &p, 1), 0);
}

static void put_guard(const char *host_if, const char *ip4, const char *ip6, unsigned char last) {
    struct fw_guard g = {.mac = {2, 0, 0, 0, 1, last}, .count = 2};

    memcpy(g.host_if, host_if, strlen(host_if) + 1);
    g.addresses[0] = ip_of(ip4);
    g.addresses[1] = ip_of(ip6);
    assert_int_equal(firewall_guard_put(w.f, &g), 0);
}

void guard_all(void) {
    put_guard("vetha", V4.a, V6.a, 2);
    put_guard("vethb", V4.b, V6.b, 3);
}

/* ---- nft(8) ---------------------------------------------------------------------------------- */
void nft(const char *ruleset) {
    FILE *p = popen("nft -f -", "w");

    assert_non_null(p);
    assert_true(fputs(ruleset, p) >= 0);
    assert_int_equal(pclose(p), 0);
}

char *nft_list(const char *what) {
    auto_free char *command = xasprintf("nft list %s", what);
    FILE *p = popen(command, "r");
    auto_buf text = BUF_INIT;
    char room[4096];
    size_t n;

    assert_non_null(p);
    while ((n = fread(room, 1, sizeof room, p)) > 0)
        assert_true(buf_append(&text, room, n));
    assert_int_equal(pclose(p), 0);
    return buf_take(&text);
}

size_t count_of(const char *what, const char *text) {
    auto_free char *all = nft_list(what);
    size_t n = 0;

    for (const char *p = all; (p = strstr(p, text)); p++)
        n++;
    return n;
}
