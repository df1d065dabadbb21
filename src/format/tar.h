/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * tar: ustar, pax (path, linkpath, size, mtime, uid, gid, SCHILY.xattr.*) and GNU (L, K, base-256,
 * old sparse) in; pax only where ustar cannot say it out. Blocking, for worker threads. Ambiguous
 * archives are refused (two sizes that differ, negative sizes, a NUL in a name).
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/map.h"
#include "format/reader.h"

#define TAR_PATH_MAX   (16u << 10) /* bytes in one path */
#define TAR_HEADER_MAX (1u << 20)  /* bytes of extended headers an entry */

enum tar_type {
    TAR_FILE = '0',
    TAR_HARDLINK = '1',
    TAR_SYMLINK = '2',
    TAR_CHAR = '3',
    TAR_BLOCK = '4',
    TAR_DIR = '5',
    TAR_FIFO = '6',
};

struct tar_xattr {
    char *name;
    void *value;
    size_t size;
};
struct tar_entry {
    enum tar_type type;
    char *path;  /* as in the archive, trailing slashes removed */
    char *link;  /* target of links */
    mode_t mode; /* permission bits */
    uint64_t uid, gid;
    uint64_t size; /* of the data that follows, TAR_FILE only */
    bool sparse;   /* the archive holds less than `size` bytes of data; out: ignored */
    int64_t mtime_ns;
    unsigned dev_major, dev_minor;
    struct tar_xattr *xattrs;
    size_t xattr_count;
};
void tar_entry_done(struct tar_entry *e);
void tar_entry_add_xattr(struct tar_entry *e, const char *name, const void *value, size_t size);

struct tar_reader;
struct tar_reader *tar_reader_new(struct reader *from); /* borrowed */
void tar_reader_free(struct tar_reader *t);
/* 1: *entry (owned by the reader, good until the next call) is filled; 0: the end; -errno.
 * Skips what was not read of the last entry's data. */
int tar_next(struct tar_reader *t, const struct tar_entry **entry, struct err *e);
/* The current entry's data; sparse files come expanded. */
struct reader *tar_data(struct tar_reader *t);

/* How much of the source belongs to what was handed out: after tar_next up to the first byte of the
 * entry's data, after reading that data up to its last byte (padding is not counted before the next
 * tar_next). The source may have been read further than that. */
uint64_t tar_offset(const struct tar_reader *t);

struct tar_writer;
struct tar_writer *tar_writer_new(struct writer *to); /* borrowed */
void tar_writer_free(struct tar_writer *t);
/* The header; for TAR_FILE exactly e->size bytes of tar_write_data follow. */
int tar_write_header(struct tar_writer *t, const struct tar_entry *e);
int tar_write_data(struct tar_writer *t, const void *p, size_t n);
/* Two zero blocks. */
int tar_write_end(struct tar_writer *t);
