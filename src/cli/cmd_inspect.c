/* SPDX-License-Identifier: Apache-2.0 */
/* inspect, container inspect, image inspect, network inspect, volume inspect. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/inspect.h"
#include "cli/output.h"
#include "format/json.h"

/* clang-format off */
static const struct flag inspect_flags[] = {
    {.name = "format", .shorthand = 'f', .type = FLAG_STRING, .usage = FORMAT_USAGE_INSPECT},
    {.name = "size", .shorthand = 's', .type = FLAG_BOOL, .usage = "Display total file sizes if the type is container"},
    {.name = "type", .type = FLAG_STRING, .usage = "Only inspect objects of the given type"},
    {.name = NULL},
};
static const struct flag container_inspect_flags[] = {
    {.name = "format", .shorthand = 'f', .type = FLAG_STRING, .usage = FORMAT_USAGE_INSPECT},
    {.name = "size", .shorthand = 's', .type = FLAG_BOOL, .usage = "Display total file sizes"},
    {.name = NULL},
};
static const struct flag network_inspect_flags[] = {
    {.name = "format", .shorthand = 'f', .type = FLAG_STRING, .usage = FORMAT_USAGE_INSPECT},
    {.name = "verbose", .shorthand = 'v', .type = FLAG_BOOL, .usage = "Verbose output for diagnostics"},
    {.name = NULL},
};
static const struct flag plain_inspect_flags[] = {
    {.name = "format", .shorthand = 'f', .type = FLAG_STRING, .usage = FORMAT_USAGE_INSPECT},
    {.name = NULL},
};
/* clang-format on */

static const struct {
    const char *type, *prefix, *suffix, *more;
} kinds[] = {
    {"container", "/containers/", "/json", "size=1"},
    {"image", "/images/", "/json"},
    {"network", "/networks/", "", "verbose=true"},
    {"volume", "/volumes/", ""},
    {"service", "/services/", ""},
    {"task", "/tasks/", ""},
    {"node", "/nodes/", ""},
    {"plugin", "/plugins/", "/json"},
    {"secret", "/secrets/", ""},
    {"config", "/configs/", ""},
};

/* The raw text of one object. Without a type, the kinds are tried in order. */
static int fetch(struct cli *cli, const char *type, const char *name, bool more, struct buf *body,
                 struct err *e) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        auto_free char *path = path_join(kinds[i].prefix, name, kinds[i].suffix);
        struct request request = {.method = "GET", .path = path};
        auto_err why = ERR_INIT;
        int r;

        if (*type && !str_eq(type, kinds[i].type))
            continue;
        if (more && (*type || i == 0))
            request.query = kinds[i].more;
        r = client_call(&cli->client, &request, body, &why);
        if (r == 0)
            return 0;
        /* A daemon without swarm or plugins says so in several ways: it does not have the object.
         */
        if (*type || why.class == ERR_UNAVAILABLE || (i == 0 && why.class != ERR_NOT_FOUND)) {
            if (*type || !str_starts(err_msg(&why), "Error response from daemon: This node")) {
                err_move(e, &why);
                return r;
            }
        }
        buf_clear(body);
    }
    return err_set(e, ERR_NOT_FOUND, "Error: No such object: %s", name);
}

static int render(const struct gotmpl *t, const struct buf *body, struct buf *out, struct err *e) {
    const struct gotmpl_options o = {0};
    auto_json *data = NULL;
    size_t mark = out->len;
    int r = client_parse_json(buf_str(body), body->len, &data, e);

    if (r < 0)
        return r;
    r = gotmpl_exec(t, data, &o, out, e);
    if (r < 0) {
        out->len = mark;
        if (out->data)
            out->data[mark] = '\0';
        err_wrap(e, "template parsing error");
        return r;
    }
    buf_putc(out, '\n');
    return 0;
}

int inspect_objects(struct cli *cli, const struct args *a, const char *type, bool more,
                    struct err *e) {
    const char *format = flag_str(&a->flags, "format");
    auto_gotmpl *template = NULL;
    auto_buf list = {.max = 1u << 30}, out = {.max = 1u << 30};
    bool json = str_eq(format, "json"), first = true;
    int result = 0, r;

    if (*format && !json) {
        r = gotmpl_parse(format, &template, e);
        if (r < 0) {
            err_wrap(e, "template parsing error");
            return 64; /* docker: a usage error */
        }
    }
    for (int i = 0; i < a->argc; i++) {
        auto_buf body = {.max = 1u << 30};
        auto_err why = ERR_INIT;

        r = fetch(cli, type, a->argv[i], more, &body, &why);
        if (r == 0 && template)
            r = render(template, &body, &out, &why);
        if (r < 0) {
            err_append(e, &why);
            result = r;
            continue;
        }
        if (template)
            continue;
        while (body.len > 0 && (body.data[body.len - 1] == '\n'))
            body.data[--body.len] = '\0';
        if (!first)
            buf_putc(&list, ',');
        buf_append(&list, body.data, body.len);
        first = false;
    }
    if (template) {
        if (out.len == 0)
            buf_putc(&out, '\n');
    } else {
        auto_buf all = {.max = 1u << 30};

        buf_printf(&all, "[%s]", buf_str(&list));
        if (json)
            buf_append(&out, all.data, all.len);
        else
            json_indent(all.data, all.len, "", "    ", &out);
        buf_putc(&out, '\n');
    }
    r = print_out(&out, e);
    return r < 0 ? r : result;
}

static int cmd_inspect(struct cli *cli, const struct args *a, struct err *e) {
    const char *type = flag_str(&a->flags, "type");
    bool known = !*type;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        known |= str_eq(type, kinds[i].type);
    if (!known)
        return err_set(e, ERR_INVALID,
                       "unknown type: \"%s\": must be one of \"config\", \"container\", \"image\", "
                       "\"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", "
                       "\"volume\"",
                       type);
    return inspect_objects(cli, a, type, flag_bool(&a->flags, "size"), e);
}

static int cmd_container_inspect(struct cli *cli, const struct args *a, struct err *e) {
    return inspect_objects(cli, a, "container", flag_bool(&a->flags, "size"), e);
}

static int cmd_image_inspect(struct cli *cli, const struct args *a, struct err *e) {
    return inspect_objects(cli, a, "image", false, e);
}

static int cmd_network_inspect(struct cli *cli, const struct args *a, struct err *e) {
    return inspect_objects(cli, a, "network", flag_bool(&a->flags, "verbose"), e);
}

static int cmd_volume_inspect(struct cli *cli, const struct args *a, struct err *e) {
    return inspect_objects(cli, a, "volume", false, e);
}

const struct command command_inspect = {
    .use = "[OPTIONS] NAME|ID [NAME|ID...]",
    .summary = "Return low-level information on Docker objects",
    .flags = inspect_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_inspect,
    .completes = "container",
};
const struct command command_container_inspect = {
    .use = "[OPTIONS] CONTAINER [CONTAINER...]",
    .summary = "Display detailed information on one or more containers",
    .flags = container_inspect_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_container_inspect,
    .completes = "container",
};
const struct command command_image_inspect = {
    .use = "[OPTIONS] IMAGE [IMAGE...]",
    .summary = "Display detailed information on one or more images",
    .flags = plain_inspect_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_image_inspect,
    .completes = "image",
};
const struct command command_network_inspect = {
    .use = "[OPTIONS] NETWORK [NETWORK...]",
    .summary = "Display detailed information on one or more networks",
    .flags = network_inspect_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_network_inspect,
    .completes = "network",
};
const struct command command_volume_inspect = {
    .use = "[OPTIONS] VOLUME [VOLUME...]",
    .summary = "Display detailed information on one or more volumes",
    .flags = plain_inspect_flags,
    .min_args = 1,
    .max_args = ARGS_ANY,
    .run = cmd_volume_inspect,
    .completes = "volume",
};
