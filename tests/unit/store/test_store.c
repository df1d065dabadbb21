/* SPDX-License-Identifier: Apache-2.0 */
/* The database: what is written is there again, in order; a full disk loses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "store/store.h"

struct fixture {
    char dir[64];
    bool mounted;
    char *path;
    struct loop *loop;
    struct store *store;
    int results[8];
    unsigned count, wanted;
    bool caught_up;
};

static void open_store(struct fixture *f) {
    f->loop = loop_new();
    assert_int_equal(store_open(f->loop, f->path, &f->store, NULL), 0);
}

static void close_store(struct fixture *f) {
    while (store_settle(f->store))
        loop_drain(f->loop);
    store_close(f->store);
    loop_free(f->loop);
}

static int set_up(void **state) {
    struct fixture *f = xnew(struct fixture);

    snprintf(f->dir, sizeof f->dir, "/tmp/fence-store-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->path = xasprintf("%s/fence.db", f->dir);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    static const char *const names[] = {"fence.db", "fence.db-wal", "fence.db-shm",
                                        "fence.db-reserve"};

    if (f->mounted)
        (void)umount2(f->dir, MNT_DETACH);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        auto_free char *path = xasprintf("%s/%s", f->dir, names[i]);

        (void)unlink(path);
    }
    (void)rmdir(f->dir);
    free(f->path);
    free(f);
    return 0;
}

static void on_done(void *arg, int r) {
    struct fixture *f = arg;

    f->results[f->count++] = r;
    if (f->count == f->wanted)
        loop_stop(f->loop);
}

static void put(struct fixture *f, const char *id, const char *doc, bool told) {
    struct store_txn *t = store_txn_new();

    store_txn_put(t, "thing", id, doc);
    store_commit(f->store, t, told ? on_done : NULL, f);
}

static void del(struct fixture *f, const char *id, bool told) {
    struct store_txn *t = store_txn_new();

    store_txn_del(t, "thing", id);
    store_commit(f->store, t, told ? on_done : NULL, f);
}

/* Runs the loop until so many completions have come. */
static void run(struct fixture *f, unsigned wanted) {
    f->count = 0;
    f->wanted = wanted;
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(f->count, wanted);
}

static int collect(void *arg, const char *id, const char *doc) {
    char *text = arg;

    assert_true(strlen(text) + strlen(id) < 200);
    strcat(strcat(text, id), strlen(doc) < 10 ? doc : "+");
    return 0;
}

static void expect(struct fixture *f, const char *wanted) {
    char text[256] = "";

    assert_int_equal(store_load(f->store, "thing", collect, text, NULL), 0);
    assert_string_equal(text, wanted);
}

static void test_objects_come_back(void **state) {
    struct fixture *f = *state;

    open_store(f);
    put(f, "a", "1", true);
    put(f, "b", "2", false);
    put(f, "a", "3", true);
    del(f, "b", true);
    run(f, 3);
    put(f, "c", "4", false);
    close_store(f);
    open_store(f);
    expect(f, "a3c4");
    close_store(f);
}

static void test_barrier_comes_last(void **state) {
    struct fixture *f = *state;

    open_store(f);
    for (int i = 0; i < 100; i++)
        put(f, "a", "1", false);
    put(f, "b", "2", false);
    store_barrier(f->store, on_done, f);
    run(f, 1);
    assert_int_equal(f->results[0], 0);
    expect(f, "a1b2");
    close_store(f);
}

/* ---- a full disk ----------------------------------------------------------------------------- */
static void mount_small(struct fixture *f) {
    if (mount("fence-test", f->dir, "tmpfs", 0, "size=16m") < 0)
        skip(); /* not root, or no name space to mount in */
    f->mounted = true;
}

static void fill(const struct fixture *f) {
    auto_free char *path = xasprintf("%s/fill", f->dir);
    auto_fd fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static const char block[4096] = {1};

    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
}

static void make_room(const struct fixture *f) {
    auto_free char *path = xasprintf("%s/fill", f->dir);

    assert_int_equal(unlink(path), 0);
}

static void on_caught_up(void *arg) {
    struct fixture *f = arg;

    f->caught_up = true;
    loop_stop(f->loop);
}

static void test_full_disk(void **state) {
    struct fixture *f = *state;
    const size_t size = 3 << 19; /* more than what is held back */
    auto_free char *big = xmalloc(size + 1);

    memset(big, 'x', size);
    big[size] = '\0';
    mount_small(f);
    open_store(f);
    store_on_caught_up(f->store, on_caught_up, f);
    put(f, "a", "1", true);
    put(f, "b", "2", true);
    run(f, 2);
    fill(f);
    put(f, "big", big, true);   /* fails and is forgotten: its caller is told */
    put(f, "late", big, false); /* fails and is kept */
    put(f, "gone", big, false);
    store_barrier(f->store, on_done, f);
    run(f, 2);
    assert_int_equal(f->results[0], -ENOSPC);
    assert_int_equal(f->results[1], -ENOSPC);
    /* What makes room goes through, and takes what was late of the same object along. */
    del(f, "b", true);
    del(f, "gone", true);
    run(f, 2);
    assert_int_equal(f->results[0], 0);
    assert_int_equal(f->results[1], 0);
    assert_false(f->caught_up);
    make_room(f);
    while (!f->caught_up)
        assert_int_equal(loop_run(f->loop), 0);
    store_barrier(f->store, on_done, f);
    run(f, 1);
    assert_int_equal(f->results[0], 0);
    close_store(f);
    open_store(f);
    expect(f, "a1late+");
    close_store(f);
}

static void test_opens_on_a_full_disk(void **state) {
    struct fixture *f = *state;

    mount_small(f);
    open_store(f);
    put(f, "a", "1", true);
    run(f, 1);
    close_store(f);
    fill(f);
    open_store(f);
    expect(f, "a1");
    del(f, "a", true);
    run(f, 1);
    assert_int_equal(f->results[0], 0);
    close_store(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_objects_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_barrier_comes_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_opens_on_a_full_disk, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
