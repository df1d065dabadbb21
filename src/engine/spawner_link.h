/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The spawner as fenced sees it: started at the first use, renewed when it dies. Loop thread. */
#include <stdbool.h>

#include "base/err.h"
#include "runtime/request.h"
#include "runtime/spawn_client.h"

struct engine;
struct spawner_link;

struct spawner_link *spawner_link_new(struct engine *eng);
/* The spawner dies with its socket. */
void spawner_link_free(struct spawner_link *s);
/* Starts the process now, so that the first container does not wait for it. */
int spawner_link_warm_up(struct spawner_link *s, struct err *e);

/* Counts the spawners: the number of the one that took the last request. */
unsigned spawner_link_number(const struct spawner_link *s);
/* Whether that one has died since, perhaps with a request in its hands. */
bool spawner_link_has_died(struct spawner_link *s, unsigned number);

/* A control connection: ret[0] is this side of it (engine/monitor_link.h), ret[1] goes with a
 * request. What is sent on ret[0] before the request lies there when the process begins. */
int spawner_link_pair(int ret[static 2], struct err *e);
/* Hands the request to a new set-up process. Takes conn in any case. */
int spawner_link_spawn(struct spawner_link *s, const struct rt_request *request,
                       const struct spawn_joins *joins, int conn, struct err *e);
