/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "api/daemon_options.h"

/* The life of the daemon process: engine, listeners, signals. Returns its exit status. */
int daemon_run(struct daemon_options *o);
