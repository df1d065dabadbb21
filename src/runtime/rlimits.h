/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Resource limits: lists of struct oci_rlimit. */
#include <sys/types.h>

#include "base/err.h"
#include "format/field.h"

/* "RLIMIT_NOFILE" -> RLIMIT_NOFILE; -EINVAL. */
int rlimit_parse(const char *name, int *ret);
/* A, with the host's rights: raises hard limits of another process. Without CAP_SYS_RESOURCE they
 * stay as they are; with it, what the kernel does not take (more files than fs.nr_open) fails. */
int rlimits_raise(pid_t pid, const struct field_array *limits, struct err *e);
/* B, last: sets all, clipped to the hard limits it has. ERR_INVALID for an unknown name. */
int rlimits_lower(const struct field_array *limits, struct err *e);
