/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The words of an OCI mount's `options`: attributes, propagation, and what is left for the file
 * system. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct mount_options {
    uint64_t set, clear;         /* MOUNT_ATTR_* of the mount itself */
    uint64_t rec_set, rec_clear; /* of the mount and those below ("rro", "rnosuid") */
    uint64_t propagation;        /* MS_SHARED, ... or 0: not named */
    bool propagation_rec;
    bool bind, recursive; /* "bind", "rbind" */
    char relabel;         /* 'z', 'Z' or 0: with SELinux the source gets a label */
    char **data;          /* owned strv: "size=64m", "mode=755", "sync" */
};

void mount_options_done(struct mount_options *o);
/* Never fails: a word that is not known is the file system's. *ret need not be initialised. */
void mount_options_parse(char *const *words, struct mount_options *ret);
/* attr_clr must name the whole atime field when a part of it is set. */
uint64_t mount_attr_clear_for(uint64_t set, uint64_t clear);
/* "rshared", "private", ...: MS_* of it, 0 when unknown. */
uint64_t mount_propagation_parse(const char *word, bool *ret_recursive);
