/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "base/str.h"
#include "netd/message.h"
#include "netd/sandbox.h"

static void test_round_trip(void **state) {
    char *list[] = {(char *)"web", (char *)"", (char *)"w1", NULL};
    const struct netd_addr four = {AF_INET, {10, 0, 0, 1}}, six = {AF_INET6, {0xfd, 1}}, none = {0};
    auto_buf b = BUF_INIT;
    struct netd_msg head;
    struct netd_in in;

    netd_begin(&b, NETD_ENDPOINT_PUT, 9);
    netd_put_u8(&b, 200);
    netd_put_u16(&b, 60000);
    netd_put_u32(&b, 4000000000u);
    netd_put_text(&b, "text");
    netd_put_text(&b, NULL);
    netd_put_list(&b, list);
    netd_put_list(&b, NULL);
    netd_put_addr(&b, &four);
    netd_put_addr(&b, &six);
    netd_put_addr(&b, &none);
    assert_int_equal(netd_end(&b), 0);

    assert_int_equal(netd_open(b.data, b.len, &head, &in), 0);
    assert_int_equal(head.type, NETD_ENDPOINT_PUT);
    assert_int_equal(head.seq, 9);
    assert_int_equal(netd_get_u8(&in), 200);
    assert_int_equal(netd_get_u16(&in), 60000);
    assert_int_equal(netd_get_u32(&in), 4000000000u);
    assert_string_equal(netd_get_text(&in, 10), "text");
    assert_string_equal(netd_get_text(&in, 10), "");
    auto_strv got = netd_get_list(&in, 10);
    assert_true(strv_eq(got, list));
    assert_null(netd_get_list(&in, 10));
    struct netd_addr a = netd_get_addr(&in);
    assert_true(netd_addr_equal(&a, &four));
    a = netd_get_addr(&in);
    assert_true(netd_addr_equal(&a, &six));
    a = netd_get_addr(&in);
    assert_int_equal(a.family, 0);
    assert_false(in.failed);
    assert_int_equal(in.left, 0);
    /* past the end: zeros, and it stays failed */
    assert_int_equal(netd_get_u8(&in), 0);
    assert_true(in.failed);
    assert_string_equal(netd_get_text(&in, 10), "");
}

static void test_malformed(void **state) {
    auto_buf b = BUF_INIT;
    struct netd_msg head;
    struct netd_in in;

    netd_begin(&b, NETD_SANDBOX_DEL, 0);
    netd_put_text(&b, "four");
    assert_int_equal(netd_end(&b), 0);
    assert_int_equal(netd_open(b.data, b.len - 1, &head, &in), -EBADMSG);
    assert_int_equal(netd_open(b.data, sizeof head - 1, &head, &in), -EBADMSG);
    b.data[4]++; /* the version */
    assert_int_equal(netd_open(b.data, b.len, &head, &in), -EPROTO);
    b.data[4]--;
    b.data[0]++;
    assert_int_equal(netd_open(b.data, b.len, &head, &in), -EBADMSG);
    b.data[0]--;
    assert_int_equal(netd_open(b.data, b.len, &head, &in), 0);
    assert_string_equal(netd_get_text(&in, 3), ""); /* too long for what was asked */
    assert_true(in.failed);
    b.data[sizeof head + 3] = '\0'; /* a NUL inside */
    assert_int_equal(netd_open(b.data, b.len, &head, &in), 0);
    assert_string_equal(netd_get_text(&in, 10), "");
    assert_true(in.failed);
}

static void test_too_long(void **state) {
    static char text[4097];
    auto_buf b = BUF_INIT;

    memset(text, 'x', sizeof text - 1);
    netd_begin(&b, NETD_STATUS, 0);
    for (int i = 0; i < 17; i++)
        netd_put_text(&b, text);
    assert_int_equal(netd_end(&b), -EMSGSIZE);
    netd_begin(&b, NETD_STATUS, 0);
    assert_int_equal(netd_end(&b), 0);
}

static void test_servers(void **state) {
    struct sandbox_server s;
    char text[NETD_ADDR_TEXT];

    assert_int_equal(sandbox_server_parse("10.1.2.3", &s), 0);
    assert_int_equal(s.port, 53);
    assert_string_equal(netd_addr_text(&s.addr, s.port, text), "10.1.2.3:53");
    assert_int_equal(sandbox_server_parse("fd00::1#5353", &s), 0);
    assert_string_equal(netd_addr_text(&s.addr, s.port, text), "[fd00::1]:5353");
    assert_int_equal(sandbox_server_parse("10.1.2.3#0", &s), -EINVAL);
    assert_int_equal(sandbox_server_parse("10.1.2.3#65536", &s), -EINVAL);
    assert_int_equal(sandbox_server_parse("example.org", &s), -EINVAL);
    assert_int_equal(sandbox_server_parse("", &s), -EINVAL);
    assert_int_equal(sandbox_server_parse("127.1.2.3", &s), 0);
    assert_true(netd_addr_is_loopback(&s.addr));
    assert_int_equal(sandbox_server_parse("::1", &s), 0);
    assert_true(netd_addr_is_loopback(&s.addr));
    assert_int_equal(sandbox_server_parse("fd00::1", &s), 0);
    assert_false(netd_addr_is_loopback(&s.addr));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
