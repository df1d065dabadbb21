/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* --since and --until: a duration before now, a date in our own time zone or seconds, as the API's
 * seconds.nanoseconds. Nothing is added for an empty text. */
int query_add_time(struct buf *query, const char *name, const char *value, struct err *e);
