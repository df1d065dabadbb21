/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files that read image archives share; nobody else includes it. */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/map.h"
#include "format/tar.h"
#include "image/archive.h"

/* An object of the archive, by its clean path. */
enum blob_kind {
    BLOB_TEXT,  /* a JSON document */
    BLOB_LAYER, /* unpacked, or known before */
    BLOB_LINK,  /* the same as `target` */
    BLOB_BAD,   /* looked like a layer and could not be unpacked: matters only if it is used */
};
struct blob {
    enum blob_kind kind;
    char *text;
    size_t len;
    struct layer_draft *draft; /* BLOB_LAYER until it is used first */
    char *diff_id;             /* BLOB_LAYER; with draft NULL one reference is held on it */
    char *target;              /* BLOB_LINK */
    struct err err;            /* BLOB_BAD */
};
struct loader {
    struct layer_store *layers;
    const struct archive_options *o;
    struct map blobs; /* path -> struct blob */
    struct image_bundle images;
};

/* Reads the archive into blobs. */
int loader_read(struct loader *l, struct reader *from, struct err *e);
void loader_done(struct loader *l);
/* Follows links. NULL when there is none. Borrowed. */
struct blob *loader_find(struct loader *l, const char *path);
/* The text at a path. ERR_INVALID when it is missing. Borrowed. */
int loader_text(struct loader *l, const char *path, const struct blob **ret, struct err *e);
/* Adds the image whose configuration is `config` and whose layers lie at these paths. Takes
 * nothing over. tags: canonical. */
int loader_add_image(struct loader *l, const char *config, size_t config_len, char *const *paths,
                     char *const *tags, struct err *e);
/* The three forms of archives. */
int loader_docker(struct loader *l, const struct blob *manifest, struct err *e);
int loader_oci(struct loader *l, const struct blob *index, struct err *e);
int loader_legacy(struct loader *l, const struct blob *repositories, struct err *e);
/* A tag as it stands in an archive -> canonical. */
int loader_tag(const char *text, char **ret, struct err *e);
/* GOOS and GOARCH of this machine. */
const char *archive_host_arch(void);
