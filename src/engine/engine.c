/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"
#include "engine/adopt.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/exec.h"
#include "engine/host_limits.h"
#include "engine/idmap.h"
#include "engine/init_layer.h"
#include "engine/netd_link.h"
#include "engine/ports.h"
#include "engine/spawner_link.h"
#include "engine/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/adopt.h"
#include "engine/container.h"
#include "engine/exec.h"
#include "engine/host_limits.h"
#include "engine/idmap.h"
#include "engine/init_layer.h"
#include "engine/labels.h"
#include "engine/net_call.h"
#include "engine/spawner_link.h"
#include "engine/userns.h"
#include "image/datadir.h"
#include "image/tree.h"

#define NETWORK_PAUSE_MS 1000 /* rules that were removed come back within a second */

/* ---- background jobs ------------------------------------------------------------------------- */
static int empty_trash(struct job *j, void *arg) {
    struct engine *eng = arg;

    (void)j;
    return data_root_empty_trash(eng->data_root);
}

static void trash_done(void *arg, int r) {
    struct engine *eng = arg;

    eng->cleaning = false;
    if (r < 0)
        log_warn("the trash could not be emptied; it is tried again later");
    if (eng->clean_again) {
        eng->clean_again = false;
        engine_empty_trash(eng);
    }
}

void engine_empty_trash(struct engine *eng) {
    if (eng->cleaning) {
        eng->clean_again = true;
        return;
    }
    eng->cleaning = true;
    job_start(eng->loop, JOB_SHORT, empty_trash, trash_done, eng);
}

static int sync_layers(struct job *j, void *arg) {
    struct engine *eng = arg;

    (void)j;
    return layer_store_sync(eng->layers);
}

static void sync_done(void *arg, int r) {
    struct engine *eng = arg;

    eng->syncing = false;
    if (r < 0)
        log_warn("layers could not be synced; they are tried again with the next ones");
}

void engine_sync_layers(struct engine *eng) {
    if (eng->syncing || !layer_store_is_dirty(eng->layers))
        return;
    eng->syncing = true;
    job_start(eng->loop, JOB_SHORT, sync_layers, sync_done, eng);
}

/* ---- start ----------------------------------------------------------------------------------- */
/* One daemon a data root. The lock lives as long as the process. */
static int lock_root(struct engine *eng, struct err *e) {
    int fd = openat(data_root_fd(eng->data_root), "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_sys(e, errno, "cannot lock %s", eng->options.data_root);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        fd_close(fd);
        return err_set(e, ERR_CONFLICT, "%s is in use by another daemon", eng->options.data_root);
    }
    eng->lock_fd = fd;
    return 0;
}

/* The engine's own id: made once, kept with the data. */
static int read_engine_id(struct engine *eng, struct err *e) {
    int dir = data_root_fd(eng->data_root);
    auto_buf b = {.max = 256};
    char id[ID_LEN + 1];
    int r = io_read_file_at(dir, "engine-id", &b);

    if (r == 0 && id_is_valid(buf_str(&b))) {
        eng->id = buf_take(&b);
        return 0;
    }
    id_new(id);
    r = io_replace_file_at(dir, "engine-id", id, ID_LEN, 0600);
    if (r < 0)
        return err_sys(e, r, "cannot write to %s", eng->options.data_root);
    eng->id = xstrdup(id);
    return 0;
}

static int make_dirs(struct engine *eng, struct err *e) {
    const struct {
        const char *parent, *name;
        mode_t mode;
    } dirs[] = {{eng->options.data_root, "containers", 0710},
                {eng->options.exec_root, "containers", 0711},
                {eng->options.exec_root, "seccomp", 0700}};

    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        auto_free char *path = xasprintf("%s/%s", dirs[i].parent, dirs[i].name);
        int r = io_mkdir_all(path, dirs[i].mode);

        if (r < 0)
            return err_sys(e, r, "cannot make %s", path);
    }
    return 0;
}

static int open_parts(struct engine *eng, struct err *e) {
    auto_free char *db = xasprintf("%s/fence.db", eng->options.data_root);
    int r;

    r = data_root_open(eng->options.data_root, &eng->data_root, e);
    if (r == 0)
        r = lock_root(eng, e);
    if (r == 0)
        r = read_engine_id(eng, e);
    if (r == 0)
        r = make_dirs(eng, e);
    if (r == 0)
        r = init_layer_open(eng, e);
    if (r == 0)
        r = store_open(eng->loop, db, &eng->store, e);
    if (r == 0)
        r = layer_store_open(eng->data_root, &eng->layers, e);
    if (r == 0)
        r = image_store_open(eng->layers, eng->store, &eng->images, e);
    if (r == 0)
        r = volume_store_open(eng->data_root, eng->store, &eng->volumes, e);
    if (r == 0)
        r = idmap_open(eng->options.idmap_dir, &eng->idmap, e);
    return r;
}

/* The ends of containers that a full disk kept out of the database are in it now: the files that
 * stood in for it may go. */
static void on_caught_up(void *arg) {
    struct engine *eng = arg;

    map_for_each (it, &eng->containers) {
        const struct container *c = it->value;
        auto_free char *dir = container_state_dir(c);

        if (!c->rec.running && !c->starting)
            (void)tree_remove_at(AT_FDCWD, dir); /* the next start makes it anew */
    }
}

/* What fence-netd has to know of the containers that run. */
static void tell_netd(struct engine *eng) {
    netd_sync_begin(eng->netd);
    map_for_each (it, &eng->containers) {
        struct container *c = it->value;

        if (!c->rec.running)
            continue;
        endpoints_tell_names(c);
        ports_tell(c);
    }
    netd_sync_end(eng->netd);
}

int engine_open(struct loop *l, struct engine_options *options, struct engine **ret,
                struct err *e) {
    struct engine *eng = xnew(struct engine);
    int r;

    list_init(&eng->net_calls);
    eng->loop = l;
    eng->lock_fd = eng->netlink = -1;
    eng->started_ns = clock_real_ns();
    eng->options = *options;
    *options = (struct engine_options){0};
    eng->cgroups = xnew(struct cgroupfs_host);
    r = cgroupfs_detect(eng->cgroups);
    if (r < 0)
        r = err_sys(e, r, "cannot read this host's control groups");
    if (r == 0)
        r = open_parts(eng, e);
    if (r < 0) {
        engine_close(eng);
        return r;
    }
    cgroup_info_read(eng->cgroups, &eng->cgroup_info);
    eng->root_unmappable = !userns_path_can(eng->options.data_root);
    lsm_detect(&eng->lsm);
    {
        auto_err lsm = ERR_INIT;

        if (lsm_apparmor_load_default(&eng->lsm, eng->options.exec_root, &lsm) < 0)
            log_warn("the default AppArmor profile could not be loaded", "error", err_msg(&lsm));
    }
    labels_open(eng);
    host_limits_log_defaults(&eng->options.ulimits);
    eng->events = events_new(eng->store);
    store_on_caught_up(eng->store, on_caught_up, eng);
    eng->spawner = spawner_link_new(eng);
    eng->netd = netd_link_new(eng, tell_netd);
    r = spawner_link_warm_up(eng->spawner, e);
    if (r == 0)
        r = networks_open(eng, e);
    if (r == 0)
        r = engine_adopt(eng, e);
    if (r < 0) {
        engine_close(eng);
        return r;
    }
    networks_adopted(eng);
    map_for_each (it, &eng->containers)
        endpoints_finish_changes(it->value);
    networks_watch(eng);
    if (netd_link_is_up(eng->netd))
        tell_netd(eng);
    (void)layer_store_collect(eng->layers); /* the number is of no interest */
    engine_empty_trash(eng);
    *ret = eng;
    return 0;
}

static void options_done(struct engine_options *o) {
    char **strings[] = {&o->data_root,     &o->exec_root,        &o->default_ipc_mode,
                        &o->cgroup_parent, &o->libexec,          &o->name,
                        &o->cors_origin,   &o->idmap_dir,        &o->init_path,
                        &o->log_driver,    &o->seccomp_profile,  &o->userns_remap,
                        &o->net.bridge,    &o->net.bip,          &o->net.fixed_cidr,
                        &o->net.gateway,   &o->net.table,        &o->net.fixed_cidr6,
                        &o->net.gateway6,  &o->net.host_binding, &o->host_gateway};

    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        free(*strings[i]);
    strmap_done(&o->log_opts);
    strmap_done(&o->ulimits);
    strv_free(o->net.address_pools);
    strv_free(o->labels);
    strv_free(o->dns);
    strv_free(o->dns_search);
    strv_free(o->dns_options);
}

static void free_container(void *arg) {
    container_free(arg);
}

/* A clean end that leaves no container running. */
static bool is_idle_end(const struct engine *eng) {
    if (!eng->stopping)
        return false;
    map_for_each (it, &eng->containers) {
        const struct container *c = it->value;

        if (c->rec.running || c->starting)
            return false;
    }
    return true;
}

void engine_close(struct engine *eng) {
    bool idle;

    if (!eng)
        return;
    idle = is_idle_end(eng);
    net_call_drop_all(eng);
    /* What has been written is still told to those who wait for it. */
    while (eng->store && store_settle(eng->store))
        loop_drain(eng->loop);
    map_for_each (it, &eng->execs) {
        struct exec *x = it->value;

        x->on_exit = NULL;
    }
    map_for_each (it, &eng->containers)
        exec_drop_all(it->value);
    map_clear(&eng->containers, free_container);
    map_done(&eng->names);
    map_done(&eng->execs);
    map_done(&eng->ready_chains);
    networks_close(eng, idle);
    if (idle && eng->netd)
        netd_link_shutdown(eng->netd);
    netd_link_free(eng->netd);
    spawner_link_free(eng->spawner);
    events_free(eng->events);
    idmap_close(eng->idmap);
    volume_store_free(eng->volumes);
    image_store_free(eng->images);
    layer_store_close(eng->layers);
    store_close(eng->store);
    data_root_close(eng->data_root);
    cgroup_info_done(&eng->cgroup_info);
    cgroupfs_host_done(eng->cgroups);
    free(eng->cgroups);
    strv_free(eng->listeners);
    strv_free(eng->warnings);
    fd_close(eng->lock_fd);
    free(eng->id);
    lsm_contexts_done(&eng->contexts);
    options_done(&eng->options);
    free(eng);
}

/* ---- stop ------------------------------------------------------------------------------------ */
struct shutdown {
    struct engine *engine;
    unsigned left;
    struct loop_timer *timer;
    void (*done)(void *arg);
    void *arg;
};

static void shutdown_end(struct shutdown *s) {
    void (*done)(void *) = s->done;
    void *arg = s->arg;

    loop_timer_free(s->timer);
    s->timer = NULL;
    s->done = NULL;
    if (done)
        done(arg);
    if (s->left == 0)
        free(s);
}

static void one_stopped(void *arg, struct err *e) {
    struct shutdown *s = arg;

    if (e->class != ERR_NONE && e->class != ERR_NOT_MODIFIED)
        log_warn("a container did not stop", "error", err_msg(e));
    if (--s->left == 0)
        shutdown_end(s);
}

/* Containers that are left get no more grace; each ends its stop within seconds then. */
static void shutdown_timeout(void *arg) {
    struct shutdown *s = arg;

    log_warn("not all containers have stopped in time: killing them");
    loop_timer_free(s->timer);
    s->timer = NULL;
    s->left++; /* ours again: the last one may end here */
    map_for_each (it, &s->engine->containers)
        container_hurry(it->value);
    if (--s->left == 0)
        shutdown_end(s);
}

/* Seconds until those that are left are killed; negative: never. A container that asks for a longer
 * grace than the daemon's has it, as in dockerd. */
static int shutdown_grace(const struct engine *eng) {
    const int extra = 5;
    int grace = eng->options.shutdown_timeout;

    map_for_each (it, &eng->containers) {
        const struct container *c = it->value;
        const struct opt_int *own = &c->rec.config.stop_timeout;

        if (grace < 0 || !c->rec.running || !own->set)
            continue;
        if (own->value < 0 || own->value > INT_MAX / 1000 - extra)
            return -1;
        if ((int)own->value + extra > grace)
            grace = (int)own->value + extra;
    }
    return grace;
}

void engine_shutdown(struct engine *eng, void (*done)(void *arg), void *arg) {
    int grace = shutdown_grace(eng);
    struct shutdown *s;
    auto_strv ids = NULL;

    eng->stopping = true;
    map_for_each (it, &eng->containers) {
        struct container *c = it->value;

        loop_timer_free(c->restart_timer);
        c->restart_timer = NULL;
        if (c->rec.running)
            strv_add(&ids, it->key);
    }
    if (eng->options.live_restore || strv_len(ids) == 0) {
        done(arg);
        return;
    }
    s = xnew(struct shutdown);
    s->engine = eng;
    s->done = done;
    s->arg = arg;
    s->left = 1; /* ours, so that the last stop does not end it before all were asked */
    if (grace >= 0)
        s->timer = loop_timer_new(eng->loop, (uint64_t)grace * 1000, 0, shutdown_timeout, s);
    strv_for_each (id, ids) {
        struct container *c = map_get(&eng->containers, id);

        if (!c)
            continue;
        s->left++;
        container_shutdown(c, one_stopped, s);
    }
    if (--s->left == 0)
        shutdown_end(s);
}
