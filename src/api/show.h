/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Parts of answers that several resources share. */
#include "engine/container.h"
#include "format/digest.h"
#include "format/json.h"

/* {"bridge": {...}}, as the API version has it. The list shows no aliases, links and wishes. */
void show_networks(const struct container *c, bool aliases, int version, struct jw *w);
/* "Up 5 minutes (healthy)". Owned by the caller. */
char *show_status_text(const struct container *c);
/* One element of GET /containers/json; link_names of links_names(). Sizes are left out when
 * negative. */
void show_container_summary(const struct container *c, int version, char *const *link_names,
                            int64_t size_rw, int64_t size_root, struct jw *w);
/* The image as ps shows it: the name given at create while it still points there, else the id. */
const char *show_image_name(const struct container *c);

/* Sizes need a walk over the upper directories: a worker does it for many containers at once. */
struct show_size {
    char *id, *upper;
    char **diff_ids;
    int64_t rw, root; /* -1 when they cannot be had */
};
struct show_sizes {
    struct layer_store *layers;
    struct show_size *items;
    size_t count;
};
void show_sizes_add(struct show_sizes *s, const struct container *c);
void show_sizes_measure(struct show_sizes *s); /* worker */
const struct show_size *show_sizes_find(const struct show_sizes *s, const char *id);
void show_sizes_done(struct show_sizes *s);
