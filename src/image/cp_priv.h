/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What cp.c and cp_put.c share; nobody else includes it. */
#include "base/err.h"
#include "image/cp.h"

/* "a/../b/./c" -> "/b/c", without looking at anything: as Go's filepath.Join("/", path). Owned by
 * the caller. */
char *cp_clean(const char *path);
int cp_not_found(const char *container, const char *path, struct err *e);
