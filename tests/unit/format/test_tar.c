/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/tar_format.h"

struct mem_reader {
    struct reader base;
    const char *p;
    size_t left, piece;
};

static ssize_t mem_read(struct reader *base, void *p, size_t n) {
    struct mem_reader *m = (struct mem_reader *)base;

    if (n > m->piece)
        n = m->piece;
    if (n > m->left)
        n = m->left;
    if (n > 0)
        memcpy(p, m->p, n);
    m->p += n;
    m->left -= n;
    return (ssize_t)n;
}

struct buf_writer {
    struct writer base;
    struct buf *out;
};

static int buf_write(struct writer *base, const void *p, size_t n) {
    return buf_append(((struct buf_writer *)base)->out, p, n) ? 0 : -EFBIG;
}

/* ---- archives by hand ---------------------------------------------------------------------- */

static void block(struct buf *b, char type, const char *name, const char *size, const char *magic) {
    struct tar_block h = {.typeflag = type};
    int unused;

    memcpy(h.name, name, strnlen(name, sizeof h.name));
    memcpy(h.mode, "0000644", 8);
    memcpy(h.uid, "0000001", 8);
    memcpy(h.gid, "0000002", 8);
    memcpy(h.size, size, strnlen(size, sizeof h.size));
    memcpy(h.mtime, "00000000017", 12);
    memcpy(h.magic, magic, 8);
    memcpy(h.linkname, "target", 6);
    snprintf(h.chksum, sizeof h.chksum, "%06o", tar_checksum(&h, &unused));
    buf_append(b, &h, sizeof h);
}

#define POSIX "ustar\00000"
#define GNU   "ustar  "

static void data(struct buf *b, const void *p, size_t n) {
    static const char zeros[TAR_BLOCK_SIZE];

    buf_append(b, p, n);
    buf_append(b, zeros, -n & (TAR_BLOCK_SIZE - 1));
}

static void pax(struct buf *b, char type, const struct buf *records) {
    char size[24];

    snprintf(size, sizeof size, "%011zo", records->len);
    block(b, type, "pax", size, POSIX);
    data(b, buf_str(records), records->len);
}

static void record(struct buf *b, const char *key, const char *value) {
    tar_put_record(b, key, value, strlen(value));
}

static void end(struct buf *b) {
    static const char zeros[2 * TAR_BLOCK_SIZE];

    buf_append(b, zeros, sizeof zeros);
}

/* All entries as "type path link size data;", or "error N". */
static char *list(const struct buf *b, size_t piece) {
    struct mem_reader m = {{mem_read}, buf_str(b), b->len, piece};
    struct tar_reader *t = tar_reader_new(&m.base);
    const struct tar_entry *e;
    struct buf out = BUF_INIT;
    int r;

    while ((r = tar_next(t, &e, NULL)) > 0) {
        auto_buf content = BUF_INIT;
        char block_[100];
        ssize_t got;

        buf_printf(&out, "%c %s %s %llu ", e->type, e->path, str_or_empty(e->link),
                   (unsigned long long)e->size);
        while ((got = tar_data(t)->read(tar_data(t), block_, sizeof block_)) > 0)
            for (ssize_t i = 0; i < got; i++)
                buf_putc(&content, block_[i] ? block_[i] : '.');
        if (got < 0)
            buf_printf(&out, "error %zd ", got);
        if (content.len > 40)
            content.data[40] = '\0';
        buf_printf(&out, "%s;", buf_str(&content));
    }
    if (r < 0)
        buf_printf(&out, "error %d", r);
    else
        assert_int_equal(tar_next(t, &e, NULL), 0);
    tar_reader_free(t);
    return buf_take(&out);
}

static void assert_list(const struct buf *b, const char *text) {
    for (size_t piece = 1; piece < 100000; piece = piece * 31 + 6) {
        auto_free char *got = list(b, piece);

        assert_string_equal(got, text);
    }
}

static void test_plain(void **state) {
    auto_buf b = BUF_INIT;

    block(&b, '0', "a", "00000000003", POSIX);
    data(&b, "abc", 3);
    block(&b, '\0', "old/", "", "\0\0\0\0\0\0\0");
    block(&b, '5', "dir//", "00000000777", POSIX); /* the size of a directory is none */
    block(&b, '2', "link", "", POSIX);
    block(&b, '1', "hard", "00000000003", POSIX);
    block(&b, '7', "contiguous", "1 ", GNU);
    data(&b, "x", 1);
    block(&b, '3', "chr", "", POSIX);
    block(&b, 'V', "label", "", GNU);
    end(&b);
    buf_puts(&b, "trailing");
    assert_list(&b, "0 a  3 abc;5 old  0 ;5 dir  0 ;2 link target 0 ;1 hard target 0 ;"
                    "0 contiguous  1 x;3 chr  0 ;");
}

static void test_ends(void **state) {
    auto_buf b = BUF_INIT, none = BUF_INIT, junk = BUF_INIT;
    char zeros[TAR_BLOCK_SIZE] = {0};

    assert_list(&none, "");
    block(&b, '0', "a", "00000000003", POSIX);
    data(&b, "abc", 3);
    assert_list(&b, "0 a  3 abc;"); /* no closing blocks: Go takes it */
    buf_append(&b, zeros, sizeof zeros);
    assert_list(&b, "0 a  3 abc;");
    block(&b, '0', "b", "", POSIX);
    assert_list(&b, "0 a  3 abc;error -22"); /* a lone zero block */
    b.len = 515;
    assert_list(&b, "0 a  3 abc;error -5");
    b.len = 514;
    assert_list(&b, "0 a  3 error -5 ab;error -5");
    b.len = 100;
    assert_list(&b, "error -5");
    buf_puts(&junk, "this is no archive, but has more than 512 bytes");
    while (junk.len < 600)
        buf_putc(&junk, 'x');
    assert_list(&junk, "error -22");
}

static void test_extended(void **state) {
    auto_buf b = BUF_INIT, r = BUF_INIT;
    const struct tar_entry *e;
    struct tar_reader *t;
    struct mem_reader m;

    record(&r, "comment", "nothing");
    pax(&b, 'g', &r);
    buf_clear(&r);
    record(&r, "path", "p\xc3\xa4th/");
    record(&r, "linkpath", "other");
    record(&r, "mtime", "-1.5");
    record(&r, "uid", "3000000000");
    record(&r, "gid", "");
    record(&r, "SCHILY.xattr.user.a=b", "");
    tar_put_record(&r, "SCHILY.xattr.user.n", "x\0y", 3);
    pax(&b, 'x', &r);
    block(&b, '2', "short", "", POSIX);
    end(&b);
    assert_list(&b, "2 p\xc3\xa4th other 0 ;");
    m = (struct mem_reader){{mem_read}, b.data, b.len, 4096};
    t = tar_reader_new(&m.base);
    assert_int_equal(tar_next(t, &e, NULL), 1);
    assert_true(e->mtime_ns == -1500000000);
    assert_true(e->uid == 3000000000);
    assert_int_equal(e->gid, 2);
    assert_int_equal(e->xattr_count, 2);
    assert_string_equal(e->xattrs[0].name, "user.a");
    assert_int_equal(e->xattrs[1].size, 3);
    assert_memory_equal(e->xattrs[1].value, "x\0y", 3);
    tar_reader_free(t);

    buf_clear(&b);
    block(&b, 'L', "././@LongLink", "00000000005", GNU);
    data(&b, "long", 5);
    block(&b, 'K', "././@LongLink", "00000000010", GNU);
    data(&b, "longlink", 8);
    block(&b, '1', "short", "", GNU);
    end(&b);
    assert_list(&b, "1 long longlink 0 ;");
}

/* Each would be read differently by somebody. */
static void test_refused(void **state) {
    static const struct {
        const char *key, *value, *size;
    } records[] = {
        {"size", "5", "00000000003"},
        {"size", "-1", ""},
        {"size", "99999999999999999999", ""},
        {"path", "", ""}, /* fine: the block's name, see below */
        {"GNU.sparse.major", "2", ""},
        {"GNU.sparse.map", "0,1,2", ""},
        {"GNU.sparse.offset", "0", ""},
        {"SCHILY.xattr.", "v", ""},
        {"mtime", "1.x", ""},
        {"uid", "-1", ""},
    };
    static const char *const raw[] = {"5 a=b\n",           "7 a=b\n", "6 a=b",
                                      "x a=b\n",           "6 =bb\n", "6 abcd\n",
                                      "99999999999 a=b\n", "0 a=b\n", "-6 a=b\n"};

    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        auto_buf b = BUF_INIT, r = BUF_INIT;

        record(&r, records[i].key, records[i].value);
        pax(&b, 'x', &r);
        block(&b, '0', "f", records[i].size, POSIX);
        end(&b);
        assert_list(&b, str_eq(records[i].key, "path") ? "0 f  0 ;" : "error -22");
    }
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
        auto_buf b = BUF_INIT, r = BUF_INIT;

        buf_puts(&r, raw[i]);
        pax(&b, 'x', &r);
        block(&b, '0', "f", "", POSIX);
        assert_list(&b, "error -22");
    }
    for (int i = 0; i < 8; i++) {
        auto_buf b = BUF_INIT, r = BUF_INIT;
        const char *expected = "error -22";

        switch (i) {
        case 0:
            tar_put_record(&r, "path", "a\0b", 3);
            pax(&b, 'x', &r);
            break;
        case 1:
            record(&r, "path", "a");
            record(&r, "path", "b");
            pax(&b, 'x', &r);
            break;
        case 2:
            record(&r, "path", "a");
            pax(&b, 'x', &r);
            pax(&b, 'x', &r);
            break;
        case 3:
            record(&r, "size", "3");
            pax(&b, 'g', &r);
            break;
        case 4:
            record(&r, "path", "a");
            pax(&b, 'x', &r);
            block(&b, 'L', "x", "00000000002", GNU);
            data(&b, "b", 2);
            break;
        case 5:
            block(&b, 'L', "x", "00000000004", GNU);
            data(&b, "b\0c", 4);
            break;
        case 6:
            block(&b, 'x', "x", "00077777777", POSIX);
            break;
        default:
            record(&r, "path", "a");
            pax(&b, 'x', &r);
            end(&b);
            expected = "error -5";
            break;
        }
        block(&b, '0', "f", "", POSIX);
        end(&b);
        assert_list(&b, expected);
    }
    for (int i = 0; i < 5; i++) {
        static const char *const names[] = {"", "f", "f", "f", "f"};
        static const char *const sizes[] = {"", "0000000000x",
                                            "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                            "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ""};
        auto_buf b = BUF_INIT;

        block(&b, i == 4 ? 'Z' : '0', names[i], sizes[i], GNU);
        assert_list(&b, "error -22");
    }
}

static void test_limits(void **state) {
    auto_buf b = BUF_INIT, r = BUF_INIT, empty = BUF_INIT;
    char *path = xcalloc(1, TAR_PATH_MAX + 2);

    memset(path, 'p', TAR_PATH_MAX + 1);
    record(&r, "path", path);
    pax(&b, 'x', &r);
    block(&b, '0', "f", "", POSIX);
    assert_list(&b, "error -22");
    path[TAR_PATH_MAX] = '\0';
    buf_clear(&r);
    buf_clear(&b);
    record(&r, "path", path);
    pax(&b, 'x', &r);
    block(&b, '0', "f", "", POSIX);
    {
        auto_free char *got = list(&b, 4096);

        assert_int_equal(strlen(got), TAR_PATH_MAX + strlen("0   0 ;"));
    }
    free(path);
    /* headers without end */
    buf_clear(&b);
    for (int i = 0; i < 3000; i++)
        pax(&b, 'g', &empty);
    block(&b, '0', "f", "", POSIX);
    {
        auto_free char *got = list(&b, 4096);

        assert_string_equal(got, "error -22");
    }
}

static void test_pax_sparse(void **state) {
    auto_buf b = BUF_INIT, r = BUF_INIT;
    static const char map[] = "2\n2\n3\n8\n1\n";
    char text[TAR_BLOCK_SIZE + 4] = {0};

    record(&r, "GNU.sparse.major", "1");
    record(&r, "GNU.sparse.minor", "0");
    record(&r, "GNU.sparse.name", "real");
    record(&r, "GNU.sparse.realsize", "10");
    pax(&b, 'x', &r);
    block(&b, '0', "GNUSparseFile.0/real", "00000001004", POSIX);
    memcpy(text, map, sizeof map);
    memcpy(text + TAR_BLOCK_SIZE, "abcd", 4);
    data(&b, text, sizeof text);
    block(&b, '0', "next", "", POSIX);
    end(&b);
    assert_list(&b, "0 real  10 ..abc...d.;0 next  0 ;");

    buf_clear(&r);
    buf_clear(&b);
    record(&r, "GNU.sparse.size", "10");
    record(&r, "GNU.sparse.map", "2,3,8,1,10,0");
    pax(&b, 'x', &r);
    block(&b, '0', "real", "00000000004", POSIX);
    data(&b, "abcd", 4);
    end(&b);
    assert_list(&b, "0 real  10 ..abc...d.;");

    buf_clear(&r);
    buf_clear(&b);
    record(&r, "GNU.sparse.size", "10");
    record(&r, "GNU.sparse.map", "2,3,4,1"); /* overlapping */
    pax(&b, 'x', &r);
    block(&b, '0', "real", "00000000004", POSIX);
    data(&b, "abcd", 4);
    assert_list(&b, "error -22");
}

/* ---- our own writer ------------------------------------------------------------------------ */

static void test_writer(void **state) {
    static const char content[70000] = "content";
    struct tar_entry e = {.type = TAR_FILE,
                          .path = (char *)"dir/file",
                          .mode = 0104755,
                          .uid = 1000,
                          .gid = 2000,
                          .size = sizeof content,
                          .mtime_ns = 1700000000000000000};
    auto_buf out = BUF_INIT, again = BUF_INIT;
    char longest[300], *xattr = (char *)"v\0w";
    struct tar_xattr xattrs[] = {{(char *)"user.z", xattr, 3},
                                 {(char *)"security.capability", xattr, 1}};

    memset(longest, 'l', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (int round = 0; round < 2; round++) {
        struct buf_writer to = {{buf_write}, round == 0 ? &out : &again};
        struct tar_writer *t = tar_writer_new(&to.base);

        e.type = TAR_FILE;
        e.size = sizeof content;
        e.path = (char *)"dir/file";
        e.uid = 1000;
        e.mtime_ns = 1700000000000000000;
        assert_int_equal(tar_write_header(t, &e), 0);
        assert_int_equal(tar_write_header(t, &e), -EINVAL); /* data is due */
        assert_int_equal(tar_write_end(t), -EINVAL);
        assert_int_equal(tar_write_data(t, content, 10), 0);
        assert_int_equal(tar_write_data(t, content + 10, sizeof content - 10), 0);
        assert_int_equal(tar_write_data(t, content, 1), -EINVAL);
        e.type = TAR_SYMLINK;
        e.path = longest;
        e.link = longest;
        e.mtime_ns = -1;
        e.uid = 4000000000;
        e.xattrs = xattrs;
        e.xattr_count = 2;
        assert_int_equal(tar_write_header(t, &e), 0);
        e.xattr_count = 0;
        e.uid = 1;
        e.type = TAR_DIR;
        e.path = (char *)"d";
        assert_int_equal(tar_write_header(t, &e), 0);
        e.type = TAR_CHAR;
        e.dev_major = 259;
        e.dev_minor = 1048575;
        assert_int_equal(tar_write_header(t, &e), 0);
        e.dev_minor = 1u << 30;
        assert_int_equal(tar_write_header(t, &e), -ERANGE);
        e.path = (char *)"";
        assert_int_equal(tar_write_header(t, &e), -EINVAL);
        assert_int_equal(tar_write_end(t), 0);
        tar_writer_free(t);
    }
    assert_int_equal(out.len, again.len);
    assert_memory_equal(out.data, again.data, out.len);
    {
        struct mem_reader m = {{mem_read}, out.data, out.len, 1000};
        struct tar_reader *t = tar_reader_new(&m.base);
        const struct tar_entry *got;

        assert_int_equal(tar_next(t, &got, NULL), 1);
        assert_string_equal(got->path, "dir/file");
        assert_int_equal(got->mode, 04755);
        assert_true(got->mtime_ns == 1700000000000000000);
        assert_int_equal(got->size, sizeof content);
        assert_int_equal(tar_next(t, &got, NULL), 1);
        assert_string_equal(got->path, longest);
        assert_string_equal(got->link, longest);
        assert_true(got->mtime_ns == -1);
        assert_true(got->uid == 4000000000);
        assert_int_equal(got->xattr_count, 2);
        assert_string_equal(got->xattrs[0].name, "security.capability");
        assert_int_equal(got->xattrs[1].size, 3);
        assert_int_equal(tar_next(t, &got, NULL), 1);
        assert_int_equal(got->type, TAR_DIR);
        assert_string_equal(got->path, "d");
        assert_int_equal(tar_next(t, &got, NULL), 1);
        assert_int_equal(got->dev_minor, 1048575);
        assert_int_equal(tar_next(t, &got, NULL), 0);
        tar_reader_free(t);
    }
}

/* A path of each length around the limits of name and prefix. */
static void test_path_lengths(void **state) {
    for (size_t n = 90; n < 270; n++) {
        char path[300], expected[320];
        struct tar_entry e = {.type = n % 2 ? TAR_DIR : TAR_FILE, .path = path};
        auto_buf out = BUF_INIT;
        struct buf_writer to = {{buf_write}, &out};
        struct tar_writer *t = tar_writer_new(&to.base);

        for (size_t i = 0; i < n; i++)
            path[i] = i % 50 == 49 && i + 1 < n ? '/' : 'a';
        path[n] = '\0';
        assert_int_equal(tar_write_header(t, &e), 0);
        assert_int_equal(tar_write_end(t), 0);
        tar_writer_free(t);
        snprintf(expected, sizeof expected, "%c %s  0 ;", e.type, path);
        assert_list(&out, expected);
    }
}

/* ---- other programs ------------------------------------------------------------------------ */

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...) {
    auto_buf command = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&command, fmt, ap);
    va_end(ap);
    return system(buf_str(&command));
}

static void assert_file_from_archive(const char *archive) {
    auto_fd fd = open(archive, O_RDONLY | O_CLOEXEC);
    struct fd_reader from;
    struct tar_reader *t;
    const struct tar_entry *e;
    int r, seen = 0;

    assert_true(fd >= 0);
    fd_reader_init(&from, fd, UINT64_MAX);
    t = tar_reader_new(&from.base);
    while ((r = tar_next(t, &e, NULL)) > 0) {
        if (str_ends(e->path, "/sparse")) {
            auto_free char *whole = xmalloc(e->size + 1);

            assert_int_equal(e->size, 3000000);
            assert_int_equal(reader_full(tar_data(t), whole, e->size + 1), 3000000);
            assert_memory_equal(whole + 1000000, "one", 3);
            assert_memory_equal(whole + 2999990, "0123456789", 10);
            for (size_t i = 0; i < 900000; i++)
                assert_int_equal(whole[i], 0);
            seen++;
        } else if (str_ends(e->path, "deep")) {
            assert_int_equal(strlen(e->path), strlen("./") + 3 * 81 + strlen("deep"));
            seen++;
        } else if (str_ends(e->path, "symlink")) {
            assert_int_equal(strlen(e->link), 200);
            seen++;
        }
    }
    assert_int_equal(r, 0);
    assert_int_equal(seen, 3);
    tar_reader_free(t);
}

static void test_gnu_tar(void **state) {
    static const char *const formats[] = {"--format=gnu",
                                          "--format=gnu -S",
                                          "--format=posix",
                                          "--format=posix -S",
                                          "--format=posix -S --sparse-version=0.1",
                                          "--format=posix -S --sparse-version=0.0"};
    char dir[] = "/tmp/test-tar-XXXXXX";
    auto_free char *archive = NULL;

    if (run("tar --version >/dev/null 2>&1") != 0)
        skip();
    assert_non_null(mkdtemp(dir));
    archive = xasprintf("%s.tar", dir);
    assert_int_equal(
        run("cd %s && d=$(printf '%%080d/%%080d/%%080d' 1 2 3) && mkdir -p $d && >$d/deep && "
            "ln -s $(printf '%%0200d' 7) symlink && truncate -s 3000000 sparse && "
            "printf one | dd of=sparse conv=notrunc bs=1000000 seek=1 status=none && "
            "printf 0123456789 | dd of=sparse conv=notrunc bs=10 seek=299999 status=none",
            dir),
        0);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        assert_int_equal(run("tar %s -C %s -cf %s .", formats[i], dir, archive), 0);
        assert_file_from_archive(archive);
    }
    assert_int_equal(run("rm -rf %s %s", dir, archive), 0);
}

/* GNU tar reads back what we write. */
static void test_gnu_tar_reads(void **state) {
    static const char script[] = "tar -tvf %s --numeric-owner --full-time > %s.txt && "
                                 "grep -q '^-rwxr-xr-x 5000000/7 *3 .*dir/b$' %s.txt && "
                                 "grep -q -- \"-> $(printf '%%0150d' 0)$\" %s.txt && "
                                 "test $(tar -xOf %s dir/b) = abc";
    char file[] = "/tmp/test-tar-XXXXXX", link[151];
    struct tar_entry e = {.type = TAR_FILE,
                          .path = (char *)"dir/b",
                          .mode = 0755,
                          .uid = 5000000,
                          .gid = 7,
                          .size = 3,
                          .mtime_ns = 1500000000};
    struct fd_writer to;
    struct tar_writer *t;
    auto_fd fd = -1;

    if (run("tar --version >/dev/null 2>&1") != 0)
        skip();
    fd = mkostemp(file, O_CLOEXEC);
    assert_true(fd >= 0);
    memset(link, '0', 150);
    link[150] = '\0';
    fd_writer_init(&to, fd);
    t = tar_writer_new(&to.base);
    assert_int_equal(tar_write_header(t, &e), 0);
    assert_int_equal(tar_write_data(t, "abc", 3), 0);
    e.type = TAR_SYMLINK;
    e.path = (char *)"s";
    e.link = link;
    assert_int_equal(tar_write_header(t, &e), 0);
    assert_int_equal(tar_write_end(t), 0);
    tar_writer_free(t);
    assert_int_equal(run(script, file, file, file, file, file), 0);
    assert_int_equal(run("rm -f %s %s.txt", file, file), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_ends),
        cmocka_unit_test(test_extended), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_pax_sparse),
        cmocka_unit_test(test_writer),   cmocka_unit_test(test_path_lengths),
        cmocka_unit_test(test_gnu_tar),  cmocka_unit_test(test_gnu_tar_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
