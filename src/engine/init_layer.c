/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/init_layer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/container.h"
#include "image/datadir.h"

#define INIT_DIR "init"

static const struct {
    const char *path, *link; /* link: target of a symbolic link */
    mode_t mode;             /* with S_IFDIR or S_IFREG */
} entries[] = {
    {".dockerenv", NULL, S_IFREG | 0755},   {"dev", NULL, S_IFDIR | 0755},
    {"dev/console", NULL, S_IFREG | 0755},  {"dev/pts", NULL, S_IFDIR | 0755},
    {"dev/shm", NULL, S_IFDIR | 0755},      {"etc", NULL, S_IFDIR | 0755},
    {"etc/hostname", NULL, S_IFREG | 0755}, {"etc/hosts", NULL, S_IFREG | 0755},
    {"etc/mtab", "/proc/mounts", 0},        {"etc/resolv.conf", NULL, S_IFREG | 0755},
    {"proc", NULL, S_IFDIR | 0755},         {"sys", NULL, S_IFDIR | 0755},
};

static int make_entry(int dir, size_t i) {
    const char *path = entries[i].path;
    int r;

    if (entries[i].link) {
        r = symlinkat(entries[i].link, dir, path);
    } else if (S_ISDIR(entries[i].mode)) {
        r = mkdirat(dir, path, entries[i].mode & 07777);
    } else {
        auto_fd fd =
            openat(dir, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, entries[i].mode & 07777);

        r = fd < 0 ? -1 : 0;
    }
    return r < 0 && errno != EEXIST ? -errno : 0;
}

int init_layer_open(struct engine *eng, struct err *e) {
    int root = data_root_fd(eng->data_root);
    auto_fd dir = -1;
    int r = 0;

    if (mkdirat(root, INIT_DIR, 0755) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s/" INIT_DIR, eng->options.data_root);
    dir = openat(root, INIT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return err_sys(e, errno, "cannot open %s/" INIT_DIR, eng->options.data_root);
    for (size_t i = 0; r == 0 && i < sizeof entries / sizeof *entries; i++)
        r = make_entry(dir, i);
    return r < 0 ? err_sys(e, r, "cannot fill %s/" INIT_DIR, eng->options.data_root) : 0;
}

int container_lower_paths(const struct container *c, char ***ret, struct err *e) {
    auto_strv layers = NULL;
    char **all = NULL;
    int r = layer_chain_paths(c->engine->layers, c->rec.diff_ids, &layers, e);

    if (r < 0)
        return r;
    strv_take(&all, xasprintf("%s/" INIT_DIR, c->engine->options.data_root));
    strv_for_each (path, layers)
        strv_add(&all, path);
    *ret = all;
    return 0;
}
