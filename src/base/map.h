/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * struct map: string -> pointer, insertion-ordered iteration, open addressing. Keys are copied,
 * values borrowed (map_clear takes a destructor). struct strmap: string -> string, both owned;
 * iteration in sorted order, as Go prints maps.
 */
#include <stdbool.h>
#include <stddef.h>

struct map_entry {
    char *key; /* NULL: removed */
    void *value;
};

struct map {
    struct map_entry *entries; /* in insertion order */
    size_t used, count, cap;
    unsigned *index; /* 1-based into entries, 0 empty */
    size_t index_size;
};

void map_done(struct map *m);
void map_clear(struct map *m, void (*free_value)(void *));
void *map_get(const struct map *m, const char *key);
/* Returns the value that was replaced, or NULL. */
void *map_put(struct map *m, const char *key, void *value);
/* Returns the value that was removed, or NULL. */
void *map_del(struct map *m, const char *key);
/* The loop body may delete the current entry, and must not add any. */
#define map_for_each(e, m)                                                                         \
    for (struct map_entry *e = (m)->entries; e && e < (m)->entries + (m)->used; e++)               \
        if (e->key)

struct strmap_entry {
    char *key, *value;
};

struct strmap {
    struct strmap_entry *entries; /* sorted by key */
    size_t count;
};

void strmap_done(struct strmap *m);
const char *strmap_get(const struct strmap *m, const char *key);
void strmap_put(struct strmap *m, const char *key, const char *value);
void strmap_del(struct strmap *m, const char *key);
void strmap_copy(struct strmap *dst, const struct strmap *src);
#define strmap_for_each(e, m)                                                                      \
    for (const struct strmap_entry *e = (m)->entries; e && e < (m)->entries + (m)->count; e++)
