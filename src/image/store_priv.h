/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What store.c and store_delete.c share; nobody else includes it. */
#include "image/store.h"

struct image_store {
    struct layer_store *layers; /* borrowed, as db */
    struct store *db;
    struct map images; /* id -> struct image, owned */
    struct map refs;   /* canonical reference -> struct image */
    uint64_t serial;
};
