/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A layer from a stream, on two threads: the caller's reads (so decompresses) and hashes, a second
 * one takes the tar apart and writes the files.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "image/layer_priv.h"
#include "image/pump.h"

#define UNPACK_STACK (512u << 10)

struct make {
    struct layer_draft *draft;
    const struct layer_unpack_options *options;
    struct pump *pump;
    struct err err;
    int result;
};

static void *unpack_thread(void *arg) {
    struct make *m = arg;
    m->result = layer_unpack_tar(m->draft->tree, m->draft->dir, pump_reader(m->pump), m->options,
                                 &m->draft->info, &m->err);
    if (m->result < 0)
        pump_abandon(m->pump);
    return NULL;
}

static int start_thread(pthread_t *t, struct make *m) {
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r != 0)
        return -r;
    r = pthread_attr_setstacksize(&attr, UNPACK_STACK);
    if (r == 0)
        r = pthread_create(t, &attr, unpack_thread, m);
    pthread_attr_destroy(&attr);
    return -r;
}

static int run(struct make *m, struct reader *tar, struct err *e) {
    struct digest *hash = digest_new();
    pthread_t thread;
    uint64_t count = 0;
    int r = start_thread(&thread, m);
    if (r < 0) {
        digest_free(hash);
        return err_sys(e, r, "cannot start a thread");
    }
    r = pump_fill(m->pump, tar, hash, &count);
    pthread_join(thread, NULL);
    if (r < 0 && r != -EPIPE) {
        /* The source's own error says more than that the tar ended early. */
        r = err_sys(e, r, "cannot read the layer");
    } else if (m->result < 0) {
        err_move(e, &m->err);
        r = m->result;
    } else {
        char diff_id[DIGEST_SIZE];
        digest_final(hash, diff_id);
        str_set(&m->draft->info.diff_id, diff_id);
        m->draft->info.tar_size = count;
    }
    err_done(&m->err);
    digest_free(hash);
    return r;
}

int layer_unpack(struct layer_store *s, struct reader *tar, const struct layer_unpack_options *o,
                 struct layer_draft **ret, struct err *e) {
    struct make m = {.options = o};
    int r = layer_draft_new(s, &m.draft, e);
    if (r < 0)
        return r;
    m.draft->info.local = false;
    m.pump = pump_new();
    r = run(&m, tar, e);
    pump_free(m.pump);
    if (r < 0) {
        layer_draft_discard(m.draft);
        return r;
    }
    *ret = m.draft;
    return 0;
}
