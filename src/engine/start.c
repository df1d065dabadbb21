/* SPDX-License-Identifier: Apache-2.0 */

/* start: from the record to the runtime's request. What comes back is in exit.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/api_socket.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/host_paths.h"
#include "engine/idmap.h"
#include "engine/init_layer.h"
#include "engine/labels.h"
#include "engine/links.h"
#include "engine/log_attrs.h"
#include "engine/netfiles.h"
#include "engine/ports.h"
#include "engine/spawner_link.h"
#include "engine/spec.h"
#include "engine/userns.h"
#include "format/units.h"
#include "image/tree.h"
#include "runtime/lsm.h"
#include "runtime/seccomp.h"
#include "sys/caps.h"

#define LOG_MAX_SIZE_DEFAULT (INT64_C(20) << 20)
#define LOG_MAX_FILE_DEFAULT 5

/* ---- namespaces of other containers ---------------------------------------------------------- */
struct joins {
    struct container *net, *ipc, *pid;
};

static int joined(struct container *c, const char *mode, const char *what, struct container **ret,
                  struct err *e) {
    const char *name = mode_container(mode);
    struct container *other;

    *ret = NULL;
    if (!name)
        return 0;
    other = container_find(c->engine, name, e);
    if (!other)
        return -ENOENT;
    if (other == c)
        return err_set(e, ERR_INVALID, "cannot join own %s namespace", what);
    if (!other->rec.running || other->pidfd < 0)
        return err_set(e, ERR_CONFLICT, "cannot join %s of a non running container: %s", what,
                       other->rec.id);
    *ret = other;
    return 0;
}

static int find_joins(struct container *c, struct joins *ret, struct err *e) {
    const struct host_config *h = &c->rec.host;
    struct joins j = {0};
    int r;

    r = joined(c, h->network_mode, "network", &j.net, e);
    if (r == 0)
        r = joined(c, h->ipc_mode, "IPC", &j.ipc, e);
    if (r == 0)
        r = joined(c, h->pid_mode, "PID", &j.pid, e);
    if (r < 0)
        return r;
    if (j.ipc && !mode_container(j.ipc->rec.host.ipc_mode) &&
        !str_eq(j.ipc->rec.host.ipc_mode, "shareable") && !mode_is_host(j.ipc->rec.host.ipc_mode))
        return err_set(e, ERR_INVALID,
                       "can't join IPC of container %s: non-shareable IPC (hint: use "
                       "IpcMode:shareable for the donor container)",
                       j.ipc->rec.id);
    *ret = j;
    return 0;
}

/*
 * Ids above the range that the container's users or the files of its image have. In a user
 * namespace that it joins, those of the owner are all there are: files of others are nobody's.
 */
static int choose_extra_ids(struct container *c, const struct container *owner, struct err *e) {
    auto_free uint32_t *named = NULL;
    struct high_ids high = {0};
    size_t count;
    int r;

    spec_extra_ids(c->rec.config.user, c->rec.host.group_add, IDMAP_SIZE, &named, &count);
    for (size_t i = 0; i < count; i++)
        high_ids_add(&high, named[i]);
    r = layer_chain_totals(c->engine->layers, c->rec.diff_ids, NULL, &high, e);
    if (r < 0)
        return r;
    if (high.count > SPEC_EXTRA_MAX)
        return err_set(e, ERR_INVALID,
                       "the files of the image and the users of the container have more than %u "
                       "different ids above 65535, which its user namespace has no room for: start "
                       "it with --userns=host",
                       SPEC_EXTRA_MAX);
    strv_free(c->rec.extra_ids);
    c->rec.extra_ids = owner ? strv_dup(owner->rec.extra_ids) : high_ids_format(&high);
    for (size_t i = 0; owner && owner->rec.idmap_base && i < high.count; i++) {
        auto_free char *id = xasprintf("%u", high.ids[i]);

        if (strv_has(c->rec.extra_ids, id))
            continue;
        log_warn("an id above 65535 has no place in the user namespace that a container joins: "
                 "files that it owns are shown as nobody's",
                 "container", c->rec.id, "id", id, "owner", owner->rec.id);
        break; /* one says it */
    }
    return 0;
}

/* What create could not know yet, or has told: inspect shows it, the log has it at each start.
 * Takes the sentence over. */
static void tell(struct container *c, char *sentence) {
    log_warn(sentence, "container", c->rec.id);
    if (strv_has(c->rec.warnings, sentence))
        free(sentence);
    else
        strv_take(&c->rec.warnings, sentence);
}

/*
 * Containers that share a namespace share the user namespace that owns it. One that needs the
 * host's only joins the namespaces; two targets with different user namespaces cannot be served.
 */
static int choose_userns(struct container *c, const struct joins *j, const char *state_dir,
                         struct err *e) {
    struct container *targets[] = {j->net, j->ipc, j->pid};
    struct container *owner = NULL;
    uint32_t base;
    int r;

    if (!c->rec.userns)
        return 0;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        if (!targets[i])
            continue;
        if (owner && owner->rec.idmap_base != targets[i]->rec.idmap_base)
            return err_set(e, ERR_CONFLICT,
                           "the containers %s and %s have different user namespaces: a container "
                           "cannot join both. Start one of them with --userns=host, or let it join "
                           "the other's namespaces",
                           owner->rec.name, targets[i]->rec.name);
        owner = targets[i];
    }
    if (owner && !owner->rec.idmap_base) {
        if (c->engine->options.userns_refuse)
            return err_set(
                e, ERR_CONFLICT,
                "the container would share the host's user namespace with container %s, "
                "which \"userns-fallback\": \"refuse\" forbids; say so with --userns=host",
                owner->rec.name);
        tell(c, userns_joined_sentence(owner->rec.name));
    }
    if (!owner || owner->rec.idmap_base) {
        auto_strv sentences = NULL;

        userns_unmapped_below(&c->rec.mounts, &sentences);
        strv_for_each (s, sentences)
            tell(c, xstrdup(s));
    }
    r = choose_extra_ids(c, owner, e);
    if (r < 0)
        return r;
    if (owner) {
        c->rec.idmap_base = owner->rec.idmap_base; /* 0: it runs in the host's, so this one does */
        if (owner->rec.idmap_base)
            str_set(&c->rec.joined_userns, owner->rec.id);
        return 0;
    }
    r = idmap_lease(c->engine->idmap, state_dir, &base, e);
    if (r == 0)
        c->rec.idmap_base = base;
    return r;
}

int container_make_bind_sources(const struct container *c, struct err *e) {
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);
        int r;

        if (!str_eq(m->type, "bind") || access(m->source, F_OK) == 0)
            continue;
        if (!m->create_source)
            return err_set(e, ERR_INVALID,
                           "invalid mount config for type \"bind\": bind source path does not "
                           "exist: %s",
                           m->source);
        r = io_mkdir_all(m->source, 0755);
        if (r < 0)
            return err_sys(e, r, "error while creating mount source path '%s': mkdir %s", m->source,
                           m->source);
    }
    return 0;
}

/* ---- parts of the request -------------------------------------------------------------------- */
static int make_state_dir(const char *path, struct err *e) {
    int r = tree_remove_at(AT_FDCWD, path);

    if (r == 0 && mkdir(path, 0711) < 0)
        r = -errno;
    return r < 0 ? err_sys(e, r, "cannot make %s", path) : 0;
}

static void fill_log(const struct container *c, struct rt_log *log) {
    const struct strmap *o = &c->rec.host.log_config.config;
    const char *size = strmap_get(o, "max-size"), *files = strmap_get(o, "max-file");
    const char *compress = strmap_get(o, "compress");
    const bool local = str_eq(c->rec.host.log_config.type, "local");
    const struct log_facts facts = {.id = c->rec.id,
                                    .name = c->rec.name,
                                    .image_id = c->rec.image_id,
                                    .image_name = c->rec.config.image,
                                    .path = c->rec.path,
                                    .args = c->rec.args};

    str_set(&log->driver, c->rec.host.log_config.type);
    if (str_eq(log->driver, "none"))
        return;
    /* Of "local" only the defaults are promised, not the form of its files. */
    log->compress = local;
    str_set(&log->driver, "json-file");
    log->path = container_log_path(c);
    log->max_size = LOG_MAX_SIZE_DEFAULT;
    log->max_file = LOG_MAX_FILE_DEFAULT;
    /* create has checked the values */
    if (size) {
        (void)units_parse_bytes(size, &log->max_size);
        if (!local)
            log->max_file = 1; /* as dockerd: a size alone keeps one file */
    }
    if (files)
        (void)str_to_i64(files, &log->max_file);
    if (log->max_size < 0)
        log->max_size = 0; /* "-1": unlimited */
    if (compress)
        (void)str_to_bool(compress, &log->compress);
    log->extra = log_attrs_text(o, &c->rec.config, &facts);
}

static int fill_seccomp(struct container *c, const struct security_options *so, bool notify,
                        char **ret_json, struct err *e) {
    const char *profile = so->seccomp ? so->seccomp : c->engine->options.seccomp_profile;
    auto_free char *dir = xasprintf("%s/seccomp", c->engine->options.exec_root);
    uint64_t caps;
    int r;

    *ret_json = NULL;
    if (c->rec.host.privileged && !so->seccomp)
        profile = "unconfined";
    if (str_eq(profile, "unconfined") && !notify)
        return 0;
    r = spec_capability_mask(&c->rec.host, lcap_held(), &caps, e);
    if (r < 0)
        return r;
    return seccomp_cache_reference(dir, profile, caps, notify ? SECCOMP_MKNOD_NOTIFY : 0, ret_json,
                                   e);
}

static int fill_spec(struct container *c, const struct joins *j, struct rt_request *q,
                     struct err *e) {
    struct engine *eng = c->engine;
    auto_free char *cgroup = container_cgroup(c), *rootfs = NULL, *seccomp = NULL, *profile = NULL;
    auto_free char *join_net = NULL, *join_ipc = NULL, *join_pid = NULL, *join_user = NULL;
    auto_free char *shm = NULL;
    auto_strv link_env = NULL;
    struct id_shift shift;
    struct security_options so = {0};
    struct netfiles files = {0};
    struct spec_facts f = {0};
    int r;

    r = security_options_parse(c->rec.host.security_opt, &so, e);
    if (r < 0)
        return r;
    q->mknod_notify = c->rec.idmap_base != 0;
    r = fill_seccomp(c, &so, q->mknod_notify, &seccomp, e);
    if (r == 0)
        r = lsm_apparmor_choose(&eng->lsm, so.apparmor, c->rec.host.privileged, &profile, e);
    if (r == 0)
        r = netfiles_write(c, &files, e);
    if (r < 0)
        goto out;
    rootfs = xasprintf("%s/containers/%s/rootfs", eng->options.data_root, c->rec.id);
    if (j->net)
        join_net = xasprintf("/proc/%lld/ns/net", (long long)j->net->rec.pid);
    if (j->ipc) {
        join_ipc = xasprintf("/proc/%lld/ns/ipc", (long long)j->ipc->rec.pid);
        shm = xasprintf("/proc/%lld/root/dev/shm", (long long)j->ipc->rec.pid);
    } else if (mode_is_host(c->rec.host.ipc_mode)) {
        shm = xstrdup("/dev/shm");
    }
    if (j->pid)
        join_pid = xasprintf("/proc/%lld/ns/pid", (long long)j->pid->rec.pid);
    if (c->rec.joined_userns) {
        struct container *owner = j->net ? j->net : j->ipc ? j->ipc : j->pid;

        join_user = xasprintf("/proc/%lld/ns/user", (long long)owner->rec.pid);
    }
    container_id_shift(c, &shift);
    links_environment(c, &link_env);
    f = (struct spec_facts){
        .id = c->rec.id,
        .link_env = link_env,
        .path = c->rec.path,
        .args = c->rec.args,
        .rootfs = rootfs,
        .cgroups_path = cgroup,
        .idmap_base = (uint32_t)c->rec.idmap_base,
        .idmap_size = c->rec.idmap_base ? IDMAP_SIZE : 0,
        .extra_ids = shift.high.ids,
        .extra_id_count = shift.high.count,
        .resolv_conf = files.resolv_conf,
        .hostname_file = files.hostname,
        .hosts_file = files.hosts,
        .mounts = &c->rec.mounts,
        .join_net = join_net,
        .join_ipc = join_ipc,
        .join_pid = join_pid,
        .join_user = join_user,
        .host_shm = shm,
        .host_name = eng->options.name,
        .capabilities_held = lcap_held(),
        .seccomp = seccomp,
        .apparmor_profile = profile,
        .selinux_label = labels_of_process(c),
        .mount_label = labels_of_mounts(c),
        .default_ulimits = &eng->options.ulimits,
        .no_new_privileges = eng->options.no_new_privileges,
        .cgroup_v2 = eng->cgroups->version == 2,
    };
    r = spec_build(&c->rec.config, &c->rec.host, &f, &q->spec, e);
    if (r == 0)
        r = api_socket_replace(c, &q->spec, e);
out:
    security_options_done(&so);
    netfiles_done(&files);
    return r;
}

static int fill_request(struct container *c, const struct joins *j, struct rt_request *q,
                        struct err *e) {
    struct engine *eng = c->engine;
    int r;

    str_set(&q->op, "create");
    str_set(&q->id, c->rec.id);
    q->state_dir = container_state_dir(c);
    q->monitor = xasprintf("%s/fence-monitor", eng->options.libexec);
    if (c->rec.host.init == 1)
        q->init = eng->options.init_path ? xstrdup(eng->options.init_path)
                                         : xasprintf("%s/fence-init", eng->options.libexec);
    r = container_lower_paths(c, &q->rootfs.lower, e);
    if (r < 0)
        return r;
    q->rootfs.upper = xasprintf("%s/containers/%s/diff", eng->options.data_root, c->rec.id);
    q->rootfs.work = xasprintf("%s/containers/%s/work", eng->options.data_root, c->rec.id);
    q->rootfs.is_volatile = c->rec.host.auto_remove;
    fill_log(c, &q->log);
    str_set(&q->user, c->rec.config.user);
    q->extra_groups = strv_dup(c->rec.host.group_add);
    q->user_home = true;
    q->open_stdin = c->rec.config.open_stdin;
    q->stdin_once = c->rec.config.stdin_once;
    q->privileged = c->rec.host.privileged;
    q->oom_kill_disable = c->rec.host.oom_kill_disable == 1;
    endpoints_fill(c, &q->net);
    return fill_spec(c, j, q, e);
}

static int write_runtime(const struct container *c, const char *state_dir, struct err *e) {
    auto_free char *path = xasprintf("%s/runtime", state_dir);
    auto_free char *doc = field_to_text(&container_runtime_table, &c->rec);
    auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : io_write_all(fd, doc, strlen(doc));

    return r < 0 ? err_sys(e, r, "cannot write %s", path) : 0;
}

static int spawn(struct container *c, struct err *e) {
    auto_free char *state_dir = container_state_dir(c);
    struct joins j = {0};
    struct rt_request q;
    struct spawn_joins fds = {-1, -1, -1, -1};
    int conn[2], r;

    field_init(&rt_request_table, &q);
    r = find_joins(c, &j, e);
    if (r == 0)
        r = container_make_bind_sources(c, e);
    if (r == 0)
        r = make_state_dir(state_dir, e);
    if (r == 0)
        r = choose_userns(c, &j, state_dir, e);
    if (r == 0)
        r = fill_request(c, &j, &q, e);
    if (r == 0)
        r = write_runtime(c, state_dir, e);
    if (r == 0)
        r = spawner_link_pair(conn, e);
    if (r == 0) {
        fds.net = j.net ? j.net->pidfd : -1;
        fds.ipc = j.ipc ? j.ipc->pidfd : -1;
        fds.pid = j.pid ? j.pid->pidfd : -1;
        /* The clients first: this thread may be held up for longer than the process lives. */
        c->link = monitor_link_new(c->engine->loop, conn[0], &container_monitor_events, c);
        c->start_watched = !list_empty(&c->pending);
        container_attach_flush(c);
        r = spawner_link_spawn(c->engine->spawner, &q, &fds, conn[1], e);
        c->spawner = spawner_link_number(c->engine->spawner);
    }
    field_done(&rt_request_table, &q);
    if (r < 0) {
        container_release_runtime(c);
        (void)tree_remove_at(AT_FDCWD, state_dir); /* made anew by the next start */
    }
    return r;
}

int container_start_again(struct container *c, struct err *e) {
    /* The clients went with the request: they would see nothing of a second one. */
    if (c->start_repeated || c->start_watched ||
        !spawner_link_has_died(c->engine->spawner, c->spawner))
        return err_set(e, ERR_SYSTEM, "the set-up process of the container ended without a result");
    log_warn("the spawner has ended with a start on its way, which is made again", "container",
             c->rec.id);
    c->start_repeated = true;
    container_release_process(c);
    return spawn(c, e);
}

static void start_failed(struct container *c, struct err *e) {
    container_done *done = c->started;
    void *arg = c->started_arg;

    container_release_runtime(c);
    c->starting = false;
    c->started = NULL;
    str_set(&c->rec.error, err_msg(e));
    c->rec.exit_code = 128;
    container_save(c, NULL, NULL);
    container_attach_drop(c);
    container_wake(c, WAIT_NOT_RUNNING);
    container_settled(c);
    container_auto_remove(c);
    done(arg, e);
}

/* A container that is being started is not removed meanwhile. */
static void ports_are_published(void *arg, struct err *e) {
    struct container *c = arg;

    if (e->class == ERR_NONE)
        links_open(c);
    if (e->class != ERR_NONE || spawn(c, e) < 0)
        start_failed(c, e);
}

static void paths_have_answered(void *arg, struct err *e) {
    struct container *c = arg;

    if (e->class != ERR_NONE || links_check(c, e) < 0 || endpoints_attach(c, e) < 0)
        start_failed(c, e);
    else
        ports_publish(c, ports_are_published, c);
}

struct start {
    container_done *done;
    void *arg;
};

static void start_settled(struct container *c, void *arg) {
    struct start own = *(struct start *)arg;
    auto_err e = ERR_INIT;
    char **paths = NULL;
    int r = 0;

    free(arg);
    if (c->removing || c->rec.dead)
        r = err_set(&e, ERR_CONFLICT, "container is marked for removal and cannot be started");
    else if (c->rec.paused)
        r = err_set(&e, ERR_CONFLICT, "cannot start a paused container, try unpause instead");
    else if (c->rec.running)
        r = err_set(&e, ERR_NOT_MODIFIED, "Container already started");
    if (r < 0) {
        own.done(own.arg, &e);
        return;
    }
    loop_timer_free(c->restart_timer); /* a start by hand does not wait for the policy's */
    c->restart_timer = NULL;
    c->rec.restarting = false;
    c->rec.manually_stopped = false;
    c->starting = true;
    c->start_repeated = false;
    c->started = own.done;
    c->started_arg = own.arg;
    host_paths_of(&c->rec.host, &c->rec.mounts, &paths);
    host_paths_probe(c->engine->loop, paths, paths_have_answered, c);
}

void container_start(struct container *c, container_done *done, void *arg) {
    struct start *s = xnew(struct start);

    s->done = done;
    s->arg = arg;
    container_when_settled(c, start_settled, s);
}
