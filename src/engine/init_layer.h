/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The layer between every image and its containers, as Docker's "-init" layer: what must be there
 * to be mounted over (/etc/hosts, /dev, /proc, ...) and /.dockerenv. It lies below the container's
 * own directory, so that diff and commit do not show it.
 */
#include "base/err.h"

struct container;
struct engine;

/* Makes <data>/init unless it is there. */
int init_layer_open(struct engine *eng, struct err *e);
/* Directories to mount below the container's own, top first: the init layer, then the image's. The
 * caller's. Cheap once the image's chain is known (struct engine.ready_chains). */
int container_lower_paths(const struct container *c, char ***ret, struct err *e);
