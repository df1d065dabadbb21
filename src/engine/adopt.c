/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/adopt.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/health.h"
#include "engine/idmap.h"
#include "engine/links.h"
#include "engine/log_compress.h"
#include "engine/ports.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/health.h"
#include "engine/idmap.h"
#include "engine/log_compress.h"
#include "image/tree.h"
#include "monitor/protocol.h"
#include "sys/fdpass.h"
#include "sys/procfd.h"

#define GREETING_MS 3000 /* for all of them together: who is later is heard later */

/* ---- records --------------------------------------------------------------------------------- */
static void claim_volumes(struct container *c) {
    for (size_t i = 0; i < c->rec.mounts.count; i++) {
        const struct mount_point *m = field_array_at(&c->rec.mounts, struct mount_point, i);
        struct volume *v;

        if (!str_eq(m->type, "volume"))
            continue;
        v = volume_find(c->engine->volumes, m->name, NULL);
        if (v)
            volume_ref(v, c->rec.id);
        else
            log_warn("a container's volume is gone", "container", c->rec.id, "volume", m->name);
    }
}

static int load_one(void *arg, const char *id, const char *doc) {
    struct engine *eng = arg;
    struct container *c = container_new(eng);
    auto_free char *dir = NULL;
    auto_err e = ERR_INIT;

    if (field_parse_text(&container_record_table, doc, strlen(doc), &c->rec, &e) < 0 ||
        !id_is_valid(c->rec.id) || !str_eq(c->rec.id, id)) {
        log_error("a container's record cannot be read and is skipped", "container", id, "error",
                  err_msg(&e));
        container_free(c);
        return 0;
    }
    dir = container_dir(c);
    if (access(dir, F_OK) < 0) {
        struct store_txn *t = store_txn_new();

        log_warn("a container's directory is gone: its record is removed", "container", id);
        store_txn_del(t, "container", id);
        store_commit(eng->store, t, NULL, NULL);
        container_free(c);
        return 0;
    }
    if (layer_ref_all(eng->layers, c->rec.diff_ids, &e) < 0) {
        log_error("layers of a container are missing: it cannot be started", "container", id,
                  "error", err_msg(&e));
        c->rec.dead = true;
        c->rec.diff_ids = strv_free(c->rec.diff_ids);
    }
    c->committed = true;
    map_put(&eng->containers, c->rec.id, c);
    if (map_get(&eng->names,
                c->rec.name)) /* cannot happen; a second owner must not hide the first */
        log_error("two containers have one name", "name", c->rec.name);
    else
        map_put(&eng->names, c->rec.name, c);
    claim_volumes(c);
    return 0;
}

/* ---- processes ------------------------------------------------------------------------------- */
/* Waits for the greeting of a monitor: STATUS with the pidfd. */
static int greet(int fd, int64_t deadline_ns, struct monitor_started *ret) {
    int64_t left_ns = deadline_ns - clock_mono_ns();
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct mon_msg msg;
    size_t n_fds = 1;
    int pidfd = -1;
    ssize_t n;

    if (poll(&p, 1, left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0) <= 0)
        return -ETIMEDOUT;
    n = fdpass_recv(fd, &msg, sizeof msg, &pidfd, &n_fds);
    if (n != sizeof msg || msg.magic != MON_MAGIC || msg.type != MON_STATUS || n_fds != 1) {
        fd_close(pidfd);
        return -EPROTO;
    }
    *ret = (struct monitor_started){msg.pid, msg.start_time, pidfd};
    return 0;
}

/* A monitor that has taken the connection and says nothing waits for the disk, or the machine is
 * very busy. It tells its STATUS once it can; until then its files are believed. */
static int believe_files(const char *state_dir, struct monitor_started *ret) {
    int64_t pid, start, now_start;
    auto_fd pidfd = -1;

    if (monitor_read_pid(state_dir, &pid, &start) < 0)
        return -ENOENT;
    pidfd = pidfd_open_pid((pid_t)pid);
    if (pidfd < 0)
        return pidfd;
    if (proc_start_time((pid_t)pid, &now_start) < 0 || start != now_start)
        return -ESRCH;
    *ret = (struct monitor_started){(pid_t)pid, start, take_fd(&pidfd)};
    return 0;
}

static void adopt_network(struct container *c) {
    endpoints_adopt(c);
    ports_adopt(c);
    links_open(c);
}

/* The process has ended, or must: nothing runs without a monitor. */
static void record_end(struct container *c, const char *state_dir) {
    int64_t pid, start, now_start;

    if (monitor_read_exit(state_dir, &c->end) < 0) {
        bool alive = monitor_read_pid(state_dir, &pid, &start) == 0 &&
                     proc_start_time((pid_t)pid, &now_start) == 0 && start == now_start;

        if (alive)
            log_error("a container has lost its monitor and is killed", "container", c->rec.id);
        c->end = (struct monitor_exit){.status = alive ? 137 : 255, .time_ns = clock_real_ns()};
    }
    adopt_network(c); /* so that the release finds it */
    if (container_clear_now(c))
        container_end_cleared(c);
    else
        container_clear(c, container_end_cleared);
}

/* A start that the last daemon did not record has left what it had taken. */
static void load_runtime(struct container *c, const char *state_dir) {
    auto_free char *path = xasprintf("%s/runtime", state_dir);
    auto_buf text = {.max = 1 << 16};
    struct container_record rec;
    auto_err e = ERR_INIT;
    int r = io_read_file_at(AT_FDCWD, path, &text);

    if (r == -ENOENT)
        return;
    field_init(&container_runtime_table, &rec);
    if (r == 0)
        r = field_parse_text(&container_runtime_table, buf_str(&text), text.len, &rec, &e);
    if (r == 0)
        field_copy(&container_runtime_table, &c->rec, &rec);
    else
        log_warn("what a container's start had taken cannot be read", "container", c->rec.id,
                 "error", e.class == ERR_NONE ? strerror(-r) : err_msg(&e));
    field_done(&container_runtime_table, &rec);
}

/* Processes of execs go on without a daemon; what the ended ones have left goes. */
static void sweep_execs(const char *state_dir) {
    DIR *d = opendir(state_dir);
    struct dirent *de;

    if (!d)
        return;
    while ((de = readdir(d))) {
        auto_free char *path = xasprintf("%s/%s", state_dir, de->d_name);
        auto_fd fd = -1;

        if (!str_starts(de->d_name, "exec-"))
            continue;
        fd = monitor_link_connect(path);
        if (fd < 0)
            (void)tree_remove_at(AT_FDCWD, path); /* the container's end removes what stays */
    }
    closedir(d);
}

/* Whether the last daemon died between a start and its record: when it was is told by the file that
 * the set-up process has made then. */
static bool record_start(struct container *c, const char *state_dir) {
    auto_free char *pid = xasprintf("%s/pid", state_dir);
    struct stat st;

    if (c->rec.running)
        return false;
    c->rec.running = c->rec.has_been_started = true;
    c->rec.started_ns = stat(pid, &st) < 0
                            ? clock_real_ns()
                            : (int64_t)st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
    return true;
}

static bool adopt_running(struct container *c, const char *state_dir, int64_t deadline_ns) {
    int fd = monitor_link_connect(state_dir);
    struct monitor_started s;
    int r;

    if (fd < 0)
        return false;
    r = greet(fd, deadline_ns, &s);
    if (r == -ETIMEDOUT) {
        r = believe_files(state_dir, &s);
        if (r == 0)
            log_warn("the monitor of a container is slow to answer", "container", c->rec.id);
    }
    if (r < 0) {
        fd_close(fd);
        return false;
    }
    c->pidfd = s.pidfd;
    c->rec.pid = s.pid;
    c->rec.start_time = s.start_time;
    if (record_start(c, state_dir))
        container_save(c, NULL, NULL);
    adopt_network(c);
    container_adopt_pause(c);
    sweep_execs(state_dir);
    c->link = monitor_link_new(c->engine->loop, fd, &container_monitor_events, c);
    health_start(c);
    log_compress_start(c);
    return true;
}

static bool has_state(const char *state_dir) {
    auto_free char *pid = xasprintf("%s/pid", state_dir);

    return access(pid, F_OK) == 0;
}

static void nothing(struct container *c) {
    (void)c;
}

/* Whether the record is of this start or of an earlier one. What has changed since (networks,
 * ports) is in the record only. */
static bool knows_start(const struct container *c, const char *state_dir) {
    int64_t pid, start;

    return c->rec.running && monitor_read_pid(state_dir, &pid, &start) == 0 && pid == c->rec.pid &&
           start == c->rec.start_time;
}

static void adopt_one(struct container *c, int64_t deadline_ns) {
    auto_free char *state_dir = container_state_dir(c);

    if (!c->rec.running && !has_state(state_dir)) {
        /* Perhaps a set-up that was cut off. In this order: it may be about to write its state,
         * which then fails, or has done so, and then its processes are in the group. */
        (void)tree_remove_at(AT_FDCWD, state_dir);
        c->rec.idmap_base = 0;
        if (!container_clear_now(c))
            container_clear(c, nothing);
        return;
    }
    if (!knows_start(c, state_dir))
        load_runtime(c, state_dir);
    if (adopt_running(c, state_dir, deadline_ns))
        return;
    (void)record_start(c, state_dir); /* its end is saved, and so is this */
    c->engine->stopping = true;       /* no restart yet: engine_adopt_finish decides */
    record_end(c, state_dir);
    c->engine->stopping = false;
}

/* ---- what nobody owns ------------------------------------------------------------------------ */
static void drop_orphans(struct engine *eng, const char *parent, bool trash) {
    DIR *d = opendir(parent);
    struct dirent *de;

    if (!d)
        return;
    while ((de = readdir(d))) {
        if (!id_is_valid(de->d_name) || map_get(&eng->containers, de->d_name))
            continue;
        log_info("removing what is left of a container", "container", de->d_name);
        if (trash) {
            auto_free char *rel = xasprintf("containers/%s", de->d_name);

            (void)data_root_trash(eng->data_root, rel); /* the next start tries again */
        } else {
            auto_free char *path = xasprintf("%s/%s", parent, de->d_name);
            struct container *ghost = container_new(eng);

            str_set(&ghost->rec.id, de->d_name);
            (void)container_clear_now(ghost); /* the next start tries again */
            container_free(ghost);
            (void)tree_remove_at(AT_FDCWD, path); /* the next start tries again */
        }
    }
    closedir(d);
}

/* Of a container that runs: what the last daemon leased for others, and for starts that it did not
 * see through, is free. */
static bool holds_lease(void *arg, const char *owner, uint32_t base) {
    struct engine *eng = arg;
    const char *slash = strrchr(owner, '/');
    const struct container *c = slash ? map_get(&eng->containers, slash + 1) : NULL;

    return c && c->rec.running && c->rec.idmap_base == base;
}

int engine_adopt(struct engine *eng, struct err *e) {
    auto_free char *data = xasprintf("%s/containers", eng->options.data_root);
    auto_free char *state = xasprintf("%s/containers", eng->options.exec_root);
    auto_free char *owners = xasprintf("%s/", state);
    int r = store_load(eng->store, "container", load_one, eng, e);
    int64_t deadline_ns;

    if (r < 0)
        return r;
    deadline_ns = clock_mono_ns() + GREETING_MS * NS_PER_MS;
    map_for_each (it, &eng->containers)
        adopt_one(it->value, deadline_ns);
    drop_orphans(eng, state, false);
    drop_orphans(eng, data, true);
    idmap_sweep(eng->idmap, owners, holds_lease, eng);
    return 0;
}

static void restarted(void *arg, struct err *e) {
    if (e->class != ERR_NONE && e->class != ERR_NOT_MODIFIED)
        log_warn("a container could not be started again", "container", arg, "error", err_msg(e));
    free(arg);
}

static void gone(void *arg, struct err *e) {
    if (e->class != ERR_NONE)
        log_warn("a --rm container could not be removed", "container", arg, "error", err_msg(e));
    free(arg);
}

void engine_adopt_finish(struct engine *eng) {
    size_t n = 0;
    auto_strv ids = NULL;

    map_for_each (it, &eng->containers)
        strv_add(&ids, it->key);
    strv_for_each (id, ids) {
        struct container *c = map_get(&eng->containers, id);
        struct remove_options all = {.force = true, .volumes = true};

        if (!c || c->rec.running || c->starting || c->rec.dead)
            continue;
        c->rec.restarting = false;
        if (c->rec.host.auto_remove && c->rec.has_been_started && !c->removing) {
            container_remove(c, all, gone, xstrdup(id));
        } else if (c->rec.has_been_started && container_should_restart(c, c->rec.exit_code, true)) {
            container_start(c, restarted, xstrdup(id));
            n++;
        }
    }
    if (n > 0) {
        char text[32];

        snprintf(text, sizeof text, "%zu", n);
        log_info("starting containers by their restart policy", "count", text);
    }
}
