/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Unpacking of layers: a hostile tar must neither crash it nor leave its directory, and what was
 * taken must come out again byte for byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/list.h"
#include "image/datadir.h"
#include "image/layer.h"
#include "image/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/fence-fuzz-layer-XXXXXX";
static struct data_root *root;
static struct layer_store *store;

static void finish(void) {
    layer_store_close(store);
    data_root_close(root);
    (void)tree_remove_at(AT_FDCWD, top);
}

/* Nothing else may ever appear beside top/root. */
static void start(void) {
    if (!mkdtemp(top))
        abort();
    auto_free char *inner = xasprintf("%s/root", top);
    if (data_root_open(inner, &root, NULL) < 0 || layer_store_open(root, &store, NULL) < 0)
        abort();
    atexit(finish);
}

struct input {
    struct reader base;
    const uint8_t *data;
    size_t size, at;
};

static ssize_t read_input(struct reader *r, void *p, size_t n) {
    struct input *in = container_of(r, struct input, base);
    if (n > in->size - in->at)
        n = in->size - in->at;
    memcpy(p, in->data + in->at, n);
    in->at += n;
    return (ssize_t)n;
}

/* Compares what is written with the input. */
struct comparison {
    struct writer base;
    const uint8_t *data;
    size_t size, at;
};

static int compare(struct writer *w, const void *p, size_t n) {
    struct comparison *c = container_of(w, struct comparison, base);
    if (n > c->size - c->at || memcmp(c->data + c->at, p, n) != 0)
        abort();
    c->at += n;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct layer_limits LIMITS = {.bytes = 1 << 20, .entries = 500};
    struct layer_unpack_options options = {.limits = &LIMITS};
    struct input in = {.base = {read_input}, .data = data, .size = size};
    struct layer_draft *draft;
    struct stat st;
    if (!store)
        start();
    if (layer_unpack(store, &in.base, &options, &draft, NULL) == 0) {
        struct comparison c = {.base = {compare}, .data = data, .size = size};
        auto_free char *id = strdup(layer_draft_diff_id(draft));
        if (layer_draft_commit(draft, NULL) < 0)
            abort();
        if (layer_write_tar(store, id, &c.base, NULL, NULL) < 0 || c.at != size)
            abort();
        layer_unref(store, id);
    }
    if (data_root_empty_trash(root) < 0)
        abort();
    /* Its own links and that of "root". */
    if (stat(top, &st) < 0 || st.st_nlink != 3)
        abort();
    return 0;
}
