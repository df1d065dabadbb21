/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* --log-opt compress=true: rotated log files are compressed on a worker, while the container runs
 * (the monitor only renames) and at its end. Loop thread. */
struct container;

void log_compress_start(struct container *c);
void log_compress_stop(struct container *c);
