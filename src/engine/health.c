/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/health.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/exec.h"
#include "monitor/protocol.h"

/* Docker's defaults and limits. */
#define INTERVAL_NS       (30 * NS_PER_SEC)
#define TIMEOUT_NS        (30 * NS_PER_SEC)
#define START_INTERVAL_NS (5 * NS_PER_SEC)
#define RETRIES           3
#define RESULTS_KEPT      5
#define OUTPUT_MAX        4096

struct result {
    int64_t start_ns, end_ns, exit_code;
    char *output;
};

struct health {
    struct container *c;
    const char *status; /* "starting", "healthy", "unhealthy" */
    unsigned failing;
    struct result results[RESULTS_KEPT]; /* oldest first */
    size_t count;
    struct loop_timer *timer; /* to the next probe, or of the probe's timeout */
    /* The probe under way. */
    char exec_id[ID_LEN + 1];
    int out_fd;
    struct loop_fd *watch;
    struct buf output;
    int64_t probe_start_ns;
    bool timed_out;
};

static const struct health_config *config_of(const struct container *c) {
    const struct health_config *h = c->rec.config.healthcheck;

    if (!h || strv_len(h->test) == 0 || str_eq(h->test[0], "NONE"))
        return NULL;
    return h;
}

const char *health_status(const struct container *c) {
    return c->health ? c->health->status : NULL;
}

static void schedule(struct health *h);

static void drop_probe(struct health *h) {
    struct exec *x = h->exec_id[0] ? exec_find(h->c->engine, h->exec_id, NULL) : NULL;

    if (x)
        exec_abandon(x);
    h->exec_id[0] = '\0';
    loop_fd_free(h->watch);
    h->watch = NULL;
    h->out_fd = fd_close(h->out_fd);
    loop_timer_free(h->timer);
    h->timer = NULL;
}

static void set_status(struct health *h, const char *status) {
    auto_free char *action = NULL;

    if (str_eq(h->status, status))
        return;
    h->status = status;
    action = xasprintf("health_status: %s", status);
    container_event(h->c, action, NULL);
}

static void add_result(struct health *h, int64_t code, char *output) {
    if (h->count == RESULTS_KEPT) {
        free(h->results[0].output);
        memmove(h->results, h->results + 1, (RESULTS_KEPT - 1) * sizeof *h->results);
        h->count--;
    }
    h->results[h->count++] = (struct result){h->probe_start_ns, clock_real_ns(), code, output};
}

static void probe_end(struct health *h, int64_t code) {
    const struct health_config *cfg = config_of(h->c);
    unsigned retries = cfg && cfg->retries > 0 ? (unsigned)cfg->retries : RETRIES;
    bool starting = cfg && clock_real_ns() - h->c->rec.started_ns < cfg->start_period;
    char *output;

    /* What was written before the end is in the socket by now. */
    if (h->out_fd >= 0) {
        char chunk[OUTPUT_MAX];
        ssize_t n;

        while (h->output.len < OUTPUT_MAX && (n = read(h->out_fd, chunk, sizeof chunk)) > 0)
            buf_append(&h->output, chunk,
                       h->output.len + (size_t)n > OUTPUT_MAX ? OUTPUT_MAX - h->output.len
                                                              : (size_t)n);
    }
    output = buf_take(&h->output);
    if (h->timed_out) {
        free(output);
        output =
            xasprintf("Health check exceeded timeout (%lldms)",
                      (long long)((cfg && cfg->timeout ? cfg->timeout : TIMEOUT_NS) / NS_PER_MS));
        code = -1;
    }
    add_result(h, code, output);
    drop_probe(h);
    if (code == 0) {
        h->failing = 0;
        set_status(h, "healthy");
    } else if (!starting || !str_eq(h->status, "starting")) {
        h->failing++;
        if (h->failing >= retries)
            set_status(h, "unhealthy");
    }
    schedule(h);
}

static void on_probe_exit(void *arg, int64_t code) {
    probe_end(arg, code);
}

static void on_timeout(void *arg) {
    struct health *h = arg;
    struct exec *x = exec_find(h->c->engine, h->exec_id, NULL);

    h->timed_out = true;
    loop_timer_free(h->timer);
    h->timer = NULL;
    if (!x || exec_kill(x, SIGKILL) < 0)
        probe_end(h, -1);
}

static void on_output(void *arg, unsigned events) {
    struct health *h = arg;
    char chunk[OUTPUT_MAX];
    ssize_t n = read(h->out_fd, chunk, sizeof chunk);

    (void)events;
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            loop_fd_set(h->watch, 0);
        return;
    }
    if (h->output.len < OUTPUT_MAX)
        buf_append(&h->output, chunk,
                   h->output.len + (size_t)n > OUTPUT_MAX ? OUTPUT_MAX - h->output.len : (size_t)n);
}

static void on_start(void *arg, struct err *e) {
    struct health *h = arg;
    struct exec *x = exec_find(h->c->engine, h->exec_id, NULL);

    if (e->class != ERR_NONE) {
        buf_puts(&h->output, err_msg(e));
        probe_end(h, -1);
    } else if (x) {
        exec_on_exit(x, on_probe_exit, h);
    }
}

static char **probe_command(const struct container *c, const struct health_config *cfg) {
    char **cmd = NULL;

    if (str_eq(cfg->test[0], "CMD"))
        return strv_dup(cfg->test + 1);
    if (strv_len(c->rec.config.shell) > 0)
        cmd = strv_dup(c->rec.config.shell);
    else
        cmd = str_split("/bin/sh,-c", ',');
    strv_add(&cmd, cfg->test[1] ? cfg->test[1] : "");
    return cmd;
}

static void probe(void *arg) {
    struct health *h = arg;
    struct container *c = h->c;
    const struct health_config *cfg = config_of(c);
    struct exec_start_options o = {.attach = {.fd = -1}};
    struct exec_config config;
    int64_t timeout;
    struct exec *x;
    int pair[2];

    loop_timer_free(h->timer);
    h->timer = NULL;
    if (!cfg || c->rec.paused || !c->rec.running) {
        schedule(h);
        return;
    }
    field_init(&exec_config_table, &config);
    config.cmd = probe_command(c, cfg);
    config.attach_stdout = config.attach_stderr = true;
    h->probe_start_ns = clock_real_ns();
    h->timed_out = false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
        exec_create(c, c->rec.name, &config, &x, NULL) < 0) {
        field_done(&exec_config_table, &config);
        schedule(h);
        return;
    }
    snprintf(h->exec_id, sizeof h->exec_id, "%s", x->id);
    h->out_fd = pair[0];
    (void)io_set_nonblock(h->out_fd, true); /* a socket: cannot fail */
    h->watch = loop_fd_new(c->engine->loop, h->out_fd, LOOP_READ, on_output, h);
    timeout = cfg->timeout > 0 ? cfg->timeout : TIMEOUT_NS;
    h->timer =
        loop_timer_new(c->engine->loop, (uint64_t)(timeout / NS_PER_MS) + 1, 0, on_timeout, h);
    o.attach.flags = MON_ATTACH_STDOUT | MON_ATTACH_STDERR;
    o.attach.fd = pair[1];
    exec_start(x, &o, on_start, h);
}

static void schedule(struct health *h) {
    const struct health_config *cfg = config_of(h->c);
    int64_t wait = cfg && cfg->interval > 0 ? cfg->interval : INTERVAL_NS;

    if (!cfg || !h->c->rec.running)
        return;
    if (str_eq(h->status, "starting") && cfg->start_period > 0 && cfg->start_interval > 0 &&
        clock_real_ns() - h->c->rec.started_ns < cfg->start_period)
        wait = cfg->start_interval;
    h->timer = loop_timer_new(h->c->engine->loop, (uint64_t)(wait / NS_PER_MS), 0, probe, h);
}

void health_start(struct container *c) {
    if (!config_of(c))
        return;
    if (c->health) { /* a restart keeps the log of probes */
        drop_probe(c->health);
        c->health->failing = 0;
    } else {
        c->health = xnew(struct health);
        c->health->c = c;
        c->health->out_fd = -1;
        c->health->output.max = OUTPUT_MAX;
    }
    c->health->status = "starting";
    schedule(c->health);
}

void health_stop(struct container *c) {
    if (c->health)
        drop_probe(c->health);
}

void health_on_exit(struct container *c) {
    health_stop(c);
    if (c->health)
        set_status(c->health, "unhealthy");
}

void health_free(struct container *c) {
    struct health *h = c->health;

    if (!h)
        return;
    drop_probe(h);
    buf_done(&h->output);
    for (size_t i = 0; i < h->count; i++)
        free(h->results[i].output);
    free(h);
    c->health = NULL;
}

void health_emit(const struct container *c, struct jw *w) {
    const struct health *h = c->health;
    char text[TIME_TEXT_MAX];

    if (!h)
        return;
    jw_key(w, "Health");
    jw_object(w);
    jw_kstr(w, "Status", h->status);
    jw_kint(w, "FailingStreak", h->failing);
    jw_key(w, "Log");
    jw_array(w);
    for (size_t i = 0; i < h->count; i++) {
        const struct result *r = &h->results[i];

        jw_object(w);
        jw_kstr(w, "Start", time_format(r->start_ns, text));
        jw_kstr(w, "End", time_format(r->end_ns, text));
        jw_kint(w, "ExitCode", r->exit_code);
        jw_kstr(w, "Output", r->output);
        jw_end_object(w);
    }
    jw_end_array(w);
    jw_end_object(w);
}
