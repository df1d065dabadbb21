/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#define HELPER   "fence-tls"
#define LOCAL_FD 3
#define TEXT_MAX 4096

void client_tls_done(struct client_tls *t) {
    free(t->ca);
    free(t->cert);
    free(t->key);
    *t = (struct client_tls){0};
}

/* Beside this program (a build tree), else in ../libexec/fence. */
static char *find_helper(void) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    for (int i = 0; i < 2; i++) {
        char *path = xasprintf("%s/%s" HELPER, self, i == 0 ? "" : "../libexec/fence/");

        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static void child(const char *helper, char *const *argv, int local) {
    /* Its descriptor must not be closed by the exec, whatever number it has by now. */
    if (local != LOCAL_FD ? dup2(local, LOCAL_FD) >= 0 : fcntl(local, F_SETFD, 0) == 0)
        execve(helper, argv, environ); /* SSL_CERT_FILE */
    _exit(127);
}

/* The zero byte, or the text of a failure. */
static int greeting(int fd, const char *host, const char *port, struct err *e) {
    char text[TEXT_MAX];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof text - 1 &&
           (n = read(fd, text + len, len ? sizeof text - 1 - len : 1)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        len += (size_t)n;
        if (text[0] == '\0')
            return 0;
    }
    text[len] = '\0';
    return err_set(e, ERR_UNAVAILABLE, "error during connect: https://%s:%s: %s", host, port,
                   len ? text : "the TLS helper has ended");
}

int client_tls_dial(const struct client_tls *t, const char *host, const char *port, struct err *e) {
    auto_free char *helper = find_helper();
    int pair[2], r;
    pid_t pid;

    if (!helper)
        return err_set(e, ERR_NOT_IMPLEMENTED,
                       "TLS needs the program " HELPER ", which is not installed beside this one");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, errno, "socketpair");
    pid = fork();
    if (pid == 0) {
        const char *argv[] = {HELPER,
                              host,
                              port,
                              t->verify ? "verify" : "any",
                              str_or_empty(t->ca),
                              str_or_empty(t->cert),
                              str_or_empty(t->key),
                              NULL};

        child(helper, (char *const *)argv, pair[1]);
    }
    r = pid < 0 ? -errno : 0;
    fd_close(pair[1]);
    r = r < 0 ? err_sys(e, r, "fork") : greeting(pair[0], host, port, e);
    if (r < 0) {
        fd_close(pair[0]);
        if (pid > 0)
            (void)waitpid(pid, NULL, 0); /* it has said why */
        return r;
    }
    return pair[0];
}
