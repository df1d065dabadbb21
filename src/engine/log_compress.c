/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/log_compress.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/container.h"
#include "logs/compress.h"

#define INTERVAL_MS 30000

struct compression {
    char *path;
    struct err error;
};

static int work(struct job *j, void *arg) {
    struct compression *x = arg;

    (void)j;
    return log_compress_rotated(x->path, &x->error);
}

static void done(void *arg, int r) {
    struct compression *x = arg;

    if (r < 0)
        log_warn("a rotated log could not be compressed", "log", x->path, "error",
                 err_msg(&x->error));
    err_done(&x->error);
    free(x->path);
    free(x);
}

static void compress(struct container *c) {
    struct compression *x = xnew(struct compression);

    x->path = container_log_path(c);
    job_start(c->engine->loop, JOB_SHORT, work, done, x);
}

static void on_timer(void *arg) {
    compress(arg);
}

static bool is_wanted(const struct container *c) {
    const char *text = strmap_get(&c->rec.host.log_config.config, "compress");
    bool local = str_eq(c->rec.host.log_config.type, "local"), on = local;

    if (text && str_to_bool(text, &on) < 0)
        return false;
    return on && (local || str_eq(c->rec.host.log_config.type, "json-file"));
}

void log_compress_start(struct container *c) {
    if (is_wanted(c) && !c->compress_timer)
        c->compress_timer = loop_timer_new(c->engine->loop, INTERVAL_MS, INTERVAL_MS, on_timer, c);
}

void log_compress_stop(struct container *c) {
    if (!c->compress_timer)
        return;
    loop_timer_free(c->compress_timer);
    c->compress_timer = NULL;
    compress(c);
}
