/* SPDX-License-Identifier: Apache-2.0 */

/* DELETE /images/NAME: the rules of dockerd (daemon/images/image_delete.go). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "format/ref.h"
#include "image/store_priv.h"

enum conflict {
    CONFLICT_CHILDREN = 1,
    CONFLICT_RUNNING = 2,
    CONFLICT_TAGS = 4,
    CONFLICT_STOPPED = 8,
    CONFLICT_HARD = CONFLICT_CHILDREN | CONFLICT_RUNNING,
    CONFLICT_SOFT = CONFLICT_TAGS | CONFLICT_STOPPED,
};

struct deleter {
    struct image_store *s;
    const struct image_in_use *use;
    struct image_deletions *out;
    bool force, no_prune;
};

void image_deletions_done(struct image_deletions *d) {
    for (size_t i = 0; i < d->count; i++)
        free(d->items[i].what);
    free(d->items);
    *d = (struct image_deletions){0};
}

static void record(struct deleter *d, bool untagged, const char *what, const struct image *i) {
    struct image_deletions *o = d->out;
    o->items = xreallocarray(o->items, o->count + 1, sizeof(*o->items));
    struct image_deletion *x = &o->items[o->count++];
    *x = (struct image_deletion){.untagged = untagged, .what = xstrdup(what)};
    memcpy(x->image, i->id, sizeof(x->image));
}

static char *familiar(const char *canonical) {
    struct image_ref ref = {0};
    if (image_ref_parse(canonical, &ref, NULL) < 0)
        return xstrdup(canonical);
    char *text = image_ref_familiar(&ref);
    image_ref_done(&ref);
    return text;
}

static void untag(struct deleter *d, const struct image *i, const char *canonical) {
    auto_free char *text = familiar(canonical);
    if (image_untag(d->s, canonical))
        record(d, true, text, i);
}

static size_t ref_count(const struct image *i) {
    return strv_len(i->tags) + strv_len(i->digests);
}

static enum image_use used(const struct deleter *d, const struct image *i, const char *ref,
                           const char **ret_container) {
    *ret_container = "";
    return d->use && d->use->check ? d->use->check(d->use->arg, i, ref, ret_container)
                                   : IMAGE_UNUSED;
}

static int conflict_error(const struct image *i, bool hard, const char *why, struct err *e) {
    char id[13];
    image_short_id(i, id);
    return err_set(e, ERR_CONFLICT, "conflict: unable to delete %s (%s) - %s", id,
                   hard ? "cannot be forced" : "must be forced", why);
}

/* The first conflict of those in the mask. */
static int check(const struct deleter *d, const struct image *i, unsigned mask, struct err *e) {
    const char *container;
    if ((mask & CONFLICT_CHILDREN) && i->children)
        return conflict_error(i, true, "image has dependent child images", e);
    enum image_use use = used(d, i, NULL, &container);
    if ((mask & CONFLICT_RUNNING) && use == IMAGE_USED_RUNNING) {
        auto_free char *why = xasprintf("image is being used by running container %s", container);
        return conflict_error(i, true, why, e);
    }
    if ((mask & CONFLICT_TAGS) && ref_count(i))
        return conflict_error(i, false, "image is referenced in multiple repositories", e);
    if ((mask & CONFLICT_STOPPED) && use == IMAGE_USED_STOPPED) {
        auto_free char *why = xasprintf("image is being used by stopped container %s", container);
        return conflict_error(i, false, why, e);
    }
    return 0;
}

static void remove_refs(struct deleter *d, struct image *i) {
    while (i->tags)
        untag(d, i, i->tags[0]);
    while (i->digests)
        untag(d, i, i->digests[0]);
}

static bool tags_in_one_repository(const struct image *i) {
    auto_free char *first = NULL;
    strv_for_each (tag, i->tags) {
        auto_free char *repo = xstrndup(tag, (size_t)(strrchr(tag, ':') - tag));
        if (first && !str_eq(first, repo))
            return false;
        str_set(&first, repo);
    }
    strv_for_each (digest, i->digests) {
        auto_free char *repo = xstrndup(digest, strcspn(digest, "@"));
        if (first && !str_eq(first, repo))
            return false;
        str_set(&first, repo);
    }
    return true;
}

/* Removes an image and then parents that nothing names any more. quiet: a conflict is no error
 * (the image then stays, perhaps without names). */
static int delete_image(struct deleter *d, struct image *i, bool force, bool quiet, struct err *e) {
    auto_err conflict = ERR_INIT;
    while (i) {
        unsigned mask = CONFLICT_HARD | (force ? 0 : CONFLICT_SOFT);
        int r = check(d, i, mask, &conflict);
        if (r < 0) {
            if (quiet && ref_count(i) == 0)
                return 0;
            err_move(e, &conflict);
            return r;
        }
        remove_refs(d, i);
        auto_free char *parent = xstrdup_null(i->parent);
        record(d, false, i->id, i);
        image_remove(d->s, i);
        i = parent && !d->no_prune ? image_get(d->s, parent) : NULL;
        /* Parents go only when they are nobody's. */
        if (i && ref_count(i))
            return 0;
        force = false;
        quiet = true;
    }
    return 0;
}

/* By a reference: only the name goes while the image has others. */
static int delete_by_ref(struct deleter *d, struct image *i, const char *canonical,
                         const char *name, struct err *e) {
    auto_free char *text = familiar(canonical);
    const char *container;
    size_t others = ref_count(i) - 1;
    if (others == 0 && !d->force && used(d, i, text, &container) != IMAGE_UNUSED) {
        char id[13];
        image_short_id(i, id);
        return err_set(e, ERR_CONFLICT,
                       "conflict: unable to remove repository reference \"%s\" (must force) - "
                       "container %s is using its referenced image %s",
                       name, container, id);
    }
    untag(d, i, canonical);
    /* A digest that came with this repository's pull goes with its last tag. */
    if (!strchr(canonical, '@') && i->digests) {
        auto_free char *repo = xstrndup(canonical, (size_t)(strrchr(canonical, ':') - canonical));
        auto_free char *tag_prefix = xasprintf("%s:", repo);
        bool tagged = false;
        strv_for_each (tag, i->tags)
            tagged |= str_starts(tag, tag_prefix);
        auto_free char *digest_prefix = xasprintf("%s@", repo);
        auto_strv digests = tagged ? NULL : strv_dup(i->digests);
        strv_for_each (digest, digests) {
            if (str_starts(digest, digest_prefix))
                untag(d, i, digest);
        }
    }
    if (ref_count(i))
        return 0;
    return delete_image(d, i, d->force, true, e);
}

/* The canonical reference that `name` is, when it names this image; NULL: it is an id. */
static char *reference_of(struct image_store *s, const char *name, const struct image *i) {
    struct image_ref ref = {0};
    if (image_ref_parse(name, &ref, NULL) < 0)
        return NULL;
    image_ref_default_tag(&ref);
    if (ref.digest)
        str_set(&ref.tag, NULL);
    char *canonical = image_ref_canonical(&ref);
    image_ref_done(&ref);
    if (image_by_ref(s, canonical) == i)
        return canonical;
    free(canonical);
    return NULL;
}

int image_delete(struct image_store *s, const char *name, bool force, bool no_prune,
                 const struct image_in_use *use, struct image_deletions *ret, struct err *e) {
    struct image_deletions out = {0};
    struct deleter d = {.s = s, .use = use, .out = &out, .force = force, .no_prune = no_prune};
    struct image *i = image_find(s, name, e);
    if (!i)
        return -ENOENT;
    auto_free char *ref = reference_of(s, name, i);
    int r;
    if (ref) {
        r = delete_by_ref(&d, i, ref, name, e);
    } else {
        /* By id: several names of one repository are no reason to refuse. */
        unsigned mask = CONFLICT_HARD | (force ? 0 : CONFLICT_STOPPED);
        if (!force && ref_count(i) > 1 && !tags_in_one_repository(i))
            mask |= CONFLICT_TAGS;
        r = check(&d, i, mask, e);
        if (r == 0) {
            remove_refs(&d, i);
            r = delete_image(&d, i, force, true, e);
        }
    }
    if (r < 0) {
        image_deletions_done(&out);
        return r;
    }
    *ret = out;
    return 0;
}
