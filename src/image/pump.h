/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A bounded queue of blocks between two threads: one reads (decompresses, hashes), the other
 * parses and writes files, so both cores work on one stream.
 */
#include "format/digest.h"
#include "format/reader.h"

struct pump;
struct pump *pump_new(void);
void pump_free(struct pump *p);
/* Producer: moves everything from `from` into the queue; returns when it has ended, failed, or the
 * consumer gave up (then -EPIPE). `hash` may be NULL; *count gets the bytes moved. */
int pump_fill(struct pump *p, struct reader *from, struct digest *hash, uint64_t *ret_count);
/* Consumer: a reader of the queue; an error of the source arrives as such, after what was before
 * it. Borrowed. */
struct reader *pump_reader(struct pump *p);
/* Consumer: no more will be read. */
void pump_abandon(struct pump *p);
