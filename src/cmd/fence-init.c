/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence-init -- program args: PID 1 of a container started with --init. Starts the program in a
 * process group of its own (in the foreground where there is a terminal), forwards every signal to
 * it, reaps whatever is left to it, and ends with the program's status.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE        2
#define EXIT_CANNOT_START 126
#define EXIT_NOT_FOUND    127

/* Signals that report an error of this program itself cannot be waited for. */
static int signals_block(sigset_t *ret_all, sigset_t *ret_before) {
    const int own[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t all;

    if (sigfillset(&all) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (sigdelset(&all, own[i]) < 0)
            return -errno;
    }
    /* Ignored rather than blocked, so that tcsetpgrp from the background succeeds. */
    if (sigdelset(&all, SIGTTIN) < 0 || sigdelset(&all, SIGTTOU) < 0 ||
        sigaction(SIGTTIN, &ignore, NULL) < 0 || sigaction(SIGTTOU, &ignore, NULL) < 0)
        return -errno;
    if (sigprocmask(SIG_SETMASK, &all, ret_before) < 0)
        return -errno;
    *ret_all = all;
    return 0;
}

static _Noreturn void program_start(char **argv, const sigset_t *mask) {
    const struct sigaction normal = {.sa_handler = SIG_DFL};
    int saved;

    if (setpgid(0, 0) < 0) {
        perror("fence-init: setpgid");
        _exit(EXIT_CANNOT_START);
    }
    /* ENOTTY, ENXIO: no terminal; EPERM: a terminal of another session. Neither is needed. */
    (void)tcsetpgrp(STDIN_FILENO, getpgrp());
    if (sigaction(SIGTTIN, &normal, NULL) < 0 || sigaction(SIGTTOU, &normal, NULL) < 0 ||
        sigprocmask(SIG_SETMASK, mask, NULL) < 0) {
        perror("fence-init: signals");
        _exit(EXIT_CANNOT_START);
    }
    (void)execvp(argv[0], argv);
    saved = errno;
    (void)fprintf(stderr, "fence-init: exec %s: %s\n", argv[0], strerror(saved));
    _exit(saved == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_START);
}

/* Reaps all that have ended; true and the exit code once the program is among them. */
static int reap(pid_t program, int *ret_code) {
    int found = 0, status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != program)
            continue;
        *ret_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        found = 1;
    }
    return found;
}

int main(int argc, char **argv) {
    char **program = argv + 1;
    sigset_t all, before;
    pid_t pid;
    int code = 0;

    if (argc > 1 && strcmp(argv[1], "--") == 0)
        program++;
    if (argc < 2 || !*program) {
        (void)fputs("usage: fence-init -- program [argument...]\n", stderr);
        return EXIT_USAGE;
    }
    if (signals_block(&all, &before) < 0) {
        perror("fence-init");
        return 1;
    }
    /* Where it is not PID 1 (pid namespace shared with another container) it reaps all the same. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid = fork();
    if (pid < 0) {
        perror("fence-init: fork");
        return 1;
    }
    if (pid == 0)
        program_start(program, &before);
    for (;;) {
        siginfo_t info;
        int sig = sigwaitinfo(&all, &info);

        if (sig < 0)
            continue; /* EINTR: stopped and continued */
        if (sig != SIGCHLD)
            (void)kill(pid, sig); /* ESRCH: about to be reaped */
        else if (reap(pid, &code))
            return code;
    }
}
