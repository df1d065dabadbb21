/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/netfiles.h"

#define FALLBACK "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"

/* ---- resolv.conf ----------------------------------------------------------------------------- */
static void check(const char *host, const char *dns, const char *search, const char *options,
                  bool keep, const char *want) {
    auto_strv d = dns ? str_split(dns, ',') : NULL;
    auto_strv s = search ? str_split(search, ',') : NULL;
    auto_strv o = options ? str_split(options, ',') : NULL;
    auto_free char *text = netfiles_resolv_conf(host, d, s, o, keep);

    assert_string_equal(text, want);
}

static void test_hosts_file_is_taken_over(void **state) {
    (void)state;
    check("# made by hand\nsearch example.com lan\nnameserver 192.0.2.1\n;x y\n"
          "options ndots:2 rotate\nnameserver 2001:db8::1",
          NULL, NULL, NULL, false,
          "search example.com lan\nnameserver 192.0.2.1\noptions ndots:2 rotate\n"
          "nameserver 2001:db8::1\n");
}

static void test_loopback_is_the_hosts_own(void **state) {
    const char *host = "nameserver 127.0.0.53\nnameserver ::1\nnameserver\t192.0.2.1\n";

    (void)state;
    check(host, NULL, NULL, NULL, false, "nameserver\t192.0.2.1\n");
    check(host, NULL, NULL, NULL, true, host);
    check("nameserver 127.0.0.1\n", NULL, NULL, NULL, false, FALLBACK);
    check("", NULL, NULL, NULL, false, FALLBACK);
    check("", NULL, NULL, NULL, true, "");
    check("nameserver\nnameserver  \n", NULL, NULL, NULL, false, FALLBACK);
}

static void test_options_of_the_container(void **state) {
    const char *host = "search lan\ndomain lan\nnameserver 192.0.2.1\noptions rotate\n";

    (void)state;
    check(host, "198.51.100.1,127.0.0.1", NULL, NULL, false,
          "search lan\ndomain lan\noptions rotate\nnameserver 198.51.100.1\n"
          "nameserver 127.0.0.1\n");
    check(host, NULL, "a.example,b.example", NULL, false,
          "nameserver 192.0.2.1\noptions rotate\nsearch a.example b.example\n");
    check(host, NULL, ".", NULL, false, "nameserver 192.0.2.1\noptions rotate\n");
    check(host, NULL, NULL, "ndots:1,debug", false,
          "search lan\ndomain lan\nnameserver 192.0.2.1\noptions ndots:1 debug\n");
}

/* ---- the files ------------------------------------------------------------------------------- */
struct fixture {
    char dir[64];
    struct engine engine;
    struct container *c;
};

static void make_dir(const struct container *c) {
    auto_free char *dir = container_dir(c);

    assert_int_equal(io_mkdir_all(dir, 0755), 0);
}

static struct container *add(struct engine *eng, char digit, const char *name) {
    struct container *c = container_new(eng);
    char id[ID_LEN + 1];

    memset(id, digit, ID_LEN);
    id[ID_LEN] = '\0';
    str_set(&c->rec.id, id);
    str_set(&c->rec.name, name);
    str_set(&c->rec.config.hostname, name);
    c->committed = true;
    map_put(&eng->containers, c->rec.id, c);
    map_put(&eng->names, c->rec.name, c);
    make_dir(c);
    return c;
}

static void set_address(struct container *c, const char *address) {
    struct endpoint *ep = c->rec.endpoints.count
                              ? field_array_at(&c->rec.endpoints, struct endpoint, 0)
                              : field_array_add(&c->rec.endpoints, &endpoint_table);

    str_set(&ep->network, "bridge");
    str_set(&ep->address, address);
}

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);

    snprintf(f->dir, sizeof f->dir, "/tmp/fence-netfiles-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->engine.options.data_root = f->dir;
    f->c = add(&f->engine, 'a', "box");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    auto_free char *command = xasprintf("rm -rf '%s'", f->dir);
    int r = system(command);

    map_for_each (it, &f->engine.containers)
        container_free(it->value);
    map_done(&f->engine.containers);
    map_done(&f->engine.names);
    free(f);
    return r;
}

static char *content(const char *path) {
    struct buf b = BUF_INIT;

    assert_int_equal(io_read_file_at(-1, path, &b), 0);
    return buf_take(&b);
}

static void test_addresses_and_names(void **state) {
    struct fixture *f = *state;
    struct netfiles files = {0};
    auto_err e = ERR_INIT;
    auto_free char *hosts = NULL, *hostname = NULL;
    struct stat st;

    str_set(&f->c->rec.config.domainname, "example.com");
    set_address(f->c, "192.0.2.7");
    strv_add(&f->c->rec.host.extra_hosts, "db:198.51.100.3");
    strv_add(&f->c->rec.host.extra_hosts, "six=2001:db8::6");
    assert_int_equal(netfiles_write(f->c, &files, &e), 0);
    hosts = content(files.hosts);
    assert_true(str_starts(hosts, "127.0.0.1\tlocalhost\n"));
    assert_non_null(strstr(hosts, "\n198.51.100.3\tdb\n"));
    assert_non_null(strstr(hosts, "\n2001:db8::6\tsix\n"));
    assert_true(str_ends(hosts, "\n192.0.2.7\tbox.example.com box\n"));
    hostname = content(files.hostname);
    assert_string_equal(hostname, "box\n");
    assert_int_equal(stat(files.resolv_conf, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    netfiles_done(&files);
}

static void test_a_full_name_has_a_short_one(void **state) {
    struct fixture *f = *state;
    struct netfiles files = {0};
    auto_free char *hosts = NULL;

    str_set(&f->c->rec.config.hostname, "box.example.com");
    set_address(f->c, "192.0.2.7");
    assert_int_equal(netfiles_write(f->c, &files, NULL), 0);
    hosts = content(files.hosts);
    assert_true(str_ends(hosts, "\n192.0.2.7\tbox.example.com box\n"));
    netfiles_done(&files);
}

static void test_a_restart_keeps_the_inode(void **state) {
    struct fixture *f = *state;
    struct netfiles one = {0}, two = {0};
    struct stat before, after;

    assert_int_equal(netfiles_write(f->c, &one, NULL), 0);
    assert_int_equal(stat(one.hosts, &before), 0);
    set_address(f->c, "192.0.2.8");
    assert_int_equal(netfiles_write(f->c, &two, NULL), 0);
    assert_int_equal(stat(two.hosts, &after), 0);
    assert_true(before.st_ino == after.st_ino);
    assert_string_equal(one.hosts, two.hosts);
    netfiles_done(&one);
    netfiles_done(&two);
}

static void test_a_shared_network_has_one_set(void **state) {
    struct fixture *f = *state;
    struct container *guest = add(&f->engine, 'b', "guest");
    struct netfiles mine = {0}, its = {0};
    auto_err e = ERR_INIT;

    assert_int_equal(netfiles_write(f->c, &its, &e), 0);
    str_set(&guest->rec.host.network_mode, "container:box");
    assert_int_equal(netfiles_write(guest, &mine, &e), 0);
    assert_string_equal(mine.hosts, its.hosts);
    assert_string_equal(mine.resolv_conf, its.resolv_conf);
    netfiles_done(&mine);
    str_set(&guest->rec.host.network_mode, "container:nobody");
    assert_true(netfiles_write(guest, &mine, &e) < 0);
    assert_int_equal(e.class, ERR_NOT_FOUND);
    assert_null(mine.hosts);
    netfiles_done(&its);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_file_is_taken_over),
        cmocka_unit_test(test_loopback_is_the_hosts_own),
        cmocka_unit_test(test_options_of_the_container),
        TEST(test_addresses_and_names),
        TEST(test_a_full_name_has_a_short_one),
        TEST(test_a_restart_keeps_the_inode),
        TEST(test_a_shared_network_has_one_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
