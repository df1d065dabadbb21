/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "format/match.h"
#include "format/ref.h"
#include "format/units.h"

#define HEX32 "0123456789abcdef0123456789abcdef"
#define SHA   "sha256:" HEX32 HEX32

static void test_refs(void **state) {
    static const struct {
        const char *in, *domain, *path, *tag, *digest, *familiar;
    } cases[] = {
        {"busybox", "docker.io", "library/busybox", NULL, NULL, "busybox"},
        {"busybox:1.36", "docker.io", "library/busybox", "1.36", NULL, "busybox:1.36"},
        {"user/app", "docker.io", "user/app", NULL, NULL, "user/app"},
        {"library/app", "docker.io", "library/app", NULL, NULL, "app"},
        {"library/a/b", "docker.io", "library/a/b", NULL, NULL, "library/a/b"},
        {"docker.io/busybox", "docker.io", "library/busybox", NULL, NULL, "busybox"},
        {"index.docker.io/u/a:t", "docker.io", "u/a", "t", NULL, "u/a:t"},
        {"localhost/x", "localhost", "x", NULL, NULL, "localhost/x"},
        {"reg:5000/x/y:v_1.0-a", "reg:5000", "x/y", "v_1.0-a", NULL, "reg:5000/x/y:v_1.0-a"},
        {"Reg/x", "Reg", "x", NULL, NULL, "Reg/x"},
        {"quay.io/a.b/c_d/e__f/g---h", "quay.io", "a.b/c_d/e__f/g---h", NULL, NULL,
         "quay.io/a.b/c_d/e__f/g---h"},
        {"[::1]:5000/x", "[::1]:5000", "x", NULL, NULL, "[::1]:5000/x"},
        {"busybox@" SHA, "docker.io", "library/busybox", NULL, SHA, "busybox@" SHA},
        {"busybox:t@" SHA, "docker.io", "library/busybox", "t", SHA, "busybox:t@" SHA},
        {"localhost", "docker.io", "library/localhost", NULL, NULL, "localhost"},
        {HEX32, "docker.io", "library/" HEX32, NULL, NULL, HEX32},
        {"docker.io/a.b/c", "docker.io", "a.b/c", NULL, NULL, "docker.io/a.b/c"},
        {"library/" HEX32 HEX32, "docker.io", "library/" HEX32 HEX32, NULL, NULL,
         "library/" HEX32 HEX32},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_free char *familiar = NULL, *canonical = NULL;
        struct image_ref r = {0};
        struct image_ref again = {0};

        if (image_ref_parse(cases[i].in, &r, NULL) < 0)
            fail_msg("%s is refused", cases[i].in);
        assert_string_equal(r.domain, cases[i].domain);
        assert_string_equal(r.path, cases[i].path);
        assert_true(str_eq(r.tag, cases[i].tag));
        assert_true(str_eq(r.digest, cases[i].digest));
        familiar = image_ref_familiar(&r);
        assert_string_equal(familiar, cases[i].familiar);
        canonical = image_ref_canonical(&r);
        assert_int_equal(image_ref_parse(canonical, &again, NULL), 0);
        assert_string_equal(again.path, r.path);
        assert_string_equal(again.domain, r.domain);
        image_ref_done(&again);
        image_ref_default_tag(&r);
        assert_true(str_eq(r.tag, cases[i].tag ? cases[i].tag : cases[i].digest ? NULL : "latest"));
        image_ref_done(&r);
    }
}

static void test_bad_refs(void **state) {
    static const struct {
        const char *in, *message;
    } cases[] = {
        {"", "invalid reference format"},
        {":tag", "invalid reference format"},
        {"a:", "invalid reference format"},
        {"a:b:c", "invalid reference format"},
        {"a//b", "invalid reference format"},
        {"a/", "invalid reference format"},
        {"/a", "invalid reference format"},
        {"-a", "invalid reference format"},
        {"a-", "invalid reference format"},
        {"a..b", "invalid reference format"},
        {"a___b", "invalid reference format"},
        {"../../etc", "invalid reference format"},
        {"reg.io:port/x", "invalid reference format"},
        {"-reg.io/x", "invalid reference format"},
        {"reg-.io/x", "invalid reference format"},
        {"a b", "invalid reference format"},
        {"a@b", "invalid reference format"},
        {"a@sha256:abcd", "invalid reference format"},
        {"a@" SHA "0", "invalid checksum digest length"},
        {"a@md5:" HEX32, "unsupported digest algorithm"},
        {"a@sha256:" HEX32 "0123456789ABCDEF0123456789abcdef", "invalid checksum digest format"},
        {"Busybox",
         "invalid reference format: repository name (library/Busybox) must be lowercase"},
        {"user/App:t", "invalid reference format: repository name (user/App) must be lowercase"},
        {HEX32 HEX32,
         "invalid repository name (" HEX32 HEX32 "), cannot specify 64-byte hexadecimal strings"},
    };
    char longest[400] = "reg.io/";

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_ref r = {0};
        auto_err e = ERR_INIT;

        if (image_ref_parse(cases[i].in, &r, &e) != -EINVAL)
            fail_msg("%s is taken", cases[i].in);
        assert_string_equal(e.msg, cases[i].message);
        assert_null(r.path);
    }
    for (size_t n = 255; n <= 256; n++) {
        struct image_ref r = {0};

        memset(longest + 7, 'a', n);
        assert_int_equal(image_ref_parse(longest, &r, NULL), n == 255 ? 0 : -EINVAL);
        image_ref_done(&r);
    }
    memset(longest, 't', 129);
    longest[128] = '\0';
    assert_true(image_tag_is_valid(longest));
    longest[128] = 't';
    longest[129] = '\0';
    assert_false(image_tag_is_valid(longest));
    assert_false(image_tag_is_valid(NULL));
    assert_false(image_tag_is_valid(".a"));
    assert_true(image_tag_is_valid("_a"));
}

static void test_ref_match(void **state) {
    static const struct {
        const char *ref, *pattern;
        bool match;
    } cases[] = {
        {"busybox:1", "busybox", true},    {"busybox:1", "busy*", true},
        {"busybox:1", "busybox:1", true},  {"busybox:1", "*:1", true},
        {"busybox:1", "busybox:2", false}, {"user/app:1", "*", false},
        {"user/app:1", "*/*", true},       {"user/app:1", "user/*:1", true},
        {"busybox:1", "[", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_ref r = {0};

        assert_int_equal(image_ref_parse(cases[i].ref, &r, NULL), 0);
        assert_int_equal(image_ref_match(cases[i].pattern, &r), cases[i].match);
        image_ref_done(&r);
    }
}

/* The table of Go's own test of path.Match. */
static void test_match(void **state) {
    static const struct {
        const char *pattern, *name;
        int result;
    } cases[] = {
        {"abc", "abc", 1},
        {"*", "abc", 1},
        {"*c", "abc", 1},
        {"a*", "a", 1},
        {"a*", "abc", 1},
        {"a*", "ab/c", 0},
        {"a*/b", "abc/b", 1},
        {"a*/b", "a/c/b", 0},
        {"a*b*c*d*e*/f", "axbxcxdxe/f", 1},
        {"a*b*c*d*e*/f", "axbxcxdxexxx/f", 1},
        {"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", 0},
        {"a*b*c*d*e*/f", "axbxcxdxexxx/fff", 0},
        {"a*b?c*x", "abxbbxdbxebxczzx", 1},
        {"a*b?c*x", "abxbbxdbxebxczzy", 0},
        {"ab[c]", "abc", 1},
        {"ab[b-d]", "abc", 1},
        {"ab[e-g]", "abc", 0},
        {"ab[^c]", "abc", 0},
        {"ab[^b-d]", "abc", 0},
        {"ab[^e-g]", "abc", 1},
        {"a\\*b", "a*b", 1},
        {"a\\*b", "ab", 0},
        {"a?b",
         "a\xe2\x98\xba"
         "b",
         1},
        {"a[^a]b",
         "a\xe2\x98\xba"
         "b",
         1},
        {"a???b",
         "a\xe2\x98\xba"
         "b",
         0},
        {"a[^a][^a][^a]b",
         "a\xe2\x98\xba"
         "b",
         0},
        {"[a-\xce\xb6]*", "\xce\xb1", 1},
        {"*[a-\xce\xb6]", "A", 0},
        {"a?b", "a/b", 0},
        {"a*b", "a/b", 0},
        {"[\\]a]", "]", 1},
        {"[\\-]", "-", 1},
        {"[x\\-]", "x", 1},
        {"[x\\-]", "-", 1},
        {"[x\\-]", "z", 0},
        {"[\\-x]", "x", 1},
        {"[\\-x]", "-", 1},
        {"[\\-x]", "a", 0},
        {"[]a]", "]", -EINVAL},
        {"[-]", "-", -EINVAL},
        {"[x-]", "x", -EINVAL},
        {"[x-]", "-", -EINVAL},
        {"[-x]", "x", -EINVAL},
        {"\\", "a", -EINVAL},
        {"[a-b-c]", "a", -EINVAL},
        {"[", "a", -EINVAL},
        {"[^", "a", -EINVAL},
        {"[^bc", "a", -EINVAL},
        {"a[", "a", -EINVAL},
        {"a[", "ab", -EINVAL},
        {"a[", "x", -EINVAL},
        {"a/b[", "x", -EINVAL},
        {"*x", "xxx", 1},
        {"", "", 1},
        {"", "a", 0},
        {"**", "", 1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (go_match(cases[i].pattern, cases[i].name) != cases[i].result)
            fail_msg("%s against %s", cases[i].pattern, cases[i].name);
}

static void test_parse_bytes(void **state) {
    static const struct {
        const char *in;
        int64_t v;
        int error;
    } cases[] = {
        {"0", 0, 0},
        {"32", 32, 0},
        {"32b", 32, 0},
        {"32B", 32, 0},
        {"32k", 32 << 10, 0},
        {"32K", 32 << 10, 0},
        {"32kb", 32 << 10, 0},
        {"32KiB", 32 << 10, 0},
        {"32Mb", 32 << 20, 0},
        {"64m", 64 << 20, 0},
        {"1.5g", (int64_t)3 << 29, 0},
        {"32 tb", (int64_t)32 << 40, 0},
        {"1P", (int64_t)1 << 50, 0},
        {".3kB", 307, 0},
        {"32.", 32, 0},
        {"9223372036854775807", INT64_MAX, 0},
        {"9223372036854775808", 0, -ERANGE},
        {"8192p", 0, -ERANGE},
        {"99999999999999999999999", 0, -ERANGE},
        {"", 0, -EINVAL},
        {"hello", 0, -EINVAL},
        {"-32", 0, -EINVAL},
        {".", 0, -EINVAL},
        {" ", 0, -EINVAL},
        {" 32", 0, -EINVAL},
        {"32 ", 32, 0},
        {"32m ", 0, -EINVAL},
        {"32bb", 0, -EINVAL},
        {"32 mm", 0, -EINVAL},
        {"32.3.4", 0, -EINVAL},
        {"32ki", 0, -EINVAL},
        {"32x", 0, -EINVAL},
        {"0x10", 0, -EINVAL},
        {"1_000", 0, -EINVAL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t v = 0;

        if (units_parse_bytes(cases[i].in, &v) != cases[i].error || v != cases[i].v)
            fail_msg("'%s' is %lld", cases[i].in, (long long)v);
    }
}

static void test_sizes(void **state) {
    char out[UNITS_TEXT_MAX];

    assert_string_equal(units_human_size(0, out), "0B");
    assert_string_equal(units_human_size(1000, out), "1kB");
    assert_string_equal(units_human_size(1024, out), "1.024kB");
    assert_string_equal(units_human_size(1000000, out), "1MB");
    assert_string_equal(units_human_size(4261502, out), "4.262MB");
    assert_string_equal(units_human_size(999999, out), "1000kB");
    assert_string_equal(units_human_size(UINT64_MAX, out), "18.45EB");
    assert_string_equal(units_bytes_size(1000, out), "1000B");
    assert_string_equal(units_bytes_size(1024, out), "1KiB");
    assert_string_equal(units_bytes_size(1536 << 10, out), "1.5MiB");
    assert_string_equal(units_bytes_size((uint64_t)3 << 40, out), "3TiB");
}

static void test_durations(void **state) {
    static const int64_t minute = 60, hour = 3600, day = 86400, week = 7 * 86400;
    const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "Less than a second"},
        {-5, "Less than a second"},
        {1, "1 second"},
        {45, "45 seconds"},
        {minute, "About a minute"},
        {119, "About a minute"},
        {3 * minute, "3 minutes"},
        {59 * minute + 59, "59 minutes"},
        {hour, "About an hour"},
        {hour + 29 * minute, "About an hour"},
        {hour + 31 * minute, "2 hours"},
        {3 * hour, "3 hours"},
        {47 * hour, "47 hours"},
        {2 * day, "2 days"},
        {13 * day, "13 days"},
        {2 * week, "2 weeks"},
        {59 * day, "8 weeks"},
        {60 * day, "2 months"},
        {729 * day, "24 months"},
        {730 * day, "2 years"},
        {900 * week, "17 years"},
    };
    char out[UNITS_TEXT_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(units_human_duration(cases[i].seconds * NS_PER_SEC, out),
                            cases[i].text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refs),        cmocka_unit_test(test_bad_refs),
        cmocka_unit_test(test_ref_match),   cmocka_unit_test(test_match),
        cmocka_unit_test(test_parse_bytes), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
