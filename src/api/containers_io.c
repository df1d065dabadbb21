/* SPDX-License-Identifier: Apache-2.0 */

/* logs, attach (hijack and WebSocket), resize. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "api/containers.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "engine/container.h"
#include "logs/reader.h"
#include "monitor/protocol.h"

#define RAW_STREAM "application/vnd.docker.raw-stream"
#define MUX_STREAM "application/vnd.docker.multiplexed-stream"

/* Since 1.42 the type tells whether frames come; before, there was one for both. */
const char *call_stream_type(const struct api_call *c, bool tty) {
    return c->version >= 42 && !tty ? MUX_STREAM : RAW_STREAM;
}

/* ---- logs ------------------------------------------------------------------------------------ */
struct logging {
    struct api_call *call;
    struct http_io *io;
    struct log_read_options options;
    struct writer follow_writer;
    struct engine *engine;
    char id[ID_LEN + 1];
    char *path;
    const char *type;
    struct err error;
};

/* A follower sees each batch at once. */
static int write_through(struct writer *w, const void *p, size_t n) {
    struct logging *l = container_of(w, struct logging, follow_writer);
    struct writer *to = http_io_writer(l->io);
    int r = to->write(to, p, n);

    return r < 0 ? r : http_io_flush(l->io);
}

static int logs_work(struct job *j, void *arg) {
    struct logging *l = arg;
    struct writer *to = l->options.follow ? &l->follow_writer : http_io_writer(l->io);
    int r;

    (void)j;
    r = http_io_begin(l->io, 200, l->type, router_headers_of(l->call));
    if (r == 0)
        r = http_io_flush(l->io); /* a follower sees its headers before the first line */
    if (r == 0)
        r = log_read(l->path, &l->options, to, &l->error);
    return r;
}

static void logs_done(void *arg, int r) {
    struct logging *l = arg;

    if (r < 0 && l->error.class == ERR_NONE)
        (void)err_sys(&l->error, r, "cannot send the log"); /* sets */
    container_ended_forget(l->engine, l->id, l->options.ended_fd);
    call_worker_end(l->call, l->io, 200, &l->error);
    err_done(&l->error);
    free(l->path);
    free(l);
}

static int time_query(struct api_call *c, const char *name, int64_t *ret, struct err *e) {
    const char *s = call_query(c, name);

    *ret = 0;
    if (str_empty(s) || str_eq(s, "0"))
        return 0;
    if (time_parse_filter(s, clock_real_ns(), ret) < 0)
        return err_set(e, ERR_INVALID,
                       "invalid value for \"%s\": failed to parse value as time or "
                       "duration: \"%s\"",
                       name, s);
    return 0;
}

static int log_options(struct api_call *c, struct container *x, struct log_read_options *o,
                       struct err *e) {
    const char *tail = call_query(c, "tail");
    int r;

    o->want_stdout = call_query_bool(c, "stdout", false);
    o->want_stderr = call_query_bool(c, "stderr", false);
    if (!o->want_stdout && !o->want_stderr)
        return err_set(e, ERR_INVALID, "Bad parameters: you must choose at least one stream");
    if (str_eq(x->rec.host.log_config.type, "none"))
        return err_set(e, ERR_NOT_IMPLEMENTED,
                       "configured logging driver does not support reading");
    r = time_query(c, "since", &o->since_ns, e);
    if (r == 0)
        r = time_query(c, "until", &o->until_ns, e);
    if (r < 0)
        return r;
    o->tail = -1;
    /* As dockerd: what is no number means all. */
    if (!str_empty(tail) && str_to_i64(tail, &o->tail) < 0)
        o->tail = -1;
    o->timestamps = call_query_bool(c, "timestamps", false);
    o->details = call_query_bool(c, "details", false);
    o->follow = call_query_bool(c, "follow", false);
    o->mux = !x->rec.config.tty;
    return 0;
}

void containers_logs(struct api_call *c) {
    struct container *x = call_container(c);
    struct logging *l;
    auto_err e = ERR_INIT;

    if (!x)
        return;
    l = xnew(struct logging);
    l->call = c;
    l->engine = c->engine;
    memcpy(l->id, x->rec.id, sizeof l->id);
    l->options.ended_fd = l->options.cancel_fd = -1;
    if (log_options(c, x, &l->options, &e) < 0) {
        call_error(c, &e);
        free(l);
        return;
    }
    if (l->options.follow) {
        int fd = container_ended_fd(x);

        if (fd < 0) {
            (void)err_sys(&e, fd, "cannot follow the log"); /* sets */
            call_error(c, &e);
            free(l);
            return;
        }
        l->options.ended_fd = fd;
    }
    l->io = call_worker(c);
    if (!l->io) {
        container_ended_forget(l->engine, l->id, l->options.ended_fd);
        free(l);
        return;
    }
    l->options.cancel_fd = http_io_fd(l->io);
    l->path = container_log_path(x);
    l->type = call_stream_type(c, x->rec.config.tty);
    l->follow_writer.write = write_through;
    job_start(l->engine->loop, l->options.follow ? JOB_FOLLOW : JOB_STREAM, logs_work, logs_done,
              l);
}

/* ---- attach ---------------------------------------------------------------------------------- */
/* Reads the log onto the connection first (logs=1), then attaches. */
struct replay {
    struct engine *engine;
    char id[ID_LEN + 1];
    char *path;
    struct log_read_options options;
    struct attach_request attach;
    bool stream;
};

static int replay_work(struct job *j, void *arg) {
    struct replay *p = arg;
    struct fd_writer w;

    (void)j;
    fd_writer_init(&w, p->attach.fd);
    return log_read(p->path, &p->options, &w.base, NULL);
}

static void replay_done(void *arg, int r) {
    struct replay *p = arg;
    struct container *x = map_get(&p->engine->containers, p->id);

    if (r == 0 && x && p->stream)
        container_attach(x, &p->attach);
    else
        attach_request_drop(&p->attach);
    free(p->path);
    free(p);
}

static void begin(struct engine *eng, struct container *x, struct attach_request *a, bool logs,
                  bool stream) {
    struct replay *p;

    if (!logs) {
        if (stream)
            container_attach(x, a);
        else
            attach_request_drop(a);
        return;
    }
    p = xnew(struct replay);
    p->engine = eng;
    memcpy(p->id, x->rec.id, sizeof p->id);
    p->path = container_log_path(x);
    p->attach = *a;
    p->stream = stream;
    p->options = (struct log_read_options){.want_stdout = a->flags & MON_ATTACH_STDOUT,
                                           .want_stderr = a->flags & MON_ATTACH_STDERR,
                                           .tail = -1,
                                           .mux = !x->rec.config.tty,
                                           .ended_fd = -1,
                                           .cancel_fd = -1};
    job_start(eng->loop, JOB_STREAM, replay_work, replay_done, p);
}

static int attach_options(struct api_call *c, struct container *x, struct attach_request *a,
                          struct err *e) {
    if (x->rec.paused)
        return err_set(e, ERR_CONFLICT,
                       "Container %s is paused, unpause the container before attach", x->rec.id);
    if (x->rec.restarting)
        return err_set(e, ERR_CONFLICT,
                       "Container %s is restarting, wait until the container is running",
                       x->rec.id);
    if (call_query_bool(c, "stdin", false) && x->rec.config.open_stdin)
        a->flags |= MON_ATTACH_STDIN;
    if (call_query_bool(c, "stdout", false))
        a->flags |= MON_ATTACH_STDOUT;
    if (call_query_bool(c, "stderr", false))
        a->flags |= MON_ATTACH_STDERR;
    if (detach_keys_parse(call_query(c, "detachKeys"), a->keys, &a->keys_len, e) < 0) {
        /* exec has other words for it */
        return err_set(e, ERR_INVALID, "Invalid detach keys (%s) provided",
                       call_query(c, "detachKeys"));
    }
    return 0;
}

void containers_attach(struct api_call *c) {
    struct container *x = call_container(c);
    struct attach_request a = {.fd = -1};
    bool logs = call_query_bool(c, "logs", false), stream = call_query_bool(c, "stream", false);
    struct engine *eng = c->engine;
    auto_err e = ERR_INIT;

    if (!x)
        return;
    if (attach_options(c, x, &a, &e) < 0) {
        call_error(c, &e);
        return;
    }
    if (!x->rec.config.tty)
        a.flags |= MON_ATTACH_MUX;
    a.fd = call_hijack(c, call_stream_type(c, x->rec.config.tty), &a.early);
    if (a.fd < 0)
        return;
    begin(eng, x, &a, logs, stream);
}

void containers_attach_ws(struct api_call *c) {
    struct container *x = call_container(c);
    struct attach_request a = {.fd = -1};
    bool logs = call_query_bool(c, "logs", false), stream = call_query_bool(c, "stream", false);
    struct engine *eng = c->engine;
    auto_err e = ERR_INIT;

    if (!x)
        return;
    if (attach_options(c, x, &a, &e) < 0) {
        call_error(c, &e);
        return;
    }
    /* WebSockets carry the plain bytes: messages are the framing. Docker sends text frames before
     * 1.28 and binary ones since. */
    a.fd = call_websocket(c, c->version >= 28);
    if (a.fd < 0)
        return;
    begin(eng, x, &a, logs, stream);
}

void containers_resize(struct api_call *c) {
    struct container *x;
    int64_t rows, cols;
    auto_err e = ERR_INIT;

    if (call_size_query(c, &rows, &cols, &e) < 0) {
        call_error(c, &e);
        return;
    }
    x = call_container(c);
    if (!x)
        return;
    if (container_resize(x, (int)rows, (int)cols, &e) < 0) {
        call_error(c, &e);
        return;
    }
    {
        auto_free char *h = xasprintf("%d", (int)rows), *w = xasprintf("%d", (int)cols);

        container_event(x, "resize", "height", h, "width", w, NULL);
    }
    call_empty(c, 200);
}

int call_size_query(struct api_call *c, int64_t *ret_rows, int64_t *ret_cols, struct err *e) {
    int64_t rows, cols;
    const char *names[] = {"h", "w"};

    for (int i = 0; i < 2; i++)
        if (str_empty(call_query(c, names[i])))
            return err_set(e, ERR_INVALID, "strconv.Atoi: parsing \"\": invalid syntax");
    if (call_query_int(c, "h", 0, &rows, e) < 0 || call_query_int(c, "w", 0, &cols, e) < 0)
        return -EINVAL;
    if (rows < 0 || rows > USHRT_MAX || cols < 0 || cols > USHRT_MAX)
        return err_set(e, ERR_INVALID, "invalid terminal size %lldx%lld", (long long)cols,
                       (long long)rows);
    *ret_rows = rows;
    *ret_cols = cols;
    return 0;
}
