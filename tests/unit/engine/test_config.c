/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "engine/config.h"

static void parse(const char *text, struct container_config *ret) {
    auto_err e = ERR_INIT;

    field_init(&container_config_table, ret);
    if (field_parse_text(&container_config_table, text, strlen(text), ret, &e) < 0) {
        fail_msg("%s", err_msg(&e));
    }
}

/* What runs: path and arguments, joined by blanks, or the error. */
static char *command(const char *user, const char *image) {
    auto_err e = ERR_INIT;
    auto_free char *path = NULL, *rest = NULL;
    auto_strv args = NULL;
    struct container_config c, i;
    int r;

    parse(user, &c);
    parse(image, &i);
    container_config_merge(&c, &i);
    r = container_config_command(&c, &path, &args, &e);
    rest = strv_join(args, " ");
    field_done(&container_config_table, &c);
    field_done(&container_config_table, &i);
    return r < 0 ? xstrdup(err_msg(&e)) : xasprintf("%s|%s", path, rest);
}

static void test_command(void **state) {
    static const struct {
        const char *user, *image, *want;
    } cases[] = {
        {"{}", "{\"Cmd\":[\"sh\"]}", "sh|"},
        {"{\"Cmd\":[]}", "{\"Cmd\":[\"sh\"]}", "sh|"},
        {"{\"Cmd\":[\"\"]}", "{\"Cmd\":[\"sh\"]}", "|"},
        {"{\"Entrypoint\":[]}", "{\"Cmd\":[\"sh\"]}", "sh|"},
        {"{\"Entrypoint\":[\"\"]}", "{\"Cmd\":[\"sh\"]}", "No command specified"},
        {"{\"Entrypoint\":[\"/x\"]}", "{\"Cmd\":[\"sh\"]}", "/x|"},
        {"{\"Entrypoint\":[\"/x\"],\"Cmd\":[\"y\"]}", "{\"Cmd\":[\"sh\"]}", "/x|y"},
        {"{\"Entrypoint\":[],\"Cmd\":[\"y\"]}", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"sh\"]}", "y|"},
        {"{\"Cmd\":[\"y\",\"z\"]}", "{\"Entrypoint\":[\"/e\",\"-a\"],\"Cmd\":[\"sh\"]}",
         "/e|-a y z"},
        {"{}", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"sh\"]}", "/e|sh"},
        {"{\"Entrypoint\":\"x\"}", "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"sh\"]}", "x|"},
        {"{}", "{}", "No command specified"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *got = command(cases[i].user, cases[i].image);

        assert_string_equal(got, cases[i].want);
    }
}

static void test_merge(void **state) {
    struct container_config c, image;
    auto_free char *text = NULL;

    parse("{\"Env\":[\"A=1\",\"PATH\"],\"Labels\":{\"l\":\"user\"},\"Volumes\":{\"/u\":{}},"
          "\"Healthcheck\":{\"Retries\":9},\"Cmd\":[\"x\"]}",
          &c);
    parse("{\"Env\":[\"PATH=/bin\",\"AB=2\",\"A=9\"],\"Labels\":{\"l\":\"image\",\"m\":\"image\"},"
          "\"Volumes\":{\"/i\":{}},\"ExposedPorts\":{\"80/tcp\":{}},\"User\":\"u\",\"WorkingDir\":"
          "\"/w\",\"StopSignal\":\"SIGINT\",\"Healthcheck\":{\"Test\":[\"CMD\",\"t\"],\"Interval\":"
          "5000000,\"Retries\":3},\"Hostname\":\"not inherited\",\"Tty\":true,\"OnBuild\":[\"RUN "
          "x\"]}",
          &image);
    container_config_merge(&c, &image);
    text = field_to_text(&container_config_table, &c);
    assert_string_equal(
        text,
        "{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"u\",\"AttachStdin\":false,"
        "\"AttachStdout\":false,\"AttachStderr\":false,\"ExposedPorts\":{\"80/tcp\":{}},"
        "\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":[\"A=1\",\"PATH\","
        "\"AB=2\"],\"Cmd\":[\"x\"],\"Healthcheck\":{\"Test\":[\"CMD\",\"t\"],\"Interval\":"
        "5000000,\"Retries\":9},\"Image\":\"\",\"Volumes\":{\"/i\":{},\"/u\":{}},"
        "\"WorkingDir\":\"/w\",\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":{\"l\":\"user\","
        "\"m\":\"image\"},\"StopSignal\":\"SIGINT\"}");
    field_done(&container_config_table, &c);
    field_done(&container_config_table, &image);
}

static void test_signals(void **state) {
    static const struct {
        const char *name;
        int number;
    } cases[] = {
        {"SIGTERM", 15}, {"term", 15},      {"9", 9},         {"64", 64},          {"65", -22},
        {"0", -22},      {"-9", -22},       {"RTMIN", 34},    {"SIGRTMIN+3", 37},  {"RTMAX-14", 50},
        {"RTMAX", 64},   {"RTMIN+31", -22}, {"RTMIN-1", -22}, {"SIGSIGTERM", -22}, {"", -22},
        {"SIG", -22},    {"SIGIOT", 6},     {" 9", -22},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (signal_parse(cases[i].name) != cases[i].number) {
            fail_msg("%s: %d", cases[i].name, signal_parse(cases[i].name));
        }
    }
}

static void test_cpuset(void **state) {
    struct cpuset all, some;

    assert_int_equal(cpuset_parse("0-3,8,5-6", &all), 0);
    assert_true(all.bits[0] == 0x16f);
    assert_int_equal(cpuset_parse("8191", &some), 0);
    assert_false(cpuset_contains(&all, &some));
    assert_int_equal(cpuset_parse("3,5", &some), 0);
    assert_true(cpuset_contains(&all, &some));
    assert_int_equal(cpuset_parse("8192", &some), -ERANGE);
    assert_int_equal(cpuset_parse("1--2", &some), -EINVAL);
    assert_int_equal(cpuset_parse("1-2-3", &some), -EINVAL);
    assert_int_equal(cpuset_parse("99999999999999999999", &some), -ERANGE);
}

static void test_facts(void **state) {
    struct host_facts f, again;
    struct cpuset set;

    host_facts_detect(&f);
    host_facts_detect(&again);
    assert_true(f.cpus >= 1);
    assert_int_equal(cpuset_parse(f.cpuset_cpus, &set), 0);
    assert_int_equal(cpuset_parse(f.cpuset_mems, &set), 0);
    assert_ptr_equal(f.cpuset_cpus, again.cpuset_cpus);
}

static void test_security_options(void **state) {
    char *opts[] = {"seccomp={\"defaultAction\":\"x\"}",
                    "apparmor:foo",
                    "label=type:t",
                    "label:disable",
                    "no-new-privileges=false",
                    NULL};
    auto_err e = ERR_INIT;
    struct security_options s;

    assert_int_equal(security_options_parse(opts, &s, &e), 0);
    assert_string_equal(s.seccomp, "{\"defaultAction\":\"x\"}");
    assert_string_equal(s.apparmor, "foo");
    assert_string_equal(s.label[0], "type:t");
    assert_string_equal(s.label[1], "disable");
    assert_int_equal(s.no_new_privileges, 0);
    security_options_done(&s);
    assert_int_equal(security_options_parse(NULL, &s, &e), 0);
    assert_int_equal(s.no_new_privileges, -1);
    assert_null(s.seccomp);
    security_options_done(&s);
}

static void test_networking_form(void **state) {
    static const char text[] =
        "{\"EndpointsConfig\":{\"bridge\":{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":[\"x\"],"
        "\"NetworkID\":\"\",\"EndpointID\":\"\",\"Gateway\":\"\",\"IPAddress\":\"\","
        "\"IPPrefixLen\":"
        "0,\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,"
        "\"MacAddress\":\"\",\"DriverOpts\":null}}}";
    auto_err e = ERR_INIT;
    auto_free char *back = NULL;
    struct networking_config n;

    field_init(&networking_config_table, &n);
    assert_int_equal(field_parse_text(&networking_config_table, text, strlen(text), &n, &e), 0);
    back = field_to_text(&networking_config_table, &n);
    assert_string_equal(back, text);
    field_done(&networking_config_table, &n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),         cmocka_unit_test(test_merge),
        cmocka_unit_test(test_signals),         cmocka_unit_test(test_cpuset),
        cmocka_unit_test(test_facts),           cmocka_unit_test(test_security_options),
        cmocka_unit_test(test_networking_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
