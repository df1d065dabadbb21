/* SPDX-License-Identifier: Apache-2.0 */

/* load, save, import: archives streamed through a worker. */
#include <string.h>

#include "api/images.h"
#include "api/images_changes.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "format/ref.h"
#include "format/units.h"
#include "image/archive.h"

/* ---- load and import ------------------------------------------------------------------------- */
/*
 * Three steps: a worker reads the archive (and tells its progress), the loop registers the images,
 * a worker writes the lines that say so. The connection stays with the worker all along.
 */
struct loading {
    struct api_call *call;
    struct engine *engine;
    struct http_io *io;
    struct image_bundle bundle;
    struct buf lines;
    bool quiet, import;
    struct err error;
    /* import */
    char *tag, *message, *source, *config, *platform;
    int64_t last_progress_ns;
};

static void loading_free(struct loading *l) {
    image_bundle_done(&l->bundle);
    buf_done(&l->lines);
    err_done(&l->error);
    free(l->tag);
    free(l->message);
    free(l->source);
    free(l->config);
    free(l->platform);
    free(l);
}

static int begin(struct loading *l) {
    return http_io_begun(l->io)
               ? 0
               : http_io_begin(l->io, 200, "application/json", router_headers_of(l->call));
}

static int send_lines(struct loading *l) {
    struct writer *w = http_io_writer(l->io);
    int r = begin(l);

    if (r == 0)
        r = w->write(w, l->lines.data, l->lines.len);
    if (r == 0)
        r = http_io_flush(l->io);
    buf_clear(&l->lines);
    return r;
}

static void on_progress(void *arg, const char *layer, const char *action, uint64_t current,
                        uint64_t total) {
    struct loading *l = arg;
    char done[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
    int64_t now = clock_mono_ns();
    struct jw w;

    if (l->quiet || (now - l->last_progress_ns < 100 * NS_PER_MS && current < total))
        return;
    if (!http_io_ready(l->io))
        return;
    l->last_progress_ns = now;
    jw_init(&w, &l->lines);
    jw_object(&w);
    jw_kstr(&w, "status", action);
    jw_key(&w, "progressDetail");
    jw_object(&w);
    jw_kuint(&w, "current", current);
    if (total)
        jw_kuint(&w, "total", total);
    jw_end_object(&w);
    if (total) {
        unsigned bar = (unsigned)(current >= total ? 50 : current * 50 / total);
        auto_buf text = BUF_INIT;

        buf_putc(&text, '[');
        for (unsigned i = 0; i < 50; i++)
            buf_putc(&text, i < bar ? '=' : i == bar ? '>' : ' ');
        buf_printf(&text, "] %8s/%s", units_human_size(current, done),
                   units_human_size(total, all));
        jw_kstr(&w, "progress", buf_str(&text));
    }
    jw_kstr(&w, "id", layer);
    jw_end_object(&w);
    buf_puts(&l->lines, "\r\n");
    (void)send_lines(l); /* a client that has gone does not stop a load */
}

static int read_archive(struct job *j, void *arg) {
    struct loading *l = arg;
    struct archive_options o = {.progress = on_progress, .arg = l, .platform = l->platform};
    struct archive_import i = {.message = l->message,
                               .source = l->source,
                               .config = l->config,
                               .tag = l->tag,
                               .platform = l->platform};

    (void)j;
    if (l->import)
        return archive_import(l->engine->layers, http_io_body(l->io), &i, &o, &l->bundle,
                              &l->error);
    return archive_load(l->engine->layers, http_io_body(l->io), &o, &l->bundle, &l->error);
}

static void line(struct loading *l, const char *key, const char *text) {
    struct jw w;

    jw_init(&w, &l->lines);
    jw_object(&w);
    jw_kstr(&w, key, text);
    jw_end_object(&w);
    buf_puts(&l->lines, "\r\n");
}

static void error_line(struct loading *l) {
    struct jw w;

    jw_init(&w, &l->lines);
    jw_object(&w);
    jw_key(&w, "errorDetail");
    jw_object(&w);
    jw_kstr(&w, "message", err_msg(&l->error));
    jw_end_object(&w);
    jw_kstr(&w, "error", err_msg(&l->error));
    jw_end_object(&w);
    buf_puts(&l->lines, "\r\n");
    err_done(&l->error);
}

static int write_end(struct job *j, void *arg) {
    (void)j;
    return send_lines(arg);
}

static void all_written(void *arg, int r) {
    struct loading *l = arg;
    struct engine *eng = l->engine;

    (void)r; /* the images are there, whether the client heard of it or not */
    call_worker_end(l->call, l->io, 200, &l->error);
    engine_sync_layers(eng);
    loading_free(l);
    engine_empty_trash(eng); /* layers that were not used, or not finished */
}

static void register_one(struct loading *l, size_t item) {
    auto_strv tags = strv_dup(l->bundle.items[item].tags);
    auto_free char *text = NULL;
    auto_err e = ERR_INIT;
    struct image *i;

    if (image_register(l->engine->images, &l->bundle, item, &i, NULL, &e) < 0) {
        err_move(&l->error, &e);
        return;
    }
    images_event(l->engine, i, i->id, i->id, l->import ? "import" : "load");
    if (l->import) {
        line(l, "status", i->id);
        return;
    }
    strv_for_each (tag, tags) {
        auto_free char *familiar = images_familiar(tag);
        auto_free char *s = xasprintf("Loaded image: %s\n", familiar);

        images_event(l->engine, i, i->id, familiar, "tag");
        line(l, "stream", s);
    }
    if (strv_len(tags) == 0) {
        text = xasprintf("Loaded image ID: %s\n", i->id);
        line(l, "stream", text);
    }
}

/* The images are in the database, or cannot be. */
static void registered(void *arg, int r) {
    struct loading *l = arg;

    if (r < 0 && l->error.class == ERR_NONE) {
        (void)err_sys(&l->error, r, "cannot save the images to the state database"); /* sets */
        error_line(l);
    }
    job_start(l->engine->loop, JOB_IMAGE, write_end, all_written, l);
}

static void archive_read(void *arg, int r) {
    struct loading *l = arg;

    if (r < 0 && l->error.class == ERR_NONE)
        (void)err_sys(&l->error, r, "cannot read the archive"); /* sets */
    for (size_t i = 0; r == 0 && i < l->bundle.count && l->error.class == ERR_NONE; i++)
        register_one(l, i);
    if (l->error.class != ERR_NONE) {
        if (!http_io_begun(l->io) && l->lines.len == 0) {
            all_written(l, 0);
            return;
        }
        error_line(l);
    }
    store_barrier(l->engine->store, registered, l);
}

static void start(struct loading *l) {
    l->engine = l->call->engine;
    l->lines.max = 1 << 20;
    l->io = call_worker(l->call);
    if (!l->io) {
        loading_free(l);
        return;
    }
    job_start(l->engine->loop, JOB_IMAGE, read_archive, archive_read, l);
}

void images_load(struct api_call *c) {
    struct loading *l = xnew(struct loading);

    l->call = c;
    l->quiet = call_query_bool(c, "quiet", false);
    l->platform = xstrdup_null(call_query(c, "platform"));
    start(l);
}

/* POST /images/create with fromSrc: import. The tag: repo and tag of the query. */
static int import_tag(struct api_call *c, char **ret, struct err *e) {
    const char *repo = call_query(c, "repo"), *tag = call_query(c, "tag");
    auto_free char *name = NULL;
    struct image_ref ref = {0};
    int r;

    *ret = NULL;
    if (str_empty(repo))
        return 0;
    name = str_empty(tag) ? xstrdup(repo) : xasprintf("%s:%s", repo, tag);
    r = image_ref_parse(name, &ref, e);
    if (r < 0)
        return r;
    if (ref.digest) {
        image_ref_done(&ref);
        return err_set(e, ERR_INVALID, "cannot import digest reference");
    }
    image_ref_default_tag(&ref);
    *ret = image_ref_canonical(&ref);
    image_ref_done(&ref);
    return 0;
}

void images_create(struct api_call *c) {
    const char *source = call_query(c, "fromSrc"), *image = call_query(c, "fromImage");
    auto_strv changes = NULL;
    auto_err e = ERR_INIT;
    struct loading *l;
    const char *name, *value;

    if (!str_empty(image)) {
        call_errorf(c, ERR_NOT_IMPLEMENTED,
                    "pulling %s: images cannot be pulled from registries yet; load one from an "
                    "archive with docker load",
                    image);
        return;
    }
    if (str_empty(source)) {
        call_errorf(c, ERR_INVALID, "either fromImage or fromSrc must be given");
        return;
    }
    if (!str_eq(source, "-")) {
        call_errorf(c, ERR_NOT_IMPLEMENTED, "importing from a URL (%s) is not implemented yet",
                    source);
        return;
    }
    for (size_t i = 0; http_req_query_at(c->req, i, &name, &value); i++)
        if (str_eq(name, "changes"))
            strv_add(&changes, value);
    l = xnew(struct loading);
    l->call = c;
    l->import = l->quiet = true;
    l->source = xstrdup(source);
    l->message = xstrdup_null(call_query(c, "message"));
    l->platform = xstrdup_null(call_query(c, "platform"));
    if (import_tag(c, &l->tag, &e) < 0 || images_apply_changes(changes, &l->config, &e) < 0) {
        call_error(c, &e);
        loading_free(l);
        return;
    }
    start(l);
}

/* ---- save ------------------------------------------------------------------------------------ */
struct saving {
    struct api_call *call;
    struct engine *engine;
    struct http_io *io;
    struct image_bundle bundle;
    struct err error;
};

static int write_archive(struct job *j, void *arg) {
    struct saving *s = arg;
    int r;

    (void)j;
    r = http_io_begin(s->io, 200, "application/x-tar", router_headers_of(s->call));
    if (r == 0)
        r = archive_save(s->engine->layers, &s->bundle, http_io_writer(s->io), NULL, &s->error);
    return r;
}

static void saved(void *arg, int r) {
    struct saving *s = arg;

    if (r < 0 && s->error.class == ERR_NONE)
        (void)err_sys(&s->error, r, "cannot send the archive"); /* sets */
    call_worker_end(s->call, s->io, 200, &s->error);
    image_bundle_done(&s->bundle);
    err_done(&s->error);
    free(s);
}

static void save(struct api_call *c, char *const *names) {
    struct saving *s = xnew(struct saving);
    auto_err e = ERR_INIT;

    s->call = c;
    s->engine = c->engine;
    if (image_snapshot(c->engine->images, names, &s->bundle, &e) < 0) {
        call_error(c, &e);
        free(s);
        return;
    }
    for (size_t i = 0; i < s->bundle.count; i++)
        images_event(c->engine, NULL, s->bundle.items[i].id, s->bundle.items[i].id, "save");
    s->io = call_worker(c);
    if (!s->io) {
        image_bundle_done(&s->bundle);
        free(s);
        return;
    }
    job_start(s->engine->loop, JOB_IMAGE, write_archive, saved, s);
}

void images_save_one(struct api_call *c) {
    char *names[] = {(char *)call_param(c, 0), NULL};

    save(c, names);
}

void images_save(struct api_call *c) {
    auto_strv names = NULL;
    const char *name, *value;

    for (size_t i = 0; http_req_query_at(c->req, i, &name, &value); i++)
        if (str_eq(name, "names"))
            strv_add(&names, value);
    if (strv_len(names) == 0)
        call_errorf(c, ERR_INVALID, "no image names were given");
    else
        save(c, names);
}
