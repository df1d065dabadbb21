/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "netd/names.h"

static char *on_a[] = {(char *)"net-a", NULL}, *on_b[] = {(char *)"net-b", NULL},
            *on_both[] = {(char *)"net-a", (char *)"net-b", NULL};

static void put(struct names *n, const char *network, const char *container, const char *name,
                const char *alias, uint8_t last, bool six, unsigned generation) {
    char *const names[] = {(char *)name, (char *)alias, NULL};
    struct names_put p = {.network = network,
                          .container = container,
                          .network_name = network[4] == 'a' ? "Front" : "back",
                          .ip4 = {AF_INET, {10, 0, (uint8_t)network[4], last}},
                          .names = names,
                          .generation = generation};
    if (six)
        p.ip6 = (struct netd_addr){AF_INET6, {[0] = 0xfd, [15] = last}};
    names_put(n, &p);
}

static int find(const struct names *n, char *const *networks, const char *name, uint8_t *ret_last) {
    struct netd_addr out[8];
    int r = names_find(n, networks, NULL, name, AF_INET, out, 8);
    *ret_last = r > 0 ? out[0].b[3] : 0;
    return r;
}

static void test_find(void **state) {
    struct names n = {0};
    struct netd_addr out[8];
    uint8_t last;

    put(&n, "net-a", "c1", "Web", "w", 1, true, 1);
    put(&n, "net-a", "c2", "db", "w", 2, false, 1);
    put(&n, "net-b", "c3", "web", "w", 3, false, 1);
    assert_int_equal(names_count(&n), 3);
    assert_int_equal(find(&n, on_a, "web", &last), 1);
    assert_int_equal(last, 1);
    assert_int_equal(find(&n, on_b, "web", &last), 1);
    assert_int_equal(last, 3);
    assert_int_equal(find(&n, on_b, "db", &last), -ENOENT);
    assert_int_equal(find(&n, on_both, "db", &last), 1);
    /* the first network that knows it answers */
    assert_int_equal(find(&n, on_both, "web", &last), 1);
    assert_int_equal(last, 1);
    assert_int_equal(find(&n, on_both, "w", &last), 2);
    /* by network */
    assert_int_equal(find(&n, on_both, "web.back", &last), 1);
    assert_int_equal(last, 3);
    assert_int_equal(find(&n, on_both, "web.front", &last), 1);
    assert_int_equal(last, 1);
    assert_int_equal(find(&n, on_a, "web.back", &last), -ENOENT);
    assert_int_equal(find(&n, on_both, "web.nowhere", &last), -ENOENT);
    assert_int_equal(find(&n, on_both, "", &last), -ENOENT);
    assert_int_equal(find(&n, NULL, "web", &last), -ENOENT);
    /* the other family: known, with and without an address */
    assert_int_equal(names_find(&n, on_a, NULL, "web", AF_INET6, out, 8), 1);
    assert_int_equal(names_find(&n, on_a, NULL, "db", AF_INET6, out, 8), 0);
    assert_int_equal(names_find(&n, on_a, NULL, "w", AF_INET, out, 1), 1); /* no more room */
    names_done(&n);
}

static void test_links(void **state) {
    char *links[] = {(char *)"Store=db", (char *)"web=db", (char *)"gone=nobody", NULL};
    struct names n = {0};
    struct netd_addr out[8];

    put(&n, "net-a", "c1", "web", "w", 1, false, 1);
    put(&n, "net-a", "c2", "DB", "d", 2, false, 1);
    assert_int_equal(names_find(&n, on_a, links, "store", AF_INET, out, 8), 1);
    assert_int_equal(out[0].b[3], 2);
    assert_int_equal(names_find(&n, on_a, links, "store.front", AF_INET, out, 8), 1);
    assert_int_equal(names_find(&n, on_a, links, "web", AF_INET, out, 8), 1);
    assert_int_equal(out[0].b[3], 2); /* before the name itself */
    assert_int_equal(names_find(&n, on_a, links, "gone", AF_INET, out, 8), -ENOENT);
    assert_int_equal(names_find(&n, on_a, links, "sto", AF_INET, out, 8), -ENOENT);
    names_done(&n);
}

static void test_round_robin(void **state) {
    struct names n = {0};
    unsigned first[4] = {0};
    uint8_t last;

    put(&n, "net-a", "c1", "a", "all", 1, false, 1);
    put(&n, "net-a", "c2", "b", "all", 2, false, 1);
    put(&n, "net-a", "c3", "c", "ALL", 3, false, 1);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(find(&n, on_a, "all", &last), 3);
        first[last]++;
    }
    for (int i = 1; i <= 3; i++)
        assert_in_range(first[i], 40, 160);
    names_done(&n);
}

static void test_changes(void **state) {
    struct names n = {0};
    char name[DNS_NAME_TEXT];
    struct netd_addr a = {AF_INET, {10, 0, 'a', 1}};
    uint8_t last;

    put(&n, "net-a", "c1", "web", "w", 1, false, 1);
    assert_int_equal(names_reverse(&n, on_a, &a, name), 0);
    assert_string_equal(name, "web.Front");
    assert_int_equal(names_reverse(&n, on_b, &a, name), -ENOENT);
    put(&n, "net-a", "c1", "new", "w", 9, false, 1); /* replaces */
    assert_int_equal(find(&n, on_a, "web", &last), -ENOENT);
    assert_int_equal(find(&n, on_a, "w", &last), 1);
    assert_int_equal(last, 9);
    assert_int_equal(names_reverse(&n, on_a, &a, name), -ENOENT);
    /* an address that another container has taken over meanwhile stays its */
    put(&n, "net-a", "c2", "next", "x", 9, false, 1);
    names_del(&n, "net-a", "c1");
    a.b[3] = 9;
    assert_int_equal(names_reverse(&n, on_a, &a, name), 0);
    assert_string_equal(name, "next.Front");
    names_del(&n, "net-a", "c1");
    names_del(&n, "net-x", "c1");
    names_del(&n, "net-a", "c2");
    assert_int_equal(names_count(&n), 0);
    assert_int_equal(n.networks.count, 0);
    names_done(&n);
}

static void test_sweep(void **state) {
    struct names n = {0};
    uint8_t last;

    put(&n, "net-a", "c1", "old", "o", 1, true, 1);
    put(&n, "net-a", "c2", "kept", "o", 2, false, 1);
    put(&n, "net-b", "c1", "old", "o", 3, false, 1);
    put(&n, "net-a", "c2", "kept", "o", 2, false, 2);
    names_sweep(&n, 2);
    assert_int_equal(names_count(&n), 1);
    assert_int_equal(find(&n, on_both, "old", &last), -ENOENT);
    assert_int_equal(find(&n, on_both, "o", &last), 1);
    assert_int_equal(last, 2);
    names_done(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),        cmocka_unit_test(test_links),
        cmocka_unit_test(test_round_robin), cmocka_unit_test(test_changes),
        cmocka_unit_test(test_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
