/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "api/call.h"

/* GET /system/df */
void system_df(struct api_call *c);
