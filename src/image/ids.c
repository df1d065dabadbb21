/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ids.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

/* The place of id, or where it belongs. */
static size_t find(const struct high_ids *h, uint64_t id) {
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (h->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void high_ids_add(struct high_ids *h, uint64_t id) {
    if (id < HIGH_ID_FIRST || id >= UINT32_MAX || h->count > HIGH_IDS_MAX)
        return;
    size_t at = find(h, id);
    if (at < h->count && h->ids[at] == id)
        return;
    memmove(h->ids + at + 1, h->ids + at, (h->count - at) * sizeof(*h->ids));
    h->ids[at] = (uint32_t)id;
    h->count++;
}

char **high_ids_format(const struct high_ids *h) {
    char **texts = NULL;
    for (size_t i = 0; i < h->count; i++)
        strv_take(&texts, xasprintf("%u", h->ids[i]));
    return texts;
}

void high_ids_add_text(struct high_ids *h, char *const *texts) {
    strv_for_each (text, texts) {
        uint64_t id;
        if (str_to_u64(text, &id) == 0)
            high_ids_add(h, id);
    }
}

uint64_t id_shift_in(const struct id_shift *s, uint64_t host_id) {
    if (!s->size || host_id < s->base || host_id - s->base >= s->size)
        return host_id;
    uint64_t id = host_id - s->base;
    if (id >= s->high_first && id - s->high_first < s->high.count)
        return s->high.ids[id - s->high_first];
    return id;
}

uint64_t id_shift_out(const struct id_shift *s, uint64_t id) {
    if (!s->size)
        return id;
    if (id >= HIGH_ID_FIRST) {
        size_t at = find(&s->high, id);
        return s->base +
               (at < s->high.count && s->high.ids[at] == id ? s->high_first + at : ID_NOBODY);
    }
    bool taken = id >= s->high_first && id - s->high_first < s->high.count;
    return s->base + (taken || id >= s->size ? ID_NOBODY : id);
}
