/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "format/field.h"

struct inner {
    int64_t x;
    char *name;
};
static const struct field inner_fields[] = {
    FIELD(struct inner, "X", FIELD_INT, x, 0),
    FIELD(struct inner, "Name", FIELD_STR, name, FIELD_OMIT_EMPTY),
    FIELD_END,
};
static const struct field_table inner_table = FIELD_TABLE(struct inner, inner_fields);

struct all {
    bool flag;
    int tri;
    int64_t i;
    struct opt_int oi;
    uint64_t u;
    struct opt_uint ou;
    double d;
    char *s;
    char **v, **list;
    struct strmap map, set;
    struct inner sub;
    struct inner *p;
    struct field_array array;
    struct field_map objects;
    char *raw;
    struct uint_list uints;
    int not_in_table;
};
static const struct field all_fields[] = {
    FIELD(struct all, "Flag", FIELD_BOOL_T, flag, 0),
    FIELD(struct all, "Tri", FIELD_TRI, tri, 0),
    FIELD(struct all, "I", FIELD_INT, i, 0),
    FIELD(struct all, "OI", FIELD_INT_NULL, oi, 0),
    FIELD(struct all, "U", FIELD_UINT, u, 0),
    FIELD(struct all, "OU", FIELD_UINT_NULL, ou, 0),
    FIELD(struct all, "D", FIELD_DOUBLE, d, 0),
    FIELD(struct all, "S", FIELD_STR, s, 0),
    FIELD(struct all, "V", FIELD_STRV, v, 0),
    FIELD(struct all, "List", FIELD_STRLIST, list, 0),
    FIELD(struct all, "Map", FIELD_STRMAP, map, 0),
    FIELD(struct all, "Set", FIELD_SET, set, 0),
    FIELD_SUB(struct all, "Sub", FIELD_STRUCT, sub, 0, inner_table),
    FIELD_SUB(struct all, "P", FIELD_STRUCT_P, p, 0, inner_table),
    FIELD_SUB(struct all, "Array", FIELD_ARRAY, array, 0, inner_table),
    FIELD_SUB(struct all, "Objects", FIELD_MAP, objects, 0, inner_table),
    FIELD(struct all, "Raw", FIELD_RAW, raw, 0),
    FIELD(struct all, "Uints", FIELD_UINTS, uints, 0),
    FIELD_END,
};
static const struct field_table all_table = FIELD_TABLE(struct all, all_fields);

#define EMPTY                                                                                      \
    "{\"Flag\":false,\"Tri\":null,\"I\":0,\"OI\":null,\"U\":0,\"OU\":null,\"D\":0,\"S\":\"\","     \
    "\"V\":null,\"List\":null,\"Map\":{},\"Set\":{},\"Sub\":{\"X\":0},\"P\":null,\"Array\":null,"  \
    "\"Objects\":{},\"Raw\":null,\"Uints\":null}"
#define FULL                                                                                       \
    "{\"Flag\":true,\"Tri\":false,\"I\":-5,\"OI\":0,\"U\":18446744073709551615,\"OU\":7,"          \
    "\"D\":1.5,\"S\":\"text\",\"V\":[\"a\",\"b\"],\"List\":[],\"Map\":{\"a\":\"1\",\"b\":\"2\"},"  \
    "\"Set\":{\"80/tcp\":{}},\"Sub\":{\"X\":1,\"Name\":\"n\"},\"P\":{\"X\":2},"                    \
    "\"Array\":[{\"X\":3},{\"X\":4,\"Name\":\"m\"}],\"Objects\":{\"k\":{\"X\":5},\"l\":{\"X\":6}}" \
    ","                                                                                            \
    "\"Raw\":{\"z\":[1.0,null]},\"Uints\":[1,2]}"

static void assert_text(const struct all *a, const char *text) {
    auto_free char *got = field_to_text(&all_table, a);

    assert_string_equal(got, text);
}

static void parse(struct all *a, const char *text) {
    auto_err e = ERR_INIT;

    if (field_parse_text(&all_table, text, strlen(text), a, &e) < 0)
        fail_msg("%s: %s", text, err_msg(&e));
}

static void test_round_trip(void **state) {
    struct all a, b;

    field_init(&all_table, &a);
    field_init(&all_table, &b);
    assert_text(&a, EMPTY);
    parse(&a, EMPTY);
    assert_text(&a, EMPTY);
    parse(&a, FULL);
    assert_text(&a, FULL);
    parse(&a, FULL); /* replaces everything once more */
    assert_text(&a, FULL);
    field_copy(&all_table, &b, &a);
    field_copy(&all_table, &b, &a);
    field_done(&all_table, &a);
    assert_text(&a, EMPTY);
    assert_text(&b, FULL);
    parse(&b, "null");
    assert_text(&b, FULL);
    field_done(&all_table, &b);
}

static void test_merge_and_null(void **state) {
    struct all a;

    field_init(&all_table, &a);
    a.not_in_table = 42;
    parse(&a, FULL);
    parse(&a, "{\"Sub\":{\"name\":\"other\"},\"P\":{\"Name\":\"q\"},\"Map\":{\"c\":null},"
              "\"OBJECTS\":{\"n\":null,\"k\":{}},\"ARRAY\":[null],\"v\":[null],\"unknown\":{}}");
    assert_int_equal(a.sub.x, 1);
    assert_string_equal(a.sub.name, "other");
    assert_int_equal(a.p->x, 2);
    assert_string_equal(a.p->name, "q");
    assert_int_equal(a.map.count, 1);
    assert_string_equal(strmap_get(&a.map, "c"), "");
    assert_int_equal(a.objects.count, 2);
    assert_string_equal(a.objects.keys[0], "k");
    assert_int_equal(field_array_at(&a.array, struct inner, 0)->x, 0);
    assert_string_equal(a.v[0], "");
    parse(&a, "{\"Flag\":null,\"Tri\":null,\"I\":null,\"OI\":null,\"U\":null,\"OU\":null,"
              "\"D\":null,\"S\":null,\"V\":null,\"List\":null,\"Map\":null,\"Set\":null,"
              "\"Sub\":null,\"P\":null,\"Array\":null,\"Objects\":null,\"Raw\":null,"
              "\"Uints\":null}");
    assert_text(&a, "{\"Flag\":true,\"Tri\":null,\"I\":-5,\"OI\":null,\"U\":18446744073709551615,"
                    "\"OU\":null,\"D\":1.5,\"S\":\"text\",\"V\":null,\"List\":null,\"Map\":{},"
                    "\"Set\":{},\"Sub\":{\"X\":1,\"Name\":\"other\"},\"P\":null,\"Array\":null,"
                    "\"Objects\":{},\"Raw\":null,\"Uints\":null}");
    assert_int_equal(a.not_in_table, 42);
    field_done(&all_table, &a);
}

static void test_string_or_list(void **state) {
    struct all a;

    field_init(&all_table, &a);
    parse(&a, "{\"List\":\"one\"}");
    assert_int_equal(strv_len(a.list), 1);
    assert_string_equal(a.list[0], "one");
    parse(&a, "{\"List\":[]}");
    assert_non_null(a.list);
    assert_null(a.list[0]);
    field_done(&all_table, &a);
}

static void test_errors(void **state) {
    static const struct {
        const char *in, *message;
    } cases[] = {
        {"{\"I\":\"x\"}", "string into Go struct field Top.I of type int64"},
        {"{\"i\":1.0}", "number 1.0 into Go struct field Top.I of type int64"},
        {"{\"OI\":9223372036854775808}",
         "number 9223372036854775808 into Go struct field Top.OI of type int64"},
        {"{\"U\":-1}", "number -1 into Go struct field Top.U of type uint64"},
        {"{\"OU\":true}", "bool into Go struct field Top.OU of type uint64"},
        {"{\"D\":1e999}", "number 1e999 into Go struct field Top.D of type float64"},
        {"{\"Flag\":1}", "number into Go struct field Top.Flag of type bool"},
        {"{\"Tri\":\"true\"}", "string into Go struct field Top.Tri of type bool"},
        {"{\"S\":{}}", "object into Go struct field Top.S of type string"},
        {"{\"V\":\"a\"}", "string into Go struct field Top.V of type []string"},
        {"{\"V\":[1]}", "number into Go struct field Top.V of type string"},
        {"{\"List\":1}", "number into Go struct field Top.List of type []string"},
        {"{\"Map\":[]}", "array into Go struct field Top.Map of type map[string]string"},
        {"{\"Map\":{\"k\":1}}", "number into Go struct field Top.Map of type string"},
        {"{\"Set\":{\"k\":1}}", "number into Go struct field Top.Set of type struct {}"},
        {"{\"Sub\":[]}", "array into Go struct field Top.Sub of type struct"},
        {"{\"Sub\":{\"X\":true}}", "bool into Go struct field Top.Sub.X of type int64"},
        {"{\"P\":{\"Name\":1}}", "number into Go struct field Top.P.Name of type string"},
        {"{\"Array\":[{},{\"X\":\"\"}]}", "string into Go struct field Top.Array.X of type int64"},
        {"{\"Objects\":{\"k\":{\"X\":\"\"}}}",
         "string into Go struct field Top.Objects.X of type int64"},
        {"{\"Uints\":[-1]}", "number -1 into Go struct field Top.Uints of type uint64"},
        {"[]", "array into Go value of type Top"},
    };
    struct all a;

    field_init(&all_table, &a);
    parse(&a, FULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_json *o = NULL, *first = NULL;
        auto_err e = ERR_INIT;

        assert_int_equal(jsn_parse(cases[i].in, strlen(cases[i].in), &o, NULL), 0);
        assert_int_equal(field_parse(&all_table, o, &a, "Top", &e), -EINVAL);
        assert_int_equal(e.class, ERR_INVALID);
        assert_memory_equal(e.msg, "json: cannot unmarshal ", 23);
        assert_string_equal(e.msg + 23, cases[i].message);
        /* Good members before the bad one are not assigned either. */
        if (json_object_is_type(o, json_type_object)) {
            first = json_object_new_object();
            json_object_object_add(first, "S", json_object_new_string("changed"));
            json_object_object_foreach(o, key, value)
                json_object_object_add(first, key, json_object_get(value));
            assert_int_equal(field_parse(&all_table, first, &a, "", NULL), -EINVAL);
        }
        assert_text(&a, FULL);
    }
    field_done(&all_table, &a);
}

struct flags {
    char *s, *hidden, *secret;
    char **v, **w;
    struct strmap map;
    struct field_array array, array2;
    int tri;
    struct opt_int oi;
    struct inner sub;
};

static void test_flags(void **state) {
    static const struct field fields[] = {
        FIELD(struct flags, "S", FIELD_STR, s, FIELD_NULL_EMPTY),
        FIELD(struct flags, "Out", FIELD_STR, hidden, FIELD_NO_PARSE),
        FIELD(struct flags, "In", FIELD_STR, secret, FIELD_NO_EMIT),
        FIELD(struct flags, "V", FIELD_STRV, v, FIELD_LIST_EMPTY),
        FIELD(struct flags, "W", FIELD_STRV, w, FIELD_NULL_EMPTY),
        FIELD(struct flags, "Map", FIELD_STRMAP, map, FIELD_NULL_EMPTY),
        FIELD_SUB(struct flags, "Array", FIELD_ARRAY, array, FIELD_LIST_EMPTY, inner_table),
        FIELD_SUB(struct flags, "Array2", FIELD_ARRAY, array2, FIELD_OMIT_EMPTY, inner_table),
        FIELD(struct flags, "Tri", FIELD_TRI, tri, FIELD_OMIT_EMPTY),
        FIELD(struct flags, "OI", FIELD_INT_NULL, oi, FIELD_OMIT_EMPTY),
        FIELD_SUB(struct flags, "Sub", FIELD_STRUCT, sub, FIELD_OMIT_EMPTY, inner_table),
        FIELD_END,
    };
    static const struct field_table table = FIELD_TABLE(struct flags, fields);
    static const char in[] = "{\"S\":\"\",\"Out\":\"o\",\"In\":\"i\",\"W\":[],\"Array2\":[]}";
    static const char more[] = "{\"Tri\":false,\"OI\":0}";
    auto_free char *one = NULL, *two = NULL;
    struct flags f;

    field_init(&table, &f);
    assert_int_equal(field_parse_text(&table, in, strlen(in), &f, NULL), 0);
    assert_null(f.hidden);
    assert_string_equal(f.secret, "i");
    one = field_to_text(&table, &f);
    assert_string_equal(one, "{\"S\":null,\"Out\":\"\",\"V\":[],\"W\":null,\"Map\":null,"
                             "\"Array\":[],\"Sub\":{\"X\":0}}");
    assert_int_equal(field_parse_text(&table, more, strlen(more), &f, NULL), 0);
    two = field_to_text(&table, &f);
    assert_non_null(strstr(two, "\"Tri\":false,\"OI\":0,"));
    field_done(&table, &f);
}

static void test_arrays_and_maps(void **state) {
    struct all a;
    struct inner *in;

    field_init(&all_table, &a);
    for (int i = 0; i < 5; i++) {
        in = field_array_add(&a.array, &inner_table);
        in->x = i;
        str_set(&in->name, "item");
    }
    assert_int_equal(a.array.count, 5);
    assert_int_equal(field_array_at(&a.array, struct inner, 4)->x, 4);
    for (int i = 9; i >= 0; i--) {
        char key[] = {'k', (char)('0' + i), 0};

        in = field_map_put(&a.objects, &inner_table, key);
        in->x = i;
        str_set(&in->name, key);
    }
    assert_int_equal(a.objects.count, 10);
    assert_string_equal(field_map_at(&a.objects, struct inner, 3)->name, "k3");
    in = field_map_put(&a.objects, &inner_table, "k5");
    assert_int_equal(in->x, 5);
    assert_true(field_map_del(&a.objects, &inner_table, "k0"));
    assert_true(field_map_del(&a.objects, &inner_table, "k9"));
    assert_false(field_map_del(&a.objects, &inner_table, "k9"));
    assert_null(field_map_get(&a.objects, &inner_table, "k9"));
    in = field_map_get(&a.objects, &inner_table, "k8");
    assert_int_equal(in->x, 8);
    assert_int_equal(strv_len(a.objects.keys), 8);
    field_done(&all_table, &a);
}

static void test_unknown(void **state) {
    static const char text[] = "{\"flag\":1,\"Foo\":1,\"Sub\":{\"x\":1,\"y\":2},"
                               "\"Array\":[{},{\"z\":{}}],\"Objects\":{\"k\":{\"Bar\":1}}}";
    auto_json *o = NULL;
    auto_strv list = NULL;
    auto_free char *joined = NULL;

    assert_int_equal(jsn_parse(text, strlen(text), &o, NULL), 0);
    list = field_unknown(&all_table, o);
    joined = strv_join(list, " ");
    assert_string_equal(joined, "Foo Sub.y Array[1].z Objects.k.Bar");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_merge_and_null),
        cmocka_unit_test(test_string_or_list), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_flags),          cmocka_unit_test(test_arrays_and_maps),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
