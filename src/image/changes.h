/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * docker diff: what an upper directory changes of the layers below it. Worker threads.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum change_kind { CHANGE_MODIFY = 0, CHANGE_ADD = 1, CHANGE_DELETE = 2 }; /* the API's numbers */
struct change {
    char *path; /* absolute, as the container sees it */
    enum change_kind kind;
};
struct change_list {
    struct change *items; /* sorted by path */
    size_t count;
};
void change_list_done(struct change_list *l);
/* upper: absolute path of the directory; lower: absolute paths, top first. */
int changes_find(const char *upper, char *const *lower, struct change_list *ret, struct err *e);
/* SizeRw: bytes of the regular files in the upper directory. */
int changes_size(const char *upper, uint64_t *ret, struct err *e);
