/* SPDX-License-Identifier: Apache-2.0 */
#include "format/codec.h"

#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <zstd.h>

#include "base/alloc.h"
#include "format/codec_stream.h"

/* Recognising and opening; gzip, the one whose speed counts, is in codec_gzip.c. */

#define ZSTD_WINDOW_MAX 27 /* log2 of bytes: zstd -19 --long, what containerd takes */
#define XZ_MEMORY_MAX   (UINT64_C(256) << 20)
#define ZSTD_LEVEL      3

static const char *const names[] = {
    [CODEC_NONE] = "none", [CODEC_GZIP] = "gzip",   [CODEC_ZSTD] = "zstd",
    [CODEC_XZ] = "xz",     [CODEC_BZIP2] = "bzip2",
};

const char *codec_name(enum codec c) {
    return (size_t)c < sizeof names / sizeof *names ? names[c] : "unknown";
}

int codec_fill(struct codec_input *in) {
    ssize_t got;

    if (in->pos < in->len)
        return 1;
    if (in->end)
        return 0;
    got = in->from->read(in->from, in->data, CODEC_BUFFER);
    if (got < 0)
        return (int)got;
    in->pos = 0;
    in->len = (size_t)got;
    in->end = got == 0;
    return got > 0;
}

int codec_skip_zeros(struct codec_input *in) {
    int r;

    while ((r = codec_fill(in)) > 0)
        for (; in->pos < in->len; in->pos++)
            if (in->data[in->pos] != 0)
                return -EIO;
    return r;
}

/* ---- none ---------------------------------------------------------------------------------- */

static ssize_t none_read(struct reader *base, void *p, size_t n) {
    struct decoder *d = (struct decoder *)base;
    size_t have = d->in.len - d->in.pos;

    if (have == 0)
        return d->in.end ? 0 : d->in.from->read(d->in.from, p, n);
    if (n > have)
        n = have;
    memcpy(p, d->in.data + d->in.pos, n);
    d->in.pos += n;
    return (ssize_t)n;
}

static void none_free(struct decoder *d) {
}

static int none_open(struct decoder *d) {
    d->base.read = none_read;
    d->free_state = none_free;
    return 0;
}

/* ---- zstd ---------------------------------------------------------------------------------- */

static ssize_t zstd_read(struct reader *base, void *p, size_t n) {
    struct decoder *d = (struct decoder *)base;
    ZSTD_outBuffer out = {p, n, 0};

    while (n > 0 && out.pos == 0 && !d->done) {
        ZSTD_inBuffer in;
        size_t left;
        int r = codec_fill(&d->in);

        if (r < 0)
            return r;
        if (r > 0 && d->between && d->in.data[d->in.pos] == 0) {
            r = codec_skip_zeros(&d->in);
            if (r < 0)
                return r;
        }
        if (r == 0 && d->between) {
            d->done = true;
            break;
        }
        in = (ZSTD_inBuffer){d->in.data, d->in.len, d->in.pos};
        left = ZSTD_decompressStream(d->state, &out, &in);
        d->in.pos = in.pos;
        if (ZSTD_isError(left) || (r == 0 && out.pos == 0))
            return -EIO;
        d->between = left == 0;
    }
    return (ssize_t)out.pos;
}

static void zstd_free(struct decoder *d) {
    ZSTD_freeDCtx(d->state);
}

static int zstd_open(struct decoder *d) {
    d->state = ZSTD_createDCtx();
    if (!d->state ||
        ZSTD_isError(ZSTD_DCtx_setParameter(d->state, ZSTD_d_windowLogMax, ZSTD_WINDOW_MAX)))
        return -ENOMEM;
    d->base.read = zstd_read;
    d->free_state = zstd_free;
    return 0;
}

/* ---- xz ------------------------------------------------------------------------------------ */

static ssize_t xz_read(struct reader *base, void *p, size_t n) {
    struct decoder *d = (struct decoder *)base;
    lzma_stream *s = d->state;

    s->next_out = p;
    s->avail_out = n;
    while (s->avail_out == n && n > 0 && !d->done) {
        lzma_ret res;
        int r = codec_fill(&d->in);

        if (r < 0)
            return r;
        s->next_in = d->in.data + d->in.pos;
        s->avail_in = d->in.len - d->in.pos;
        /* LZMA_CONCATENATED: the end of the input has to be told, and padding is its business. */
        res = lzma_code(s, r == 0 ? LZMA_FINISH : LZMA_RUN);
        d->in.pos = d->in.len - s->avail_in;
        if (res == LZMA_STREAM_END)
            d->done = true;
        else if (res == LZMA_MEM_ERROR || res == LZMA_MEMLIMIT_ERROR)
            return -ENOMEM;
        else if (res != LZMA_OK || (r == 0 && s->avail_out == n))
            return -EIO;
    }
    return (ssize_t)(n - s->avail_out);
}

static void xz_free(struct decoder *d) {
    lzma_end(d->state);
    free(d->state);
}

static int xz_open(struct decoder *d) {
    lzma_stream *s = xnew(lzma_stream);

    if (lzma_stream_decoder(s, XZ_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK) {
        free(s);
        return -ENOMEM;
    }
    d->state = s;
    d->base.read = xz_read;
    d->free_state = xz_free;
    return 0;
}

/* ---- bzip2 --------------------------------------------------------------------------------- */

/* At the end of a stream: another one, padding, or the end. 1 to go on, 0 at the end. */
static int bzip2_next(struct decoder *d) {
    bz_stream *s = d->state;
    int r = codec_fill(&d->in);

    if (r > 0 && d->in.data[d->in.pos] == 0)
        r = codec_skip_zeros(&d->in);
    if (r <= 0)
        return r;
    BZ2_bzDecompressEnd(s);
    *s = (bz_stream){0};
    return BZ2_bzDecompressInit(s, 0, 0) == BZ_OK ? 1 : -ENOMEM;
}

static ssize_t bzip2_read(struct reader *base, void *p, size_t n) {
    struct decoder *d = (struct decoder *)base;
    bz_stream *s = d->state;
    unsigned room = n > INT32_MAX ? INT32_MAX : (unsigned)n, produced = 0;

    while (produced == 0 && room > 0 && !d->done) {
        int res, r;

        if (d->between) {
            r = bzip2_next(d);
            if (r < 0)
                return r;
            d->between = false;
            d->done = r == 0;
            continue;
        }
        r = codec_fill(&d->in);
        if (r < 0)
            return r;
        s->next_in = (char *)d->in.data + d->in.pos;
        s->avail_in = (unsigned)(d->in.len - d->in.pos);
        s->next_out = p;
        s->avail_out = room;
        res = BZ2_bzDecompress(s);
        d->in.pos = d->in.len - s->avail_in;
        produced = room - s->avail_out;
        d->between = res == BZ_STREAM_END;
        if (res == BZ_MEM_ERROR)
            return -ENOMEM;
        if ((res != BZ_OK && res != BZ_STREAM_END) || (r == 0 && !d->between && produced == 0))
            return -EIO;
    }
    return (ssize_t)produced;
}

static void bzip2_free(struct decoder *d) {
    BZ2_bzDecompressEnd(d->state);
    free(d->state);
}

static int bzip2_open(struct decoder *d) {
    bz_stream *s = xnew(bz_stream);

    if (BZ2_bzDecompressInit(s, 0, 0) != BZ_OK) {
        free(s);
        return -ENOMEM;
    }
    d->state = s;
    d->base.read = bzip2_read;
    d->free_state = bzip2_free;
    return 0;
}

/* ---- opening ------------------------------------------------------------------------------- */

static enum codec recognise(const unsigned char *m, size_t n) {
    static const struct {
        enum codec codec;
        size_t len;
        const char *magic;
    } magics[] = {
        {CODEC_GZIP, 3, "\x1f\x8b\x08"},
        {CODEC_ZSTD, 4, "\x28\xb5\x2f\xfd"},
        {CODEC_XZ, 6,
         "\xfd"
         "7zXZ"},
        {CODEC_BZIP2, 3, "BZh"},
    };

    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (n >= magics[i].len && memcmp(m, magics[i].magic, magics[i].len) == 0)
            return magics[i].codec;
    /* a skippable zstd frame */
    if (n >= 4 && (m[0] & 0xf0) == 0x50 && memcmp(m + 1, "\x2a\x4d\x18", 3) == 0)
        return CODEC_ZSTD;
    return CODEC_NONE;
}

int decompress_open(struct reader *from, struct reader **ret, enum codec *ret_codec,
                    struct err *e) {
    static int (*const openers[])(struct decoder *) = {
        [CODEC_NONE] = none_open, [CODEC_GZIP] = gzip_decoder_open, [CODEC_ZSTD] = zstd_open,
        [CODEC_XZ] = xz_open,     [CODEC_BZIP2] = bzip2_open,
    };
    struct decoder *d = xnew(struct decoder);
    enum codec codec;
    ssize_t got;
    int r;

    d->in.from = from;
    d->in.data = xmalloc(CODEC_BUFFER);
    got = reader_full(from, d->in.data, 6);
    if (got < 0) {
        free(d->in.data);
        free(d);
        return err_sys(e, (int)got, "cannot read the start of the stream");
    }
    d->in.len = (size_t)got;
    d->in.end = got < 6;
    codec = recognise(d->in.data, d->in.len);
    r = openers[codec](d);
    if (r < 0) {
        free(d->in.data);
        free(d);
        return err_sys(e, r, "cannot start %s decompression", codec_name(codec));
    }
    if (ret_codec)
        *ret_codec = codec;
    *ret = &d->base;
    return 0;
}

void decompress_close(struct reader *r) {
    struct decoder *d = (struct decoder *)r;

    if (!d)
        return;
    d->free_state(d);
    free(d->in.data);
    free(d);
}

/* ---- compression --------------------------------------------------------------------------- */

static int zstd_run(struct encoder *c, const void *p, size_t n, bool finish) {
    ZSTD_inBuffer in = {p, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {c->out, CODEC_BUFFER, 0};
        int r;

        left = ZSTD_compressStream2(c->state, &out, &in, finish ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return -EIO;
        r = out.pos > 0 ? c->to->write(c->to, c->out, out.pos) : 0;
        if (r < 0)
            return r;
    } while (finish ? left > 0 : in.pos < in.size);
    return 0;
}

static void zstd_encoder_free(struct encoder *c) {
    ZSTD_freeCCtx(c->state);
}

static int zstd_encoder_open(struct encoder *c) {
    c->state = ZSTD_createCCtx();
    if (!c->state)
        return -ENOMEM;
    c->run = zstd_run;
    c->free_state = zstd_encoder_free;
    if (ZSTD_isError(ZSTD_CCtx_setParameter(c->state, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(c->state, ZSTD_c_checksumFlag, 1))) {
        ZSTD_freeCCtx(c->state);
        return -EIO;
    }
    return 0;
}

static int encoder_write(struct writer *base, const void *p, size_t n) {
    struct encoder *c = (struct encoder *)base;

    if (c->failed == 0 && n > 0)
        c->failed = c->run(c, p, n, false);
    return c->failed;
}

int compress_open(enum codec codec, struct writer *to, struct writer **ret) {
    struct encoder *c;
    int r;

    if (codec != CODEC_GZIP && codec != CODEC_ZSTD)
        return -ENOTSUP;
    c = xnew(struct encoder);
    c->base.write = encoder_write;
    c->to = to;
    c->out = xmalloc(CODEC_BUFFER);
    r = codec == CODEC_GZIP ? gzip_encoder_open(c) : zstd_encoder_open(c);
    if (r < 0) {
        free(c->out);
        free(c);
        return r;
    }
    *ret = &c->base;
    return 0;
}

int compress_close(struct writer *w) {
    struct encoder *c = (struct encoder *)w;
    int r;

    if (!c)
        return 0;
    r = c->failed < 0 ? c->failed : c->run(c, "", 0, true);
    c->free_state(c);
    free(c->out);
    free(c);
    return r;
}
