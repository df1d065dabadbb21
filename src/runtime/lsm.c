/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define APPARMOR_ENABLED  "/sys/module/apparmor/parameters/enabled"
#define APPARMOR_PROFILES "/sys/kernel/security/apparmor/profiles"
#define SELINUX_FS        "/sys/fs/selinux"

/* Without a policy every process is "kernel". */
static bool selinux_is_on(void) {
    auto_buf text = {.max = 4096};
    struct statfs fs;

    return statfs(SELINUX_FS, &fs) == 0 && fs.f_type == SELINUX_MAGIC &&
           !(fs.f_flags & ST_RDONLY) &&
           io_read_file_at(AT_FDCWD, "/proc/self/attr/current", &text) == 0 &&
           !str_eq(buf_str(&text), "kernel");
}

void lsm_detect(struct lsm_host *ret) {
    auto_buf text = {.max = 64};

    *ret = (struct lsm_host){0};
    ret->apparmor = io_read_file_at(AT_FDCWD, APPARMOR_ENABLED, &text) == 0 &&
                    buf_str(&text)[0] == 'Y' && access(APPARMOR_PROFILES, R_OK) == 0;
    ret->selinux = selinux_is_on();
}

/* ---- AppArmor ------------------------------------------------------------------------------- */

bool lsm_apparmor_is_loaded(const char *profile) {
    auto_buf text = {.max = 4u << 20};
    size_t n = strlen(profile);

    if (io_read_file_at(AT_FDCWD, APPARMOR_PROFILES, &text) < 0)
        return false;
    /* "name (enforce)" lines; a name may contain blanks. */
    for (const char *line = buf_str(&text); *line;) {
        const char *end = strchrnul(line, '\n');

        if ((size_t)(end - line) > n + 1 && strncmp(line, profile, n) == 0 && line[n] == ' ' &&
            line[n + 1] == '(')
            return true;
        line = *end ? end + 1 : end;
    }
    return false;
}

int lsm_apparmor_choose(const struct lsm_host *h, const char *asked, bool privileged, char **ret,
                        struct err *e) {
    char *choice = NULL;

    if (!h->apparmor) {
        /* Who names a profile asks for protection: starting without it would be wrong. */
        if (!str_empty(asked) && strcmp(asked, "unconfined") != 0)
            return err_set(e, ERR_INVALID,
                           "apparmor is not supported on this host: cannot apply profile \"%s\"",
                           asked);
        *ret = NULL;
        return 0;
    }
    if (!str_empty(asked))
        choice = xstrdup(asked);
    else
        choice = xstrdup(privileged ? "unconfined" : LSM_APPARMOR_DEFAULT);
    if (strcmp(choice, "unconfined") != 0 && !lsm_apparmor_is_loaded(choice)) {
        int r = err_set(e, ERR_INVALID,
                        "unable to apply apparmor profile: apparmor failed to apply profile: "
                        "profile \"%s\" is not loaded",
                        choice);

        free(choice);
        return r;
    }
    *ret = choice;
    return 0;
}

/* ---- SELinux -------------------------------------------------------------------------------- */

bool lsm_label_is_known(const char *label) {
    auto_fd fd = open(SELINUX_FS "/context", O_RDWR | O_CLOEXEC);

    /* With the NUL, in one call. */
    return fd >= 0 && write(fd, label, strlen(label) + 1) > 0;
}

/* ---- first process -------------------------------------------------------------------------- */

/* A file below proc_fd, which must be a real procfs: an image could put anything at /proc. */
static int attr_write(int proc_fd, const char *file, const char *text) {
    struct statfs fs;
    auto_fd fd = -1;
    size_t n = strlen(text);
    ssize_t r;

    if (fstatfs(proc_fd, &fs) < 0)
        return -errno;
    if (fs.f_type != PROC_SUPER_MAGIC)
        return -EINVAL;
    fd = openat(proc_fd, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type != PROC_SUPER_MAGIC)
        return -EINVAL;
    do
        r = write(fd, text, n);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    return (size_t)r == n ? 0 : -EIO;
}

int lsm_apparmor_exec(int proc_fd, const char *profile) {
    char text[512];
    int r;

    if (str_empty(profile))
        return 0;
    if ((size_t)snprintf(text, sizeof text, "exec %s", profile) >= sizeof text)
        return -ENAMETOOLONG;
    r = attr_write(proc_fd, "thread-self/attr/apparmor/exec", text);
    /* Before 5.8 AppArmor had no directory of its own. */
    if (r == -ENOENT)
        r = attr_write(proc_fd, "thread-self/attr/exec", text);
    return r == -EINVAL || r == -ENOENT ? -EOPNOTSUPP : r;
}

int lsm_selinux_exec(int proc_fd, const char *label) {
    int r;

    if (str_empty(label))
        return 0;
    r = attr_write(proc_fd, "thread-self/attr/exec", label);
    return r == -EINVAL || r == -ENOENT ? -EOPNOTSUPP : r;
}

int lsm_selinux_keys(int proc_fd, const char *label) {
    return str_empty(label) ? 0 : attr_write(proc_fd, "thread-self/attr/keycreate", label);
}
