/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/netfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "engine/container.h"

#define HOST_FILE_MAX (1u << 20)

void netfiles_done(struct netfiles *f) {
    free(f->hosts);
    free(f->hostname);
    free(f->resolv_conf);
    *f = (struct netfiles){0};
}

static int write_file(int dir, const char *name, const char *text) {
    auto_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0644) < 0)
        return -errno;
    return io_write_all(fd, text, strlen(text));
}

static bool is_loopback(const char *address) {
    return str_starts(address, "127.") || str_eq(address, "::1");
}

static void put_list(struct buf *b, const char *keyword, char *const *v) {
    if (!v || !*v)
        return;
    buf_puts(b, keyword);
    strv_for_each (s, v)
        buf_printf(b, " %s", s);
    buf_putc(b, '\n');
}

char *netfiles_resolv_conf(const char *host_text, char *const *dns, char *const *search,
                           char *const *options, bool keep_loopback) {
    auto_strv lines = str_split(host_text, '\n');
    struct buf b = BUF_INIT;
    bool any_server = false, clear_search = search && *search && str_eq(*search, ".");

    strv_for_each (line, lines) {
        auto_free char *copy = xstrdup(line);
        char *save = NULL, *word = strtok_r(copy, " \t", &save);
        char *value = word ? strtok_r(NULL, " \t", &save) : NULL;

        if (!word || !value || *word == '#' || *word == ';')
            continue;
        if (str_eq(word, "nameserver")) {
            if ((dns && *dns) || (!keep_loopback && is_loopback(value)))
                continue;
            any_server = true;
        } else if ((str_eq(word, "search") || str_eq(word, "domain")) && search && *search) {
            continue;
        } else if (str_eq(word, "options") && options && *options) {
            continue;
        }
        buf_printf(&b, "%s\n", line);
    }
    if (!clear_search)
        put_list(&b, "search", search);
    strv_for_each (s, dns) {
        buf_printf(&b, "nameserver %s\n", s);
        any_server = true;
    }
    put_list(&b, "options", options);
    /* A host that resolves through its own loopback: Docker falls back to these as well. */
    if (!any_server && !keep_loopback)
        buf_puts(&b, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
    return buf_take(&b);
}

static int host_file(const char *path, struct buf *b) {
    int r;

    b->max = HOST_FILE_MAX;
    r = io_read_file_at(AT_FDCWD, path, b);
    return r == -ENOENT ? 0 : r;
}

static char *hosts_text(struct container *c) {
    const struct host_config *h = &c->rec.host;
    struct buf b = {.max = HOST_FILE_MAX};

    if (!mode_is_host(h->network_mode) || host_file("/etc/hosts", &b) < 0 || b.len == 0) {
        buf_clear(&b);
        buf_puts(&b, "127.0.0.1\tlocalhost\n"
                     "::1\tlocalhost ip6-localhost ip6-loopback\n"
                     "fe00::0\tip6-localnet\n"
                     "ff00::0\tip6-mcastprefix\n"
                     "ff02::1\tip6-allnodes\n"
                     "ff02::2\tip6-allrouters\n");
    } else if (b.data[b.len - 1] != '\n') {
        buf_putc(&b, '\n');
    }
    strv_for_each (extra, h->extra_hosts) {
        const char *sep = strpbrk(extra, ":=");
        const char *address;

        if (!sep)
            continue; /* create has checked the form */
        address = sep + 1;
        if (str_eq(address, "host-gateway"))
            address = str_or_empty(network_gateway(c->engine->network));
        buf_printf(&b, "%s\t%.*s\n", address, (int)(sep - extra), extra);
    }
    if (c->rec.net.address) {
        const struct container_config *cfg = &c->rec.config;

        const char *dot = strchr(cfg->hostname, '.');

        buf_printf(&b, "%s\t%s", c->rec.net.address, cfg->hostname);
        if (!str_empty(cfg->domainname))
            buf_printf(&b, ".%s %s", cfg->domainname, cfg->hostname);
        else if (dot)
            buf_printf(&b, " %.*s", (int)(dot - cfg->hostname), cfg->hostname);
        buf_putc(&b, '\n');
    }
    return buf_take(&b);
}

static char *resolv_text(struct container *c) {
    const struct engine_options *o = &c->engine->options;
    const struct host_config *h = &c->rec.host;
    auto_buf host = BUF_INIT;

    (void)host_file("/etc/resolv.conf", &host); /* an unreadable one is an empty one */
    return netfiles_resolv_conf(buf_str(&host), h->dns && *h->dns ? h->dns : o->dns,
                                h->dns_search && *h->dns_search ? h->dns_search : o->dns_search,
                                h->dns_options && *h->dns_options ? h->dns_options : o->dns_options,
                                mode_is_host(h->network_mode));
}

int netfiles_write(struct container *c, struct netfiles *ret, struct err *e) {
    const char *joined = mode_container(c->rec.host.network_mode);
    struct container *owner = joined ? container_find(c->engine, joined, e) : c;
    auto_free char *dir_path = NULL;
    int r = 0;

    if (!owner)
        return -ENOENT;
    dir_path = container_dir(owner);
    if (owner == c) {
        auto_fd dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_free char *hosts = hosts_text(c);
        auto_free char *resolv = resolv_text(c);
        auto_free char *hostname = xasprintf("%s\n", str_or_empty(c->rec.config.hostname));

        if (dir < 0)
            return err_sys(e, errno, "cannot open the directory of container %s", c->rec.id);
        r = write_file(dir, "hosts", hosts);
        if (r == 0)
            r = write_file(dir, "resolv.conf", resolv);
        if (r == 0)
            r = write_file(dir, "hostname", hostname);
        if (r < 0)
            return err_sys(e, r, "cannot write the network files of container %s", c->rec.id);
    }
    ret->hosts = xasprintf("%s/hosts", dir_path);
    ret->resolv_conf = xasprintf("%s/resolv.conf", dir_path);
    ret->hostname = xasprintf("%s/hostname", dir_path);
    return 0;
}
