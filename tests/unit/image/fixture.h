/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A data root of its own for each test, and archives made in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/reader.h"
#include "format/tar.h"
#include "image/datadir.h"
#include "image/layer.h"

struct fixture {
    char *dir; /* everything is below it */
    struct data_root *root;
    struct layer_store *layers;
};
/* cmocka's setup and teardown; needs root. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Closes and opens the stores, as a new daemon does. */
void fixture_reopen(struct fixture *f);
/* <dir>/<path>; owned by the caller. */
char *fixture_path(const struct fixture *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Readers and writers of memory. */
struct memory_reader {
    struct reader base;
    const char *data;
    size_t len, at;
};
struct memory_writer {
    struct writer base;
    struct buf out;
};
void memory_reader_init(struct memory_reader *r, const void *data, size_t len);
void memory_writer_init(struct memory_writer *w);

/* A tar in the making; text NULL for anything but files. */
struct tarball {
    struct memory_writer mem;
    struct tar_writer *tar;
};
void tarball_init(struct tarball *t);
void tarball_add(struct tarball *t, enum tar_type type, const char *path, const char *link,
                 mode_t mode, uint64_t uid, const char *text);
void tarball_entry(struct tarball *t, const struct tar_entry *e, const void *data);
void tarball_end(struct tarball *t);
void tarball_done(struct tarball *t);

/* Unpacks and keeps a layer; *ret_diff_id is owned by the caller. */
int fixture_layer(struct fixture *f, const void *tar, size_t len, char **ret_diff_id,
                  struct err *e);
/* The tar of a layer as the store writes it. */
void fixture_layer_tar(struct fixture *f, const char *diff_id, struct buf *out);
/* Path of a layer's tree plus a name. Owned by the caller. */
char *fixture_in_layer(const struct fixture *f, const char *diff_id, const char *name);
/* "mode uid:gid type" of a path, for comparisons; owned by the caller; NULL when it is missing. */
char *describe(const char *path);
/* The content of a file as a string; owned by the caller. */
char *slurp(const char *path);
void spit(const char *path, const char *text);
#define assert_ok(r, e) assert_string_equal((r) < 0 ? err_msg(e) : "", "")
