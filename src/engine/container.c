/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/container.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/endpoints.h"
#include "engine/health.h"
#include "engine/idmap.h"
#include "engine/names.h"
#include "engine/ports.h"
#include "engine/spec.h"

static const struct field record_fields[] = {
    FIELD(struct container_record, "Id", FIELD_STR, id, 0),
    FIELD(struct container_record, "Name", FIELD_STR, name, 0),
    FIELD(struct container_record, "ImageID", FIELD_STR, image_id, 0),
    FIELD(struct container_record, "Path", FIELD_STR, path, 0),
    FIELD(struct container_record, "Args", FIELD_STRV, args, 0),
    FIELD(struct container_record, "Created", FIELD_INT, created_ns, 0),
    FIELD(struct container_record, "Started", FIELD_INT, started_ns, 0),
    FIELD(struct container_record, "Finished", FIELD_INT, finished_ns, 0),
    FIELD_SUB(struct container_record, "Config", FIELD_STRUCT, config, 0, container_config_table),
    FIELD_SUB(struct container_record, "HostConfig", FIELD_STRUCT, host, 0, host_config_table),
    FIELD_SUB(struct container_record, "Mounts", FIELD_ARRAY, mounts, 0, mount_point_table),
    FIELD(struct container_record, "DiffIDs", FIELD_STRV, diff_ids, 0),
    FIELD(struct container_record, "Platform", FIELD_STR, image_platform, 0),
    FIELD(struct container_record, "Running", FIELD_BOOL_T, running, 0),
    FIELD(struct container_record, "Paused", FIELD_BOOL_T, paused, 0),
    FIELD(struct container_record, "Held", FIELD_BOOL_T, held, FIELD_OMIT_EMPTY),
    FIELD(struct container_record, "Restarting", FIELD_BOOL_T, restarting, 0),
    FIELD(struct container_record, "Dead", FIELD_BOOL_T, dead, 0),
    FIELD(struct container_record, "OOMKilled", FIELD_BOOL_T, oom_killed, 0),
    FIELD(struct container_record, "ManuallyStopped", FIELD_BOOL_T, manually_stopped, 0),
    FIELD(struct container_record, "HasBeenStarted", FIELD_BOOL_T, has_been_started, 0),
    FIELD(struct container_record, "UserNS", FIELD_BOOL_T, userns, 0),
    FIELD(struct container_record, "Pid", FIELD_INT, pid, 0),
    FIELD(struct container_record, "StartTime", FIELD_INT, start_time, 0),
    FIELD(struct container_record, "ExitCode", FIELD_INT, exit_code, 0),
    FIELD(struct container_record, "RestartCount", FIELD_INT, restart_count, 0),
    FIELD(struct container_record, "IdmapBase", FIELD_INT, idmap_base, 0),
    FIELD(struct container_record, "ExtraIds", FIELD_STRV, extra_ids, FIELD_OMIT_EMPTY),
    FIELD(struct container_record, "Error", FIELD_STR, error, FIELD_OMIT_EMPTY),
    FIELD(struct container_record, "JoinedUserNS", FIELD_STR, joined_userns, FIELD_OMIT_EMPTY),
    FIELD(struct container_record, "Links", FIELD_STRV, links, FIELD_OMIT_EMPTY),
    FIELD_SUB(struct container_record, "Endpoints", FIELD_ARRAY, endpoints, FIELD_LIST_EMPTY,
              endpoint_table),
    FIELD_SUB(struct container_record, "Ports", FIELD_ARRAY, ports, FIELD_LIST_EMPTY,
              published_port_table),
    FIELD(struct container_record, "Warnings", FIELD_STRV, warnings, FIELD_OMIT_EMPTY),
    FIELD(struct container_record, "ProcessLabel", FIELD_STR, process_label, FIELD_OMIT_EMPTY),
    FIELD(struct container_record, "MountLabel", FIELD_STR, mount_label, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table container_record_table =
    FIELD_TABLE(struct container_record, record_fields);

static const struct field runtime_fields[] = {
    FIELD(struct container_record, "IdmapBase", FIELD_INT, idmap_base, 0),
    FIELD(struct container_record, "ExtraIds", FIELD_STRV, extra_ids, FIELD_OMIT_EMPTY),
    FIELD(struct container_record, "JoinedUserNS", FIELD_STR, joined_userns, FIELD_OMIT_EMPTY),
    FIELD_SUB(struct container_record, "Endpoints", FIELD_ARRAY, endpoints, FIELD_LIST_EMPTY,
              endpoint_table),
    FIELD_SUB(struct container_record, "Ports", FIELD_ARRAY, ports, FIELD_LIST_EMPTY,
              published_port_table),
    FIELD_END,
};
const struct field_table container_runtime_table =
    FIELD_TABLE(struct container_record, runtime_fields);

void container_id_shift(const struct container *c, struct id_shift *ret) {
    struct id_shift s = {.base = (uint64_t)c->rec.idmap_base,
                         .size = c->rec.idmap_base ? IDMAP_SIZE : 0,
                         .high_first = SPEC_EXTRA_FIRST};

    high_ids_add_text(&s.high, c->rec.extra_ids);
    *ret = s;
}

struct container *container_new(struct engine *eng) {
    struct container *c = xnew(struct container);

    c->engine = eng;
    c->pidfd = -1;
    c->api_fd = -1;
    list_init(&c->waiters);
    list_init(&c->pending);
    list_init(&c->transitions);
    list_init(&c->endings);
    list_init(&c->ended);
    field_init(&container_record_table, &c->rec);
    return c;
}

void container_free(struct container *c) {
    if (!c)
        return;
    health_free(c);
    container_drop_endings(c);
    container_attach_drop(c);
    container_signal_ended(c);
    loop_timer_free(c->restart_timer);
    loop_timer_free(c->compress_timer);
    monitor_link_free(c->link);
    fd_close(c->pidfd);
    fd_close(c->api_fd);
    field_done(&container_record_table, &c->rec);
    free(c);
}

static bool has_id_prefix(const struct container *c, const char *prefix) {
    return str_starts(c->rec.id, prefix);
}

struct container *container_find(struct engine *eng, const char *ref, struct err *e) {
    struct container *c, *found = NULL;

    if (!str_empty(ref)) {
        c = map_get(&eng->containers, ref);
        if (!c)
            c = map_get(&eng->names, *ref == '/' ? ref + 1 : ref);
        if (c && c->committed)
            return c;
        if (str_is_hex(ref) && strlen(ref) < ID_LEN)
            map_for_each (it, &eng->containers) {
                if (!has_id_prefix(it->value, ref))
                    continue;
                if (!((struct container *)it->value)->committed)
                    continue;
                if (found) {
                    (void)err_set(e, ERR_INVALID, "Multiple IDs found with provided prefix: %s",
                                  ref); /* sets, cannot fail */
                    return NULL;
                }
                found = it->value;
            }
    }
    if (!found && str_empty(ref))
        (void)err_set(e, ERR_INVALID, "invalid name or ID supplied: \"\""); /* sets */
    else if (!found)
        (void)err_set(e, ERR_NOT_FOUND, "No such container: %s", ref); /* sets */
    return found;
}

bool container_is_running(const struct container *c) {
    return c->rec.running || c->rec.restarting;
}

bool container_is_restarting(const struct container *c) {
    return c->rec.restarting || (c->restart_starts && !c->rec.running);
}

const char *container_status(const struct container *c) {
    if (c->rec.dead)
        return "dead";
    if (c->removing)
        return "removing";
    if (container_is_restarting(c))
        return "restarting";
    if (c->rec.running)
        return c->rec.paused ? "paused" : "running";
    return c->rec.has_been_started ? "exited" : "created";
}

char *container_dir(const struct container *c) {
    return xasprintf("%s/containers/%s", c->engine->options.data_root, c->rec.id);
}

char *container_state_dir(const struct container *c) {
    return xasprintf("%s/containers/%s", c->engine->options.exec_root, c->rec.id);
}

char *container_log_path(const struct container *c) {
    return xasprintf("%s/containers/%s/%s-json.log", c->engine->options.data_root, c->rec.id,
                     c->rec.id);
}

char *container_cgroup(const struct container *c) {
    const char *parent = c->rec.host.cgroup_parent;

    if (str_empty(parent))
        parent = c->engine->options.cgroup_parent;
    return xasprintf("%s%s/%s", *parent == '/' ? "" : "/", parent, c->rec.id);
}

void container_save(struct container *c, void (*done)(void *arg, int r), void *arg) {
    struct store_txn *t = store_txn_new();
    auto_free char *doc = field_to_text(&container_record_table, &c->rec);

    store_txn_put(t, "container", c->rec.id, doc);
    store_commit(c->engine->store, t, done, arg);
}

void container_event(struct container *c, const char *action, ...) {
    struct strmap attrs = {0};
    const char *key;
    va_list ap;

    strmap_copy(&attrs, &c->rec.config.labels);
    strmap_put(&attrs, "image", str_or_empty(c->rec.config.image));
    strmap_put(&attrs, "name", c->rec.name);
    va_start(ap, action);
    while ((key = va_arg(ap, const char *)))
        strmap_put(&attrs, key, str_or_empty(va_arg(ap, const char *)));
    va_end(ap);
    events_publish(c->engine->events, "container", action, c->rec.id, &attrs);
    strmap_done(&attrs);
}

static void name_saved(void *arg, int r) {
    if (r < 0)
        log_error("cannot save a container's new name", "container", arg);
    free(arg);
}

int container_rename(struct container *c, const char *name, struct err *e) {
    struct container *other;
    auto_free char *old = NULL;

    if (*name == '/')
        name++;
    if (!*name)
        return err_set(e, ERR_INVALID, "Neither old nor new names may be empty");
    if (str_eq(name, c->rec.name))
        return err_set(e, ERR_INVALID,
                       "Renaming a container with the same name as its current name");
    if (!container_name_is_valid(name))
        return err_set(e, ERR_INVALID,
                       "Error when allocating new name: Invalid container name (/%s), only "
                       "[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
                       name);
    other = map_get(&c->engine->names, name);
    if (other)
        return err_set(e, ERR_CONFLICT,
                       "Error when allocating new name: Conflict. The container name \"/%s\" is "
                       "already in use by container \"%s\". You have to remove (or rename) that "
                       "container to be able to reuse that name.",
                       name, other->rec.id);
    old = xasprintf("/%s", c->rec.name); /* as events have it */
    map_del(&c->engine->names, c->rec.name);
    str_set(&c->rec.name, name);
    map_put(&c->engine->names, c->rec.name, c);
    endpoints_tell_names(c);
    container_save(c, name_saved, xstrdup(c->rec.id));
    container_event(c, "rename", "oldName", old, NULL);
    return 0;
}

void container_volume_events(struct container *c, const char *action) {
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);
        struct strmap attrs = {0};

        if (!str_eq(m->type, "volume"))
            continue;
        strmap_put(&attrs, "container", c->rec.id);
        strmap_put(&attrs, "driver", m->driver);
        if (str_eq(action, "mount")) {
            strmap_put(&attrs, "destination", m->destination);
            strmap_put(&attrs, "propagation", str_or_empty(m->propagation));
            strmap_put(&attrs, "read/write", m->rw ? "true" : "false");
        }
        events_publish(c->engine->events, "volume", action, m->name, &attrs);
        strmap_done(&attrs);
    }
}

/* ---- calls that wait for the end of a start -------------------------------------------------- */
struct transition {
    struct list node;
    void (*fn)(struct container *c, void *arg);
    void *arg;
};

void container_when_settled(struct container *c, void (*fn)(struct container *c, void *arg),
                            void *arg) {
    struct transition *t;

    if (!c->starting && !c->clearing) {
        fn(c, arg);
        return;
    }
    t = xnew(struct transition);
    t->fn = fn;
    t->arg = arg;
    list_append(&c->transitions, &t->node);
}

/* One of them may start the container again or free it: each is run from the loop by itself. */
struct settled {
    struct engine *engine;
    char id[ID_LEN + 1];
};

static void run_one(void *arg) {
    struct settled *s = arg;
    struct container *c = map_get(&s->engine->containers, s->id);
    struct transition *t;

    if (!c || c->starting || c->clearing ||
        !(t = list_first(&c->transitions, struct transition, node))) {
        free(s);
        return;
    }
    list_remove(&t->node);
    if (!list_empty(&c->transitions))
        loop_defer(s->engine->loop, run_one, s);
    else
        free(s);
    t->fn(c, t->arg);
    free(t);
}

void container_settled(struct container *c) {
    struct settled *s;

    if (list_empty(&c->transitions))
        return;
    s = xnew(struct settled);
    s->engine = c->engine;
    snprintf(s->id, sizeof s->id, "%s", c->rec.id);
    loop_defer(c->engine->loop, run_one, s);
}
