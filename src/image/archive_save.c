/* SPDX-License-Identifier: Apache-2.0 */

/*
 * docker save: blobs by digest, index.json and oci-layout for OCI readers, manifest.json and
 * repositories for Docker's. Every layer once, whatever number of images has it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "format/json.h"
#include "format/ref.h"
#include "format/tar.h"
#include "image/archive.h"
#include "image/buffered.h"
#include "oci/image_config.h"

#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct saver {
    struct layer_store *layers;
    const struct archive_options *o;
    struct tar_writer *tar;
    struct map done; /* digests of blobs that were written */
};

/* An OCI manifest of one image. */
struct manifest {
    char digest[DIGEST_SIZE];
    char *text;
};

static const char *hex_of(const char *digest) {
    return digest + strlen("sha256:");
}

static int write_header(struct saver *s, enum tar_type type, const char *path, uint64_t size) {
    __attribute__((cleanup(tar_entry_done))) struct tar_entry e = {
        .type = type,
        .path = xstrdup(path),
        .mode = type == TAR_DIR ? 0755 : 0644,
        .size = size,
    };
    return tar_write_header(s->tar, &e);
}

static int write_text(struct saver *s, const char *path, const char *text, struct err *e) {
    int r = write_header(s, TAR_FILE, path, strlen(text));
    if (r == 0)
        r = tar_write_data(s->tar, text, strlen(text));
    return r < 0 ? err_sys(e, r, "cannot write %s to the archive", path) : 0;
}

static int write_blob(struct saver *s, const char *digest, const char *text, struct err *e) {
    auto_free char *path = xasprintf("blobs/sha256/%s", hex_of(digest));
    if (map_get(&s->done, digest))
        return 0;
    (void)map_put(&s->done, digest, s);
    return write_text(s, path, text, e);
}

/* ---- layers --------------------------------------------------------------------------------- */

struct data_writer {
    struct writer base;
    struct saver *s;
    const char *diff_id;
    uint64_t count, total;
};

static int write_data(struct writer *w, const void *p, size_t n) {
    struct data_writer *d = container_of(w, struct data_writer, base);
    d->count += n;
    if (d->s->o && d->s->o->progress) {
        char name[13];
        snprintf(name, sizeof(name), "%.12s", hex_of(d->diff_id));
        d->s->o->progress(d->s->o->arg, name, "Saving layer", d->count, d->total);
    }
    return tar_write_data(d->s->tar, p, n);
}

static int write_layer(struct saver *s, const char *diff_id, struct err *e) {
    auto_free char *path = xasprintf("blobs/sha256/%s", hex_of(diff_id));
    struct data_writer w = {.base = {write_data}, .s = s, .diff_id = diff_id};
    if (map_get(&s->done, diff_id))
        return 0;
    (void)map_put(&s->done, diff_id, s);
    int r = layer_tar_size(s->layers, diff_id, &w.total, e);
    if (r < 0)
        return r;
    r = write_header(s, TAR_FILE, path, w.total);
    if (r < 0)
        return err_sys(e, r, "cannot write %s to the archive", path);
    return layer_write_tar(s->layers, diff_id, &w.base, s->o ? s->o->cancel : NULL, e);
}

/* ---- documents ------------------------------------------------------------------------------ */

static void descriptor(struct jw *w, const char *media, const char *digest, uint64_t size) {
    jw_kstr(w, "mediaType", media);
    jw_kstr(w, "digest", digest);
    jw_kuint(w, "size", size);
}

static int layer_descriptor(struct saver *s, struct jw *w, const char *diff_id, struct err *e) {
    uint64_t size;
    int r = layer_tar_size(s->layers, diff_id, &size, e);
    if (r < 0)
        return r;
    jw_object(w);
    descriptor(w, MEDIA_OCI_LAYER, diff_id, size);
    jw_end_object(w);
    return 0;
}

static int make_manifest(struct saver *s, const struct image_item *i, struct manifest *ret,
                         struct err *e) {
    auto_buf out = BUF_INIT;
    struct jw w;
    int r = 0;
    jw_init(&w, &out);
    jw_object(&w);
    jw_kint(&w, "schemaVersion", 2);
    jw_kstr(&w, "mediaType", MEDIA_OCI_MANIFEST);
    jw_key(&w, "config");
    jw_object(&w);
    descriptor(&w, MEDIA_OCI_CONFIG, i->id, strlen(i->config));
    jw_end_object(&w);
    jw_key(&w, "layers");
    jw_array(&w);
    strv_for_each (id, i->diff_ids) {
        if (r == 0)
            r = layer_descriptor(s, &w, id, e);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    if (r < 0)
        return r;
    digest_of(buf_str(&out), out.len, ret->digest);
    ret->text = buf_take(&out);
    return 0;
}

static void index_entry(struct jw *w, const struct manifest *m, const char *tag) {
    jw_object(w);
    descriptor(w, MEDIA_OCI_MANIFEST, m->digest, strlen(m->text));
    if (tag) {
        const char *colon = strrchr(tag, ':');
        jw_key(w, "annotations");
        jw_object(w);
        jw_kstr(w, "io.containerd.image.name", tag);
        jw_kstr(w, "org.opencontainers.image.ref.name", colon ? colon + 1 : tag);
        jw_end_object(w);
    }
    jw_end_object(w);
}

static char *make_index(const struct image_bundle *b, const struct manifest *m) {
    auto_buf out = BUF_INIT;
    struct jw w;
    jw_init(&w, &out);
    jw_object(&w);
    jw_kint(&w, "schemaVersion", 2);
    jw_kstr(&w, "mediaType", MEDIA_OCI_INDEX);
    jw_key(&w, "manifests");
    jw_array(&w);
    for (size_t i = 0; i < b->count; i++) {
        if (!b->items[i].tags)
            index_entry(&w, &m[i], NULL);
        strv_for_each (tag, b->items[i].tags)
            index_entry(&w, &m[i], tag);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    return buf_take(&out);
}

static char *familiar(const char *canonical) {
    struct image_ref ref = {0};
    if (image_ref_parse(canonical, &ref, NULL) < 0)
        return xstrdup(canonical);
    char *text = image_ref_familiar(&ref);
    image_ref_done(&ref);
    return text;
}

static bool bundle_has(const struct image_bundle *b, const char *id) {
    for (size_t i = 0; i < b->count; i++)
        if (str_eq(b->items[i].id, id))
            return true;
    return false;
}

static int docker_entry(struct saver *s, struct jw *w, const struct image_bundle *b,
                        const struct image_item *i, struct err *e) {
    auto_free char *config = xasprintf("blobs/sha256/%s", hex_of(i->id));
    int r = 0;
    jw_object(w);
    jw_kstr(w, "Config", config);
    jw_key(w, "RepoTags");
    if (i->tags) {
        jw_array(w);
        strv_for_each (tag, i->tags) {
            auto_free char *text = familiar(tag);
            jw_str(w, text);
        }
        jw_end_array(w);
    } else {
        jw_null(w);
    }
    jw_key(w, "Layers");
    jw_array(w);
    strv_for_each (id, i->diff_ids) {
        auto_free char *path = xasprintf("blobs/sha256/%s", hex_of(id));
        jw_str(w, path);
    }
    jw_end_array(w);
    /* Only what the reader has by then as well. */
    if (i->parent && bundle_has(b, i->parent))
        jw_kstr(w, "Parent", i->parent);
    jw_key(w, "LayerSources");
    jw_object(w);
    __attribute__((cleanup(map_done))) struct map seen = {0};
    strv_for_each (id, i->diff_ids) {
        if (r < 0 || map_put(&seen, id, s))
            continue;
        jw_key(w, id);
        r = layer_descriptor(s, w, id, e);
    }
    jw_end_object(w);
    jw_end_object(w);
    return r;
}

static int make_docker_manifest(struct saver *s, const struct image_bundle *b, char **ret,
                                struct err *e) {
    auto_buf out = BUF_INIT;
    struct jw w;
    int r = 0;
    jw_init(&w, &out);
    jw_array(&w);
    for (size_t i = 0; r == 0 && i < b->count; i++)
        r = docker_entry(s, &w, b, &b->items[i], e);
    jw_end_array(&w);
    if (r == 0)
        *ret = buf_take(&out);
    return r;
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* {"busybox":{"latest":"<hex>"}}: sorted names with their image's hex behind a blank. */
static char *make_repositories(const struct image_bundle *b) {
    auto_strv names = NULL;
    auto_buf out = BUF_INIT;
    auto_free char *repo = NULL;
    struct jw w;
    for (size_t i = 0; i < b->count; i++) {
        strv_for_each (tag, b->items[i].tags) {
            auto_free char *text = familiar(tag);
            strv_take(&names, xasprintf("%s %s", text, hex_of(b->items[i].id)));
        }
    }
    if (!names)
        return NULL;
    qsort(names, strv_len(names), sizeof(*names), compare_strings);
    jw_init(&w, &out);
    jw_object(&w);
    strv_for_each (name, names) {
        char *blank = strchr(name, ' ');
        *blank = 0;
        char *colon = strrchr(name, ':');
        if (!colon)
            continue;
        *colon = 0;
        if (!str_eq(repo, name)) {
            if (repo)
                jw_end_object(&w);
            str_set(&repo, name);
            jw_key(&w, name);
            jw_object(&w);
        }
        jw_kstr(&w, colon + 1, blank + 1);
    }
    if (repo)
        jw_end_object(&w);
    jw_end_object(&w);
    return buf_take(&out);
}

/* ---- save ----------------------------------------------------------------------------------- */

static int save_blobs(struct saver *s, const struct image_bundle *b, struct manifest *m,
                      struct err *e) {
    int r = write_header(s, TAR_DIR, "blobs", 0);
    if (r == 0)
        r = write_header(s, TAR_DIR, "blobs/sha256", 0);
    if (r < 0)
        return err_sys(e, r, "cannot write the archive");
    for (size_t i = 0; r == 0 && i < b->count; i++) {
        const struct image_item *item = &b->items[i];
        strv_for_each (id, item->diff_ids) {
            if (r == 0)
                r = write_layer(s, id, e);
        }
        if (r == 0)
            r = write_blob(s, item->id, item->config, e);
        if (r == 0)
            r = make_manifest(s, item, &m[i], e);
        if (r == 0)
            r = write_blob(s, m[i].digest, m[i].text, e);
    }
    return r;
}

static int save_documents(struct saver *s, const struct image_bundle *b, const struct manifest *m,
                          struct err *e) {
    auto_free char *index = make_index(b, m);
    auto_free char *repositories = make_repositories(b);
    auto_free char *docker = NULL;
    int r = make_docker_manifest(s, b, &docker, e);
    if (r == 0)
        r = write_text(s, "index.json", index, e);
    if (r == 0)
        r = write_text(s, "manifest.json", docker, e);
    if (r == 0)
        r = write_text(s, "oci-layout", LAYOUT, e);
    if (r == 0 && repositories)
        r = write_text(s, "repositories", repositories, e);
    if (r < 0)
        return r;
    r = tar_write_end(s->tar);
    return r < 0 ? err_sys(e, r, "cannot write the archive") : 0;
}

int archive_save(struct layer_store *layers, const struct image_bundle *images, struct writer *to,
                 const struct archive_options *o, struct err *e) {
    struct buffered_writer buffer;
    buffered_writer_init(&buffer, to);
    struct saver s = {.layers = layers, .o = o, .tar = tar_writer_new(&buffer.base)};
    struct manifest *m = xcalloc(images->count + 1, sizeof(*m));
    int r = save_blobs(&s, images, m, e);
    if (r == 0)
        r = save_documents(&s, images, m, e);
    if (r == 0) {
        r = buffered_writer_flush(&buffer);
        if (r < 0)
            r = err_sys(e, r, "cannot write the archive");
    }
    for (size_t i = 0; i < images->count; i++)
        free(m[i].text);
    free(m);
    map_done(&s.done);
    tar_writer_free(s.tar);
    buffered_writer_done(&buffer);
    return r;
}
