/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "format/json.h"

static void tables(void **state) {
    static const char *const in = "ID\tNAME\tSIZE\nlong-long-long\t\xc3\xa9\t1\nplain\n";
    auto_buf out = BUF_INIT;

    table_align(in, strlen(in), &out);
    assert_string_equal(buf_str(&out), "ID               NAME      SIZE\n"
                                       "long-long-long   \xc3\xa9         1\n"
                                       "plain\n");
}

static void indented_json(void **state) {
    static const char *const in = "[{\"b\":1.50,\"a\":[],\"c\":{},\"d\":[1,2],\"e\":\"x{,\\\"\"}]";
    auto_buf out = BUF_INIT;

    json_indent(in, strlen(in), "", "    ", &out);
    assert_string_equal(buf_str(&out),
                        "[\n    {\n        \"b\": 1.50,\n        \"a\": [],\n        \"c\": {},\n"
                        "        \"d\": [\n            1,\n            2\n        ],\n"
                        "        \"e\": \"x{,\\\"\"\n    }\n]");
    buf_clear(&out);
    json_indent("[]", 2, "", "    ", &out);
    assert_string_equal(buf_str(&out), "[]");
}

static const struct column columns[] = {{"A", "FIRST"}, {"B", "SECOND"}, {NULL, NULL}};
static const struct list_format format = {
    .columns = columns, .table = "{{.A}}\t{{.B}}", .quiet = "{{.A}}", .type_name = "*formatter.x"};

static char *listed(const char *text, bool quiet) {
    auto_list l = {0};
    auto_json *row = json_object_new_object();
    auto_buf out = BUF_INIT;
    auto_err e = ERR_INIT;

    row_add(row, "B", "<b>");
    row_add(row, "A", "a");
    if (list_begin(&l, &format, text, quiet, &e) < 0 || list_row(&l, row, &e) < 0 ||
        list_finish(&l, &out, &e) < 0)
        return xstrdup(err_msg(&e));
    return buf_take(&out);
}

static void lists(void **state) {
    static const struct {
        const char *format;
        bool quiet;
        const char *result;
    } cases[] = {
        {"", false, "FIRST     SECOND\na         <b>\n"},
        {"table", false, "FIRST     SECOND\na         <b>\n"},
        {"", true, "a\n"},
        {"table {{.B}}\\t{{upper .A}}", false, "SECOND    FIRST\n<b>       A\n"},
        {"json", false, "{\"A\":\"a\",\"B\":\"\\u003cb\\u003e\"}\n"},
        {"{{json .}}", false, "{\"A\":\"a\",\"B\":\"\\u003cb\\u003e\"}\n"},
        {"{{.A}}\\n{{.B}}", false, "a\n<b>\n"},
        {"{{.C}}", false,
         "template parsing error: template: :1:2: executing \"\" at <.C>: can't evaluate field "
         "C in type *formatter.x"},
        {"{{.A", false, "failed to parse template: template: :1: unclosed action"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_free char *got = listed(cases[i].format, cases[i].quiet);

        assert_string_equal(got, cases[i].result);
    }
}

static void texts(void **state) {
    auto_free char *a = human_size(1983101, 3), *b = human_size(0, 3), *c = human_size(1000, 4);
    auto_free char *d = human_size_binary(25276530688.0), *e = ellipsis("h\xc3\xa9llo", 3);
    auto_free char *f = ellipsis("abc", 3), *g = short_id("sha256:0123456789abcdef");
    auto_free char *h = go_quote("a\"b\n\xe2\x80\xa6"),
                   *i = time_ago(clock_real_ns() / NS_PER_SEC - 7200);

    assert_string_equal(a, "1.98MB");
    assert_string_equal(b, "0B");
    assert_string_equal(c, "1kB");
    assert_string_equal(d, "23.54GiB");
    assert_string_equal(e, "h\xc3\xa9\xe2\x80\xa6");
    assert_string_equal(f, "abc");
    assert_string_equal(g, "0123456789ab");
    assert_string_equal(h, "\"a\\\"b\\n\xe2\x80\xa6\"");
    assert_string_equal(i, "2 hours ago");
}

static void filters(void **state) {
    char *const list[] = {(char *)"name=b", (char *)"Status = up", (char *)"name=a", NULL};
    auto_free char *json = filters_json(list);

    assert_string_equal(json, "{\"status\":{\"up\":true},\"name\":{\"a\":true,\"b\":true}}");
    assert_null(filters_json(NULL));
    assert_int_equal(filter_check("a=b", NULL), 0);
    assert_true(filter_check("a", NULL) < 0);
}

static void numbers_in_names_count(void **state) {
    static const char *const sorted[] = {"",   "1",   "01",  "2",   "10", "a",
                                         "a1", "a01", "a2b", "a10", "b"};
    const size_t n = sizeof sorted / sizeof *sorted;

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            int r = natural_compare(sorted[i], sorted[k]);

            assert_int_equal((r > 0) - (r < 0), (i > k) - (i < k));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_names_count),
        cmocka_unit_test(tables),
        cmocka_unit_test(indented_json),
        cmocka_unit_test(lists),
        cmocka_unit_test(texts),
        cmocka_unit_test(filters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
