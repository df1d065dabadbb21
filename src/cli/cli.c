/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/config.h"

const struct flag no_flags[] = {{.name = NULL}};

/* clang-format off */
const struct flag root_flags[] = {
    {.name = "config", .type = FLAG_STRING, .usage = "Location of client config files"},
    {.name = "context", .shorthand = 'c', .type = FLAG_STRING, .usage = "Name of the context to use to connect to the daemon (overrides DOCKER_HOST env var and default context set with \"docker context use\")"},
    {.name = "debug", .shorthand = 'D', .type = FLAG_BOOL, .usage = "Enable debug mode"},
    {.name = "host", .shorthand = 'H', .type = FLAG_LIST, .usage = "Daemon socket to connect to"},
    {.name = "log-level", .shorthand = 'l', .type = FLAG_STRING, .usage = "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")", .shown = "\"info\"", .initial = "info"},
    {.name = "tls", .type = FLAG_BOOL, .usage = "Use TLS; implied by --tlsverify"},
    {.name = "tlscacert", .type = FLAG_STRING, .usage = "Trust certs signed only by this CA"},
    {.name = "tlscert", .type = FLAG_STRING, .usage = "Path to TLS certificate file"},
    {.name = "tlskey", .type = FLAG_STRING, .usage = "Path to TLS key file"},
    {.name = "tlsverify", .type = FLAG_BOOL, .usage = "Use TLS and verify the remote"},
    {.name = "version", .shorthand = 'v', .type = FLAG_BOOL, .usage = "Print version information and quit"},
    {.name = NULL},
};
/* clang-format on */

static const struct command_entry *find(const struct command_entry *table, const char *name) {
    for (const struct command_entry *e = table; e->name; e++)
        if (strcmp(e->name, name) == 0)
            return e;
    return NULL;
}

/* What names a context: --context, DOCKER_CONTEXT, and the configuration's choice. That one is made
 * for docker, whose contexts are not ours unless we are called so. NULL: none does. */
static const char *context_name(const struct cli *cli, const struct flags *root, bool has_host) {
    const char *name = flag_str(root, "context");

    if (!*name && !has_host) {
        name = getenv("DOCKER_CONTEXT");
        if (str_empty(name) && cli->as_docker)
            name = config_str(cli, "currentContext");
    }
    return str_empty(name) ? NULL : name;
}

/* -H wins over --context's absence, and both over the environment; the name that we are called by
 * decides whose environment it is. *ret is owned by the caller; *ret_tls is set when the context
 * has certificates. */
static int choose_host(struct cli *cli, const struct flags *root, char **ret,
                       struct client_tls *ret_tls, bool *ret_has_tls, struct err *e) {
    char *const *hosts = flag_list(root, "host");
    const char *host = NULL, *context;
    char *found = NULL;
    int r = 0;

    if (strv_len(hosts) > 1)
        return err_set(e, ERR_INVALID, "specify only one -H");
    if (hosts && *flag_str(root, "context"))
        return err_set(e, ERR_INVALID,
                       "conflicting options: cannot specify both --host and --context");
    if (hosts && *hosts[0])
        host = hosts[0];
    if (!host && !cli->as_docker)
        host = getenv("FENCE_HOST");
    if (str_empty(host))
        host = getenv("DOCKER_HOST");
    context = context_name(cli, root, !str_empty(host));
    if (context)
        r = config_context(cli, context, &found, ret_tls, ret_has_tls, e);
    if (r < 0)
        return r;
    cli->context = xstrdup(found ? context : "default");
    if (context)
        host = NULL; /* --context: the environment does not count */
    if (str_empty(host))
        host = cli->as_docker ? "unix:///var/run/docker.sock" : "unix:///run/fence.sock";
    *ret = found ? found : xstrdup(host);
    return 0;
}

/* A file of --tlscacert and the like, or one of the folder's; NULL when that is not there. */
static char *tls_file(const struct flags *root, const char *flag, const char *dir,
                      const char *name) {
    char *path;

    if (flag_changed(root, flag))
        return xstrdup(flag_str(root, flag));
    path = xasprintf("%s/%s", dir, name);
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* docker's rules: --tls takes any server, --tlsverify and DOCKER_TLS_VERIFY one that ca.pem vouches
 * for; the files are in DOCKER_CERT_PATH, or where the configuration is. 1: TLS is to be used. */
static int choose_tls(const struct cli *cli, const struct flags *root, struct client_tls *ret,
                      struct err *e) {
    const char *env = getenv("DOCKER_TLS_VERIFY"), *dir = getenv("DOCKER_CERT_PATH");
    bool verify = flag_changed(root, "tlsverify") ? flag_bool(root, "tlsverify") : !str_empty(env);
    const char *plain = getenv("DOCKER_TLS");
    bool tls = verify || flag_bool(root, "tls") || !str_empty(plain);
    struct client_tls t = {.verify = verify};

    if (!tls && (flag_changed(root, "tlscacert") || flag_changed(root, "tlscert") ||
                 flag_changed(root, "tlskey")))
        return err_set(e, ERR_INVALID,
                       "--tlscacert, --tlscert and --tlskey need --tls or --tlsverify");
    if (!tls)
        return 0;
    if (str_empty(dir))
        dir = cli->config_dir;
    t.ca = tls_file(root, "tlscacert", dir, "ca.pem");
    t.cert = tls_file(root, "tlscert", dir, "cert.pem");
    t.key = tls_file(root, "tlskey", dir, "key.pem");
    if (verify && !t.ca) {
        client_tls_done(&t);
        return err_set(e, ERR_INVALID,
                       "could not read CA certificate \"%s/ca.pem\": open %s/ca.pem: no such file "
                       "or directory",
                       dir, dir);
    }
    *ret = t;
    return 1;
}

static int connect_client(struct cli *cli, const struct flags *root, struct err *e) {
    __attribute__((cleanup(client_tls_done))) struct client_tls tls = {0};
    auto_free char *host = NULL;
    bool with_tls = false;
    int r = choose_host(cli, root, &host, &tls, &with_tls, e);

    if (r == 0 && !with_tls) {
        r = choose_tls(cli, root, &tls, e);
        with_tls = r == 1;
    }
    if (r >= 0)
        r = client_init(&cli->client, host, cli->as_docker ? "Docker" : "Fence",
                        with_tls ? &tls : NULL, e);
    if (r == 0)
        cli->client.headers = config_headers(cli);
    return r;
}

static void usage_error(const struct args *a, const char *text, const char *hint) {
    auto_buf line = BUF_INIT;

    help_usage_line(a, &line);
    fprintf(stderr, "%s\n\n%s\n%s '%s --help' for more information\n", text, buf_str(&line), hint,
            a->path);
}

/* docker's words for a wrong number of operands. */
static int check_operands(const struct cli *cli, const struct args *a) {
    const struct command *c = a->cmd;
    auto_free char *what = NULL, *text = NULL;
    const char *hint = "Run";

    if (a->argc >= c->min_args && (c->max_args == ARGS_ANY || a->argc <= c->max_args))
        return 0;
    if (c->max_args == 0) {
        what = xstrdup("accepts no arguments");
    } else if (c->max_args == ARGS_ANY) {
        hint = "See";
        what =
            xasprintf("requires at least %d argument%s", c->min_args, c->min_args == 1 ? "" : "s");
    } else if (c->min_args == c->max_args) {
        what = xasprintf("requires %d argument%s", c->min_args, c->min_args == 1 ? "" : "s");
    } else if (c->min_args == 0) {
        what =
            xasprintf("requires at most %d argument%s", c->max_args, c->max_args == 1 ? "" : "s");
    } else {
        what = xasprintf("requires at least %d and at most %d arguments", c->min_args, c->max_args);
    }
    text = xasprintf("%s: '%s' %s", cli->prog, a->path, what);
    usage_error(a, text, hint);
    return 1;
}

/* Nobody reads any more ("fence logs x | head"): the end that the signal would have been, which is
 * not an error to tell. Writes are checked all the same, for terminals must be put right first. */
static void end_of_pipe(int errnum) {
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    if (errnum != EPIPE || poll(&out, 1, 0) != 1 || !(out.revents & POLLERR))
        return;
    (void)signal(SIGPIPE, SIG_DFL);
    (void)raise(SIGPIPE); /* a parent may have blocked it: then the error is told */
}

static int finish(int r, struct err *e) {
    if (fflush(stdout) != 0 || ferror(stdout)) {
        auto_free char *reason = err_errno_text(errno);

        end_of_pipe(errno);
        fprintf(stderr, "write /dev/stdout: %s\n", reason);
        return 1;
    }
    if (r < 0 && e)
        end_of_pipe(e->errnum);
    if (r < 0 || (e && e->msg))
        fprintf(stderr, "%s\n", err_msg(e));
    return r < 0 ? 1 : r;
}

static int run_command(struct cli *cli, const struct command *cmd, const char *path, int argc,
                       char **argv, const struct flags *root) {
    struct args a = {.cmd = cmd, .path = path};
    auto_err e = ERR_INIT;
    auto_strv operands = NULL;
    int index = 0, r;

    flags_init(&a.flags, cmd->flags);
    r = flags_parse(&a.flags, argc, argv, &index, !cmd->stop_at_operand, &operands, &e);
    if (r == 0 && flag_exists(&a.flags, "help") && flag_bool(&a.flags, "help"))
        r = 1;
    a.argc = (int)strv_len(operands);
    a.argv = operands;
    if (r == 1) {
        help_command(cli, &a);
        r = finish(0, &e);
    } else if (r < 0) {
        usage_error(&a, err_msg(&e), "Run");
        r = EXIT_USAGE;
    } else if (check_operands(cli, &a) != 0) {
        r = 1;
    } else {
        r = connect_client(cli, root, &e);
        if (r == 0)
            r = cmd->run(cli, &a, &e);
        r = finish(r, &e);
    }
    flags_done(&a.flags);
    return r;
}

static int unknown_command(const struct cli *cli, const char *path, const char *name) {
    bool root = str_eq(path, cli->prog);
    auto_free char *usage = root ? NULL : xasprintf("Usage:  %s\n\n", path);

    fprintf(stderr, "%s: unknown command: %s %s\n\n%sRun '%s --help' for more information\n",
            cli->prog, path, name, root ? "" : usage, path);
    return 1;
}

/* Descends from `table` by the words of argv. */
static int dispatch(struct cli *cli, const struct command_entry *table,
                    const struct command_group *group, const char *path, int argc, char **argv,
                    const struct flags *root, bool help) {
    auto_free char *deeper = NULL;
    const struct command_entry *entry;

    if (argc == 0 || str_eq(argv[0], "--help") || str_eq(argv[0], "-h")) {
        if (group)
            help_group(path, group, argc > 0 ? stdout : stderr);
        else
            help_root(cli, argc > 0 ? stdout : stderr);
        return finish(0, NULL);
    }
    if (group && argv[0][0] == '-') {
        fprintf(stderr,
                "unknown %s: %s\n\nUsage:  %s COMMAND\n\nRun '%s --help' for more "
                "information\n",
                argv[0][1] == '-' ? "flag" : "shorthand flag", argv[0], path, path);
        return EXIT_USAGE;
    }
    entry = find(table, argv[0]);
    if (!entry)
        return unknown_command(cli, path, argv[0]);
    deeper = xasprintf("%s %s", path, entry->name);
    if (entry->group)
        return dispatch(cli, entry->group->entries, entry->group, deeper, argc - 1, argv + 1, root,
                        help);
    if (help) {
        const struct args a = {.cmd = entry->cmd, .path = deeper};

        help_command(cli, &a);
        return finish(0, NULL);
    }
    return run_command(cli, entry->cmd, deeper, argc - 1, argv + 1, root);
}

static bool is_log_level(const char *s) {
    static const char *const levels[] = {"debug", "info",  "warn",  "warning", "error",
                                         "fatal", "panic", "trace", NULL};

    return strv_has((char *const *)levels, s);
}

static int root_main(struct cli *cli, int argc, char **argv, struct flags *root) {
    auto_err e = ERR_INIT;
    int index = 1;
    int r = flags_parse(root, argc, argv, &index, false, NULL, &e);
    const char *config = NULL;

    if (r < 0) {
        fprintf(stderr,
                "%s\n\nUsage:  %s [OPTIONS] COMMAND [ARG...]\n\nRun '%s --help' for more "
                "information\n",
                err_msg(&e), cli->prog, cli->prog);
        return EXIT_USAGE;
    }
    if (r == 1) {
        help_root(cli, argc > 0 ? stdout : stderr);
        return finish(0, &e);
    }
    if (flag_bool(root, "version")) {
        printf("%s version %s, build %s\n", cli->as_docker ? "Docker" : "Fence", FENCE_VERSION,
               FENCE_VERSION);
        return finish(0, &e);
    }
    if (!is_log_level(flag_str(root, "log-level"))) {
        fprintf(stderr, "Unable to parse logging level: %s\n", flag_str(root, "log-level"));
        return 1;
    }
    cli->debug = flag_bool(root, "debug");
    config = flag_str(root, "config");
    if (!*config)
        config = getenv("DOCKER_CONFIG");
    cli->config_dir = str_empty(config)
                          ? xasprintf("%s/.docker", getenv("HOME") ? getenv("HOME") : "")
                          : xstrdup(config);
    config_load(cli);
    if (index < argc && str_eq(argv[index], "__complete")) {
        r = connect_client(cli, root, &e);
        return r < 0 ? 0 : finish(complete_words(cli, argc - index - 1, argv + index + 1), &e);
    }
    if (index < argc && str_eq(argv[index], "help"))
        return dispatch(cli, root_commands, NULL, cli->prog, argc - index - 1, argv + index + 1,
                        root, true);
    return dispatch(cli, root_commands, NULL, cli->prog, argc - index, argv + index, root, false);
}

int cli_main(int argc, char **argv) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "fence";
    struct cli cli = {.as_docker = str_eq(name, "docker")};
    struct flags root;
    int r;

    cli.prog = cli.as_docker ? "docker" : "fence";
    cli.client.idle_fd = -1;
    (void)signal(SIGPIPE, SIG_IGN); /* write errors are looked at */
    flags_init(&root, root_flags);
    r = root_main(&cli, argc, argv, &root);
    flags_done(&root);
    client_done(&cli.client);
    free(cli.config_dir);
    free(cli.context);
    json_object_put(cli.config);
    return r;
}
