/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "oci/image_config.h"

#define D0 "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"

/* In the form that docker commit and docker build write: keys sorted. */
static const char config[] =
    "{\"architecture\":\"amd64\",\"config\":{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\","
    "\"AttachStdin\":false,\"AttachStdout\":false,\"AttachStderr\":false,\"ExposedPorts\":{"
    "\"80/tcp\":{}},\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":[\"PATH=/bin\"],"
    "\"Cmd\":[\"sh\"],\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":1000000000},"
    "\"Image\":\"" D1 "\",\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"\",\"Entrypoint\":null,"
    "\"OnBuild\":null,\"Labels\":null,\"StopSignal\":\"SIGTERM\"},\"created\":"
    "\"2023-11-14T22:13:20Z\",\"docker_version\":\"20.10.24\",\"history\":[{\"created\":"
    "\"2023-11-14T22:13:20Z\",\"created_by\":\"ADD\"},{\"created_by\":\"CMD\",\"empty_layer\":true}"
    "],\"os\":\"linux\",\"parent\":\"" D1 "\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D0
    "\"]},\"variant\":\"v2\"}";

static void test_config_round_trip(void **state) {
    auto_err e = ERR_INIT;
    auto_free char *text = NULL;
    struct image_config c;

    assert_int_equal(image_config_parse(config, strlen(config), &c, &e), 0);
    assert_string_equal(c.rootfs.diff_ids[0], D0);
    assert_string_equal(c.config->cmd[0], "sh");
    assert_null(c.container_config);
    text = field_to_text(&image_config_table, &c);
    assert_string_equal(text, config);
    field_done(&image_config_table, &c);
}

static void test_config_refused(void **state) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{}", NULL},
        {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D0 "\"]}}", NULL},
        {"{\"rootfs\":{\"type\":\"foo\"}}", "invalid image config: rootfs type \"foo\""},
        {"{\"rootfs\":{\"diff_ids\":[\"sha256:zz\"]}}",
         "invalid image config: diff id \"sha256:zz\""},
        {"{\"rootfs\":{\"diff_ids\":[\"../../x\"]}}", "invalid image config: diff id \"../../x\""},
        {"{\"rootfs\":{\"diff_ids\":[\"" D0 "\"]},\"history\":[{\"empty_layer\":true}]}",
         "invalid image config: 1 layers in rootfs, 0 in the history"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_err e = ERR_INIT;
        struct image_config c;
        int r = image_config_parse(cases[i].text, strlen(cases[i].text), &c, &e);

        if (cases[i].error) {
            assert_int_not_equal(r, 0);
            assert_string_equal(err_msg(&e), cases[i].error);
        } else {
            assert_int_equal(r, 0);
            field_done(&image_config_table, &c);
        }
    }
}

static void test_manifest(void **state) {
    static const char text[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_DOCKER_MANIFEST
        "\",\"config\":{\"mediaType\":\"" MEDIA_DOCKER_CONFIG "\",\"size\":7,\"digest\":\"" D0
        "\"},\"layers\":[{\"mediaType\":\"" MEDIA_DOCKER_LAYER_GZIP "\",\"size\":9,\"digest\":\"" D1
        "\"}]}";
    auto_err e = ERR_INIT;
    auto_free char *back = NULL;
    struct oci_manifest m;

    assert_int_equal(oci_manifest_parse(text, strlen(text), &m, &e), 0);
    assert_int_equal(m.layers.count, 1);
    assert_true(
        media_type_is_layer(field_array_at(&m.layers, struct oci_descriptor, 0)->media_type));
    back = field_to_text(&oci_manifest_table, &m);
    assert_string_equal(back, text);
    field_done(&oci_manifest_table, &m);
}

static void test_manifest_refused(void **state) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{\"schemaVersion\":1}", "unsupported manifest schema version 1"},
        {"{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}",
         "invalid manifest: both a manifest and an index"},
        {"{\"schemaVersion\":2,\"manifests\":[]}", "invalid manifest: expected an image manifest"},
        {"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"layers\":[]}",
         "invalid manifest: media type \"" MEDIA_OCI_INDEX "\""},
        {"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:x\"},\"layers\":[]}",
         "invalid manifest: digest of the config: \"sha256:x\""},
        {"{\"schemaVersion\":2,\"config\":{\"digest\":\"" D0 "\"},\"layers\":[{\"digest\":\"" D0
         "\",\"size\":-1}]}",
         "invalid manifest: size of a layer"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_err e = ERR_INIT;
        struct oci_manifest m;

        assert_int_not_equal(oci_manifest_parse(cases[i].text, strlen(cases[i].text), &m, &e), 0);
        assert_string_equal(err_msg(&e), cases[i].error);
    }
}

static void test_index(void **state) {
    static const char text[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":["
        "{\"digest\":\"" D0 "\",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
        "{\"digest\":\"" D0
        "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":"
        "\"v6\"}},"
        "{\"digest\":\"" D0
        "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":"
        "\"v7\"}},"
        "{\"digest\":\"" D1 "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}";
    auto_err e = ERR_INIT;
    struct oci_index x;

    assert_int_equal(oci_index_parse(text, strlen(text), &x, &e), 0);
    assert_int_equal(oci_index_select(&x, "linux", "amd64", NULL), 3);
    assert_int_equal(oci_index_select(&x, "linux", "arm", "v7"), 2);
    assert_int_equal(oci_index_select(&x, "linux", "arm", NULL), 1);
    assert_int_equal(oci_index_select(&x, "linux", "arm", "v5"), -1);
    assert_int_equal(oci_index_select(&x, "windows", "amd64", NULL), -1);
    field_done(&oci_index_table, &x);
}

static void test_digest(void **state) {
    assert_true(oci_digest_is_valid(D0));
    assert_false(oci_digest_is_valid("sha256:"));
    assert_false(oci_digest_is_valid("md5:00"));
    assert_false(oci_digest_is_valid(NULL));
    assert_false(oci_digest_is_valid(D0 "0"));
    assert_false(oci_digest_is_valid(
        "sha256:000000000000000000000000000000000000000000000000000000000000000A"));
    assert_true(media_type_is_index(MEDIA_DOCKER_LIST));
    assert_false(media_type_is_manifest(NULL));
}

static void test_archive(void **state) {
    static const char text[] =
        "{\"Config\":\"a.json\",\"RepoTags\":null,\"Layers\":[\"l/layer.tar\"]}";
    auto_err e = ERR_INIT;
    auto_free char *back = NULL;
    struct archive_image a;

    field_init(&archive_image_table, &a);
    assert_int_equal(field_parse_text(&archive_image_table, text, strlen(text), &a, &e), 0);
    back = field_to_text(&archive_image_table, &a);
    assert_string_equal(back, text);
    field_done(&archive_image_table, &a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_round_trip),
        cmocka_unit_test(test_config_refused),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_manifest_refused),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_archive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
