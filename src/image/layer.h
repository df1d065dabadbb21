/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Layers: layers/<hex of the diff id>/
 *     diff/       the tree as overlayfs wants it: owners unshifted, whiteouts as c 0:0, opaque
 *                 directories as trusted.overlay.opaque
 *     meta.json   struct layer_info
 *     split.zst   for layers that came as a tar: everything of that tar but the file contents, so
 *                 that it can be written again byte for byte without keeping it (layer_split.h)
 *     extra/N     contents that the tree no longer has (a name that occurs twice in the tar)
 *     unsynced    the boot id, until a background syncfs has passed
 *
 * A layer is unpacked once per diff id, whatever chains it is part of. What depends on the chain,
 * the metadata of directories that a tar only implies, is restored by a small layer of directories
 * in fixups/<chain>/ on top.
 *
 * Thread-safe. References are counted in memory: whoever needs a layer (an image, a container, a
 * worker between unpacking and registration) holds one; the last one moves it to trash/.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "format/digest.h"
#include "format/field.h"
#include "format/reader.h"
#include "image/datadir.h"
#include "image/ids.h"

struct layer_info {
    char *diff_id;
    uint64_t size;     /* bytes of the regular files in diff/ */
    uint64_t tar_size; /* of the uncompressed tar; 0 when it was never written */
    uint64_t entries;
    char **high_ids; /* owners and groups above 65535 (image/ids.h), as decimal text */
    char **implied;  /* directories that the tar has no entry for; sorted */
    bool local;      /* made here: its tar comes from the deterministic writer */
};
extern const struct field_table layer_info_table;

struct layer_store;

/* Reads the metadata of all layers; those written in an earlier boot and never synced are dropped
 * (trash). */
int layer_store_open(struct data_root *root, struct layer_store **ret, struct err *e);
void layer_store_close(struct layer_store *s);
struct data_root *layer_store_root(struct layer_store *s);

/* A copy of the metadata, or ERR_NOT_FOUND. Free with field_done(&layer_info_table, ret). */
int layer_get(struct layer_store *s, const char *diff_id, struct layer_info *ret, struct err *e);
bool layer_exists(struct layer_store *s, const char *diff_id);
/* Takes a reference; ERR_NOT_FOUND when there is no such layer. */
int layer_ref(struct layer_store *s, const char *diff_id, struct err *e);
/* Drops one. The last moves the layer to trash/ (rename only: any thread). */
void layer_unref(struct layer_store *s, const char *diff_id);
/* All or none. */
int layer_ref_all(struct layer_store *s, char *const *diff_ids, struct err *e);
void layer_unref_all(struct layer_store *s, char *const *diff_ids);
/* After start-up, when images and containers hold theirs: drops layers that nobody needs; the
 * number dropped. */
unsigned layer_store_collect(struct layer_store *s);
/* syncfs, then clears the marks of the layers that were there before it. Worker; run it now and
 * then after layers were made, never beside something a client waits for. */
int layer_store_sync(struct layer_store *s);
/* True when some layer still carries the mark. */
bool layer_store_is_dirty(struct layer_store *s);

/* One maker per diff id: 1: the layer is there (a reference was taken); 0: the caller makes it and
 * must call layer_claim_end. Waits while another thread makes it; -ECANCELED when *cancel (may be
 * NULL) becomes true. */
int layer_claim(struct layer_store *s, const char *diff_id, const bool *cancel);
void layer_claim_end(struct layer_store *s, const char *diff_id);

/* ---- making layers -------------------------------------------------------------------------- */
struct layer_limits {
    uint64_t bytes; /* of file contents */
    uint64_t entries;
};
/* 256 GiB and 8 million entries. */
extern const struct layer_limits layer_default_limits;

struct layer_unpack_options {
    const struct layer_limits *limits; /* NULL: the default */
    const bool *cancel;                /* may be NULL */
};
/* A layer in tmp/, complete but not yet known to anybody. */
struct layer_draft;
/* Unpacks an uncompressed tar and hashes it on the way. The draft's diff id is that of the bytes
 * read. */
int layer_unpack(struct layer_store *s, struct reader *tar, const struct layer_unpack_options *o,
                 struct layer_draft **ret, struct err *e);
/* An empty draft whose tree the caller fills (commit): the directory, and layer_draft_seal when it
 * is complete, which computes the diff id with the deterministic writer. */
int layer_draft_new(struct layer_store *s, struct layer_draft **ret, struct err *e);
int layer_draft_dir(const struct layer_draft *d);
int layer_draft_seal(struct layer_draft *d, const bool *cancel, struct err *e);
const char *layer_draft_diff_id(const struct layer_draft *d);
const struct layer_info *layer_draft_info(const struct layer_draft *d);
/* Puts the draft in its place and takes a reference; when the layer is there already, the draft is
 * dropped and the reference is to that one. Frees the draft in any case. */
int layer_draft_commit(struct layer_draft *d, struct err *e);
/* Drops the draft (trash); NULL is fine. */
void layer_draft_discard(struct layer_draft *d);

/* ---- using layers --------------------------------------------------------------------------- */
/* The tar whose digest is the diff id, byte for byte. -EIO when the bytes written do not have that
 * digest (a damaged disk). */
int layer_write_tar(struct layer_store *s, const char *diff_id, struct writer *to,
                    const bool *cancel, struct err *e);
/* Size of that tar in bytes; computed and remembered at the first call for local layers. */
int layer_tar_size(struct layer_store *s, const char *diff_id, uint64_t *ret, struct err *e);
/* Absolute paths of the directories to mount, top layer first, for diff ids given bottom first;
 * makes the fix-up layer when this chain needs one. Worker at the first call for a chain, cheap
 * afterwards. */
int layer_chain_paths(struct layer_store *s, char *const *diff_ids, char ***ret_lower,
                      struct err *e);
/* chain id of image-spec: the digest over the diff ids. */
void layer_chain_id(char *const *diff_ids, char out[static DIGEST_SIZE]);
/* Sum of the sizes of layers, and the high ids among them, added to those that are there. NULLs are
 * fine. */
int layer_chain_totals(struct layer_store *s, char *const *diff_ids, uint64_t *ret_size,
                       struct high_ids *ret_high, struct err *e);
/* All known layers (metadata only), for disk usage. */
void layer_store_each(struct layer_store *s,
                      void (*each)(void *arg, const struct layer_info *info, unsigned refs),
                      void *arg);
