/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* stop and restart differ in one word (cmd_stop.c). */
#include "cli/cli.h"

extern const struct flag stop_flags[];
int stop_or_restart(struct cli *cli, const struct args *a, const char *suffix, struct err *e);
