/* SPDX-License-Identifier: Apache-2.0 */
#include "format/field.h"

#include <string.h>

#include "base/alloc.h"

/* Memory of table structs: initial values, release, copies, arrays and maps of them. Parsing and
 * emitting are in field_parse.c and field_emit.c. */

#define for_each_field(f, t) for (const struct field *f = (t)->fields; f->name; f++)

static inline void *member_of(const struct field *f, void *obj) {
    return (char *)obj + f->offset;
}

static inline const void *const_member_of(const struct field *f, const void *obj) {
    return (const char *)obj + f->offset;
}

static inline void *element(void *items, const struct field_table *sub, size_t i) {
    return (char *)items + i * sub->size;
}

static void init_members(const struct field_table *t, void *obj) {
    for_each_field(f, t) {
        if (f->type == FIELD_TRI)
            *(int *)member_of(f, obj) = -1;
        else if (f->type == FIELD_STRUCT)
            init_members(f->sub, member_of(f, obj));
    }
}

void field_init(const struct field_table *t, void *obj) {
    memset(obj, 0, t->size);
    init_members(t, obj);
}

static void array_done(struct field_array *a, const struct field_table *sub) {
    for (size_t i = 0; i < a->count; i++)
        field_done(sub, element(a->items, sub, i));
    free(a->items);
    *a = (struct field_array){0};
}

static void map_values_done(struct field_map *m, const struct field_table *sub) {
    for (size_t i = 0; i < m->count; i++)
        field_done(sub, element(m->values, sub, i));
    free(m->values);
    strv_free(m->keys);
    *m = (struct field_map){0};
}

void field_reset(const struct field *f, void *member) {
    switch (f->type) {
    case FIELD_BOOL_T:
        *(bool *)member = false;
        return;
    case FIELD_TRI:
        *(int *)member = -1;
        return;
    case FIELD_INT:
        *(int64_t *)member = 0;
        return;
    case FIELD_INT_NULL:
        *(struct opt_int *)member = (struct opt_int){0};
        return;
    case FIELD_UINT:
        *(uint64_t *)member = 0;
        return;
    case FIELD_UINT_NULL:
        *(struct opt_uint *)member = (struct opt_uint){0};
        return;
    case FIELD_DOUBLE:
        *(double *)member = 0;
        return;
    case FIELD_STR:
    case FIELD_RAW:
        str_set(member, NULL);
        return;
    case FIELD_STRV:
    case FIELD_STRLIST:
        *(char ***)member = strv_free(*(char ***)member);
        return;
    case FIELD_STRMAP:
    case FIELD_SET:
        strmap_done(member);
        return;
    case FIELD_STRUCT:
        field_done(f->sub, member);
        return;
    case FIELD_STRUCT_P:
        if (*(void **)member) {
            field_done(f->sub, *(void **)member);
            free(*(void **)member);
            *(void **)member = NULL;
        }
        return;
    case FIELD_ARRAY:
        array_done(member, f->sub);
        return;
    case FIELD_MAP:
        map_values_done(member, f->sub);
        return;
    case FIELD_UINTS:
        free(((struct uint_list *)member)->items);
        *(struct uint_list *)member = (struct uint_list){0};
        return;
    }
}

void field_done(const struct field_table *t, void *obj) {
    for_each_field(f, t) field_reset(f, member_of(f, obj));
}

void *field_new_items(const struct field_table *sub, size_t n) {
    char *items = xcalloc(n, sub->size);

    for (size_t i = 0; i < n; i++)
        init_members(sub, items + i * sub->size);
    return items;
}

static void array_copy(struct field_array *dst, const struct field_array *src,
                       const struct field_table *sub) {
    array_done(dst, sub);
    dst->set = src->set;
    if (src->count == 0)
        return;
    dst->items = field_new_items(sub, src->count);
    dst->count = src->count;
    for (size_t i = 0; i < src->count; i++)
        field_copy(sub, element(dst->items, sub, i), element(src->items, sub, i));
}

static void map_copy(struct field_map *dst, const struct field_map *src,
                     const struct field_table *sub) {
    map_values_done(dst, sub);
    if (src->count == 0)
        return;
    dst->keys = strv_dup(src->keys);
    dst->values = field_new_items(sub, src->count);
    dst->count = src->count;
    for (size_t i = 0; i < src->count; i++)
        field_copy(sub, element(dst->values, sub, i), element(src->values, sub, i));
}

static void uints_copy(struct uint_list *dst, const struct uint_list *src) {
    uint64_t *items = src->count > 0 ? xmemdup(src->items, src->count * sizeof *items) : NULL;

    free(dst->items);
    *dst = (struct uint_list){items, src->count, src->set};
}

static void member_copy(const struct field *f, void *dst, const void *src) {
    switch (f->type) {
    case FIELD_BOOL_T:
        *(bool *)dst = *(const bool *)src;
        return;
    case FIELD_TRI:
        *(int *)dst = *(const int *)src;
        return;
    case FIELD_INT:
    case FIELD_UINT:
        *(uint64_t *)dst = *(const uint64_t *)src;
        return;
    case FIELD_INT_NULL:
        *(struct opt_int *)dst = *(const struct opt_int *)src;
        return;
    case FIELD_UINT_NULL:
        *(struct opt_uint *)dst = *(const struct opt_uint *)src;
        return;
    case FIELD_DOUBLE:
        *(double *)dst = *(const double *)src;
        return;
    case FIELD_STR:
    case FIELD_RAW:
        str_set(dst, *(char *const *)src);
        return;
    case FIELD_STRV:
    case FIELD_STRLIST:
        strv_free(*(char ***)dst);
        *(char ***)dst = strv_dup(*(char **const *)src);
        return;
    case FIELD_STRMAP:
    case FIELD_SET:
        strmap_copy(dst, src);
        return;
    case FIELD_STRUCT:
        field_copy(f->sub, dst, src);
        return;
    case FIELD_STRUCT_P:
        field_reset(f, dst);
        if (*(void *const *)src) {
            *(void **)dst = field_new_items(f->sub, 1);
            field_copy(f->sub, *(void **)dst, *(void *const *)src);
        }
        return;
    case FIELD_ARRAY:
        array_copy(dst, src, f->sub);
        return;
    case FIELD_MAP:
        map_copy(dst, src, f->sub);
        return;
    case FIELD_UINTS:
        uints_copy(dst, src);
        return;
    }
}

void field_copy(const struct field_table *t, void *dst, const void *src) {
    if (dst == src)
        return;
    for_each_field(f, t) member_copy(f, member_of(f, dst), const_member_of(f, src));
}

void *field_array_add(struct field_array *a, const struct field_table *sub) {
    void *item;

    a->items = xreallocarray(a->items, a->count + 1, sub->size);
    item = element(a->items, sub, a->count);
    field_init(sub, item);
    a->count++;
    a->set = true;
    return item;
}

void field_array_del(struct field_array *a, const struct field_table *sub, size_t i) {
    field_done(sub, element(a->items, sub, i));
    memmove(element(a->items, sub, i), element(a->items, sub, i + 1),
            (a->count - i - 1) * sub->size);
    a->count--;
}

void field_array_clear(struct field_array *a, const struct field_table *sub) {
    array_done(a, sub);
}

/* The index of `key`, or where it belongs. */
static bool map_find(const struct field_map *m, const char *key, size_t *ret) {
    size_t lo = 0, hi = m->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(m->keys[mid], key);

        if (c == 0) {
            *ret = mid;
            return true;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret = lo;
    return false;
}

void *field_map_put(struct field_map *m, const struct field_table *sub, const char *key) {
    size_t i;
    char *at, *copy;

    if (map_find(m, key, &i))
        return element(m->values, sub, i);
    copy = xstrdup(key);
    m->keys = xreallocarray(m->keys, m->count + 2, sizeof *m->keys);
    memmove(m->keys + i + 1, m->keys + i, (m->count - i) * sizeof *m->keys);
    m->keys[i] = copy;
    m->keys[m->count + 1] = NULL;
    m->values = xreallocarray(m->values, m->count + 1, sub->size);
    at = element(m->values, sub, i);
    memmove(at + sub->size, at, (m->count - i) * sub->size);
    field_init(sub, at);
    m->count++;
    return at;
}

void *field_map_get(const struct field_map *m, const struct field_table *sub, const char *key) {
    size_t i;

    return map_find(m, key, &i) ? element(m->values, sub, i) : NULL;
}

bool field_map_del(struct field_map *m, const struct field_table *sub, const char *key) {
    size_t i;
    char *at;

    if (!map_find(m, key, &i))
        return false;
    at = element(m->values, sub, i);
    field_done(sub, at);
    memmove(at, at + sub->size, (m->count - i - 1) * sub->size);
    free(m->keys[i]);
    memmove(m->keys + i, m->keys + i + 1, (m->count - i) * sizeof *m->keys);
    m->count--;
    return true;
}
