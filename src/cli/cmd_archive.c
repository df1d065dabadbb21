/* SPDX-License-Identifier: Apache-2.0 */
/* Archives in and out: load, save, import, export, and commit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/create.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag load_flags[] = {
    {.name = "input", .shorthand = 'i', .type = FLAG_STRING, .usage = "Read from tar archive file, instead of STDIN"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"},
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Suppress the load output"},
    {.name = NULL},
};
static const struct flag save_flags[] = {
    {.name = "output", .shorthand = 'o', .type = FLAG_STRING, .usage = "Write to a file, instead of STDOUT"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"},
    {.name = NULL},
};
static const struct flag export_flags[] = {
    {.name = "output", .shorthand = 'o', .type = FLAG_STRING, .usage = "Write to a file, instead of STDOUT"},
    {.name = NULL},
};
static const struct flag import_flags[] = {
    {.name = "change", .shorthand = 'c', .type = FLAG_LIST, .usage = "Apply Dockerfile instruction to the created image"},
    {.name = "message", .shorthand = 'm', .type = FLAG_STRING, .usage = "Set commit message for imported image"},
    {.name = "platform", .type = FLAG_STRING, .usage = "Set platform if server is multi-platform capable"},
    {.name = NULL},
};
static const struct flag commit_flags[] = {
    {.name = "author", .shorthand = 'a', .type = FLAG_STRING, .usage = "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"},
    {.name = "change", .shorthand = 'c', .type = FLAG_LIST, .usage = "Apply Dockerfile instruction to the created image"},
    {.name = "message", .shorthand = 'm', .type = FLAG_STRING, .usage = "Commit message"},
    {.name = "pause", .shorthand = 'p', .type = FLAG_BOOL, .usage = "Pause container during commit", .shown = "true", .initial = "true"},
    {.name = NULL},
};
/* clang-format on */

/* Opens a file to read, stdin for "" and "-". */
static int open_input(const char *path, int *ret, struct err *e) {
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

/* {"platform":...} as the API wants it: {"os":"linux","architecture":"amd64"}. */
static void add_platform(struct buf *query, const char *platform) {
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
    query_add(query, "platform", buf_str(&json));
}

static int send_stream(struct cli *cli, struct exchange *x, struct request *request, int fd,
                       struct err *e) {
    struct fd_reader in;
    int r;

    fd_reader_init(&in, fd, UINT64_MAX);
    request->stream = &in.base;
    r = exchange_send(x, &cli->client, request, e);
    if (r == 0)
        r = exchange_recv(x, e);
    if (r == 0)
        r = exchange_check(x, e);
    return r;
}

static int cmd_load(struct cli *cli, const struct args *a, struct err *e) {
    const char *input = flag_str(&a->flags, "input");
    bool quiet = flag_bool(&a->flags, "quiet");
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT;
    struct request request = {
        .method = "POST", .path = "/images/load", .content_type = "application/x-tar"};
    auto_fd fd = -1;
    int r;

    if (a->argc > 0 && !str_eq(a->argv[0], "-"))
        return err_set(e, ERR_INVALID, "'%s' accepts no arguments", a->path);
    if (!*input && isatty(STDIN_FILENO) == 1)
        return err_set(e, ERR_INVALID, "requested load from stdin, but stdin is empty");
    r = open_input(input, &fd, e);
    if (r < 0)
        return r;
    if (quiet || isatty(STDOUT_FILENO) != 1)
        query_add(&query, "quiet", "1");
    add_platform(&query, flag_str(&a->flags, "platform"));
    request.query = buf_str(&query);
    r = send_stream(cli, &x, &request, fd, e);
    return r < 0 ? r : show_progress(&x, STDOUT_FILENO, false, e);
}

const struct command command_load = {
    .use = "[OPTIONS]",
    .summary = "Load an image from a tar archive or STDIN",
    .aliases = "image load, load",
    .flags = load_flags,
    .max_args = 1, /* an old spelling: load - */
    .run = cmd_load,
};

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
        return err_set(e, ERR_INVALID, "invalid output path: stat %s: %s", path, strerror(errno));
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

static int receive(struct cli *cli, const char *path, const char *query, const char *output,
                   struct err *e) {
    auto_exchange x = EXCHANGE_INIT;
    struct request request = {.method = "GET", .path = path, .query = query};
    struct exchange_reader from;
    struct fd_writer to;
    int64_t n;
    int r = exchange_send(&x, &cli->client, &request, e);

    if (r == 0)
        r = exchange_recv(&x, e);
    if (r == 0)
        r = exchange_check(&x, e);
    if (r < 0)
        return r;
    if (*output)
        return receive_file(&x, output, e);
    exchange_reader_init(&from, &x);
    fd_writer_init(&to, STDOUT_FILENO);
    n = reader_copy(&from.base, &to.base);
    return n < 0 ? err_sys(e, (int)-n, "write /dev/stdout") : 0;
}

static int cmd_save(struct cli *cli, const struct args *a, struct err *e) {
    const char *output = flag_str(&a->flags, "output");
    auto_buf query = BUF_INIT;

    if (!*output && isatty(STDOUT_FILENO) == 1)
        return err_set(e, ERR_INVALID,
                       "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    for (int i = 0; i < a->argc; i++)
        query_add(&query, "names", a->argv[i]);
    add_platform(&query, flag_str(&a->flags, "platform"));
    return receive(cli, "/images/get", buf_str(&query), output, e);
}

const struct command command_save = {
    .use = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Save one or more images to a tar archive (streamed to STDOUT by default)",
    .aliases = "image save, save",
    .flags = save_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_save,
    .completes = "image",
};

static int cmd_export(struct cli *cli, const struct args *a, struct err *e) {
    auto_free char *path = path_join("/containers/", a->argv[0], "/export");
    const char *output = flag_str(&a->flags, "output");

    if (!*output && isatty(STDOUT_FILENO) == 1)
        return err_set(e, ERR_INVALID,
                       "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    return receive(cli, path, NULL, output, e);
}

const struct command command_export = {
    .use = "[OPTIONS] CONTAINER",
    .summary = "Export a container's filesystem as a tar archive",
    .aliases = "container export, export",
    .flags = export_flags,
    .min_args = 1,
    .max_args = 1,
    .run = cmd_export,
    .completes = "container",
};

static int cmd_import(struct cli *cli, const struct args *a, struct err *e) {
    const char *source = a->argc > 0 ? a->argv[0] : "-"; /* none: an old spelling of "-" */
    bool remote = str_starts(source, "http://") || str_starts(source, "https://");
    auto_exchange x = EXCHANGE_INIT;
    auto_buf query = BUF_INIT;
    struct request request = {.method = "POST", .path = "/images/create"};
    auto_fd fd = -1;
    int r;

    strv_for_each (change, flag_list(&a->flags, "change"))
        query_add(&query, "changes", change);
    query_add(&query, "fromSrc", remote ? source : "-");
    if (*flag_str(&a->flags, "message"))
        query_add(&query, "message", flag_str(&a->flags, "message"));
    if (*flag_str(&a->flags, "platform"))
        query_add(&query, "platform", flag_str(&a->flags, "platform"));
    if (a->argc > 1)
        query_add(&query, "repo", a->argv[1]);
    request.query = buf_str(&query);
    if (remote) {
        r = exchange_send(&x, &cli->client, &request, e);
        if (r == 0)
            r = exchange_recv(&x, e);
        if (r == 0)
            r = exchange_check(&x, e);
    } else {
        r = open_input(source, &fd, e);
        if (r < 0)
            return r;
        request.content_type = "text/plain";
        r = send_stream(cli, &x, &request, fd, e);
    }
    return r < 0 ? r : show_progress(&x, STDOUT_FILENO, false, e);
}

const struct command command_import = {
    .use = "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    .summary = "Import the contents from a tarball to create a filesystem image",
    .aliases = "image import, import",
    .flags = import_flags,
    .max_args = 2,
    .run = cmd_import,
};

static int cmd_commit(struct cli *cli, const struct args *a, struct err *e) {
    const struct flags *f = &a->flags;
    auto_free char *repo = NULL, *tag = NULL;
    auto_buf query = BUF_INIT;
    auto_json *answer = NULL;
    int r = split_reference(a->argc > 1 ? a->argv[1] : "", &repo, &tag, e);

    if (r < 0)
        return r;
    query_add(&query, "author", flag_str(f, "author"));
    strv_for_each (change, flag_list(f, "change"))
        query_add(&query, "changes", change);
    query_add(&query, "comment", flag_str(f, "message"));
    query_add(&query, "container", a->argv[0]);
    if (!flag_bool(f, "pause"))
        query_add(&query, "pause", "0");
    query_add(&query, "repo", repo);
    query_add(&query, "tag", tag);
    r = client_post_json(&cli->client, "/commit", buf_str(&query), NULL, &answer, e);
    if (r < 0)
        return r;
    put_line("%s", str_or_empty(jsn_str(answer, "Id")));
    return 0;
}

const struct command command_commit = {
    .use = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    .summary = "Create a new image from a container's changes",
    .aliases = "container commit, commit",
    .flags = commit_flags,
    .min_args = 1,
    .max_args = 2,
    .run = cmd_commit,
    .completes = "container",
};
