/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a set-up process: it tells that the container runs and becomes its monitor. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"
#include "monitor/protocol.h"
#include "runtime/setup.h"
#include "sys/clone.h"
#include "sys/fdpass.h"
#include "sys/path.h"
#include "sys/procfd.h"

#define SOCKET_NAME "monitor.sock"

/* Through the directory's descriptor: its path may be longer than an address holds. */
static int listen_in(int dir, struct err *e) {
    auto_fd fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, errno, "socket");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char base[PATH_FD_MAX];
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/" SOCKET_NAME, path_of_fd(dir, base));
    (void)unlinkat(dir, SOCKET_NAME, 0); /* of an earlier start */
    mode_t mask = umask(0177);
    int r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0 ? -errno
                                                                                            : 0;
    (void)umask(mask);
    return r < 0 ? err_sys(e, r, "failed to listen on " SOCKET_NAME) : take_fd(&fd);
}

/* Character devices whose nodes the container may make, beside the harmless ones that always are
 * served: "10:200,10:229". NULL: none. The devices control group checks their use again. */
static char *mknod_allowed(const struct oci_spec *spec) {
    auto_buf out = {.max = 4096};
    const struct oci_resources *res = spec->lin.resources;
    for (size_t i = 0; res && i < res->devices.count; i++) {
        const struct oci_device_rule *rule =
            field_array_at(&res->devices, struct oci_device_rule, i);
        /* Single devices only: a rule for a whole driver says nothing about which are harmless. */
        if (!rule->allow || !str_eq(rule->type, "c") || !rule->major.set || !rule->minor.set ||
            !strchr(str_or_empty(rule->access), 'm'))
            continue;
        buf_printf(&out, "%s%lld:%lld", out.len ? "," : "", (long long)rule->major.value,
                   (long long)rule->minor.value);
    }
    return out.len && !out.failed ? buf_take(&out) : NULL;
}

/* Strings are borrowed from the request, except mknod_allow and the vectors. */
static void fill_options(const struct setup *s, struct monitor_options *o) {
    const struct rt_request *req = &s->request;
    monitor_options_init(o);
    o->id = req->id;
    o->conn_fd = s->conn;
    o->listen_fd = s->monitor_socket;
    o->state_dir_fd = s->state_dir;
    o->pidfd = s->pidfd;
    o->pid = s->pid;
    o->start_time = s->start_time;
    o->stdin_fd = s->stdio.in[1];
    o->stdout_fd = s->stdio.out[0];
    o->stderr_fd = s->stdio.err[0];
    o->tty_fd = s->tty;
    o->open_stdin = req->open_stdin;
    o->stdin_once = req->stdin_once;
    o->seccomp_fd = s->listener;
    if (s->listener >= 0)
        o->mknod_allow = mknod_allowed(&req->spec);
    if (s->is_exec) {
        o->exec_id = req->exec_id;
        return;
    }
    o->overlay_fd = s->overlay;
    o->log_driver = req->log.driver;
    o->log_path = req->log.path;
    o->log_max_size = req->log.max_size;
    o->log_max_file = req->log.max_file;
    o->log_compress = req->log.compress;
    o->log_attrs = req->log.extra;
    if (s->cgroup.path) {
        o->cgroup_remove = cgroup_dirs(&s->cgroup);
        o->cgroup_memory = o->cgroup_remove ? o->cgroup_remove[0] : NULL;
    }
}

static int keep_descriptors(const struct monitor_options *o, int null) {
    const int kept[] = {o->conn_fd,   o->listen_fd, o->state_dir_fd, o->pidfd,      o->stdin_fd,
                        o->stdout_fd, o->stderr_fd, o->tty_fd,       o->overlay_fd, o->seccomp_fd};
    int r = fds_cloexec_from(3);
    for (size_t i = 0; r >= 0 && i < sizeof(kept) / sizeof(kept[0]); i++)
        if (kept[i] >= 0)
            r = fd_set_cloexec(kept[i], 0);
    for (int fd = 0; r >= 0 && fd < 3; fd++)
        if (dup2(null, fd) < 0)
            r = -errno;
    return r;
}

static int tell_started(const struct setup *s) {
    struct mon_msg m = {.magic = MON_MAGIC,
                        .version = MON_VERSION,
                        .type = MON_STARTED,
                        .pid = s->pid,
                        .start_time = s->start_time};
    return fdpass_send(s->conn, &m, sizeof(m), &s->pidfd, 1);
}

int setup_check_daemon(const struct setup *s, struct err *e) {
    struct pollfd conn = {.fd = s->conn};
    if (poll(&conn, 1, 0) > 0 && (conn.revents & (POLLHUP | POLLERR)))
        return err_set(e, ERR_UNAVAILABLE, "the daemon that asked for this process has ended");
    return 0;
}

int setup_open_state(struct setup *s, struct err *e) {
    const char *path = str_or_empty(s->request.state_dir);
    s->state_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->state_dir < 0)
        return err_sys(e, errno, "failed to open the state directory %s", path);
    return setup_check_daemon(s, e);
}

int setup_prepare_monitor(struct setup *s, struct err *e) {
    const struct rt_request *req = &s->request;
    if (access(req->monitor, X_OK) < 0)
        return err_sys(e, errno, "failed to find the monitor %s", req->monitor);
    (void)unlinkat(s->state_dir, "exit", 0); /* of an earlier start: it would be believed */
    int r = proc_start_time(s->pid, &s->start_time);
    if (r < 0)
        return err_sys(e, r, "failed to read the start time of process %d", (int)s->pid);
    s->monitor_socket = listen_in(s->state_dir, e);
    if (s->monitor_socket < 0)
        return s->monitor_socket;
    char text[64];
    snprintf(text, sizeof(text), "%d %lld\n", (int)s->pid, (long long)s->start_time);
    r = io_replace_file_at(s->state_dir, "pid", text, strlen(text), 0600);
    return r < 0 ? err_sys(e, r, "failed to write the pid file") : 0;
}

void setup_undo_monitor(struct setup *s) {
    if (s->state_dir < 0)
        return;
    (void)unlinkat(s->state_dir, SOCKET_NAME, 0); /* perhaps not made */
    (void)unlinkat(s->state_dir, "pid", 0);
}

int setup_hand_over(struct setup *s, struct err *e) {
    struct monitor_options o;
    fill_options(s, &o);
    char **argv = monitor_argv(&o);
    char *const envp[] = {NULL};
    int r = keep_descriptors(&o, s->null);
    if (r >= 0) {
        /* A daemon that has gone meanwhile finds the monitor by its socket. */
        (void)tell_started(s);
        execve(s->request.monitor, argv, envp);
        r = -errno;
    }
    err_sys(e, r, "failed to execute the monitor %s", s->request.monitor);
    strv_free(argv);
    strv_free(o.cgroup_remove);
    free(o.mknod_allow);
    return r;
}
