/* SPDX-License-Identifier: Apache-2.0 */
#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "format/codec.h"

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
    int fail_after;
};

static int buf_write(struct writer *base, const void *p, size_t n) {
    struct buf_writer *w = (struct buf_writer *)base;

    if (w->fail_after > 0 && --w->fail_after == 0)
        return -ENOSPC;
    return buf_append(w->out, p, n) ? 0 : -EFBIG;
}

/* Text with runs and noise, so that all kinds of deflate blocks come up. */
static void sample(struct buf *b, size_t n) {
    uint32_t x = 1;

    buf_clear(b);
    while (b->len < n) {
        x = x * 1664525 + 1013904223;
        if (x >> 28 < 4)
            buf_append(b, &x, sizeof x);
        else
            buf_printf(b, "line %u of the sample\n", x >> 20);
    }
    b->len = n;
}

static void pack(enum codec codec, const struct buf *in, struct buf *out) {
    char *room;
    size_t cap = in->len * 2 + 1000, n = cap;

    room = xmalloc(cap);
    if (codec == CODEC_GZIP) {
        z_stream s = {0};

        assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
        s.next_in = (unsigned char *)in->data;
        s.avail_in = (unsigned)in->len;
        s.next_out = (unsigned char *)room;
        s.avail_out = (unsigned)cap;
        assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
        n = s.total_out;
        deflateEnd(&s);
    } else if (codec == CODEC_ZSTD) {
        n = ZSTD_compress(room, cap, in->data, in->len, 3);
        assert_false(ZSTD_isError(n));
    } else if (codec == CODEC_XZ) {
        n = 0;
        assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, (uint8_t *)in->data,
                                                 in->len, (uint8_t *)room, &n, cap),
                         LZMA_OK);
    } else {
        unsigned got = (unsigned)cap;

        assert_int_equal(
            BZ2_bzBuffToBuffCompress(room, &got, (char *)buf_str(in), (unsigned)in->len, 1, 0, 0),
            BZ_OK);
        n = got;
    }
    buf_append(out, room, n);
    free(room);
}

static int unpack(const char *p, size_t n, size_t piece, size_t step, struct buf *out,
                  enum codec *ret_codec) {
    struct mem_reader m = {{mem_read}, p, n, piece};
    struct reader *r = NULL;
    auto_free char *block = xmalloc(step);
    ssize_t got;

    assert_int_equal(decompress_open(&m.base, &r, ret_codec, NULL), 0);
    while ((got = r->read(r, block, step)) > 0)
        buf_append(out, block, (size_t)got);
    if (got == 0)
        assert_int_equal(r->read(r, block, step), 0);
    decompress_close(r);
    return (int)got;
}

static const enum codec all[] = {CODEC_GZIP, CODEC_ZSTD, CODEC_XZ, CODEC_BZIP2};

static void test_streams(void **state) {
    static const size_t sizes[] = {0, 1, 1000, 200000, 3000000};
    static const size_t pieces[] = {1 << 20, 1, 4096}, steps[] = {1 << 20, 7, 100000};
    auto_buf in = BUF_INIT;

    for (size_t c = 0; c < 4; c++) {
        for (size_t s = 0; s < 5; s++) {
            auto_buf packed = BUF_INIT;

            sample(&in, sizes[s]);
            pack(all[c], &in, &packed);
            for (size_t i = 0; i < 3; i++) {
                auto_buf out = BUF_INIT;
                enum codec found;

                if (sizes[s] > 1000000 && i > 0)
                    continue;
                assert_int_equal(unpack(packed.data, packed.len, pieces[i], steps[i], &out, &found),
                                 0);
                assert_int_equal(found, all[c]);
                assert_int_equal(out.len, in.len);
                if (in.len > 0)
                    assert_memory_equal(out.data, in.data, in.len);
            }
        }
    }
}

static void test_members_and_padding(void **state) {
    auto_buf one = BUF_INIT, two = BUF_INIT, none = BUF_INIT;

    sample(&one, 70000);
    sample(&two, 333);
    sample(&none, 0);
    for (size_t c = 0; c < 4; c++) {
        auto_buf packed = BUF_INIT, out = BUF_INIT, again = BUF_INIT, bad = BUF_INIT;
        static const char zeros[4096];

        pack(all[c], &one, &packed);
        pack(all[c], &none, &packed);
        pack(all[c], &two, &packed);
        assert_int_equal(unpack(packed.data, packed.len, 3, 1000, &out, NULL), 0);
        assert_int_equal(out.len, one.len + two.len);
        assert_memory_equal(out.data + one.len, two.data, two.len);
        buf_append(&packed, zeros, sizeof zeros);
        assert_int_equal(unpack(packed.data, packed.len, 1 << 20, 1000, &again, NULL), 0);
        assert_int_equal(again.len, out.len);
        buf_append(&packed, "x", 1);
        assert_int_equal(unpack(packed.data, packed.len, 1 << 20, 1000, &bad, NULL), -EIO);
    }
}

static void test_truncation(void **state) {
    auto_buf in = BUF_INIT;

    sample(&in, 2000);
    for (size_t c = 0; c < 4; c++) {
        auto_buf packed = BUF_INIT;

        pack(all[c], &in, &packed);
        for (size_t n = 6; n < packed.len; n++) {
            auto_buf out = BUF_INIT;

            if (unpack(packed.data, n, 1 << 20, 4096, &out, NULL) != -EIO)
                fail_msg("%s cut at %zu of %zu is taken", codec_name(all[c]), n, packed.len);
        }
    }
}

static void test_damage(void **state) {
    auto_buf in = BUF_INIT;

    sample(&in, 5000);
    for (size_t c = 0; c < 4; c++) {
        auto_buf packed = BUF_INIT;

        if (all[c] == CODEC_ZSTD)
            continue; /* made above without a checksum */
        pack(all[c], &in, &packed);
        for (size_t at = packed.len / 2; at < packed.len; at += 17) {
            auto_buf out = BUF_INIT;

            packed.data[at] ^= 0x10;
            if (unpack(packed.data, packed.len, 1 << 20, 4096, &out, NULL) >= 0)
                fail_msg("%s with byte %zu damaged is taken", codec_name(all[c]), at);
            packed.data[at] ^= 0x10;
        }
    }
}

static void test_plain(void **state) {
    static const char *const texts[] = {"",         "x",  "hello world",
                                        "\x1f\x8b", "BZ", "\x1f\x8b\x09rest"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t piece = 1; piece < 9; piece += 7) {
            auto_buf out = BUF_INIT;
            enum codec found;

            assert_int_equal(unpack(texts[i], strlen(texts[i]), piece, 4, &out, &found), 0);
            assert_int_equal(found, CODEC_NONE);
            assert_string_equal(buf_str(&out), texts[i]);
        }
    }
}

static void test_compress(void **state) {
    static const enum codec codecs[] = {CODEC_GZIP, CODEC_ZSTD};
    static const size_t sizes[] = {0, 1, 5000000};
    auto_buf in = BUF_INIT;

    for (size_t c = 0; c < 2; c++) {
        for (size_t s = 0; s < 3; s++) {
            auto_buf packed = BUF_INIT, out = BUF_INIT;
            struct buf_writer to = {{buf_write}, &packed};
            struct writer *w = NULL;

            sample(&in, sizes[s]);
            assert_int_equal(compress_open(codecs[c], &to.base, &w), 0);
            for (size_t at = 0; at < in.len; at += 99999)
                assert_int_equal(
                    w->write(w, in.data + at, in.len - at < 99999 ? in.len - at : 99999), 0);
            assert_int_equal(compress_close(w), 0);
            assert_int_equal(unpack(packed.data, packed.len, 1 << 20, 1 << 20, &out, NULL), 0);
            assert_int_equal(out.len, in.len);
            if (in.len > 0)
                assert_memory_equal(out.data, in.data, in.len);
            if (codecs[c] == CODEC_GZIP && in.len > 0) { /* a second opinion */
                auto_free unsigned char *room = xmalloc(in.len);
                z_stream z = {.next_in = (unsigned char *)packed.data,
                              .avail_in = (unsigned)packed.len,
                              .next_out = room,
                              .avail_out = (unsigned)in.len};

                assert_int_equal(inflateInit2(&z, 31), Z_OK);
                assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
                assert_int_equal(z.avail_in, 0);
                assert_memory_equal(room, in.data, in.len);
                inflateEnd(&z);
            }
        }
    }
}

static void test_compress_failure(void **state) {
    auto_buf in = BUF_INIT, packed = BUF_INIT;
    struct buf_writer to = {{buf_write}, &packed, 2};
    struct writer *w = NULL;
    int r = 0;

    sample(&in, 100000);
    assert_int_equal(compress_open(CODEC_XZ, &to.base, &w), -ENOTSUP);
    assert_int_equal(compress_open(CODEC_GZIP, &to.base, &w), 0);
    for (int i = 0; i < 50 && r == 0; i++)
        r = w->write(w, in.data, in.len);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(compress_close(w), -ENOSPC);
    assert_int_equal(compress_close(NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_members_and_padding),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_compress),
        cmocka_unit_test(test_compress_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
