/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A tar split in two: the contents of its files, which the layer's tree holds, and everything
 * else (headers, padding, what surrounds them), which goes into a compressed file. Joined, they
 * give the tar byte for byte, so its digest, without keeping it twice on disk.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/reader.h"

/* ---- taking apart --------------------------------------------------------------------------- */
/* A reader to be put under the tar reader; the bytes that pass are recorded. */
struct split_writer;
/* `from` is borrowed; the split goes to `fd` (borrowed), an empty file. */
int split_writer_new(struct reader *from, int fd, struct split_writer **ret);
void split_writer_free(struct split_writer *w);
struct reader *split_writer_reader(struct split_writer *w);
/* The bytes [offset, offset + size) of the stream are the content of the file `path` in the tree:
 * they are not recorded. Called before they are read through the tar reader; reading ahead is
 * fine. 1: they are recorded nevertheless, and this is not one of the numbered contents. */
int split_writer_file(struct split_writer *w, uint64_t offset, uint64_t size, const char *path);
/* Everything before `offset` may be written out. Called at each entry: bounds what is held. */
int split_writer_advance(struct split_writer *w, uint64_t offset);
/* The next entry's data is recorded as it is (sparse files, marks): however large, not held. */
void split_writer_verbatim(struct split_writer *w, bool on);
/* Reads the rest of the source and ends the file. */
int split_writer_end(struct split_writer *w);

/* ---- joining -------------------------------------------------------------------------------- */
/* Writes the tar. split_fd: the file from its beginning; tree_fd: the layer's tree; extra_fd: the
 * directory of replaced contents, or -1. */
int split_join(int split_fd, int tree_fd, int extra_fd, struct writer *to, const bool *cancel,
               struct err *e);
