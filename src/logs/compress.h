/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Compression of rotated files, by fenced (log option "compress"): the monitor only renames. Call
 * it on a worker now and then, and when the container has ended. Blocks.
 */
#include "base/err.h"

/* <path>.N becomes <path>.N.gz for every N that is not compressed yet. 0 also when there is nothing
 * to do. */
int log_compress_rotated(const char *path, struct err *e);
