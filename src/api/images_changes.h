/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Dockerfile instructions that change an image's configuration: --change of commit and import. */
#include "base/err.h"
#include "oci/container_config.h"

/* Applies each line to *config. ERR_INVALID in Docker's words for instructions that are no changes,
 * or malformed ones. */
int config_apply_changes(char *const *changes, struct container_config *config, struct err *e);
/* A configuration made of changes alone, as JSON text; *ret is NULL without changes. */
int images_apply_changes(char *const *changes, char **ret, struct err *e);
