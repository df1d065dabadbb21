/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked of AppArmor and SELinux, with and without them in the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
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

static void test_labels(void **state) {
    static const char base[] = "system_u:system_r:container_t:s0:c1,c2";
    struct lsm_host on = {.selinux = true}, off = {0};
    auto_err e = ERR_INIT;
    auto_strv opts = NULL;
    char *label = NULL;

    (void)state;
    assert_int_equal(lsm_selinux_label(&on, NULL, base, &label, &e), 0);
    assert_string_equal(label, base);
    free(label);
    strv_add(&opts, "type:svirt_apache_t");
    strv_add(&opts, "level:s0:c740,c787");
    strv_add(&opts, "user:u");
    assert_int_equal(lsm_selinux_label(&on, opts, base, &label, &e), 0);
    assert_string_equal(label, "u:system_r:svirt_apache_t:s0:c740,c787");
    free(label);
    label = (char *)1;
    assert_int_equal(lsm_selinux_label(&off, opts, base, &label, &e), 0);
    assert_null(label);
    strv_add(&opts, "disable");
    label = (char *)1;
    assert_int_equal(lsm_selinux_label(&on, opts, base, &label, &e), 0);
    assert_null(label);
    strv_add(&opts, "colour:red");
    assert_true(lsm_selinux_label(&on, opts, base, &label, &e) < 0);
    assert_non_null(strstr(err_msg(&e), "bad label option \"colour:red\""));
    err_done(&e);
    assert_true(lsm_selinux_label(&on, NULL, "nonsense", &label, &e) < 0);
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
        cmocka_unit_test(test_off),    cmocka_unit_test(test_missing_profile),
        cmocka_unit_test(test_labels), cmocka_unit_test(test_exec),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests_name("lsm", tests, NULL, NULL);
}
