/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Image documents: the configuration (Docker's superset of OCI's), manifests, indexes and the
 * entries of a docker-archive's manifest.json. Unknown members are skipped, so a document that
 * must keep its digest is stored and sent as the bytes it came in, never re-emitted.
 */
#include <stdbool.h>
#include <stdint.h>

#include "format/field.h"
#include "oci/container_config.h"

#define MEDIA_DOCKER_MANIFEST   "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST       "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG     "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER      "application/vnd.docker.image.rootfs.diff.tar"
#define MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define MEDIA_OCI_MANIFEST      "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX         "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG        "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER         "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_OCI_LAYER_GZIP    "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_OCI_LAYER_ZSTD    "application/vnd.oci.image.layer.v1.tar+zstd"

/* Layers in one image; overlayfs takes no more lower directories than that in one mount here. */
#define IMAGE_LAYERS_MAX 125

/* ---- configuration ------------------------------------------------------------------------- */
struct image_history {
    char *created; /* RFC 3339 */
    char *created_by, *author, *comment;
    bool empty_layer;
};

struct image_rootfs {
    char *type;      /* "layers" */
    char **diff_ids; /* "sha256:...", lowest layer first */
};

struct image_config {
    char *architecture, *author, *comment;
    struct container_config *config;
    char *container;                           /* id of the container it was committed from */
    struct container_config *container_config; /* that container's configuration */
    char *created;                             /* RFC 3339; may be missing */
    char *docker_version;
    struct field_array history; /* struct image_history */
    char *id;                   /* v1 archives only */
    char *os, *os_version;
    char **os_features;
    char *parent; /* image id, of locally built images */
    struct image_rootfs rootfs;
    char *variant; /* "v8" */
};
/* Emits what Docker writes: keys in alphabetical order. */
extern const struct field_table image_config_table;
extern const struct field_table image_history_table;

/* Parses and checks: rootfs type, well-formed diff ids, as many history entries with a layer as
 * diff ids (when there is a history), at most IMAGE_LAYERS_MAX. `ret` is field_init'ed here and
 * owned by the caller on success (field_done). ERR_INVALID. */
int image_config_parse(const char *text, size_t len, struct image_config *ret, struct err *e);

/* ---- manifests ----------------------------------------------------------------------------- */
struct oci_platform {
    char *architecture, *os, *os_version;
    char **os_features;
    char *variant;
};

struct oci_descriptor {
    char *media_type, *digest;
    int64_t size; /* bytes */
    char **urls;
    struct strmap annotations;
    struct oci_platform *platform; /* entries of an index */
    char *artifact_type;
};

struct oci_manifest {
    int64_t schema_version; /* 2 */
    char *media_type;
    char *artifact_type;
    struct oci_descriptor config;
    struct field_array layers; /* struct oci_descriptor, lowest first */
    struct strmap annotations;
};

struct oci_index {
    int64_t schema_version;
    char *media_type;
    struct field_array manifests; /* struct oci_descriptor */
    struct strmap annotations;
};
extern const struct field_table oci_descriptor_table;
extern const struct field_table oci_manifest_table;
extern const struct field_table oci_index_table;

/* Parse and check: schema version, digests, sizes, at most IMAGE_LAYERS_MAX layers, and a document
 * is refused that could be read as both a manifest and an index. As image_config_parse(). */
int oci_manifest_parse(const char *text, size_t len, struct oci_manifest *ret, struct err *e);
int oci_index_parse(const char *text, size_t len, struct oci_index *ret, struct err *e);
/* "sha256:" and 64 lower-case digits (sha512: 128). */
bool oci_digest_is_valid(const char *digest);
bool media_type_is_index(const char *media_type);
bool media_type_is_manifest(const char *media_type);
/* File system layers of Docker and OCI, also "nondistributable" (foreign) ones. */
bool media_type_is_layer(const char *media_type);
/* Index of the best entry for this platform ("linux", "amd64", variant or NULL), or -1. A matching
 * variant wins over none given; attestations ("unknown") never match. */
int oci_index_select(const struct oci_index *index, const char *os, const char *architecture,
                     const char *variant);

/* ---- docker-archive ------------------------------------------------------------------------ */
/* An entry of manifest.json as docker save writes it. */
struct archive_image {
    char *config;     /* path in the archive */
    char **repo_tags; /* "busybox:latest" */
    char **layers;    /* paths in the archive, lowest first */
    char *parent;     /* id of another image of the archive, or NULL */
};
extern const struct field_table archive_image_table;
