/* SPDX-License-Identifier: Apache-2.0 */

/* POST /containers/{id}/update: resources, restart policy, and published ports. */
#include <string.h>
#include <sys/socket.h>

#include "api/containers.h"
#include "base/alloc.h"
#include "engine/config.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/port_map.h"
#include "engine/ports.h"
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

static int check_policy(const struct container *x, const struct restart_policy *p, struct err *e) {
    if (x->rec.host.auto_remove && !str_empty(p->name) && !str_eq(p->name, "no"))
        return err_set(e, ERR_INVALID,
                       "Cannot update container %s: Restart policy cannot be updated because "
                       "AutoRemove is enabled for the container",
                       x->rec.id);
    return restart_policy_validate(p, e);
}

/* What an update may name. Docker takes zero for "not given". */
#define UPDATED(X)                                                                                 \
    X(cpu_shares)                                                                                  \
    X(memory)                                                                                      \
    X(nano_cpus)                                                                                   \
    X(blkio_weight)                                                                                \
    X(cpu_period)                                                                                  \
    X(cpu_quota)                                                                                   \
    X(cpu_realtime_period)                                                                         \
    X(cpu_realtime_runtime)                                                                        \
    X(kernel_memory)                                                                               \
    X(memory_reservation)                                                                          \
    X(memory_swap)

static void merge(struct host_config *to, const struct host_config *asked) {
#define TAKE(m)                                                                                    \
    if (asked->m != 0)                                                                             \
        to->m = asked->m;
    UPDATED(TAKE)
#undef TAKE
    if (asked->pids_limit.set)
        to->pids_limit = asked->pids_limit;
    if (!str_empty(asked->cpuset_cpus))
        str_set(&to->cpuset_cpus, asked->cpuset_cpus);
    if (!str_empty(asked->cpuset_mems))
        str_set(&to->cpuset_mems, asked->cpuset_mems);
    if (!str_empty(asked->restart_policy.name)) {
        str_set(&to->restart_policy.name, asked->restart_policy.name);
        to->restart_policy.maximum_retry_count = asked->restart_policy.maximum_retry_count;
    }
}

/* What does not fit what the container has, in Docker's words. */
static int check_conflicts(const struct container *x, const struct host_config *asked,
                           struct err *e) {
    const struct host_config *old = &x->rec.host;
    const char *why = NULL;

    if (asked->nano_cpus > 0 && old->cpu_period > 0)
        why = "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set";
    else if (asked->nano_cpus > 0 && old->cpu_quota > 0)
        why = "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set";
    else if (asked->cpu_quota > 0 && old->nano_cpus > 0)
        why = "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set";
    else if (asked->cpu_period > 0 && old->nano_cpus > 0)
        why = "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set";
    else if (asked->memory > 0 && asked->memory_swap == 0 && old->memory_swap > 0 &&
             asked->memory > old->memory_swap)
        why = "Memory limit should be smaller than already set memoryswap limit, update the "
              "memoryswap at the same time";
    return why ? err_set(e, ERR_INVALID, "Cannot update container %s: %s", x->rec.id, why) : 0;
}

static int update(struct container *x, struct json_object *body, char ***warnings, struct err *e) {
    struct host_config asked, fresh;
    struct host_facts facts = {0};
    auto_strv repeated = NULL; /* of what the container has had before */
    int r;

    host_facts_detect(&facts);
    field_init(&host_config_table, &asked);
    field_init(&host_config_table, &fresh);
    r = field_parse(&host_config_table, body, &asked, "", e);
    if (r == 0)
        r = check_policy(x, &asked.restart_policy, e);
    if (r == 0)
        r = host_resources_validate(&asked, &facts, true, warnings, e);
    if (r == 0)
        r = check_conflicts(x, &asked, e);
    if (r == 0) {
        field_copy(&host_config_table, &fresh, &x->rec.host);
        merge(&fresh, &asked);
        r = host_resources_validate(&fresh, &facts, true, &repeated, e);
    }
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
    field_done(&host_config_table, &asked);
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

/* ---- ports, which Docker cannot change ------------------------------------------------------- */
/* "PublishAdd": a PortMap; "PublishRm": ["80/tcp", "8080:80/tcp"]. Removal comes first, so that a
 * host port can change hands in one call. */
static int publish_rm(struct container *x, struct json_object *body, struct err *e) {
    struct json_object *list = jsn_get(body, "PublishRm");
    auto_strv what = NULL;

    if (!list)
        return 0;
    if (!json_object_is_type(list, json_type_array))
        return err_set(e, ERR_INVALID, "PublishRm must be a list of ports");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        strv_add(&what, str_or_empty(json_object_get_string(json_object_array_get_idx(list, i))));
    return ports_remove(x, what, e);
}

static int publish_check(const struct container *x, struct json_object *body, char **ret_map,
                         struct err *e) {
    struct json_object *map = jsn_get(body, "PublishAdd");
    int r;

    if (!map && !jsn_get(body, "PublishRm"))
        return 0;
    if (!x->rec.running)
        return err_set(e, ERR_CONFLICT,
                       "Container %s is not running: its ports are those that it was created with",
                       x->rec.id);
    if (!endpoint_gateway(x, AF_INET) && !endpoint_gateway(x, AF_INET6))
        return err_set(e, ERR_INVALID,
                       "Container %s has no network that leads outside: no port can be published",
                       x->rec.id);
    if (!map)
        return 0;
    str_set(ret_map, json_object_to_json_string_ext(map, JSON_C_TO_STRING_PLAIN));
    r = port_map_check(*ret_map, e);
    return r;
}

static void published(void *arg, struct err *e) {
    struct updating *u = arg;
    struct container *x = container_find(u->call->engine, call_param(u->call, 0), NULL);

    if (e->class != ERR_NONE || !x) {
        call_error(u->call, e);
        strv_free(u->warnings);
        free(u);
        return;
    }
    container_save(x, saved, u);
    container_event(x, "update", NULL);
}

void containers_update(struct api_call *c) {
    struct container *x = call_container(c);
    auto_json *body = NULL;
    auto_free char *map = NULL;
    struct updating *u;
    auto_err e = ERR_INIT;

    if (!x)
        return;
    u = xnew(struct updating);
    u->call = c;
    if (call_json_body(c, false, &body, &e) < 0 || publish_check(x, body, &map, &e) < 0 ||
        update(x, body, &u->warnings, &e) < 0 || publish_rm(x, body, &e) < 0) {
        call_error(c, &e);
        strv_free(u->warnings);
        free(u);
    } else if (map) {
        ports_add(x, map, published, u);
    } else {
        published(u, &e);
    }
}
