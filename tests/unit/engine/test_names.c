/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "engine/names.h"

static void test_rule(void **state) {
    static const char *const good[] = {"ab", "a1", "0a", "a_", "a.b-c", "A.-_"};
    static const char *const bad[] = {"",    "a",   "/ab", "_a",  ".a",        "-a",    "a b",
                                      "a/b", "a:b", "a\n", "ab/", "a\xc3\xa4", "a\x7f", "ab*"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(container_name_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(container_name_is_valid(bad[i]));
}

static void test_made_up(void **state) {
    bool different = false;
    auto_free char *first = container_name_random(0);

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        auto_free char *name = container_name_random(i % 12);
        char last = name[strlen(name) - 1];

        assert_true(container_name_is_valid(name));
        assert_non_null(strchr(name, '_'));
        assert_null(strstr(name, "boring_wozniak"));
        /* The first tries are two words, later ones end with a number. */
        assert_int_equal(last >= '0' && last <= '9', i % 12 >= 3);
        different |= strcmp(name, first) != 0;
    }
    assert_true(different);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_made_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
