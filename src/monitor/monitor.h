/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The monitor of one container or exec: parent of its process, owner of its stdio and log. See
 * protocol.h for what it says to fenced and options.h for how it is started. One thread, one
 * poll loop; nothing is allocated after the start but the clients and their queues.
 */
#include "monitor/options.h"

/* Runs until the process has ended and everything about it is told. The options' descriptors
 * belong to the monitor. Once a process. */
int monitor_run(const struct monitor_options *o);
