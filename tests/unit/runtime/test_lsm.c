/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked of AppArmor and SELinux, with and without them in the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"
#include "runtime/lsm.h"

static void test_off(void **state) {
    struct lsm_host off = {0};
    auto_err e = ERR_INIT;
    char *profile = (char *)1;

    (void)state;
    assert_int_equal(lsm_apparmor_choose(&off, NULL, false, &profile, &e), 0);
    assert_null(profile);
    assert_int_equal(lsm_apparmor_choose(&off, "unconfined", false, &profile, &e), 0);
    assert_null(profile);
    assert_true(lsm_apparmor_choose(&off, "mine", false, &profile, &e) < 0);
    assert_int_equal(e.class, ERR_INVALID);
    assert_int_equal(lsm_apparmor_load_default(&off, "/nonexistent", &e), 0);
}

static void test_missing_profile(void **state) {
    struct lsm_host on = {.apparmor = true};
    auto_err e = ERR_INIT;
    char *profile = NULL;

    (void)state;
    assert_true(lsm_apparmor_choose(&on, "no-such-profile", false, &profile, &e) < 0);
    assert_non_null(strstr(err_msg(&e), "no-such-profile"));
    assert_int_equal(lsm_apparmor_choose(&on, NULL, true, &profile, &e), 0);
    assert_string_equal(profile, "unconfined");
    free(profile);
}

static void write_file(const char *root, const char *path, const char *text) {
    auto_free char *full = xasprintf("%s%s", root, path);
    auto_free char *dir = xstrndup(full, (size_t)(strrchr(full, '/') - full));

    assert_int_equal(io_mkdir_all(dir, 0755), 0);
    assert_int_equal(io_replace_file_at(AT_FDCWD, full, text, strlen(text), 0644), 0);
}

/* A root with these files of a policy; NULL: without. */
static void read_contexts(const char *config, const char *lxc, const char *containers,
                          struct lsm_contexts *ret) {
    char root[] = "/tmp/test-lsm-XXXXXX";
    auto_free char *remove = NULL;

    assert_non_null(mkdtemp(root));
    if (config)
        write_file(root, "/etc/selinux/config", config);
    if (lxc)
        write_file(root, "/etc/selinux/mine/contexts/lxc_contexts", lxc);
    if (containers)
        write_file(root, "/usr/share/containers/selinux/contexts", containers);
    lsm_contexts_read(root, ret);
    remove = xasprintf("rm -r %s", root);
    assert_int_equal(system(remove), 0);
}

static void test_contexts(void **state) {
    static const char config[] = "# SELINUXTYPE=other\nSELINUX=permissive\nSELINUXTYPE=mine\n";
    static const char lxc[] = "process = \"system_u:system_r:container_t:s0\"\n"
                              "content = \"system_u:object_r:virt_var_lib_t:s0\"\n\n"
                              "  file=\"system_u:object_r:container_file_t:s0\"\t\n";
    struct lsm_contexts c;

    (void)state;
    read_contexts(config, lxc, NULL, &c);
    assert_string_equal(c.process, "system_u:system_r:container_t:s0");
    assert_string_equal(c.file, "system_u:object_r:container_file_t:s0");
    lsm_contexts_done(&c);
    read_contexts(config, lxc, "process = \"a:b:c\"\nfile = \"d:e:f\"\n", &c);
    assert_string_equal(c.process, "a:b:c");
    lsm_contexts_done(&c);
    read_contexts(config, "process = \"a:b:c\"\n", NULL, &c);
    assert_null(c.process);
    read_contexts(config, NULL, NULL, &c);
    assert_null(c.process);
    read_contexts(NULL, lxc, NULL, &c);
    assert_null(c.file);
}

/* "process mount" of the options, separated by blanks; or the error. */
static char *labels(const struct lsm_contexts *c, const char *options) {
    auto_strv opts = *options ? str_split(options, ' ') : NULL;
    auto_free char *process = NULL, *mount = NULL;
    auto_err e = ERR_INIT;

    if (lsm_selinux_labels(c, "s0:c1,c2", opts, &process, &mount, &e) < 0)
        return xstrdup(err_msg(&e));
    return xasprintf("%s %s", process ? process : "-", mount ? mount : "-");
}

static void test_labels(void **state) {
    static const struct {
        const char *options, *expected;
    } cases[] = {
        {"", "su:sr:ct:s0:c1,c2 su:or:ft:s0:c1,c2"},
        {"type:apache_t", "su:sr:apache_t:s0:c1,c2 su:or:ft:s0:c1,c2"},
        {"filetype:web_t", "su:sr:ct:s0:c1,c2 su:or:web_t:s0:c1,c2"},
        {"role:r user:u", "u:r:ct:s0:c1,c2 u:or:ft:s0:c1,c2"},
        {"level:s0:c740,c787", "su:sr:ct:s0:c740,c787 su:or:ft:s0:c740,c787"},
        {"type:x disable", "- su:or:ft:s0:c1022,c1023"},
        {"disable", "- su:or:ft:s0:c1022,c1023"},
        {"nonsense",
         "bad label option \"nonsense\", valid options 'disable' or \n'user, role, level, "
         "type, filetype' followed by ':' and a value"},
        {"colour:red",
         "bad label option \"colour\", valid options 'disable, user, role, level, type, filetype'"},
    };
    struct lsm_contexts c = {(char *)"su:sr:ct:s0", (char *)"su:or:ft:s0"}, none = {0},
                        flat = {(char *)"su:sr:ct", (char *)"su:or:ft"},
                        bad = {(char *)"nonsense", (char *)"a:b:c"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        auto_free char *got = labels(&c, cases[i].options);

        assert_string_equal(got, cases[i].expected);
    }
    auto_free char *nothing = labels(&none, "type:x"), *no_level = labels(&flat, ""),
                   *wrong = labels(&bad, "");
    assert_string_equal(nothing, "- -");
    assert_string_equal(no_level, "su:sr:ct su:or:ft");
    assert_non_null(strstr(wrong, "invalid labels for containers"));
}

static void test_levels(void **state) {
    char level[LSM_LEVEL_MAX];
    auto_strv opts = NULL;
    auto_free char *text = NULL;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        unsigned a, b;

        lsm_level_random(level);
        assert_int_equal(sscanf(level, "s0:c%u,c%u", &a, &b), 2);
        assert_true(a < b && b < 1024);
        assert_string_not_equal(level, "s0:c1022,c1023");
    }
    assert_string_equal(lsm_label_level("u:r:t:s0:c1,c2"), "s0:c1,c2");
    assert_string_equal(lsm_label_level("u:r:t"), "");
    assert_string_equal(lsm_label_level(NULL), "");
    lsm_label_options(NULL, &opts);
    assert_null(opts);
    lsm_label_options("u:r:t:s0:c1,c2", &opts);
    text = strv_join(opts, " ");
    assert_string_equal(text, "label=user:u label=role:r label=type:t label=level:s0:c1,c2");
}

static void assert_label(const char *root, const char *path, const char *expected) {
    auto_free char *full = xasprintf("%s/%s", root, path);
    char got[128] = "";

    (void)!lgetxattr(full, "security.selinux", got, sizeof got - 1); /* none: empty */
    assert_string_equal(got, expected);
}

/* Any kernel keeps these attributes; only SELinux looks at them. */
static void test_relabel(void **state) {
    char root[] = "/var/tmp/test-lsm-XXXXXX", outside[] = "/var/tmp/test-lsm-XXXXXX";
    auto_free char *link = NULL, *remove = NULL;
    auto_err e = ERR_INIT;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(root));
    assert_non_null(mkdtemp(outside));
    write_file(root, "/a/b/file", "");
    link = xasprintf("%s/a/link", root);
    assert_int_equal(symlink(outside, link), 0);
    fd = open(root, O_PATH | O_CLOEXEC);
    assert_int_equal(lsm_selinux_relabel(fd, "u:r:t:s0:c1,c2", false, &e), 0);
    for (size_t i = 0; i < 4; i++)
        assert_label(root, (const char *[]){"", "a", "a/b/file", "a/link"}[i], "u:r:t:s0:c1,c2");
    assert_label(outside, "", "");
    assert_int_equal(lsm_selinux_relabel(fd, "u:r:t:s0:c1,c2", true, &e), 0);
    assert_label(root, "", "u:r:t:s0");
    assert_label(root, "a/b/file", "u:r:t:s0");
    fd_close(fd);
    str_set(&link, NULL);
    link = xasprintf("%s/a/b/file", root);
    fd = open(link, O_PATH | O_CLOEXEC);
    assert_int_equal(lsm_selinux_relabel(fd, "u:r:t", false, &e), 0);
    assert_label(root, "a/b/file", "u:r:t");
    fd_close(fd);
    fd = open("/usr", O_PATH | O_CLOEXEC);
    assert_true(lsm_selinux_relabel(fd, "u:r:t:s0", true, &e) < 0);
    assert_int_equal(e.class, ERR_INVALID);
    assert_non_null(strstr(err_msg(&e), "SELinux relabeling of /usr is not allowed"));
    fd_close(fd);
    remove = xasprintf("rm -r %s %s", root, outside);
    assert_int_equal(system(remove), 0);
}

static void test_exec(void **state) {
    auto_fd proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct lsm_host h;

    (void)state;
    lsm_detect(&h);
    assert_int_equal(lsm_apparmor_exec(proc, NULL), 0);
    assert_int_equal(lsm_apparmor_exec(proc, ""), 0);
    assert_int_equal(lsm_selinux_exec(proc, NULL), 0);
    if (!h.selinux)
        assert_false(lsm_label_is_known("a:b:c"));
    if (!h.apparmor && !h.selinux) {
        assert_true(lsm_apparmor_exec(proc, "docker-default") < 0);
        assert_true(lsm_selinux_exec(proc, "a:b:c:d") < 0);
    }
    /* Not a proc file system. */
    assert_int_equal(lsm_apparmor_exec(tmp, "docker-default"), -EOPNOTSUPP);
}

static void test_text(void **state) {
    auto_free char *text = lsm_apparmor_default_text("docker-default", "unconfined");

    (void)state;
    assert_non_null(strstr(text, "profile docker-default flags=(attach_disconnected,"
                                 "mediate_deleted) {"));
    assert_non_null(strstr(text, "deny mount,"));
    assert_non_null(strstr(text, "signal (send,receive) peer=docker-default,"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),      cmocka_unit_test(test_missing_profile),
        cmocka_unit_test(test_contexts), cmocka_unit_test(test_labels),
        cmocka_unit_test(test_levels),   cmocka_unit_test(test_relabel),
        cmocka_unit_test(test_exec),     cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests_name("lsm", tests, NULL, NULL);
}
