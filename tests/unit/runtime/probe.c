/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that the container tests run inside: static, so that a root file system needs nothing
 * else. Each argument is an action, carried out in order; the output is made for comparisons.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *after(const char *s, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(s, prefix, n) ? NULL : s + n;
}

static void show_ids(void) {
    gid_t groups[64];
    int n = getgroups(64, groups);
    printf("%d:%d", (int)getuid(), (int)getgid());
    for (int i = 0; i < n; i++)
        printf("%c%d", i ? ',' : ' ', (int)groups[i]);
    printf("\n");
}

static void show_file(const char *path) {
    char data[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data));
    if (n < 0)
        printf("%s: %s\n", path, strerrorname_np(errno));
    else
        fwrite(data, 1, (size_t)n, stdout);
    if (fd >= 0)
        close(fd);
}

static void write_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    int r = fd < 0 ? -1 : (int)write(fd, "x", 1);
    printf("%s\n", r < 0 ? strerrorname_np(errno) : "written");
    if (fd >= 0)
        close(fd);
}

static void show_stat(const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0) {
        printf("%s: %s\n", path, strerrorname_np(errno));
        return;
    }
    printf("%s %o %d:%d", path, st.st_mode, (int)st.st_uid, (int)st.st_gid);
    if (S_ISCHR(st.st_mode))
        printf(" %u:%u", major(st.st_rdev), minor(st.st_rdev));
    printf("\n");
}

/* Every descriptor that is open beside the directory's own. */
static void show_fds(void) {
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    printf("\n");
}

/* Lines of /proc/self/status that begin with the name. */
static void show_status(const char *name) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[512];
    while (f && fgets(line, sizeof(line), f))
        if (after(line, name))
            fputs(line, stdout);
    if (f)
        fclose(f);
}

static void show_tty(void) {
    struct winsize size = {0};
    (void)ioctl(0, TIOCGWINSZ, &size);
    printf("tty %d %d %d %ux%u\n", isatty(0), isatty(1), isatty(2), size.ws_row, size.ws_col);
}

int main(int argc, char **argv, char **env) {
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v;
        char cwd[4096];
        if (!strcmp(a, "ids"))
            show_ids();
        else if (!strcmp(a, "fds"))
            show_fds();
        else if (!strcmp(a, "tty"))
            show_tty();
        else if (!strcmp(a, "cwd"))
            printf("%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : strerrorname_np(errno));
        else if (!strcmp(a, "env"))
            for (char **e = env; *e; e++)
                printf("%s\n", *e);
        else if (!strcmp(a, "pid"))
            printf("%d %d\n", (int)getpid(), (int)getppid());
        else if ((v = after(a, "cat=")))
            show_file(v);
        else if ((v = after(a, "write=")))
            write_file(v);
        else if ((v = after(a, "stat=")))
            show_stat(v);
        else if ((v = after(a, "status=")))
            show_status(v);
        else if ((v = after(a, "exit=")))
            return atoi(v);
        else if ((v = after(a, "sleep=")))
            sleep((unsigned)atoi(v));
        else
            return 99;
        fflush(stdout);
    }
    return 0;
}
