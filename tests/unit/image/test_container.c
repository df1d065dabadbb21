/* SPDX-License-Identifier: Apache-2.0 */

/* What is done with a container's tree: overlay mounts, diff, commit, volumes' seeds. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/str.h"
#include "image/changes.h"
#include "image/commit.h"
#include "image/overlay.h"
#include "image/tree.h"

struct container {
    struct fixture *f;
    char *base; /* diff id */
    char **ids, **lower;
    char *upper, *work;
};

static void container_init(struct container *c, struct fixture *f) {
    auto_err e = ERR_INIT;
    struct tarball t;
    *c = (struct container){.f = f};
    tarball_init(&t);
    tarball_add(&t, TAR_DIR, "etc", NULL, 0755, 0, NULL);
    tarball_add(&t, TAR_FILE, "etc/passwd", NULL, 0644, 0, "root:x:0:0\n");
    tarball_add(&t, TAR_FILE, "etc/old", NULL, 0644, 0, "old");
    tarball_add(&t, TAR_DIR, "var/log", NULL, 0755, 0, NULL);
    tarball_add(&t, TAR_FILE, "var/log/a", NULL, 0644, 0, "a");
    tarball_add(&t, TAR_FILE, "var/log/b", NULL, 0644, 0, "b");
    tarball_add(&t, TAR_FILE, "var/log/sub/hidden", NULL, 0644, 0, "h");
    tarball_add(&t, TAR_DIR, "keep/deep", NULL, 0755, 0, NULL);
    tarball_add(&t, TAR_FILE, "keep/deep/x", NULL, 0644, 0, "x");
    tarball_end(&t);
    assert_ok(fixture_layer(f, t.mem.out.data, t.mem.out.len, &c->base, &e), &e);
    tarball_done(&t);
    strv_add(&c->ids, c->base);
    assert_ok(layer_chain_paths(f->layers, c->ids, &c->lower, &e), &e);
    c->upper = fixture_path(f, "upper");
    c->work = fixture_path(f, "work");
    assert_int_equal(mkdir(c->upper, 0755), 0);
    assert_int_equal(mkdir(c->work, 0755), 0);
}

static void container_done(struct container *c) {
    free(c->base);
    strv_free(c->ids);
    strv_free(c->lower);
    free(c->upper);
    free(c->work);
}

static int mount_it(const struct container *c, bool read_only, bool old) {
    auto_err e = ERR_INIT;
    struct overlay_options o = {.lower = c->lower,
                                .upper = c->upper,
                                .work = c->work,
                                .read_only = read_only,
                                .no_new_api = old};
    int fd = -1;
    assert_ok(overlay_mount(&o, &fd, &e), &e);
    return fd;
}

static void put(int root, const char *path, const char *text) {
    auto_fd fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Every kind of change, made through the mount as a container would. */
static void change_things(int root) {
    put(root, "etc/passwd", "changed\n");
    put(root, "etc/new", "new");
    assert_int_equal(unlinkat(root, "etc/old", 0), 0);
    assert_int_equal(mkdirat(root, "fresh", 0700), 0);
    put(root, "fresh/f", "f");
    put(root, "gone-again", "x");
    assert_int_equal(unlinkat(root, "gone-again", 0), 0);
    /* A directory removed and made anew is opaque. */
    assert_int_equal(unlinkat(root, "var/log/a", 0), 0);
    assert_int_equal(unlinkat(root, "var/log/b", 0), 0);
    assert_int_equal(unlinkat(root, "var/log/sub/hidden", 0), 0);
    assert_int_equal(unlinkat(root, "var/log/sub", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(root, "var/log", AT_REMOVEDIR), 0);
    assert_int_equal(mkdirat(root, "var/log", 0711), 0);
    put(root, "var/log/b", "again");
    assert_int_equal(mkdirat(root, "var/log/sub", 0700), 0);
    auto_fd fd = openat(root, "keep/deep/x", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "y", 1), 1);
    assert_int_equal(symlinkat("etc", root, "link"), 0);
    assert_int_equal(linkat(root, "etc/new", root, "hard", 0), 0);
}

static void test_overlay_both_ways(void **state) {
    for (int old = 0; old < 2; old++) {
        struct fixture *f = *state;
        struct container c;
        container_init(&c, f);
        int root = mount_it(&c, false, old);
        put(root, "etc/passwd", "changed");
        fd_close(root);
        auto_free char *up = xasprintf("%s/etc/passwd", c.upper);
        auto_free char *text = slurp(up);
        assert_string_equal(text, "changed");
        root = mount_it(&c, true, old);
        struct stat st;
        assert_int_equal(fstatat(root, "etc/passwd", &st, 0), 0);
        assert_int_equal(st.st_size, 7);
        assert_int_equal(unlinkat(root, "etc/old", 0), -1);
        assert_int_equal(errno, EROFS);
        fd_close(root);
        /* The image alone: one layer. */
        auto_err e = ERR_INIT;
        struct overlay_options o = {.lower = c.lower, .no_new_api = old};
        assert_ok(overlay_mount(&o, &root, &e), &e);
        assert_int_equal(fstatat(root, "etc/passwd", &st, 0), 0);
        assert_int_equal(st.st_size, 11);
        assert_int_equal(mkdirat(root, "no", 0755), -1);
        fd_close(root);
        assert_int_equal(tree_remove_at(AT_FDCWD, c.upper), 0);
        assert_int_equal(tree_remove_at(AT_FDCWD, c.work), 0);
        container_done(&c);
    }
}

static void test_overlay_many_layers(void **state) {
    struct fixture *f = *state;
    for (int old = 0; old < 2; old++) {
        auto_strv lower = NULL;
        for (int i = 0; i < 125; i++) {
            auto_free char *dir = fixture_path(f, "l%03d-a-name-as-long-as-real-ones-%d", i, old);
            auto_free char *file = xasprintf("%s/f%d", dir, i);
            assert_int_equal(mkdir(dir, 0755), 0);
            spit(file, "x");
            strv_add(&lower, dir);
        }
        auto_err e = ERR_INIT;
        struct overlay_options o = {.lower = lower, .no_new_api = old};
        int root = -1;
        assert_ok(overlay_mount(&o, &root, &e), &e);
        struct stat st;
        assert_int_equal(fstatat(root, "f0", &st, 0), 0);
        assert_int_equal(fstatat(root, "f124", &st, 0), 0);
        fd_close(root);
    }
}

static void test_volatile_mark_is_removed(void **state) {
    struct container c;
    container_init(&c, *state);
    struct overlay_options o = {
        .lower = c.lower, .upper = c.upper, .work = c.work, .is_volatile = true};
    for (int i = 0; i < 2; i++) {
        auto_err e = ERR_INIT;
        int root = -1;
        assert_ok(overlay_mount(&o, &root, &e), &e);
        fd_close(root);
    }
    container_done(&c);
}

/* The kernel mounts it read-only when there is no room for a directory: nobody must take it for
 * one that was asked to be so. */
static void test_overlay_without_room(void **state) {
    struct fixture *f = *state;
    for (int old = 0; old < 2; old++) {
        auto_strv lower = NULL;
        auto_free char *disk = fixture_path(f, "disk%d", old);
        auto_free char *below = xasprintf("%s/l", disk), *upper = xasprintf("%s/u", disk);
        auto_free char *work = xasprintf("%s/w", disk), *more = xasprintf("%s/more", disk);
        auto_free char *again = xasprintf("%s/again", disk);
        assert_int_equal(mkdir(disk, 0755), 0);
        /* Room for the root and four more. */
        assert_int_equal(mount("tmpfs", disk, "tmpfs", 0, "size=1m,nr_inodes=5"), 0);
        assert_int_equal(mkdir(below, 0755), 0);
        assert_int_equal(mkdir(upper, 0755), 0);
        assert_int_equal(mkdir(work, 0755), 0);
        strv_add(&lower, below);
        struct overlay_options o = {
            .lower = lower, .upper = upper, .work = work, .no_new_api = old};
        auto_err e = ERR_INIT;
        int root = -1;
        assert_int_equal(mkdir(more, 0755), 0);
        assert_int_equal(mkdir(again, 0755), -1);
        assert_int_equal(errno, ENOSPC);
        assert_true(overlay_mount(&o, &root, &e) < 0);
        assert_non_null(strstr(err_msg(&e), "no space left on device"));
        assert_int_equal(root, -1);
        assert_int_equal(umount2(disk, MNT_DETACH), 0);
    }
}

static void test_changes(void **state) {
    struct container c;
    struct change_list list;
    auto_err e = ERR_INIT;
    auto_buf got = BUF_INIT;
    container_init(&c, *state);
    int root = mount_it(&c, false, false);
    change_things(root);
    fd_close(root);
    assert_ok(changes_find(c.upper, c.lower, &list, &e), &e);
    for (size_t i = 0; i < list.count; i++)
        buf_printf(&got, "%c %s\n", "CAD"[list.items[i].kind], list.items[i].path);
    assert_string_equal(buf_str(&got), "C /etc\n"
                                       "A /etc/new\n"
                                       "D /etc/old\n"
                                       "C /etc/passwd\n"
                                       "A /fresh\n"
                                       "A /fresh/f\n"
                                       "A /hard\n"
                                       "C /keep\n"
                                       "C /keep/deep\n"
                                       "C /keep/deep/x\n"
                                       "A /link\n"
                                       "C /var\n"
                                       "C /var/log\n"
                                       "D /var/log/a\n"
                                       "C /var/log/b\n"
                                       "C /var/log/sub\n"
                                       "D /var/log/sub/hidden\n");
    change_list_done(&list);
    uint64_t size;
    assert_ok(changes_size(c.upper, &size, &e), &e);
    assert_int_equal(size, strlen("changed\n") + strlen("new") + 1 + strlen("again") + 2);
    container_done(&c);
}

static void test_commit(void **state) {
    struct fixture *f = *state;
    struct container c;
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    container_init(&c, f);
    int root = mount_it(&c, false, false);
    change_things(root);
    fd_close(root);
    auto_free char *parent =
        xasprintf("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"old\"]},"
                  "\"history\":[{\"created_by\":\"base\"}],"
                  "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
                  c.base);
    struct image_commit commit = {.upper = c.upper,
                                  .parent = "sha256:parent",
                                  .parent_config = parent,
                                  .config = "{\"Cmd\":[\"new\"],\"Labels\":{\"a\":\"b\"}}",
                                  .container = "c0ffee",
                                  .author = "me",
                                  .comment = "a note",
                                  .created_by = "sh",
                                  .tag = "docker.io/library/done:latest"};
    assert_ok(image_commit(f->layers, &commit, &b, &e), &e);
    assert_int_equal(b.count, 1);
    assert_int_equal(strv_len(b.items[0].diff_ids), 2);
    assert_string_equal(b.items[0].parent, "sha256:parent");
    assert_non_null(strstr(b.items[0].config, "\"Cmd\":[\"new\"]"));
    assert_non_null(strstr(b.items[0].config, "\"created_by\":\"base\"},{"));
    assert_non_null(strstr(b.items[0].config, "\"comment\":\"a note\""));
    /* No attribute of overlayfs but opaque comes along, and the new image shows the same tree. */
    const char *top = b.items[0].diff_ids[1];
    auto_free char *log = fixture_in_layer(f, top, "var/log");
    char value[64];
    assert_int_equal(getxattr(log, "trusted.overlay.opaque", value, sizeof(value)), 1);
    auto_free char *etc = fixture_in_layer(f, top, "etc");
    assert_int_equal(getxattr(etc, "trusted.overlay.origin", value, sizeof(value)), -1);
    assert_int_equal(getxattr(etc, "trusted.overlay.impure", value, sizeof(value)), -1);
    auto_strv lower = NULL;
    assert_ok(layer_chain_paths(f->layers, b.items[0].diff_ids, &lower, &e), &e);
    struct overlay_options o = {.lower = lower};
    assert_ok(overlay_mount(&o, &root, &e), &e);
    struct stat st, hard;
    assert_int_equal(fstatat(root, "etc/old", &st, 0), -1);
    assert_int_equal(fstatat(root, "var/log/a", &st, 0), -1);
    assert_int_equal(fstatat(root, "etc/new", &st, 0), 0);
    assert_int_equal(fstatat(root, "hard", &hard, 0), 0);
    assert_int_equal(st.st_ino, hard.st_ino);
    assert_int_equal(fstatat(root, "var/log", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
    fd_close(root);
    image_bundle_done(&b);
    container_done(&c);
}

static void test_commit_of_nothing(void **state) {
    struct fixture *f = *state;
    struct container c;
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    container_init(&c, f);
    auto_free char *parent = xasprintf("{\"architecture\":\"amd64\",\"os\":\"linux\","
                                       "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
                                       c.base);
    struct image_commit commit = {.upper = c.upper, .parent_config = parent};
    assert_ok(image_commit(f->layers, &commit, &b, &e), &e);
    assert_int_equal(strv_len(b.items[0].diff_ids), 1);
    assert_non_null(strstr(b.items[0].config, "\"empty_layer\":true"));
    image_bundle_done(&b);
    container_done(&c);
}

/* Deeper than any path can be named: removal must not be stopped by it. */
static void test_removal_of_deep_trees(void **state) {
    struct fixture *f = *state;
    auto_free char *top = fixture_path(f, "deep");
    assert_int_equal(mkdir(top, 0755), 0);
    int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(fd, "directory", 0755), 0);
        int next = openat(fd, "directory", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        put(next, "file", "x");
        fd_close(fd);
        fd = next;
        assert_true(fd >= 0);
    }
    fd_close(fd);
    assert_int_equal(tree_remove_at(AT_FDCWD, top), 0);
    assert_null(describe(top));
}

static void test_tree_copy(void **state) {
    struct fixture *f = *state;
    auto_err e = ERR_INIT;
    struct tree_totals totals, again;
    auto_free char *from = fixture_path(f, "from"), *to = fixture_path(f, "to");
    assert_int_equal(mkdir(from, 0750), 0);
    assert_int_equal(mkdir(to, 0755), 0);
    auto_fd src = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd dst = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(src, "d", 02711), 0);
    put(src, "d/a", "content");
    assert_int_equal(fchownat(src, "d/a", 100005, 100006, 0), 0);
    assert_int_equal(fchmodat(src, "d/a", 06755, 0), 0);
    assert_int_equal(linkat(src, "d/a", src, "z", 0), 0);
    assert_int_equal(symlinkat("/nowhere", src, "l"), 0);
    assert_int_equal(mknodat(src, "n", S_IFCHR | 0600, makedev(1, 3)), 0);
    auto_fd sparse = openat(src, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(sparse, "end", 3, 8 << 20), 3);
    struct tree_copy_options o = {.id_base = 100000, .id_size = 65536};
    assert_ok(tree_copy(src, dst, &o, &totals, &e), &e);
    assert_int_equal(totals.entries, 6);
    assert_int_equal(totals.bytes, 7 + (8 << 20) + 3);
    assert_int_equal(tree_measure(dst, &again), 0);
    assert_int_equal(again.bytes, totals.bytes);
    assert_int_equal(again.high.count, 0);
    struct stat st, z;
    assert_int_equal(fstatat(dst, "d/a", &st, 0), 0);
    assert_int_equal(st.st_uid, 5);
    assert_int_equal(st.st_gid, 6);
    assert_int_equal(st.st_mode & 07777, 06755);
    assert_int_equal(fstatat(dst, "z", &z, 0), 0);
    assert_int_equal(st.st_ino, z.st_ino);
    assert_int_equal(fstatat(dst, "sparse", &st, 0), 0);
    assert_true(st.st_blocks < 1000);
    assert_int_equal(fstat(dst, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
}

int main(void) {
    if (geteuid() != 0) {
        fprintf(stderr, "needs root\n");
        return 77;
    }
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_overlay_both_ways),
        T(test_overlay_many_layers),
        T(test_volatile_mark_is_removed),
        T(test_overlay_without_room),
        T(test_changes),
        T(test_commit),
        T(test_commit_of_nothing),
        T(test_removal_of_deep_trees),
        T(test_tree_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
