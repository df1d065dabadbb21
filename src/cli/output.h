/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What commands print: tables, --format templates, JSON, and texts for people. */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json_object.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/gotmpl.h"

/* Cells end with a tab, lines with a newline; columns are aligned as Go's tabwriter does with
 * docker's settings (at least 10 wide, 3 blanks apart). */
void table_align(const char *text, size_t len, struct buf *out);
/* The same with another least width. */
void table_align_width(const char *text, size_t len, size_t least, struct buf *out);

/*
 * --format of a list: rows are JSON objects of texts, one member a column.
 *
 * format: "" and "table" mean the standard table, "table T" a table of one's own, "json" one JSON
 * object a line, "raw" and anything else a template for each row.
 */
struct column {
    const char *field, *header;
};
struct list_format {
    const struct column *columns; /* every field that a template may name; NULL field ends */
    const char *table;            /* the standard template without "table " */
    const char *quiet;            /* template of -q */
    const char *type_name;        /* Go's, for messages */
    char *(*method)(struct json_object *extra, const char *name, const char *arg);
    const char *failure; /* before what is wrong with a row; NULL: "template parsing error" */
};
struct list_output {
    const struct list_format *format;
    struct gotmpl *template;
    bool is_table, is_json;
    struct json_object *extra; /* for the method, of the row that comes next; borrowed */
    struct buf text;           /* unaligned */
};
/* ERR_INVALID for a template that does not parse. */
int list_begin(struct list_output *l, const struct list_format *f, const char *format, bool quiet,
               struct err *e);
bool list_uses(const struct list_output *l, const char *field);
/* The row is borrowed. */
int list_row(struct list_output *l, struct json_object *row, struct err *e);
/* Aligns and writes to stdout; with nothing but the head line too. */
int list_end(struct list_output *l, struct err *e);
/* The same into a buffer. */
int list_finish(struct list_output *l, struct buf *out, struct err *e);
void list_done(struct list_output *l);
#define auto_list __attribute__((cleanup(list_done))) struct list_output

/* Go's json.Indent of raw JSON text: the members keep their order, numbers their digits. Empty
 * objects and arrays stay on one line. */
void json_indent(const char *text, size_t len, const char *prefix, const char *step,
                 struct buf *out);
/* Writes everything to stdout. -errno with a text. */
int print_out(const struct buf *b, struct err *e);
void put_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "2 hours ago" of a time in seconds since the epoch; "N/A" style texts are the caller's. */
char *time_ago(int64_t seconds);
/* "2026-01-02 03:04:05 +0000 UTC", local time. Owned. */
char *time_local(int64_t seconds);
/* Decimal units with n significant digits, as units.HumanSizeWithPrecision. Owned. */
char *human_size(double bytes, int precision);
char *human_size_binary(double bytes);
/* The first n characters and an ellipsis when there are more. Owned. */
char *ellipsis(const char *s, size_t n);
/* The first 12 digits of an id, without "sha256:". Owned. */
char *short_id(const char *id);
void row_add(struct json_object *row, const char *field, const char *text);
/* Takes the text. */
void row_take(struct json_object *row, const char *field, char *text);
