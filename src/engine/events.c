/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/events.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "format/json.h"
#include "format/ref.h"

struct events {
    struct store *store;
    struct list subscribers;
    size_t count;
    int64_t last_ns; /* events have strictly rising times, so that `since` never repeats one */
};

struct events_subscriber {
    struct list node;
    struct events *hub;
    struct loop *loop;
    struct filters filters;
    int64_t until_ns;
    struct loop_timer *timer;
    bool replaying, cancelled;
    char **held; /* live events that came while the stored ones were read */
    void (*each)(void *arg, const char *json);
    void (*done)(void *arg);
    void *arg;
};

const char *const events_filter_keys[] = {
    "config", "container", "daemon", "event",  "id",      "image", "label",  "name", "network",
    "node",   "plugin",    "scope",  "secret", "service", "type",  "volume", NULL};

struct events *events_new(struct store *store) {
    struct events *ev = xnew(struct events);

    ev->store = store;
    list_init(&ev->subscribers);
    return ev;
}

static void subscriber_free(struct events_subscriber *s) {
    list_remove(&s->node);
    s->hub->count--;
    filters_done(&s->filters);
    strv_free(s->held);
    if (s->timer)
        loop_timer_free(s->timer);
    free(s);
}

void events_free(struct events *ev) {
    struct events_subscriber *s, *tmp;

    if (!ev)
        return;
    list_for_each_safe (s, tmp, &ev->subscribers, node)
        subscriber_free(s);
    free(ev);
}

size_t events_subscriber_count(const struct events *ev) {
    return ev->count;
}

/* An event as the filters see it. */
struct view {
    const char *type, *action, *id, *name, *image;
    struct strmap *attributes;
};

static bool matches_actor(const struct filters *f, const char *key, const struct view *v) {
    char *const *values = filters_get(f, key);

    if (!values)
        return !filters_has(f, key);
    if (!str_eq(v->type, key))
        return false;
    strv_for_each (want, values)
        if (str_eq(want, v->id) || str_eq(want, v->name) || str_starts(v->id, want))
            return true;
    return false;
}

/* For image=: container events match by the image they came from, with or without its tag. */
static bool matches_image(const struct filters *f, const struct view *v) {
    char *const *values = filters_get(f, "image");

    if (!values)
        return !filters_has(f, "image");
    strv_for_each (want, values) {
        const char *names[] = {str_eq(v->type, "image") ? v->id : NULL,
                               str_eq(v->type, "image") ? v->name : v->image};

        for (size_t i = 0; i < 2; i++) {
            const char *colon;

            if (!names[i])
                continue;
            if (str_eq(want, names[i]))
                return true;
            colon = strrchr(names[i], ':');
            if (colon && !strchr(colon, '/') && strlen(want) == (size_t)(colon - names[i]) &&
                strncmp(want, names[i], strlen(want)) == 0)
                return true;
        }
    }
    return false;
}

static bool matches_action(const struct filters *f, const struct view *v) {
    char *const *values = filters_get(f, "event");

    if (!values)
        return true;
    strv_for_each (want, values) {
        const char *rest = str_after(v->action, want);

        /* "exec_create: sh -c ..." matches exec_create; "health_status" its two kinds. */
        if (rest && (*rest == '\0' || *rest == ':'))
            return true;
    }
    return false;
}

static bool matches(const struct filters *f, const struct view *v) {
    return filters_exact(f, "type", v->type) && matches_action(f, v) &&
           filters_exact(f, "scope", "local") && filters_exact(f, "id", v->id) &&
           filters_labels(f, "label", v->attributes) && matches_actor(f, "container", v) &&
           matches_actor(f, "volume", v) && matches_actor(f, "network", v) &&
           matches_actor(f, "daemon", v) && matches_actor(f, "plugin", v) &&
           matches_actor(f, "service", v) && matches_actor(f, "node", v) &&
           matches_actor(f, "secret", v) && matches_actor(f, "config", v) && matches_image(f, v);
}

static void deliver(struct events_subscriber *s, const char *json) {
    if (s->replaying)
        strv_add(&s->held, json);
    else
        s->each(s->arg, json);
}

void events_publish(struct events *ev, const char *type, const char *action, const char *actor_id,
                    const struct strmap *attributes) {
    struct strmap attrs = {0};
    struct store_txn *t = store_txn_new();
    struct events_subscriber *s, *tmp;
    int64_t now = clock_real_ns();
    auto_buf b = BUF_INIT;
    struct view v;
    struct jw w;

    if (now <= ev->last_ns)
        now = ev->last_ns + 1;
    ev->last_ns = now;
    if (attributes)
        strmap_copy(&attrs, attributes);
    v = (struct view){.type = type, .action = action, .id = actor_id, .attributes = &attrs};
    v.name = strmap_get(&attrs, "name");
    v.image = strmap_get(&attrs, "image");
    jw_init(&w, &b);
    jw_object(&w);
    if (str_eq(type, "container") || str_eq(type, "image")) {
        jw_kstr(&w, "status", action); /* what API versions before 1.22 had */
        jw_kstr(&w, "id", actor_id);
        if (str_eq(type, "container"))
            jw_kstr(&w, "from", v.image);
    }
    jw_kstr(&w, "Type", type);
    jw_kstr(&w, "Action", action);
    jw_key(&w, "Actor");
    jw_object(&w);
    jw_kstr(&w, "ID", actor_id);
    jw_key(&w, "Attributes");
    jw_object(&w);
    strmap_for_each(a, &attrs) jw_kstr(&w, a->key, a->value);
    jw_end_object(&w);
    jw_end_object(&w);
    jw_kstr(&w, "scope", "local");
    jw_kint(&w, "time", now / NS_PER_SEC);
    jw_kint(&w, "timeNano", now);
    jw_end_object(&w);
    store_txn_event(t, now, buf_str(&b));
    store_commit(ev->store, t, NULL, NULL);
    list_for_each_safe (s, tmp, &ev->subscribers, node)
        if (!s->cancelled && (s->until_ns == 0 || now <= s->until_ns) && matches(&s->filters, &v))
            deliver(s, buf_str(&b));
    strmap_done(&attrs);
}

static void read_attributes(struct json_object *o, struct strmap *attrs) {
    struct json_object *a = jsn_get(jsn_get(o, "Actor"), "Attributes");

    if (!a)
        return;
    json_object_object_foreach(a, key, value)
        strmap_put(attrs, key, str_or_empty(json_object_get_string(value)));
}

static void on_stored(void *arg, const char *doc) {
    struct events_subscriber *s = arg;
    struct json_object *parsed = NULL;
    struct strmap attrs = {0};
    struct view v;

    if (s->cancelled || jsn_parse(doc, strlen(doc), &parsed, NULL) < 0)
        return;
    read_attributes(parsed, &attrs);
    v = (struct view){.type = str_or_empty(jsn_str(parsed, "Type")),
                      .action = str_or_empty(jsn_str(parsed, "Action")),
                      .id = str_or_empty(jsn_str(jsn_get(parsed, "Actor"), "ID")),
                      .name = strmap_get(&attrs, "name"),
                      .image = strmap_get(&attrs, "image"),
                      .attributes = &attrs};
    if (matches(&s->filters, &v))
        s->each(s->arg, doc);
    strmap_done(&attrs);
    json_object_put(parsed);
}

static void finish(struct events_subscriber *s) {
    void (*done)(void *) = s->done;
    void *arg = s->arg;

    subscriber_free(s);
    done(arg);
}

static void on_until(void *arg) {
    finish(arg);
}

static void on_stored_end(void *arg) {
    struct events_subscriber *s = arg;
    int64_t now = clock_real_ns();

    /* Still `replaying` here: a callback that cancels must not free s under us. */
    if (!s->cancelled)
        strv_for_each (json, s->held)
            if (!s->cancelled)
                s->each(s->arg, json);
    s->held = strv_free(s->held);
    s->replaying = false;
    if (s->cancelled)
        subscriber_free(s);
    else if (s->until_ns != 0 && s->until_ns <= now)
        finish(s);
    else if (s->until_ns != 0)
        s->timer = loop_timer_new(s->loop, (uint64_t)((s->until_ns - now) / NS_PER_MS + 1), 0,
                                  on_until, s);
}

struct events_subscriber *events_subscribe(struct events *ev, struct loop *l, int64_t since_ns,
                                           int64_t until_ns, struct filters *filters,
                                           void (*each)(void *arg, const char *json),
                                           void (*done)(void *arg), void *arg) {
    struct events_subscriber *s = xnew(struct events_subscriber);
    int64_t stored_until = ev->last_ns;

    s->hub = ev;
    s->loop = l;
    s->filters = *filters;
    *filters = (struct filters){0};
    s->until_ns = until_ns;
    s->each = each;
    s->done = done;
    s->arg = arg;
    s->replaying = true;
    list_append(&ev->subscribers, &s->node);
    ev->count++;
    if (stored_until == 0)
        stored_until = clock_real_ns();
    if (until_ns != 0 && until_ns < stored_until)
        stored_until = until_ns;
    if (since_ns == 0 && until_ns == 0)
        stored_until = since_ns = -1; /* an empty range: the query only keeps the order */
    store_events(ev->store, since_ns, stored_until, on_stored, on_stored_end, s);
    return s;
}

void events_cancel(struct events_subscriber *s) {
    s->cancelled = true;
    if (!s->replaying)
        subscriber_free(s); /* otherwise the end of the query frees it */
}
