/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The user and groups of a container's process, looked up in the image's own /etc/passwd and
 * /etc/group with Docker's rules and words. No NSS: nothing of the image is executed.
 *
 * Numbers are strict decimals up to 2^31 - 1; an entry with anything else is skipped, so that
 * overflow never ends as 0.
 */
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

#define USERDB_FILE_MAX   (1u << 20)
#define USERDB_GROUPS_MAX 65536

struct userdb_user {
    uid_t uid;
    gid_t gid;
    char *home;    /* owned; "/" when there is none */
    gid_t *groups; /* owned: gid first, then the supplementary ones, each once */
    size_t n_groups;
};
void userdb_user_done(struct userdb_user *u);

/* Appends /etc/passwd or the like below `root`. A missing file is empty; anything but a regular
 * file of at most USERDB_FILE_MAX bytes is an error. */
int userdb_read(int root, const char *path, struct buf *ret);
/* user: "", "name", "uid", either with ":group" or ":gid". extra_groups: names or numbers (strv).
 */
int userdb_resolve(const char *passwd, const char *group, const char *user,
                   char *const *extra_groups, struct userdb_user *ret, struct err *e);
