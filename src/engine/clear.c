/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a monitor did not see to the end: processes are killed and their control groups removed. On
 * a worker, because it may take a while: a dead process of a container holds its groups until its
 * parent has taken its status, and the parent of one whose monitor was killed is the host's init.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/container.h"
#include "sys/procfd.h"

#define ROUND_MS    250
#define PATIENCE_NS (30 * NS_PER_SEC)

struct clearing {
    struct engine *engine;
    const struct cgroupfs_host *cgroups;
    char id[ID_LEN + 1];
    char *path;
    void (*done)(struct container *c);
    struct err error;
};

static int clear_once(const struct clearing *x, int timeout_ms, struct err *e) {
    auto_cgroup cg;
    int r;

    cgroup_init(&cg);
    if (cgroup_open(x->cgroups, x->path, &cg, NULL) < 0)
        return 0; /* there is none */
    r = cgroup_kill_all(&cg, e);
    return r < 0 ? r : cgroup_remove(&cg, timeout_ms, e);
}

static int clear_work(struct job *j, void *arg) {
    struct clearing *x = arg;
    int64_t end = clock_mono_ns() + PATIENCE_NS;
    int r;

    do {
        err_done(&x->error);
        r = clear_once(x, ROUND_MS, &x->error);
    } while (r < 0 && !job_is_cancelled(j) && clock_mono_ns() < end);
    return r;
}

static void cleared(void *arg, int r) {
    struct clearing *x = arg;
    struct container *c = map_get(&x->engine->containers, x->id);

    if (r < 0)
        log_warn("cannot clear a container's control group", "container", x->id, "error",
                 x->error.class == ERR_NONE ? strerror(-r) : err_msg(&x->error));
    if (c) {
        c->clearing = false;
        x->done(c);
        c = map_get(&x->engine->containers, x->id); /* the end may have removed it */
    }
    if (c && !c->starting)
        container_settled(c);
    err_done(&x->error);
    free(x->path);
    free(x);
}

void container_clear(struct container *c, void (*done)(struct container *c)) {
    struct clearing *x;

    if (c->pidfd >= 0)
        (void)pidfd_signal(c->pidfd, SIGKILL); /* -ESRCH: dead already */
    if (c->clearing)
        return;
    c->clearing = true;
    x = xnew(struct clearing);
    x->engine = c->engine;
    x->cgroups = c->engine->cgroups;
    snprintf(x->id, sizeof x->id, "%s", c->rec.id);
    x->path = container_cgroup(c);
    x->done = done;
    job_start(c->engine->loop, JOB_CLEAR, clear_work, cleared, x);
}

bool container_clear_now(struct container *c) {
    struct clearing x = {.cgroups = c->engine->cgroups, .path = container_cgroup(c)};
    int r;

    if (c->pidfd >= 0)
        (void)pidfd_signal(c->pidfd, SIGKILL); /* -ESRCH: dead already */
    r = clear_once(&x, ROUND_MS, NULL);
    free(x.path);
    return r == 0;
}
