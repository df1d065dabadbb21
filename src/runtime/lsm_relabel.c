/* SPDX-License-Identifier: Apache-2.0 */

/* Labels of SELinux on what is bound into containers (":z", ":Z"). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/lsm.h"
#include "sys/path.h"

#define XATTR     "security.selinux"
#define DEPTH_MAX 512 /* each level holds a descriptor */

/* Docker's list: with another label on them the host would not come up again. */
static const char *const untouchable[] = {
    "/",     "/bin", "/boot",  "/dev",   "/etc", "/etc/passwd", "/etc/pki", "/etc/shadow",
    "/home", "/lib", "/lib64", "/media", "/opt", "/proc",       "/root",    "/run",
    "/sbin", "/srv", "/sys",   "/tmp",   "/usr", "/var",        "/var/lib", "/var/log",
};

/* A path that ends in a link is not followed. What is right already is not written. */
static int set_label(const char *path, const char *label) {
    char old[512];
    size_t n = strlen(label);
    ssize_t have = lgetxattr(path, XATTR, old, sizeof old);

    /* The kernel counts the NUL, other programs may not have written one. */
    if (have > 0 && strnlen(old, (size_t)have) == n && memcmp(old, label, n) == 0)
        return 0;
    if (lsetxattr(path, XATTR, label, n + 1, 0) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOENT ? 0 : -errno;
}

/* What is in the directory; takes fd. */
static int label_below(int fd, const char *label, unsigned depth) {
    DIR *dir = fdopendir(fd);
    const struct dirent *d;
    int r = 0;

    if (!dir) {
        r = -errno;
        fd_close(fd);
        return r;
    }
    while (r == 0 && (errno = 0, d = readdir(dir))) {
        char path[PATH_FD_MAX + NAME_MAX + 2], self[PATH_FD_MAX];
        auto_fd below = -1;

        if (str_eq(d->d_name, ".") || str_eq(d->d_name, ".."))
            continue;
        if (d->d_type == DT_DIR || d->d_type == DT_UNKNOWN)
            below = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0)
            r = depth == 0 ? -ELOOP : label_below(take_fd(&below), label, depth - 1);
        snprintf(path, sizeof path, "%s/%s", path_of_fd(fd, self), d->d_name);
        if (r == 0)
            r = set_label(path, label);
    }
    if (r == 0 && errno != 0)
        r = -errno;
    closedir(dir);
    return r;
}

static char *without_categories(const char *label) {
    size_t n = (size_t)(lsm_label_level(label) - label);

    return xasprintf("%.*ss0", (int)n, label);
}

int lsm_selinux_relabel(int fd, const char *label, bool shared, struct err *e) {
    auto_free char *own = shared && *lsm_label_level(label) ? without_categories(label) : NULL;
    char self[PATH_FD_MAX], path[PATH_MAX];
    auto_fd dir = -1;
    ssize_t n = readlink(path_of_fd(fd, self), path, sizeof path - 1);
    int r = 0;

    if (n < 0)
        return err_sys(e, errno, "readlink");
    path[n] = '\0';
    for (size_t i = 0; i < sizeof untouchable / sizeof untouchable[0]; i++)
        if (str_eq(path, untouchable[i]))
            return err_set(e, ERR_INVALID,
                           "error setting label on mount source '%s': SELinux relabeling of %s is "
                           "not allowed",
                           path, path);
    if (own)
        label = own;
    dir = openat(AT_FDCWD, self, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0)
        r = label_below(take_fd(&dir), label, DEPTH_MAX);
    else if (errno != ENOTDIR)
        r = -errno;
    if (r == 0 && setxattr(self, XATTR, label, strlen(label) + 1, 0) < 0 && errno != EOPNOTSUPP)
        r = -errno;
    return r < 0 ? err_sys(e, r, "error setting label on mount source '%s'", path) : 0;
}
