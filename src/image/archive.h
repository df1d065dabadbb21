/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Archives of images: docker save/load (docker archive with manifest.json, the `repositories` of
 * old, OCI layout), and import of a root file system. Worker threads: results are plain data that
 * the caller hands to the loop thread (image/store.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/reader.h"
#include "image/layer.h"

/* An image by value: what load, import and commit produce and what save takes. */
struct image_item {
    char id[DIGEST_SIZE];
    char *config;    /* the JSON text; id is its digest */
    char **tags;     /* canonical: "docker.io/library/busybox:latest" */
    char **diff_ids; /* bottom first */
    char *parent;    /* id, or NULL */
    uint64_t size;   /* sum over the layers */
};
/* Holds one reference on every layer of every item (repeated layers: repeated references). */
struct image_bundle {
    struct layer_store *layers; /* borrowed */
    struct image_item *items;
    size_t count;
};
void image_item_done(struct image_item *i);
/* Drops the references that are still held. A zeroed bundle is fine. */
void image_bundle_done(struct image_bundle *b);
/* A zeroed item at the end; the pointer is good until the next call. */
struct image_item *image_bundle_add(struct image_bundle *b);

struct archive_options {
    const bool *cancel; /* may be NULL */
    /* Called on the worker now and then; layer is a short id, total 0 when unknown. May be NULL. */
    void (*progress)(void *arg, const char *layer, const char *action, uint64_t current,
                     uint64_t total);
    void *arg;
    const char *platform; /* "linux/amd64"; NULL: this machine's, for archives with several */
};

/* Reads the archive to its end, layers unpacked as they come by (no temporary copy of them). */
int archive_load(struct layer_store *s, struct reader *from, const struct archive_options *o,
                 struct image_bundle *ret, struct err *e);
/* An archive that is a docker archive and an OCI layout at once. Deterministic: the same images
 * give the same bytes. */
int archive_save(struct layer_store *s, const struct image_bundle *images, struct writer *to,
                 const struct archive_options *o, struct err *e);

struct archive_import {
    const char *message; /* history comment; NULL: "Imported from -" */
    const char *source;  /* for that default: "-" or a URL */
    const char *config;  /* JSON text of the config member (after changes), or NULL */
    const char *tag;     /* canonical reference or NULL */
    const char *platform;
    int64_t created_ns; /* 0: now */
};
/* One image of one layer from a (compressed) tar. */
int archive_import(struct layer_store *s, struct reader *from, const struct archive_import *i,
                   const struct archive_options *o, struct image_bundle *ret, struct err *e);
