/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Rotated files of a json-file log: <path>.1 is the youngest, each may have become <path>.N.gz.
 *
 * Who renames (the monitor), compresses, or opens the whole set (a reader) holds a flock on the
 * directory meanwhile: exclusive for changes, shared for opening. It is held for a few system calls
 * only, and nobody waits for it long: the monitor puts its rotation off instead.
 */
#include <stdint.h>

#define LOG_FILE_COUNT_MAX 1000

/* Moves <path> to <path>.1 and so on; the oldest of `max_file` files is removed. With less than two
 * files <path> is left as it is. -EWOULDBLOCK: locked by somebody else; other -errno. */
int log_rotate(const char *path, int64_t max_file);
/* "<path>", "<path>.N" or, when `gz`, "<path>.N.gz". -ENAMETOOLONG. */
int log_file_name(char *out, unsigned size, const char *path, int64_t index, int gz);
/* Locks path's directory (operation: LOCK_EX or LOCK_SH), waiting at most wait_ms. The descriptor,
 * which the caller closes; -EWOULDBLOCK or -errno. */
int log_lock_dir(const char *path, int operation, unsigned wait_ms);
