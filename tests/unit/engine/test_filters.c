/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/filters.h"

static const char *const allowed[] = {"name", "label", "label!", "dangling", "until", NULL};

static void parse(const char *json, struct filters *ret) {
    auto_err e = ERR_INIT;

    assert_int_equal(filters_parse(json, allowed, ret, &e), 0);
    assert_int_equal(e.class, ERR_NONE);
}

static void test_both_forms(void **state) {
    auto_filters f = {0};

    (void)state;
    parse("{\"name\": [\"a\", \"b\"], \"label\": {\"x=1\": true, \"y\": false}}", &f);
    assert_int_equal(strv_len(filters_get(&f, "name")), 2);
    assert_true(filters_exact(&f, "name", "b"));
    assert_false(filters_exact(&f, "name", "c"));
    assert_false(filters_exact(&f, "name", NULL));
    /* false takes a value out of the set. */
    assert_int_equal(strv_len(filters_get(&f, "label")), 1);
    assert_string_equal(filters_get(&f, "label")[0], "x=1");
    assert_false(filters_has(&f, "until"));
    assert_true(filters_exact(&f, "until", "anything"));
}

static void test_nothing_is_the_empty_set(void **state) {
    static const char *const texts[] = {NULL, "", "{}"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        auto_filters f = {0};

        parse(texts[i], &f);
        assert_int_equal(f.count, 0);
    }
}

static void test_a_key_without_values_matches_everything(void **state) {
    auto_filters f = {0};

    (void)state;
    parse("{\"name\": []}", &f);
    assert_true(filters_has(&f, "name"));
    assert_null(filters_get(&f, "name"));
    assert_true(filters_exact(&f, "name", "x"));
    assert_true(filters_match(&f, "name", "x"));
}

static void test_refusals(void **state) {
    static const char *const broken[] = {
        "x",        "[1]", "\"a\"", "1", "{\"name\": 1}", "{\"name\": [1]}", "{\"name\": null}",
        "{\"name\""};
    auto_filters f = {0};
    auto_err e = ERR_INIT;

    (void)state;
    filters_add(&f, "name", "stays");
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        err_done(&e);
        assert_true(filters_parse(broken[i], allowed, &f, &e) < 0);
        assert_int_equal(e.class, ERR_INVALID);
        assert_true(str_starts(err_msg(&e), "invalid filter"));
    }
    err_done(&e);
    assert_true(filters_parse("{\"nope\": [\"a\"]}", allowed, &f, &e) < 0);
    assert_string_equal(err_msg(&e), "invalid filter 'nope'");
    assert_true(filters_exact(&f, "name", "stays"));
    assert_int_equal(filters_parse("null", allowed, &f, &e), 0); /* none */
}

static void test_regular_expressions(void **state) {
    auto_filters f = {0};

    (void)state;
    parse("{\"name\": [\"^web[0-9]+$\", \"[\", \"db\"]}", &f);
    assert_true(filters_match(&f, "name", "web12"));
    assert_false(filters_match(&f, "name", "web"));
    assert_true(filters_match(&f, "name", "mydb2"));
    assert_true(filters_match(&f, "name", "[")); /* no expression, but equal */
    assert_false(filters_match(&f, "name", "x"));
    assert_false(filters_match(&f, "name", NULL));
}

static void test_labels(void **state) {
    struct strmap labels = {0};
    auto_filters f = {0}, g = {0};

    (void)state;
    strmap_put(&labels, "tier", "web");
    strmap_put(&labels, "empty", "");
    parse("{\"label\": [\"tier=web\", \"empty\"]}", &f);
    assert_true(filters_labels(&f, "label", &labels));
    filters_add(&f, "label", "tier=db");
    assert_false(filters_labels(&f, "label", &labels)); /* all must hold */
    parse("{\"label!\": [\"tier=db\", \"nope\"], \"label\": [\"empty=\"]}", &g);
    assert_true(filters_labels(&g, "label!", &labels));
    assert_true(filters_labels(&g, "label", &labels));
    filters_add(&g, "label!", "tier");
    assert_true(filters_labels(&g, "label!", &labels)); /* only all of them keep it out */
    parse("{\"label!\": [\"tier=web\", \"empty\"]}", &g);
    assert_false(filters_labels(&g, "label!", &labels));
    strmap_done(&labels);
}

static void test_booleans(void **state) {
    auto_filters f = {0}, bad = {0}, two = {0};
    auto_err e = ERR_INIT;
    bool v = false;

    (void)state;
    assert_int_equal(filters_bool(&f, "dangling", true, &v, &e), 0);
    assert_true(v);
    parse("{\"dangling\": {\"false\": true}}", &f);
    assert_int_equal(filters_bool(&f, "dangling", true, &v, &e), 0);
    assert_false(v);
    parse("{\"dangling\": [\"maybe\"]}", &bad);
    assert_true(filters_bool(&bad, "dangling", true, &v, &e) < 0);
    assert_string_equal(err_msg(&e), "invalid filter 'dangling=[maybe]'");
    assert_false(v);
    err_done(&e);
    parse("{\"dangling\": [\"true\", \"false\"]}", &two);
    assert_true(filters_bool(&two, "dangling", true, &v, &e) < 0);
    assert_int_equal(e.class, ERR_INVALID);
}

static void test_until(void **state) {
    auto_filters f = {0}, age = {0}, two = {0}, bad = {0};
    auto_err e = ERR_INIT;
    int64_t ns = 5, now = clock_real_ns();

    (void)state;
    assert_int_equal(filters_until(&f, &ns, &e), 0);
    assert_int_equal(ns, 0);
    parse("{\"until\": [\"1700000000.5\"]}", &f);
    assert_int_equal(filters_until(&f, &ns, &e), 0);
    assert_true(ns == 1700000000 * NS_PER_SEC + 500 * NS_PER_MS);
    parse("{\"until\": [\"1h\"]}", &age);
    assert_int_equal(filters_until(&age, &ns, &e), 0);
    assert_true(ns >= now - 3600 * NS_PER_SEC && ns < now - 3590 * NS_PER_SEC);
    parse("{\"until\": [\"1h\", \"2h\"]}", &two);
    assert_true(filters_until(&two, &ns, &e) < 0);
    assert_string_equal(err_msg(&e), "more than one until filter specified");
    err_done(&e);
    parse("{\"until\": [\"soon\"]}", &bad);
    assert_true(filters_until(&bad, &ns, &e) < 0);
    assert_int_equal(e.class, ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_forms),
        cmocka_unit_test(test_nothing_is_the_empty_set),
        cmocka_unit_test(test_a_key_without_values_matches_everything),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_regular_expressions),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_until),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
