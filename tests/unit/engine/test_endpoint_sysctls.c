/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/endpoint_sysctls.h"

#define OPTION "com.docker.network.endpoint.sysctls"

static void settings_are_taken(void **state) {
    struct strmap options = {0}, got = {0};
    auto_err e = ERR_INIT;

    (void)state;
    assert_int_equal(endpoint_sysctls_check(&options, &e), 0);
    endpoint_sysctls_take(&options, &got);
    assert_int_equal(got.count, 0);
    strmap_put(&options, OPTION,
               "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=2");
    assert_int_equal(endpoint_sysctls_check(&options, &e), 0);
    endpoint_sysctls_take(&options, &got);
    assert_int_equal(got.count, 2);
    assert_string_equal(strmap_get(&got, "net.ipv4.conf.IFNAME.log_martians"), "1");
    assert_string_equal(strmap_get(&got, "net.ipv6.conf.ifname.accept_ra"), "2");
    strmap_done(&options);
    strmap_done(&got);
}

static void others_are_refused(void **state) {
    static const char *const bad[] = {"net.ipv4.ip_forward=1",
                                      "net.ipv4.conf.eth0.log_martians=1",
                                      "net.core.conf.IFNAME.x=1",
                                      "kernel.ipv4.conf.IFNAME.x=1",
                                      "net.ipv4.conf.IFNAME.x",
                                      "net.ipv4.conf.IFNAME=1",
                                      "net.ipv4.conf.IFNAME.a/../../b=1",
                                      "x",
                                      ","};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct strmap options = {0}, got = {0};
        auto_err e = ERR_INIT;

        strmap_put(&options, OPTION, bad[i]);
        assert_true(endpoint_sysctls_check(&options, &e) < 0);
        assert_int_equal(e.class, ERR_INVALID);
        endpoint_sysctls_take(&options, &got);
        assert_int_equal(got.count, 0);
        strmap_done(&options);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_taken),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
