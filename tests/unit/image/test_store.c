/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "image/store.h"
#include "loop/loop.h"
#include "store/store.h"

struct env {
    struct fixture *f;
    struct loop *loop;
    struct store *db;
    struct image_store *images;
    char *layer;
};

static void env_open(struct env *v) {
    auto_err e = ERR_INIT;
    auto_free char *path = fixture_path(v->f, "db");
    v->loop = loop_new();
    assert_ok(store_open(v->loop, path, &v->db, &e), &e);
    assert_ok(image_store_open(v->f->layers, v->db, &v->images, &e), &e);
}

static void env_close(struct env *v) {
    image_store_free(v->images);
    store_close(v->db);
    loop_free(v->loop);
}

static void env_init(struct env *v, struct fixture *f) {
    auto_err e = ERR_INIT;
    struct tarball t;
    *v = (struct env){.f = f};
    env_open(v);
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "a", NULL, 0644, 5, "abc");
    tarball_end(&t);
    assert_ok(fixture_layer(f, t.mem.out.data, t.mem.out.len, &v->layer, &e), &e);
    tarball_done(&t);
}

static void env_done(struct env *v) {
    env_close(v);
    free(v->layer);
}

/* Registers an image that differs from others by its comment. */
static struct image *add(struct env *v, const char *comment, const char *created,
                         const char *parent, const char *tag) {
    auto_err e = ERR_INIT;
    struct image_bundle b = {.layers = v->f->layers};
    struct image_item *i = image_bundle_add(&b);
    i->config = xasprintf("{\"comment\":\"%s\",\"created\":\"%s\",\"os\":\"linux\","
                          "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
                          comment, created, v->layer);
    digest_of(i->config, strlen(i->config), i->id);
    strv_add(&i->diff_ids, v->layer);
    i->parent = xstrdup_null(parent);
    if (tag)
        strv_add(&i->tags, tag);
    assert_ok(layer_ref(v->f->layers, v->layer, &e), &e);
    struct image *image;
    assert_ok(image_register(v->images, &b, 0, &image, NULL, &e), &e);
    image_bundle_done(&b);
    return image;
}

static void assert_missing(struct env *v, const char *name, const char *text,
                           enum err_class class) {
    auto_err e = ERR_INIT;
    assert_null(image_find(v->images, name, &e));
    assert_string_equal(err_msg(&e), text);
    assert_int_equal(e.class, class);
}

static void test_lookup(void **state) {
    struct env v;
    auto_err e = ERR_INIT;
    env_init(&v, *state);
    struct image *a =
        add(&v, "a", "2020-01-01T00:00:00Z", NULL, "docker.io/library/busybox:latest");
    struct image *b = add(&v, "b", "2021-01-01T00:00:00Z", NULL, "reg.io:5000/x/y:v1");
    char prefix[20];
    assert_ptr_equal(image_find(v.images, "busybox", &e), a);
    assert_ptr_equal(image_find(v.images, "busybox:latest", &e), a);
    assert_ptr_equal(image_find(v.images, "docker.io/library/busybox", &e), a);
    assert_ptr_equal(image_find(v.images, "reg.io:5000/x/y:v1", &e), b);
    assert_ptr_equal(image_find(v.images, b->id, &e), b);
    assert_ptr_equal(image_find(v.images, b->id + 7, &e), b);
    snprintf(prefix, sizeof(prefix), "%.12s", b->id + 7);
    assert_ptr_equal(image_find(v.images, prefix, &e), b);
    snprintf(prefix, sizeof(prefix), "%.14s", b->id);
    assert_ptr_equal(image_find(v.images, prefix, &e), b);
    assert_missing(&v, "nope", "No such image: nope:latest", ERR_NOT_FOUND);
    assert_missing(&v, "busybox:1", "No such image: busybox:1", ERR_NOT_FOUND);
    assert_missing(&v, "UPPER/x:y z", "invalid reference format", ERR_INVALID);
    /* Until two share a first digit. */
    for (int i = 0; i < 17; i++) {
        auto_free char *comment = xasprintf("n%d", i);
        (void)add(&v, comment, "2020-01-01T00:00:00Z", NULL, NULL);
    }
    bool ambiguous = false;
    for (const char *d = "0123456789abcdef"; *d; d++) {
        char one[2] = {*d, 0};
        auto_err ae = ERR_INIT;
        auto_free char *text = xasprintf("Multiple IDs found with provided prefix: %s", one);
        if (!image_find(v.images, one, &ae) && str_eq(ae.msg, text))
            ambiguous = true;
    }
    assert_true(ambiguous);
    size_t n;
    struct image **list = image_list(v.images, &n);
    assert_int_equal(n, 19);
    assert_ptr_equal(list[0], b);
    free(list);
    assert_int_equal(a->size, 3);
    env_done(&v);
}

static void test_tags(void **state) {
    struct env v;
    auto_err e = ERR_INIT;
    env_init(&v, *state);
    struct image *a = add(&v, "a", "", NULL, "docker.io/library/one:latest");
    struct image *b = add(&v, "b", "", NULL, NULL);
    char *ref = NULL;
    assert_ok(image_tag(v.images, b, "two", "", &ref, &e), &e);
    assert_string_equal(ref, "two:latest");
    free(ref);
    /* A name that moves leaves the other image. */
    assert_ok(image_tag(v.images, b, "one", "latest", NULL, &e), &e);
    assert_null(a->tags);
    assert_int_equal(strv_len(b->tags), 2);
    assert_true(image_tag(v.images, b, "sha256", "x", NULL, &e) < 0);
    assert_string_equal(e.msg,
                        "refusing to create an ambiguous tag using digest algorithm as name");
    err_done(&e);
    assert_true(image_tag(v.images, b, "x", "b@d", NULL, &e) < 0);
    assert_string_equal(e.msg, "invalid tag format");
    err_done(&e);
    assert_true(image_tag(v.images, b, "Upper", "", NULL, &e) < 0);
    assert_true(b->last_tag_ns > 0);
    assert_true(image_untag(v.images, "docker.io/library/two:latest"));
    assert_false(image_untag(v.images, "docker.io/library/two:latest"));
    auto_free char *digest = xasprintf("docker.io/library/one@%s", a->id);
    assert_ok(image_put_ref(v.images, a, digest, &e), &e);
    assert_string_equal(a->digests[0], digest);
    assert_ptr_equal(image_find(v.images, digest, &e), a);
    env_done(&v);
}

static void test_persistence(void **state) {
    struct env v;
    auto_err e = ERR_INIT;
    env_init(&v, *state);
    struct image *a = add(&v, "a", "2020-01-01T00:00:00Z", NULL, "docker.io/library/a:latest");
    auto_free char *parent = xstrdup(a->id);
    struct image *b = add(&v, "b", "", parent, "docker.io/library/b:v2");
    auto_free char *child = xstrdup(b->id);
    (void)add(&v, "gone", "", NULL, "docker.io/library/gone:v1");
    assert_int_equal(a->children, 1);
    image_remove(v.images, image_find(v.images, "gone:v1", &e));
    env_close(&v);
    fixture_reopen(v.f);
    env_open(&v);
    assert_int_equal(image_count(v.images), 2);
    b = image_find(v.images, "b:v2", &e);
    assert_non_null(b);
    assert_string_equal(b->id, child);
    assert_string_equal(b->parent, parent);
    assert_int_equal(image_get(v.images, parent)->children, 1);
    assert_int_equal(layer_store_collect(v.f->layers), 0);
    /* A layer that is gone takes its images along. */
    env_close(&v);
    auto_free char *mark = fixture_path(v.f, "root/layers/%s/unsynced", v.layer + 7);
    spit(mark, "another boot");
    fixture_reopen(v.f);
    env_open(&v);
    assert_int_equal(image_count(v.images), 0);
    env_close(&v);
    env_open(&v);
    assert_int_equal(image_count(v.images), 0);
    env_done(&v);
}

struct usage {
    const char *ref; /* created by this name */
    enum image_use use;
};
static enum image_use check_use(void *arg, const struct image *i, const char *ref,
                                const char **ret_container) {
    const struct usage *u = arg;
    if (!str_eq(i->config.comment, "used") || (ref && !str_eq(ref, u->ref)))
        return IMAGE_UNUSED;
    *ret_container = "c0ffee123456";
    return u->use;
}

static char *delete (struct env *v, const char *name, bool force, const struct usage *u) {
    auto_err e = ERR_INIT;
    auto_buf out = BUF_INIT;
    struct image_deletions d;
    struct image_in_use use = {.check = check_use, .arg = (void *)u};
    if (image_delete(v->images, name, force, false, &use, &d, &e) < 0)
        return xstrdup(err_msg(&e));
    for (size_t i = 0; i < d.count; i++)
        buf_printf(&out, "%s %s\n", d.items[i].untagged ? "Untagged" : "Deleted", d.items[i].what);
    image_deletions_done(&d);
    return buf_take(&out);
}

__attribute__((format(printf, 5, 6))) static void assert_delete(struct env *v, const char *name,
                                                                bool force, const struct usage *u,
                                                                const char *fmt, ...) {
    auto_buf want = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&want, fmt, ap);
    va_end(ap);
    auto_free char *got = delete (v, name, force, u);
    assert_string_equal(got, buf_str(&want));
}

static void test_delete(void **state) {
    struct env v;
    auto_err e = ERR_INIT;
    struct usage none = {0}, stopped = {"u:latest", IMAGE_USED_STOPPED},
                 running = {"u:latest", IMAGE_USED_RUNNING};
    char id[DIGEST_SIZE], parent[DIGEST_SIZE];
    env_init(&v, *state);
    /* One name of two, then the last. */
    struct image *a = add(&v, "a", "", NULL, "docker.io/library/a:1");
    assert_ok(image_tag(v.images, a, "a", "2", NULL, &e), &e);
    strcpy(id, a->id);
    assert_delete(&v, "a:1", false, &none, "Untagged a:1\n");
    assert_delete(&v, "a:2", false, &none, "Untagged a:2\nDeleted %s\n", id);
    assert_delete(&v, "a:2", false, &none, "No such image: a:2");
    /* By id: names of one repository are no obstacle, of two they are. */
    a = add(&v, "a", "", NULL, "docker.io/library/a:1");
    assert_ok(image_tag(v.images, a, "b", "1", NULL, &e), &e);
    assert_delete(&v, id, false, &none,
                  "conflict: unable to delete %.12s (must be forced) - image is referenced in "
                  "multiple repositories",
                  id + 7);
    assert_delete(&v, id, true, &none, "Untagged a:1\nUntagged b:1\nDeleted %s\n", id);
    /* A parent without a name goes with its last child. */
    a = add(&v, "p", "", NULL, NULL);
    strcpy(parent, a->id);
    a = add(&v, "c", "", parent, "docker.io/library/c:1");
    strcpy(id, a->id);
    assert_delete(&v, parent, true, &none,
                  "conflict: unable to delete %.12s (cannot be forced) - image has dependent child "
                  "images",
                  parent + 7);
    assert_delete(&v, "c:1", false, &none, "Untagged c:1\nDeleted %s\nDeleted %s\n", id, parent);
    /* In use. */
    a = add(&v, "used", "", NULL, "docker.io/library/u:latest");
    strcpy(id, a->id);
    assert_delete(&v, "u", false, &stopped,
                  "conflict: unable to remove repository reference \"u\" (must force) - "
                  "container c0ffee123456 is using its referenced image %.12s",
                  id + 7);
    assert_delete(&v, id, false, &stopped,
                  "conflict: unable to delete %.12s (must be forced) - image is being used by "
                  "stopped container c0ffee123456",
                  id + 7);
    assert_delete(&v, id, true, &running,
                  "conflict: unable to delete %.12s (cannot be forced) - image is being used by "
                  "running container c0ffee123456",
                  id + 7);
    assert_delete(&v, "u", true, &running, "Untagged u:latest\n");
    assert_non_null(image_get(v.images, id));
    assert_delete(&v, id, true, &stopped, "Deleted %s\n", id);
    assert_int_equal(image_count(v.images), 0);
    /* Only the reference of the test itself is left on the layer. */
    assert_true(layer_exists(v.f->layers, v.layer));
    layer_unref(v.f->layers, v.layer);
    assert_false(layer_exists(v.f->layers, v.layer));
    env_done(&v);
}

static void test_snapshot(void **state) {
    struct env v;
    auto_err e = ERR_INIT;
    struct image_bundle b = {0};
    env_init(&v, *state);
    struct image *a = add(&v, "a", "", NULL, "docker.io/library/a:1");
    struct image *c = add(&v, "c", "", NULL, "docker.io/library/a:2");
    auto_strv names = NULL;
    strv_add(&names, "a");
    assert_ok(image_snapshot(v.images, names, &b, &e), &e);
    assert_int_equal(b.count, 2);
    assert_string_equal(b.items[0].tags[0], "docker.io/library/a:1");
    image_bundle_done(&b);
    names = strv_free(names);
    strv_add(&names, a->id);
    strv_add(&names, "a:2");
    strv_add(&names, c->id);
    assert_ok(image_snapshot(v.images, names, &b, &e), &e);
    assert_int_equal(b.count, 2);
    assert_null(b.items[0].tags);
    assert_int_equal(strv_len(b.items[1].tags), 1);
    image_bundle_done(&b);
    strv_add(&names, "nope");
    assert_true(image_snapshot(v.images, names, &b, &e) < 0);
    assert_string_equal(e.msg, "No such image: nope");
    env_done(&v);
}

int main(void) {
    if (geteuid() != 0) {
        fprintf(stderr, "needs root\n");
        return 77;
    }
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_lookup), T(test_tags), T(test_persistence), T(test_delete), T(test_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
