/* SPDX-License-Identifier: Apache-2.0 */

#include "oci/image_config.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"

#define OMIT FIELD_OMIT_EMPTY

/* ---- tables -------------------------------------------------------------------------------- */
static const struct field history_fields[] = {
    FIELD(struct image_history, "created", FIELD_STR, created, OMIT),
    FIELD(struct image_history, "author", FIELD_STR, author, OMIT),
    FIELD(struct image_history, "created_by", FIELD_STR, created_by, OMIT),
    FIELD(struct image_history, "comment", FIELD_STR, comment, OMIT),
    FIELD(struct image_history, "empty_layer", FIELD_BOOL_T, empty_layer, OMIT),
    FIELD_END,
};
const struct field_table image_history_table = FIELD_TABLE(struct image_history, history_fields);

static const struct field rootfs_fields[] = {
    FIELD(struct image_rootfs, "type", FIELD_STR, type, 0),
    FIELD(struct image_rootfs, "diff_ids", FIELD_STRV, diff_ids, OMIT),
    FIELD_END,
};
static const struct field_table rootfs_table = FIELD_TABLE(struct image_rootfs, rootfs_fields);

static const struct field config_fields[] = {
    FIELD(struct image_config, "architecture", FIELD_STR, architecture, OMIT),
    FIELD(struct image_config, "author", FIELD_STR, author, OMIT),
    FIELD(struct image_config, "comment", FIELD_STR, comment, OMIT),
    FIELD_SUB(struct image_config, "config", FIELD_STRUCT_P, config, OMIT, image_exec_config_table),
    FIELD(struct image_config, "container", FIELD_STR, container, OMIT),
    FIELD_SUB(struct image_config, "container_config", FIELD_STRUCT_P, container_config, OMIT,
              image_exec_config_table),
    FIELD(struct image_config, "created", FIELD_STR, created, OMIT),
    FIELD(struct image_config, "docker_version", FIELD_STR, docker_version, OMIT),
    FIELD_SUB(struct image_config, "history", FIELD_ARRAY, history, OMIT, image_history_table),
    FIELD(struct image_config, "id", FIELD_STR, id, OMIT),
    FIELD(struct image_config, "os", FIELD_STR, os, OMIT),
    FIELD(struct image_config, "os.features", FIELD_STRV, os_features, OMIT),
    FIELD(struct image_config, "os.version", FIELD_STR, os_version, OMIT),
    FIELD(struct image_config, "parent", FIELD_STR, parent, OMIT),
    FIELD_SUB(struct image_config, "rootfs", FIELD_STRUCT, rootfs, 0, rootfs_table),
    FIELD(struct image_config, "variant", FIELD_STR, variant, OMIT),
    FIELD_END,
};
const struct field_table image_config_table = FIELD_TABLE(struct image_config, config_fields);

static const struct field platform_fields[] = {
    FIELD(struct oci_platform, "architecture", FIELD_STR, architecture, 0),
    FIELD(struct oci_platform, "os", FIELD_STR, os, 0),
    FIELD(struct oci_platform, "os.version", FIELD_STR, os_version, OMIT),
    FIELD(struct oci_platform, "os.features", FIELD_STRV, os_features, OMIT),
    FIELD(struct oci_platform, "variant", FIELD_STR, variant, OMIT),
    FIELD_END,
};
static const struct field_table platform_table = FIELD_TABLE(struct oci_platform, platform_fields);

static const struct field descriptor_fields[] = {
    FIELD(struct oci_descriptor, "mediaType", FIELD_STR, media_type, 0),
    FIELD(struct oci_descriptor, "size", FIELD_INT, size, 0),
    FIELD(struct oci_descriptor, "digest", FIELD_STR, digest, 0),
    FIELD(struct oci_descriptor, "urls", FIELD_STRV, urls, OMIT),
    FIELD(struct oci_descriptor, "annotations", FIELD_STRMAP, annotations, OMIT),
    FIELD_SUB(struct oci_descriptor, "platform", FIELD_STRUCT_P, platform, OMIT, platform_table),
    FIELD(struct oci_descriptor, "artifactType", FIELD_STR, artifact_type, OMIT),
    FIELD_END,
};
const struct field_table oci_descriptor_table =
    FIELD_TABLE(struct oci_descriptor, descriptor_fields);

static const struct field manifest_fields[] = {
    FIELD(struct oci_manifest, "schemaVersion", FIELD_INT, schema_version, 0),
    FIELD(struct oci_manifest, "mediaType", FIELD_STR, media_type, OMIT),
    FIELD(struct oci_manifest, "artifactType", FIELD_STR, artifact_type, OMIT),
    FIELD_SUB(struct oci_manifest, "config", FIELD_STRUCT, config, 0, oci_descriptor_table),
    FIELD_SUB(struct oci_manifest, "layers", FIELD_ARRAY, layers, FIELD_LIST_EMPTY,
              oci_descriptor_table),
    FIELD(struct oci_manifest, "annotations", FIELD_STRMAP, annotations, OMIT),
    FIELD_END,
};
const struct field_table oci_manifest_table = FIELD_TABLE(struct oci_manifest, manifest_fields);

static const struct field index_fields[] = {
    FIELD(struct oci_index, "schemaVersion", FIELD_INT, schema_version, 0),
    FIELD(struct oci_index, "mediaType", FIELD_STR, media_type, OMIT),
    FIELD_SUB(struct oci_index, "manifests", FIELD_ARRAY, manifests, FIELD_LIST_EMPTY,
              oci_descriptor_table),
    FIELD(struct oci_index, "annotations", FIELD_STRMAP, annotations, OMIT),
    FIELD_END,
};
const struct field_table oci_index_table = FIELD_TABLE(struct oci_index, index_fields);

static const struct field archive_fields[] = {
    FIELD(struct archive_image, "Config", FIELD_STR, config, 0),
    FIELD(struct archive_image, "RepoTags", FIELD_STRV, repo_tags, 0),
    FIELD(struct archive_image, "Layers", FIELD_STRV, layers, 0),
    FIELD(struct archive_image, "Parent", FIELD_STR, parent, OMIT),
    FIELD_END,
};
const struct field_table archive_image_table = FIELD_TABLE(struct archive_image, archive_fields);

/* ---- checks -------------------------------------------------------------------------------- */
bool oci_digest_is_valid(const char *digest) {
    const char *hex;
    size_t want;

    if ((hex = str_after(digest, "sha256:"))) {
        want = 64;
    } else if ((hex = str_after(digest, "sha512:"))) {
        want = 128;
    } else {
        return false;
    }
    return strlen(hex) == want && strspn(hex, "0123456789abcdef") == want;
}

bool media_type_is_index(const char *media_type) {
    return str_eq(media_type, MEDIA_DOCKER_LIST) || str_eq(media_type, MEDIA_OCI_INDEX);
}

bool media_type_is_manifest(const char *media_type) {
    return str_eq(media_type, MEDIA_DOCKER_MANIFEST) || str_eq(media_type, MEDIA_OCI_MANIFEST);
}

bool media_type_is_layer(const char *media_type) {
    return str_starts(media_type, "application/vnd.docker.image.rootfs.diff.tar") ||
           str_starts(media_type, "application/vnd.docker.image.rootfs.foreign.diff.tar") ||
           str_starts(media_type, "application/vnd.oci.image.layer.v1.tar") ||
           str_starts(media_type, "application/vnd.oci.image.layer.nondistributable.v1.tar");
}

static int check_config(const struct image_config *c, struct err *e) {
    size_t layers = strv_len(c->rootfs.diff_ids), with_layer = 0;

    if (!str_empty(c->rootfs.type) && !str_eq(c->rootfs.type, "layers")) {
        return err_set(e, ERR_INVALID, "invalid image config: rootfs type \"%s\"", c->rootfs.type);
    }
    if (layers > IMAGE_LAYERS_MAX) {
        return err_set(e, ERR_INVALID, "max depth exceeded: %zu layers, at most %d", layers,
                       IMAGE_LAYERS_MAX);
    }
    strv_for_each (id, c->rootfs.diff_ids) {
        if (!oci_digest_is_valid(id)) {
            return err_set(e, ERR_INVALID, "invalid image config: diff id \"%s\"", id);
        }
    }
    for (size_t i = 0; i < c->history.count; i++) {
        with_layer += !field_array_at(&c->history, struct image_history, i)->empty_layer;
    }
    /* An image without any history is common (made by other builders); one that contradicts itself
     * would give layers to the wrong lines of `history`. */
    if (c->history.count > 0 && with_layer != layers) {
        return err_set(e, ERR_INVALID,
                       "invalid image config: %zu layers in rootfs, %zu in the history", layers,
                       with_layer);
    }
    return 0;
}

int image_config_parse(const char *text, size_t len, struct image_config *ret, struct err *e) {
    struct image_config c;
    int r;

    field_init(&image_config_table, &c);
    r = field_parse_text(&image_config_table, text, len, &c, e);
    if (r == 0) {
        r = check_config(&c, e);
    }
    if (r < 0) {
        field_done(&image_config_table, &c);
        return r;
    }
    *ret = c;
    return 0;
}

static int check_descriptor(const struct oci_descriptor *d, const char *what, struct err *e) {
    if (!oci_digest_is_valid(d->digest)) {
        return err_set(e, ERR_INVALID, "invalid manifest: digest of %s: \"%s\"", what,
                       str_or_empty(d->digest));
    }
    if (d->size < 0) {
        return err_set(e, ERR_INVALID, "invalid manifest: size of %s", what);
    }
    return 0;
}

static int check_descriptors(const struct field_array *a, const char *what, struct err *e) {
    for (size_t i = 0; i < a->count; i++) {
        int r = check_descriptor(field_array_at(a, struct oci_descriptor, i), what, e);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* A document with members of both kinds could be taken for one by a registry and for the other by
 * us (CVE-2021-41190). */
static int check_kind(struct json_object *doc, bool index, const char *media_type, struct err *e) {
    struct json_object *member = NULL;
    bool has_list = json_object_object_get_ex(doc, "manifests", &member);
    bool has_image = json_object_object_get_ex(doc, "layers", &member) ||
                     json_object_object_get_ex(doc, "config", &member);

    if (has_list && has_image) {
        return err_set(e, ERR_INVALID, "invalid manifest: both a manifest and an index");
    }
    if (index ? has_image : has_list) {
        return err_set(e, ERR_INVALID, "invalid manifest: expected %s",
                       index ? "an index" : "an image manifest");
    }
    if (!str_empty(media_type) &&
        !(index ? media_type_is_index(media_type) : media_type_is_manifest(media_type))) {
        return err_set(e, ERR_INVALID, "invalid manifest: media type \"%s\"", media_type);
    }
    return 0;
}

static int check_version(int64_t version, struct err *e) {
    if (version != 2) {
        return err_set(e, ERR_INVALID, "unsupported manifest schema version %lld",
                       (long long)version);
    }
    return 0;
}

int oci_manifest_parse(const char *text, size_t len, struct oci_manifest *ret, struct err *e) {
    auto_json *doc = NULL;
    struct oci_manifest m;
    int r = jsn_parse(text, len, &doc, e);

    if (r < 0) {
        return r;
    }
    field_init(&oci_manifest_table, &m);
    r = field_parse(&oci_manifest_table, doc, &m, "", e);
    if (r == 0) {
        r = check_version(m.schema_version, e);
    }
    if (r == 0) {
        r = check_kind(doc, false, m.media_type, e);
    }
    if (r == 0) {
        r = check_descriptor(&m.config, "the config", e);
    }
    if (r == 0) {
        r = check_descriptors(&m.layers, "a layer", e);
    }
    if (r == 0 && m.layers.count > IMAGE_LAYERS_MAX) {
        r = err_set(e, ERR_INVALID, "max depth exceeded: %zu layers, at most %d", m.layers.count,
                    IMAGE_LAYERS_MAX);
    }
    if (r < 0) {
        field_done(&oci_manifest_table, &m);
        return r;
    }
    *ret = m;
    return 0;
}

int oci_index_parse(const char *text, size_t len, struct oci_index *ret, struct err *e) {
    auto_json *doc = NULL;
    struct oci_index x;
    int r = jsn_parse(text, len, &doc, e);

    if (r < 0) {
        return r;
    }
    field_init(&oci_index_table, &x);
    r = field_parse(&oci_index_table, doc, &x, "", e);
    if (r == 0) {
        r = check_version(x.schema_version, e);
    }
    if (r == 0) {
        r = check_kind(doc, true, x.media_type, e);
    }
    if (r == 0) {
        r = check_descriptors(&x.manifests, "an entry", e);
    }
    if (r < 0) {
        field_done(&oci_index_table, &x);
        return r;
    }
    *ret = x;
    return 0;
}

int oci_index_select(const struct oci_index *index, const char *os, const char *architecture,
                     const char *variant) {
    int best = -1, best_score = -1;

    for (size_t i = 0; i < index->manifests.count; i++) {
        const struct oci_descriptor *d =
            field_array_at(&index->manifests, struct oci_descriptor, i);
        const struct oci_platform *p = d->platform;
        int score;

        if (!p) {
            /* An entry that names no platform serves when nothing better is there. */
            score = 0;
        } else if (!str_eq(p->os, os) || !str_eq(p->architecture, architecture)) {
            continue;
        } else if (str_eq(str_or_empty(p->variant), str_or_empty(variant))) {
            score = 3;
        } else if (str_empty(p->variant)) {
            score = 2;
        } else {
            score = variant ? -1 : 1;
        }
        if (score > best_score) {
            best = (int)i;
            best_score = score;
        }
    }
    return best;
}
