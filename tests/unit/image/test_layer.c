/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/str.h"

/* Unpacks, checks that the very bytes come back, and returns the diff id. */
static char *keep(struct fixture *f, struct tarball *t) {
    auto_err e = ERR_INIT;
    char *diff_id = NULL;
    tarball_end(t);
    assert_ok(fixture_layer(f, t->mem.out.data, t->mem.out.len, &diff_id, &e), &e);
    auto_buf again = BUF_INIT;
    fixture_layer_tar(f, diff_id, &again);
    assert_int_equal(again.len, t->mem.out.len);
    assert_memory_equal(again.data, t->mem.out.data, again.len);
    tarball_done(t);
    return diff_id;
}

static void assert_is(struct fixture *f, const char *diff_id, const char *name, const char *want) {
    auto_free char *path = fixture_in_layer(f, diff_id, name);
    auto_free char *got = describe(path);
    if (want)
        assert_string_equal(str_or_empty(got), want);
    else
        assert_null(got);
}

static void assert_text(struct fixture *f, const char *diff_id, const char *name,
                        const char *want) {
    auto_free char *path = fixture_in_layer(f, diff_id, name);
    auto_free char *got = slurp(path);
    assert_string_equal(got, want);
}

static bool is_opaque(struct fixture *f, const char *diff_id, const char *name) {
    auto_free char *path = fixture_in_layer(f, diff_id, name);
    char value[4];
    return getxattr(path, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static void test_kinds(void **state) {
    struct fixture *f = *state;
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_DIR, "./", NULL, 0755, 0, NULL);
    tarball_add(&t, TAR_DIR, "./d", NULL, 01777, 7, NULL);
    tarball_add(&t, TAR_FILE, "./d/file", NULL, 04755, 70000, "hello");
    tarball_add(&t, TAR_FILE, "/d/empty", NULL, 0600, 0, "");
    tarball_add(&t, TAR_HARDLINK, "d/second", "./d/file", 0644, 0, NULL);
    tarball_add(&t, TAR_SYMLINK, "d/link", "/etc/passwd", 0777, 5, NULL);
    tarball_add(&t, TAR_FIFO, "d/fifo", NULL, 0640, 1, NULL);
    struct tar_entry dev = {.type = TAR_CHAR, .path = xstrdup("null"), .mode = 0666};
    dev.dev_major = 1;
    dev.dev_minor = 3;
    tarball_entry(&t, &dev, NULL);
    tar_entry_done(&dev);
    struct tar_entry x = {.type = TAR_FILE, .path = xstrdup("x"), .mode = 0755, .size = 3};
    tar_entry_add_xattr(&x, "user.note", "v", 1);
    tar_entry_add_xattr(&x, "trusted.overlay.opaque", "y", 1);
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
    tar_entry_add_xattr(&x, "security.capability", cap, sizeof(cap));
    tarball_entry(&t, &x, "abc");
    tar_entry_done(&x);
    auto_free char *id = keep(f, &t);

    assert_is(f, id, "d", "dir 1777 7:7");
    assert_is(f, id, "d/file", "file 4755 70000:70000");
    assert_text(f, id, "d/second", "hello");
    assert_is(f, id, "d/link", "link 0777 5:5");
    assert_is(f, id, "d/fifo", "fifo 0640 1:1");
    assert_is(f, id, "null", "char 0666 0:0");
    auto_free char *path = fixture_in_layer(f, id, "x");
    char value[64];
    assert_int_equal(getxattr(path, "user.note", value, sizeof(value)), 1);
    assert_int_equal(getxattr(path, "security.capability", value, sizeof(value)), sizeof(cap));
    assert_int_equal(getxattr(path, "trusted.overlay.opaque", value, sizeof(value)), -1);
    struct stat st;
    auto_free char *d = fixture_in_layer(f, id, "d");
    assert_int_equal(lstat(d, &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1600000000);

    struct layer_info info;
    auto_err e = ERR_INIT;
    assert_ok(layer_get(f->layers, id, &info, &e), &e);
    assert_string_equal(info.high_ids[0], "70000");
    assert_null(info.high_ids[1]);
    assert_int_equal(info.size, 8);
    assert_int_equal(info.entries, 9);
    assert_false(info.implied && *info.implied);
    field_done(&layer_info_table, &info);
}

static void test_whiteouts(void **state) {
    struct fixture *f = *state;
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, ".wh.gone", NULL, 0, 0, "");
    tarball_add(&t, TAR_DIR, "opq", NULL, 0755, 0, NULL);
    tarball_add(&t, TAR_FILE, "opq/.wh..wh..opq", NULL, 0, 0, "");
    tarball_add(&t, TAR_FILE, "opq/new", NULL, 0644, 0, "n");
    tarball_add(&t, TAR_FILE, ".wh..wh.aufs", NULL, 0644, 0, "x");
    /* Removed and there: only what lies below is hidden. */
    tarball_add(&t, TAR_FILE, ".wh.both", NULL, 0, 0, "");
    tarball_add(&t, TAR_FILE, "both/child", NULL, 0644, 0, "c");
    tarball_add(&t, TAR_DIR, "other", NULL, 0700, 0, NULL);
    tarball_add(&t, TAR_FILE, ".wh.other", NULL, 0, 0, "");
    tarball_add(&t, TAR_FILE, "plain", NULL, 0700, 0, "p");
    tarball_add(&t, TAR_FILE, ".wh.plain", NULL, 0, 0, "");
    auto_free char *id = keep(f, &t);
    assert_is(f, id, "gone", "whiteout");
    assert_is(f, id, "opq", "dir 0755 0:0");
    assert_true(is_opaque(f, id, "opq"));
    assert_is(f, id, "opq/.wh..wh..opq", NULL);
    assert_is(f, id, ".wh..wh.aufs", NULL);
    assert_true(is_opaque(f, id, "both"));
    assert_text(f, id, "both/child", "c");
    assert_true(is_opaque(f, id, "other"));
    assert_is(f, id, "other", "dir 0700 0:0");
    assert_text(f, id, "plain", "p");
}

/* Names that occur twice: the last one counts, and the first one's bytes are still in the tar. */
static void test_replaced(void **state) {
    struct fixture *f = *state;
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "a", NULL, 0644, 0, "first");
    tarball_add(&t, TAR_HARDLINK, "b", "a", 0644, 0, NULL);
    tarball_add(&t, TAR_FILE, "a", NULL, 0600, 0, "second one");
    tarball_add(&t, TAR_FILE, "d/x", NULL, 0600, 0, "in d");
    tarball_add(&t, TAR_FILE, "d/y/z", NULL, 0600, 0, "deep");
    tarball_add(&t, TAR_SYMLINK, "d", "a", 0777, 0, NULL);
    tarball_add(&t, TAR_FILE, "a", NULL, 0600, 0, "third");
    tarball_add(&t, TAR_DIR, "a", NULL, 0711, 3, NULL);
    tarball_add(&t, TAR_DIR, "a", NULL, 0700, 0, NULL);
    auto_free char *id = keep(f, &t);
    assert_is(f, id, "a", "dir 0700 0:0");
    assert_text(f, id, "b", "first");
    assert_is(f, id, "d", "link 0777 0:0");
    struct layer_info info;
    auto_err e = ERR_INIT;
    assert_ok(layer_get(f->layers, id, &info, &e), &e);
    assert_false(strv_has(info.implied, "d"));
    assert_false(strv_has(info.implied, "d/y"));
    field_done(&layer_info_table, &info);
}

/* Links among the parents lead to places inside the tree, whatever they say. */
static void test_escapes_stay_inside(void **state) {
    struct fixture *f = *state;
    auto_free char *outside = fixture_path(f, "outside");
    assert_int_equal(mkdir(outside, 0755), 0);
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_SYMLINK, "abs", outside, 0777, 0, NULL);
    tarball_add(&t, TAR_FILE, "abs/file", NULL, 0644, 0, "inside");
    tarball_add(&t, TAR_SYMLINK, "up", "../../../../..", 0777, 0, NULL);
    tarball_add(&t, TAR_FILE, "up/file", NULL, 0644, 0, "top");
    tarball_add(&t, TAR_DIR, "usr/bin", NULL, 0755, 0, NULL);
    tarball_add(&t, TAR_SYMLINK, "bin", "usr/bin", 0777, 0, NULL);
    tarball_add(&t, TAR_FILE, "bin/sh", NULL, 0755, 0, "sh");
    tarball_add(&t, TAR_HARDLINK, "hard", "bin/sh", 0755, 0, NULL);
    auto_free char *id = keep(f, &t);
    auto_free char *leaked = fixture_path(f, "outside/file");
    assert_null(describe(leaked));
    assert_text(f, id, "file", "top");
    assert_text(f, id, "usr/bin/sh", "sh");
    assert_text(f, id, "hard", "sh");
    auto_free char *kept = fixture_in_layer(f, id, outside + 1);
    auto_free char *file = xasprintf("%s/file", kept);
    auto_free char *text = slurp(file);
    assert_string_equal(text, "inside");
}

static void refuse(struct fixture *f, struct tarball *t, const char *text) {
    auto_err e = ERR_INIT;
    char *id = NULL;
    tarball_end(t);
    assert_true(fixture_layer(f, t->mem.out.data, t->mem.out.len, &id, &e) < 0);
    assert_non_null(strstr(err_msg(&e), text));
    tarball_done(t);
}

static void test_refused(void **state) {
    struct fixture *f = *state;
    static const struct {
        enum tar_type type;
        const char *path, *link, *text;
    } CASES[] = {
        {TAR_FILE, "../x", NULL, "outside of the root"},
        {TAR_FILE, "a/../../x", NULL, "outside of the root"},
        {TAR_HARDLINK, "h", "../../etc/passwd", "outside of the root"},
        {TAR_HARDLINK, "h", "/etc/passwd", "no such file"},
        {TAR_HARDLINK, "h", "missing", "no such file"},
        {TAR_FILE, ".wh...", NULL, "invalid argument"},
        {TAR_FILE, "a/.wh..", NULL, "invalid argument"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        struct tarball t;
        tarball_init(&t);
        tarball_add(&t, CASES[i].type, CASES[i].path, CASES[i].link, 0644, 0,
                    CASES[i].type == TAR_FILE ? "x" : NULL);
        refuse(f, &t, CASES[i].text);
    }
    /* Nothing half-made stays. */
    auto_free char *tmp = fixture_path(f, "root/tmp");
    assert_int_equal(rmdir(tmp), 0);
    assert_int_equal(mkdir(tmp, 0700), 0);
}

static void test_limits(void **state) {
    struct fixture *f = *state;
    struct layer_limits limits = {.bytes = 10, .entries = 3};
    struct layer_unpack_options o = {.limits = &limits};
    for (int many = 0; many < 2; many++) {
        auto_err e = ERR_INIT;
        struct memory_reader in;
        struct layer_draft *draft;
        struct tarball t;
        tarball_init(&t);
        if (many) {
            for (int i = 0; i < 4; i++)
                tarball_add(&t, TAR_DIR, "d", NULL, 0755, 0, NULL);
        } else {
            tarball_add(&t, TAR_FILE, "a", NULL, 0644, 0, "123456");
            tarball_add(&t, TAR_FILE, "b", NULL, 0644, 0, "123456");
        }
        tarball_end(&t);
        memory_reader_init(&in, t.mem.out.data, t.mem.out.len);
        assert_true(layer_unpack(f->layers, &in.base, &o, &draft, &e) < 0);
        assert_int_equal(e.class, ERR_TOO_LARGE);
        tarball_done(&t);
    }
}

/* Cut at every block: an error each time, never a layer. */
static void test_truncated(void **state) {
    struct fixture *f = *state;
    struct tarball t;
    tarball_init(&t);
    auto_free char *text = xcalloc(1, 3000);
    memset(text, 'x', 2999);
    tarball_add(&t, TAR_FILE, "a", NULL, 0644, 0, text);
    tarball_add(&t, TAR_FILE, "b", NULL, 0644, 0, text);
    tarball_end(&t);
    for (size_t len = 100; len < t.mem.out.len - 1024; len += 500) {
        auto_err e = ERR_INIT;
        char *id = NULL;
        int r = fixture_layer(f, t.mem.out.data, len, &id, &e);
        /* Exactly between two entries a tar may end. */
        if (r == 0)
            layer_unref(f->layers, id);
        else
            assert_non_null(e.msg);
        assert_true(r < 0 || len % 512 == 0);
        free(id);
    }
    tarball_done(&t);
}

/* A tree made here: its tar is the same every time, and survives being unpacked elsewhere. */
static void test_local_layer(void **state) {
    struct fixture *f = *state;
    auto_err e = ERR_INIT;
    auto_free char *first = NULL;
    for (int round = 0; round < 2; round++) {
        struct layer_draft *draft;
        assert_ok(layer_draft_new(f->layers, &draft, &e), &e);
        int dir = layer_draft_dir(draft);
        assert_int_equal(mkdirat(dir, "etc", 0750), 0);
        assert_int_equal(fchmodat(dir, "etc", 0750, 0), 0);
        auto_fd etc = openat(dir, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(fsetxattr(etc, "trusted.overlay.opaque", "y", 1, 0), 0);
        assert_int_equal(mknodat(dir, "removed", S_IFCHR, makedev(0, 0)), 0);
        auto_fd file = openat(etc, "conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(write(file, "conf", 4), 4);
        assert_int_equal(linkat(etc, "conf", dir, "zz", 0), 0);
        struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000, .tv_nsec = 5 * round}};
        assert_int_equal(futimens(file, times), 0);
        assert_int_equal(futimens(etc, times), 0);
        assert_int_equal(utimensat(dir, "removed", times, AT_SYMLINK_NOFOLLOW), 0);
        assert_ok(layer_draft_seal(draft, NULL, &e), &e);
        auto_free char *id = xstrdup(layer_draft_diff_id(draft));
        if (first)
            assert_string_equal(first, id);
        else
            str_set(&first, id);
        assert_ok(layer_draft_commit(draft, &e), &e);
    }
    auto_buf tar = BUF_INIT;
    fixture_layer_tar(f, first, &tar);
    uint64_t size;
    assert_ok(layer_tar_size(f->layers, first, &size, &e), &e);
    assert_int_equal(size, tar.len);
    /* As another engine would get it. */
    layer_unref(f->layers, first);
    layer_unref(f->layers, first);
    assert_false(layer_exists(f->layers, first));
    auto_free char *again = NULL;
    assert_ok(fixture_layer(f, tar.data, tar.len, &again, &e), &e);
    assert_string_equal(again, first);
    assert_is(f, again, "removed", "whiteout");
    assert_true(is_opaque(f, again, "etc"));
    assert_is(f, again, "etc", "dir 0750 0:0");
    assert_text(f, again, "zz", "conf");
}

static void test_references(void **state) {
    struct fixture *f = *state;
    auto_err e = ERR_INIT;
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "a", NULL, 0644, 0, "x");
    auto_free char *id = keep(f, &t);
    assert_ok(layer_ref(f->layers, id, &e), &e);
    layer_unref(f->layers, id);
    assert_true(layer_exists(f->layers, id));
    fixture_reopen(f);
    assert_true(layer_exists(f->layers, id));
    assert_int_equal(layer_store_collect(f->layers), 1);
    assert_false(layer_exists(f->layers, id));
    assert_int_equal(data_root_empty_trash(f->root), 0);
    auto_free char *path = fixture_in_layer(f, id, "a");
    assert_null(describe(path));
    assert_true(layer_ref(f->layers, id, &e) < 0);
    assert_int_equal(e.class, ERR_NOT_FOUND);
}

static void test_unsynced_of_another_boot(void **state) {
    struct fixture *f = *state;
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "a", NULL, 0644, 0, "x");
    auto_free char *old = keep(f, &t);
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "a", NULL, 0644, 0, "synced");
    auto_free char *synced = keep(f, &t);
    auto_free char *mark = fixture_path(f, "root/layers/%s/unsynced", old + 7);
    assert_true(layer_store_is_dirty(f->layers));
    assert_int_equal(layer_store_sync(f->layers), 0);
    assert_false(layer_store_is_dirty(f->layers));
    assert_null(describe(mark));
    spit(mark, "00000000-0000-0000-0000-000000000000");
    fixture_reopen(f);
    assert_false(layer_exists(f->layers, old));
    assert_true(layer_exists(f->layers, synced));
}

struct claimant {
    struct fixture *f;
    const char *id;
    int result;
};
static void *claim_thread(void *arg) {
    struct claimant *c = arg;
    c->result = layer_claim(c->f->layers, c->id, NULL);
    return NULL;
}

static void test_claims(void **state) {
    struct fixture *f = *state;
    struct tarball t;
    char want[DIGEST_SIZE];
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "a", NULL, 0644, 0, "claimed");
    tarball_end(&t);
    digest_of(t.mem.out.data, t.mem.out.len, want);
    assert_int_equal(layer_claim(f->layers, want, NULL), 0);
    struct claimant c = {.f = f, .id = want, .result = -1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, claim_thread, &c), 0);
    bool cancel = true;
    assert_int_equal(layer_claim(f->layers, want, &cancel), -ECANCELED);
    auto_err e = ERR_INIT;
    auto_free char *id = NULL;
    assert_ok(fixture_layer(f, t.mem.out.data, t.mem.out.len, &id, &e), &e);
    layer_claim_end(f->layers, want);
    pthread_join(thread, NULL);
    assert_int_equal(c.result, 1);
    tarball_done(&t);
}

/* A layer that only implies /tmp must not change what the base says of it. */
static void test_fixups(void **state) {
    struct fixture *f = *state;
    auto_err e = ERR_INIT;
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_DIR, "tmp", NULL, 01777, 0, NULL);
    tarball_add(&t, TAR_DIR, "home", NULL, 0711, 0, NULL);
    tarball_add(&t, TAR_DIR, "home/u", NULL, 0700, 1000, NULL);
    tarball_add(&t, TAR_DIR, "same", NULL, 0755, 0, NULL);
    auto_free char *base = keep(f, &t);
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "tmp/x", NULL, 0644, 0, "x");
    tarball_add(&t, TAR_FILE, "home/u/y", NULL, 0644, 0, "y");
    tarball_add(&t, TAR_FILE, "same/z", NULL, 0644, 0, "z");
    tarball_add(&t, TAR_FILE, "own/z", NULL, 0644, 0, "z");
    auto_free char *top = keep(f, &t);
    auto_strv ids = NULL;
    strv_add(&ids, base);
    strv_add(&ids, top);
    auto_strv lower = NULL;
    assert_ok(layer_chain_paths(f->layers, ids, &lower, &e), &e);
    assert_int_equal(strv_len(lower), 3);
    static const struct {
        const char *name, *want;
    } CASES[] = {
        {"tmp", "dir 1777 0:0"},
        {"home", "dir 0711 0:0"},
        {"home/u", "dir 0700 1000:1000"},
        {"same", ""},
        {"own", ""},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        auto_free char *path = xasprintf("%s/%s", lower[0], CASES[i].name);
        auto_free char *got = describe(path);
        assert_string_equal(str_or_empty(got), CASES[i].want);
    }
    /* Remembered over a restart, and gone with one of its layers. */
    auto_free char *fixup = xstrdup(lower[0]);
    fixture_reopen(f);
    assert_ok(layer_ref_all(f->layers, ids, &e), &e);
    lower = strv_free(lower);
    assert_ok(layer_chain_paths(f->layers, ids, &lower, &e), &e);
    assert_string_equal(lower[0], fixup);
    layer_unref(f->layers, top);
    assert_null(describe(fixup));
    /* The other way round nothing is implied. */
    lower = strv_free(lower);
    ids = strv_free(ids);
    strv_add(&ids, base);
    assert_ok(layer_chain_paths(f->layers, ids, &lower, &e), &e);
    assert_int_equal(strv_len(lower), 1);
}

/* Large and sparse files, through the read-ahead of the tar reader. */
static void test_large_and_verbatim(void **state) {
    struct fixture *f = *state;
    struct tarball t;
    size_t size = 3 << 20;
    auto_free char *text = xcalloc(1, size + 1);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + (i * 2654435761u >> 7) % 26);
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "one", NULL, 0644, 0, text);
    tarball_add(&t, TAR_FILE, "small", NULL, 0644, 0, "small");
    /* A mark with content: recorded, not unpacked. */
    tarball_add(&t, TAR_FILE, ".wh.mark", NULL, 0644, 0, text);
    tarball_add(&t, TAR_FILE, "two", NULL, 0644, 0, text + 1000);
    tarball_add(&t, TAR_FILE, "three", NULL, 0644, 0, "end");
    auto_free char *id = keep(f, &t);
    assert_text(f, id, "two", text + 1000);
    assert_text(f, id, "three", "end");
    assert_is(f, id, "mark", "whiteout");
}

int main(void) {
    if (geteuid() != 0) {
        fprintf(stderr, "needs root\n");
        return 77;
    }
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_kinds),
        T(test_whiteouts),
        T(test_replaced),
        T(test_escapes_stay_inside),
        T(test_refused),
        T(test_limits),
        T(test_truncated),
        T(test_local_layer),
        T(test_references),
        T(test_unsynced_of_another_boot),
        T(test_claims),
        T(test_fixups),
        T(test_large_and_verbatim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
