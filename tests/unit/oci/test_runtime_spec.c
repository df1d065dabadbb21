/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "oci/runtime_spec.h"

/* What Debian's dockerd gave to runc, with a seccomp object put in and shortened lists. */
static const char bundle[] =
    "{\"ociVersion\":\"1.0.2-dev\",\"process\":{\"terminal\":true,\"consoleSize\":{\"height\":24,"
    "\"width\":80},\"user\":{\"uid\":1,\"gid\":2,\"umask\":18,\"additionalGids\":[2,5]},\"args\":["
    "\"sleep\",\"100\"],\"env\":[\"PATH=/bin\",\"HOSTNAME=h\"],\"cwd\":\"/tmp\",\"capabilities\":{"
    "\"bounding\":[\"CAP_CHOWN\"]},\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":"
    "18446744073709551615,\"soft\":100}],\"noNewPrivileges\":true,\"oomScoreAdj\":0},\"root\":{"
    "\"path\":\"/merged\",\"readonly\":true},\"hostname\":\"h\",\"mounts\":[{\"destination\":"
    "\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\"]},{\"destination\":"
    "\"/b\",\"type\":\"bind\",\"source\":\"/etc\",\"options\":[\"rbind\",\"ro\"],\"uidMappings\":[{"
    "\"containerID\":0,\"hostID\":100000,\"size\":65536}]}],\"annotations\":{\"a\":\"b\"},"
    "\"linux\":{\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}],\"sysctl\":{"
    "\"kernel.domainname\":\"d\"},\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
    "{"
    "\"allow\":true,\"type\":\"c\",\"major\":10,\"minor\":0,\"access\":\"r\"}],\"memory\":{"
    "\"limit\":67108864,\"swap\":-1,\"swappiness\":0,\"disableOOMKiller\":false},\"cpu\":{"
    "\"shares\":512,\"quota\":50000,\"period\":100000,\"cpus\":\"0\"},\"pids\":{\"limit\":100},"
    "\"blockIO\":{\"weight\":0,\"throttleReadBpsDevice\":[{\"major\":254,\"minor\":0,\"rate\":"
    "1000000}]},\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":9}],\"unified\":{\"memory."
    "high\":"
    "\"1\"}},\"cgroupsPath\":\"/docker/x\",\"namespaces\":[{\"type\":\"mount\"},{\"type\":"
    "\"network\",\"path\":\"/proc/1/ns/net\"}],\"devices\":[{\"path\":\"/dev/fuse\",\"type\":\"c\","
    "\"major\":10,\"minor\":229,\"fileMode\":384,\"uid\":0,\"gid\":0}],\"seccomp\":{"
    "\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"]}]},"
    "\"rootfsPropagation\":\"rslave\",\"maskedPaths\":[\"/proc/acpi\"],\"readonlyPaths\":["
    "\"/proc/bus\"]}}";

static void parse(const char *text, struct oci_spec *ret) {
    auto_err e = ERR_INIT;
    int r;

    field_init(&oci_spec_table, ret);
    r = field_parse_text(&oci_spec_table, text, strlen(text), ret, &e);
    if (r < 0) {
        fail_msg("%s", err_msg(&e));
    }
}

/* Nothing that runc is told gets lost or changed on the way through the struct. */
static void test_round_trip(void **state) {
    auto_free char *text = NULL;
    struct oci_spec s, copy;

    parse(bundle, &s);
    text = field_to_text(&oci_spec_table, &s);
    assert_string_equal(text, bundle);
    field_init(&oci_spec_table, &copy);
    field_copy(&oci_spec_table, &copy, &s);
    field_done(&oci_spec_table, &s);
    free(text);
    text = field_to_text(&oci_spec_table, &copy);
    assert_string_equal(text, bundle);
    field_done(&oci_spec_table, &copy);
}

static void test_members(void **state) {
    struct oci_spec s;

    parse(bundle, &s);
    assert_int_equal(s.process.user.additional_gids.count, 2);
    assert_int_equal(s.process.user.additional_gids.items[1], 5);
    assert_true(field_array_at(&s.process.rlimits, struct oci_rlimit, 0)->hard == UINT64_MAX);
    assert_false(field_array_at(&s.lin.resources->devices, struct oci_device_rule, 0)->major.set);
    assert_true(field_array_at(&s.lin.resources->devices, struct oci_device_rule, 1)->minor.set);
    assert_true(s.lin.resources->memory->swappiness.set);
    assert_int_equal(s.lin.resources->memory->disable_oom_killer, 0);
    assert_int_equal(s.lin.resources->memory->swap.value, -1);
    assert_string_equal(oci_spec_namespace(&s, "network")->path, "/proc/1/ns/net");
    assert_null(oci_spec_namespace(&s, "user"));
    field_done(&oci_spec_table, &s);
}

static void test_check(void **state) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{\"ociVersion\":\"1.1.0\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/"
         "\"},\"root\":{\"path\":"
         "\"r\"}}",
         NULL},
        {"{\"ociVersion\":\"2.0\"}", "unsupported ociVersion: \"2.0\""},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[],\"cwd\":\"/\"}}",
         "args must not be empty"},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"x\"],\"cwd\":\"tmp\"}}",
         "Cwd must be an absolute path"},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/\"}}",
         "Root must be specified"},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/"
         "\"},\"root\":{\"path\":"
         "\"r\"},\"mounts\":[{\"destination\":\"x\"}]}",
         "mount destination is not absolute: x"},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/"
         "\"},\"root\":{\"path\":"
         "\"r\"},\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}}",
         "namespace given twice: pid"},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/"
         "\"},\"root\":{\"path\":"
         "\"r\"},\"linux\":{\"namespaces\":[{\"type\":\"foo\"}]}}",
         "unknown namespace type: foo"},
        {"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/"
         "\"},\"root\":{\"path\":"
         "\"r\"},\"linux\":{\"namespaces\":[{\"type\":\"ipc\",\"path\":\"a\"}]}}",
         "namespace path is not absolute: a"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_err e = ERR_INIT;
        struct oci_spec s;
        int r;

        parse(cases[i].text, &s);
        r = oci_spec_check(&s, &e);
        if (cases[i].error) {
            assert_int_not_equal(r, 0);
            assert_string_equal(err_msg(&e), cases[i].error);
        } else {
            assert_int_equal(r, 0);
        }
        field_done(&oci_spec_table, &s);
    }
}

static void test_builders(void **state) {
    struct oci_spec s;
    struct oci_mount *m;

    field_init(&oci_spec_table, &s);
    oci_spec_add_namespace(&s, "pid", NULL);
    oci_spec_add_namespace(&s, "ipc", "/p");
    m = oci_spec_add_mount(&s, "/proc", "proc", "proc", "nosuid,nodev");
    assert_int_equal(strv_len(m->options), 2);
    assert_string_equal(m->options[1], "nodev");
    m = oci_spec_add_mount(&s, "/x", "bind", "/y", NULL);
    assert_null(m->options);
    assert_null(oci_spec_namespace(&s, "pid")->path);
    field_done(&oci_spec_table, &s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_builders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
