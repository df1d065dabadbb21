/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"
#include "image/ids.h"

static void test_high_ids(void **state) {
    struct high_ids h = {0}, again = {0};
    auto_strv texts = NULL;

    high_ids_add(&h, 65535);
    high_ids_add(&h, UINT32_MAX); /* no id */
    high_ids_add(&h, UINT64_C(1) << 40);
    assert_int_equal(h.count, 0);
    high_ids_add(&h, 200000);
    high_ids_add(&h, UINT32_MAX - 1);
    high_ids_add(&h, 65536);
    high_ids_add(&h, 200000);
    assert_int_equal(h.count, 3);
    assert_int_equal(h.ids[0], 65536);
    assert_int_equal(h.ids[2], UINT32_MAX - 1);
    texts = high_ids_format(&h);
    strv_add(&texts, "x");
    strv_add(&texts, "-1");
    high_ids_add_text(&again, texts);
    assert_memory_equal(&h, &again, sizeof(h));
}

static void test_too_many(void **state) {
    struct high_ids h = {0};

    for (uint32_t i = 0; i < 1000; i++)
        high_ids_add(&h, 1000000 - i);
    assert_int_equal(h.count, HIGH_IDS_MAX + 1);
}

static void test_shift(void **state) {
    struct id_shift s = {.base = 1 << 28, .size = 65536, .high_first = 65000};
    const struct id_shift none = {0};
    const uint64_t ids[] = {0, 1, 64999, 65002, 65534, 65535, 70000, 90000};

    high_ids_add(&s.high, 90000);
    high_ids_add(&s.high, 70000);
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        uint64_t host = id_shift_out(&s, ids[i]);

        assert_in_range(host, s.base, s.base + s.size - 1);
        assert_int_equal(id_shift_in(&s, host), ids[i]);
        assert_int_equal(id_shift_in(&none, ids[i]), ids[i]);
        assert_int_equal(id_shift_out(&none, ids[i]), ids[i]);
    }
    /* without a line, and with its place given away: nobody's */
    assert_int_equal(id_shift_out(&s, 80000), s.base + ID_NOBODY);
    assert_int_equal(id_shift_out(&s, 65000), s.base + ID_NOBODY);
    assert_int_equal(id_shift_out(&s, UINT32_MAX - 1), s.base + ID_NOBODY);
    assert_int_equal(id_shift_in(&s, 5), 5); /* not of this container */
    assert_int_equal(id_shift_in(&s, s.base + s.size), s.base + s.size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_high_ids),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
