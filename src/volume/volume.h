/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Volumes of the local driver: volumes/<name>/_data. The registry belongs to the loop thread;
 * volume_seed and volume_measure are for workers and take paths, not volumes.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "image/datadir.h"
#include "store/store.h"

#define VOLUME_NAME_MAX        255
#define VOLUME_ANONYMOUS_LABEL "com.docker.volume.anonymous"

struct volume {
    char *name;
    char *driver;  /* "local" */
    char *created; /* RFC 3339 */
    struct strmap labels;
    struct strmap options; /* driver options as given */
    bool anonymous;        /* the label is there */
    bool fresh;            /* nothing was mounted or copied into it yet: may be seeded */
    char *mountpoint;      /* absolute path of _data */
    struct map users;      /* container id -> count, as a number in the pointer */
    unsigned refs;         /* sum of the counts */
};

struct volume_store;
int volume_store_open(struct data_root *root, struct store *db, struct volume_store **ret,
                      struct err *e);
void volume_store_free(struct volume_store *s);

struct volume_create {
    const char *name;   /* NULL or "": a random one, and the anonymous label unless it was given */
    const char *driver; /* NULL, "" or "local" */
    const struct strmap *labels, *options; /* may be NULL */
};
/* An existing volume of that name is returned as it is (ERR_CONFLICT when its driver differs).
 * *ret_created (may be NULL) says whether it is new. */
int volume_create(struct volume_store *s, const struct volume_create *c, struct volume **ret,
                  bool *ret_created, struct err *e);
/* ERR_NOT_FOUND "get NAME: no such volume". Borrowed. */
struct volume *volume_find(struct volume_store *s, const char *name, struct err *e);
/* ERR_CONFLICT "remove NAME: volume is in use - [IDS]"; with force a missing one is success. The
 * data goes to trash/. */
int volume_remove(struct volume_store *s, const char *name, bool force, struct err *e);
size_t volume_count(const struct volume_store *s);
/* In the order of creation. `each` may remove the volume that it is given. */
void volume_each(struct volume_store *s, void (*each)(void *arg, struct volume *v), void *arg);

/* A container uses it (created, not necessarily running). Not stored: the engine repeats it for
 * its containers at start-up. */
void volume_ref(struct volume *v, const char *container_id);
void volume_unref(struct volume *v, const char *container_id);
/* Ids of the users. Owned by the caller. */
char **volume_users(const struct volume *v);
/* Clears `fresh`, persistently. */
void volume_mark_used(struct volume_store *s, struct volume *v);

/* 400 in Docker's words unless the name is one. */
int volume_name_check(const char *name, struct err *e);

/* ---- workers -------------------------------------------------------------------------------- */
/* Copies what the image has at `path` (below rootfs_fd: an overlay mount, resolved inside it) into
 * the volume when the volume is empty: owners, modes, xattrs, hard links. A missing path is
 * success; a volume with content is left alone. */
int volume_seed(const char *mountpoint, int rootfs_fd, const char *path, const bool *cancel,
                struct err *e);
/* Bytes of the regular files, for `system df`. */
int volume_measure(const char *mountpoint, uint64_t *ret);
