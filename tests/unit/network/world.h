/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The world of the firewall's tests, one for each test:
 *
 *   lan 192.168.9.2 -- host 192.168.9.1, 192.168.8.1 -- br1 172.30.1.1/24: a .2, b .3
 *                                                   `-- br2 172.30.2.1/24: c .2
 *
 * and the same in IPv6. The process is in the host's namespace. */
#include "netns.h"

#include <netinet/in.h>

#include "network/firewall_internal.h"

#define TABLE "fwtest"

struct world {
    int host, lan, a, b, c;
    struct firewall *f;
    struct fw_network br1, br2;
};
extern struct world w;

/* The same test for both families. */
struct family {
    const char *lan, *host, *other, *a, *b, *c, *gateway1, *gateway2, *any;
};
extern const struct family V4, V6;
extern const struct family *const FAMILIES[2];
#define for_each_family(x)                                                                         \
    for (const struct family *const *x##_i = FAMILIES, *x; x##_i < FAMILIES + 2 && (x = *x##_i);   \
         x##_i++)

int world_setup(void **state);
int world_setup_bridged(void **state); /* with br_netfilter */
int world_teardown(void **state);
/* Rows of a struct CMUnitTest. */
#define T(name)                                                                                    \
    { #name, name, world_setup, world_teardown, NULL }
#define TB(name)                                                                                   \
    { #name " (br_netfilter)", name, world_setup_bridged, world_teardown, NULL }
/* main: all tests, or those whose names match the argument. */
#define world_main(tests)                                                                          \
    int main(int argc, char **argv) {                                                              \
        if (argc > 1)                                                                              \
            cmocka_set_test_filter(argv[1]);                                                       \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

/* What is to work may take its time on a busy machine. `peer` is who the server sees. */
extern char peer[IP_TEXT_MAX];
#define assert_open(...)   assert_true(open_to(NS_PATIENT_MS, __VA_ARGS__))
#define assert_closed(...) assert_false(open_to(NS_SHORT_MS, __VA_ARGS__))
bool open_to(int wait_ms, int ns, const char *ip, uint16_t port, int srv);

struct fw_port port_of(uint8_t proto, const char *host, uint16_t host_port, const char *to,
                       uint16_t to_port, const char *bridge);
/* On br1. */
void publish(uint8_t proto, const char *host, uint16_t host_port, const char *to, uint16_t to_port);
/* Of a and b. */
void guard_all(void);

/* nft(8): of somebody else, and to look at what is there. */
void nft(const char *ruleset);
char *nft_list(const char *what);
size_t count_of(const char *what, const char *text);
