/* SPDX-License-Identifier: Apache-2.0 */

/* /containers: create and life. Lists, files and streams are in the containers_*.c beside it. */
#include <string.h>

#include "api/containers.h"
#include "api/platform.h"
#include "api/router.h"
#include "base/alloc.h"
#include "engine/config.h"
#include "engine/container.h"
#include "engine/create_body.h"
#include "engine/links.h"

struct container *call_container(struct api_call *c) {
    auto_err e = ERR_INIT;
    struct container *found = container_find(c->engine, call_param(c, 0), &e);

    if (!found)
        call_error(c, &e);
    return found;
}

void call_done_204(void *arg, struct err *e) {
    struct api_call *c = arg;

    if (e->class == ERR_NONE)
        call_empty(c, 204);
    else
        call_error(c, e);
}

/* ---- create ---------------------------------------------------------------------------------- */
static void created(void *arg, const struct create_result *r, struct err *e) {
    struct api_call *c = arg;
    auto_buf b = BUF_INIT;
    struct jw w;

    if (!r->container) {
        call_error(c, e);
        return;
    }
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "Id", r->container->rec.id);
    jw_key(&w, "Warnings");
    jw_array(&w);
    strv_for_each (text, r->warnings)
        jw_str(&w, text);
    jw_end_array(&w);
    jw_end_object(&w);
    call_json(c, 201, &b);
}

static void create(struct api_call *c) {
    struct create_body body;
    const char *platform = call_query(c, "platform");
    auto_err e = ERR_INIT;
    int r = 0;

    if (create_body_parse(buf_str(&c->body), c->body.len, c->version, &body, &e) < 0) {
        call_error(c, &e);
        return;
    }
    if (!str_empty(platform)) {
        const struct image *image = image_find(c->engine->images, body.config.image, NULL);

        r = image ? platform_check(platform, image, body.config.image, &e) : 0;
    }
    if (r < 0)
        call_error(c, &e);
    else
        container_create(c->engine, &body, call_query(c, "name"), created, c);
    create_body_done(&body);
}

/* ---- life ------------------------------------------------------------------------------------ */
static void start(struct api_call *c) {
    struct container *x = call_container(c);

    if (x)
        container_start(x, call_done_204, c);
}

/* `t` in seconds. True when it is a number or absent. */
static bool timeout_of(struct api_call *c, int64_t *ret) {
    auto_err e = ERR_INIT;

    if (call_query_int(c, "t", CONTAINER_TIMEOUT_DEFAULT, ret, &e) == 0)
        return true;
    call_error(c, &e);
    return false;
}

static void stop(struct api_call *c) {
    struct container *x = call_container(c);
    int64_t t;

    if (x && timeout_of(c, &t))
        container_stop(x, call_query(c, "signal"), t, call_done_204, c);
}

static void restart(struct api_call *c) {
    struct container *x = call_container(c);
    int64_t t;

    if (x && timeout_of(c, &t))
        container_restart(x, call_query(c, "signal"), t, call_done_204, c);
}

static void killed(void *arg, struct err *e) {
    struct api_call *c = arg;

    err_wrap(e, "Cannot kill container: %s", call_param(c, 0));
    call_done_204(c, e);
}

static void kill_container(struct api_call *c) {
    const char *signal = call_query(c, "signal");
    auto_err e = ERR_INIT;
    struct container *x;

    /* As dockerd: a wrong signal is told before a wrong name, and without a prefix. */
    if (!str_empty(signal) && signal_parse(signal) < 0 && !signal_is_number(signal)) {
        call_errorf(c, ERR_INVALID, "Invalid signal: %s", signal);
        return;
    }
    x = container_find(c->engine, call_param(c, 0), &e);
    if (x)
        container_kill(x, signal, killed, c);
    else
        killed(c, &e);
}

static void pause_container(struct api_call *c) {
    struct container *x = call_container(c);
    auto_err e = ERR_INIT;

    if (!x)
        return;
    (void)container_pause(x, &e); /* e tells */
    call_done_204(c, &e);
}

static void unpause_container(struct api_call *c) {
    struct container *x = call_container(c);
    auto_err e = ERR_INIT;

    if (!x)
        return;
    (void)container_unpause(x, &e); /* e tells */
    call_done_204(c, &e);
}

static void rename_container(struct api_call *c) {
    struct container *x = call_container(c);
    const char *name = call_query(c, "name");
    auto_err e = ERR_INIT;

    if (!x)
        return;
    (void)container_rename(x, str_or_empty(name), &e); /* e tells */
    call_done_204(c, &e);
}

/* DELETE /containers/web/db?link=1: the link that web calls db. */
static void remove_link(struct api_call *c) {
    const char *path = call_param(c, 0), *alias = strrchr(path, '/');
    auto_free char *name = alias ? xstrndup(path, (size_t)(alias - path)) : xstrdup(path);
    auto_err e = ERR_INIT;
    struct container *x = container_find(c->engine, name, &e);

    if (!x || links_remove(x, alias ? alias + 1 : "", &e) < 0)
        call_error(c, &e);
    else
        call_empty(c, 204);
}

static void remove_container(struct api_call *c) {
    struct remove_options o = {.force = call_query_bool(c, "force", false),
                               .volumes = call_query_bool(c, "v", false)};
    struct container *x;

    if (call_query_bool(c, "link", false)) {
        remove_link(c);
        return;
    }
    x = call_container(c);
    if (x)
        container_remove(x, o, call_done_204, c);
}

/* ---- wait ------------------------------------------------------------------------------------ */
struct waiting {
    struct api_call *call;
    struct container_wait *wait;
};

static void wait_gone(void *arg) {
    struct waiting *x = arg;

    container_wait_cancel(x->wait);
    call_stream_end(x->call);
    free(x);
}

static void wait_end(void *arg, const struct wait_result *r) {
    struct waiting *x = arg;
    struct api_call *c = x->call;
    auto_buf b = BUF_INIT;
    struct jw w;

    free(x);
    call_on_gone(c, NULL, NULL);
    jw_init(&w, &b);
    jw_object(&w);
    if (!str_empty(r->error)) {
        jw_key(&w, "Error");
        jw_object(&w);
        jw_kstr(&w, "Message", r->error);
        jw_end_object(&w);
    } else if (c->version < 42) {
        jw_knull(&w, "Error");
    }
    jw_kint(&w, "StatusCode", r->exit_code);
    jw_end_object(&w);
    buf_putc(&b, '\n');
    (void)call_stream_write(c, b.data, b.len); /* a client that has gone needs no answer */
    call_stream_end(c);
}

static void wait_container(struct api_call *c) {
    static const struct {
        const char *name;
        enum wait_condition cond;
    } conditions[] = {{"", WAIT_NOT_RUNNING},
                      {"not-running", WAIT_NOT_RUNNING},
                      {"next-exit", WAIT_NEXT_EXIT},
                      {"removed", WAIT_REMOVED}};
    const char *name = str_or_empty(call_query(c, "condition"));
    struct container *found = call_container(c);
    struct waiting *x;
    int cond = -1;

    if (!found)
        return;
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        if (str_eq(conditions[i].name, name))
            cond = (int)conditions[i].cond;
    if (cond < 0) {
        call_errorf(c, ERR_INVALID, "invalid condition: \"%s\"", name);
        return;
    }
    x = xnew(struct waiting);
    x->call = c;
    /* The headers go out now: a client starts the container once it knows that the wait is set. */
    call_stream_begin(c, 200, "application/json");
    call_on_gone(c, wait_gone, x);
    {
        struct container_wait *w = container_wait(found, (enum wait_condition)cond, wait_end, x);

        if (w) /* otherwise it has ended, and x with it */
            x->wait = w;
    }
}

/* ---- prune ----------------------------------------------------------------------------------- */
static const char *const prune_filters[] = {"label", "label!", "until", NULL};

struct pruning {
    struct api_call *call;
    char **deleted;
    unsigned left;
};

struct prune_one {
    struct pruning *all;
    char *id;
};

static void prune_answer(struct pruning *p) {
    auto_buf b = BUF_INIT;
    struct jw w;

    jw_init(&w, &b);
    jw_object(&w);
    jw_kstrv(&w, "ContainersDeleted", p->deleted);
    jw_kuint(&w, "SpaceReclaimed", 0);
    jw_end_object(&w);
    call_json(p->call, 200, &b);
    strv_free(p->deleted);
    free(p);
}

static void pruned_one(void *arg, struct err *e) {
    struct prune_one *one = arg;
    struct pruning *p = one->all;

    if (e->class == ERR_NONE)
        strv_take(&p->deleted, take_ptr(one->id));
    free(one->id);
    free(one);
    if (--p->left == 0)
        prune_answer(p);
}

static void prune(struct api_call *c) {
    struct remove_options o = {.volumes = false};
    auto_filters f = {0};
    auto_err e = ERR_INIT;
    auto_strv ids = NULL;
    int64_t until = 0;
    struct pruning *p;

    if (call_filters(c, prune_filters, &f, &e) < 0 || filters_until(&f, &until, &e) < 0) {
        call_error(c, &e);
        return;
    }
    map_for_each (it, &c->engine->containers) {
        struct container *x = it->value;

        if (container_is_running(x) || x->starting || x->removing || !x->committed ||
            (until && x->rec.created_ns >= until) ||
            !filters_labels(&f, "label", &x->rec.config.labels) ||
            !filters_labels(&f, "label!", &x->rec.config.labels))
            continue;
        strv_add(&ids, x->rec.id);
    }
    p = xnew(struct pruning);
    p->call = c;
    p->left = 1;
    strv_for_each (id, ids) {
        struct container *x = map_get(&c->engine->containers, id);
        struct prune_one *one;

        if (!x)
            continue;
        one = xnew(struct prune_one);
        one->all = p;
        one->id = xstrdup(id);
        p->left++;
        container_remove(x, o, pruned_one, one);
    }
    if (--p->left == 0)
        prune_answer(p);
}

const struct route routes_containers[] = {
    {"POST", "/containers/create", ROUTE_BODY | ROUTE_JSON_BODY, create},
    {"GET", "/containers/json", 0, containers_list},
    {"POST", "/containers/prune", 0, prune},
    {"GET", "/containers/{id}/json", 0, containers_inspect},
    {"POST", "/containers/{id}/start", ROUTE_BODY, start},
    {"POST", "/containers/{id}/stop", ROUTE_DURABLE | ROUTE_EFFECTIVE, stop},
    {"POST", "/containers/{id}/restart", ROUTE_DURABLE | ROUTE_EFFECTIVE, restart},
    {"POST", "/containers/{id}/kill", ROUTE_DURABLE | ROUTE_EFFECTIVE, kill_container},
    {"POST", "/containers/{id}/pause", ROUTE_DURABLE | ROUTE_EFFECTIVE, pause_container},
    {"POST", "/containers/{id}/unpause", ROUTE_DURABLE | ROUTE_EFFECTIVE, unpause_container},
    {"POST", "/containers/{id}/rename", ROUTE_DURABLE, rename_container},
    {"GET", "/containers/{id}/ports/explain", 0, containers_ports_explain},
    {"POST", "/containers/{id}/update", ROUTE_BODY | ROUTE_JSON_BODY | ROUTE_DURABLE,
     containers_update},
    {"POST", "/containers/{id}/wait", 0, wait_container},
    {"DELETE", "/containers/{name*}", 0, remove_container},
    {"GET", "/containers/{id}/logs", 0, containers_logs},
    {"POST", "/containers/{id}/attach", 0, containers_attach},
    {"GET", "/containers/{id}/attach/ws", 0, containers_attach_ws},
    {"POST", "/containers/{id}/resize", 0, containers_resize},
    {"GET", "/containers/{id}/top", 0, containers_top},
    {"GET", "/containers/{id}/stats", 0, containers_stats},
    {"GET", "/containers/{id}/changes", 0, containers_changes},
    {"GET", "/containers/{id}/export", 0, containers_export},
    {"GET", "/containers/{id}/archive", 0, containers_archive_get},
    {"HEAD", "/containers/{id}/archive", 0, containers_archive_head},
    {"PUT", "/containers/{id}/archive", ROUTE_RAW, containers_archive_put},
    {"POST", "/containers/{id}/copy", ROUTE_BODY, containers_copy},
    {"POST", "/commit", ROUTE_BODY | ROUTE_DURABLE, containers_commit},
    {NULL, NULL, 0, NULL},
};
