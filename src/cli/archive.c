/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/archive.h"
#include "cli/commands.h"
#include "format/json.h"

/* Opens a file to read, stdin for "" and "-". */
int archive_open_input(const char *path, int *ret, struct err *e) {
    int fd;

    if (!*path || str_eq(path, "-"))
        fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_INVALID, "open %s: %s", path,
                       errno == ENOENT ? "no such file or directory" : strerror(errno));
    *ret = fd;
    return 0;
}

/* "linux/amd64" as the API wants it: {"os":"linux","architecture":"amd64"}. */
static void add_platform(struct buf *query, const char *parameter, const char *platform) {
    auto_strv part = str_split(platform, '/');
    static const char *const names[] = {"os", "architecture", "variant"};
    auto_buf json = BUF_INIT;
    struct jw w;

    if (!part)
        return;
    jw_init(&w, &json);
    jw_object(&w);
    for (size_t i = 0; part[i] && i < 3; i++)
        jw_kstr(&w, names[i], part[i]);
    jw_end_object(&w);
    query_add(query, parameter, buf_str(&json));
}

void archive_add_platform(struct buf *query, const char *platform) {
    if (*platform)
        add_platform(query, "platform", platform);
}

void archive_add_platforms(struct buf *query, char *const *platforms) {
    strv_for_each (platform, platforms)
        add_platform(query, "platforms", platform);
}

int archive_send(struct cli *cli, struct exchange *x, struct request *request, int fd,
                 struct err *e) {
    struct fd_reader in;
    int r;

    fd_reader_init(&in, fd, UINT64_MAX);
    request->stream = &in.base;
    r = exchange_open(x, &cli->client, request, e);
    return r;
}

/* Into a temporary file beside the target, renamed when all is there. */
static int receive_file(struct exchange *x, const char *path, struct err *e) {
    auto_free char *temporary = xasprintf("%s.XXXXXX", path);
    struct exchange_reader from;
    struct fd_writer to;
    struct stat st;
    auto_fd fd = -1;
    int64_t n;

    exchange_reader_init(&from, x);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* a device or a pipe: straight into it */
        if (S_ISDIR(st.st_mode))
            return err_set(e, ERR_INVALID, "open %s: is a directory", path);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        free(temporary);
        temporary = NULL;
    } else {
        fd = mkostemp(temporary, O_CLOEXEC);
    }
    if (fd < 0)
        return err_sys(e, errno, "open %s", path);
    fd_writer_init(&to, fd);
    n = reader_copy(&from.base, &to.base);
    if (n < 0) {
        if (temporary)
            (void)unlink(temporary); /* what is left of a failure */
        return err_sys(e, (int)-n, "write %s", path);
    }
    if (temporary && (fchmod(fd, 0600) < 0 || rename(temporary, path) < 0)) {
        int errnum = errno;

        (void)unlink(temporary);
        return err_sys(e, errnum, "rename %s", path);
    }
    return 0;
}

int archive_check_output(const char *path, struct err *e) {
    auto_free char *copy = xstrdup(path);
    const char *folder = dirname(copy);
    struct stat st;

    return *path && stat(folder, &st) < 0
               ? err_sys(e, errno, "invalid output path: stat %s", folder)
               : 0;
}

int archive_receive(struct cli *cli, const char *path, const char *query, const char *output,
                    struct err *e) {
    auto_exchange x = EXCHANGE_INIT;
    struct request request = {.method = "GET", .path = path, .query = query};
    struct exchange_reader from;
    struct fd_writer to;
    int64_t n;
    int r = exchange_open(&x, &cli->client, &request, e);

    if (r < 0)
        return r;
    if (*output)
        return receive_file(&x, output, e);
    exchange_reader_init(&from, &x);
    fd_writer_init(&to, STDOUT_FILENO);
    n = reader_copy(&from.base, &to.base);
    return n < 0 ? err_sys(e, (int)-n, "write /dev/stdout") : 0;
}
