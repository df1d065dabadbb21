/* SPDX-License-Identifier: Apache-2.0 */
#include "format/field.h"

#define TEXT_MAX (1u << 30) /* our own structs: no limit but sanity */

/* Go's omitempty: false, 0, a nil pointer, and empty strings, arrays and maps; never a struct. */
static bool is_empty(const struct field *f, const void *m) {
    switch (f->type) {
    case FIELD_BOOL_T:
        return !*(const bool *)m;
    case FIELD_TRI:
        return *(const int *)m < 0;
    case FIELD_INT:
        return *(const int64_t *)m == 0;
    case FIELD_INT_NULL:
        return !((const struct opt_int *)m)->set;
    case FIELD_UINT:
        return *(const uint64_t *)m == 0;
    case FIELD_UINT_NULL:
        return !((const struct opt_uint *)m)->set;
    case FIELD_DOUBLE:
        return !(*(const double *)m < 0 || *(const double *)m > 0);
    case FIELD_STR:
    case FIELD_RAW:
        return str_empty(*(const char *const *)m);
    case FIELD_STRV:
    case FIELD_STRLIST:
        return strv_len(*(char *const *const *)m) == 0;
    case FIELD_STRMAP:
    case FIELD_SET:
        return ((const struct strmap *)m)->count == 0;
    case FIELD_STRUCT:
        return false;
    case FIELD_STRUCT_P:
        return !*(void *const *)m;
    case FIELD_ARRAY:
        return ((const struct field_array *)m)->count == 0;
    case FIELD_MAP:
        return ((const struct field_map *)m)->count == 0;
    case FIELD_UINTS:
        return ((const struct uint_list *)m)->count == 0;
    }
    return false;
}

static void emit_strv(const struct field *f, char *const *v, struct jw *w) {
    if (!v && !(f->flags & FIELD_LIST_EMPTY)) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (; v && *v; v++)
        jw_str(w, *v);
    jw_end_array(w);
}

static void emit_strmap(const struct field *f, const struct strmap *map, struct jw *w) {
    jw_object(w);
    strmap_for_each(s, map) {
        jw_key(w, s->key);
        if (f->type == FIELD_SET)
            jw_raw(w, "{}");
        else
            jw_str(w, s->value);
    }
    jw_end_object(w);
}

static void emit_array(const struct field *f, const struct field_array *a, struct jw *w) {
    if (a->count == 0 && !a->set && !(f->flags & FIELD_LIST_EMPTY)) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (size_t i = 0; i < a->count; i++)
        field_emit(f->sub, (const char *)a->items + i * f->sub->size, w);
    jw_end_array(w);
}

static void emit_uints(const struct field *f, const struct uint_list *list, struct jw *w) {
    if (list->count == 0 && !list->set && !(f->flags & FIELD_LIST_EMPTY)) {
        jw_null(w);
        return;
    }
    jw_array(w);
    for (size_t i = 0; i < list->count; i++)
        jw_uint(w, list->items[i]);
    jw_end_array(w);
}

static void emit_map(const struct field *f, const struct field_map *m, struct jw *w) {
    jw_object(w);
    for (size_t i = 0; i < m->count; i++) {
        jw_key(w, m->keys[i]);
        field_emit(f->sub, (const char *)m->values + i * f->sub->size, w);
    }
    jw_end_object(w);
}

/* Not one of the types for which being empty and null can differ, or not empty. */
static void emit_value(const struct field *f, const void *m, struct jw *w) {
    switch (f->type) {
    case FIELD_BOOL_T:
        jw_bool(w, *(const bool *)m);
        return;
    case FIELD_TRI:
        jw_bool(w, *(const int *)m);
        return;
    case FIELD_INT:
        jw_int(w, *(const int64_t *)m);
        return;
    case FIELD_INT_NULL:
        jw_int(w, ((const struct opt_int *)m)->value);
        return;
    case FIELD_UINT:
        jw_uint(w, *(const uint64_t *)m);
        return;
    case FIELD_UINT_NULL:
        jw_uint(w, ((const struct opt_uint *)m)->value);
        return;
    case FIELD_DOUBLE:
        jw_double(w, *(const double *)m);
        return;
    case FIELD_STR:
        jw_str(w, *(const char *const *)m);
        return;
    case FIELD_STRV:
    case FIELD_STRLIST:
        emit_strv(f, *(char *const *const *)m, w);
        return;
    case FIELD_STRMAP:
    case FIELD_SET:
        emit_strmap(f, m, w);
        return;
    case FIELD_STRUCT:
        field_emit(f->sub, m, w);
        return;
    case FIELD_STRUCT_P:
        field_emit(f->sub, *(void *const *)m, w);
        return;
    case FIELD_ARRAY:
        emit_array(f, m, w);
        return;
    case FIELD_MAP:
        emit_map(f, m, w);
        return;
    case FIELD_RAW:
        jw_raw(w, *(const char *const *)m);
        return;
    case FIELD_UINTS:
        emit_uints(f, m, w);
        return;
    }
}

/* An empty value is null for what has no other form, or by flag. */
static bool empty_is_null(const struct field *f) {
    switch (f->type) {
    case FIELD_TRI:
    case FIELD_INT_NULL:
    case FIELD_UINT_NULL:
    case FIELD_STRUCT_P:
    case FIELD_RAW:
        return true;
    case FIELD_STR:
    case FIELD_STRV:
    case FIELD_STRLIST:
    case FIELD_STRMAP:
    case FIELD_SET:
    case FIELD_ARRAY:
    case FIELD_MAP:
    case FIELD_UINTS:
        return (f->flags & FIELD_NULL_EMPTY) != 0;
    case FIELD_BOOL_T:
    case FIELD_INT:
    case FIELD_UINT:
    case FIELD_DOUBLE:
    case FIELD_STRUCT:
        return false;
    }
    return false;
}

void field_emit_members(const struct field_table *t, const void *obj, struct jw *w) {
    for (const struct field *f = t->fields; f->name; f++) {
        const void *m = (const char *)obj + f->offset;
        bool empty;

        if (f->flags & FIELD_NO_EMIT)
            continue;
        empty = is_empty(f, m);
        if (empty && (f->flags & FIELD_OMIT_EMPTY))
            continue;
        jw_key(w, f->name);
        if (empty && empty_is_null(f))
            jw_null(w);
        else
            emit_value(f, m, w);
    }
}

void field_emit(const struct field_table *t, const void *obj, struct jw *w) {
    jw_object(w);
    field_emit_members(t, obj, w);
    jw_end_object(w);
}

char *field_to_text(const struct field_table *t, const void *obj) {
    struct buf b = {.max = TEXT_MAX};
    struct jw w;

    jw_init(&w, &b);
    field_emit(t, obj, &w);
    return buf_take(&b);
}
