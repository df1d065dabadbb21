/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON in and out.
 *
 * In: json-c values from a strict parser (comments, NaN, trailing text, invalid UTF-8, a NUL in a
 * string are all refused, numbers are never saturated), depth and size limits, and member look-up
 * that falls back to a case-insensitive match as Go's decoder does. Numbers that are no int64 or
 * uint64 are doubles which keep their text. The last of duplicate keys wins.
 * Out: struct jw, a streaming writer into a struct buf; HTML-safe escaping off (Docker's encoder
 * writes <, > and & plainly in API answers).
 */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json_object.h>
#include <json-c/linkhash.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_DEPTH_MAX 64
#define JSON_SIZE_MAX  (4u << 20)

/* One document and nothing behind it but blanks. *ret is a reference the caller puts (NULL for the
 * document "null"). ERR_INVALID in the words of Go's scanner with line and column; ERR_TOO_LARGE.
 */
int jsn_parse(const char *text, size_t len, struct json_object **ret, struct err *e);
/* The same with another limit than JSON_SIZE_MAX: for a client that reads its server's lists. */
int jsn_parse_max(const char *text, size_t len, size_t max, struct json_object **ret,
                  struct err *e);
static inline void cleanup_json(struct json_object **o) {
    json_object_put(*o);
}
#define auto_json __attribute__((cleanup(cleanup_json))) struct json_object

/* Borrowed member or NULL (also when o is no object, or the member is null). */
struct json_object *jsn_get(struct json_object *o, const char *key);
/* Borrowed text; NULL when the member is missing or no string. */
const char *jsn_str(struct json_object *o, const char *key);
/* `otherwise` when the member is missing or not of the type. */
int64_t jsn_int(struct json_object *o, const char *key, int64_t otherwise);
bool jsn_bool(struct json_object *o, const char *key, bool otherwise);
/* The value itself as an integer; false when it is none or does not fit. */
bool jsn_as_int(struct json_object *v, int64_t *ret);
bool jsn_as_uint(struct json_object *v, uint64_t *ret);

/* ---- writer -------------------------------------------------------------------------------- */
struct jw {
    struct buf *out; /* borrowed */
    uint64_t comma;  /* one bit a level: a value was written */
    unsigned depth;
    bool after_key;
};

void jw_init(struct jw *w, struct buf *out);
void jw_object(struct jw *w);
void jw_end_object(struct jw *w);
void jw_array(struct jw *w);
void jw_end_array(struct jw *w);
void jw_key(struct jw *w, const char *key);
void jw_str(struct jw *w, const char *s); /* NULL writes "" ; invalid UTF-8 becomes U+FFFD */
void jw_strn(struct jw *w, const char *s, size_t n);
void jw_int(struct jw *w, int64_t v);
void jw_uint(struct jw *w, uint64_t v);
void jw_double(struct jw *w, double v); /* as Go's encoding/json prints float64 */
void jw_bool(struct jw *w, bool v);
void jw_null(struct jw *w);
/* Inserts text that is one JSON value already. */
void jw_raw(struct jw *w, const char *json);
/* A json-c value, its members in their order. */
void jw_value(struct jw *w, struct json_object *o);
/* Key and value in one call. */
void jw_kstr(struct jw *w, const char *key, const char *s);
void jw_kint(struct jw *w, const char *key, int64_t v);
void jw_kuint(struct jw *w, const char *key, uint64_t v);
void jw_kbool(struct jw *w, const char *key, bool v);
void jw_knull(struct jw *w, const char *key);
void jw_kraw(struct jw *w, const char *key, const char *json);
/* NULL writes null, an empty vector []. */
void jw_kstrv(struct jw *w, const char *key, char *const *v);
