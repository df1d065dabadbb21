/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Values of a running template and what functions do with them: gotmpl_exec.c, gotmpl_value.c and
 * gotmpl_funcs.c only. Texts and JSON are borrowed from the data or owned by the scratch list. */
#include "cli/gotmpl_ast.h"

enum value_kind { V_ABSENT, V_NULL, V_BOOL, V_INT, V_FLOAT, V_STRING, V_JSON };

struct value {
    enum value_kind kind;
    enum gotmpl_shape shape; /* V_JSON, V_NULL: the type that Go has there */
    const char *name;        /* the member that it came from, or NULL */
    bool row;                /* V_JSON: the row of a formatter */
    bool left_out;           /* V_NULL: an optional member that the answer does not have */
    int64_t number;          /* V_BOOL, V_INT */
    double real;
    const char *text;
    struct json_object *json; /* object or array */
};

struct scratch_item {
    struct scratch_item *next;
    char *text;
    struct json_object *json;
};

/* Owns what functions make, until the execution ends. */
struct scratch {
    struct scratch_item *items;
};

const char *scratch_text(struct scratch *s, char *text);                    /* takes it */
struct json_object *scratch_json(struct scratch *s, struct json_object *o); /* takes it */
void scratch_done(struct scratch *s);

struct value value_of_json(struct json_object *o, const char *name, bool in_map);
/* Member `name` of an object. */
struct value value_child(const struct value *parent, const char *name, struct json_object *o);
struct value value_text(const char *borrowed);
struct value value_int(int64_t n);
struct value value_bool(bool b);
bool value_true(const struct value *v);
/* As fmt's %v; %+v is the same here. */
void value_print(const struct value *v, struct buf *out);
void value_json(const struct value *v, struct buf *out);
/* Go's name of the type, as far as it shows in messages. */
const char *value_type(const struct value *v);
int64_t value_len(const struct value *v); /* -1: has none */
/* A float as Go's %v. */
void float_print(double d, struct buf *out);

/* Whether an answer leaves member `name` of `parent` (NULL: the top) out when it is empty. */
bool gotmpl_optional(const char *parent, const char *name, enum gotmpl_shape *ret);
/* The member names in order, ends with NULL; the caller frees the array only. */
const char **json_sorted_keys(struct json_object *o);

/* Calls a function; e gets the bare reason. -EINVAL, -E2BIG for a wrong number of
 * arguments. */
int gotmpl_call(struct scratch *s, const struct gotmpl_options *o, const char *name,
                const struct value *args, size_t count, struct value *ret, struct err *e);
