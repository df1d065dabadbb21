/* SPDX-License-Identifier: Apache-2.0 */
/* The set-up process A: reads the request, carries it out, tells what went wrong. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"
#include "monitor/protocol.h"
#include "runtime/setup.h"
#include "sys/clone.h"
#include "sys/fdpass.h"

static bool makes_process(const struct rt_request *q) {
    return !str_eq(q->op, "connect") && !str_eq(q->op, "disconnect") && !str_eq(q->op, "netd");
}

static int read_request(int fd, struct rt_request *ret, struct err *e) {
    auto_buf text = {.max = JSON_SIZE_MAX};
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, errno, "failed to rewind the request");
    int r = io_read_to_end(fd, &text);
    if (r < 0)
        return err_sys(e, r, "failed to read the request");
    r = field_parse_text(&rt_request_table, buf_str(&text), text.len, ret, e);
    if (r < 0)
        return r;
    if (str_empty(ret->id))
        return err_set(e, ERR_INVALID, "request without id");
    if (!makes_process(ret))
        return 0;
    if (str_empty(ret->state_dir) || str_empty(ret->monitor))
        return err_set(e, ERR_INVALID, "request without stateDir or monitor");
    return 0;
}

/* What Docker's daemon answers as a client's mistake. */
static bool is_clients_mistake(int errnum) {
    return errnum == ENOENT || errnum == EACCES || errnum == ENOTDIR;
}

/* Docker's layers each put their words around an error, and clients look for some of them. */
static void wrap_error(const struct setup *s, enum sync_kind kind, struct err *e) {
    if (kind == SYNC_TEXT_PLAIN)
        return;
    auto_free char *text = xstrdup(err_msg(e));
    const char *during = kind == SYNC_TEXT_INIT ? "error during container init: " : "";
    const char *start = s->is_exec
                            ? "OCI runtime exec failed: exec failed"
                            : "failed to create task for container: failed to create shim task: "
                              "OCI runtime create failed: runc create failed";
    int errnum = e->errnum;
    const char *advice = errnum == ENOTDIR && str_starts(text, "error mounting ")
                             ? ": Are you trying to mount a directory onto a file (or vice-versa)? "
                               "Check if the specified host path exists and is the expected type"
                             : "";
    enum err_class class =
        e->class == ERR_SYSTEM && is_clients_mistake(errnum) ? ERR_INVALID : e->class;
    err_done(e);
    err_set(e, class, "%s: unable to start container process: %s%s: unknown%s", start, during, text,
            advice);
    e->errnum = errnum;
}

/* Messages left unread would reset the connection, and the daemon would see that first. */
static void end_conversation(int conn) {
    char text[MON_TEXT_MAX];
    (void)shutdown(conn, SHUT_RD);
    ssize_t got;
    do {
        int fds[FDPASS_MAX];
        size_t n_fds = FDPASS_MAX;
        got = fdpass_recv(conn, text, sizeof(text), fds, &n_fds);
        for (size_t i = 0; got >= 0 && i < n_fds; i++)
            close(fds[i]);
    } while (got > 0 || got == -EMSGSIZE);
}

static _Noreturn void tell_done(int conn) {
    struct mon_msg m = {.magic = MON_MAGIC, .version = MON_VERSION, .type = MON_DONE};
    (void)fdpass_send(conn, &m, sizeof(m), NULL, 0); /* the daemon has gone: nobody to tell */
    _exit(0);
}

static void tell_failed(int conn, const struct err *e) {
    char text[MON_TEXT_MAX];
    const char *class = err_class_name(e->class), *message = err_msg(e);
    size_t n = strlen(class) + 1;
    memcpy(text, class, n);
    size_t len = strnlen(message, sizeof(text) - n - 1);
    memcpy(text + n, message, len);
    text[n + len] = '\0';
    struct mon_msg m = {.magic = MON_MAGIC,
                        .version = MON_VERSION,
                        .type = MON_FAILED,
                        .status = e->errnum,
                        .text_len = (uint32_t)(n + len)};
    struct iovec iov[] = {{&m, sizeof(m)}, {text, m.text_len}};
    (void)fdpass_sendv(conn, iov, 2, NULL, 0); /* the daemon has gone: nobody to tell */
    end_conversation(conn);
}

void setup_tell_no_process(int conn, int errnum) {
    auto_err e = ERR_INIT;
    err_sys(&e, errnum, "failed to create task for container: cannot fork a set-up process");
    tell_failed(conn, &e);
}

_Noreturn void setup_main(const struct rt_host *host, int conn, int request, const int join[4]) {
    struct setup *s = xnew(struct setup);
    *s = (struct setup){
        .host = host,
        .conn = conn,
        .join_net = join[0],
        .join_ipc = join[1],
        .join_pid = join[2],
        .join_exec = join[3],
        .map = {.userns_fd = -1},
        .stdio = {{-1, -1}, {-1, -1}, {-1, -1}},
        .null = -1,
        .sync = -1,
        .sync_child = -1,
        .pidfd = -1,
        .tty = -1,
        .listener = -1,
        .overlay = -1,
        .state_dir = -1,
        .monitor_socket = -1,
        .net_ns = -1,
        .names = -1,
        .host_nl = -1,
        .maker = getpid(),
    };
    auto_err e = ERR_INIT;
    enum sync_kind kind = SYNC_TEXT_PROCESS;
    cgroup_init(&s->cgroup);
    field_init(&rt_request_table, &s->request);
    signals_reset();
    (void)umask(022);
    (void)setsid(); /* a session of its own: nothing that ends the daemon's session ends it */
    /* Nobody inside a container that we join or make shall trace us or open our descriptors. */
    int r = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? err_sys(&e, errno, "prctl") : 0;
    if (r >= 0)
        r = read_request(request, &s->request, &e);
    fd_close(request);
    if (r >= 0)
        r = makes_process(&s->request) ? setup_open_state(s, &e) : setup_check_daemon(s, &e);
    if (r >= 0 && !makes_process(&s->request)) {
        kind = SYNC_TEXT_PLAIN;
        r = str_eq(s->request.op, "netd")      ? setup_netd(s, &e)
            : str_eq(s->request.op, "connect") ? setup_connect(s, &e)
                                               : setup_disconnect(s, &e);
        if (r >= 0)
            tell_done(conn);
    } else if (r >= 0) {
        if (str_eq(s->request.op, "create"))
            r = setup_create(s, &kind, &e);
        else if (str_eq(s->request.op, "exec"))
            r = setup_exec(s, &kind, &e);
        else
            r = err_set(&e, ERR_INVALID, "unknown operation \"%s\"", str_or_empty(s->request.op));
    }
    wrap_error(s, kind, &e);
    tell_failed(conn, &e);
    _exit(1);
}
