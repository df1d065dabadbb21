/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Paths of the host that users name (binds, devices) may lie on a file system that does not answer:
 * NFS without its server, FUSE without its process. Whoever asks for one of them waits, perhaps for
 * ever, so the loop thread does only after a thread of its own has got an answer. Loop thread.
 */
#include "base/err.h"
#include "engine/config.h"
#include "loop/loop.h"

/* Appends what create and start look at: sources of binds and devices. */
void host_paths_of(const struct host_config *h, const struct field_array *mount_points,
                   char ***paths);
/* Takes `paths` over. Calls done when every one of them has been looked at, at once when there is
 * none; with an error when one did not answer for ten seconds. That a path does not exist is an
 * answer. */
void host_paths_probe(struct loop *l, char **paths, void (*done)(void *arg, struct err *e),
                      void *arg);
/* The daemon ends: all that still wait are told that there was no answer. */
void host_paths_give_up(void);
