/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The images that the engine knows, and the names that point at them. Everything here belongs to
 * the loop thread; pointers to images are good until the image is removed. Kept in the database as
 * the kinds "image" (by id) and "tag" (by canonical reference).
 *
 * Whether containers use an image is the engine's knowledge: it passes a question (image_in_use).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "format/digest.h"
#include "image/archive.h"
#include "image/layer.h"
#include "oci/image_config.h"
#include "store/store.h"

struct image {
    char id[DIGEST_SIZE]; /* "sha256:..." */
    char *config_text;    /* the document whose digest the id is */
    struct image_config config;
    char **tags;         /* canonical references with a tag, sorted */
    char **digests;      /* canonical references with a digest (pulled, pushed), sorted */
    char *parent;        /* id of the image it was made from, or NULL */
    uint64_t size;       /* bytes of its layers */
    int64_t created_ns;  /* of the configuration; 0: none given */
    int64_t last_tag_ns; /* when a name was last put on it; 0: never */
    unsigned children;   /* images whose parent this is */
    uint64_t serial;     /* order of registration */
};

struct image_store;

/* Loads images and tags; images whose layers are gone are dropped with their tags. Then the engine
 * adds the references of its containers and calls layer_store_collect. */
int image_store_open(struct layer_store *layers, struct store *db, struct image_store **ret,
                     struct err *e);
void image_store_free(struct image_store *s);
struct layer_store *image_store_layers(struct image_store *s);

/* ---- look-up -------------------------------------------------------------------------------- */
/* By reference, id, or unambiguous id prefix. 400 "invalid reference format", 404 "No such image:
 * busybox:nope", 400 "Multiple IDs found with provided prefix: ab". */
struct image *image_find(struct image_store *s, const char *name, struct err *e);
/* By exact id ("sha256:..."), or NULL. */
struct image *image_get(struct image_store *s, const char *id);
/* By canonical reference, or NULL. */
struct image *image_by_ref(struct image_store *s, const char *canonical);
size_t image_count(const struct image_store *s);
/* All, newest `created` first, as GET /images/json lists them. Borrowed vector of `count` entries
 * that the caller frees. */
struct image **image_list(struct image_store *s, size_t *ret_count);
/* 12 digits of the id. */
void image_short_id(const struct image *i, char out[static 13]);

/* ---- changes -------------------------------------------------------------------------------- */
/* Takes over an item of a bundle (its layer references move; the item is emptied). An image that
 * is known already only gets the item's tags. ret and ret_new may be NULL; *ret_new says
 * whether it is new. Tags that move away from another image leave that one. */
int image_register(struct image_store *s, struct image_bundle *b, size_t item, struct image **ret,
                   bool *ret_new, struct err *e);
/* repo and tag as POST /images/NAME/tag gives them (tag NULL or "": latest). ret_ref (may be NULL)
 * gets the familiar reference, owned by the caller. */
int image_tag(struct image_store *s, struct image *i, const char *repo, const char *tag,
              char **ret_ref, struct err *e);
/* Puts a canonical reference (tag or digest form) on an image. */
int image_put_ref(struct image_store *s, struct image *i, const char *canonical, struct err *e);
/* Removes a canonical reference; false when it was not there. */
bool image_untag(struct image_store *s, const char *canonical);
/* Removes the image with its references, drops its references on layers. */
void image_remove(struct image_store *s, struct image *i);

/* ---- DELETE /images/NAME and prune ---------------------------------------------------------- */
enum image_use { IMAGE_UNUSED, IMAGE_USED_STOPPED, IMAGE_USED_RUNNING };
struct image_in_use {
    /* The container (short id, borrowed, good for the moment) that uses the image; `ref` when not
     * NULL asks only for containers that were created by that familiar reference. */
    enum image_use (*check)(void *arg, const struct image *i, const char *ref,
                            const char **ret_container);
    void *arg;
};
struct image_deletion {
    bool untagged; /* "Untagged" (a familiar reference or an id), else "Deleted" (an id) */
    char *what;
    char image[DIGEST_SIZE]; /* id of the image whose name it was, or of the one that has gone */
};
struct image_deletions {
    struct image_deletion *items;
    size_t count;
};
void image_deletions_done(struct image_deletions *d);
/* The rules and words of dockerd: conflicts, removal of untagged parents unless no_prune. */
int image_delete(struct image_store *s, const char *name, bool force, bool no_prune,
                 const struct image_in_use *use, struct image_deletions *ret, struct err *e);

/* ---- for workers ---------------------------------------------------------------------------- */
/* A copy of images by name for archive_save, with references on their layers: a repository name
 * without a tag takes all its tags, an id none, as docker save. */
int image_snapshot(struct image_store *s, char *const *names, struct image_bundle *ret,
                   struct err *e);
