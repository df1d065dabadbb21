/* SPDX-License-Identifier: Apache-2.0 */

/*
 * GET /containers/{id}/top: what `ps` would print of the container's processes. No program runs,
 * neither the image's nor the host's: api/ps.h reads /proc. On a worker, for a container may have
 * thousands of processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/containers.h"
#include "api/ps.h"
#include "base/alloc.h"
#include "engine/container.h"
#include "sys/procfd.h"

struct listing {
    struct api_call *call;
    const struct cgroupfs_host *cgroups;
    char *id, *cgroup;
    pid_t init;
    int64_t init_start; /* with the pid it names the process for good */
    struct ps_format format;
    struct buf answer;
    struct err error;
};

static void listing_free(struct listing *l) {
    ps_format_done(&l->format);
    buf_done(&l->answer);
    err_done(&l->error);
    free(l->cgroup);
    free(l->id);
    free(l);
}

static int list(struct job *j, void *arg) {
    struct listing *l = arg;
    auto_free pid_t *pids = NULL;
    size_t count = 0;
    auto_cgroup cg;
    int64_t start;
    int r;

    (void)j;
    cgroup_init(&cg);
    r = cgroup_open(l->cgroups, l->cgroup, &cg, &l->error);
    if (r == 0)
        r = cgroup_pids(&cg, &pids, &count, &l->error);
    if (r == 0)
        r = ps_list(&l->format, l->init, pids, count, &l->answer, &l->error);
    /* It ended while it was read: better no answer than one of another process. */
    if (proc_start_time(l->init, &start) < 0 || start != l->init_start) {
        err_done(&l->error);
        r = err_set(&l->error, ERR_CONFLICT, "Container %s is not running", l->id);
    }
    return r;
}

static void listed(void *arg, int r) {
    struct listing *l = arg;
    struct container *x;

    if (r < 0) {
        if (l->error.class == ERR_NONE)
            (void)err_sys(&l->error, r, "top"); /* sets, cannot fail */
        call_error(l->call, &l->error);
    } else {
        x = map_get(&l->call->engine->containers, l->id);
        if (x)
            container_event(x, "top", NULL);
        call_json(l->call, 200, &l->answer);
    }
    listing_free(l);
}

void containers_top(struct api_call *c) {
    const struct container *x = call_container(c);
    const char *args = call_query(c, "ps_args");
    struct ps_format format = {0};
    auto_err e = ERR_INIT;
    struct listing *l;

    if (!x)
        return;
    if (x->rec.restarting) {
        call_errorf(c, ERR_CONFLICT,
                    "Container %s is restarting, wait until the container is running", x->rec.id);
        return;
    }
    if (!x->rec.running || x->rec.pid <= 0) {
        call_errorf(c, ERR_CONFLICT, "Container %s is not running", x->rec.id);
        return;
    }
    if (ps_format_parse(str_empty(args) ? "-ef" : args, &format, &e) < 0) {
        call_error(c, &e);
        return;
    }
    l = xnew(struct listing);
    l->call = c;
    l->cgroups = c->engine->cgroups;
    l->id = xstrdup(x->rec.id);
    l->cgroup = container_cgroup(x);
    l->init = (pid_t)x->rec.pid;
    l->init_start = x->rec.start_time;
    l->format = format;
    job_start(c->engine->loop, JOB_SHORT, list, listed, l);
}
