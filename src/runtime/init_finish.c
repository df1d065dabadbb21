/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last steps of a first process, inside the finished container: user and groups, working
 * directory, standard streams, rights, execve. The same for containers and execs.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/caps.h"
#include "runtime/lsm.h"
#include "runtime/rlimits.h"
#include "runtime/setup.h"
#include "runtime/userdb.h"
#include "sys/clone.h"
#include "sys/path.h"

static int resolve_user(struct init *b, struct userdb_user *ret, struct err *e) {
    const struct rt_request *req = &b->s->request;
    auto_buf passwd = BUF_INIT, group = BUF_INIT;
    int r = userdb_read(b->root, "/etc/passwd", &passwd);
    if (r < 0)
        return err_sys(e, r, "unable to find user %s: open /etc/passwd", str_or_empty(req->user));
    r = userdb_read(b->root, "/etc/group", &group);
    if (r < 0)
        return err_sys(e, r, "unable to find group: open /etc/group");
    return userdb_resolve(buf_str(&passwd), buf_str(&group), str_or_empty(req->user),
                          req->extra_groups, ret, e);
}

static const char *cwd_of(const struct init *b) {
    const char *cwd = str_or_empty(b->s->request.spec.process.cwd);
    return *cwd == '/' ? cwd : "/";
}

int init_make_cwd(struct init *b, struct err *e) {
    const char *cwd = cwd_of(b);
    auto_fd dir = path_open_in(b->root, cwd, O_PATH | O_DIRECTORY, 0);
    if (dir == -ENOENT)
        dir = path_mkdirs_in(b->root, cwd, 0755, (uid_t)-1, (gid_t)-1);
    if (dir == -ENOTDIR) {
        b->kind = SYNC_TEXT_PLAIN; /* dockerd finds it before its runtime is called */
        return err_set(e, ERR_SYSTEM, "Cannot mkdir: %s is not a directory", cwd);
    }
    /* What cannot be made is told by what cannot be entered. */
    return dir < 0 && dir != -ENOENT && dir != -EROFS && dir != -EACCES
               ? err_sys(e, dir, "mkdir %s", cwd)
               : 0;
}

static int enter_cwd(struct init *b, struct err *e) {
    const char *cwd = cwd_of(b);
    auto_fd dir = path_open_in(b->root, cwd, O_PATH | O_DIRECTORY, 0);
    int r = dir < 0 ? dir : fchdir(dir) < 0 ? -errno : 0;
    if (r < 0)
        return err_sys(e, r, "chdir to cwd (\"%s\") set in config.json failed", cwd);
    /* The kernel says "(unreachable)" for a directory outside of the root. */
    char *real = getcwd(NULL, 0);
    bool inside = real && *real == '/';
    free(real);
    if (!inside)
        return err_set(e, ERR_INVALID,
                       "current working directory is outside of container mount "
                       "namespace root -- possible container breakout detected");
    return 0;
}

static int open_null(struct init *b) {
    auto_fd fd = path_open_in_how(b->root, "/dev/null", O_RDWR | O_NONBLOCK | O_NOCTTY, 0,
                                  RESOLVE_NO_SYMLINKS);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) &&
        io_set_nonblock(fd, false) >= 0)
        return take_fd(&fd);
    /* A container without a /dev of ours. */
    return fcntl(b->s->null, F_DUPFD_CLOEXEC, 3);
}

/* What the process reopens as /dev/stdout has to belong to it. */
static int give_away(int fd, const struct userdb_user *u) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
        return 0;
    /* A user without an id here: reads and writes still work, reopening does not. */
    return fchown(fd, u->uid, S_ISCHR(st.st_mode) ? (gid_t)-1 : u->gid) < 0 && errno != EINVAL &&
                   errno != EPERM
               ? -errno
               : 0;
}

static int take_terminal(struct init *b, const struct userdb_user *u) {
    if (ioctl(b->tty_slave, TIOCSCTTY, 0) < 0)
        return -errno;
    int r = give_away(b->tty_slave, u);
    for (int fd = 0; r >= 0 && fd < 3; fd++)
        if (dup2(b->tty_slave, fd) < 0)
            r = -errno;
    return r;
}

static int connect_stdio(struct init *b, const struct userdb_user *u, struct err *e) {
    const struct setup_stdio *io = &b->s->stdio;
    int r = 0;
    if (b->tty_slave >= 0) {
        r = take_terminal(b, u);
    } else {
        auto_fd null = open_null(b);
        const int from[3] = {io->in[0], io->out[1], io->err[1]};
        if (null < 0)
            r = null;
        for (int fd = 0; r >= 0 && fd < 3; fd++) {
            int source = from[fd] >= 0 ? from[fd] : null;
            r = give_away(source, u);
            if (r >= 0 && dup2(source, fd) < 0)
                r = -errno;
        }
    }
    return r < 0 ? err_sys(e, r, "failed to connect the standard streams") : 0;
}

static int set_labels(struct init *b, struct err *e) {
    const struct oci_process *p = &b->s->request.spec.process;
    if (!str_empty(p->apparmor_profile)) {
        int r = lsm_apparmor_exec(b->proc, p->apparmor_profile);
        if (r < 0)
            return err_sys(e, r,
                           "unable to apply apparmor profile: apparmor failed to apply "
                           "profile");
    }
    if (!str_empty(p->selinux_label)) {
        int r = lsm_selinux_exec(b->proc, p->selinux_label);
        if (r < 0)
            return err_sys(e, r, "failed to set process label");
    }
    return 0;
}

static int install_filter(struct init *b, struct err *e) {
    if (!b->s->seccomp.count)
        return 0;
    int listener = -1;
    int r = seccomp_install(&b->s->seccomp, &listener);
    if (r < 0)
        return err_sys(e, r, "unable to init seccomp: error loading seccomp filter into kernel");
    if (listener >= 0) {
        r = sync_send(b->sync, SYNC_SECCOMP, listener);
        fd_close(listener);
        if (r < 0)
            return err_sys(e, r, "failed to pass the seccomp listener on");
    }
    return 0;
}

static int become_user(const struct userdb_user *u, const struct lcap_sets *caps, struct err *e) {
    if (setgroups(u->n_groups, u->groups) < 0)
        return err_sys(e, errno, "setgroups");
    int r = lcap_drop_bounding(caps->bounding);
    if (r >= 0)
        r = lcap_keep_on_setuid();
    if (r < 0)
        return err_sys(e, r, "unable to apply bounding set");
    if (setresgid(u->gid, u->gid, u->gid) < 0)
        return err_sys(e, errno, "setgid");
    if (setresuid(u->uid, u->uid, u->uid) < 0)
        return err_sys(e, errno, "setuid");
    r = lcap_apply(caps);
    return r < 0 ? err_sys(e, r, "unable to apply caps") : 0;
}

/* Docker's sets name the capabilities of root; another user keeps none of them but the ambient. */
static void caps_of_user(struct lcap_sets *caps, uid_t uid) {
    if (uid == 0)
        return;
    caps->permitted = caps->effective = caps->ambient;
}

#define KEY_USR_SEARCH 0x00080000 /* the kernel's header does not export permissions */
#define KEYRING_PERM   0x3f130000 /* what a new session keyring has: all to who possesses it */

/*
 * The keys of whoever started the daemon stay outside: keyrings are inherited and belong to no
 * namespace. The name lets an exec find the keyring of its container, if the owner may search it.
 */
static int own_keyring(struct init *b, struct err *e) {
    auto_free char *name = xasprintf("_ses.%s", b->s->request.id);
    int r = lsm_selinux_keys(b->proc, b->s->request.spec.process.selinux_label);
    if (r < 0)
        return err_sys(e, r, "failed to set the label of the session keyring");
    long id = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
    if (id < 0 && (errno == ENOSYS || errno == EPERM))
        return 0; /* no keys here, or a filter that our container inherits as well */
    if (id < 0)
        return err_sys(e, errno, "unable to join session keyring: unable to create session key");
    if (syscall(SYS_keyctl, KEYCTL_SETPERM, id, KEYRING_PERM | KEY_USR_SEARCH) < 0 &&
        errno != EACCES) /* somebody else's, found by name: it may be searched already */
        return err_sys(e, errno, "unable to set the permissions of the session keyring");
    return 0;
}

/* ---- the program --------------------------------------------------------------------------- */

/* Go's findExecutable: 0, or the errno that its error tells. */
static int check_executable(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode) || !(st.st_mode & 0111))
        return -EACCES;
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 && errno == EACCES)
        return -EACCES;
    return 0;
}

static int search_path(const char *name, const char *path, char **ret) {
    auto_strv dirs = str_split(str_or_empty(path), ':');
    strv_for_each (dir, dirs) {
        auto_free char *full = xasprintf("%s%s%s", dir, *dir ? "/" : "./", name);
        if (check_executable(full) < 0)
            continue;
        *ret = take_ptr(full);
        return 0;
    }
    return -ENOENT;
}

static int find_program(const char *name, char *const *env, char **ret, struct err *e) {
    if (!strchr(name, '/')) {
        if (*name && search_path(name, env_find(env, "PATH"), ret) >= 0)
            return 0;
        return err_set(e, ERR_INVALID, "exec: \"%s\": executable file not found in $PATH", name);
    }
    int r = check_executable(name);
    if (r >= 0) {
        *ret = xstrdup(name);
        return 0;
    }
    const char *call = r == -EACCES ? "" : "stat ";
    auto_free char *text = err_errno_text(r);
    return err_set(e, ERR_INVALID, "exec: \"%s\": %s%s%s%s", name, call, *call ? name : "",
                   *call ? ": " : "", text);
}

/* --init: the bound fence-init runs the command. */
static char **full_args(const struct rt_request *req) {
    if (str_empty(req->init) || str_eq(req->spec.process.args[0], RT_INIT_PATH))
        return strv_dup(req->spec.process.args);
    char **args = NULL;
    strv_add(&args, RT_INIT_PATH);
    strv_add(&args, "--");
    strv_for_each (a, req->spec.process.args) {
        strv_add(&args, a);
    }
    return args;
}

/* The set-up is complete and reported: what fails now is the program's own failure, told on its
 * standard error as runc does. */
static _Noreturn void run(const char *program, char **args, char **env) {
    execve(program, args, env);
    int error = errno;
    dprintf(STDERR_FILENO, "exec %s: %s\n", program,
            error == ENOEXEC  ? "exec format error"
            : error == ENOENT ? "no such file or directory"
            : error == EACCES ? "permission denied"
                              : strerror(error));
    _exit(255);
}

int init_finish(struct init *b, struct err *e) {
    struct rt_request *req = &b->s->request;
    const struct oci_process *p = &req->spec.process;
    if (!p->args || !p->args[0])
        return err_set(e, ERR_INVALID, "no command specified");

    struct userdb_user user = {0};
    b->kind = SYNC_TEXT_PLAIN;
    int r = resolve_user(b, &user, e);
    if (r < 0)
        return r;
    b->kind = SYNC_TEXT_PROCESS;
    if (req->user_home && str_empty(env_find(p->env, "HOME"))) {
        auto_free char *home = xasprintf("HOME=%s", user.home);
        env_put(&req->spec.process.env, home);
    }
    if (p->user.umask.set)
        (void)umask((mode_t)p->user.umask.value & 0777);
    else
        (void)umask(022);
    if (req->spec.lin.personality && str_eq(req->spec.lin.personality->domain, "LINUX32"))
        (void)personality(PER_LINUX32); /* a hint only */

    r = own_keyring(b, e);
    if (r >= 0)
        r = enter_cwd(b, e);
    if (r >= 0)
        r = connect_stdio(b, &user, e);
    if (r >= 0)
        r = set_labels(b, e);
    if (r < 0)
        return r;
    /* A filter may refuse these two: before it. From here on this process lives without us. */
    r = prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0 ? -errno : fds_cloexec_from(3);
    if (r < 0)
        return err_sys(e, r, "failed to prepare the execution");
    if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(e, errno, "unable to set no_new_privs");
    /* Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before the capabilities go;
     * with it as late as possible, so that it need not allow what comes in between. */
    if (!p->no_new_privileges)
        r = install_filter(b, e);
    struct lcap_sets caps;
    caps_from_oci(p->capabilities, &caps);
    caps_of_user(&caps, user.uid);
    if (r >= 0)
        r = become_user(&user, &caps, e);
    char **args = full_args(req);
    if (r >= 0)
        r = find_program(args[0], p->env, &b->program, e);
    if (r >= 0)
        r = rlimits_lower(&p->rlimits, e);
    if (r >= 0 && p->no_new_privileges)
        r = install_filter(b, e);
    if (r >= 0) {
        r = sync_send(b->sync, SYNC_EXEC, -1);
        if (r < 0)
            err_sys(e, r, "failed to report the end of the set-up");
    }
    if (r < 0) {
        strv_free(args);
        userdb_user_done(&user);
        return r;
    }
    run(b->program, args, req->spec.process.env);
}
