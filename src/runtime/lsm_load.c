/* SPDX-License-Identifier: Apache-2.0 */

/* Loading the default AppArmor profile, once at the daemon's start. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/lsm.h"

#define PARSER_OUTPUT_MAX 4096

static const char *find_parser(void) {
    static const char *const places[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser",
                                         "/usr/bin/apparmor_parser"};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

char *lsm_apparmor_default_text(const char *name, const char *daemon_profile) {
    auto_buf b = BUF_INIT;

    if (access("/etc/apparmor.d/tunables/global", F_OK) == 0)
        (void)buf_puts(&b, "#include <tunables/global>\n\n");
    else
        (void)buf_puts(&b, "@{PROC}=/proc/\n\n");
    (void)buf_printf(&b, "profile %s flags=(attach_disconnected,mediate_deleted) {\n", name);
    if (access("/etc/apparmor.d/abstractions/base", F_OK) == 0)
        (void)buf_puts(&b, "  #include <abstractions/base>\n\n");
    (void)buf_printf(&b,
                     "  network,\n  capability,\n  file,\n  umount,\n\n"
                     "  # signals come from outside, from the engine, and from each other\n"
                     "  signal (receive) peer=unconfined,\n"
                     "  signal (receive) peer=%s,\n"
                     "  signal (send,receive) peer=%s,\n\n"
                     "  # of /proc: the files of processes and sys/kernel/shm* may be written\n"
                     "  deny @{PROC}/* w,\n"
                     "  deny @{PROC}/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],"
                     "[^1-9][^0-9][^0-9][^0-9/]*}/** w,\n"
                     "  deny @{PROC}/sys/[^k]** w,\n"
                     "  deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,\n"
                     "  deny @{PROC}/sysrq-trigger rwklx,\n"
                     "  deny @{PROC}/kcore rwklx,\n\n"
                     "  deny mount,\n\n"
                     "  # of /sys: only fs/cgroup\n"
                     "  deny /sys/[^f]*/** wklx,\n"
                     "  deny /sys/f[^s]*/** wklx,\n"
                     "  deny /sys/fs/[^c]*/** wklx,\n"
                     "  deny /sys/fs/c[^g]*/** wklx,\n"
                     "  deny /sys/fs/cg[^r]*/** wklx,\n"
                     "  deny /sys/firmware/** rwklx,\n"
                     "  deny /sys/devices/virtual/powercap/** rwklx,\n"
                     "  deny /sys/kernel/security/** rwklx,\n\n"
                     "  ptrace (trace,read,tracedby,readby) peer=%s,\n"
                     "}\n",
                     daemon_profile, name, name);
    return buf_take(&b);
}

/* What this process runs under: the peer that container processes take signals from. */
static char *own_profile(void) {
    auto_buf text = {.max = 4096};
    char *blank;

    if (io_read_file_at(AT_FDCWD, "/proc/self/attr/apparmor/current", &text) < 0 &&
        io_read_file_at(AT_FDCWD, "/proc/self/attr/current", &text) < 0)
        return xstrdup("unconfined");
    blank = text.data ? strpbrk(text.data, " \n") : NULL;
    if (blank)
        *blank = '\0';
    return xstrdup(str_empty(buf_str(&text)) ? "unconfined" : buf_str(&text));
}

static int run_parser(const char *parser, const char *file, struct err *e) {
    const char *const argv[] = {parser, "-Kr", file, NULL};
    char *const env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", NULL};
    posix_spawn_file_actions_t actions;
    auto_buf output = {.max = PARSER_OUTPUT_MAX};
    auto_fd from = -1;
    int p[2], status = 0, r;
    pid_t pid = 0;

    if (pipe2(p, O_CLOEXEC) < 0)
        return err_sys(e, errno, "pipe");
    from = p[0];
    r = posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, p[1], STDOUT_FILENO);
        if (r == 0)
            r = posix_spawn_file_actions_adddup2(&actions, p[1], STDERR_FILENO);
        if (r == 0)
            r = posix_spawn(&pid, parser, &actions, NULL, (char *const *)argv, env);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    fd_close(p[1]);
    if (r != 0)
        return err_sys(e, r, "running `%s`", parser);
    r = io_read_to_end(from, &output);
    if (r < 0 && r != -EFBIG)
        (void)kill(pid, SIGKILL);
    from = fd_close(from); /* a parser with more to say than we take ends by SIGPIPE */
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(e, errno, "wait for %s", parser);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, ERR_SYSTEM,
                       "running `%s -Kr %s` failed with output: %s\nerror: exit status %d", parser,
                       file, buf_str(&output), WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}

int lsm_apparmor_load_default(const struct lsm_host *h, const char *tmp_dir, struct err *e) {
    auto_free char *file = NULL, *text = NULL, *daemon_profile = NULL;
    const char *parser;
    int r;

    if (!h->apparmor || lsm_apparmor_is_loaded(LSM_APPARMOR_DEFAULT))
        return 0;
    parser = find_parser();
    if (!parser)
        return err_set(e, ERR_SYSTEM,
                       "AppArmor enabled on system but the %s profile could not be loaded: "
                       "apparmor_parser not found",
                       LSM_APPARMOR_DEFAULT);
    daemon_profile = own_profile();
    text = lsm_apparmor_default_text(LSM_APPARMOR_DEFAULT, daemon_profile);
    file = xasprintf("%s/apparmor-%s", tmp_dir, LSM_APPARMOR_DEFAULT);
    r = io_replace_file_at(AT_FDCWD, file, text, strlen(text), 0600);
    if (r < 0)
        return err_sys(e, r, "write %s", file);
    r = run_parser(parser, file, e);
    if (r < 0)
        err_wrap(e, "AppArmor enabled on system but the %s profile could not be loaded",
                 LSM_APPARMOR_DEFAULT);
    (void)unlink(file);
    return r;
}
