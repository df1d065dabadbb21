/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "engine/idmap.h"

struct fixture {
    char dir[64];
    char *leases, *first, *second; /* owners are directories */
    struct idmap *map;
};

static int setup(void **state) {
    struct fixture *f = xnew(struct fixture);
    auto_err e = ERR_INIT;

    snprintf(f->dir, sizeof f->dir, "/tmp/fence-idmap-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->leases = xasprintf("%s/run/leases", f->dir);
    f->first = xasprintf("%s/first", f->dir);
    f->second = xasprintf("%s/second", f->dir);
    if (mkdir(f->first, 0700) < 0 || mkdir(f->second, 0700) < 0 ||
        idmap_open(f->leases, &f->map, &e) < 0)
        return -1;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    auto_free char *command = xasprintf("rm -rf '%s'", f->dir);
    int r = system(command);

    idmap_close(f->map);
    free(f->leases);
    free(f->first);
    free(f->second);
    free(f);
    return r;
}

static uint32_t lease(struct idmap *m, const char *owner) {
    auto_err e = ERR_INIT;
    uint32_t base = 0;

    assert_int_equal(idmap_lease(m, owner, &base, &e), 0);
    return base;
}

/* What the lease file of a range says, "" without one. */
static void assert_owner(const struct fixture *f, uint32_t base, const char *owner) {
    auto_free char *path = xasprintf("%s/%u", f->leases, base);
    auto_buf b = BUF_INIT;

    (void)io_read_file_at(-1, path, &b); /* a missing one is "" */
    assert_string_equal(buf_str(&b), owner);
}

static void test_ranges_do_not_overlap(void **state) {
    struct fixture *f = *state;
    uint32_t bases[50];

    for (size_t i = 0; i < 50; i++) {
        bases[i] = lease(f->map, f->first);
        assert_true(bases[i] >= IDMAP_SIZE);
        assert_true(bases[i] <= UINT32_MAX - IDMAP_SIZE);
        assert_owner(f, bases[i], f->first);
        for (size_t k = 0; k < i; k++)
            assert_true(bases[k] >= bases[i] ? bases[k] - bases[i] >= IDMAP_SIZE
                                             : bases[i] - bases[k] >= IDMAP_SIZE);
    }
}

static void test_a_released_range_rests(void **state) {
    struct fixture *f = *state;
    uint32_t base = lease(f->map, f->first);

    idmap_release(f->map, f->first, base);
    assert_owner(f, base, "");
    /* Files that the last container left behind should not fall to the next one. */
    assert_int_not_equal(lease(f->map, f->first), base);
}

static void test_only_the_owner_releases(void **state) {
    struct fixture *f = *state;
    uint32_t base = lease(f->map, f->first);

    idmap_release(f->map, f->second, base);
    assert_owner(f, base, f->first);
    idmap_release(f->map, f->first, base + IDMAP_SIZE); /* none there: no harm */
    assert_owner(f, base, f->first);
}

static void test_two_daemons_share_the_host(void **state) {
    struct fixture *f = *state;
    struct idmap *other;
    auto_err e = ERR_INIT;
    uint32_t mine = lease(f->map, f->first), theirs;

    assert_int_equal(idmap_open(f->leases, &other, &e), 0);
    theirs = lease(other, f->second); /* it begins to search where the first did */
    assert_int_not_equal(mine, theirs);
    assert_owner(f, mine, f->first);
    assert_owner(f, theirs, f->second);
    idmap_close(other);
}

static bool nobody_holds(void *arg, const char *owner, uint32_t base) {
    return false;
}

static bool all_hold(void *arg, const char *owner, uint32_t base) {
    return true;
}

static void write_file(struct fixture *f, const char *name, const char *text) {
    auto_free char *path = xasprintf("%s/%s", f->leases, name);

    assert_int_equal(io_replace_file_at(AT_FDCWD, path, text, strlen(text), 0600), 0);
}

static bool exists(struct fixture *f, const char *name) {
    auto_free char *path = xasprintf("%s/%s", f->leases, name);

    return access(path, F_OK) == 0;
}

static void test_sweep(void **state) {
    struct fixture *f = *state;
    auto_free char *prefix = xasprintf("%s/", f->dir);
    uint32_t base = lease(f->map, f->first);

    write_file(f, "536870912", "/somebody/elses");
    write_file(f, "536936448", "");            /* killed before the owner was written */
    write_file(f, "536936448.0123abcd", "/x"); /* killed before the rename */
    idmap_sweep(f->map, prefix, all_hold, NULL);
    assert_owner(f, base, f->first);
    assert_true(exists(f, "536870912"));
    assert_false(exists(f, "536936448"));
    assert_false(exists(f, "536936448.0123abcd"));
    idmap_sweep(f->map, prefix, nobody_holds, NULL);
    assert_owner(f, base, "");
    assert_true(exists(f, "536870912"));
}

static void test_a_lease_ends_with_its_owner(void **state) {
    struct fixture *f = *state;
    struct idmap *later;
    auto_err e = ERR_INIT;
    uint32_t base = lease(f->map, f->first);

    assert_int_equal(rmdir(f->first), 0);
    assert_int_equal(idmap_open(f->leases, &later, &e), 0);
    assert_int_equal(lease(later, f->second), base);
    assert_owner(f, base, f->second);
    idmap_close(later);
}

static void test_processes_at_once(void **state) {
    struct fixture *f = *state;
    pid_t children[4];
    size_t leases = 0;
    auto_free char *count = NULL;
    char line[32] = "";
    FILE *p;

    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct idmap *m;
            uint32_t base;
            int bad = idmap_open(f->leases, &m, NULL) < 0;

            for (int k = 0; k < 25 && !bad; k++)
                bad = idmap_lease(m, i % 2 ? f->first : f->second, &base, NULL) < 0;
            _exit(bad);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    count = xasprintf("ls '%s' | wc -l", f->leases);
    p = popen(count, "r");
    assert_non_null(p);
    assert_non_null(fgets(line, sizeof line, p));
    pclose(p);
    leases = (size_t)strtoul(line, NULL, 10);
    assert_int_equal(leases, 100); /* a file a lease: none was given twice */
}

static void test_open_without_a_place(void **state) {
    struct idmap *m = NULL;
    auto_err e = ERR_INIT;

    (void)state;
    assert_true(idmap_open("/proc/nowhere/leases", &m, &e) < 0);
    assert_null(m);
    assert_int_not_equal(e.class, ERR_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_ranges_do_not_overlap),
        TEST(test_a_released_range_rests),
        TEST(test_only_the_owner_releases),
        TEST(test_two_daemons_share_the_host),
        TEST(test_sweep),
        TEST(test_a_lease_ends_with_its_owner),
        TEST(test_processes_at_once),
        cmocka_unit_test(test_open_without_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
