/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Linux capabilities: names, sets as 64-bit masks (bit = capability number), Docker's rules for
 * combining them, and applying them to the calling thread.
 *
 * The setters act on the calling thread only and use nothing but system calls, so they are good
 * after fork() or clone() in a process that has a single thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LCAP_COUNT 41
#define LCAP_ALL   ((UINT64_C(1) << LCAP_COUNT) - 1)
/* What a container gets without --cap-add and --cap-drop (14 capabilities). */
#define LCAP_DEFAULT UINT64_C(0xa80425fb)
#define LCAP_BIT(nr) (UINT64_C(1) << (nr))

/* "CAP_CHOWN"; NULL when nr >= LCAP_COUNT. */
const char *lcap_name(unsigned nr);
/* With or without CAP_, any case; OWNER (of an old book) stands for FOWNER. -EINVAL. */
int lcap_parse(const char *name, unsigned *ret);
/* Names in the order of their numbers, a strv the caller owns. */
char **lcap_names(uint64_t set);
/* The sum of the names; names nobody knows are skipped and counted in *ret_unknown (may be NULL).
 */
uint64_t lcap_from_names(char *const *names, unsigned *ret_unknown);

/* The capabilities this kernel knows, asked from it once a process. */
uint64_t lcap_kernel(void);
/* What this process could hand on: permitted and still in the bounding set. Asked from the kernel
 * once: not for a process that gives capabilities up. */
uint64_t lcap_held(void);

/*
 * Docker's rules: privileged is everything; else ALL in adds is everything but the drops; else ALL
 * in drops leaves just the adds; else default - drops + adds. The result is clipped to `held`
 * (lcap_held() of the daemon; LCAP_ALL for no clipping). ERR_INVALID with Docker's words,
 * `invalid CapAdd: unknown capability: "CAP_X"`.
 */
int lcap_combine(char *const *adds, char *const *drops, bool privileged, uint64_t held,
                 uint64_t *ret, struct err *e);

struct lcap_sets {
    uint64_t bounding, effective, permitted, inheritable, ambient;
};

/*
 * For the first process of a container, in this order:
 *   lcap_drop_bounding(), lcap_keep_on_setuid(), setgroups/setresgid/setresuid, lcap_apply().
 * Everything is clipped to what the thread has; -errno when the kernel refuses nevertheless.
 */
int lcap_drop_bounding(uint64_t keep);
int lcap_keep_on_setuid(void);
/* Sets permitted, effective and inheritable, then the ambient set; clears keepcaps. */
int lcap_apply(const struct lcap_sets *sets);
/* Effective := permitted, after setfsuid() or a user namespace change took some away. */
int lcap_raise_effective(void);
