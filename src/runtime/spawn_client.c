/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/spawn_client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "sys/fdpass.h"

#define CONTROL_FD 3

/* posix_spawn shares memory with the child until exec: a fork would copy the page tables of a large
 * daemon. */
static int spawn(const char *program, int control, pid_t *ret) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int r = posix_spawn_file_actions_init(&actions);
    if (r)
        return -r;
    r = posix_spawnattr_init(&attr);
    if (r) {
        posix_spawn_file_actions_destroy(&actions);
        return -r;
    }
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    char *const argv[] = {(char *)"fence-spawner", NULL};
    char *envp[] = {NULL, NULL};
    /* The one variable that changes what a set-up process does; for tests. */
    const char *old = getenv("FENCE_FORCE_OLD_OVERLAY");
    auto_free char *assignment = old ? xasprintf("FENCE_FORCE_OLD_OVERLAY=%s", old) : NULL;
    envp[0] = assignment;
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    /* adddup2 onto itself clears the close-on-exec flag as well. */
    r = posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
    if (!r)
        r = posix_spawn(ret, program, &actions, &attr, argv, envp);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

int spawner_start(const char *program, struct spawner *ret, struct err *e) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, errno, "socketpair");
    auto_fd ours = pair[0], theirs = pair[1];
    pid_t pid;
    int r = spawn(program, theirs, &pid);
    if (r < 0)
        return err_sys(e, r, "failed to start %s", program);
    ret->control = take_fd(&ours);
    ret->pid = pid;
    return 0;
}

void spawner_stop(struct spawner *s) {
    s->control = fd_close(s->control);
    if (s->pid <= 0)
        return;
    (void)kill(s->pid, SIGKILL); /* ended already: fine */
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    s->pid = 0;
}

int spawner_request(int control, int request_fd, int conn_fd, const struct spawn_joins *joins,
                    struct err *e) {
    struct spawn_msg m = {.magic = SPAWN_MAGIC,
                          .version = SPAWN_VERSION,
                          .join_net = joins->net >= 0,
                          .join_ipc = joins->ipc >= 0,
                          .join_pid = joins->pid >= 0,
                          .join_exec = joins->exec >= 0};
    int fds[6] = {conn_fd, request_fd};
    size_t n = 2;
    const int pidfds[] = {joins->net, joins->ipc, joins->pid, joins->exec};
    for (size_t i = 0; i < 4; i++)
        if (pidfds[i] >= 0)
            fds[n++] = pidfds[i];
    int r = fdpass_send(control, &m, sizeof(m), fds, n);
    return r < 0 ? err_sys(e, r, "failed to reach the spawner") : 0;
}

int spawn_request_fd(const struct rt_request *req, struct err *e) {
    auto_fd fd = memfd_create("request", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "memfd_create");
    auto_free char *text = field_to_text(&rt_request_table, req);
    int r = io_write_all(fd, text, strlen(text));
    return r < 0 ? err_sys(e, r, "failed to write the request") : take_fd(&fd);
}
