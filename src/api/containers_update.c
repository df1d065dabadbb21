/* SPDX-License-Identifier: Apache-2.0 */

/* POST /containers/{id}/update: resources and restart policy. */
#include <string.h>

#include "api/containers.h"
#include "base/alloc.h"
#include "engine/config.h"
#include "engine/container.h"
#include "engine/spec.h"

static int apply_running(struct container *x, const struct host_config *h, struct err *e) {
    auto_free char *path = container_cgroup(x);
    struct oci_resources resources;
    auto_cgroup cg;
    int r;

    cgroup_init(&cg);
    field_init(&oci_resources_table, &resources);
    r = spec_resources(h, &resources, e);
    if (r == 0)
        r = cgroup_open(x->engine->cgroups, path, &cg, e);
    if (r == 0)
        r = cgroup_update(&cg, &resources, e);
    field_done(&oci_resources_table, &resources);
    return r;
}

static int check_policy(const struct container *x, const struct restart_policy *p,
                        struct err *e) {
    if (x->rec.host.auto_remove && !str_empty(p->name) && !str_eq(p->name, "no"))
        return err_set(e, ERR_INVALID,
                       "Cannot update container %s: Restart policy cannot be updated because "
                       "AutoRemove is enabled for the container",
                       x->rec.id);
    return restart_policy_validate(p, e);
}

/* `fresh` is the container's configuration with the body's members over it: what the body does not
 * name keeps its value. Docker takes zero for "not given" here. */
static void keep_zeroes(struct host_config *fresh, const struct host_config *old) {
#define KEEP(m)                                                                                    \
    if (fresh->m == 0)                                                                             \
    fresh->m = old->m
    KEEP(cpu_shares);
    KEEP(memory);
    KEEP(nano_cpus);
    KEEP(blkio_weight);
    KEEP(cpu_period);
    KEEP(cpu_quota);
    KEEP(cpu_realtime_period);
    KEEP(cpu_realtime_runtime);
    KEEP(kernel_memory);
    KEEP(memory_reservation);
    KEEP(memory_swap);
#undef KEEP
    if (str_empty(fresh->cpuset_cpus))
        str_set(&fresh->cpuset_cpus, old->cpuset_cpus);
    if (str_empty(fresh->cpuset_mems))
        str_set(&fresh->cpuset_mems, old->cpuset_mems);
    if (str_empty(fresh->restart_policy.name)) {
        str_set(&fresh->restart_policy.name, old->restart_policy.name);
        fresh->restart_policy.maximum_retry_count = old->restart_policy.maximum_retry_count;
    }
}

static int update(struct container *x, struct json_object *body, char ***warnings,
                  struct err *e) {
    struct host_config fresh;
    struct host_facts facts = {0};
    int r;

    host_facts_detect(&facts);
    field_init(&host_config_table, &fresh);
    field_copy(&host_config_table, &fresh, &x->rec.host);
    r = field_parse(&host_config_table, body, &fresh, "", e);
    if (r == 0) {
        keep_zeroes(&fresh, &x->rec.host);
        r = check_policy(x, &fresh.restart_policy, e);
    }
    if (r == 0)
        r = host_resources_validate(&fresh, &facts, true, warnings, e);
    if (r == 0 && x->rec.running) {
        r = apply_running(x, &fresh, e);
        if (r < 0)
            err_wrap(e, "Cannot update container %s", x->rec.id);
    }
    if (r == 0) {
        field_done(&host_config_table, &x->rec.host);
        x->rec.host = fresh;
    } else {
        field_done(&host_config_table, &fresh);
    }
    return r;
}

struct updating {
    struct api_call *call;
    char **warnings;
};

static void saved(void *arg, int r) {
    struct updating *u = arg;
    auto_buf b = BUF_INIT;
    struct jw w;

    if (r < 0) {
        call_errorf(u->call, ERR_SYSTEM, "the change could not be saved: %s", strerror(-r));
    } else {
        jw_init(&w, &b);
        jw_object(&w);
        jw_kstrv(&w, "Warnings", u->warnings);
        jw_end_object(&w);
        call_json(u->call, 200, &b);
    }
    strv_free(u->warnings);
    free(u);
}

void containers_update(struct api_call *c) {
    struct container *x = call_container(c);
    struct json_object *body = NULL;
    struct updating *u;
    auto_err e = ERR_INIT;

    if (!x)
        return;
    u = xnew(struct updating);
    u->call = c;
    if (call_json_body(c, false, &body, &e) < 0 || update(x, body, &u->warnings, &e) < 0) {
        call_error(c, &e);
        strv_free(u->warnings);
        free(u);
    } else {
        container_save(x, saved, u);
        container_event(x, "update", NULL);
    }
    json_object_put(body);
}
