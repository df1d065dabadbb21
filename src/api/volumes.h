/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "format/json.h"
#include "volume/volume.h"

/* A volume as the API shows it; size: -1 leaves UsageData out. */
void volumes_emit(const struct volume *v, int64_t size, struct jw *w);
