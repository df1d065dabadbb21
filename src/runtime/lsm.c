/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

#define APPARMOR_ENABLED  "/sys/module/apparmor/parameters/enabled"
#define APPARMOR_PROFILES "/sys/kernel/security/apparmor/profiles"
#define SELINUX_ENFORCE   "/sys/fs/selinux/enforce"

void lsm_detect(struct lsm_host *ret) {
    auto_buf text = {.max = 64};

    *ret = (struct lsm_host){0};
    ret->apparmor = io_read_file_at(AT_FDCWD, APPARMOR_ENABLED, &text) == 0 &&
                    buf_str(&text)[0] == 'Y' && access(APPARMOR_PROFILES, R_OK) == 0;
    ret->selinux = access(SELINUX_ENFORCE, R_OK) == 0;
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

/* user:role:type:level; the level may contain colons. */
struct label {
    char *part[4];
};

static void label_done(struct label *l) {
    for (size_t i = 0; i < 4; i++)
        free(l->part[i]);
}

static int label_split(const char *text, struct label *l) {
    for (size_t i = 0; i < 4; i++) {
        const char *colon = i < 3 ? strchr(text, ':') : NULL;

        if (i < 2 && !colon)
            return -EINVAL;
        l->part[i] = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
        if (!colon)
            return 0;
        text = colon + 1;
    }
    return 0;
}

int lsm_selinux_label(const struct lsm_host *h, char *const *opts, const char *base, char **ret,
                      struct err *e) {
    static const char *const names[4] = {"user", "role", "type", "level"};
    struct label l = {0};
    bool disabled = false;
    int r = 0;

    if (label_split(base, &l) < 0)
        r = err_set(e, ERR_SYSTEM, "invalid SELinux label: \"%s\"", base);
    strv_for_each (opt, opts) {
        size_t i = 0;

        if (r < 0)
            break;
        if (strcmp(opt, "disable") == 0) {
            disabled = true;
            continue;
        }
        for (; i < 4; i++) {
            const char *v = str_after(opt, names[i]);

            if (v && *v == ':' && v[1] != '\0') {
                str_set(&l.part[i], v + 1);
                break;
            }
        }
        if (i == 4)
            r = err_set(e, ERR_INVALID,
                        "bad label option \"%s\", valid options 'disable' or \n'user, role, level, "
                        "type, filetype' followed by ':' and a value",
                        opt);
    }
    if (r == 0)
        *ret = disabled || !h->selinux
                   ? NULL
                   : xasprintf("%s:%s:%s%s%s", l.part[0], l.part[1], str_or_empty(l.part[2]),
                               l.part[3] ? ":" : "", str_or_empty(l.part[3]));
    label_done(&l);
    return r;
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
