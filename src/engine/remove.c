/* SPDX-License-Identifier: Apache-2.0 */

/* rm: the process is gone, then the record, then the directory. */
#include <fcntl.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/exec.h"
#include "image/datadir.h"
#include "image/tree.h"

struct removal {
    struct container *c;
    struct remove_options options;
    container_done *done;
    void *arg;
};

/* Anonymous volumes that nobody else uses go with the container when asked for; named ones stay. */
static void release_volumes(struct container *c, bool remove) {
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);
        struct volume *v;

        if (!str_eq(m->type, "volume"))
            continue;
        v = volume_find(c->engine->volumes, m->name, NULL);
        if (!v)
            continue;
        volume_unref(v, c->rec.id);
        if (remove && v->anonymous && v->refs == 0) {
            auto_err e = ERR_INIT;
            struct strmap attrs = {0};
            auto_free char *name = xstrdup(m->name);

            if (volume_remove(c->engine->volumes, name, false, &e) < 0) {
                log_warn("cannot remove an anonymous volume", "volume", name, "error", err_msg(&e));
                continue;
            }
            strmap_put(&attrs, "driver", "local");
            events_publish(c->engine->events, "volume", "destroy", name, &attrs);
            strmap_done(&attrs);
        }
    }
}

static void record_gone(void *arg, int r) {
    struct removal *x = arg;
    struct container *c = x->c;
    struct engine *eng = c->engine;
    auto_free char *dir = xasprintf("containers/%s", c->rec.id);
    auto_free char *state_dir = container_state_dir(c);
    struct removal own = *x;
    auto_err e = ERR_INIT;

    free(x);
    if (r < 0) {
        c->removing = false;
        c->rec.dead = true;
        (void)err_sys(&e, r, "cannot remove container %s from the state database", c->rec.id);
        own.done(own.arg, &e);
        return;
    }
    (void)tree_remove_at(AT_FDCWD, state_dir); /* there if its end could not be recorded */
    r = data_root_trash(eng->data_root, dir);
    if (r < 0)
        log_warn("cannot remove a container's directory; the next start tries again", "container",
                 c->rec.id);
    release_volumes(c, own.options.volumes);
    layer_unref_all(eng->layers, c->rec.diff_ids);
    exec_drop_all(c);
    map_del(&eng->containers, c->rec.id);
    map_del(&eng->names, c->rec.name);
    container_event(c, "destroy", NULL);
    container_wake(c, WAIT_REMOVED);
    container_free(c);
    engine_empty_trash(eng);
    own.done(own.arg, &e);
}

static void remove_record(struct removal *x) {
    struct store_txn *t = store_txn_new();

    container_attach_drop(x->c);
    store_txn_del(t, "container", x->c->rec.id);
    store_commit(x->c->engine->store, t, record_gone, x);
}

static void killed(void *arg, struct err *e) {
    struct removal *x = arg;

    if (e->class != ERR_NONE && x->c->rec.running) {
        x->c->removing = false;
        err_wrap(e, "Could not kill running container %s, cannot remove", x->c->rec.id);
        x->done(x->arg, e);
        free(x);
        return;
    }
    remove_record(x);
}

static void remove_settled(struct container *c, void *arg) {
    struct removal *x = arg;
    auto_err e = ERR_INIT;

    if (c->removing) {
        (void)err_set(&e, ERR_CONFLICT, "removal of container %s is already in progress",
                      c->rec.name); /* sets, cannot fail */
    } else if (container_is_running(c) && !x->options.force) {
        if (c->rec.paused)
            (void)err_set(&e, ERR_CONFLICT, /* sets, cannot fail */
                          "You cannot remove a paused container %s. Unpause and then stop the "
                          "container before attempting removal or force remove",
                          c->rec.id);
        else
            (void)err_set(&e, ERR_CONFLICT, /* sets, cannot fail */
                          "You cannot remove a %s container %s. Stop the container before "
                          "attempting removal or force remove",
                          container_status(c), c->rec.id);
    }
    if (e.class != ERR_NONE) {
        x->done(x->arg, &e);
        free(x);
        return;
    }
    if (container_is_running(c)) {
        c->removing = true;
        container_kill(c, "KILL", killed, x);
        return;
    }
    c->removing = true;
    remove_record(x);
}

void container_remove(struct container *c, struct remove_options o, container_done *done,
                      void *arg) {
    struct removal *x = xnew(struct removal);

    x->c = c;
    x->options = o;
    x->done = done;
    x->arg = arg;
    container_when_settled(c, remove_settled, x);
}
