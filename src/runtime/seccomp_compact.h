/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Makes a filter smaller. The kernel translates a filter at every installation, so its length is
 * paid at every start and exec: libseccomp's default profile for three architectures has 1,300
 * instructions, of which some 300 are needed.
 */
#include <stddef.h>
#include <stdint.h>

struct sock_filter; /* linux/filter.h */

/* The instructions that one call runs through, by the numbers of `data` (struct seccomp_data).
 * -EINVAL: something that is no seccomp filter of libseccomp's kind. */
int seccomp_run(const struct sock_filter *insns, size_t count, uint32_t arch, uint32_t nr,
                const uint64_t args[6], uint32_t *ret_action);

/* An equivalent program with at most `*count` instructions replaces `insns` (in place). `arches`
 * are the AUDIT_ARCH_* numbers that the filter knows. -EOPNOTSUPP: left as it is, because it does
 * something that is not understood here or would not get smaller. */
int seccomp_compact(struct sock_filter *insns, size_t *count, const uint32_t *arches,
                    size_t arch_count);
