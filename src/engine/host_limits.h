/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Limits that a daemon without CAP_SYS_RESOURCE (in a restricted host) cannot give: containers get
 * what it has itself, which must be told. With the capability the kernel's refusal fails the start.
 */
#include "base/map.h"
#include "engine/hostconfig.h"

/* Appends a sentence for each ulimit, and for the OOM score, that will be less than asked for. */
void host_limits_warn(const struct host_config *h, char ***warnings);
/* The same for the daemon's default ulimits ("nofile" -> "1024:4096"), to its log. */
void host_limits_log_defaults(const struct strmap *ulimits);
