/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/alloc.h"
#include "image/archive.h"

void image_item_done(struct image_item *i) {
    free(i->config);
    free(i->parent);
    strv_free(i->tags);
    strv_free(i->diff_ids);
    *i = (struct image_item){0};
}

void image_bundle_done(struct image_bundle *b) {
    for (size_t i = 0; i < b->count; i++) {
        if (b->layers)
            layer_unref_all(b->layers, b->items[i].diff_ids);
        image_item_done(&b->items[i]);
    }
    free(b->items);
    *b = (struct image_bundle){0};
}

struct image_item *image_bundle_add(struct image_bundle *b) {
    b->items = xreallocarray(b->items, b->count + 1, sizeof(*b->items));
    struct image_item *i = &b->items[b->count++];
    *i = (struct image_item){0};
    return i;
}
