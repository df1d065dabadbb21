/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The engine's event stream: stored for `since`, and sent to live subscribers. Loop thread. */
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "engine/filters.h"
#include "loop/loop.h"
#include "store/store.h"

struct events;
struct events *events_new(struct store *store);
void events_free(struct events *ev);

/* `attributes` are copied. type: "container", "image", "volume", "network", "daemon". */
void events_publish(struct events *ev, const char *type, const char *action, const char *actor_id,
                    const struct strmap *attributes);

extern const char *const events_filter_keys[];

struct events_subscriber;
/*
 * First what is stored from since_ns on (0: nothing), then live events until until_ns (0: for
 * ever). each() gets one JSON line; done() comes once after the last one, unless events_cancel
 * came first. `filters` is moved.
 */
struct events_subscriber *events_subscribe(struct events *ev, struct loop *l, int64_t since_ns,
                                           int64_t until_ns, struct filters *filters,
                                           void (*each)(void *arg, const char *json),
                                           void (*done)(void *arg), void *arg);
void events_cancel(struct events_subscriber *s);
size_t events_subscriber_count(const struct events *ev);
