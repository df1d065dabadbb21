/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between loop.c and job.c. */
#include "loop/loop.h"

struct jobs;
struct jobs *jobs_new(void);
/* Cancels all jobs; they end by posts. True while some are left. */
bool jobs_cancel_all(struct jobs *js);
void jobs_free(struct jobs *js);
struct jobs *loop_jobs(struct loop *l);
