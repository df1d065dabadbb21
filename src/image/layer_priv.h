/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of the layer store share; nobody else includes it. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "image/layer.h"

#define LAYER_HEX_LEN 64

/* One known layer. `info` never changes after it became known, but for tar_size. */
struct layer_entry {
    struct layer_info info;
    unsigned refs;
    bool unsynced;
    uint64_t serial;
};

struct layer_store {
    struct data_root *root;
    pthread_mutex_t lock;    /* everything below */
    pthread_cond_t released; /* a claim has ended */
    struct map layers;       /* diff id -> struct layer_entry */
    struct map claims;       /* diff ids that somebody makes right now */
    struct map chains;       /* chain id -> what layer_chain.c knows of it */
    uint64_t serial;         /* counts the layers that were put */
};

struct layer_draft {
    struct layer_store *store;
    char *tmp;     /* relative to the data root */
    int dir, tree; /* descriptors of tmp and tmp/diff */
    struct layer_info info;
};

/* "sha256:<hex>" -> "<hex>"; the digest must be valid. */
const char *layer_hex(const char *diff_id);
/* "layers/<hex>", relative to the data root. Owned by the caller. */
char *layer_dir(const char *diff_id);
/* The deterministic tar of a tree (layer_tar.c). */
int layer_tar_of_tree(int tree_fd, struct writer *to, const bool *cancel, struct err *e);
/* Fills the tree and writes split.zst (and extra/) into draft_fd (layer_unpack.c); tar is read to
 * its end. */
int layer_unpack_tar(int tree_fd, int draft_fd, struct reader *tar,
                     const struct layer_unpack_options *o, struct layer_info *info, struct err *e);
/* Reads the fix-up layers that are there. */
int layer_chain_load(struct layer_store *s);
void layer_chain_free(void *chain);
/* Forgets the fix-ups that a removed layer was part of; the lock is held. */
void layer_chain_forget(struct layer_store *s, const char *diff_id);
