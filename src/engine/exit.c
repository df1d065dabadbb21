/* SPDX-License-Identifier: Apache-2.0 */

/* The end of a container's process: state, waiters, restart policy, --rm. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/api_socket.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/exec.h"
#include "engine/health.h"
#include "engine/idmap.h"
#include "engine/links.h"
#include "engine/log_compress.h"
#include "engine/ports.h"
#include "image/tree.h"

#define RESTART_DELAY_MIN_MS 100
#define RESTART_DELAY_MAX_MS 60000
#define RESTART_RESET_NS     (10 * NS_PER_SEC) /* a run of this length clears the back-off */

bool container_should_restart(const struct container *c, int64_t exit_code, bool daemon_start) {
    const struct restart_policy *p = &c->rec.host.restart_policy;

    if (str_eq(p->name, "always"))
        return daemon_start || !c->rec.manually_stopped;
    if (c->rec.manually_stopped)
        return false;
    if (str_eq(p->name, "unless-stopped"))
        return true;
    return str_eq(p->name, "on-failure") && exit_code != 0 &&
           (p->maximum_retry_count <= 0 || c->rec.restart_count < p->maximum_retry_count);
}

static void removed(void *arg, struct err *e) {
    if (e->class != ERR_NONE)
        log_error("cannot remove a container after its end", "container", arg, "error", err_msg(e));
    free(arg);
}

void container_auto_remove(struct container *c) {
    struct remove_options o = {.force = true, .volumes = true};

    if (c->rec.host.auto_remove && !c->removing)
        container_remove(c, o, removed, xstrdup(c->rec.id));
}

static void after_restart(void *arg, struct err *e) {
    struct container *c = arg;

    c->restart_starts = false;
    if (e->class != ERR_NONE)
        log_warn("a restart failed", "error", err_msg(e));
}

static void on_restart_timer(void *arg) {
    struct container *c = arg;

    loop_timer_free(c->restart_timer);
    c->restart_timer = NULL;
    if (c->removing || c->engine->stopping)
        return;
    c->rec.restart_count++;
    c->rec.restarting = false;
    c->restart_starts = true;
    container_start(c, after_restart, c);
}

void container_schedule_restart(struct container *c) {
    if (c->restart_delay_ms == 0 || c->rec.finished_ns - c->rec.started_ns > RESTART_RESET_NS)
        c->restart_delay_ms = RESTART_DELAY_MIN_MS;
    else
        c->restart_delay_ms *= 2;
    if (c->restart_delay_ms > RESTART_DELAY_MAX_MS)
        c->restart_delay_ms = RESTART_DELAY_MAX_MS;
    c->rec.restarting = true;
    c->restart_timer = loop_timer_new(c->engine->loop, c->restart_delay_ms, 0, on_restart_timer, c);
}

/* Containers that have joined namespaces share the range, and any of them may be the last. */
static void release_ids(const struct container *c, const char *state_dir) {
    const struct container *heir = NULL;
    uint32_t base = (uint32_t)c->rec.idmap_base;

    map_for_each (entry, &c->engine->containers) {
        const struct container *other = entry->value;

        if (other != c && other->rec.idmap_base == c->rec.idmap_base)
            heir = other;
    }
    if (heir) {
        auto_free char *dir = container_state_dir(heir);
        int r = idmap_pass_on(c->engine->idmap, state_dir, dir, base);

        if (r < 0)
            log_warn("cannot keep an id range that is still in use", "container", heir->rec.id,
                     "error", strerror(-r));
    } else {
        idmap_release(c->engine->idmap, state_dir, base);
    }
}

void container_release_process(struct container *c) {
    auto_free char *state_dir = container_state_dir(c);

    api_socket_close(c);
    if (c->rec.idmap_base != 0)
        release_ids(c, state_dir);
    c->rec.idmap_base = 0;
    strv_free(c->rec.extra_ids);
    c->rec.extra_ids = NULL;
    str_set(&c->rec.joined_userns, NULL);
    monitor_link_free(c->link);
    c->link = NULL;
    c->pidfd = fd_close(c->pidfd);
}

void container_release_runtime(struct container *c) {
    ports_withdraw(c);
    links_close(c);
    endpoints_release(c);
    container_release_process(c);
}

/* The exit file may go once the database knows the end as well. */
struct saved_exit {
    struct engine *engine;
    char id[ID_LEN + 1];
};

static void exit_written(void *arg, int r) {
    struct saved_exit *s = arg;
    struct container *c = map_get(&s->engine->containers, s->id);

    /* Otherwise it goes when the database has caught up. */
    if (r == 0 && (!c || (!c->rec.running && !c->starting))) {
        auto_free char *dir = xasprintf("%s/containers/%s", s->engine->options.exec_root, s->id);

        (void)tree_remove_at(AT_FDCWD, dir); /* made anew, or cleared, by the next start */
    }
    free(s);
}

static void exit_saved(void *arg, int r) {
    struct saved_exit *s = arg;
    struct container *c = map_get(&s->engine->containers, s->id);

    if (r < 0 && c) {
        log_error("cannot save the end of a container", "container", s->id);
        container_save(c, NULL, NULL); /* is written as soon as it can be, which may be now */
        store_barrier(s->engine->store, exit_written, s);
        return;
    }
    exit_written(s, r);
}

static void save_exit(struct container *c) {
    struct saved_exit *s = xnew(struct saved_exit);

    s->engine = c->engine;
    snprintf(s->id, sizeof s->id, "%s", c->rec.id);
    container_save(c, exit_saved, s);
}

void container_on_exit(struct container *c, const struct monitor_exit *x) {
    auto_strv networks = endpoints_networks(c);
    char code[16];
    bool again;

    health_on_exit(c);
    log_compress_stop(c);
    container_release_runtime(c);
    c->rec.running = c->rec.paused = false;
    c->rec.pid = c->rec.start_time = 0;
    c->rec.exit_code = x->status;
    c->rec.oom_killed = x->oom;
    c->rec.finished_ns = x->time_ns;
    again = !c->removing && !c->engine->stopping && container_should_restart(c, x->status, false);
    if (again)
        container_schedule_restart(c);
    save_exit(c);
    snprintf(code, sizeof code, "%d", x->status);
    container_event(c, "die", "exitCode", code, NULL);
    endpoints_events(c->engine, networks, c->rec.id, "disconnect");
    container_volume_events(c, "unmount");
    if (!again)
        container_signal_ended(c);
    /* A waiter may remove the container: nothing of c is used after the last wake. */
    if (!again && c->rec.host.auto_remove && !c->removing && !c->keep) {
        container_wake(c, WAIT_NOT_RUNNING);
        container_wake(c, WAIT_NEXT_EXIT);
        container_auto_remove(c);
        return;
    }
    {
        struct engine *eng = c->engine;
        auto_free char *id = xstrdup(c->rec.id);

        container_wake(c, WAIT_NOT_RUNNING);
        c = map_get(&eng->containers, id);
        if (c)
            container_wake(c, WAIT_NEXT_EXIT);
    }
}

/* ---- what the monitor tells ------------------------------------------------------------------ */
static void on_exited(void *arg, const struct monitor_exit *x) {
    struct container *c = arg;

    if (!c->rec.running)
        return;
    if (x->groups_left) {
        c->end = *x;
        container_clear(c, container_end_cleared);
    } else {
        container_on_exit(c, x);
    }
}

void container_end_cleared(struct container *c) {
    struct monitor_exit x = c->end;

    if (c->rec.running)
        container_on_exit(c, &x);
}

static void on_oom(void *arg) {
    container_event(arg, "oom", NULL);
}

static void on_client_end(void *arg, uint64_t client, bool detached) {
    container_attach_client_end(arg, client, detached);
}

static void finish_start(struct container *c, struct err *e) {
    container_done *done = c->started;
    void *arg = c->started_arg;

    c->starting = false;
    c->started = NULL;
    container_settled(c);
    if (done)
        done(arg, e);
}

/* What dockerd sets for a process that could not be started: clients tell 126 and 127 by it. */
static int64_t failure_code(const char *msg) {
    if (strstr(msg, "executable file not found") || strstr(msg, "no such file or directory"))
        return 127;
    if (strstr(msg, "permission denied") || strstr(msg, "is a directory"))
        return 126;
    return 128;
}

static void on_failed(void *arg, struct err *e) {
    struct container *c = arg;
    auto_free char *state_dir = container_state_dir(c);
    struct err own = *e;

    *e = (struct err){0};
    if (!c->starting)
        return;
    log_warn("a container did not start", "container", c->rec.id, "error", err_msg(&own));
    container_release_runtime(c);
    container_attach_drop(c);
    (void)tree_remove_at(AT_FDCWD, state_dir); /* made anew by the next start */
    str_set(&c->rec.error, err_msg(&own));
    c->rec.exit_code = failure_code(err_msg(&own));
    if (own.class == ERR_SYSTEM && (c->rec.exit_code == 127 || c->rec.exit_code == 126))
        own.class = ERR_INVALID; /* dockerd: 400, the user's command is at fault */
    container_save(c, NULL, NULL);
    container_wake(c, WAIT_NOT_RUNNING); /* not NEXT_EXIT: nothing has run that could exit */
    container_signal_ended(c);
    if (c->rec.host.auto_remove && !c->removing) {
        container_done *done = c->started;
        void *done_arg = c->started_arg;

        c->starting = false;
        c->started = NULL;
        container_settled(c);
        container_auto_remove(c);
        if (done)
            done(done_arg, &own);
    } else {
        finish_start(c, &own);
    }
    err_done(&own);
}

static void on_started(void *arg, const struct monitor_started *s) {
    struct container *c = arg;
    auto_strv networks = NULL;
    struct err none = ERR_INIT;

    fd_close(c->pidfd);
    c->pidfd = s->pidfd;
    c->rec.pid = s->pid;
    c->rec.start_time = s->start_time;
    if (!c->starting)
        return; /* STATUS of a monitor that was adopted */
    c->keep = false;
    c->rec.running = true;
    c->rec.has_been_started = true;
    c->rec.oom_killed = false;
    c->rec.exit_code = 0;
    c->rec.started_ns = clock_real_ns();
    str_set(&c->rec.error, NULL);
    api_socket_serve(c);
    container_save(c, NULL, NULL);
    networks = endpoints_networks(c);
    endpoints_events(c->engine, networks, c->rec.id, "connect");
    container_volume_events(c, "mount");
    container_event(c, "start", NULL);
    links_refresh_parents(c);
    health_start(c);
    log_compress_start(c);
    finish_start(c, &none);
}

static void set_up_cleared(struct container *c) {
    auto_err e = ERR_INIT;

    if (c->starting && container_start_again(c, &e) < 0)
        on_failed(c, &e);
}

/* The connection ended without an exit: the monitor was killed. What ran under it runs unwatched,
 * which must not be. */
static void on_closed(void *arg) {
    struct container *c = arg;
    auto_free char *state_dir = container_state_dir(c);

    if (c->clearing)
        return;
    if (c->starting) {
        container_clear(c, set_up_cleared);
        return;
    }
    if (!c->rec.running)
        return;
    if (monitor_read_exit(state_dir, &c->end) < 0) {
        log_error("a container has lost its monitor and is killed", "container", c->rec.id);
        c->end = (struct monitor_exit){.status = 137, .time_ns = clock_real_ns()};
    }
    container_clear(c, container_end_cleared);
}

const struct monitor_events container_monitor_events = {
    .started = on_started,
    .failed = on_failed,
    .exited = on_exited,
    .oom = on_oom,
    .client_end = on_client_end,
    .closed = on_closed,
};
