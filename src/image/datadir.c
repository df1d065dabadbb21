/* SPDX-License-Identifier: Apache-2.0 */
#include "image/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/io.h"
#include "base/str.h"
#include "image/tree.h"

#define BOOT_ID_MAX 64

struct data_root {
    char *path;
    int fd;
    char boot_id[BOOT_ID_MAX];
};

static const char *const DIRECTORIES[] = {"layers", "fixups", "volumes", "tmp", "trash"};

static void random_name(char out[static 2 * 12 + 1]) {
    unsigned char bytes[12];
    random_bytes(bytes, sizeof(bytes));
    hex_encode(bytes, sizeof(bytes), out);
}

static int read_boot_id(char out[static BOOT_ID_MAX]) {
    auto_buf text = BUF_INIT;
    int r = io_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text);
    if (r < 0)
        return r;
    size_t n = strcspn(buf_str(&text), "\n");
    if (n == 0 || n >= BOOT_ID_MAX)
        return -EIO;
    memcpy(out, text.data, n);
    out[n] = 0;
    return 0;
}

/* A dead daemon's half-made things. */
static int clear_tmp(struct data_root *d) {
    auto_fd tmp = tree_open_dir(d->fd, "tmp");
    if (tmp < 0)
        return tmp;
    auto_strv names = NULL;
    int r = tree_list(tmp, &names);
    if (r < 0)
        return r;
    strv_for_each (name, names) {
        auto_free char *path = xasprintf("tmp/%s", name);
        r = data_root_trash(d, path);
        if (r < 0)
            return r;
    }
    return 0;
}

int data_root_open(const char *path, struct data_root **ret, struct err *e) {
    int r = io_mkdir_all(path, 0710);
    if (r < 0)
        return err_sys(e, r, "cannot make the data root %s", path);
    struct data_root *d = xnew(struct data_root);
    d->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    /* The paths that this hands out are used by other processes with another working directory. */
    d->path = d->fd < 0 ? NULL : realpath(path, NULL);
    r = d->path ? read_boot_id(d->boot_id) : -errno;
    for (size_t i = 0; r == 0 && i < sizeof(DIRECTORIES) / sizeof(*DIRECTORIES); i++) {
        /* Container roots are entered by mapped users through the mount, never by these paths. */
        if (mkdirat(d->fd, DIRECTORIES[i], 0700) < 0 && errno != EEXIST)
            r = -errno;
    }
    if (r == 0)
        r = clear_tmp(d);
    if (r < 0) {
        data_root_close(d);
        return err_sys(e, r, "cannot open the data root %s", path);
    }
    *ret = d;
    return 0;
}

void data_root_close(struct data_root *d) {
    if (!d)
        return;
    fd_close(d->fd);
    free(d->path);
    free(d);
}

const char *data_root_path(const struct data_root *d) {
    return d->path;
}

int data_root_fd(const struct data_root *d) {
    return d->fd;
}

const char *data_root_boot_id(const struct data_root *d) {
    return d->boot_id;
}

int data_root_make_tmp(struct data_root *d, char **ret_name, int *ret_fd) {
    char random[2 * 12 + 1];
    random_name(random);
    auto_free char *name = xasprintf("tmp/%s", random);
    if (mkdirat(d->fd, name, 0700) < 0)
        return -errno;
    int fd = tree_open_dir(d->fd, name);
    if (fd < 0)
        return fd;
    *ret_name = take_ptr(name);
    *ret_fd = fd;
    return 0;
}

int data_root_trash(struct data_root *d, const char *relative) {
    char random[2 * 12 + 1];
    random_name(random);
    auto_free char *to = xasprintf("trash/%s", random);
    if (renameat(d->fd, relative, d->fd, to) < 0)
        return errno == ENOENT ? 0 : -errno;
    return 0;
}

int data_root_empty_trash(struct data_root *d) {
    auto_fd trash = tree_open_dir(d->fd, "trash");
    if (trash < 0)
        return trash;
    auto_strv names = NULL;
    int first = tree_list(trash, &names);
    if (first < 0)
        return first;
    strv_for_each (name, names) {
        int r = tree_remove_at(trash, name);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}
