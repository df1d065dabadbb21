/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/create.h"
#include "format/json.h"

static char *one(const char *s) {
    return (char *)s; /* the functions only read */
}

static void ports_to(const char *publish, const char *expose, const char *exposed_json,
                     const char *bindings_json) {
    char *const p[] = {one(publish), NULL}, *const x[] = {one(expose), NULL};
    auto_json *exposed = json_object_new_object(), *bindings = json_object_new_object();
    auto_buf out = BUF_INIT;
    struct jw w;

    assert_int_equal(ports_parse(publish ? p : NULL, expose ? x : NULL, exposed, bindings, NULL),
                     0);
    jw_init(&w, &out);
    jw_value(&w, exposed);
    assert_string_equal(buf_str(&out), exposed_json);
    buf_clear(&out);
    jw_init(&w, &out);
    jw_value(&w, bindings);
    assert_string_equal(buf_str(&out), bindings_json);
}

static void ports(void **state) {
    ports_to("80", NULL, "{\"80/tcp\":{}}", "{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}]}");
    ports_to("127.0.0.1:53:53/udp", NULL, "{\"53/udp\":{}}",
             "{\"53/udp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"53\"}]}");
    ports_to("[::1]:80:81", NULL, "{\"81/tcp\":{}}",
             "{\"81/tcp\":[{\"HostIp\":\"::1\",\"HostPort\":\"80\"}]}");
    ports_to("7000-7010:99", NULL, "{\"99/tcp\":{}}",
             "{\"99/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"7000-7010\"}]}");
    ports_to("1-2:3-4", NULL, "{\"3/tcp\":{},\"4/tcp\":{}}",
             "{\"3/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"1\"}],"
             "\"4/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"2\"}]}");
    ports_to("target=80,published=8080,protocol=udp", "6-7/udp",
             "{\"80/udp\":{},\"6/udp\":{},\"7/udp\":{}}",
             "{\"80/udp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]}");
}

static void bad_ports(void **state) {
    static const struct {
        const char *publish, *text;
    } cases[] = {
        {"abc", "invalid containerPort: abc"},
        {"99999", "invalid containerPort: 99999"},
        {"80/foo", "invalid proto: foo"},
        {"", "no port specified: <empty>"},
        {"1.2.3:80:80", "invalid IP address: 1.2.3"},
        {"1-3:1-2", "invalid ranges specified for container and host Ports: 1-2 and 1-3"},
        {"x:80", "invalid hostPort: x"},
        {"published=80", "no port specified: 80:/tcp<empty>"},
        {"target=80,mode", "invalid publish opts format (should be name=value but got 'mode')"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *const p[] = {one(cases[i].publish), NULL};
        auto_json *exposed = json_object_new_object(), *bindings = json_object_new_object();
        auto_err e = ERR_INIT;

        assert_true(ports_parse(p, NULL, exposed, bindings, &e) < 0);
        assert_string_equal(err_msg(&e), cases[i].text);
    }
}

static void mounts(void **state) {
    static const struct {
        const char *spec, *result; /* JSON, or a text of an error */
    } cases[] = {
        {"type=bind,src=/x,dst=/y,readonly",
         "{\"Type\":\"bind\",\"Source\":\"/x\",\"Target\":\"/y\",\"ReadOnly\":true}"},
        {"source=v,target=/z,volume-nocopy,volume-opt=a=b",
         "{\"Type\":\"volume\",\"Source\":\"v\",\"Target\":\"/"
         "z\",\"VolumeOptions\":{\"NoCopy\":true,"
         "\"DriverConfig\":{\"Options\":{\"a\":\"b\"}}}}"},
        {"type=tmpfs,dst=/tt,tmpfs-size=1m,tmpfs-mode=1770",
         "{\"Type\":\"tmpfs\",\"Target\":\"/tt\",\"TmpfsOptions\":{\"SizeBytes\":1048576,"
         "\"Mode\":1016}}"},
        {"\"type=bind\",\"src=/a,b\",dst=/c",
         "{\"Type\":\"bind\",\"Source\":\"/a,b\",\"Target\":\"/c\"}"},
        {"foo", "invalid field 'foo' must be a key=value pair"},
        {"type=bind", "target is required"},
        {"dst=/a,foo=bar", "unexpected key 'foo' in 'foo=bar'"},
        {"type=bind,dst=/b,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"},
        {"dst=/b,ro=x", "invalid value for ro: x"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_json *m = NULL;
        auto_buf out = BUF_INIT;
        auto_err e = ERR_INIT;
        struct jw w;

        if (mount_parse(cases[i].spec, &m, &e) < 0) {
            assert_string_equal(err_msg(&e), cases[i].result);
            continue;
        }
        jw_init(&w, &out);
        jw_value(&w, m);
        assert_string_equal(buf_str(&out), cases[i].result);
    }
}

static void limits_and_devices(void **state) {
    auto_free char *name = NULL;
    int64_t soft, hard;

    assert_int_equal(ulimit_parse("nofile=10:20", &name, &soft, &hard, NULL), 0);
    assert_string_equal(name, "nofile");
    assert_int_equal(soft, 10);
    assert_int_equal(hard, 20);
    assert_true(check_ulimit("nofile=20:10", NULL) < 0);
    assert_true(check_ulimit("foo=1", NULL) < 0);
    assert_int_equal(check_device("/dev/a:/dev/b:rw", NULL), 0);
    assert_int_equal(check_device("vendor.com/class=x", NULL), 0);
    assert_true(check_device("/dev/a:/dev/b:x", NULL) < 0);
    assert_true(check_device("foo", NULL) < 0);
    assert_int_equal(check_add_host("a:1.2.3.4", NULL), 0);
    assert_int_equal(check_add_host("a=[::1]", NULL), 0);
    assert_int_equal(check_add_host("a:host-gateway", NULL), 0);
    assert_true(check_add_host("a:b", NULL) < 0);
    assert_int_equal(check_sysctl("net.ipv4.x=1", NULL), 0);
    assert_true(check_sysctl("vm.x=1", NULL) < 0);
}

static void references(void **state) {
    auto_free char *repo = NULL, *tag = NULL;

    assert_int_equal(split_reference("localhost:5000/b", &repo, &tag, NULL), 0);
    assert_string_equal(repo, "localhost:5000/b");
    assert_string_equal(tag, "latest");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports),      cmocka_unit_test(bad_ports),
        cmocka_unit_test(mounts),     cmocka_unit_test(limits_and_devices),
        cmocka_unit_test(references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
