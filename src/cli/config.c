/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "format/json.h"

#define FILE_MAX (1 << 20)

static int read_json(const char *path, struct json_object **ret, struct err *e) {
    auto_buf text = {.max = FILE_MAX};
    int r = io_read_file_at(AT_FDCWD, path, &text);

    if (r < 0)
        return err_sys(e, r, "open %s", path);
    r = jsn_parse(buf_str(&text), text.len, ret, e);
    if (r == 0 && !json_object_is_type(*ret, json_type_object)) {
        json_object_put(*ret);
        *ret = NULL;
        return err_set(e, ERR_INVALID, "%s is no JSON object", path);
    }
    return r;
}

void config_load(struct cli *cli) {
    auto_free char *path = xasprintf("%s/config.json", cli->config_dir);
    auto_err e = ERR_INIT;
    int r = read_json(path, &cli->config, &e);

    if (r < 0 && r != -ENOENT && r != -ENOTDIR)
        fprintf(stderr, "WARNING: Error parsing config file (%s): %s\n", path, err_msg(&e));
}

const char *config_str(const struct cli *cli, const char *key) {
    return str_or_empty(jsn_str(cli->config, key));
}

const char *config_flag(const struct cli *cli, const struct flags *f, const char *flag,
                        const char *key) {
    return flag_changed(f, flag) ? flag_str(f, flag) : config_str(cli, key);
}

/* A value could end the header and begin another one. */
static bool is_header(const char *name, const char *value) {
    return *name && !name[strcspn(name, ": \t\r\n")] && !value[strcspn(value, "\r\n")];
}

char **config_headers(const struct cli *cli) {
    struct json_object *all = jsn_get(cli->config, "HttpHeaders");
    char **headers = NULL;

    if (!json_object_is_type(all, json_type_object))
        return NULL;
    json_object_object_foreach(all, name, value) {
        const char *text = json_object_get_string(value);

        /* User-Agent is the client's own, as docker has it. */
        if (text && is_header(name, text) && !str_case_eq(name, "user-agent"))
            strv_take(&headers, xasprintf("%s: %s", name, text));
    }
    return headers;
}

static bool has_name(char *const *env, const char *name) {
    strv_for_each (entry, env) {
        const char *rest = str_after(entry, name);

        if (rest && (*rest == '=' || !*rest))
            return true;
    }
    return false;
}

void config_add_proxies(const struct cli *cli, const char *host, char ***env) {
    static const struct {
        const char *member, *name;
    } all[] = {{"httpProxy", "HTTP_PROXY"},
               {"httpsProxy", "HTTPS_PROXY"},
               {"ftpProxy", "FTP_PROXY"},
               {"noProxy", "NO_PROXY"},
               {"allProxy", "ALL_PROXY"}};
    struct json_object *proxies = jsn_get(cli->config, "proxies"), *mine = jsn_get(proxies, host);

    if (!mine)
        mine = jsn_get(proxies, "default");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *value = jsn_str(mine, all[i].member);
        auto_free char *lower = xstrdup(all[i].name);

        for (char *p = lower; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        if (str_empty(value))
            continue;
        if (!has_name(*env, all[i].name))
            strv_take(env, xasprintf("%s=%s", all[i].name, value));
        if (!has_name(*env, lower))
            strv_take(env, xasprintf("%s=%s", lower, value));
    }
}

/* ---- contexts ------------------------------------------------------------------------------- */

/* contexts/meta/<sha256 of the name>/meta.json. The name stands in it as well: no need to hash. */
static int find_context(const char *meta, const char *name, struct json_object **ret,
                        char **ret_folder, struct err *e) {
    DIR *d = opendir(meta);
    struct dirent *de;
    bool found = false;

    while (d && !found && (de = readdir(d))) {
        auto_free char *path = xasprintf("%s/%s/meta.json", meta, de->d_name);
        struct json_object *doc = NULL;

        if (de->d_name[0] == '.' || read_json(path, &doc, NULL) < 0)
            continue;
        found = str_eq(jsn_str(doc, "Name"), name);
        if (found) {
            *ret = doc;
            *ret_folder = xstrdup(de->d_name);
        } else {
            json_object_put(doc);
        }
    }
    if (d)
        (void)closedir(d); /* read only */
    return found ? 0
                 : err_set(e, ERR_NOT_FOUND,
                           "Failed to initialize: unable to resolve docker endpoint: context "
                           "\"%s\": context not found in %s",
                           name, meta);
}

/* contexts/tls/<the same>/docker/ca.pem, cert.pem and key.pem, as far as they are there. */
static bool context_tls(const struct cli *cli, const char *folder, struct client_tls *t) {
    const struct {
        const char *name;
        char **path;
    } files[] = {{"ca.pem", &t->ca}, {"cert.pem", &t->cert}, {"key.pem", &t->key}};
    bool any = false;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        auto_free char *path =
            xasprintf("%s/contexts/tls/%s/docker/%s", cli->config_dir, folder, files[i].name);

        if (access(path, F_OK) < 0)
            continue;
        *files[i].path = take_ptr(path);
        any = true;
    }
    return any;
}

int config_context(const struct cli *cli, const char *name, char **ret_host,
                   struct client_tls *ret_tls, bool *ret_has_tls, struct err *e) {
    auto_free char *meta = xasprintf("%s/contexts/meta", cli->config_dir), *folder = NULL;
    auto_json *doc = NULL;
    struct json_object *endpoint;
    const char *host;
    int r;

    if (str_eq(name, "default")) {
        *ret_host = NULL;
        return 0;
    }
    r = find_context(meta, name, &doc, &folder, e);
    if (r < 0)
        return r;
    endpoint = jsn_get(jsn_get(doc, "Endpoints"), "docker");
    host = jsn_str(endpoint, "Host");
    if (str_empty(host))
        return err_set(e, ERR_INVALID,
                       "Failed to initialize: unable to resolve docker endpoint: context \"%s\" "
                       "names no daemon",
                       name);
    *ret_host = xstrdup(host);
    *ret_has_tls = context_tls(cli, folder, ret_tls);
    ret_tls->verify = !jsn_bool(endpoint, "SkipTLSVerify", false);
    return 0;
}
