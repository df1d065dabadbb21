/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's data root: <root>/{layers,fixups,volumes,tmp,trash}. What is being made lives in
 * tmp/ and appears by rename; what is deleted goes to trash/ by rename and is removed later, so a
 * crash at any point leaves nothing half-made in a place that is read. Thread-safe once opened.
 */
#include "base/err.h"

struct data_root;

/* Makes the directories (0710 root, 0700 inside) and moves what a dead daemon left in tmp/ to
 * trash/. */
int data_root_open(const char *path, struct data_root **ret, struct err *e);
void data_root_close(struct data_root *d);
const char *data_root_path(const struct data_root *d);
/* Borrowed directory descriptor. */
int data_root_fd(const struct data_root *d);

/* A new directory tmp/<random>, mode 0700. *ret_name ("tmp/<random>", owned by the caller) is
 * relative to the root. */
int data_root_make_tmp(struct data_root *d, char **ret_name, int *ret_fd);
/* Renames a path that is relative to the root into trash/. A missing one is success. */
int data_root_trash(struct data_root *d, const char *relative);
/* Removes everything in trash/. Worker threads; can take long. Goes on after an error and returns
 * the first. */
int data_root_empty_trash(struct data_root *d);
/* The kernel's id of this boot. Borrowed. */
const char *data_root_boot_id(const struct data_root *d);
