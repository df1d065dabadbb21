/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The mounts of a stopped container, for the time of one copy: its overlay with its volumes and
 * binds on it, so that paths lead through links from one into the other as when it runs.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct cp_bind {
    char *source;      /* a path of the host */
    char *subpath;     /* below it, resolved inside it; or NULL */
    char *destination; /* clean, in the container */
    bool read_only, recursive;
    bool read_only_below; /* with both: what is mounted below as well */
    bool optional;        /* left out when the source is not there */
};
void cp_bind_done(struct cp_bind *b);

/*
 * Mounts `root` (a detached overlay) at the directory `at`, and the binds, in their order, on it.
 * read_only: of the overlay, once mount points have been made. The calling thread gets a mount
 * namespace of its own and must end afterwards: a job of loop/job.c. -EROFS, and nothing said in e,
 * when `root` lacks a mount point and cannot be written.
 */
int cp_mounts_attach(int root, const char *at, bool read_only, const struct cp_bind *binds,
                     size_t count, struct err *e);
/* The same thread: takes all of it away; `root` is still to be closed. */
void cp_mounts_detach(const char *at);
