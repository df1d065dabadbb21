/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The local side of cp: an archive into the file system, and files into an archive. */
#include <stdbool.h>

#include "base/err.h"
#include "cli/client.h"
#include "format/reader.h"

/*
 * Unpacks into `target`. The first component of every name in the archive is replaced by it: for a
 * directory `target` is the directory itself (made when missing), for anything else the new file.
 * Names and links of the archive never lead out of `target`, whoever wrote it. Owners are ours.
 */
int cp_extract(struct reader *from, const char *target, bool is_dir, struct err *e);

/* Packs `path` under the name `as` ("." for a directory's content). */
struct cp_pack {
    struct producer base;
    const char *path, *as; /* borrowed */
    bool follow;           /* a link that `path` itself is */
};
void cp_pack_init(struct cp_pack *p, const char *path, const char *as, bool follow);
