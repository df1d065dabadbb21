/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The block formats of tar and their extended headers; between tar_*.c, not for others. */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "format/tar.h"

#define TAR_BLOCK_SIZE 512u

/* ustar; what lies behind `prefix` differs in the GNU format. All text may fill its field. */
struct tar_block {
    char name[100];
    char mode[8], uid[8], gid[8];
    char size[12], mtime[12];
    char chksum[8];
    char typeflag;
    char linkname[100];
    char magic[8]; /* with the version */
    char uname[32], gname[32];
    char devmajor[8], devminor[8];
    union {
        struct {
            char prefix[155];
            char pad[12];
        } ustar;
        struct {
            char atime[12], ctime[12], offset[12], longnames[4], unused;
            struct tar_gnu_sparse {
                char offset[12], size[12];
            } sparse[4];
            char is_extended;
            char real_size[12];
            char pad[17];
        } gnu;
    };
};
_Static_assert(sizeof(struct tar_block) == TAR_BLOCK_SIZE, "tar block");

/* A stored piece of a sparse file; everything between pieces is zeros. */
struct tar_piece {
    uint64_t offset, size;
};

enum tar_sparse_version { TAR_SPARSE_NONE, TAR_SPARSE_0, TAR_SPARSE_1 };

/* What the extended headers (pax, GNU L and K) before an entry say. */
struct tar_extended {
    bool pax;                  /* there was a pax header */
    char *path, *link;         /* pax */
    char *gnu_path, *gnu_link; /* L and K */
    bool has_size, has_uid, has_gid, has_mtime, has_real_size;
    uint64_t size, uid, gid, real_size;
    int64_t mtime_ns;
    struct tar_xattr *xattrs;
    size_t xattr_count;
    /* GNU.sparse */
    enum tar_sparse_version sparse;
    uint64_t sparse_major, sparse_minor;
    bool has_major, has_minor;
    char *sparse_path;
    struct tar_piece *pieces;
    size_t piece_count;
    bool half_piece; /* 0.0: an offset came, its size not yet */
};
void tar_extended_done(struct tar_extended *x);
/* -EINVAL for anything malformed or contradictory. */
int tar_extended_parse(struct tar_extended *x, const char *data, size_t len);
/* A global header is skipped, as Go does; -EINVAL when it is malformed or others would take paths
 * or sizes of entries from it. */
int tar_global_check(const char *data, size_t len);

/* An octal or base-256 field. -EINVAL, -ERANGE. */
int tar_number(const char *field, size_t n, int64_t *ret);
int tar_unsigned(const char *field, size_t n, uint64_t *ret);
/* The sum over a block with its checksum field taken as blanks. */
unsigned tar_checksum(const struct tar_block *b, int *ret_signed);
/* Clamps: a time that does not fit is no reason to refuse a file. */
int64_t tar_time_ns(int64_t seconds, int64_t nanoseconds);

/* Appends a pax record. */
void tar_put_record(struct buf *b, const char *key, const void *value, size_t size);
