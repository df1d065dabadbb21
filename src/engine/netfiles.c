/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/netfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/links.h"

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

/* --add-host name:host-gateway: where the host is reached from this container. */
static const char *host_gateway(const struct container *c) {
    const struct network *n = network_default(c->engine);
    const struct endpoint *gw = endpoint_gateway(c, AF_INET);
    static char text[IP_TEXT_MAX]; /* loop thread */

    if (!str_empty(c->engine->options.host_gateway))
        return c->engine->options.host_gateway;
    if (n) {
        struct ip ip = ipam_subnet_gateway(network_subnet(n, AF_INET));

        return ip_text(&ip, text);
    }
    return gw ? gw->gateway : "";
}

static void put_own_name(const struct container *c, const char *address, struct buf *b) {
    const struct container_config *cfg = &c->rec.config;
    const char *dot = strchr(cfg->hostname, '.');

    if (str_empty(address))
        return;
    buf_printf(b, "%s\t%s", address, cfg->hostname);
    if (!str_empty(cfg->domainname))
        buf_printf(b, ".%s %s", cfg->domainname, cfg->hostname);
    else if (dot)
        buf_printf(b, " %.*s", (int)(dot - cfg->hostname), cfg->hostname);
    buf_putc(b, '\n');
}

static void put_own_names(const struct container *c, struct buf *b) {
    for (size_t i = 0; i < c->rec.endpoints.count; i++) {
        const struct endpoint *ep = field_array_at(&c->rec.endpoints, struct endpoint, i);

        put_own_name(c, ep->address, b);
        put_own_name(c, ep->address6, b);
    }
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
            address = host_gateway(c);
        buf_printf(&b, "%s\t%.*s\n", address, (int)(sep - extra), extra);
    }
    links_hosts(c, &b);
    put_own_names(c, &b);
    return buf_take(&b);
}

void netfiles_resolver(const struct container *c, char ***ret_servers, char ***ret_search,
                       char ***ret_options) {
    const struct engine_options *o = &c->engine->options;
    const struct host_config *h = &c->rec.host;
    auto_buf host = BUF_INIT;
    auto_strv lines = NULL;

    *ret_servers = strv_dup(h->dns && *h->dns ? h->dns : o->dns);
    *ret_search = strv_dup(h->dns_search && *h->dns_search ? h->dns_search : o->dns_search);
    *ret_options = strv_dup(h->dns_options && *h->dns_options ? h->dns_options : o->dns_options);
    (void)host_file("/etc/resolv.conf", &host); /* an unreadable one is an empty one */
    lines = str_split(buf_str(&host), '\n');
    {
        bool servers = *ret_servers, search = *ret_search, options = *ret_options;

        strv_for_each (line, lines) {
            auto_free char *copy = xstrdup(line);
            char *save = NULL, *word = strtok_r(copy, " \t", &save);
            char ***to = NULL;

            if (str_eq(word, "nameserver") && !servers)
                to = ret_servers;
            else if ((str_eq(word, "search") || str_eq(word, "domain")) && !search)
                to = ret_search;
            else if (str_eq(word, "options") && !options)
                to = ret_options;
            while (to && (word = strtok_r(NULL, " \t", &save)))
                strv_add(to, word);
        }
    }
    if (*ret_search && str_eq(**ret_search, ".")) /* --dns-search=.: none */
        *ret_search = strv_free(*ret_search);
}

/* fence-netd answers; the servers are its. Of the options, ndots:0 sends names without a dot there
 * as they are. */
static char *resolver_text(const struct container *c) {
    auto_strv servers = NULL;
    auto_strv search = NULL;
    auto_strv options = NULL;
    struct buf b = BUF_INIT;
    bool ndots = false;

    netfiles_resolver(c, &servers, &search, &options);
    put_list(&b, "search", search);
    buf_puts(&b, "nameserver 127.0.0.11\n");
    strv_for_each (option, options)
        ndots = ndots || str_starts(option, "ndots:");
    if (!ndots)
        strv_add(&options, "ndots:0");
    put_list(&b, "options", options);
    return buf_take(&b);
}

static char *resolv_text(struct container *c) {
    const struct engine_options *o = &c->engine->options;
    const struct host_config *h = &c->rec.host;
    auto_buf host = BUF_INIT;

    if (endpoints_need_names(c))
        return resolver_text(c);
    (void)host_file("/etc/resolv.conf", &host); /* an unreadable one is an empty one */
    return netfiles_resolv_conf(buf_str(&host), h->dns && *h->dns ? h->dns : o->dns,
                                h->dns_search && *h->dns_search ? h->dns_search : o->dns_search,
                                h->dns_options && *h->dns_options ? h->dns_options : o->dns_options,
                                mode_is_host(h->network_mode));
}

/* The container's own changes of these files are lost with their first change by us, as Docker's
 * are with the next start. */
void netfiles_refresh(struct container *c) {
    auto_free char *dir_path = container_dir(c), *hosts = hosts_text(c), *resolv = resolv_text(c);
    auto_fd dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir < 0 ? -errno : write_file(dir, "hosts", hosts);

    if (r == 0)
        r = write_file(dir, "resolv.conf", resolv);
    if (r < 0)
        log_warn("the network files of a container could not be changed", "container", c->rec.id,
                 "error", strerror(-r));
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
