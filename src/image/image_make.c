/* SPDX-License-Identifier: Apache-2.0 */

/* Images made here: docker import and docker commit. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"
#include "format/codec.h"
#include "image/archive_priv.h"
#include "image/commit.h"
#include "image/tree.h"
#include "oci/image_config.h"

static void config_done(struct image_config *c) {
    field_done(&image_config_table, c);
}
#define auto_config __attribute__((cleanup(config_done))) struct image_config

static char *timestamp(int64_t ns) {
    char text[TIME_TEXT_MAX];
    return xstrdup(time_format(ns ? ns : clock_real_ns(), text));
}

/* A "config" member from its JSON text. */
static int set_exec_config(struct container_config **to, const char *text, struct err *e) {
    if (!text)
        return 0;
    struct container_config *c = xnew(struct container_config);
    field_init(&image_exec_config_table, c);
    int r = field_parse_text(&image_exec_config_table, text, strlen(text), c, e);
    if (r < 0) {
        field_done(&image_exec_config_table, c);
        free(c);
        return r;
    }
    if (*to) {
        field_done(&image_exec_config_table, *to);
        free(*to);
    }
    *to = c;
    return 0;
}

/* The item of a finished configuration; takes over the references on `diff_ids`' layers. */
static void finish(struct layer_store *s, struct image_config *c, const char *parent,
                   const char *tag, struct image_bundle *ret) {
    *ret = (struct image_bundle){.layers = s};
    struct image_item *i = image_bundle_add(ret);
    i->config = field_to_text(&image_config_table, c);
    digest_of(i->config, strlen(i->config), i->id);
    i->diff_ids = strv_dup(c->rootfs.diff_ids);
    i->parent = xstrdup_null(parent);
    if (tag)
        strv_add(&i->tags, tag);
    /* The layers are held: they are there. */
    (void)layer_chain_totals(s, i->diff_ids, &i->size, NULL, NULL);
}

/* ---- import --------------------------------------------------------------------------------- */

struct counting_reader {
    struct reader base;
    struct reader *from;
    const struct archive_options *o;
    uint64_t count;
};

static ssize_t count_read(struct reader *r, void *p, size_t n) {
    struct counting_reader *c = container_of(r, struct counting_reader, base);
    if (c->o && c->o->cancel && __atomic_load_n(c->o->cancel, __ATOMIC_RELAXED))
        return -ECANCELED;
    ssize_t got = c->from->read(c->from, p, n);
    if (got > 0) {
        c->count += (uint64_t)got;
        if (c->o && c->o->progress)
            c->o->progress(c->o->arg, "", "Importing", c->count, 0);
    }
    return got;
}

static int import_layer(struct layer_store *s, struct reader *from, const struct archive_options *o,
                        char **ret_diff_id, struct err *e) {
    struct counting_reader c = {.base = {count_read}, .from = from, .o = o};
    struct layer_unpack_options options = {.cancel = o ? o->cancel : NULL};
    struct layer_draft *draft;
    struct reader *tar;
    int r = decompress_open(&c.base, &tar, NULL, e);
    if (r < 0)
        return r;
    r = layer_unpack(s, tar, &options, &draft, e);
    decompress_close(tar);
    if (r < 0)
        return r;
    auto_free char *diff_id = xstrdup(layer_draft_diff_id(draft));
    r = layer_draft_commit(draft, e);
    if (r == 0)
        *ret_diff_id = take_ptr(diff_id);
    return r;
}

int archive_import(struct layer_store *s, struct reader *from, const struct archive_import *i,
                   const struct archive_options *o, struct image_bundle *ret, struct err *e) {
    auto_config c;
    char *diff_id = NULL;
    auto_strv platform = i->platform ? str_split(i->platform, '/') : NULL;
    size_t parts = strv_len(platform);
    field_init(&image_config_table, &c);
    int r = set_exec_config(&c.config, i->config ? i->config : "{}", e);
    if (r == 0)
        r = import_layer(s, from, o, &diff_id, e);
    if (r < 0)
        return r;
    auto_free char *message =
        i->message && *i->message
            ? xstrdup(i->message)
            : xasprintf("Imported from %s", i->source && *i->source ? i->source : "-");
    str_set(&c.os, parts > 0 && *platform[0] ? platform[0] : "linux");
    str_set(&c.architecture, parts > 1 ? platform[1] : archive_host_arch());
    if (parts > 2)
        str_set(&c.variant, platform[2]);
    c.created = timestamp(i->created_ns);
    str_set(&c.docker_version, FENCE_VERSION);
    str_set(&c.comment, message);
    struct image_history *h = field_array_add(&c.history, &image_history_table);
    str_set(&h->created, c.created);
    str_set(&h->comment, message);
    str_set(&c.rootfs.type, "layers");
    strv_take(&c.rootfs.diff_ids, diff_id);
    finish(s, &c, NULL, i->tag, ret);
    return 0;
}

/* ---- commit --------------------------------------------------------------------------------- */

/* 1: a layer was made and is referenced; 0: nothing was changed. */
static int upper_layer(struct layer_store *s, const struct image_commit *c, char **ret_diff_id,
                       struct err *e) {
    struct tree_copy_options copy = {.from_upper = true, .cancel = c->cancel};
    struct layer_draft *draft;
    auto_strv names = NULL;
    auto_fd upper = open(c->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upper < 0)
        return err_sys(e, errno, "cannot read the container's changes");
    int r = tree_list(upper, &names);
    if (r < 0)
        return err_sys(e, r, "cannot read the container's changes");
    if (!names)
        return 0;
    r = layer_draft_new(s, &draft, e);
    if (r < 0)
        return r;
    r = tree_copy(upper, layer_draft_dir(draft), &copy, NULL, e);
    if (r == 0)
        r = layer_draft_seal(draft, c->cancel, e);
    if (r < 0) {
        layer_draft_discard(draft);
        return r;
    }
    auto_free char *diff_id = xstrdup(layer_draft_diff_id(draft));
    r = layer_draft_commit(draft, e);
    if (r < 0)
        return r;
    *ret_diff_id = take_ptr(diff_id);
    return 1;
}

static int commit_config(const struct image_commit *c, struct image_config *to, struct err *e) {
    int r = 0;
    field_init(&image_config_table, to);
    if (c->parent_config)
        r = field_parse_text(&image_config_table, c->parent_config, strlen(c->parent_config), to,
                             e);
    if (r == 0)
        r = set_exec_config(&to->config, c->config ? c->config : "{}", e);
    if (r == 0)
        r = set_exec_config(&to->container_config, c->container_config, e);
    if (r < 0)
        return r;
    if (str_empty(to->os))
        str_set(&to->os, "linux");
    if (str_empty(to->architecture))
        str_set(&to->architecture, archive_host_arch());
    str_set(&to->rootfs.type, "layers");
    str_set(&to->container, c->container);
    str_set(&to->author, c->author);
    str_set(&to->comment, c->comment);
    str_set(&to->docker_version, FENCE_VERSION);
    str_set(&to->created, NULL);
    to->created = timestamp(c->created_ns);
    /* Kept beside the document, as by Docker: an image is the same whoever made it of what. */
    str_set(&to->parent, NULL);
    return 0;
}

int image_commit(struct layer_store *s, const struct image_commit *c, struct image_bundle *ret,
                 struct err *e) {
    auto_config config;
    char *diff_id = NULL;
    int r = commit_config(c, &config, e);
    if (r == 0)
        r = layer_ref_all(s, config.rootfs.diff_ids, e);
    if (r < 0)
        return r;
    if (strv_len(config.rootfs.diff_ids) >= IMAGE_LAYERS_MAX)
        r = err_set(e, ERR_INVALID, "max depth exceeded");
    else
        r = upper_layer(s, c, &diff_id, e);
    if (r < 0) {
        layer_unref_all(s, config.rootfs.diff_ids);
        return r;
    }
    struct image_history *h = field_array_add(&config.history, &image_history_table);
    str_set(&h->created, config.created);
    str_set(&h->author, c->author);
    str_set(&h->comment, c->comment);
    str_set(&h->created_by, c->created_by);
    h->empty_layer = r == 0;
    if (diff_id)
        strv_take(&config.rootfs.diff_ids, diff_id);
    finish(s, &config, c->parent, c->tag, ret);
    return 0;
}
