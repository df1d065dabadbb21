/* SPDX-License-Identifier: Apache-2.0 */

/* /containers/{id}/exec and /exec/{id} */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/containers.h"
#include "api/router.h"
#include "base/alloc.h"
#include "engine/exec.h"
#include "monitor/protocol.h"

static void create(struct api_call *c) {
    struct container *x = call_container(c);
    struct json_object *parsed = NULL;
    struct exec_config config;
    auto_err e = ERR_INIT;
    struct exec *made;
    char keys[32];
    size_t keys_len;
    auto_buf b = BUF_INIT;
    struct jw w;
    int r;

    if (!x)
        return;
    field_init(&exec_config_table, &config);
    r = call_json_body(c, false, &parsed, &e);
    if (r == 0)
        r = field_parse(&exec_config_table, parsed, &config, "", &e);
    if (r == 0)
        r = detach_keys_parse(config.detach_keys, keys, &keys_len, &e);
    if (r == 0)
        r = exec_create(x, call_param(c, 0), &config, &made, &e);
    json_object_put(parsed);
    field_done(&exec_config_table, &config);
    if (r < 0) {
        call_error(c, &e);
        return;
    }
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "Id", made->id);
    jw_end_object(&w);
    call_json(c, 201, &b);
}

/* ---- start ----------------------------------------------------------------------------------- */
struct starting {
    struct api_call *call; /* detached starts: answered when it runs */
    int tell;              /* hijacked ones: a failure's text goes to the client, -1 otherwise */
    bool mux;
};

static void started(void *arg, struct err *e) {
    struct starting *s = arg;

    if (s->call) {
        if (e->class == ERR_NONE)
            call_empty(s->call, 200);
        else
            call_error(s->call, e);
    } else if (e->class != ERR_NONE && s->tell >= 0) {
        /* The upgrade is answered already: as dockerd, the text comes on the stream. */
        auto_free char *text = xasprintf("%s\r\n", err_msg(e));
        unsigned char head[8] = {1, 0, 0, 0};
        size_t n = strlen(text);

        for (int i = 0; i < 4; i++)
            head[4 + i] = (unsigned char)(n >> (24 - 8 * i));
        if (!s->mux || write(s->tell, head, sizeof head) == sizeof head)
            (void)!write(s->tell, text, n); /* fits into an empty socket buffer */
    }
    fd_close(s->tell);
    free(s);
}

static void start(struct api_call *c) {
    struct exec *x;
    struct json_object *body = NULL;
    struct json_object *size;
    struct exec_start_options o = {.attach = {.fd = -1}};
    struct starting *s;
    auto_err e = ERR_INIT;

    x = exec_find(c->engine, call_param(c, 0), &e);
    if (!x || call_json_body(c, true, &body, &e) < 0) {
        call_error(c, &e);
        return;
    }
    o.detach = jsn_bool(body, "Detach", false);
    o.tty = jsn_bool(body, "Tty", false);
    size = jsn_get(body, "ConsoleSize");
    if (size && json_object_is_type(size, json_type_array) && json_object_array_length(size) == 2) {
        o.rows = json_object_get_int(json_object_array_get_idx(size, 0));
        o.cols = json_object_get_int(json_object_array_get_idx(size, 1));
    } else if (x->config.console_size.count == 2) {
        o.rows = (int)x->config.console_size.items[0];
        o.cols = (int)x->config.console_size.items[1];
    }
    json_object_put(body);
    if (exec_check_start(x, &e) < 0 ||
        detach_keys_parse(x->config.detach_keys, o.attach.keys, &o.attach.keys_len, &e) < 0) {
        call_error(c, &e);
        return;
    }
    s = xnew(struct starting);
    s->tell = -1;
    if (o.detach) {
        s->call = c;
        exec_start(x, &o, started, s);
        return;
    }
    s->mux = !x->config.tty;
    if (x->config.attach_stdin)
        o.attach.flags |= MON_ATTACH_STDIN | MON_ATTACH_STDIN_CLOSES;
    if (x->config.attach_stdout)
        o.attach.flags |= MON_ATTACH_STDOUT;
    if (x->config.attach_stderr)
        o.attach.flags |= MON_ATTACH_STDERR;
    if (s->mux)
        o.attach.flags |= MON_ATTACH_MUX;
    o.attach.fd = call_hijack(c, call_stream_type(c, x->config.tty), &o.attach.early);
    if (o.attach.fd < 0) {
        free(s);
        return;
    }
    s->tell = fcntl(o.attach.fd, F_DUPFD_CLOEXEC, 0); /* -1: the text is lost, no more */
    exec_start(x, &o, started, s);
}

static void resize(struct api_call *c) {
    struct exec *x;
    int64_t rows, cols;
    auto_err e = ERR_INIT;

    if (call_size_query(c, &rows, &cols, &e) < 0) {
        call_error(c, &e);
        return;
    }
    x = exec_find(c->engine, call_param(c, 0), &e);
    if (!x || exec_resize(x, (int)rows, (int)cols, &e) < 0)
        call_error(c, &e);
    else
        call_empty(c, 200);
}

static void inspect(struct api_call *c) {
    auto_err e = ERR_INIT;
    struct exec *x = exec_find(c->engine, call_param(c, 0), &e);
    auto_buf b = BUF_INIT;
    struct jw w;

    if (!x) {
        call_error(c, &e);
        return;
    }
    jw_init(&w, &b);
    jw_object(&w);
    jw_kstr(&w, "ID", x->id);
    jw_kbool(&w, "Running", x->running);
    if (x->has_exit)
        jw_kint(&w, "ExitCode", x->exit_code);
    else
        jw_knull(&w, "ExitCode");
    jw_key(&w, "ProcessConfig");
    jw_object(&w);
    jw_kbool(&w, "tty", x->config.tty);
    jw_kstr(&w, "entrypoint", x->config.cmd[0]);
    jw_key(&w, "arguments");
    jw_array(&w);
    strv_for_each (arg, x->config.cmd + 1)
        jw_str(&w, arg);
    jw_end_array(&w);
    jw_kbool(&w, "privileged", x->config.privileged);
    if (!str_empty(x->config.user))
        jw_kstr(&w, "user", x->config.user);
    jw_end_object(&w);
    jw_kbool(&w, "OpenStdin", x->config.attach_stdin);
    jw_kbool(&w, "OpenStderr", x->config.attach_stderr);
    jw_kbool(&w, "OpenStdout", x->config.attach_stdout);
    jw_kbool(&w, "CanRemove", false); /* dockerd: true for what its collector is about to take */
    jw_kstr(&w, "ContainerID", x->container_id);
    jw_kstr(&w, "DetachKeys", "");
    jw_kint(&w, "Pid", x->pid);
    jw_end_object(&w);
    call_json(c, 200, &b);
}

const struct route routes_exec[] = {
    {"POST", "/containers/{id}/exec", ROUTE_BODY | ROUTE_JSON_BODY, create},
    {"POST", "/exec/{id}/start", ROUTE_BODY | ROUTE_JSON_BODY, start},
    {"POST", "/exec/{id}/resize", 0, resize},
    {"GET", "/exec/{id}/json", 0, inspect},
    {NULL, NULL, 0, NULL},
};
