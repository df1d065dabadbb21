/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Go's text/template as `--format` uses it: fields, variables, pipelines, if, range, with, break,
 * continue, comments and trimming, the built-in functions and docker's own (json, split, join,
 * title, lower, upper, pad, truncate). No nested template definitions.
 *
 * The data is a JSON value. Go programs run templates over typed values; what that changes (an
 * absent map entry is "<no value>", an absent field an error, a nil slice prints "[]") is decided
 * by the member's name: gotmpl_shape.c knows the members of the API that are maps, pointers and
 * texts.
 */
#include <stdbool.h>

#include <json-c/json_object.h>

#include "base/buf.h"
#include "base/err.h"

struct gotmpl;

/* ERR_INVALID with Go's text, "template: :1: unclosed action". */
int gotmpl_parse(const char *text, struct gotmpl **ret, struct err *e);
void gotmpl_free(struct gotmpl *t);
static inline void cleanup_gotmpl(struct gotmpl **t) {
    gotmpl_free(*t);
}
#define auto_gotmpl __attribute__((cleanup(cleanup_gotmpl))) struct gotmpl

struct gotmpl_options {
    /* The top value is a row with exactly its members as fields: a missing one is "can't evaluate
     * field X in type <type_name>". NULL: API data, "map has no entry for key". */
    const char *type_name;
    /* The head line of a table: docker's text functions return their argument. */
    bool header;
    /* {{.Label "x"}}: a method of the row with one text argument. Owned result, NULL: no such
     * method. May be NULL; `extra` is handed through. */
    char *(*method)(struct json_object *extra, const char *name, const char *arg);
    struct json_object *extra;
};

/* Appends to out; on an error, what was produced before it stays there. */
int gotmpl_exec(const struct gotmpl *t, struct json_object *data, const struct gotmpl_options *o,
                struct buf *out, struct err *e);
/* Whether the template mentions field `name` anywhere, or everything: {{json .}}. */
bool gotmpl_uses(const struct gotmpl *t, const char *name);

/* A formatter's row as docker writes it with --format json. */
void row_json(struct json_object *row, struct buf *out);

/* What the type of member `name` of `parent` (may be NULL) is in Go, as far as it matters for
 * absent and null values. */
enum gotmpl_shape { SHAPE_STRUCT, SHAPE_MAP, SHAPE_POINTER, SHAPE_TEXT, SHAPE_SLICE };
/* SHAPE_STRUCT also means: not known. */
enum gotmpl_shape gotmpl_shape(const char *parent, const char *name);
