/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The `platform` parameter of create: "linux", "arm64", "linux/arm64/v8". */
#include "base/err.h"
#include "image/store.h"

/* Does the image fit? `name` is the user's for it. ERR_INVALID for a value that names no platform,
 * ERR_NOT_FOUND (clients then pull) for another platform than the image's. */
int platform_check(const char *wanted, const struct image *image, const char *name, struct err *e);
