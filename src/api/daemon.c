/* SPDX-License-Identifier: Apache-2.0 */
#include "api/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/router.h"
#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/adopt.h"
#include "engine/host_paths.h"
#include "wire/listen.h"
#include "wire/sdnotify.h"
#include "wire/tls.h"

#define IMPATIENT_SIGNALS 3 /* dockerd: the third one ends it at once */

struct daemon {
    struct daemon_options *options;
    struct loop *loop;
    struct engine *engine;
    struct http_server *server;
    struct ssl_ctx_st *tls;
    char **socket_paths; /* to be unlinked */
    unsigned stop_signals;
    bool ended; /* the loop has: signals find nothing to do */
};

/* ---- helper programs ------------------------------------------------------------------------- */
/* Beside ourselves (a build tree, or installed together), else the installed place. */
static char *find_libexec(void) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    static const char *const relative[] = {"", "/../libexec/fence", "/../lib/fence"};

    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < sizeof relative / sizeof *relative; i++) {
            auto_free char *dir = xasprintf("%s%s", self, relative[i]);
            auto_free char *spawner = xasprintf("%s/fence-spawner", dir);

            if (access(spawner, X_OK) == 0)
                return take_ptr(dir);
        }
    }
    return xstrdup("/usr/libexec/fence");
}

/* ---- files ----------------------------------------------------------------------------------- */
static int write_pidfile(const char *path, struct err *e) {
    auto_free char *text = xasprintf("%d", (int)getpid());
    auto_buf old = {.max = 64};
    int64_t pid;
    int r;

    if (io_read_file_at(AT_FDCWD, path, &old) == 0 && str_to_i64(buf_str(&old), &pid) == 0 &&
        pid > 0 && pid != getpid() && kill((pid_t)pid, 0) == 0) {
        auto_free char *exe = xasprintf("/proc/%lld/exe", (long long)pid);
        char target[PATH_MAX];
        ssize_t n = readlink(exe, target, sizeof target - 1);

        target[n > 0 ? n : 0] = '\0';
        if (strstr(target, "fenced"))
            return err_set(e, ERR_CONFLICT,
                           "pid file found, ensure fenced is not running or delete %s", path);
    }
    r = io_replace_file_at(AT_FDCWD, path, text, strlen(text), 0644);
    return r < 0 ? err_sys(e, r, "cannot write %s", path) : 0;
}

/* ---- listeners ------------------------------------------------------------------------------- */
/* dockerd's words in /info. */
static void warn_open_tcp(struct daemon *d, const char *label) {
    const char *address = str_after(label, "tcp://");

    if (d->tls && d->options->tls_verify)
        return;
    log_warn(d->tls ? "Binding to a TCP address without verifying clients: whoever reaches this "
                      "port has root on this host. Use --tlsverify, or a unix socket"
                    : "Binding to a TCP address without TLS: whoever reaches this port has root "
                      "on this host. Use --tlsverify, or a unix socket",
             "host", label);
    strv_take(&d->engine->warnings,
              xasprintf("WARNING: API is accessible on %s://%s without %s.\n"
                        "         Access to the remote API is equivalent to root access on the "
                        "host. Use --tlsverify, or a unix socket",
                        d->tls ? "https" : "http", address ? address : label,
                        d->tls ? "TLS client verification" : "encryption"));
}

static int open_listener(struct daemon *d, const char *spec, const char *default_path,
                         struct err *e) {
    struct listen_options lo = {
        .default_path = default_path, .group = d->options->group, .tls = d->options->tls};
    struct listen_socket *sockets;
    size_t n;
    int r = listen_open(spec, &lo, &sockets, &n, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r == 0; i++) {
        struct http_listener_options ho = {.label = sockets[i].label,
                                           .is_tcp = sockets[i].is_tcp,
                                           .allow_origin = d->engine->options.cors_origin,
                                           .tls = sockets[i].is_tcp ? d->tls : NULL};

        if (sockets[i].is_tcp)
            warn_open_tcp(d, sockets[i].label);
        if (sockets[i].path)
            strv_add(&d->socket_paths, sockets[i].path);
        r = http_server_listen(d->server, take_fd(&sockets[i].fd), &ho);
        if (r < 0)
            r = err_sys(e, r, "cannot listen on %s", sockets[i].label);
        else
            log_info("API listen on", "host", sockets[i].label);
        strv_add(&d->engine->listeners, sockets[i].label);
    }
    listen_sockets_free(sockets, n);
    return r;
}

static int open_listeners(struct daemon *d, struct err *e) {
    static char fence_host[] = "unix:///run/fence.sock";
    static char docker_host[] = "unix:///var/run/docker.sock";
    char *defaults[3] = {fence_host, d->options->docker_compat ? docker_host : NULL, NULL};
    char **hosts = strv_len(d->options->hosts) > 0 ? d->options->hosts : defaults;
    const char *path = d->options->docker_compat ? "/var/run/docker.sock" : "/run/fence.sock";

    strv_for_each (spec, hosts) {
        int r = open_listener(d, spec, path, e);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- signals --------------------------------------------------------------------------------- */
static void containers_stopped(void *arg) {
    struct daemon *d = arg;

    loop_stop(d->loop);
}

static void on_stop_signal(void *arg, int sig) {
    struct daemon *d = arg;
    auto_free char *name = xasprintf("%d", sig);

    if (++d->stop_signals >= IMPATIENT_SIGNALS && sig == SIGINT) {
        log_warn("forced to end without stopping the containers", "signal", name);
        loop_stop(d->loop);
        return;
    }
    if (d->stop_signals > 1 || d->ended)
        return;
    log_info("processing signal", "signal", name);
    (void)sdnotify_send("STOPPING=1"); /* without a service manager nobody listens */
    engine_shutdown(d->engine, containers_stopped, d);
}

/* The service manager's stop: an upgrade or a restart, which containers do not notice. */
static void on_leave_signal(void *arg, int sig) {
    struct daemon *d = arg;

    if (d->ended)
        return;
    d->engine->options.live_restore = true;
    on_stop_signal(arg, sig);
}

/* dockerd writes its stacks down and goes on. We have none worth it, but must not end of what
 * people do when a daemon seems to hang; the line says that the loop turns. */
static void on_state_signal(void *arg, int sig) {
    struct daemon *d = arg;
    auto_free char *containers = NULL;

    (void)sig;
    if (d->ended)
        return;
    containers = xasprintf("%zu", d->engine->containers.count);
    log_warn("the event loop answers to SIGUSR1", "containers", containers);
}

static void set_log_level(const struct daemon_options *o) {
    enum log_level level = LOG_LEVEL_INFO;

    (void)log_level_parse(o->log_level, &level); /* daemon_options_check has */
    log_set_level(o->debug ? LOG_LEVEL_DEBUG : level);
}

static void on_reload_signal(void *arg, int sig) {
    struct daemon *d = arg;
    auto_err e = ERR_INIT;
    struct strmap attrs = {0};

    (void)sig;
    if (d->ended)
        return;
    if (daemon_options_reload(d->options, &e) < 0) {
        log_error("the configuration could not be reloaded", "error", err_msg(&e));
        return;
    }
    set_log_level(d->options);
    d->engine->options.debug = d->options->debug;
    d->engine->options.live_restore = d->options->live_restore;
    d->engine->options.shutdown_timeout = d->options->shutdown_timeout;
    strv_free(d->engine->options.labels);
    d->engine->options.labels = strv_dup(d->options->labels);
    strmap_put(&attrs, "name", d->engine->options.name);
    strmap_put(&attrs, "debug", d->options->debug ? "true" : "false");
    events_publish(d->engine->events, "daemon", "reload", d->engine->id, &attrs);
    strmap_done(&attrs);
    log_info("Reloaded configuration", "file", d->options->config_file);
}

/* ---- the process ----------------------------------------------------------------------------- */
/* A container needs some descriptors here: the soft limit goes up to the hard one. */
static void raise_limits(void) {
    struct rlimit nofile;

    if (getrlimit(RLIMIT_NOFILE, &nofile) == 0 && nofile.rlim_cur < nofile.rlim_max) {
        nofile.rlim_cur = nofile.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &nofile); /* the old limit is enough for a few hundred */
    }
}

static int start(struct daemon *d, struct err *e) {
    struct daemon_options *o = d->options;
    struct engine_options eo;
    auto_free char *pid_dir = NULL;
    int r;

    if (o->tls) {
        struct tls_options t = {o->tls_cert, o->tls_key, o->tls_ca, o->tls_verify};

        r = tls_server_new(&t, &d->tls, e);
        if (r < 0)
            return r;
    }
    pid_dir = xstrdup(o->pidfile);
    if (strrchr(pid_dir, '/') && strrchr(pid_dir, '/') != pid_dir) {
        *strrchr(pid_dir, '/') = '\0';
        r = io_mkdir_all(pid_dir, 0755);
        if (r < 0)
            return err_sys(e, r, "cannot make %s", pid_dir);
    }
    r = str_empty(o->pidfile) ? 0 : write_pidfile(o->pidfile, e);
    if (r < 0)
        return r;
    daemon_options_engine(o, &eo);
    if (!eo.libexec)
        eo.libexec = find_libexec();
    r = daemon_seccomp_profile(o, &eo.seccomp_profile, e);
    if (r == 0)
        r = engine_open(d->loop, &eo, &d->engine, e);
    if (r < 0)
        return r;
    d->server = http_server_new(d->loop, router_handle, d->engine);
    d->engine->server = d->server;
    return open_listeners(d, e);
}

static void say_started(struct daemon *d) {
    auto_free char *containers = xasprintf("%zu", d->engine->containers.count);
    auto_free char *images = xasprintf("%zu", image_count(d->engine->images));

    log_info("Daemon has completed initialization", "root", d->engine->options.data_root,
             "containers", containers, "images", images, "version", FENCE_VERSION);
    (void)sdnotify_send("READY=1"); /* without a service manager nobody listens */
}

int daemon_run(struct daemon_options *o) {
    struct daemon d = {.options = o};
    struct loop_signal *signals[5] = {NULL};
    auto_err e = ERR_INIT;
    int r;

    set_log_level(o);
    log_set_format(str_eq(o->log_format, "json") ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
    (void)mallopt(M_ARENA_MAX, 2); /* worker threads must not leave an arena each behind */
    (void)signal(SIGPIPE, SIG_IGN);
    umask(0022);
    raise_limits();
    if (geteuid() != 0) {
        fprintf(stderr, "fenced needs to be started with root privileges\n");
        return 1;
    }
    d.loop = loop_new();
    r = start(&d, &e);
    if (r == 0) {
        signals[0] = loop_signal_new(d.loop, SIGTERM, on_stop_signal, &d);
        signals[1] = loop_signal_new(d.loop, SIGINT, on_stop_signal, &d);
        signals[2] = loop_signal_new(d.loop, SIGHUP, on_reload_signal, &d);
        signals[3] = loop_signal_new(d.loop, SIGUSR2, on_leave_signal, &d);
        signals[4] = loop_signal_new(d.loop, SIGUSR1, on_state_signal, &d);
        engine_adopt_finish(d.engine);
        say_started(&d);
        r = loop_run(d.loop);
    } else {
        log_error("failed to start daemon", "error", err_msg(&e));
    }
    d.ended = true;
    if (d.engine)
        d.engine->server = NULL;
    http_server_free(d.server);
    host_paths_give_up();
    loop_drain(d.loop); /* workers end with their connections, and still report to the engine */
    strv_for_each (path, d.socket_paths)
        (void)unlink(path); /* it may be gone */
    strv_free(d.socket_paths);
    engine_close(d.engine);
    if (d.engine) /* last: who waits for the file to go may start the next daemon then */
        (void)unlink(o->pidfile); /* it may be gone */
    tls_server_free(d.tls);
    /* Not before: one more signal must not cut the end short. */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signals[i])
            loop_signal_free(signals[i]);
    loop_free(d.loop);
    return r < 0 ? 1 : 0;
}
