/* SPDX-License-Identifier: Apache-2.0 */

/* POST /commit: pause, copy the upper directory into a layer, register the image. */
#include <string.h>

#include "api/containers.h"
#include "api/images.h"
#include "api/images_changes.h"
#include "base/alloc.h"
#include "engine/config.h"
#include "engine/container.h"
#include "format/ref.h"
#include "image/commit.h"

struct committing {
    struct api_call *call;
    struct engine *engine;
    char id[ID_LEN + 1];
    bool paused; /* by us */
    char *upper, *parent, *parent_config, *config, *container_config, *author, *comment,
        *created_by, *tag;
    struct image_bundle bundle;
    struct err error;
};

static void committing_free(struct committing *m) {
    char **strings[] = {&m->upper,   &m->parent,           &m->parent_config,
                        &m->config,  &m->container_config, &m->author,
                        &m->comment, &m->created_by,       &m->tag};

    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        free(*strings[i]);
    image_bundle_done(&m->bundle);
    err_done(&m->error);
    free(m);
}

static int work(struct job *j, void *arg) {
    struct committing *m = arg;
    struct image_commit c = {.upper = m->upper,
                             .parent = m->parent,
                             .parent_config = m->parent_config,
                             .config = m->config,
                             .container = m->id,
                             .container_config = m->container_config,
                             .author = m->author,
                             .comment = m->comment,
                             .created_by = m->created_by,
                             .tag = m->tag};

    (void)j;
    return image_commit(m->engine->layers, &c, &m->bundle, &m->error);
}

static void done(void *arg, int r) {
    struct committing *m = arg;
    struct container *x = map_get(&m->engine->containers, m->id);
    auto_free char *familiar = NULL;
    struct image *i = NULL;
    auto_buf b = BUF_INIT;
    struct jw w;

    if (m->paused && x) {
        x->rec.held = false;
        (void)container_unpause(x, NULL); /* it has ended or was thawed meanwhile */
    }
    if (r < 0 && m->error.class == ERR_NONE)
        (void)err_sys(&m->error, r, "cannot commit container %s", m->id); /* sets */
    if (r == 0)
        (void)image_register(m->engine->images, &m->bundle, 0, &i, NULL, &m->error); /* i tells */
    if (!i) {
        struct engine *eng = m->engine;

        call_error(m->call, &m->error);
        committing_free(m);
        engine_empty_trash(eng); /* the layer that was begun */
        return;
    }
    if (m->tag) {
        familiar = images_familiar(m->tag);
        images_event(m->engine, i, i->id, familiar, "tag");
    }
    if (x)
        container_event(x, "commit", "comment", str_or_empty(m->comment), "imageID", i->id,
                        "imageRef", str_or_empty(familiar), NULL);
    engine_sync_layers(m->engine);
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "Id", i->id);
    jw_end_object(&w);
    call_json(m->call, 201, &b);
    committing_free(m);
}

static int commit_tag(struct api_call *c, char **ret, struct err *e) {
    const char *repo = call_query(c, "repo"), *tag = call_query(c, "tag");
    auto_free char *name = NULL;
    struct image_ref ref = {0};
    int r;

    if (str_empty(repo))
        return 0;
    name = str_empty(tag) ? xstrdup(repo) : xasprintf("%s:%s", repo, tag);
    r = image_ref_parse(name, &ref, e);
    if (r < 0)
        return r;
    image_ref_default_tag(&ref);
    *ret = image_ref_canonical(&ref);
    image_ref_done(&ref);
    return 0;
}

/* The new image's configuration: the body's if it has one, completed by the container's; then the
 * changes. */
static int make_config(struct api_call *c, struct container *x, char **ret, struct err *e) {
    struct json_object *body = NULL;
    struct container_config config;
    auto_strv changes = NULL;
    const char *name, *value;
    int r;

    for (size_t i = 0; http_req_query_at(c->req, i, &name, &value); i++)
        if (str_eq(name, "changes")) {
            auto_strv lines = str_split(value, '\n');

            strv_for_each (line, lines)
                strv_add(&changes, line);
        }
    r = call_json_body(c, true, &body, e);
    if (r < 0)
        return r;
    field_init(&container_config_table, &config);
    if (body)
        r = field_parse(&container_config_table, body, &config, "", e);
    else
        config.env = strv_dup(x->rec.config.env); /* the changes come after it */
    if (r == 0)
        r = config_apply_changes(changes, &config, e);
    if (r == 0) {
        container_config_merge(&config, &x->rec.config);
        *ret = field_to_text(&image_exec_config_table, &config);
    }
    field_done(&container_config_table, &config);
    json_object_put(body);
    return r;
}

static bool hold(struct container *x) {
    x->rec.held = true;
    if (container_pause(x, NULL) == 0)
        return true;
    x->rec.held = false; /* it has ended: nothing to hold still */
    return false;
}

void containers_commit(struct api_call *c) {
    auto_err e = ERR_INIT;
    struct container *x = container_find(c->engine, call_query(c, "container"), &e);
    struct committing *m;
    struct image *parent;
    auto_free char *dir = NULL;

    if (!x) {
        call_error(c, &e);
        return;
    }
    if (x->removing || x->rec.dead) {
        call_errorf(c, ERR_CONFLICT, "You cannot commit container %s which is being removed",
                    x->rec.id);
        return;
    }
    m = xnew(struct committing);
    m->call = c;
    m->engine = c->engine;
    if (commit_tag(c, &m->tag, &e) < 0 || make_config(c, x, &m->config, &e) < 0) {
        call_error(c, &e);
        committing_free(m);
        return;
    }
    memcpy(m->id, x->rec.id, sizeof m->id);
    dir = container_dir(x);
    m->upper = xasprintf("%s/diff", dir);
    parent = image_get(c->engine->images, x->rec.image_id);
    m->parent = xstrdup_null(parent ? parent->id : NULL);
    m->parent_config = xstrdup_null(parent ? parent->config_text : NULL);
    m->container_config = field_to_text(&container_config_table, &x->rec.config);
    m->author = xstrdup_null(call_query(c, "author"));
    m->comment = xstrdup_null(call_query(c, "comment"));
    {
        auto_strv command = NULL;

        strv_add(&command, x->rec.path);
        strv_for_each (arg, x->rec.args)
            strv_add(&command, arg);
        m->created_by = strv_join(command, " ");
    }
    if (call_query_bool(c, "pause", true) && x->rec.running && !x->rec.paused)
        m->paused = hold(x);
    job_start(c->engine->loop, JOB_IMAGE, work, done, m);
}
