/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/str.h"
#include "loop/loop.h"
#include "store/store.h"
#include "volume/volume.h"

struct env {
    struct fixture *f;
    struct loop *loop;
    struct store *db;
    struct volume_store *volumes;
};

static void env_open(struct env *v, struct fixture *f) {
    auto_err e = ERR_INIT;
    auto_free char *path = fixture_path(f, "db");
    v->f = f;
    v->loop = loop_new();
    assert_ok(store_open(v->loop, path, &v->db, &e), &e);
    assert_ok(volume_store_open(f->root, v->db, &v->volumes, &e), &e);
}

static void env_close(struct env *v) {
    volume_store_free(v->volumes);
    store_close(v->db);
    loop_free(v->loop);
}

static struct volume *create(struct env *v, const char *name, const struct strmap *labels) {
    auto_err e = ERR_INIT;
    struct volume *vol = NULL;
    struct volume_create c = {.name = name, .labels = labels};
    assert_ok(volume_create(v->volumes, &c, &vol, NULL, &e), &e);
    return vol;
}

static void test_names(void **state) {
    static const struct {
        const char *name, *text;
    } CASES[] = {
        {"x", "create x: volume name is too short, names should be at least two alphanumeric "
              "characters"},
        {"a/b", "create a/b: \"a/b\" includes invalid characters for a local volume name, only "
                "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host "
                "directory, use absolute path"},
        {"..", NULL},
        {".hidden", NULL},
        {"a b", NULL},
        {"-x", NULL},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        auto_err e = ERR_INIT;
        assert_true(volume_name_check(CASES[i].name, &e) < 0);
        assert_int_equal(e.class, ERR_INVALID);
        if (CASES[i].text)
            assert_string_equal(e.msg, CASES[i].text);
    }
    assert_int_equal(volume_name_check("ab", NULL), 0);
    assert_int_equal(volume_name_check("A_b.c-9", NULL), 0);
}

static void test_life(void **state) {
    struct env v;
    auto_err e = ERR_INIT;
    struct strmap labels = {0};
    env_open(&v, *state);
    strmap_put(&labels, "k", "v");
    struct volume *named = create(&v, "data", &labels);
    struct volume *random = create(&v, NULL, NULL);
    assert_int_equal(strlen(random->name), 64);
    assert_true(random->anonymous);
    assert_false(named->anonymous);
    assert_ptr_equal(create(&v, "data", NULL), named);
    assert_string_equal(strmap_get(&named->labels, "k"), "v");
    auto_free char *kind = describe(named->mountpoint);
    assert_string_equal(kind, "dir 0755 0:0");
    volume_ref(named, "c1");
    volume_ref(named, "c1");
    volume_ref(named, "c2");
    assert_true(volume_remove(v.volumes, "data", true, &e) < 0);
    assert_string_equal(e.msg, "remove data: volume is in use - [c1, c2]");
    assert_int_equal(e.class, ERR_CONFLICT);
    volume_unref(named, "c1");
    volume_unref(named, "c1");
    volume_unref(named, "c1");
    assert_int_equal(named->refs, 1);
    volume_unref(named, "c2");
    volume_mark_used(v.volumes, named);
    auto_free char *anonymous = xstrdup(random->name);
    auto_free char *created = xstrdup(named->created);
    env_close(&v);
    env_open(&v, *state);
    assert_int_equal(volume_count(v.volumes), 2);
    named = volume_find(v.volumes, "data", &e);
    assert_string_equal(named->created, created);
    assert_string_equal(strmap_get(&named->labels, "k"), "v");
    assert_false(named->fresh);
    assert_true(volume_find(v.volumes, anonymous, &e)->anonymous);
    auto_free char *path = xstrdup(named->mountpoint);
    assert_int_equal(volume_remove(v.volumes, "data", false, &e), 0);
    assert_null(describe(path));
    err_done(&e);
    assert_null(volume_find(v.volumes, "data", &e));
    assert_string_equal(e.msg, "get data: no such volume");
    assert_int_equal(volume_remove(v.volumes, "data", true, &e), 0);
    err_done(&e);
    struct volume_create c = {.name = "xx", .driver = "nfs"};
    assert_true(volume_create(v.volumes, &c, &named, NULL, &e) < 0);
    assert_string_equal(e.msg,
                        "create xx: error looking up volume plugin nfs: plugin \"nfs\" not found");
    err_done(&e);
    struct volume_create o = {.name = "xx", .options = &labels};
    assert_true(volume_create(v.volumes, &o, &named, NULL, &e) < 0);
    assert_string_equal(e.msg, "create xx: invalid option: \"k\"");
    strmap_done(&labels);
    env_close(&v);
}

static void test_seed(void **state) {
    struct env v;
    auto_err e = ERR_INIT;
    env_open(&v, *state);
    auto_free char *image = fixture_path(v.f, "image");
    auto_free char *data = fixture_path(v.f, "image/srv");
    auto_free char *file = fixture_path(v.f, "image/srv/file");
    assert_int_equal(mkdir(image, 0755), 0);
    assert_int_equal(mkdir(data, 0755), 0);
    assert_int_equal(chown(data, 33, 34), 0);
    assert_int_equal(chmod(data, 02770), 0);
    spit(file, "seed");
    assert_int_equal(chown(file, 1000, 1000), 0);
    assert_int_equal(setxattr(file, "user.note", "n", 1, 0), 0);
    auto_free char *link = fixture_path(v.f, "image/link");
    assert_int_equal(symlink("/srv", link), 0);
    auto_fd root = open(image, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct volume *vol = create(&v, "seeded", NULL);
    assert_ok(volume_seed(vol->mountpoint, root, "/missing", NULL, &e), &e);
    assert_ok(volume_seed(vol->mountpoint, root, "/link", NULL, &e), &e);
    auto_free char *kind = describe(vol->mountpoint);
    assert_string_equal(kind, "dir 2770 33:34");
    auto_free char *copy = xasprintf("%s/file", vol->mountpoint);
    auto_free char *copied = describe(copy);
    assert_string_equal(copied, "file 0644 1000:1000");
    char value[4];
    assert_int_equal(getxattr(copy, "user.note", value, sizeof(value)), 1);
    uint64_t size;
    assert_int_equal(volume_measure(vol->mountpoint, &size), 0);
    assert_int_equal(size, 4);
    /* What has content stays as it is. */
    spit(copy, "own");
    assert_ok(volume_seed(vol->mountpoint, root, "/srv", NULL, &e), &e);
    auto_free char *text = slurp(copy);
    assert_string_equal(text, "own");
    env_close(&v);
}

int main(void) {
    if (geteuid() != 0) {
        fprintf(stderr, "needs root\n");
        return 77;
    }
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {T(test_names), T(test_life), T(test_seed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
