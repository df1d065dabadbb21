/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/cli.h"

/* Prints the objects that the operands name: indented JSON, or the template of --format. type "":
 * any. more: sizes of a container, diagnostics of a network. */
int inspect_objects(struct cli *cli, const struct args *a, const char *type, bool more,
                    struct err *e);
