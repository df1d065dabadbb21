/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "format/codec.h"
#include "image/cp.h"
#include "image/tree.h"
#include "sys/caps.h"
#include "sys/mountfd.h"

struct box {
    struct fixture *f;
    struct cp_root root;
    char *dir, *outside;
};

static void box_init(struct box *b, struct fixture *f) {
    *b = (struct box){.f = f, .dir = fixture_path(f, "c"), .outside = fixture_path(f, "outside")};
    assert_int_equal(mkdir(b->dir, 0755), 0);
    assert_int_equal(mkdir(b->outside, 0755), 0);
    b->root.fd = open(b->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = b->root.fd;
    assert_int_equal(mkdirat(fd, "etc", 0755), 0);
    assert_int_equal(mkdirat(fd, "etc/sub", 01777), 0);
    assert_int_equal(fchmodat(fd, "etc/sub", 01777, 0), 0);
    auto_free char *conf = xasprintf("%s/etc/conf", b->dir);
    auto_free char *deep = xasprintf("%s/etc/sub/deep", b->dir);
    spit(conf, "conf text");
    spit(deep, "deep");
    assert_int_equal(symlinkat("/etc/sub", fd, "abs"), 0);
    assert_int_equal(symlinkat("../../../../../etc", fd, "climb"), 0);
    assert_int_equal(symlinkat("sub/../conf", fd, "etc/rel"), 0);
    assert_int_equal(symlinkat(b->outside, fd, "out"), 0);
    assert_int_equal(symlinkat("loop", fd, "loop"), 0);
}

static void box_done(struct box *b) {
    fd_close(b->root.fd);
    free(b->dir);
    free(b->outside);
}

/* "name type size" lines of what cp sends. */
static char *listing(const struct buf *tar) {
    struct memory_reader in;
    const struct tar_entry *entry;
    auto_buf out = BUF_INIT;
    auto_err e = ERR_INIT;
    memory_reader_init(&in, tar->data, tar->len);
    struct tar_reader *t = tar_reader_new(&in.base);
    int r;
    while ((r = tar_next(t, &entry, &e)) > 0)
        buf_printf(&out, "%s %c %u:%u\n", entry->path, entry->type, (unsigned)entry->uid,
                   (unsigned)entry->gid);
    assert_ok(r, &e);
    tar_reader_free(t);
    return buf_take(&out);
}

static char *get(struct box *b, const char *path, char **ret_stat) {
    auto_err e = ERR_INIT;
    struct cp_source *s;
    struct memory_writer w;
    memory_writer_init(&w);
    assert_ok(cp_open(&b->root, "box", path, &s, &e), &e);
    if (ret_stat)
        *ret_stat = cp_stat_json(cp_source_stat(s));
    assert_ok(cp_send(s, &w.base, &e), &e);
    cp_close(s);
    char *list = listing(&w.out);
    buf_done(&w.out);
    return list;
}

static void assert_get(struct box *b, const char *path, const char *want) {
    auto_free char *got = get(b, path, NULL);
    assert_string_equal(got, want);
}

static void test_get(void **state) {
    struct box b;
    box_init(&b, *state);
    assert_get(&b, "/etc/conf", "conf 0 0:0\n");
    assert_get(&b, "etc/../etc//conf", "conf 0 0:0\n");
    assert_get(&b, "/etc/sub", "sub 5 0:0\nsub/deep 0 0:0\n");
    assert_get(&b, "/etc/sub/", "sub 5 0:0\nsub/deep 0 0:0\n");
    assert_get(&b, "/etc/sub/.", ". 5 0:0\n./deep 0 0:0\n");
    assert_get(&b, "/abs", "abs 2 0:0\n");
    assert_get(&b, "/",
               "/ 5 0:0\n/abs 2 0:0\n/climb 2 0:0\n/etc 5 0:0\n/etc/conf 0 0:0\n"
               "/etc/rel 2 0:0\n/etc/sub 5 0:0\n/etc/sub/deep 0 0:0\n/loop 2 0:0\n"
               "/out 2 0:0\n");
    assert_get(&b, "/abs/", "abs 5 0:0\nabs/deep 0 0:0\n");
    assert_get(&b, "/abs/deep", "deep 0 0:0\n");
    assert_get(&b, "/climb/conf", "conf 0 0:0\n");
    assert_get(&b, "/etc/rel", "rel 2 0:0\n");
    /* Rotten paths, in Docker's words. */
    static const char *const MISSING[] = {"/nope", "/etc/nope/x", "/out/x", "/out/."};
    for (size_t i = 0; i < sizeof(MISSING) / sizeof(*MISSING); i++) {
        auto_err e = ERR_INIT;
        struct cp_source *s;
        auto_free char *want = xasprintf("Could not find the file %s in container box", MISSING[i]);
        assert_int_equal(cp_open(&b.root, "box", MISSING[i], &s, &e), -ENOENT);
        assert_string_equal(e.msg, want);
        assert_int_equal(e.class, ERR_NOT_FOUND);
    }
    auto_err e = ERR_INIT;
    struct cp_source *s;
    assert_int_equal(cp_open(&b.root, "box", "/etc/conf/.", &s, &e), -ENOTDIR);
    assert_int_equal(cp_open(&b.root, "box", "/loop/x", &s, &e), -ELOOP);
    box_done(&b);
}

static void test_stat(void **state) {
    struct box b;
    box_init(&b, *state);
    struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000, .tv_nsec = 5000}};
    assert_int_equal(utimensat(b.root.fd, "etc/conf", times, 0), 0);
    static const struct {
        const char *path, *part;
    } CASES[] = {
        {"/etc/conf", "{\"name\":\"conf\",\"size\":9,\"mode\":420,"
                      "\"mtime\":\"2023-11-14T22:13:20.000005Z\",\"linkTarget\":\"\"}"},
        {"/etc/sub", "\"mode\":2148532735,"},
        {"/abs", "\"linkTarget\":\"/etc/sub\""},
        {"/abs", "\"mode\":134218239,"},
        {"/climb", "\"linkTarget\":\"/etc\""},
        {"/etc/rel", "\"linkTarget\":\"/etc/conf\""},
        {"/etc/sub/.", "{\"name\":\".\","},
        {"/", "{\"name\":\"/\","},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        auto_err e = ERR_INIT;
        struct cp_source *s;
        assert_ok(cp_open(&b.root, "box", CASES[i].path, &s, &e), &e);
        auto_free char *json = cp_stat_json(cp_source_stat(s));
        if (!strstr(json, CASES[i].part))
            fail_msg("%s: %s", CASES[i].path, json);
        cp_close(s);
    }
    box_done(&b);
}

static int put(struct box *b, const char *path, struct tarball *t, const struct cp_put_options *o,
               struct err *e) {
    struct memory_reader in;
    static const struct cp_put_options NONE;
    memory_reader_init(&in, t->mem.out.data, t->mem.out.len);
    return cp_put(&b->root, "box", path, &in.base, o ? o : &NONE, e);
}

static void assert_there(struct box *b, const char *path, const char *want) {
    auto_free char *full = xasprintf("%s/%s", b->dir, path);
    auto_free char *got = describe(full);
    assert_string_equal(str_or_empty(got), want);
}

static void test_put(void **state) {
    struct box b;
    auto_err e = ERR_INIT;
    struct tarball t;
    box_init(&b, *state);
    tarball_init(&t);
    tarball_add(&t, TAR_DIR, "./", NULL, 0700, 9, NULL);
    tarball_add(&t, TAR_DIR, "new", NULL, 0710, 5, NULL);
    tarball_add(&t, TAR_FILE, "new/file", NULL, 04755, 1000, "text");
    tarball_add(&t, TAR_FILE, "implied/x/file", NULL, 0644, 1000, "text");
    tarball_add(&t, TAR_SYMLINK, "new/link", "/etc/shadow", 0777, 3, NULL);
    tarball_add(&t, TAR_HARDLINK, "new/hard", "new/file", 0644, 3, NULL);
    tarball_add(&t, TAR_FILE, "deep", NULL, 0600, 0, "replaced");
    tarball_end(&t);
    /* Through a link of the container. */
    assert_ok(put(&b, "/abs", &t, NULL, &e), &e);
    assert_there(&b, "etc/sub", "dir 1777 0:0");
    assert_there(&b, "etc/sub/new", "dir 0710 5:5");
    assert_there(&b, "etc/sub/new/file", "file 4755 1000:1000");
    assert_there(&b, "etc/sub/new/link", "link 0777 3:3");
    assert_there(&b, "etc/sub/implied/x", "dir 0755 0:0");
    auto_free char *deep = xasprintf("%s/etc/sub/deep", b.dir);
    auto_free char *text = slurp(deep);
    assert_string_equal(text, "replaced");
    struct stat st;
    assert_int_equal(fstatat(b.root.fd, "etc/sub/new", &st, 0), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1600000000);
    /* Compressed, with an owner. */
    auto_buf z = BUF_INIT;
    struct memory_writer mem;
    struct writer *gzip;
    memory_writer_init(&mem);
    assert_int_equal(compress_open(CODEC_GZIP, &mem.base, &gzip), 0);
    assert_int_equal(gzip->write(gzip, t.mem.out.data, t.mem.out.len), 0);
    assert_int_equal(compress_close(gzip), 0);
    z = mem.out;
    struct memory_reader in;
    struct cp_put_options owner = {.chown = true, .uid = 33, .gid = 34};
    memory_reader_init(&in, z.data, z.len);
    assert_ok(cp_put(&b.root, "box", "/", &in.base, &owner, &e), &e);
    assert_there(&b, "new/file", "file 4755 33:34");
    tarball_done(&t);
    box_done(&b);
}

/* A container with a map: its ids, its root for what is only implied. */
static void test_put_shifted(void **state) {
    struct box b;
    auto_err e = ERR_INIT;
    struct tarball t;
    box_init(&b, *state);
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "i/file", NULL, 0755, 1000, "text");
    tarball_add(&t, TAR_FIFO, "i/fifo", NULL, 0622, 0, NULL);
    tarball_add(&t, TAR_FILE, "i/far", NULL, 0644, 70000, "text");
    tarball_end(&t);
    b.root.ids.base = 200000;
    b.root.ids.size = 65536;
    assert_ok(put(&b, "/etc", &t, NULL, &e), &e);
    assert_there(&b, "etc/i", "dir 0755 200000:200000");
    assert_there(&b, "etc/i/file", "file 0755 201000:201000");
    assert_there(&b, "etc/i/fifo", "fifo 0622 200000:200000");
    assert_there(&b, "etc/i/far", "file 0644 265534:265534");
    assert_get(&b, "/etc/i/file", "file 0 1000:1000\n");
    /* The thread is the daemon again. */
    auto_free char *own = xasprintf("%s/own", b.dir);
    spit(own, "x");
    assert_there(&b, "own", "file 0644 0:0");
    tarball_done(&t);
    box_done(&b);
}

/* A user namespace with one range of ids, as a container's. */
static int map_fd(uint64_t base) {
    int ready[2], go[2];
    char path[64], c = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        close(go[1]);
        _exit(read(go[0], &c, 1) < 0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    auto_free char *line = xasprintf("0 %llu 65536\n", (unsigned long long)base);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "/proc/%d/%s", pid, i ? "gid_map" : "uid_map");
        assert_int_equal(io_write_existing_at(AT_FDCWD, path, line), 0);
    }
    snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    fd_close(go[0]);
    fd_close(go[1]);
    fd_close(ready[0]);
    fd_close(ready[1]);
    waitpid(pid, NULL, 0);
    return fd;
}

static int idmapped(const char *path, int userns) {
    int fd = sys_open_tree(AT_FDCWD, path, 0);
    assert_true(fd >= 0);
    assert_int_equal(sys_mount_setattr(fd, false, 0, 0, 0, userns), 0);
    return fd;
}

/* The tree of a running container: an overlay over idmapped layers, mounted by its root. What cp
 * puts there has the container's ids inside and on disk. */
static void test_put_into_idmapped_overlay(void **state) {
    struct fixture *f = *state;
    struct box b;
    auto_err e = ERR_INIT;
    struct tarball t;
    const uint64_t base = 300000;
    box_init(&b, f);
    auto_free char *upper = fixture_path(f, "rw/upper"), *work = fixture_path(f, "rw/work");
    auto_free char *rw = fixture_path(f, "rw");
    assert_int_equal(mkdir(rw, 0755) + mkdir(upper, 0755) + mkdir(work, 0755), 0);
    int userns = map_fd(base);
    if (userns < 0)
        skip();
    auto_fd lower = idmapped(b.dir, userns);
    auto_fd rw_mount = idmapped(rw, userns);
    fd_close(userns);
    auto_fd upper_fd = openat(rw_mount, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd work_fd = openat(rw_mount, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd fs = sys_fsopen("overlay");
    setfsgid((gid_t)base);
    setfsuid((uid_t)base);
    assert_int_equal(lcap_raise_effective(), 0);
    int r = sys_fsconfig_fd(fs, "lowerdir+", lower);
    if (r == 0)
        r = sys_fsconfig_fd(fs, "upperdir", upper_fd);
    if (r == 0)
        r = sys_fsconfig_fd(fs, "workdir", work_fd);
    if (r == 0)
        r = sys_fsconfig_create(fs);
    auto_fd mount = r == 0 ? sys_fsmount(fs, 0) : r;
    setfsuid(0);
    setfsgid(0);
    if (mount < 0) {
        box_done(&b);
        skip(); /* before Linux 6.13 layers are not given by descriptor */
    }
    fd_close(b.root.fd);
    b.root.fd = take_fd(&mount);
    b.root.ids.base = base;
    b.root.ids.size = 65536;
    assert_get(&b, "/etc/conf", "conf 0 0:0\n");
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "n/file", NULL, 0755, 1000, "text");
    tarball_add(&t, TAR_FILE, "conf", NULL, 0600, 0, "replaced");
    tarball_add(&t, TAR_SYMLINK, "n/link", "file", 0777, 7, NULL);
    struct tar_entry x = {.type = TAR_FILE, .path = xstrdup("n/cap"), .mode = 0755};
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
    tar_entry_add_xattr(&x, "security.capability", cap, sizeof(cap));
    tarball_entry(&t, &x, NULL);
    tar_entry_done(&x);
    tarball_end(&t);
    assert_ok(put(&b, "/etc", &t, NULL, &e), &e);
    assert_get(&b, "/etc/n", "n 5 0:0\nn/cap 0 0:0\nn/file 0 1000:1000\nn/link 2 7:7\n");
    auto_free char *disk = xasprintf("%s/etc/n/file", upper);
    auto_free char *owner = describe(disk);
    assert_string_equal(owner, "file 0755 1000:1000");
    /* The capability is the container's, and leaves it as it came. */
    struct cp_source *s;
    struct memory_writer w;
    memory_writer_init(&w);
    assert_ok(cp_open(&b.root, "box", "/etc/n/cap", &s, &e), &e);
    assert_ok(cp_send(s, &w.base, &e), &e);
    cp_close(s);
    struct memory_reader in;
    const struct tar_entry *entry;
    memory_reader_init(&in, w.out.data, w.out.len);
    struct tar_reader *reader = tar_reader_new(&in.base);
    assert_int_equal(tar_next(reader, &entry, &e), 1);
    assert_int_equal(entry->xattr_count, 1);
    assert_int_equal(entry->xattrs[0].size, sizeof(cap));
    assert_memory_equal(entry->xattrs[0].value, cap, sizeof(cap));
    tar_reader_free(reader);
    buf_done(&w.out);
    tarball_done(&t);
    box_done(&b);
}

static void test_put_refused(void **state) {
    struct box b;
    box_init(&b, *state);
    static const struct {
        const char *to;
        enum tar_type type;
        const char *path, *link, *text;
        bool no_overwrite;
    } CASES[] = {
        {"/nope", TAR_DIR, "x", NULL, "Could not find the file /nope in container box", false},
        {"/etc/conf", TAR_DIR, "x", NULL, "extraction point is not a directory", false},
        {"/out", TAR_DIR, "x", NULL, "Could not find the file /out in container box", false},
        {"/etc", TAR_FILE, "../x", NULL, "is outside of", false},
        {"/etc", TAR_HARDLINK, "h", "../../outside/x", "invalid hardlink", false},
        {"/etc", TAR_FILE, "sub", NULL, "cannot overwrite directory \"/etc/sub\" with", true},
        {"/etc", TAR_DIR, "conf", NULL, "cannot overwrite non-directory \"/etc/conf\" with", true},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
        auto_err e = ERR_INIT;
        struct cp_put_options o = {.no_overwrite_dir_non_dir = CASES[i].no_overwrite};
        struct tarball t;
        tarball_init(&t);
        tarball_add(&t, CASES[i].type, CASES[i].path, CASES[i].link, 0644, 0,
                    CASES[i].type == TAR_FILE ? "x" : NULL);
        tarball_end(&t);
        assert_true(put(&b, CASES[i].to, &t, &o, &e) < 0);
        if (!strstr(err_msg(&e), CASES[i].text))
            fail_msg("%s: %s", CASES[i].text, err_msg(&e));
        tarball_done(&t);
    }
    /* Without the flag the kinds replace each other. */
    auto_err e = ERR_INIT;
    struct tarball t;
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "sub", NULL, 0644, 0, "x");
    tarball_add(&t, TAR_DIR, "conf", NULL, 0700, 0, NULL);
    tarball_end(&t);
    assert_ok(put(&b, "/etc", &t, NULL, &e), &e);
    assert_there(&b, "etc/sub", "file 0644 0:0");
    assert_there(&b, "etc/conf", "dir 0700 0:0");
    tarball_done(&t);
    box_done(&b);
}

/* Links that a container has prepared, and links in the archive itself. */
static void test_put_stays_inside(void **state) {
    struct box b;
    auto_err e = ERR_INIT;
    struct tarball t;
    box_init(&b, *state);
    tarball_init(&t);
    tarball_add(&t, TAR_FILE, "out/file", NULL, 0644, 0, "x");
    tarball_add(&t, TAR_SYMLINK, "mine", "../../../../../../../tmp", 0777, 0, NULL);
    tarball_add(&t, TAR_FILE, "mine/fence-escaped", NULL, 0644, 0, "x");
    tarball_end(&t);
    assert_ok(put(&b, "/", &t, NULL, &e), &e);
    auto_free char *outside = xasprintf("%s/file", b.outside);
    assert_null(describe(outside));
    assert_null(describe("/tmp/fence-escaped"));
    assert_there(&b, "tmp/fence-escaped", "file 0644 0:0");
    /* The link led to the same name inside. */
    auto_free char *inside = xasprintf("%s%s/file", b.dir, b.outside);
    auto_free char *got = describe(inside);
    assert_string_equal(got, "file 0644 0:0");
    tarball_done(&t);
    box_done(&b);
}

static void test_export(void **state) {
    struct box b;
    auto_err e = ERR_INIT;
    struct memory_writer w;
    box_init(&b, *state);
    memory_writer_init(&w);
    assert_int_equal(linkat(b.root.fd, "etc/conf", b.root.fd, "zhard", 0), 0);
    assert_ok(cp_export(&b.root, &w.base, &e), &e);
    auto_free char *got = listing(&w.out);
    assert_string_equal(got, "abs 2 0:0\nclimb 2 0:0\netc 5 0:0\netc/conf 0 0:0\netc/rel 2 0:0\n"
                             "etc/sub 5 0:0\netc/sub/deep 0 0:0\nloop 2 0:0\nout 2 0:0\n"
                             "zhard 1 0:0\n");
    bool cancel = true;
    b.root.cancel = &cancel;
    assert_int_equal(cp_export(&b.root, &w.base, &e), -ECANCELED);
    buf_done(&w.out);
    box_done(&b);
}

int main(void) {
    if (geteuid() != 0) {
        fprintf(stderr, "needs root\n");
        return 77;
    }
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_get),         T(test_stat),
        T(test_put),         T(test_put_shifted),
        T(test_put_refused), T(test_put_stays_inside),
        T(test_export),      T(test_put_into_idmapped_overlay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
