/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* docker commit: an upper directory becomes a layer and a new image. Worker threads. */
#include <stdbool.h>

#include "base/err.h"
#include "image/archive.h"

struct image_commit {
    const char *upper;            /* absolute path of the container's upper directory */
    const char *parent;           /* image id, or NULL for an image from nothing */
    const char *parent_config;    /* its configuration's JSON text, with parent */
    const char *config;           /* JSON text of the new config member */
    const char *container;        /* id of the container, for the configuration */
    const char *container_config; /* JSON text or NULL */
    const char *author, *comment, *created_by;
    const char *tag;    /* canonical reference or NULL */
    int64_t created_ns; /* 0: now */
    const bool *cancel; /* may be NULL */
};
/* One image in *ret; an upper directory without changes gives an empty_layer history entry and no
 * new layer. */
int image_commit(struct layer_store *s, const struct image_commit *c, struct image_bundle *ret,
                 struct err *e);
