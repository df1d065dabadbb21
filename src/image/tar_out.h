/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Objects of a tree as tar entries: what layer tars, docker cp and docker export share. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/reader.h"
#include "format/tar.h"
#include "image/buffered.h"
#include "image/tree.h"

struct tar_out {
    struct tar_writer *tar;
    struct buffered_writer buffer;
    struct inode_map links;
    struct id_shift ids; /* owners at the source */
    /* A layer: whiteouts become .wh. entries, overlay's attributes are left out, times are cut to
     * seconds, so that equal trees give equal bytes. */
    bool layer;
    const bool *cancel;
    char *block;
    char *xattr_names, *xattr_value;
};
/* to is borrowed; t must stay where it is. Set the options after it. */
void tar_out_init(struct tar_out *t, struct writer *to);
void tar_out_done(struct tar_out *t);
/* One object, with its content when it is a file. name: the path in the archive. Sockets are left
 * out, as everywhere. */
int tar_out_node(struct tar_out *t, const struct tree_node *n, const char *name, struct err *e);
/* An empty regular file, for marks. */
int tar_out_empty(struct tar_out *t, const char *name, int64_t mtime_ns);
int tar_out_end(struct tar_out *t);
