/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "format/field.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct leaf {
    int64_t x;
    char *name;
    char **list;
};
static const struct field leaf_fields[] = {
    FIELD(struct leaf, "X", FIELD_INT, x, 0),
    FIELD(struct leaf, "Name", FIELD_STR, name, FIELD_OMIT_EMPTY),
    FIELD(struct leaf, "List", FIELD_STRLIST, list, 0),
    FIELD_END,
};
static const struct field_table leaf_table = FIELD_TABLE(struct leaf, leaf_fields);

struct root {
    bool b;
    int tri;
    struct opt_int i;
    struct opt_uint u;
    double d;
    char **v;
    struct strmap map, set;
    struct leaf leaf;
    struct leaf *p;
    struct field_array array;
    struct field_map objects;
    char *raw;
    struct uint_list uints;
};
static const struct field root_fields[] = {
    FIELD(struct root, "B", FIELD_BOOL_T, b, 0),
    FIELD(struct root, "T", FIELD_TRI, tri, FIELD_OMIT_EMPTY),
    FIELD(struct root, "I", FIELD_INT_NULL, i, 0),
    FIELD(struct root, "U", FIELD_UINT_NULL, u, 0),
    FIELD(struct root, "D", FIELD_DOUBLE, d, 0),
    FIELD(struct root, "V", FIELD_STRV, v, 0),
    FIELD(struct root, "M", FIELD_STRMAP, map, 0),
    FIELD(struct root, "S", FIELD_SET, set, 0),
    FIELD_SUB(struct root, "L", FIELD_STRUCT, leaf, 0, leaf_table),
    FIELD_SUB(struct root, "P", FIELD_STRUCT_P, p, 0, leaf_table),
    FIELD_SUB(struct root, "A", FIELD_ARRAY, array, 0, leaf_table),
    FIELD_SUB(struct root, "O", FIELD_MAP, objects, 0, leaf_table),
    FIELD(struct root, "R", FIELD_RAW, raw, 0),
    FIELD(struct root, "N", FIELD_UINTS, uints, 0),
    FIELD_END,
};
static const struct field_table root_table = FIELD_TABLE(struct root, root_fields);

/* Two documents, divided by a NUL, merge into one object. A refused one changes nothing; what the
 * object prints as makes an equal object, and so does a copy. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *cut = memchr(text, '\0', size);
    size_t first = cut ? (size_t)(cut - text) : size;
    auto_free char *one = NULL, *two = NULL, *three = NULL;
    struct root a, b;

    field_init(&root_table, &a);
    field_init(&root_table, &b);
    if (field_parse_text(&root_table, text, first, &a, NULL) < 0) {
        one = field_to_text(&root_table, &a);
        two = field_to_text(&root_table, &b);
        if (strcmp(one, two) != 0)
            abort();
    } else {
        if (cut)
            (void)field_parse_text(&root_table, cut + 1, size - first - 1, &a, NULL);
        one = field_to_text(&root_table, &a);
        if (field_parse_text(&root_table, one, strlen(one), &b, NULL) < 0)
            abort();
        two = field_to_text(&root_table, &b);
        field_done(&root_table, &b);
        field_copy(&root_table, &b, &a);
        three = field_to_text(&root_table, &b);
        if (strcmp(one, two) != 0 || strcmp(one, three) != 0)
            abort();
    }
    field_done(&root_table, &a);
    field_done(&root_table, &b);
    return 0;
}
