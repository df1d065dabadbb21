/* SPDX-License-Identifier: Apache-2.0 */
#include "format/field.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

/*
 * Every parse walks the document twice: once without an object, which finds all errors, then to
 * assign, which cannot fail. So a refused document leaves the object as it was, without a copy of
 * it ever being made. In each function below a NULL target means the first walk.
 */

/* The way to a field, innermost first; array indices and map keys are no part of it, as in Go. */
struct path {
    const struct path *up;
    const char *name;
};

static int parse_object(const struct field_table *t, struct json_object *o, void *obj,
                        const struct path *path, struct err *e);

static void put_path(struct buf *b, const struct path *p) {
    if (p->up) {
        put_path(b, p->up);
        buf_putc(b, '.');
    }
    buf_puts(b, p->name);
}

static const char *kind_of(struct json_object *v) {
    switch (json_object_get_type(v)) {
    case json_type_boolean:
        return "bool";
    case json_type_double:
    case json_type_int:
        return "number";
    case json_type_object:
        return "object";
    case json_type_array:
        return "array";
    case json_type_string:
        return "string";
    case json_type_null:
        break;
    }
    return "null";
}

static int mismatch(struct json_object *v, const char *type, const struct path *path,
                    struct err *e) {
    auto_buf where = BUF_INIT;

    if (!path->up)
        return err_set(e, ERR_INVALID, "json: cannot unmarshal %s into Go value of type %s",
                       kind_of(v), *path->name ? path->name : type);
    put_path(&where, path);
    return err_set(e, ERR_INVALID, "json: cannot unmarshal %s into Go struct field %s of type %s",
                   kind_of(v), buf_str(&where), type);
}

/* A number that the type cannot hold: Go names it. */
static int bad_number(struct json_object *v, const char *type, const struct path *path,
                      struct err *e) {
    auto_buf where = BUF_INIT, number = BUF_INIT;
    struct jw w;

    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return mismatch(v, type, path, e);
    jw_init(&w, &number);
    jw_value(&w, v);
    put_path(&where, path);
    return err_set(e, ERR_INVALID,
                   "json: cannot unmarshal number %s into Go struct field %s of type %s",
                   buf_str(&number), buf_str(&where), type);
}

static int parse_bool(struct json_object *v, bool *ret, const struct path *path, struct err *e) {
    if (!json_object_is_type(v, json_type_boolean))
        return mismatch(v, "bool", path, e);
    *ret = json_object_get_boolean(v);
    return 0;
}

static int parse_double(struct json_object *v, double *ret, const struct path *path,
                        struct err *e) {
    double d;

    if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
        return mismatch(v, "float64", path, e);
    d = json_object_get_double(v);
    if (!isfinite(d))
        return bad_number(v, "float64", path, e);
    *ret = d;
    return 0;
}

/* Borrowed text; null is "". */
static int parse_str(struct json_object *v, const char **ret, const struct path *path,
                     struct err *e) {
    if (v && !json_object_is_type(v, json_type_string))
        return mismatch(v, "string", path, e);
    *ret = v ? json_object_get_string(v) : "";
    return 0;
}

static int parse_strv(struct json_object *v, char ***ret, bool one, const struct path *path,
                      struct err *e) {
    char **list;
    size_t n;

    if (one && json_object_is_type(v, json_type_string)) {
        if (ret) {
            strv_free(*ret);
            *ret = NULL;
            strv_add(ret, json_object_get_string(v));
        }
        return 0;
    }
    if (!json_object_is_type(v, json_type_array))
        return mismatch(v, "[]string", path, e);
    n = json_object_array_length(v);
    list = ret ? xcalloc(n + 1, sizeof *list) : NULL;
    for (size_t i = 0; i < n; i++) {
        const char *s = NULL;
        int r = parse_str(json_object_array_get_idx(v, i), &s, path, e);

        if (r < 0)
            return r; /* only on the walk without a target: nothing is allocated */
        if (list)
            list[i] = xstrdup(s);
    }
    if (ret) {
        strv_free(*ret);
        *ret = list;
    }
    return 0;
}

struct pair {
    const char *key;
    struct json_object *value;
};

static int compare_pairs(const void *a, const void *b) {
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

/* The members in the order of their keys: our maps are sorted vectors, so inserting the last one
 * each time is what keeps a large document cheap. */
static struct pair *sorted_pairs(struct json_object *o, size_t *ret_count) {
    struct pair *pairs = xcalloc((size_t)json_object_object_length(o), sizeof *pairs);
    size_t n = 0;

    json_object_object_foreach(o, key, value) {
        pairs[n++] = (struct pair){key, value};
    }
    qsort(pairs, n, sizeof *pairs, compare_pairs);
    *ret_count = n;
    return pairs;
}

static int parse_strmap(struct json_object *v, struct strmap *m, const struct path *path,
                        struct err *e) {
    auto_free struct pair *pairs = NULL;
    size_t n;

    if (!json_object_is_type(v, json_type_object))
        return mismatch(v, "map[string]string", path, e);
    pairs = sorted_pairs(v, &n);
    if (m)
        strmap_done(m);
    for (size_t i = 0; i < n; i++) {
        const char *s = NULL;
        int r = parse_str(pairs[i].value, &s, path, e);

        if (r < 0)
            return r;
        if (m)
            strmap_put(m, pairs[i].key, s);
    }
    return 0;
}

static int parse_set(struct json_object *v, struct strmap *m, const struct path *path,
                     struct err *e) {
    auto_free struct pair *pairs = NULL;
    size_t n;

    if (!json_object_is_type(v, json_type_object))
        return mismatch(v, "map[string]struct {}", path, e);
    pairs = sorted_pairs(v, &n);
    if (m)
        strmap_done(m);
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].value && !json_object_is_type(pairs[i].value, json_type_object))
            return mismatch(pairs[i].value, "struct {}", path, e);
        if (m)
            strmap_put(m, pairs[i].key, "");
    }
    return 0;
}

static int parse_array(struct json_object *v, const struct field *f, struct field_array *a,
                       const struct path *path, struct err *e) {
    size_t n;
    int r;

    if (!json_object_is_type(v, json_type_array))
        return mismatch(v, "[]struct", path, e);
    n = json_object_array_length(v);
    if (a) {
        field_reset(f, a);
        a->items = n > 0 ? field_new_items(f->sub, n) : NULL;
        a->count = n;
        a->set = true;
    }
    for (size_t i = 0; i < n; i++) {
        r = parse_object(f->sub, json_object_array_get_idx(v, i),
                         a ? (char *)a->items + i * f->sub->size : NULL, path, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_uints(struct json_object *v, struct uint_list *list, const struct path *path,
                       struct err *e) {
    uint64_t *items;
    size_t n;

    if (!json_object_is_type(v, json_type_array))
        return mismatch(v, "[]uint64", path, e);
    n = json_object_array_length(v);
    items = list && n > 0 ? xcalloc(n, sizeof *items) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(v, i);
        uint64_t u = 0;

        if (item && !jsn_as_uint(item, &u))
            return bad_number(item, "uint64", path, e); /* first walk: nothing is allocated */
        if (items)
            items[i] = u;
    }
    if (list) {
        free(list->items);
        *list = (struct uint_list){items, n, true};
    }
    return 0;
}

static int parse_map(struct json_object *v, const struct field *f, struct field_map *m,
                     const struct path *path, struct err *e) {
    auto_free struct pair *pairs = NULL;
    size_t n;

    if (!json_object_is_type(v, json_type_object))
        return mismatch(v, "map[string]struct", path, e);
    pairs = sorted_pairs(v, &n);
    if (m) {
        field_reset(f, m);
        if (n > 0) {
            m->keys = xcalloc(n + 1, sizeof *m->keys);
            m->values = field_new_items(f->sub, n);
            m->count = n;
        }
    }
    for (size_t i = 0; i < n; i++) {
        int r;

        if (m)
            m->keys[i] = xstrdup(pairs[i].key);
        r = parse_object(f->sub, pairs[i].value, m ? (char *)m->values + i * f->sub->size : NULL,
                         path, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static char *raw_text(struct json_object *v) {
    struct buf b = {.max = 8 * (size_t)JSON_SIZE_MAX}; /* escaping can lengthen what came in */
    struct jw w;

    jw_init(&w, &b);
    jw_value(&w, v);
    return buf_take(&b);
}

/* null: what can be absent becomes absent, all else keeps its value, as in Go. */
static void parse_null(const struct field *f, void *m) {
    switch (f->type) {
    case FIELD_BOOL_T:
    case FIELD_INT:
    case FIELD_UINT:
    case FIELD_DOUBLE:
    case FIELD_STRUCT:
        return;
    case FIELD_STR:
        if (f->flags & FIELD_NULL_EMPTY)
            field_reset(f, m);
        return;
    case FIELD_TRI:
    case FIELD_INT_NULL:
    case FIELD_UINT_NULL:
    case FIELD_STRV:
    case FIELD_STRLIST:
    case FIELD_STRMAP:
    case FIELD_SET:
    case FIELD_STRUCT_P:
    case FIELD_ARRAY:
    case FIELD_MAP:
    case FIELD_RAW:
    case FIELD_UINTS:
        field_reset(f, m);
        return;
    }
}

static int parse_scalar(const struct field *f, struct json_object *v, void *m,
                        const struct path *path, struct err *e) {
    const char *s = NULL;
    uint64_t u = 0;
    int64_t i = 0;
    double d = 0;
    bool b = false;
    int r = 0;

    switch (f->type) {
    case FIELD_BOOL_T:
    case FIELD_TRI:
        r = parse_bool(v, &b, path, e);
        break;
    case FIELD_INT:
    case FIELD_INT_NULL:
        r = jsn_as_int(v, &i) ? 0 : bad_number(v, "int64", path, e);
        break;
    case FIELD_UINT:
    case FIELD_UINT_NULL:
        r = jsn_as_uint(v, &u) ? 0 : bad_number(v, "uint64", path, e);
        break;
    case FIELD_DOUBLE:
        r = parse_double(v, &d, path, e);
        break;
    default:
        r = parse_str(v, &s, path, e);
        break;
    }
    if (r < 0 || !m)
        return r;
    switch (f->type) {
    case FIELD_BOOL_T:
        *(bool *)m = b;
        break;
    case FIELD_TRI:
        *(int *)m = b;
        break;
    case FIELD_INT:
        *(int64_t *)m = i;
        break;
    case FIELD_INT_NULL:
        *(struct opt_int *)m = (struct opt_int){true, i};
        break;
    case FIELD_UINT:
        *(uint64_t *)m = u;
        break;
    case FIELD_UINT_NULL:
        *(struct opt_uint *)m = (struct opt_uint){true, u};
        break;
    case FIELD_DOUBLE:
        *(double *)m = d;
        break;
    default:
        str_set(m, s);
        break;
    }
    return 0;
}

static int parse_member(const struct field *f, struct json_object *v, void *m,
                        const struct path *path, struct err *e) {
    if (!v) {
        if (m)
            parse_null(f, m);
        return 0;
    }
    switch (f->type) {
    case FIELD_BOOL_T:
    case FIELD_TRI:
    case FIELD_INT:
    case FIELD_INT_NULL:
    case FIELD_UINT:
    case FIELD_UINT_NULL:
    case FIELD_DOUBLE:
    case FIELD_STR:
        return parse_scalar(f, v, m, path, e);
    case FIELD_STRV:
    case FIELD_STRLIST:
        return parse_strv(v, m, f->type == FIELD_STRLIST, path, e);
    case FIELD_STRMAP:
        return parse_strmap(v, m, path, e);
    case FIELD_SET:
        return parse_set(v, m, path, e);
    case FIELD_STRUCT:
        return parse_object(f->sub, v, m, path, e);
    case FIELD_STRUCT_P:
        if (m && !*(void **)m)
            *(void **)m = field_new_items(f->sub, 1);
        return parse_object(f->sub, v, m ? *(void **)m : NULL, path, e);
    case FIELD_ARRAY:
        return parse_array(v, f, m, path, e);
    case FIELD_MAP:
        return parse_map(v, f, m, path, e);
    case FIELD_RAW:
        if (m) {
            free(*(char **)m);
            *(char **)m = raw_text(v);
        }
        return 0;
    case FIELD_UINTS:
        return parse_uints(v, m, path, e);
    }
    return 0;
}

/* `hint` is the field after the one found last: documents mostly come in table order. */
static const struct field *find_field(const struct field_table *t, const char *key,
                                      const struct field **hint) {
    const struct field *found = NULL;

    if ((*hint)->name && !((*hint)->flags & FIELD_NO_PARSE) && strcmp((*hint)->name, key) == 0)
        found = *hint;
    for (const struct field *f = t->fields; !found && f->name; f++)
        if (!(f->flags & FIELD_NO_PARSE) && strcmp(f->name, key) == 0)
            found = f;
    for (const struct field *f = t->fields; !found && f->name; f++)
        if (!(f->flags & FIELD_NO_PARSE) && str_case_eq(f->name, key))
            found = f;
    if (found)
        *hint = found + 1;
    return found;
}

static int parse_object(const struct field_table *t, struct json_object *o, void *obj,
                        const struct path *path, struct err *e) {
    const struct field *hint = t->fields;

    if (!o)
        return 0;
    if (!json_object_is_type(o, json_type_object))
        return mismatch(o, "struct", path, e);
    json_object_object_foreach(o, key, value) {
        const struct field *f = find_field(t, key, &hint);
        int r;

        if (!f)
            continue;
        r = parse_member(f, value, obj ? (char *)obj + f->offset : NULL,
                         &(struct path){path, f->name}, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int field_parse(const struct field_table *t, struct json_object *o, void *obj, const char *path,
                struct err *e) {
    const struct path root = {NULL, path};
    int r = parse_object(t, o, NULL, &root, e);

    return r < 0 ? r : parse_object(t, o, obj, &root, e);
}

int field_parse_text(const struct field_table *t, const char *text, size_t len, void *obj,
                     struct err *e) {
    auto_json *o = NULL;
    int r = jsn_parse(text, len, &o, e);

    return r < 0 ? r : field_parse(t, o, obj, "", e);
}

static void unknown_in(const struct field_table *t, struct json_object *o, const char *prefix,
                       char ***ret);

static void unknown_in_value(const struct field *f, struct json_object *v, const char *path,
                             char ***ret) {
    if (f->type == FIELD_STRUCT || f->type == FIELD_STRUCT_P) {
        unknown_in(f->sub, v, path, ret);
    } else if (f->type == FIELD_ARRAY && json_object_is_type(v, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(v); i++) {
            auto_free char *item = xasprintf("%s[%zu]", path, i);

            unknown_in(f->sub, json_object_array_get_idx(v, i), item, ret);
        }
    } else if (f->type == FIELD_MAP && json_object_is_type(v, json_type_object)) {
        json_object_object_foreach(v, key, value) {
            auto_free char *item = xasprintf("%s.%s", path, key);

            unknown_in(f->sub, value, item, ret);
        }
    }
}

static void unknown_in(const struct field_table *t, struct json_object *o, const char *prefix,
                       char ***ret) {
    const struct field *hint = t->fields;

    if (!json_object_is_type(o, json_type_object))
        return;
    json_object_object_foreach(o, key, value) {
        auto_free char *path = xasprintf("%s%s%s", prefix, *prefix ? "." : "", key);
        const struct field *f = find_field(t, key, &hint);

        if (!f)
            strv_add(ret, path);
        else
            unknown_in_value(f, value, path, ret);
    }
}

char **field_unknown(const struct field_table *t, struct json_object *o) {
    char **list = NULL;

    unknown_in(t, o, "", &list);
    return list;
}
