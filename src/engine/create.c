/* SPDX-License-Identifier: Apache-2.0 */

/* create: body -> image, checks, name, volumes, directories, database. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/create_body.h"
#include "engine/endpoints.h"
#include "engine/host_limits.h"
#include "engine/host_paths.h"
#include "engine/labels.h"
#include "engine/links.h"
#include "engine/names.h"
#include "engine/port_map.h"
#include "engine/userns.h"
#include "image/overlay.h"

#define NAME_ATTEMPTS 100

/* One create on its way: a look at the paths of the host that it names, checks on the loop, then a
 * worker when there is something to copy, then the database. */
struct creation {
    struct engine *engine;
    struct create_body body;
    char *name; /* asked for, or NULL */
    struct container *c;
    char **warnings;
    void (*done)(void *arg, const struct create_result *r, struct err *e);
    void *arg;
    /* for the worker */
    char **diff_ids;
    struct seed {
        char *mountpoint, *destination;
    } * seeds;
    size_t seed_count;
    struct err error;
};

static void creation_free(struct creation *x) {
    create_body_done(&x->body);
    free(x->name);
    strv_free(x->warnings);
    strv_free(x->diff_ids);
    for (size_t i = 0; i < x->seed_count; i++) {
        free(x->seeds[i].mountpoint);
        free(x->seeds[i].destination);
    }
    free(x->seeds);
    err_done(&x->error);
    free(x);
}

/* Takes back what begin() and the steps after it have taken. */
static void undo(struct container *c) {
    struct engine *eng = c->engine;
    auto_free char *dir = xasprintf("containers/%s", c->rec.id);

    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);
        struct volume *v =
            str_eq(m->type, "volume") ? volume_find(eng->volumes, m->name, NULL) : NULL;

        if (!v)
            continue;
        volume_unref(v, c->rec.id);
        if (v->anonymous && v->refs == 0 && m->anonymous)
            (void)volume_remove(eng->volumes, m->name, true, NULL); /* at worst it dangles */
    }
    (void)data_root_trash(eng->data_root, dir); /* at worst the next start finds it */
    layer_unref_all(eng->layers, c->rec.diff_ids);
    map_del(&eng->containers, c->rec.id);
    map_del(&eng->names, c->rec.name);
    container_free(c);
    engine_empty_trash(eng);
}

static void finish(struct creation *x, struct err *e) {
    struct create_result r = {.warnings = x->warnings};

    if (e->class == ERR_NONE) {
        r.container = x->c;
        x->c->committed = true;
        container_event(x->c, "create", NULL);
    } else {
        undo(x->c);
    }
    x->done(x->arg, &r, e);
    creation_free(x);
}

static void saved(void *arg, int r) {
    struct creation *x = arg;
    auto_err e = ERR_INIT;

    if (r < 0)
        (void)err_sys(&e, r, "cannot save container %s", x->c->rec.id); /* sets */
    finish(x, &e);
}

/* ---- worker: the chain's fix-up layer, and volumes seeded from the image --------------------- */
static int seed_volumes(struct creation *x, char *const *lower, struct err *e) {
    struct overlay_options o = {.lower = lower};
    auto_fd root = -1;
    int r = 0;

    if (x->seed_count == 0)
        return 0;
    if (!lower || !*lower)
        return 0; /* an image without layers has nothing to copy */
    r = overlay_mount(&o, &root, e);
    for (size_t i = 0; r == 0 && i < x->seed_count; i++)
        r = volume_seed(x->seeds[i].mountpoint, root, x->seeds[i].destination, NULL, e);
    return r;
}

static int prepare_work(struct job *j, void *arg) {
    struct creation *x = arg;
    auto_strv lower = NULL;
    int r;

    (void)j;
    r = layer_chain_paths(x->engine->layers, x->diff_ids, &lower, &x->error);
    return r < 0 ? r : seed_volumes(x, lower, &x->error);
}

static void prepare_done(void *arg, int r) {
    struct creation *x = arg;
    auto_err e = ERR_INIT;
    char chain[DIGEST_SIZE];

    if (r < 0) {
        err_move(&e, &x->error);
        if (e.class == ERR_NONE)
            (void)err_sys(&e, r, "cannot prepare container %s", x->c->rec.id); /* sets */
        finish(x, &e);
        return;
    }
    layer_chain_id(x->diff_ids, chain);
    (void)map_put(&x->engine->ready_chains, chain, x->engine); /* a set: the value means nothing */
    container_save(x->c, saved, x);
}

/* ---- loop ------------------------------------------------------------------------------------ */
static int choose_name(struct engine *eng, const char *name, char **ret, struct err *e) {
    struct container *other;

    if (str_empty(name)) {
        for (unsigned i = 0; i < NAME_ATTEMPTS; i++) {
            char *made_up = container_name_random(i);

            if (!map_get(&eng->names, made_up)) {
                *ret = made_up;
                return 0;
            }
            free(made_up);
        }
        return err_set(e, ERR_CONFLICT, "cannot find a free container name");
    }
    if (*name == '/')
        name++;
    if (!container_name_is_valid(name))
        return err_set(e, ERR_INVALID,
                       "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                       name);
    other = map_get(&eng->names, name);
    if (other)
        return err_set(e, ERR_CONFLICT,
                       "Conflict. The container name \"/%s\" is already in use by container "
                       "\"%s\". You have to remove (or rename) that container to be able to "
                       "reuse that name.",
                       name, other->rec.id);
    *ret = xstrdup(name);
    return 0;
}

static int find_mounts(void *arg, const char *name, const struct field_array **ret, struct err *e) {
    auto_err missing = ERR_INIT;
    struct container *c = container_find(arg, name, &missing);

    /* "Not found" is the image to clients, which would go and pull it. */
    if (!c)
        return err_set(e, ERR_INVALID, "%s", err_msg(&missing));
    *ret = &c->rec.mounts;
    return 0;
}

/* Finds or makes the volumes of the mount points and fills in where they are. */
static int resolve_volumes(struct creation *x, struct err *e) {
    struct container *c = x->c;

    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);
        struct volume_create vc = {.name = m->name,
                                   .driver = m->driver,
                                   .labels = &m->volume_labels,
                                   .options = &m->volume_options};
        struct volume *v;
        bool created;
        int r;

        if (!str_eq(m->type, "volume"))
            continue;
        r = volume_create(x->engine->volumes, &vc, &v, &created, e);
        if (r < 0)
            return r;
        m->anonymous = m->anonymous || str_empty(m->name);
        str_set(&m->name, v->name);
        str_set(&m->source, v->mountpoint);
        str_set(&m->driver, v->driver);
        volume_ref(v, c->rec.id);
        if (created) {
            struct strmap attrs = {0};

            strmap_put(&attrs, "driver", v->driver);
            events_publish(x->engine->events, "volume", "create", v->name, &attrs);
            strmap_done(&attrs);
        }
        if (v->fresh && !m->no_copy && str_empty(m->subpath)) {
            x->seeds = xreallocarray(x->seeds, x->seed_count + 1, sizeof *x->seeds);
            x->seeds[x->seed_count++] =
                (struct seed){xstrdup(v->mountpoint), xstrdup(m->destination)};
            volume_mark_used(x->engine->volumes, v);
        }
    }
    return 0;
}

/* The upper directory is the root directory that the container sees: it takes owner and mode of
 * the image's. */
static int make_dirs(struct container *c, struct err *e) {
    auto_free char *dir = container_dir(c), *diff = xasprintf("%s/diff", dir);
    auto_free char *work = xasprintf("%s/work", dir);

    if (mkdir(dir, 0710) < 0 || mkdir(diff, 0755) < 0 || mkdir(work, 0700) < 0)
        return err_sys(e, errno, "cannot make the directory of container %s", c->rec.id);
    if (chmod(diff, 0755) < 0) /* the umask must not decide */
        return err_sys(e, errno, "cannot prepare the directory of container %s", c->rec.id);
    return 0;
}

/* The start decides about that, by what it finds then; it can be told already. */
static char *joined_reason(const struct container *c) {
    const struct host_config *h = &c->rec.host;
    const char *const modes[] = {h->network_mode, h->ipc_mode, h->pid_mode};

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const char *name = mode_container(modes[i]);
        const struct container *owner = name ? container_find(c->engine, name, NULL) : NULL;

        if (owner && (owner->rec.running ? !owner->rec.idmap_base : !owner->rec.userns))
            return userns_joined_sentence(owner->rec.name);
    }
    return NULL;
}

static void decide_userns(struct container *c, char ***warnings) {
    struct engine *eng = c->engine;
    struct userns_facts f = {.kernel_can = userns_kernel_can(),
                             .daemon_off = str_eq(eng->options.userns_remap, "host"),
                             .unmappable_root =
                                 eng->root_unmappable ? eng->options.data_root : NULL,
                             .unmappable_bind = userns_unmappable_bind(&c->rec.mounts)};
    char *reason = NULL;

    c->rec.userns = userns_decide(&c->rec.host, &f, &reason) == USERNS_PRIVATE;
    if (c->rec.userns)
        reason = joined_reason(c);
    if (!reason) {
        if (c->rec.userns)
            userns_unmapped_below(&c->rec.mounts, warnings);
        return;
    }
    log_warn("a container runs in the host's user namespace", "container", c->rec.id, "reason",
             reason);
    strv_take(warnings, reason);
}

/* The container whose namespace is to be joined. */
static int check_joined(struct engine *eng, const char *mode, struct err *e) {
    const char *name = mode_container(mode);
    auto_err missing = ERR_INIT;

    if (!name || container_find(eng, name, &missing))
        return 0;
    return err_set(e, ERR_INVALID, "%s", err_msg(&missing)); /* 404 would be the image */
}

static int fill(struct creation *x, struct create_body *body, struct image *image, struct err *e) {
    struct container *c = x->c;
    struct container_record *rec = &c->rec;
    struct volumes_from_lookup from = {find_mounts, x->engine};
    int r;

    rec->created_ns = clock_real_ns();
    str_set(&rec->image_id, image->id);
    str_set(&rec->image_platform, "linux");
    field_copy(&container_config_table, &rec->config, &body->config);
    field_copy(&host_config_table, &rec->host, &body->host);
    free(rec->host.port_bindings);
    rec->host.port_bindings = port_map_complete(body->host.port_bindings);
    r = container_config_command(&rec->config, &rec->path, &rec->args, e);
    if (r == 0)
        r = check_joined(x->engine, rec->host.ipc_mode, e);
    if (r == 0)
        r = check_joined(x->engine, rec->host.pid_mode, e);
    if (r == 0)
        r = mounts_plan(&rec->config, &rec->host, &from, x->engine->options.data_root,
                        body->flat_read_only_binds, &rec->mounts, e);
    if (r < 0)
        return r;
    if (mode_is_host(rec->host.network_mode) || mode_is_host(rec->host.uts_mode))
        str_set(&rec->config.hostname, x->engine->options.name);
    else if (mode_container(rec->host.network_mode)) {
        /* A target that is missing is told by the start, as dockerd does: 404 of a create is the
         * image to clients. */
        struct container *other =
            container_find(x->engine, mode_container(rec->host.network_mode), NULL);

        if (other) {
            auto_free char *mode = xasprintf("container:%s", other->rec.id); /* names change */

            str_set(&rec->config.hostname, other->rec.config.hostname);
            str_set(&rec->host.network_mode, mode);
        }
    } else if (str_empty(rec->config.hostname)) {
        free(rec->config.hostname);
        rec->config.hostname = xstrndup(rec->id, ID_SHORT_LEN);
    }
    r = labels_choose(c, e);
    if (r == 0)
        r = endpoints_plan(c, &body->networking, e);
    if (r == 0)
        r = links_plan(c, e);
    if (r < 0)
        return r;
    decide_userns(c, &x->warnings);
    host_limits_warn(&rec->host, &x->warnings);
    if (!c->rec.userns && x->engine->options.userns_refuse &&
        !str_eq(rec->host.userns_mode, "host") && !rec->host.privileged)
        return err_set(e, ERR_INVALID,
                       "the container would need the host's user namespace, which "
                       "\"userns-fallback\": \"refuse\" forbids; say so with --userns=host");
    r = layer_ref_all(x->engine->layers, image->config.rootfs.diff_ids, e);
    if (r < 0)
        return r;
    rec->diff_ids = strv_dup(image->config.rootfs.diff_ids);
    x->diff_ids = strv_dup(rec->diff_ids);
    r = resolve_volumes(x, e);
    if (r == 0)
        r = make_dirs(c, e);
    rec->warnings = strv_dup(x->warnings);
    return r;
}

static int check(struct engine *eng, struct create_body *body, const char *name,
                 struct image **ret_image, char ***warnings, char **ret_name, struct err *e) {
    struct host_facts facts = {0};
    struct host_defaults d = {.log_driver = eng->options.log_driver,
                              .log_opts = &eng->options.log_opts,
                              .shm_size = eng->options.shm_size,
                              .ipc_mode = eng->options.default_ipc_mode,
                              .cgroup_v2 = eng->cgroups->version == 2};
    struct image *image;
    int r;

    host_facts_detect(&facts);
    if (str_empty(body->config.image)) { /* as dockerd: what is to run is asked for first */
        auto_free char *path = NULL;
        auto_strv args = NULL;

        r = container_config_command(&body->config, &path, &args, e);
        if (r < 0)
            return r;
    }
    image = image_find(eng->images, body->config.image, e);
    if (!image)
        return -ENOENT;
    create_body_merge(body, image->config.config, &d);
    if (body->host.init < 0 && eng->options.default_init)
        body->host.init = 1;
    r = create_body_validate(body, &facts, warnings, e);
    if (r == 0)
        r = choose_name(eng, name, ret_name, e);
    if (r == 0)
        *ret_image = image;
    return r;
}

/* All paths have answered: from here on the loop may ask them itself. */
static void begin(void *arg, struct err *e) {
    struct creation *x = arg;
    struct engine *eng = x->engine;
    struct create_result none = {0};
    auto_free char *chosen = NULL;
    struct image *image = NULL;
    char id[ID_LEN + 1];
    char chain[DIGEST_SIZE];
    struct container *c;

    if (e->class != ERR_NONE ||
        check(eng, &x->body, x->name, &image, &x->warnings, &chosen, e) < 0) {
        x->done(x->arg, &none, e);
        creation_free(x);
        return;
    }
    c = x->c = container_new(eng);
    id_new(id);
    str_set(&c->rec.id, id);
    str_set(&c->rec.name, chosen);
    map_put(&eng->containers, c->rec.id, c);
    map_put(&eng->names, c->rec.name, c);
    if (fill(x, &x->body, image, e) < 0) {
        finish(x, e);
        return;
    }
    layer_chain_id(x->diff_ids, chain);
    if (x->seed_count > 0 || !map_get(&eng->ready_chains, chain))
        job_start(eng->loop, JOB_SHORT, prepare_work, prepare_done, x);
    else
        container_save(c, saved, x);
}

static char **paths_of(struct engine *eng, const struct create_body *body) {
    char **paths = NULL;

    host_paths_of(&body->host, NULL, &paths);
    strv_for_each (spec, body->host.volumes_from) {
        auto_free char *name = NULL, *mode = NULL;
        const struct container *c = NULL;

        /* What is wrong with it is told by the plan of the mounts. */
        if (volumes_from_parse(spec, &name, &mode, NULL) == 0)
            c = container_find(eng, name, NULL);
        if (c)
            host_paths_of(&c->rec.host, &c->rec.mounts, &paths);
    }
    return paths;
}

void container_create(struct engine *eng, struct create_body *body, const char *name,
                      void (*done)(void *arg, const struct create_result *r, struct err *e),
                      void *arg) {
    struct creation *x = xnew(struct creation);

    x->engine = eng;
    x->done = done;
    x->arg = arg;
    x->name = name ? xstrdup(name) : NULL;
    x->body = *body;
    create_body_init(body);
    host_paths_probe(eng->loop, paths_of(eng, &x->body), begin, x);
}
