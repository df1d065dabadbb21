/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Health checks: probes by exec on a timer, Docker's states and log. Loop thread. */
#include "format/json.h"

struct container;

/* After a start or an adoption; without a health check in the configuration nothing happens. */
void health_start(struct container *c);
/* Stops probing; the last status stays visible. */
void health_stop(struct container *c);
/* At the end of the container: stops probing, a running container's status becomes unhealthy as
 * Docker shows it. */
void health_on_exit(struct container *c);
void health_free(struct container *c);
/* "starting", "healthy", "unhealthy", or NULL without a health check. */
const char *health_status(const struct container *c);
/* Writes the Health member of State when there is one. */
void health_emit(const struct container *c, struct jw *w);
