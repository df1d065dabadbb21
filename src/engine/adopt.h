/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/err.h"

struct engine;

/*
 * Start-up: reads the containers from the database, connects to the monitors of those that run on,
 * records the end of the others, removes what nobody owns any more (directories without a record,
 * cgroups and processes without a monitor), and lets the restart policies act.
 */
int engine_adopt(struct engine *eng, struct err *e);
/* After the listeners are open: restart policies and --rm of what ended meanwhile. */
void engine_adopt_finish(struct engine *eng);
