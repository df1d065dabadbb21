/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/str.h"
#include "format/json.h"

static char *reprint(const char *text, struct err *e) {
    auto_json *o = NULL;
    struct buf b = BUF_INIT;
    struct jw w;

    if (jsn_parse(text, strlen(text), &o, e) < 0)
        return NULL;
    jw_init(&w, &b);
    jw_value(&w, o);
    return buf_take(&b);
}

static void assert_same(const char *in, const char *out) {
    auto_err e = ERR_INIT;
    auto_free char *got = reprint(in, &e);

    if (!got)
        fail_msg("%s: %s", in, err_msg(&e));
    assert_string_equal(got, out);
}

static void assert_refused(const char *in, const char *message) {
    auto_err e = ERR_INIT;
    auto_free char *got = reprint(in, &e);

    if (got)
        fail_msg("%s was taken as %s", in, got);
    assert_int_equal(e.class, ERR_INVALID);
    if (!str_starts(e.msg, message))
        fail_msg("%s: '%s' instead of '%s'", in, e.msg, message);
}

static void test_values(void **state) {
    assert_same(" null ", "null");
    assert_same("[true,false]\n", "[true,false]");
    assert_same("{}", "{}");
    assert_same("[]", "[]");
    assert_same("{\"b\":[1,{\"a\":[[]]}],\"a\":{}}", "{\"b\":[1,{\"a\":[[]]}],\"a\":{}}");
    assert_same("[0,-0,-1,9223372036854775807,-9223372036854775808,18446744073709551615]",
                "[0,0,-1,9223372036854775807,-9223372036854775808,18446744073709551615]");
    assert_same("[18446744073709551616,-9223372036854775809,1e400,1.50,1E+2]",
                "[18446744073709551616,-9223372036854775809,1e400,1.50,1E+2]");
    assert_same("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
}

static void test_strings(void **state) {
    assert_same("\"\\\"\\\\\\/\\b\\f\\n\\r\\t<>&\\u007f\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t<>&\x7f\"");
    assert_same("\"\\u00e9\\u20ac\\ud83d\\uDE00\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    assert_same("\"\\ud83dx\\ude00\"", "\"\xef\xbf\xbdx\xef\xbf\xbd\"");
    assert_same("\"\\ud83d\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"");
    assert_same("\"\\u0001\\u2028\xe2\x80\xa9\"", "\"\\u0001\\u2028\\u2029\"");
    assert_same("{\"k\\u0065y\":\"\xf4\x8f\xbf\xbf\"}", "{\"key\":\"\xf4\x8f\xbf\xbf\"}");
}

static void test_refusals(void **state) {
    assert_refused("", "unexpected end of JSON input");
    assert_refused("  {\"a\":", "unexpected end of JSON input");
    assert_refused("[1,2", "unexpected end of JSON input");
    assert_refused("\"abc", "unexpected end of JSON input");
    assert_refused("tru", "unexpected end of JSON input");
    assert_refused("x", "invalid character 'x' looking for beginning of value (line 1, column 1)");
    assert_refused("\n\n  'a'",
                   "invalid character '\\'' looking for beginning of value (line 3, column 3)");
    assert_refused("{\"a\":1,}",
                   "invalid character '}' looking for beginning of object key string");
    assert_refused("{a:1}", "invalid character 'a' looking for beginning of object key string");
    assert_refused("{\"a\" 1}", "invalid character '1' after object key");
    assert_refused("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair");
    assert_refused("[1 2]", "invalid character '2' after array element");
    assert_refused("[1,]", "invalid character ']' looking for beginning of value");
    assert_refused("1 2", "invalid character '2' after top-level value");
    assert_refused("{}/* c */", "invalid character '/' after top-level value");
    assert_refused("nul1", "invalid character '1' in literal null (expecting 'l')");
    assert_refused("NaN", "invalid character 'N' looking for beginning of value");
    assert_refused("[Infinity]", "invalid character 'I' looking for beginning of value");
    assert_refused("-", "unexpected end of JSON input");
    assert_refused("-x", "invalid character 'x' in numeric literal");
    assert_refused("01", "invalid character '1' after top-level value");
    assert_refused("1.e2", "invalid character 'e' after decimal point in numeric literal");
    assert_refused("1e+", "unexpected end of JSON input");
    assert_refused("1ex", "invalid character 'x' in exponent of numeric literal");
    assert_refused("+1", "invalid character '+' looking for beginning of value");
    assert_refused("\"a\nb\"", "invalid character '\\n' in string literal");
    assert_refused("\"\\x\"", "invalid character 'x' in string escape code");
    assert_refused("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape");
    assert_refused("\"\\u0000\"", "NUL characters in strings are not supported");
    assert_refused("\"\xc0\xaf\"", "invalid UTF-8 in string literal");
    assert_refused("\"\xed\xa0\x80\"", "invalid UTF-8 in string literal");
    assert_refused("\"\xf4\x90\x80\x80\"", "invalid UTF-8 in string literal");
    assert_refused("\"\xe2\x82\"", "invalid UTF-8 in string literal");
}

static void test_limits(void **state) {
    auto_json *o = NULL;
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;

    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_putc(&b, '[');
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_putc(&b, ']');
    assert_int_equal(jsn_parse(b.data, b.len, &o, &e), 0);
    json_object_put(take_ptr(o));
    buf_clear(&b);
    for (int i = 0; i <= JSON_DEPTH_MAX; i++)
        buf_putc(&b, '[');
    assert_int_equal(jsn_parse(b.data, b.len, &o, &e), -EINVAL);
    assert_non_null(strstr(e.msg, "exceeded max depth"));

    buf_clear(&b);
    buf_putc(&b, '[');
    while (b.len < JSON_SIZE_MAX - 8)
        buf_puts(&b, "{},");
    buf_puts(&b, "{}]");
    assert_int_equal(jsn_parse(b.data, b.len, &o, &e), -EFBIG);
    assert_int_equal(e.class, ERR_TOO_LARGE);
    while (b.len <= JSON_SIZE_MAX)
        buf_putc(&b, ' ');
    assert_int_equal(jsn_parse(b.data, b.len, &o, NULL), -EFBIG);
    /* not terminated, and a NUL is a character like any other */
    assert_int_equal(jsn_parse("12345", 3, &o, &e), 0);
    assert_int_equal(json_object_get_int(o), 123);
    json_object_put(take_ptr(o));
    assert_int_equal(jsn_parse("1\0", 2, &o, &e), -EINVAL);
}

static void test_lookup(void **state) {
    static const char text[] = "{\"Name\":\"x\",\"name\":\"y\",\"Big\":18446744073709551615,"
                               "\"Max\":9223372036854775807,\"Yes\":true,\"Nil\":null,\"F\":1.0}";
    auto_json *o = NULL;

    assert_int_equal(jsn_parse(text, strlen(text), &o, NULL), 0);
    assert_string_equal(jsn_str(o, "name"), "y");
    assert_string_equal(jsn_str(o, "NAME"), "y");
    assert_string_equal(jsn_str(o, "Name"), "x");
    assert_null(jsn_str(o, "Big"));
    assert_int_equal(jsn_int(o, "big", 7), 7);
    assert_true(jsn_int(o, "max", 7) == INT64_MAX);
    assert_int_equal(jsn_int(o, "F", 7), 7);
    assert_true(jsn_bool(o, "yes", false));
    assert_true(jsn_bool(o, "no", true));
    assert_null(jsn_get(o, "nil"));
    assert_null(jsn_get(NULL, "nil"));
    assert_null(jsn_get(jsn_get(o, "Yes"), "nil"));
}

static void test_doubles(void **state) {
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e6, "1000000"},
        {123456789.125, "123456789.125"},
        {0.000001, "0.000001"},
        {0.00000123, "0.00000123"},
        {0.0000001, "1e-7"},
        {1.5e-9, "1.5e-9"},
        {1e20, "100000000000000000000"},
        {123456789012345680000.0, "123456789012345680000"},
        {1e21, "1e+21"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {5e-324, "5e-324"},
        {9007199254740993.0, "9007199254740992"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_buf b = BUF_INIT;
        struct jw w;

        jw_init(&w, &b);
        jw_double(&w, cases[i].v);
        assert_string_equal(buf_str(&b), cases[i].text);
    }
    for (int i = 0; i < 20000; i++) {
        auto_buf b = BUF_INIT;
        struct jw w;
        uint64_t bits = random_u64();
        double v, back;

        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        jw_init(&w, &b);
        jw_double(&w, v);
        back = strtod(buf_str(&b), NULL);
        assert_memory_equal(&back, &v, sizeof v);
    }
}

static void test_writer(void **state) {
    static char *const list[] = {"a", "b", NULL}, *const none[] = {NULL};
    auto_buf b = BUF_INIT;
    struct jw w;

    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "s", NULL);
    jw_kint(&w, "i", INT64_MIN);
    jw_kuint(&w, "u", UINT64_MAX);
    jw_kbool(&w, "t", true);
    jw_knull(&w, "n");
    jw_kraw(&w, "r", "[1]");
    jw_kstrv(&w, "v", list);
    jw_kstrv(&w, "e", none);
    jw_kstrv(&w, "z", NULL);
    jw_key(&w, "a");
    jw_array(&w);
    jw_object(&w);
    jw_end_object(&w);
    jw_array(&w);
    jw_end_array(&w);
    jw_int(&w, 1);
    jw_strn(&w, "a\xff\xc3", 3);
    jw_str(&w, "\xed\xa0\x80|\xf0\x9f\x98\x80");
    jw_end_array(&w);
    jw_end_object(&w);
    assert_string_equal(buf_str(&b),
                        "{\"s\":\"\",\"i\":-9223372036854775808,\"u\":18446744073709551615,"
                        "\"t\":true,\"n\":null,\"r\":[1],\"v\":[\"a\",\"b\"],\"e\":[],\"z\":null,"
                        "\"a\":[{},[],1,\"a\\ufffd\\ufffd\","
                        "\"\\ufffd\\ufffd\\ufffd|\xf0\x9f\x98\x80\"]}");
}

/* A buffer that is full stays whole and says so. */
static void test_writer_limit(void **state) {
    auto_buf b = {.max = 16};
    struct jw w;

    jw_init(&w, &b);
    jw_array(&w);
    for (int i = 0; i < 100; i++)
        jw_str(&w, "\n\n");
    jw_end_array(&w);
    assert_true(b.failed);
    assert_true(b.len <= 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),   cmocka_unit_test(test_strings),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lookup),   cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_writer),   cmocka_unit_test(test_writer_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
