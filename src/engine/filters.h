/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The `filters` query parameter: {"name": ["a", "b"]} or the older {"name": {"a": true}}. Values of
 * one key are alternatives, different keys must all match.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

struct filter {
    char *key;
    char **values; /* strv */
};
struct filters {
    struct filter *items;
    size_t count;
};

void filters_done(struct filters *f);
#define auto_filters __attribute__((cleanup(filters_done))) struct filters
/* NULL and "" are the empty set. Keys outside of `allowed` (NULL-terminated) are refused in
 * Docker's words. */
int filters_parse(const char *json, const char *const *allowed, struct filters *ret, struct err *e);
bool filters_has(const struct filters *f, const char *key);
/* The values of a key, NULL when it is not there. Borrowed. */
char *const *filters_get(const struct filters *f, const char *key);
void filters_add(struct filters *f, const char *key, const char *value);
/* True when the key is absent or one value equals s. */
bool filters_exact(const struct filters *f, const char *key, const char *s);
/* True when the key is absent or one value equals s, is a regular expression found in it. */
bool filters_match(const struct filters *f, const char *key, const char *s);
/* `label` (and with negate `label!`): every "k" and "k=v" must hold. */
bool filters_labels(const struct filters *f, const char *key, const struct strmap *labels);
/* `until`: a time or a duration before now; 0 when absent. */
int filters_until(const struct filters *f, int64_t *ret_ns, struct err *e);
/* One boolean value (dangling). `otherwise` when absent; ERR_INVALID for anything else. */
int filters_bool(const struct filters *f, const char *key, bool otherwise, bool *ret,
                 struct err *e);
