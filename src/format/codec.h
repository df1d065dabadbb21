/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Compression as streams. Formats are recognised by their magic: gzip (ISA-L where the package has
 * it, else zlib), zstd (window limit 27 bits), xz and bzip2 (memory-limited), none.
 */
#include "base/err.h"
#include "format/reader.h"

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_ZSTD, CODEC_XZ, CODEC_BZIP2 };

/* A reader of the decompressed bytes of `from` (borrowed); *ret_codec may be NULL. A truncated
 * stream ends in -EIO, never in a silent end; concatenated members and zero padding are fine. */
int decompress_open(struct reader *from, struct reader **ret, enum codec *ret_codec, struct err *e);
void decompress_close(struct reader *r);

/* A writer whose bytes arrive compressed at `to` (borrowed). CODEC_GZIP and CODEC_ZSTD. */
int compress_open(enum codec codec, struct writer *to, struct writer **ret);
/* Flushes, writes the trailer, frees; -errno when that fails. */
int compress_close(struct writer *w);
const char *codec_name(enum codec c);
