/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

static uint64_t hash(const char *key) {
    uint64_t h = 1469598103934665603u; /* FNV-1a: keys are ids and names of our own making */

    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return h ^ (h >> 29);
}

static size_t slot_of(const struct map *m, const char *key) {
    size_t i = hash(key) & (m->index_size - 1);

    while (m->index[i]) {
        const struct map_entry *e = &m->entries[m->index[i] - 1];

        if (e->key && strcmp(e->key, key) == 0)
            break;
        i = (i + 1) & (m->index_size - 1);
    }
    return i;
}

/* Compacts removed entries and grows, so that at most half of the index is in use. */
static void rebuild(struct map *m) {
    size_t n = 0, cap = 8;

    for (size_t i = 0; i < m->used; i++)
        if (m->entries[i].key)
            m->entries[n++] = m->entries[i];
    m->used = n;
    while (cap < n * 2)
        cap *= 2;
    m->entries = xreallocarray(m->entries, cap, sizeof *m->entries);
    m->cap = cap;
    free(m->index);
    m->index_size = cap * 2;
    m->index = xcalloc(m->index_size, sizeof *m->index);
    for (size_t i = 0; i < n; i++)
        m->index[slot_of(m, m->entries[i].key)] = (unsigned)i + 1;
}

void map_clear(struct map *m, void (*free_value)(void *)) {
    for (size_t i = 0; i < m->used; i++) {
        if (!m->entries[i].key)
            continue;
        free(m->entries[i].key);
        if (free_value)
            free_value(m->entries[i].value);
    }
    free(m->entries);
    free(m->index);
    *m = (struct map){0};
}

void map_done(struct map *m) {
    map_clear(m, NULL);
}

void *map_get(const struct map *m, const char *key) {
    size_t i;

    if (m->count == 0 || !key)
        return NULL;
    i = slot_of(m, key);
    return m->index[i] ? m->entries[m->index[i] - 1].value : NULL;
}

void *map_put(struct map *m, const char *key, void *value) {
    size_t i;

    if (m->index_size) {
        i = slot_of(m, key);
        if (m->index[i]) {
            struct map_entry *e = &m->entries[m->index[i] - 1];
            void *old = e->value;

            e->value = value;
            return old;
        }
    }
    if (m->used == m->cap)
        rebuild(m);
    m->entries[m->used++] = (struct map_entry){xstrdup(key), value};
    m->index[slot_of(m, key)] = (unsigned)m->used;
    m->count++;
    return NULL;
}

void *map_del(struct map *m, const char *key) {
    struct map_entry *e;
    size_t i;

    if (m->count == 0)
        return NULL;
    i = slot_of(m, key);
    if (!m->index[i])
        return NULL;
    /* The index slot keeps pointing at the dead entry: probing goes on past it. */
    e = &m->entries[m->index[i] - 1];
    free(e->key);
    e->key = NULL;
    m->count--;
    return e->value;
}

void strmap_done(struct strmap *m) {
    for (size_t i = 0; i < m->count; i++) {
        free(m->entries[i].key);
        free(m->entries[i].value);
    }
    free(m->entries);
    *m = (struct strmap){0};
}

static bool strmap_find(const struct strmap *m, const char *key, size_t *ret) {
    size_t lo = 0, hi = m->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(m->entries[mid].key, key);

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

const char *strmap_get(const struct strmap *m, const char *key) {
    size_t i;

    return strmap_find(m, key, &i) ? m->entries[i].value : NULL;
}

void strmap_put(struct strmap *m, const char *key, const char *value) {
    char *copy = xstrdup(value);
    size_t i;

    if (strmap_find(m, key, &i)) {
        free(m->entries[i].value);
        m->entries[i].value = copy;
        return;
    }
    m->entries = xreallocarray(m->entries, m->count + 1, sizeof *m->entries);
    memmove(m->entries + i + 1, m->entries + i, (m->count - i) * sizeof *m->entries);
    m->entries[i] = (struct strmap_entry){xstrdup(key), copy};
    m->count++;
}

void strmap_del(struct strmap *m, const char *key) {
    size_t i;

    if (!strmap_find(m, key, &i))
        return;
    free(m->entries[i].key);
    free(m->entries[i].value);
    m->count--;
    memmove(m->entries + i, m->entries + i + 1, (m->count - i) * sizeof *m->entries);
}

void strmap_copy(struct strmap *dst, const struct strmap *src) {
    strmap_done(dst);
    for (size_t i = 0; i < src->count; i++)
        strmap_put(dst, src->entries[i].key, src->entries[i].value);
}
