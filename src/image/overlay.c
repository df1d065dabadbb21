/* SPDX-License-Identifier: Apache-2.0 */
#include "image/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/str.h"
#include "image/tree.h"
#include "sys/mountfd.h"

#define FS_LOG_MAX 512
/* What mount(2) takes in one option string. */
#define OPTIONS_MAX 4096

/* The daemon reads and writes files there and nothing else. */
#define SAFE_ATTRS (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
#define SAFE_FLAGS (MS_NODEV | MS_NOSUID | MS_NOEXEC)

static const char *const FIXED_OPTIONS[] = {"redirect_dir", "metacopy", "index", "xino"};

/* An earlier volatile mount leaves a mark that makes the next one fail. */
static int remove_volatile_mark(const char *work) {
    auto_fd dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? 0 : -errno;
    auto_fd inner = tree_open_dir(dir, "work");
    if (inner == -ENOENT)
        return 0;
    return inner < 0 ? take_fd(&inner) : tree_remove_at(inner, "incompat");
}

/* ---- Linux 6.5 and later: one layer a call -------------------------------------------------- */

static int add_lower(int fs, const char *path) {
    return sys_fsconfig_string(fs, "lowerdir+", path);
}

static int configure(int fs, const struct overlay_options *o, bool upper) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(FIXED_OPTIONS) / sizeof(*FIXED_OPTIONS); i++)
        r = sys_fsconfig_string(fs, FIXED_OPTIONS[i], "off");
    if (r == 0) {
        int ignored = sys_fsconfig_string(fs, "uuid", "null"); /* Linux 6.6 */
        (void)ignored;
    }
    if (r == 0 && o->upper && !upper)
        r = add_lower(fs, o->upper);
    strv_for_each (path, o->lower) {
        if (r == 0)
            r = add_lower(fs, path);
    }
    if (r == 0 && upper)
        r = sys_fsconfig_string(fs, "upperdir", o->upper);
    if (r == 0 && upper)
        r = sys_fsconfig_string(fs, "workdir", o->work);
    if (r == 0 && upper && o->is_volatile)
        r = sys_fsconfig_flag(fs, "volatile");
    return r;
}

static int mount_new(const struct overlay_options *o, bool upper, int *ret_fd,
                     char log[static FS_LOG_MAX]) {
    auto_fd fs = sys_fsopen("overlay");
    if (fs < 0)
        return fs;
    int r = configure(fs, o, upper);
    if (r == 0)
        r = sys_fsconfig_create(fs);
    if (r == 0)
        r = sys_fsmount(fs, SAFE_ATTRS | (upper ? 0 : MOUNT_ATTR_RDONLY));
    if (r < 0) {
        sys_fs_log(fs, log, FS_LOG_MAX);
        return r;
    }
    *ret_fd = r;
    return 0;
}

/* ---- older kernels: mount(2) in a mount namespace of a thread's own ------------------------- */

struct old_mount {
    const struct overlay_options *o;
    bool upper;
    int result, fd;
};

/* Links with short names in the thread's working directory (a tmpfs of its own) keep 125 layers
 * within one page of options. */
static int link_layers(const struct overlay_options *o, bool upper, struct buf *lower) {
    unsigned n = 0;
    char name[16];
    const char *first = !upper ? o->upper : NULL;
    if (first) {
        snprintf(name, sizeof(name), "%u", n++);
        if (symlink(first, name) < 0)
            return -errno;
        buf_puts(lower, name);
    }
    strv_for_each (path, o->lower) {
        snprintf(name, sizeof(name), "%u", n);
        if (symlink(path, name) < 0)
            return -errno;
        buf_printf(lower, "%s%s", n ? ":" : "", name);
        n++;
    }
    if (n == 1) {
        /* A lone lower directory is refused without an upper: an empty one goes below. */
        if (mkdir("e", 0755) < 0)
            return -errno;
        buf_puts(lower, ":e");
    }
    return 0;
}

static int old_mount_here(const struct overlay_options *o, bool upper, int *ret_fd) {
    auto_buf lower = BUF_INIT;
    auto_buf options = BUF_INIT;
    /* Any directory serves in which no layers lie: only this thread sees what is mounted there,
     * until it ends. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("fence", "/sys", "tmpfs", 0, "size=1m,mode=0700") < 0 || chdir("/sys") < 0)
        return -errno;
    int r = link_layers(o, upper, &lower);
    if (r < 0)
        return r;
    if (mkdir("m", 0700) < 0)
        return -errno;
    if (upper && (symlink(o->upper, "u") < 0 || symlink(o->work, "w") < 0))
        return -errno;
    for (size_t i = 0; i < sizeof(FIXED_OPTIONS) / sizeof(*FIXED_OPTIONS); i++)
        buf_printf(&options, "%s=off,", FIXED_OPTIONS[i]);
    buf_printf(&options, "lowerdir=%s", buf_str(&lower));
    if (upper)
        buf_printf(&options, ",upperdir=u,workdir=w%s", o->is_volatile ? ",volatile" : "");
    if (options.len >= OPTIONS_MAX)
        return -E2BIG;
    if (mount("overlay", "m", "overlay", SAFE_FLAGS | (upper ? 0 : MS_RDONLY), buf_str(&options)) <
        0)
        return -errno;
    r = sys_open_tree(AT_FDCWD, "m", 0);
    if (r < 0)
        return r;
    *ret_fd = r;
    return 0;
}

static void *old_mount_thread(void *arg) {
    struct old_mount *m = arg;
    /* Ends with the thread. CLONE_FS: the working directory becomes its own as well. */
    if (unshare(CLONE_FS | CLONE_NEWNS) < 0)
        m->result = -errno;
    else
        m->result = old_mount_here(m->o, m->upper, &m->fd);
    return NULL;
}

static int mount_old(const struct overlay_options *o, bool upper, int *ret_fd) {
    struct old_mount m = {.o = o, .upper = upper, .fd = -1};
    pthread_t t;
    sigset_t all, old;
    (void)sigfillset(&all); /* signals are the loop thread's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&t, NULL, old_mount_thread, &m);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return -r;
    pthread_join(t, NULL);
    if (m.result == 0)
        *ret_fd = m.fd;
    return m.result;
}

/* An overlay needs two layers when it has no upper directory: one alone is bound instead. */
static int bind_alone(const char *path, int *ret_fd) {
    int fd = sys_open_tree(AT_FDCWD, path, 0);
    if (fd < 0)
        return fd;
    int r = sys_mount_setattr(fd, false, SAFE_ATTRS | MOUNT_ATTR_RDONLY, 0, 0, -1);
    if (r < 0) {
        fd_close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static int check_writable(const struct overlay_options *o, int fd) {
    auto_fd work = open(o->work, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return work < 0 ? -errno : sys_overlay_writable(fd, work);
}

int overlay_mount(const struct overlay_options *o, int *ret_fd, struct err *e) {
    char log[FS_LOG_MAX] = "";
    auto_fd fd = -1;
    bool upper = o->upper && !o->read_only;
    if (strv_len(o->lower) == 0)
        return err_set(e, ERR_INVALID, "an overlay mount needs a layer");
    int r = upper ? remove_volatile_mark(o->work) : 0;
    if (r < 0)
        return err_sys(e, r, "cannot prepare the work directory %s", o->work);
    if (!o->upper && strv_len(o->lower) == 1) {
        r = bind_alone(o->lower[0], ret_fd);
        return r < 0 ? err_sys(e, r, "cannot mount the image") : 0;
    }
    r = o->no_new_api ? -EINVAL : mount_new(o, upper, &fd, log);
    if (r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP) {
        int old = mount_old(o, upper, &fd);
        if (old == 0 || o->no_new_api)
            r = old;
    }
    if (r == 0 && upper)
        r = check_writable(o, fd);
    if (r < 0)
        return err_sys(e, r, "cannot mount the container's file system%s%s", *log ? ": " : "", log);
    *ret_fd = take_fd(&fd);
    return 0;
}
