/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Strings, NULL-terminated string vectors (strv), and strict number parsing. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Comparisons that take NULL; NULL equals NULL only. */
bool str_eq(const char *a, const char *b);
bool str_case_eq(const char *a, const char *b);
bool str_empty(const char *s);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* The text after `prefix`, or NULL when s does not start with it. Borrowed from s. */
const char *str_after(const char *s, const char *prefix);
bool str_is_hex(const char *s);
/* `s`, or "" for NULL. */
const char *str_or_empty(const char *s);
/* Replaces *p by a copy of s (which may be NULL). */
void str_set(char **p, const char *s);
void str_lower(char *s);

/* Strict: the whole string, no sign for unsigned, no blanks, base 10. -EINVAL or -ERANGE. */
int str_to_u64(const char *s, uint64_t *ret);
int str_to_i64(const char *s, int64_t *ret);
/* 0, 1, true, false, t, f, in Go's spellings (strconv.ParseBool). */
int str_to_bool(const char *s, bool *ret);

/* A strv is a heap array of heap strings that ends with NULL; NULL is the empty vector. */
#define auto_strv __attribute__((cleanup(cleanup_strv))) char **
size_t strv_len(char *const *v);
/* Always returns NULL. */
char **strv_free(char **v);
void cleanup_strv(char ***v);
char **strv_dup(char *const *v);
void strv_add(char ***v, const char *s);
/* Takes ownership of s. */
void strv_take(char ***v, char *s);
bool strv_has(char *const *v, const char *s);
bool strv_eq(char *const *a, char *const *b);
/* Splits at every `sep`; "" gives the empty vector. */
char **str_split(const char *s, char sep);
char *strv_join(char *const *v, const char *sep);
/* The value of NAME=value in an environment vector, or NULL. Borrowed. */
const char *env_find(char *const *env, const char *name);
/* Replaces or adds NAME=value; without '=' in it removes NAME. */
void env_put(char ***env, const char *assignment);

#define strv_for_each(s, v) for (char *const *s##_i = (v), *s; s##_i && (s = *s##_i); s##_i++)
