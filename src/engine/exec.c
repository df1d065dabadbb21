/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/idmap.h"
#include "engine/labels.h"
#include "engine/links.h"
#include "engine/spawner_link.h"
#include "engine/spec.h"
#include "image/tree.h"
#include "monitor/protocol.h"
#include "runtime/lsm.h"
#include "runtime/seccomp.h"
#include "sys/caps.h"
#include "sys/procfd.h"

/* An exec that has ended can be inspected for a while, as with dockerd. */
#define FORGET_AFTER_MS 300000
#define EXECS_MAX       10000

static const struct field config_fields[] = {
    FIELD(struct exec_config, "AttachStdin", FIELD_BOOL_T, attach_stdin, 0),
    FIELD(struct exec_config, "AttachStdout", FIELD_BOOL_T, attach_stdout, 0),
    FIELD(struct exec_config, "AttachStderr", FIELD_BOOL_T, attach_stderr, 0),
    FIELD(struct exec_config, "DetachKeys", FIELD_STR, detach_keys, 0),
    FIELD(struct exec_config, "Tty", FIELD_BOOL_T, tty, 0),
    FIELD(struct exec_config, "Privileged", FIELD_BOOL_T, privileged, 0),
    FIELD(struct exec_config, "Detach", FIELD_BOOL_T, detach, 0),
    FIELD(struct exec_config, "User", FIELD_STR, user, 0),
    FIELD(struct exec_config, "WorkingDir", FIELD_STR, working_dir, 0),
    FIELD(struct exec_config, "Env", FIELD_STRV, env, 0),
    FIELD(struct exec_config, "Cmd", FIELD_STRLIST, cmd, 0),
    FIELD(struct exec_config, "ConsoleSize", FIELD_UINTS, console_size, 0),
    FIELD_END,
};
const struct field_table exec_config_table = FIELD_TABLE(struct exec_config, config_fields);

static void exec_free(struct exec *x) {
    loop_timer_free(x->forget_timer);
    monitor_link_free(x->link);
    fd_close(x->pidfd);
    field_done(&exec_config_table, &x->config);
    free(x);
}

static char *state_dir(const struct exec *x) {
    return xasprintf("%s/containers/%s/exec-%s", x->engine->options.exec_root, x->container_id,
                     x->id);
}

/* "sh -c echo hi", and "true ": the program, a blank, its arguments, as Docker's events have it. */
static char *command_text(const struct exec *x) {
    auto_free char *all = strv_join(x->config.cmd, " ");

    return xasprintf("%s%s", all, strv_len(x->config.cmd) == 1 ? " " : "");
}

static void event(struct exec *x, const char *action, bool with_command, const char *exit_code) {
    struct container *c = map_get(&x->engine->containers, x->container_id);
    auto_free char *command = command_text(x);
    auto_free char *full = with_command ? xasprintf("%s: %s", action, command) : xstrdup(action);

    if (!c)
        return;
    if (exit_code)
        container_event(c, full, "execID", x->id, "exitCode", exit_code, NULL);
    else
        container_event(c, full, "execID", x->id, NULL);
}

int exec_create(struct container *c, const char *name, struct exec_config *config,
                struct exec **ret, struct err *e) {
    struct exec *x;

    if (c->rec.restarting)
        return err_set(e, ERR_CONFLICT,
                       "Container %s is restarting, wait until the container is running",
                       c->rec.id);
    if (!c->rec.running || c->removing)
        return err_set(e, ERR_CONFLICT, "Container %s is not running", c->rec.id);
    if (c->rec.paused)
        return err_set(e, ERR_CONFLICT, "Container %s is paused, unpause the container before exec",
                       name);
    if (strv_len(config->cmd) == 0)
        return err_set(e, ERR_INVALID, "No exec command specified");
    if (c->engine->execs.count >= EXECS_MAX)
        return err_set(e, ERR_UNAVAILABLE, "too many execs: %d are known", EXECS_MAX);
    x = xnew(struct exec);
    x->engine = c->engine;
    x->pidfd = -1;
    x->config = *config;
    field_init(&exec_config_table, config);
    snprintf(x->container_id, sizeof x->container_id, "%s", c->rec.id);
    id_new(x->id);
    map_put(&c->engine->execs, x->id, x);
    event(x, "exec_create", true, NULL);
    *ret = x;
    return 0;
}

struct exec *exec_find(struct engine *eng, const char *id, struct err *e) {
    struct exec *x = map_get(&eng->execs, id);

    if (!x)
        (void)err_set(e, ERR_NOT_FOUND, "No such exec instance: %s", id); /* sets, cannot fail */
    return x;
}

static void forget(void *arg) {
    struct exec *x = arg;

    map_del(&x->engine->execs, x->id);
    exec_free(x);
}

/* ---- what the exec's monitor tells ----------------------------------------------------------- */
static void ended(struct exec *x, int64_t code) {
    auto_free char *dir = state_dir(x);
    void (*cb)(void *, int64_t) = x->on_exit;
    char text[16];

    x->running = false;
    x->exit_code = code;
    x->has_exit = true;
    monitor_link_free(x->link);
    x->link = NULL;
    x->pidfd = fd_close(x->pidfd);
    snprintf(text, sizeof text, "%lld", (long long)code);
    event(x, "exec_die", false, text);
    x->forget_timer = loop_timer_new(x->engine->loop, FORGET_AFTER_MS, 0, forget, x);
    x->on_exit = NULL;
    if (cb)
        cb(x->on_exit_arg, code);
    /* Last: nobody waits for it. The container's end removes what stays. */
    (void)tree_remove_at(AT_FDCWD, dir);
}

static void start_answer(struct exec *x, struct err *e) {
    void (*cb)(void *, struct err *) = x->on_start;

    x->on_start = NULL;
    if (cb)
        cb(x->on_start_arg, e);
}

static void on_started(void *arg, const struct monitor_started *s) {
    struct exec *x = arg;
    auto_err none = ERR_INIT;

    fd_close(x->pidfd);
    x->pidfd = s->pidfd;
    x->pid = s->pid;
    x->running = true;
    event(x, "exec_start", true, NULL);
    if (x->abandoned)
        (void)exec_kill(x, SIGKILL); /* -ESRCH: it has just ended */
    start_answer(x, &none);
}

static void on_failed(void *arg, struct err *e) {
    struct exec *x = arg;
    struct err own = *e;
    bool missing = strstr(err_msg(e), "executable file not found") ||
                   strstr(err_msg(e), "no such file or directory");

    *e = (struct err){0};
    if (own.class == ERR_SYSTEM)
        own.class = ERR_INVALID; /* dockerd: 400 */
    start_answer(x, &own);
    err_done(&own);
    ended(x, missing ? 127 : 126);
}

static void on_exited(void *arg, const struct monitor_exit *m) {
    struct exec *x = arg;

    if (x->running)
        ended(x, m->status);
}

static void on_oom(void *arg) {
    (void)arg; /* the container's own monitor reports it */
}

static void on_client_end(void *arg, uint64_t client, bool detached) {
    (void)client;
    if (detached)
        event(arg, "exec_detach", false, NULL);
}

static void on_closed(void *arg) {
    struct exec *x = arg;
    auto_free char *dir = state_dir(x);
    struct monitor_exit m = {.status = 137};

    if (x->has_exit)
        return;
    if (!x->running) {
        auto_err e = ERR_INIT;

        (void)err_set(&e, ERR_SYSTEM, /* sets, cannot fail */
                      "the set-up process of the exec ended without a result");
        on_failed(x, &e);
        return;
    }
    if (monitor_read_exit(dir, &m) < 0 && x->pidfd >= 0)
        (void)pidfd_signal(x->pidfd, SIGKILL); /* nothing runs unwatched; -ESRCH: it has ended */
    ended(x, m.status);
}

static const struct monitor_events exec_monitor_events = {
    .started = on_started,
    .failed = on_failed,
    .exited = on_exited,
    .oom = on_oom,
    .client_end = on_client_end,
    .closed = on_closed,
};

/* ---- start ----------------------------------------------------------------------------------- */
static int fill_process(struct exec *x, struct container *c, struct rt_request *q, int rows,
                        int cols, struct err *e) {
    struct oci_process *p = &q->spec.process;
    struct host_config h = c->rec.host; /* a shallow view: only `privileged` may differ */
    struct security_options so = {0};
    const char *cwd = c->rec.config.working_dir;
    auto_free char *seccomp = NULL, *dir = NULL;
    auto_strv env = NULL;
    uint64_t caps;
    int r;

    r = security_options_parse(c->rec.host.security_opt, &so, e);
    if (r < 0)
        return r;
    h.privileged = h.privileged || x->config.privileged;
    p->args = strv_dup(x->config.cmd);
    links_environment(c, &env);
    strv_for_each (v, c->rec.config.env)
        strv_add(&env, v);
    p->env = spec_environment(env, c->rec.config.hostname, x->config.tty);
    strv_for_each (assignment, x->config.env)
        env_put(&p->env, assignment);
    if (!str_empty(x->config.working_dir))
        cwd = x->config.working_dir;
    str_set(&p->cwd, str_empty(cwd) ? "/" : cwd);
    p->terminal = x->config.tty;
    if (rows > 0 && cols > 0) {
        p->console_size = xnew(struct oci_box);
        p->console_size->height = (uint64_t)rows;
        p->console_size->width = (uint64_t)cols;
    }
    p->no_new_privileges = so.no_new_privileges == 1 ||
                           (so.no_new_privileges < 0 && x->engine->options.no_new_privileges);
    p->capabilities = xnew(struct oci_capabilities);
    field_init(&oci_capabilities_table, p->capabilities);
    r = spec_capabilities(&h, lcap_held(), p->capabilities, e);
    if (r == 0)
        r = lsm_apparmor_choose(&x->engine->lsm, so.apparmor, h.privileged, &p->apparmor_profile,
                                e);
    str_set(&p->selinux_label, labels_of_process(c));
    if (r == 0)
        r = spec_capability_mask(&h, lcap_held(), &caps, e);
    if (r == 0 && !(h.privileged && !so.seccomp)) {
        const char *profile = so.seccomp ? so.seccomp : x->engine->options.seccomp_profile;

        dir = xasprintf("%s/seccomp", x->engine->options.exec_root);
        if (!str_eq(profile, "unconfined") || c->rec.idmap_base)
            r = seccomp_cache_reference(dir, profile, caps,
                                        c->rec.idmap_base ? SECCOMP_MKNOD_NOTIFY : 0, &seccomp, e);
        if (r == 0)
            q->spec.lin.seccomp = take_ptr(seccomp);
    }
    if (r == 0)
        r = spec_rlimits(&h, &x->engine->options.ulimits, p, e);
    p->oom_score_adj = (struct opt_int){true, h.oom_score_adj};
    security_options_done(&so);
    return r;
}

static int spawn(struct exec *x, struct container *c, struct exec_start_options *o, struct err *e) {
    auto_free char *cgroup = container_cgroup(c);
    struct spawn_joins fds = {-1, -1, -1, c->pidfd};
    struct rt_request q;
    int conn[2], r;

    field_init(&rt_request_table, &q);
    str_set(&q.op, "exec");
    str_set(&q.id, c->rec.id);
    str_set(&q.exec_id, x->id);
    q.state_dir = state_dir(x);
    q.monitor = xasprintf("%s/fence-monitor", x->engine->options.libexec);
    q.pid = c->rec.pid;
    str_set(&q.user, str_empty(x->config.user) ? c->rec.config.user : x->config.user);
    q.extra_groups = strv_dup(c->rec.host.group_add);
    q.user_home = true;
    q.open_stdin = x->config.attach_stdin;
    q.stdin_once = true;
    q.privileged = c->rec.host.privileged || x->config.privileged;
    q.mknod_notify = c->rec.idmap_base != 0;
    str_set(&q.spec.lin.cgroups_path, cgroup);
    if (c->rec.idmap_base) {
        struct spec_facts f = {.idmap_base = (uint32_t)c->rec.idmap_base, .idmap_size = IDMAP_SIZE};
        struct id_shift shift;

        container_id_shift(c, &shift);
        f.extra_ids = shift.high.ids;
        f.extra_id_count = shift.high.count;
        spec_id_map(&f, &q.spec.lin.uid_mappings);
        spec_id_map(&f, &q.spec.lin.gid_mappings);
    }
    if (!str_empty(x->config.working_dir) && *x->config.working_dir != '/')
        r = err_set(e, ERR_INVALID,
                    "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown");
    else
        r = fill_process(x, c, &q, o->rows, o->cols, e);
    if (r == 0 && mkdir(q.state_dir, 0711) < 0)
        r = err_sys(e, errno, "cannot make %s", q.state_dir);
    if (r == 0)
        r = spawner_link_pair(conn, e);
    if (r == 0) {
        x->link = monitor_link_new(x->engine->loop, conn[0], &exec_monitor_events, x);
        /* The client first: this thread may be held up for longer than the process lives. A lost
         * monitor shows on the link. */
        if (o->attach.fd >= 0)
            (void)attach_request_send(x->link, ++x->next_client, &o->attach);
        r = spawner_link_spawn(x->engine->spawner, &q, &fds, conn[1], e);
    }
    if (r < 0) {
        monitor_link_free(x->link);
        x->link = NULL;
        (void)tree_remove_at(AT_FDCWD, q.state_dir); /* the container's end removes what stays */
    }
    field_done(&rt_request_table, &q);
    return r;
}

int exec_check_start(struct exec *x, struct err *e) {
    const struct container *c = map_get(&x->engine->containers, x->container_id);

    if (x->running || (x->started && !x->has_exit))
        return err_set(e, ERR_CONFLICT, "Error: Exec command %s is already running", x->id);
    if (x->has_exit)
        return err_set(e, ERR_CONFLICT, "Error: Exec command %s has already run", x->id);
    if (!c || !c->rec.running)
        return err_set(e, ERR_CONFLICT, "Container %s is not running", x->container_id);
    if (c->rec.paused)
        return err_set(e, ERR_CONFLICT, "Container %s is paused, unpause the container before exec",
                       c->rec.id);
    return 0;
}

void exec_start(struct exec *x, struct exec_start_options *o,
                void (*done)(void *arg, struct err *e), void *arg) {
    struct container *c = map_get(&x->engine->containers, x->container_id);
    auto_err e = ERR_INIT;
    int r = exec_check_start(x, &e);

    if (r == 0) {
        x->started = true;
        x->on_start = done;
        x->on_start_arg = arg;
        r = spawn(x, c, o, &e);
        if (r == 0)
            return;
        x->on_start = NULL;
        x->has_exit = true;
        x->exit_code = 126;
        x->forget_timer = loop_timer_new(x->engine->loop, FORGET_AFTER_MS, 0, forget, x);
    }
    attach_request_drop(&o->attach);
    done(arg, &e);
}

void exec_on_exit(struct exec *x, void (*cb)(void *arg, int64_t code), void *arg) {
    if (x->has_exit) {
        cb(arg, x->exit_code);
        return;
    }
    x->on_exit = cb;
    x->on_exit_arg = arg;
}

int exec_resize(struct exec *x, int rows, int cols, struct err *e) {
    int r;

    if (!x->running || !x->link)
        return err_set(e, ERR_CONFLICT, "Exec %s is not running", x->id);
    r = monitor_link_resize(x->link, rows, cols);
    if (r < 0)
        return err_sys(e, r, "cannot resize the terminal of exec %s", x->id);
    return 0;
}

int exec_kill(struct exec *x, int sig) {
    return x->pidfd >= 0 ? pidfd_signal(x->pidfd, sig) : -ESRCH;
}

void exec_abandon(struct exec *x) {
    x->on_start = NULL;
    x->on_exit = NULL;
    x->abandoned = true;
    if (x->running)
        (void)exec_kill(x, SIGKILL); /* -ESRCH: it has just ended */
}

void exec_drop_all(struct container *c) {
    map_for_each (it, &c->engine->execs) {
        struct exec *x = it->value;
        void (*cb)(void *, int64_t);

        if (!str_eq(x->container_id, c->rec.id))
            continue;
        cb = x->on_exit;
        x->on_exit = NULL;
        if (cb)
            cb(x->on_exit_arg, 137);
        map_del(&c->engine->execs, x->id);
        exec_free(x);
    }
}

char **exec_ids(const struct container *c) {
    char **ids = NULL;

    if (!c->rec.running)
        return NULL; /* what was created and never started is of no use any more */
    map_for_each (it, &c->engine->execs) {
        const struct exec *x = it->value;

        if (str_eq(x->container_id, c->rec.id) && (x->running || !x->has_exit))
            strv_add(&ids, x->id);
    }
    return ids;
}
