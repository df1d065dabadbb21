/* SPDX-License-Identifier: Apache-2.0 */

/* Signals, stop, kill, restart, pause. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/config.h"
#include "engine/container.h"
#include "sys/procfd.h"

#define STOP_TIMEOUT_S   10
#define KILL_PATIENCE_MS 10000

static int freeze(struct container *c, bool frozen, struct err *e) {
    auto_free char *path = container_cgroup(c);
    auto_cgroup cg;
    int r;

    cgroup_init(&cg);
    r = cgroup_open(c->engine->cgroups, path, &cg, e);
    if (r == 0)
        r = cgroup_freeze(&cg, frozen, e);
    return r;
}

/* The signal reaches the container's first process; a frozen one is thawed so that it can act. */
static int send_signal(struct container *c, int sig, struct err *e) {
    char number[16];
    int r;

    if (c->pidfd < 0)
        return err_set(e, ERR_CONFLICT, "Container %s is not running", c->rec.id);
    r = pidfd_signal(c->pidfd, sig);
    if (r == -ESRCH)
        return err_set(e, ERR_CONFLICT, "Container %s is not running", c->rec.id);
    if (r < 0)
        return err_sys(e, r, "cannot signal container %s", c->rec.id);
    if (c->rec.paused && freeze(c, false, NULL) == 0)
        c->rec.paused = false;
    snprintf(number, sizeof number, "%d", sig);
    container_event(c, "kill", "signal", number, NULL);
    return 0;
}

/* ---- stop and kill --------------------------------------------------------------------------- */
/* One stop, kill or restart on its way: signal, wait, perhaps SIGKILL, then on. */
struct ending {
    struct list node;    /* of the container's endings */
    struct container *c; /* outlives: its removal ends all waits */
    int sig;
    int64_t timeout_ms; /* -1: none */
    bool restart, by_daemon, quiet_stop, killed;
    struct container_wait *wait;
    struct loop_timer *timer;
    container_done *done;
    void *arg;
};

static void ending_free(struct ending *x) {
    loop_timer_free(x->timer);
    container_wait_cancel(x->wait);
    list_remove(&x->node);
    free(x);
}

static void ending_finish(struct ending *x, struct err *e) {
    container_done *done = x->done;
    void *arg = x->arg;

    ending_free(x);
    done(arg, e);
}

void container_drop_endings(struct container *c) {
    struct ending *x;

    while ((x = list_first(&c->endings, struct ending, node)))
        ending_free(x);
}

static void restarted(void *arg, struct err *e) {
    struct ending *x = arg;

    if (e->class == ERR_NONE)
        container_event(x->c, "restart", NULL);
    ending_finish(x, e);
}

static void on_stopped(void *arg, const struct wait_result *r) {
    struct ending *x = arg;
    struct err none = ERR_INIT;

    (void)r;
    x->wait = NULL;
    loop_timer_free(x->timer);
    x->timer = NULL;
    if (!x->quiet_stop)
        container_event(x->c, "stop", NULL);
    if (x->restart)
        container_start(x->c, restarted, x);
    else
        ending_finish(x, &none);
}

static void on_patience_end(void *arg) {
    struct ending *x = arg;
    auto_err e = ERR_INIT;

    loop_timer_free(x->timer);
    x->timer = NULL;
    if (!x->killed) {
        x->killed = true;
        (void)send_signal(x->c, SIGKILL, NULL); /* fails only when it is dead: the wait tells */
        x->timer = loop_timer_new(x->c->engine->loop, KILL_PATIENCE_MS, 0, on_patience_end, x);
        return;
    }
    (void)err_set(&e, ERR_SYSTEM, /* sets, cannot fail */
                  "container %s did not exit within %d seconds of the signal KILL", x->c->rec.id,
                  KILL_PATIENCE_MS / 1000);
    ending_finish(x, &e);
}

void container_hurry(struct container *c) {
    struct ending *x, *tmp;

    list_for_each_safe (x, tmp, &c->endings, node) {
        x->timeout_ms = 0; /* of one that waits for the start to end */
        if (x->wait && !x->killed)
            on_patience_end(x);
    }
}

/* Ends the wait for a restart: there is no process to signal. */
static void cancel_restart(struct container *c) {
    loop_timer_free(c->restart_timer);
    c->restart_timer = NULL;
    c->rec.restarting = false;
    container_save(c, NULL, NULL);
    container_wake(c, WAIT_NOT_RUNNING);
    container_signal_ended(c);
}

static void begin_ending(struct container *c, void *arg) {
    struct ending *x = arg;
    struct err e = ERR_INIT;

    if (!container_is_running(c)) {
        if (x->restart) {
            container_start(c, restarted, x);
            return;
        }
        (void)err_set(&e, ERR_NOT_MODIFIED, "Container already stopped"); /* sets */
        ending_finish(x, &e);
        return;
    }
    if (!x->by_daemon) /* for a restart too: the policy must not act on this exit */
        c->rec.manually_stopped = true;
    c->keep = x->restart;
    if (c->rec.restarting) {
        struct wait_result none = {0};

        cancel_restart(c);
        on_stopped(x, &none);
        return;
    }
    x->killed = x->sig == SIGKILL;
    if (send_signal(c, x->sig, &e) < 0 && c->pidfd < 0) {
        ending_finish(x, &e);
        return;
    }
    err_done(&e); /* dead already, its exit is on the way */
    if (x->killed)
        x->timeout_ms = KILL_PATIENCE_MS;
    if (x->timeout_ms >= 0)
        x->timer = loop_timer_new(c->engine->loop, (uint64_t)x->timeout_ms, 0, on_patience_end, x);
    x->wait = container_wait(c, WAIT_NEXT_EXIT, on_stopped, x);
}

static int stop_signal(const struct container *c, const char *signal, struct err *e) {
    int sig;

    if (str_empty(signal))
        signal = c->rec.config.stop_signal;
    if (str_empty(signal))
        return SIGTERM;
    sig = signal_parse(signal);
    if (sig < 0)
        return err_set(e, ERR_INVALID, "Invalid signal: %s", signal);
    return sig;
}

enum end_kind { END_STOP, END_RESTART, END_SHUTDOWN };

static void end(struct container *c, const char *signal, int64_t timeout_s, enum end_kind kind,
                container_done *done, void *arg) {
    struct err e = ERR_INIT;
    int sig = stop_signal(c, signal, &e);
    struct ending *x;

    if (sig < 0) {
        done(arg, &e);
        err_done(&e);
        return;
    }
    if (timeout_s == CONTAINER_TIMEOUT_DEFAULT)
        timeout_s =
            c->rec.config.stop_timeout.set ? c->rec.config.stop_timeout.value : STOP_TIMEOUT_S;
    x = xnew(struct ending);
    x->c = c;
    x->sig = sig;
    x->timeout_ms = timeout_s < 0 || timeout_s > INT32_MAX ? -1 : timeout_s * 1000;
    x->restart = kind == END_RESTART;
    x->by_daemon = kind == END_SHUTDOWN;
    x->done = done;
    x->arg = arg;
    list_append(&c->endings, &x->node);
    container_when_settled(c, begin_ending, x);
}

void container_stop(struct container *c, const char *signal, int64_t timeout_s,
                    container_done *done, void *arg) {
    end(c, signal, timeout_s, END_STOP, done, arg);
}

void container_restart(struct container *c, const char *signal, int64_t timeout_s,
                       container_done *done, void *arg) {
    end(c, signal, timeout_s, END_RESTART, done, arg);
}

void container_shutdown(struct container *c, container_done *done, void *arg) {
    end(c, NULL, CONTAINER_TIMEOUT_DEFAULT, END_SHUTDOWN, done, arg);
}

struct kill {
    int sig;
    container_done *done;
    void *arg;
};

static void kill_now(struct container *c, void *arg) {
    struct kill *k = arg;
    struct err e = ERR_INIT;
    struct ending *x;

    if (!c->rec.running) {
        if (c->rec.restarting) {
            c->rec.manually_stopped = true;
            cancel_restart(c);
        } else {
            (void)err_set(&e, ERR_CONFLICT, "Container %s is not running", c->rec.id); /* sets */
        }
    } else if (k->sig == SIGKILL) {
        x = xnew(struct ending);
        *x = (struct ending){
            .c = c, .sig = SIGKILL, .quiet_stop = true, .done = k->done, .arg = k->arg};
        free(k);
        list_append(&c->endings, &x->node);
        begin_ending(c, x);
        return;
    } else {
        if (k->sig == stop_signal(c, NULL, NULL))
            c->rec.manually_stopped = true;
        (void)send_signal(c, k->sig, &e); /* e tells */
    }
    k->done(k->arg, &e);
    err_done(&e);
    free(k);
}

void container_kill(struct container *c, const char *signal, container_done *done, void *arg) {
    int sig = str_empty(signal) ? SIGKILL : signal_parse(signal);
    struct kill *k;

    if (sig < 0) {
        struct err e = ERR_INIT;

        (void)err_set(&e, ERR_INVALID, /* sets, cannot fail */
                      signal_is_number(signal) ? "The linux daemon does not support signal %s"
                                               : "Invalid signal: %s",
                      signal);
        done(arg, &e);
        err_done(&e);
        return;
    }
    k = xnew(struct kill);
    *k = (struct kill){sig, done, arg};
    container_when_settled(c, kill_now, k);
}

/* ---- pause ----------------------------------------------------------------------------------- */
int container_pause(struct container *c, struct err *e) {
    int r;

    if (c->rec.restarting)
        return err_set(e, ERR_CONFLICT,
                       "Container %s is restarting, wait until the container is running",
                       c->rec.id);
    if (!c->rec.running)
        return err_set(e, ERR_CONFLICT, "Container %s is not running", c->rec.id);
    if (c->rec.paused)
        return err_set(e, ERR_CONFLICT, "Container %s is already paused", c->rec.id);
    r = freeze(c, true, e);
    if (r < 0) {
        err_wrap(e, "Cannot pause container %s", c->rec.id);
        return r;
    }
    c->rec.paused = true;
    container_save(c, NULL, NULL);
    container_event(c, "pause", NULL);
    return 0;
}

void container_adopt_pause(struct container *c) {
    auto_err e = ERR_INIT;
    int r;

    if (c->rec.paused && c->rec.held) {
        c->rec.held = false;
        r = container_unpause(c, &e);
    } else {
        r = freeze(c, c->rec.paused, &e);
    }
    if (r < 0)
        log_warn("a container may be paused where it should not, or the other way round",
                 "container", c->rec.id, "error", err_msg(&e));
}

int container_unpause(struct container *c, struct err *e) {
    int r;

    if (!c->rec.paused)
        return err_set(e, ERR_CONFLICT, "Container %s is not paused", c->rec.id);
    r = freeze(c, false, e);
    if (r < 0) {
        err_wrap(e, "Cannot unpause container %s", c->rec.id);
        return r;
    }
    c->rec.paused = false;
    container_save(c, NULL, NULL);
    container_event(c, "unpause", NULL);
    return 0;
}
