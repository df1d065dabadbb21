/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/events.h"
#include "format/json.h"

struct fixture {
    char dir[64];
    struct loop *loop;
    struct store *store;
    struct events *events;
};

/* What a subscriber got. */
struct listener {
    struct fixture *f;
    struct events_subscriber *subscriber;
    char **lines;
    bool ended, cancel_at_first;
    size_t stop_after; /* the loop ends when so many have come; 0: at the end */
};

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    auto_free char *path = NULL;
    auto_err e = ERR_INIT;

    snprintf(f->dir, sizeof f->dir, "/tmp/fence-events-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    path = xasprintf("%s/db", f->dir);
    f->loop = loop_new();
    if (store_open(f->loop, path, &f->store, &e) < 0)
        return -1;
    f->events = events_new(f->store);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    auto_free char *command = xasprintf("rm -rf '%s'", f->dir);
    int r;

    store_close(f->store);
    events_free(f->events);
    loop_free(f->loop);
    r = system(command);
    free(f);
    return r;
}

static void each(void *arg, const char *json) {
    struct listener *l = arg;

    strv_add(&l->lines, json);
    if (l->cancel_at_first) {
        events_cancel(l->subscriber);
        loop_stop(l->f->loop);
    } else if (l->stop_after && strv_len(l->lines) == l->stop_after) {
        loop_stop(l->f->loop);
    }
}

static void done(void *arg) {
    struct listener *l = arg;

    l->ended = true;
    loop_stop(l->f->loop);
}

static void on_timeout(void *arg) {
    loop_stop(arg);
}

/* Until a listener stops it; no test takes ten seconds. */
static void run(struct fixture *f, uint64_t max_ms) {
    struct loop_timer *t = loop_timer_new(f->loop, max_ms, 0, on_timeout, f->loop);

    assert_int_equal(loop_run(f->loop), 0);
    loop_timer_free(t);
}

static void subscribe(struct fixture *f, struct listener *l, int64_t since, int64_t until,
                      const char *filters) {
    auto_filters parsed = {0};
    auto_err e = ERR_INIT;

    l->f = f;
    assert_int_equal(filters_parse(filters, events_filter_keys, &parsed, &e), 0);
    l->subscriber = events_subscribe(f->events, f->loop, since, until, &parsed, each, done, l);
    assert_int_equal(parsed.count, 0); /* moved */
}

static void publish(struct fixture *f, const char *type, const char *action, const char *id,
                    const char *name) {
    struct strmap attrs = {0};

    strmap_put(&attrs, "name", name);
    if (str_eq(type, "container")) {
        strmap_put(&attrs, "image", "busybox:1.35");
        strmap_put(&attrs, "tier", "web");
    }
    events_publish(f->events, type, action, id, &attrs);
    strmap_done(&attrs);
}

static void publish_all(struct fixture *f) {
    publish(f, "container", "create", "c1", "box");
    publish(f, "container", "start", "c1", "box");
    publish(f, "volume", "create", "vol", "vol");
    publish(f, "image", "tag", "sha256:aa", "busybox:1.35");
    publish(f, "container", "exec_create: sh -c true", "c2", "other");
    publish(f, "container", "health_status: healthy", "c2", "other");
}

/* How many of the events above a filter lets through, live and from the store. */
static void check_filter(struct fixture *f, const char *filter, size_t want) {
    struct listener stored = {0}, live = {0};
    int64_t since = clock_real_ns();

    subscribe(f, &live, since, since + 3600 * NS_PER_SEC, filter);
    run(f, 50); /* the query is over */
    publish_all(f);
    subscribe(f, &stored, since, clock_real_ns(), filter);
    run(f, 5000);
    assert_true(stored.ended);
    if (strv_len(stored.lines) != want || strv_len(live.lines) != want)
        fail_msg("%s: %zu stored, %zu live, expected %zu", filter, strv_len(stored.lines),
                 strv_len(live.lines), want);
    assert_true(strv_eq(stored.lines, live.lines));
    events_cancel(live.subscriber);
    assert_int_equal(events_subscriber_count(f->events), 0);
    strv_free(stored.lines);
    strv_free(live.lines);
}

static void test_filters(void **state) {
    struct fixture *f = *state;

    check_filter(f, "", 6);
    check_filter(f, "{\"type\": [\"volume\"]}", 1);
    check_filter(f, "{\"type\": [\"volume\", \"image\"]}", 2);
    check_filter(f, "{\"event\": [\"create\"]}", 2);
    check_filter(f, "{\"event\": [\"exec_create\"]}", 1);
    check_filter(f, "{\"event\": [\"health_status\"]}", 1);
    check_filter(f, "{\"event\": [\"health_status: healthy\"]}", 1);
    check_filter(f, "{\"event\": [\"exec\"]}", 0);
    check_filter(f, "{\"container\": [\"box\"]}", 2);
    check_filter(f, "{\"container\": [\"c2\"]}", 2);
    check_filter(f, "{\"container\": [\"c\"]}", 4);
    check_filter(f, "{\"volume\": [\"vol\"]}", 1);
    check_filter(f, "{\"image\": [\"busybox\"]}", 5);
    check_filter(f, "{\"image\": [\"busybox:1.35\"]}", 5);
    check_filter(f, "{\"image\": [\"busy\"]}", 0);
    check_filter(f, "{\"label\": [\"tier=web\"]}", 4);
    check_filter(f, "{\"label\": [\"tier=web\"], \"event\": [\"start\"]}", 1);
    check_filter(f, "{\"scope\": [\"swarm\"]}", 0);
}

static void test_form(void **state) {
    struct fixture *f = *state;
    struct listener l = {.stop_after = 2};
    struct json_object *o = NULL;

    subscribe(f, &l, 0, 0, NULL);
    run(f, 50);
    publish(f, "container", "start", "c1", "bo\"x");
    publish(f, "volume", "create", "vol", "vol");
    for (int i = 0; strv_len(l.lines) < 2 && i < 200; i++)
        run(f, 50); /* the database's thread may be late */
    assert_int_equal(strv_len(l.lines), 2);
    assert_int_equal(jsn_parse(l.lines[0], strlen(l.lines[0]), &o, NULL), 0);
    assert_string_equal(jsn_str(o, "status"), "start");
    assert_string_equal(jsn_str(o, "id"), "c1");
    assert_string_equal(jsn_str(o, "from"), "busybox:1.35");
    assert_string_equal(jsn_str(o, "Type"), "container");
    assert_string_equal(jsn_str(o, "Action"), "start");
    assert_string_equal(jsn_str(o, "scope"), "local");
    assert_string_equal(jsn_str(jsn_get(o, "Actor"), "ID"), "c1");
    assert_string_equal(jsn_str(jsn_get(jsn_get(o, "Actor"), "Attributes"), "name"), "bo\"x");
    assert_int_equal(jsn_int(o, "time", 0), jsn_int(o, "timeNano", 0) / NS_PER_SEC);
    json_object_put(o);
    /* The fields of old are for containers and images alone. */
    assert_null(strstr(l.lines[1], "\"status\""));
    assert_null(strstr(l.lines[1], "\"from\""));
    events_cancel(l.subscriber);
    strv_free(l.lines);
}

static int64_t time_of(const char *line) {
    struct json_object *o = NULL;
    int64_t t;

    assert_int_equal(jsn_parse(line, strlen(line), &o, NULL), 0);
    t = jsn_int(o, "timeNano", 0);
    json_object_put(o);
    return t;
}

/* Nothing twice, nothing lost, in order, where stored and live events meet. */
static void test_no_seam(void **state) {
    struct fixture *f = *state;
    struct listener l = {.stop_after = 150};

    for (int i = 0; i < 100; i++)
        publish(f, "volume", "create", "old", "old");
    subscribe(f, &l, 1, 0, NULL);
    for (int i = 0; i < 50; i++) /* while the stored ones are being read */
        publish(f, "volume", "create", "new", "new");
    assert_int_equal(strv_len(l.lines), 0);
    run(f, 5000);
    assert_int_equal(strv_len(l.lines), 150);
    for (size_t i = 1; i < 150; i++)
        assert_true(time_of(l.lines[i]) > time_of(l.lines[i - 1]));
    assert_non_null(strstr(l.lines[99], "old"));
    assert_non_null(strstr(l.lines[100], "new"));
    publish(f, "volume", "create", "newest", "newest");
    assert_int_equal(strv_len(l.lines), 151);
    events_cancel(l.subscriber);
    strv_free(l.lines);
}

static void test_until_ends_it(void **state) {
    struct fixture *f = *state;
    struct listener past = {0}, soon = {0};
    int64_t begin = clock_real_ns(), middle;

    publish(f, "volume", "create", "a", "a");
    middle = clock_real_ns();
    publish(f, "volume", "create", "b", "b");
    subscribe(f, &past, begin, middle, NULL);
    run(f, 5000);
    assert_true(past.ended);
    assert_int_equal(strv_len(past.lines), 1);
    subscribe(f, &soon, clock_real_ns(), clock_real_ns() + 100 * NS_PER_MS, NULL);
    run(f, 5000);
    assert_true(soon.ended);
    assert_true(clock_real_ns() - middle >= 100 * NS_PER_MS);
    assert_int_equal(strv_len(soon.lines), 0);
    assert_int_equal(events_subscriber_count(f->events), 0);
    strv_free(past.lines);
}

static void test_cancel_inside_a_callback(void **state) {
    struct fixture *f = *state;
    struct listener replay = {.cancel_at_first = true}, live = {.cancel_at_first = true};

    publish(f, "volume", "create", "a", "a");
    publish(f, "volume", "create", "b", "b");
    subscribe(f, &replay, 1, 0, NULL);
    run(f, 5000);
    run(f, 50); /* the end of the query */
    assert_int_equal(strv_len(replay.lines), 1);
    subscribe(f, &live, 0, 0, NULL);
    run(f, 50);
    publish(f, "volume", "create", "c", "c");
    publish(f, "volume", "create", "d", "d");
    assert_int_equal(strv_len(live.lines), 1);
    assert_false(replay.ended || live.ended);
    assert_int_equal(events_subscriber_count(f->events), 0);
    strv_free(replay.lines);
    strv_free(live.lines);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_filters),
        TEST(test_form),
        TEST(test_no_seam),
        TEST(test_until_ends_it),
        TEST(test_cancel_inside_a_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
