/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/stream.h"

static void detach_keys(void **state) {
    struct detach_keys k;

    assert_int_equal(detach_keys_parse("", &k, NULL), 0);
    assert_int_equal(k.count, 2);
    assert_int_equal(k.keys[0], 16);
    assert_int_equal(k.keys[1], 17);
    assert_int_equal(detach_keys_parse("ctrl-a,ctrl-],x", &k, NULL), 0);
    assert_int_equal(k.count, 3);
    assert_int_equal(k.keys[0], 1);
    assert_int_equal(k.keys[1], 29);
    assert_int_equal(k.keys[2], 'x');
    assert_true(detach_keys_parse("ctrl-aa", &k, NULL) < 0);
    assert_true(detach_keys_parse("a,,b", &k, NULL) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(detach_keys)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
