/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The objects of an image archive. The documents that say what is what come last in most archives,
 * so what looks like a layer is unpacked as it comes by: nothing large is ever copied aside.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "format/codec.h"
#include "format/json.h"
#include "image/archive_priv.h"

#define TEXTS_MAX (128u << 20) /* all documents of one archive */
#define BLOBS_MAX 100000u
#define LINKS_MAX 8u
#define HEAD_SIZE 512u

static bool cancelled(const struct loader *l) {
    return l->o && l->o->cancel && __atomic_load_n(l->o->cancel, __ATOMIC_RELAXED);
}

/* ---- readers -------------------------------------------------------------------------------- */

/* A reader with a look at its first bytes; tells the caller how far it is. */
struct peek_reader {
    struct reader base;
    struct reader *from;
    struct loader *l;
    const char *name;
    uint64_t count, total;
    size_t at, len;
    char head[HEAD_SIZE];
};

static ssize_t peek_read(struct reader *r, void *p, size_t n) {
    struct peek_reader *k = container_of(r, struct peek_reader, base);
    ssize_t got;
    if (cancelled(k->l))
        return -ECANCELED;
    if (k->at < k->len) {
        got = (ssize_t)(n < k->len - k->at ? n : k->len - k->at);
        memcpy(p, k->head + k->at, (size_t)got);
        k->at += (size_t)got;
    } else {
        got = k->from->read(k->from, p, n);
    }
    if (got > 0) {
        k->count += (uint64_t)got;
        const struct archive_options *o = k->l->o;
        if (o && o->progress && k->name)
            o->progress(o->arg, k->name, "Loading layer", k->count, k->total);
    }
    return got;
}

static int peek_init(struct peek_reader *k, struct loader *l, struct reader *from, uint64_t total) {
    *k = (struct peek_reader){.base = {peek_read}, .from = from, .l = l, .total = total};
    ssize_t n = reader_full(from, k->head, sizeof(k->head));
    if (n < 0)
        return (int)n;
    k->len = (size_t)n;
    return 0;
}

/* ---- blobs ---------------------------------------------------------------------------------- */

static void blob_free(void *p) {
    struct blob *b = p;
    free(b->text);
    layer_draft_discard(b->draft);
    free(b->diff_id);
    free(b->target);
    err_done(&b->err);
    free(b);
}

void loader_done(struct loader *l) {
    map_for_each (m, &l->blobs) {
        struct blob *b = m->value;
        if (b->kind == BLOB_LAYER && b->diff_id && !b->draft)
            layer_unref(l->layers, b->diff_id);
    }
    map_clear(&l->blobs, blob_free);
    map_done(&l->blobs);
    image_bundle_done(&l->images);
}

/* "./a//b" -> "a/b"; ".." steps back. NULL: out of the archive. */
static char *clean(const char *dir, const char *path) {
    auto_free char *joined = xasprintf("%s/%s", dir, path);
    auto_strv parts = str_split(joined, '/');
    auto_free char *out = xcalloc(1, strlen(joined) + 2);
    size_t len = 0;
    strv_for_each (part, parts) {
        size_t n = strlen(part);
        if (n == 0 || str_eq(part, "."))
            continue;
        if (str_eq(part, "..")) {
            if (len == 0)
                return NULL;
            while (len > 0 && out[--len] != '/')
                ;
            out[len] = 0;
            continue;
        }
        if (len)
            out[len++] = '/';
        memcpy(out + len, part, n);
        len += n;
        out[len] = 0;
    }
    return take_ptr(out);
}

struct blob *loader_find(struct loader *l, const char *path) {
    auto_free char *at = clean("", path);
    for (unsigned i = 0; at && i < LINKS_MAX; i++) {
        struct blob *b = map_get(&l->blobs, at);
        if (!b || b->kind != BLOB_LINK)
            return b;
        free(at);
        at = xstrdup(b->target);
    }
    return NULL;
}

int loader_text(struct loader *l, const char *path, const struct blob **ret, struct err *e) {
    const struct blob *b = loader_find(l, path);
    if (!b)
        return err_set(e, ERR_INVALID, "invalid archive: %s is missing", path);
    if (b->kind == BLOB_BAD)
        return err_set(e, ERR_INVALID, "invalid archive: %s: %s", path, err_msg(&b->err));
    if (b->kind != BLOB_TEXT)
        return err_set(e, ERR_INVALID, "invalid archive: %s is no document", path);
    *ret = b;
    return 0;
}

static int put(struct loader *l, const char *path, struct blob *b, struct err *e) {
    if (l->blobs.count >= BLOBS_MAX) {
        blob_free(b);
        return err_set(e, ERR_TOO_LARGE, "invalid archive: too many entries");
    }
    struct blob *old = map_put(&l->blobs, path, b);
    if (old) {
        if (old->kind == BLOB_LAYER && old->diff_id && !old->draft)
            layer_unref(l->layers, old->diff_id);
        blob_free(old);
    }
    return 0;
}

static struct blob *blob_new(enum blob_kind kind) {
    struct blob *b = xnew(struct blob);
    b->kind = kind;
    return b;
}

/* "sha256:<hex>" when the path is that of a content-addressed blob. */
static bool digest_of_path(const char *path, char out[static DIGEST_SIZE]) {
    const char *hex = str_after(path, "blobs/sha256/");
    if (!hex || strlen(hex) != 64)
        return false;
    snprintf(out, DIGEST_SIZE, "sha256:%s", hex);
    return digest_is_valid(out);
}

static bool all_zero(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* The sum in a tar header is right, whatever its flavour. */
static bool is_tar_header(const unsigned char *h) {
    unsigned sum = 0, want = 0;
    for (size_t i = 0; i < HEAD_SIZE; i++)
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    size_t i = 148;
    while (i < 155 && h[i] == ' ')
        i++;
    for (; i < 156 && h[i] >= '0' && h[i] <= '7'; i++)
        want = want * 8 + (h[i] - '0');
    return sum == want;
}

static bool looks_like_layer(const struct peek_reader *k) {
    static const struct {
        const char *bytes;
        size_t len;
    } MAGICS[] = {{"\x1f\x8b", 2},
                  {"\x28\xb5\x2f\xfd", 4},
                  {"\xfd"
                   "7zXZ",
                   5},
                  {"BZh", 3}};
    for (size_t i = 0; i < sizeof(MAGICS) / sizeof(*MAGICS); i++)
        if (k->len >= MAGICS[i].len && memcmp(k->head, MAGICS[i].bytes, MAGICS[i].len) == 0)
            return true;
    return k->len == HEAD_SIZE &&
           (is_tar_header((const unsigned char *)k->head) || all_zero(k->head, HEAD_SIZE));
}

static bool looks_like_text(const struct peek_reader *k) {
    size_t i = 0;
    while (i < k->len && strchr(" \t\r\n", k->head[i]) && k->head[i])
        i++;
    return i < k->len && (k->head[i] == '{' || k->head[i] == '[');
}

/* ---- entries -------------------------------------------------------------------------------- */

static int read_text(struct loader *l, const char *path, struct peek_reader *k, uint64_t size,
                     struct err *e) {
    struct blob *b = blob_new(BLOB_TEXT);
    b->text = xcalloc(1, size + 1);
    b->len = size;
    ssize_t n = reader_full(&k->base, b->text, size);
    if (n >= 0 && (uint64_t)n < size)
        n = -EIO;
    if (n < 0) {
        blob_free(b);
        return err_sys(e, (int)n, "cannot read %s in the archive", path);
    }
    char want[DIGEST_SIZE], got[DIGEST_SIZE];
    digest_of(b->text, b->len, got);
    if (digest_of_path(path, want) && !str_eq(want, got)) {
        b->kind = BLOB_BAD;
        (void)err_set(&b->err, ERR_INVALID, "its digest is %s", got);
    }
    return put(l, path, b, e);
}

static int unpack(struct loader *l, struct peek_reader *k, struct layer_draft **ret,
                  struct err *e) {
    struct reader *tar;
    struct layer_unpack_options options = {.cancel = l->o ? l->o->cancel : NULL};
    int r = decompress_open(&k->base, &tar, NULL, e);
    if (r < 0)
        return r;
    r = layer_unpack(l->layers, tar, &options, ret, e);
    decompress_close(tar);
    return r;
}

static int read_layer(struct loader *l, const char *path, struct peek_reader *k, struct err *e) {
    char digest[DIGEST_SIZE];
    struct blob *b = blob_new(BLOB_LAYER);
    auto_free char *name = NULL;
    /* Uncompressed blobs are named by their diff id: what is there need not be read. */
    if (digest_of_path(path, digest)) {
        name = xstrndup(digest + strlen("sha256:"), 12);
        if (layer_ref(l->layers, digest, NULL) == 0) {
            b->diff_id = xstrdup(digest);
            return put(l, path, b, e);
        }
    } else {
        name = xstrndup(path, 12);
    }
    k->name = name;
    int r = unpack(l, k, &b->draft, &b->err);
    if (r == -ECANCELED || cancelled(l)) {
        blob_free(b);
        return err_set(e, ERR_CANCELLED, "cancelled");
    }
    if (r < 0)
        b->kind = BLOB_BAD;
    else
        b->diff_id = xstrdup(layer_draft_diff_id(b->draft));
    return put(l, path, b, e);
}

static int read_file(struct loader *l, struct tar_reader *tar, const struct tar_entry *entry,
                     const char *path, uint64_t *texts, struct err *e) {
    struct peek_reader k;
    int r = peek_init(&k, l, tar_data(tar), entry->size);
    if (r < 0)
        return err_sys(e, r, "cannot read %s in the archive", path);
    if (entry->size <= JSON_SIZE_MAX && looks_like_text(&k)) {
        *texts += entry->size;
        if (*texts > TEXTS_MAX)
            return err_set(e, ERR_TOO_LARGE, "invalid archive: too many documents");
        return read_text(l, path, &k, entry->size, e);
    }
    return looks_like_layer(&k) ? read_layer(l, path, &k, e) : 0;
}

static int read_entry(struct loader *l, struct tar_reader *tar, const struct tar_entry *entry,
                      uint64_t *texts, struct err *e) {
    auto_free char *path = clean("", entry->path);
    if (!path || !*path)
        return 0;
    if (entry->type == TAR_FILE)
        return read_file(l, tar, entry, path, texts, e);
    if (entry->type != TAR_SYMLINK && entry->type != TAR_HARDLINK)
        return 0;
    /* A layer that two images share is a link in the archives of older Dockers. */
    char *slash = strrchr(path, '/');
    auto_free char *dir =
        entry->type == TAR_SYMLINK && slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
    struct blob *b = blob_new(BLOB_LINK);
    b->target = clean(dir, str_or_empty(entry->link));
    if (!b->target)
        b->target = xstrdup("");
    return put(l, path, b, e);
}

int loader_read(struct loader *l, struct reader *from, struct err *e) {
    struct reader *plain;
    const struct tar_entry *entry;
    uint64_t texts = 0;
    int r = decompress_open(from, &plain, NULL, e);
    if (r < 0)
        return r;
    struct tar_reader *tar = tar_reader_new(plain);
    while ((r = tar_next(tar, &entry, e)) > 0) {
        r = cancelled(l) ? err_set(e, ERR_CANCELLED, "cancelled")
                         : read_entry(l, tar, entry, &texts, e);
        if (r < 0)
            break;
    }
    tar_reader_free(tar);
    decompress_close(plain);
    return r;
}
