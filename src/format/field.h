/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Field tables: a JSON object <-> a C struct, described once and used for parsing, emitting,
 * copying and freeing. Docker's API bodies, image configurations, OCI runtime specs and the
 * engine's own records are all such tables.
 *
 *     struct point { int64_t x; char *name; };
 *     static const struct field point_fields[] = {
 *         FIELD(struct point, "X", FIELD_INT, x, 0),
 *         FIELD(struct point, "Name", FIELD_STR, name, FIELD_OMIT_EMPTY),
 *         FIELD_END,
 *     };
 *     const struct field_table point_table = FIELD_TABLE(struct point, point_fields);
 *
 * Go's rules: keys match case-insensitively when no exact match is there, null leaves the zero
 * value, unknown keys are skipped (field_unknown lists them for callers that refuse), members are
 * emitted in table order. A wrong type is ERR_INVALID with Go's wording: "json: cannot unmarshal
 * string into Go struct field .Memory of type int64".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "format/json.h"

enum field_type {
    FIELD_BOOL_T,    /* bool */
    FIELD_TRI,       /* int: -1 absent/null, 0, 1. Emitted as null when -1 */
    FIELD_INT,       /* int64_t; accepts integral numbers only */
    FIELD_INT_NULL,  /* struct opt_int: absent/null or a number */
    FIELD_UINT,      /* uint64_t */
    FIELD_UINT_NULL, /* struct opt_uint */
    FIELD_DOUBLE,    /* double */
    FIELD_STR,       /* char *; NULL emits "" (null with FIELD_NULL_EMPTY) */
    FIELD_STRV,      /* char **; NULL emits null, an empty vector []; absent leaves NULL */
    FIELD_STRLIST,   /* char **: as FIELD_STRV, but a plain string is taken as a list of one
                        (Docker: Cmd, Entrypoint accept both) */
    FIELD_STRMAP,    /* struct strmap; emits {} when empty */
    FIELD_SET,       /* struct strmap with "" values <-> {"key": {}} (ExposedPorts, Volumes) */
    FIELD_STRUCT,    /* embedded struct, .sub */
    FIELD_STRUCT_P,  /* struct *, NULL when absent or null, .sub */
    FIELD_ARRAY,     /* struct field_array of structs, .sub; NULL items emits null or [] by flag */
    FIELD_MAP,       /* struct field_map: string -> struct, .sub */
    FIELD_RAW,       /* char *: the value's own JSON text; NULL emits null */
    FIELD_UINTS,     /* struct uint_list: unsigned numbers; unset emits null or [] by flag */
};

struct opt_int {
    bool set;
    int64_t value;
};
struct opt_uint {
    bool set;
    uint64_t value;
};
struct uint_list {
    uint64_t *items;
    size_t count;
    bool set; /* an array was given, perhaps an empty one */
};
/* Elements are contiguous structs of sub->size. */
struct field_array {
    void *items;
    size_t count;
    bool set; /* an array was given, perhaps an empty one */
};
/* Keys in sorted order; values contiguous structs of sub->size, values[i] belongs to keys[i]. */
struct field_map {
    char **keys; /* strv */
    void *values;
    size_t count;
};

enum field_flags {
    FIELD_OMIT_EMPTY = 1, /* Go's omitempty */
    FIELD_NULL_EMPTY = 2, /* empty strings, arrays and maps are emitted as null */
    FIELD_LIST_EMPTY = 4, /* a NULL array or strv is emitted as [] instead of null */
    FIELD_NO_EMIT = 8,    /* parsed only */
    FIELD_NO_PARSE = 16,  /* emitted only */
};

struct field_table;
struct field {
    const char *name;
    enum field_type type;
    unsigned flags;
    size_t offset;
    const struct field_table *sub;
};
struct field_table {
    size_t size; /* of the struct */
    const struct field *fields;
};

#define FIELD(st, json_name, ftype, member, fflags)                                                \
    { .name = json_name, .type = ftype, .flags = fflags, .offset = offsetof(st, member) }
#define FIELD_SUB(st, json_name, ftype, member, fflags, table)                                     \
    {                                                                                              \
        .name = json_name, .type = ftype, .flags = fflags, .offset = offsetof(st, member),         \
        .sub = &(table)                                                                            \
    }
#define FIELD_END                                                                                  \
    { 0 }
#define FIELD_TABLE(st, list)                                                                      \
    { .size = sizeof(st), .fields = (list) }

/* Zeroes the whole struct and sets the members to what absent keys mean (FIELD_TRI: -1). */
void field_init(const struct field_table *t, void *obj);
/* `obj` must be initialised; keys that are present replace (and free) what is there, so a second
 * parse merges: structs, also by pointer, member by member; lists and maps as a whole. null makes
 * pointers, lists and maps absent and leaves the rest. Untouched on failure. `path` (may be "")
 * starts the key path in error texts. */
int field_parse(const struct field_table *t, struct json_object *o, void *obj, const char *path,
                struct err *e);
int field_parse_text(const struct field_table *t, const char *text, size_t len, void *obj,
                     struct err *e);
/* The paths ("HostConfig.Foo", "Mounts[0].Bar") of keys that the table does not know; NULL when
 * there is none. */
char **field_unknown(const struct field_table *t, struct json_object *o);
/* Writes one object. */
void field_emit(const struct field_table *t, const void *obj, struct jw *w);
/* Writes the members only, for answers that add some of their own. */
void field_emit_members(const struct field_table *t, const void *obj, struct jw *w);
char *field_to_text(const struct field_table *t, const void *obj) __attribute__((returns_nonnull));
/* Frees what the members own and re-initialises. */
void field_done(const struct field_table *t, void *obj);
/* Deep copy of the table's members into an initialised dst. */
void field_copy(const struct field_table *t, void *dst, const void *src);
/* Appends an initialised element; the pointer is good until the next append. */
void *field_array_add(struct field_array *a, const struct field_table *sub);
/* Takes the i-th one out; the others keep their order. */
void field_array_del(struct field_array *a, const struct field_table *sub, size_t i);
void field_array_clear(struct field_array *a, const struct field_table *sub);
/* Finds or adds the value of `key`. */
void *field_map_put(struct field_map *m, const struct field_table *sub, const char *key);
void *field_map_get(const struct field_map *m, const struct field_table *sub, const char *key);
/* False when there was no such key. */
bool field_map_del(struct field_map *m, const struct field_table *sub, const char *key);
/* One member: frees what it owns and sets it to what an absent key means. */
void field_reset(const struct field *f, void *member);
/* n initialised structs in one allocation. */
void *field_new_items(const struct field_table *sub, size_t n) __attribute__((returns_nonnull));
#define field_array_at(a, type, i) (&((type *)(a)->items)[i])
#define field_map_at(m, type, i)   (&((type *)(m)->values)[i])
