/* SPDX-License-Identifier: Apache-2.0 */

/* Texts and forms are dockerd 20.10.24's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "engine/mounts_plan.h"

/* config and host are JSON; gives inspect's Mounts or the error text. */
static char *plan(const char *config, const char *host, const struct volumes_from_lookup *from,
                  struct field_array *ret) {
    auto_err e = ERR_INIT;
    auto_buf out = BUF_INIT;
    struct container_config c;
    struct host_config h;
    struct field_array points = {0};
    struct jw w;
    int r;

    field_init(&container_config_table, &c);
    field_init(&host_config_table, &h);
    r = field_parse_text(&container_config_table, config, strlen(config), &c, &e);
    if (r == 0) {
        r = field_parse_text(&host_config_table, host, strlen(host), &h, &e);
    }
    if (r == 0) {
        r = mounts_plan(&c, &h, from, "/srv/fence", false, &points, &e);
    }
    field_done(&container_config_table, &c);
    field_done(&host_config_table, &h);
    if (r < 0) {
        return xstrdup(err_msg(&e));
    }
    jw_init(&w, &out);
    for (size_t i = 0; i < points.count; i++) {
        const struct mount_point *p = field_array_at(&points, struct mount_point, i);

        if (p->hidden) {
            buf_printf(&out, "(%s %s)", p->destination, p->tmpfs_options);
        } else {
            field_emit(&mount_point_api_table, p, &w);
        }
        w.comma = 0;
    }
    if (ret) {
        *ret = points;
    } else {
        mount_points_done(&points);
    }
    return buf_take(&out);
}

static void expect(const char *config, const char *host, const char *want) {
    auto_free char *got = plan(config, host, NULL, NULL);

    if (!str_eq(got, want)) {
        fail_msg("%s %s\n  got:  %s\n  want: %s", config, host, got, want);
    }
}

#define BIND(s, d, m, rw, p)                                                                       \
    "{\"Type\":\"bind\",\"Source\":\"" s "\",\"Destination\":\"" d "\",\"Mode\":\"" m              \
    "\",\"RW\":" rw ",\"Propagation\":\"" p "\"}"
#define VOLUME(n, d, m, rw)                                                                        \
    "{\"Type\":\"volume\"," n "\"Source\":\"\",\"Destination\":\"" d                               \
    "\",\"Driver\":\"local\",\"Mode\":\"" m "\",\"RW\":" rw ",\"Propagation\":\"\"}"
#define NAMED(n) "\"Name\":\"" n "\","

static void test_binds(void **state) {
    static const struct {
        const char *bind, *want;
    } cases[] = {
        {"/etc:/x", BIND("/etc", "/x", "", "true", "rprivate")},
        {"/etc/../usr/:/x/../y/", BIND("/usr", "/y", "", "true", "rprivate")},
        {"/etc:/x:ro,z", BIND("/etc", "/x", "ro,z", "false", "rprivate")},
        {"/etc:/x:Z,rshared", BIND("/etc", "/x", "Z,rshared", "true", "rshared")},
        {"/etc:/x:rw,slave,cached", BIND("/etc", "/x", "rw,slave,cached", "true", "slave")},
        {"vol:/x", VOLUME(NAMED("vol"), "/x", "z", "true")},
        {"vol:/x:ro,nocopy", VOLUME(NAMED("vol"), "/x", "ro,nocopy", "false")},
        {"/x", VOLUME("", "/x", "z", "true")},
        {"x", "invalid volume specification: 'x': invalid mount config for type \"volume\": "
              "invalid mount path: 'x' mount path must be absolute"},
        {"/tmp:x", "invalid volume specification: '/tmp:x': invalid mount config for type "
                   "\"bind\": invalid mount path: 'x' mount path must be absolute"},
        {"/tmp:/", "invalid volume specification: '/tmp:/': invalid mount config for type "
                   "\"bind\": invalid specification: destination can't be '/'"},
        {"/tmp:/..", "invalid volume specification: '/tmp:/..': invalid mount config for type "
                     "\"bind\": invalid specification: destination can't be '/'"},
        {"/tmp::ro", "invalid volume specification: '/tmp::ro': invalid mount config for type "
                     "\"bind\": field Target must not be empty"},
        {"/tmp:/x:foo", "invalid mode: foo"},
        {"/tmp:/x:ro,rw", "invalid mode: ro,rw"},
        {"/tmp:/x:shared,private", "invalid mode: shared,private"},
        {"/tmp:/x:z,Z", "invalid mode: z,Z"},
        {"/tmp:/x:rbind", "invalid mode: rbind"},
        {"a:/x:delegated,cached", "invalid mode: delegated,cached"},
        {"/tmp:/x:nocopy", "invalid volume specification: '/tmp:/x:nocopy': invalid mount config "
                           "for type \"bind\": field VolumeOptions must not be specified"},
        {"vol:/x:shared", "invalid volume specification: 'vol:/x:shared': invalid mount config for "
                          "type \"volume\": field BindOptions must not be specified"},
        {"", "invalid volume specification: ''"},
        {":", "invalid volume specification: ':'"},
        {"x:", "invalid volume specification: 'x:'"},
        {"/foo:ro", "invalid volume specification: '/foo:ro'"},
        {"/tmp:/x:ro:y", "invalid volume specification: '/tmp:/x:ro:y'"},
        {"/srv:/x", BIND("/srv", "/x", "", "true", "rslave")},
        {"/srv/fence/volumes:/x", BIND("/srv/fence/volumes", "/x", "", "true", "rslave")},
        {"/srv/fence2:/x", BIND("/srv/fence2", "/x", "", "true", "rprivate")},
        {"/:/x:rshared", BIND("/", "/x", "rshared", "true", "rshared")},
        {"/srv:/x:slave",
         "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when "
         "mount source is within the daemon root, daemon root: \"/srv/fence\", bind mount source: "
         "\"/srv\", propagation: \"slave\""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *host = xasprintf("{\"Binds\":[\"%s\"]}", cases[i].bind);

        expect("{}", host, cases[i].want);
    }
}

static void test_mounts(void **state) {
    static const struct {
        const char *mount, *want;
    } cases[] = {
        {"", "invalid mount config for type \"\": field Target must not be empty"},
        {"\"Type\":\"bind\"", "invalid mount config for type \"bind\": field Target must not be "
                              "empty"},
        {"\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"x\"",
         "invalid mount config for type \"bind\": invalid mount path: 'x' mount path must be "
         "absolute"},
        {"\"Type\":\"bind\",\"Source\":\"etc\",\"Target\":\"/x\"",
         "invalid mount config for type \"bind\": invalid mount path: 'etc' mount path must be "
         "absolute"},
        {"\"Type\":\"bind\",\"Source\":\"/nosuch9\",\"Target\":\"/x\"",
         "invalid mount config for type \"bind\": bind source path does not exist: /nosuch9"},
        {"\"Type\":\"bind\",\"Source\":\"/nosuch9\",\"Target\":\"/x\",\"BindOptions\":{"
         "\"CreateMountpoint\":true}",
         BIND("/nosuch9", "/x", "", "true", "rprivate")},
        {"\"Type\":\"bind\",\"Target\":\"/x\"",
         "invalid mount config for type \"bind\": field Source must not be empty"},
        {"\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"/\"",
         "invalid mount config for type \"bind\": invalid specification: destination can't be '/'"},
        {"\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"/x\",\"BindOptions\":{"
         "\"Propagation\":\"x\"}",
         "invalid mount config for type \"bind\": invalid propagation mode: x"},
        {"\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"/x\",\"VolumeOptions\":{}",
         "invalid mount config for type \"bind\": field VolumeOptions must not be specified"},
        {"\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"/x\",\"TmpfsOptions\":{"
         "\"SizeBytes\":1}",
         "invalid mount config for type \"bind\": field TmpfsOptions must not be specified"},
        {"\"Type\":\"volume\",\"Source\":\"vol\",\"Target\":\"/x\",\"TmpfsOptions\":{"
         "\"Options\":[[\"exec\"]]}",
         "invalid mount config for type \"volume\": field TmpfsOptions must not be specified"},
        {"\"Type\":\"tmpfs\",\"Target\":\"/x\",\"VolumeOptions\":{\"NoCopy\":true}",
         "invalid mount config for type \"tmpfs\": field VolumeOptions must not be specified"},
        {"\"Type\":\"bind\",\"Source\":\"/etc\",\"Target\":\"/x\",\"ReadOnly\":true,"
         "\"TmpfsOptions\":{},\"Consistency\":\"foo\"",
         BIND("/etc", "/x", "", "false", "rprivate")},
        {"\"Type\":\"volume\",\"Target\":\"/x\"", VOLUME("", "/x", "z", "true")},
        {"\"Type\":\"volume\",\"Source\":\"v1\",\"Target\":\"/x\",\"ReadOnly\":true",
         VOLUME(NAMED("v1"), "/x", "z", "false")},
        {"\"Type\":\"volume\",\"Target\":\"/x\",\"ReadOnly\":true",
         "invalid mount config for type \"volume\": must not set ReadOnly mode when using "
         "anonymous "
         "volumes"},
        {"\"Type\":\"volume\",\"Source\":\"v1\",\"Target\":\"/x\",\"BindOptions\":{}",
         "invalid mount config for type \"volume\": field BindOptions must not be specified"},
        {"\"Type\":\"volume\",\"Source\":\"v1\",\"Target\":\"/x\",\"VolumeOptions\":{\"Subpath\":"
         "\"a/../../b\"}",
         "invalid mount config for type \"volume\": subpath must be a relative path within the "
         "volume"},
        {"\"Type\":\"tmpfs\",\"Target\":\"/x\"",
         "{\"Type\":\"tmpfs\",\"Source\":\"\",\"Destination\":\"/x\",\"Mode\":\"\",\"RW\":true,"
         "\"Propagation\":\"\"}"},
        {"\"Type\":\"tmpfs\",\"Source\":\"y\",\"Target\":\"/x\"",
         "invalid mount config for type \"tmpfs\": field Source must not be specified"},
        {"\"Type\":\"tmpfs\",\"Target\":\"/x\",\"BindOptions\":{}",
         "invalid mount config for type \"tmpfs\": field BindOptions must not be specified"},
        {"\"Type\":\"npipe\",\"Source\":\"a\",\"Target\":\"/x\"",
         "invalid mount config for type \"npipe\": mount type unknown"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *host = xasprintf("{\"Mounts\":[{%s}]}", cases[i].mount);

        expect("{}", host, cases[i].want);
    }
}

static void test_tmpfs(void **state) {
    static const struct {
        const char *options, *want;
    } cases[] = {
        {"", "(/t noexec,nosuid,nodev,rprivate)"},
        {"size=1m,exec", "(/t nosuid,nodev,rprivate,size=1m,exec)"},
        {"size=1m,size=2m,rw,ro", "(/t noexec,nosuid,nodev,rprivate,size=2m,ro)"},
        {"mode=1777,uid=5,shared", "(/t noexec,nosuid,nodev,mode=1777,uid=5,shared)"},
        {"foo", "invalid tmpfs option [\"foo\"]"},
        {"size", "invalid tmpfs option [\"size\"]"},
        {"upperdir=/etc", "invalid tmpfs option [\"upperdir=/etc\"]"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *host = xasprintf("{\"Tmpfs\":{\"/t/\":\"%s\"}}", cases[i].options);

        expect("{}", host, cases[i].want);
    }
    expect("{}", "{\"Tmpfs\":{\"t\":\"\"}}", "invalid mount path: 't' mount path must be absolute");
    expect("{}", "{\"Tmpfs\":{\"/\":\"\"}}", "invalid specification: destination can't be '/'");
}

static void test_tmpfs_mount_options(void **state) {
    static const char host[] =
        "{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/x\",\"ReadOnly\":true,\"TmpfsOptions\":{"
        "\"SizeBytes\":1048576,\"Mode\":448,\"Options\":[[\"uid\",\"5\"],[\"exec\"]]}}]}";
    struct field_array points = {0};
    auto_free char *text = plan("{}", host, NULL, &points);

    assert_non_null(text);
    assert_int_equal(points.count, 1);
    assert_string_equal(field_array_at(&points, struct mount_point, 0)->tmpfs_options,
                        "nosuid,nodev,rprivate,ro,mode=700,size=1m,uid=5,exec");
    mount_points_done(&points);
    expect("{}",
           "{\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/x\",\"TmpfsOptions\":{\"Options\":[["
           "\"uid\",\"5,size=1\"]]}}]}",
           "invalid mount config for type \"tmpfs\": invalid option in TmpfsOptions");
}

static void test_collisions(void **state) {
    expect("{}", "{\"Binds\":[\"/etc:/x\",\"/usr:/x/\"]}", "Duplicate mount point: /x");
    expect("{}", "{\"Binds\":[\"/etc:/x\"],\"Tmpfs\":{\"/x\":\"\"}}", "Duplicate mount point: /x");
    expect("{}", "{\"Binds\":[\"/etc:/x\"],\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/x\"}]}",
           "Duplicate mount point: /x");
    expect("{\"Volumes\":{\"/v/\":{}}}", "{\"Binds\":[\"vv:/v\"]}",
           VOLUME(NAMED("vv"), "/v", "z", "true"));
    expect("{\"Volumes\":{\"/v\":{}}}", "{\"Tmpfs\":{\"/v\":\"\"}}",
           "(/v noexec,nosuid,nodev,rprivate)");
    expect("{\"Volumes\":{\"v\":{},\"/v\":{}}}", "{}", VOLUME("", "/v", "", "true"));
    expect("{\"Volumes\":{\"/..\":{}}}", "{}", "invalid specification: destination can't be '/'");
    /* Shallow ones first. */
    expect("{\"Volumes\":{\"/a/b/c\":{},\"/z\":{}}}", "{\"Binds\":[\"/etc:/a/b\"]}",
           VOLUME("", "/z", "", "true") BIND("/etc", "/a/b", "", "true", "rprivate")
               VOLUME("", "/a/b/c", "", "true"));
}

static int find_source(void *arg, const char *container, const struct field_array **ret,
                       struct err *e) {
    if (!str_eq(container, "src")) {
        return err_set(e, ERR_NOT_FOUND, "No such container: %s", container);
    }
    *ret = arg;
    return 0;
}

static void test_volumes_from(void **state) {
    struct field_array source = {0};
    auto_free char *text = plan(
        "{\"Volumes\":{\"/v\":{}}}",
        "{\"Binds\":[\"/etc:/b:ro\",\"vola:/va:nocopy\"],\"Tmpfs\":{\"/t\":\"\"}}", NULL, &source);
    struct volumes_from_lookup from = {find_source, &source};
    static const struct {
        const char *host, *want;
    } cases[] = {
        {"{\"VolumesFrom\":[\"src\"]}",
         BIND("/etc", "/b", "", "false", "rprivate") VOLUME("", "/v", "", "true")
             VOLUME(NAMED("vola"), "/va", "", "true")},
        {"{\"VolumesFrom\":[\"src:ro\"]}",
         BIND("/etc", "/b", "", "false", "rprivate") VOLUME("", "/v", "", "false")
             VOLUME(NAMED("vola"), "/va", "", "false")},
        {"{\"VolumesFrom\":[\"src:z,ro\"]}",
         BIND("/etc", "/b", "", "false", "rprivate") VOLUME("", "/v", "", "false")
             VOLUME(NAMED("vola"), "/va", "", "false")},
        {"{\"VolumesFrom\":[\"src\"],\"Binds\":[\"/usr:/b\"]}",
         BIND("/usr", "/b", "", "true", "rprivate") VOLUME("", "/v", "", "true")
             VOLUME(NAMED("vola"), "/va", "", "true")},
        {"{\"VolumesFrom\":[\"nosuch:ro\"]}", "No such container: nosuch"},
        {"{\"VolumesFrom\":[\"\"]}", "volumes-from specification cannot be an empty string"},
        {"{\"VolumesFrom\":[\"src:foo\"]}", "invalid mode: foo"},
        {"{\"VolumesFrom\":[\"src:nocopy\"]}", "invalid mode: nocopy"},
        {"{\"VolumesFrom\":[\":\"]}", "invalid name or ID supplied: \"\""},
    };

    assert_non_null(text);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *got = plan("{\"Volumes\":{\"/va\":{}}}", cases[i].host, &from, NULL);

        assert_string_equal(got, cases[i].want);
    }
    mount_points_done(&source);
}

static void test_flags(void **state) {
    struct field_array points = {0};
    auto_free char *text = plan(
        "{\"Volumes\":{\"/v\":{}}}",
        "{\"Binds\":[\"/nosuch9:/a\",\"vol:/b:nocopy\",\"/c\"],\"Mounts\":[{\"Type\":\"volume\","
        "\"Source\":\"l\",\"Target\":\"/d\",\"VolumeOptions\":{\"Labels\":{\"x\":\"y\"},"
        "\"NoCopy\":true}}]}",
        NULL, &points);
    const struct mount_point *p = points.items;

    assert_non_null(text);
    assert_int_equal(points.count, 5);
    assert_true(p[0].create_source);
    assert_true(p[1].no_copy && !p[1].anonymous);
    assert_true(p[2].anonymous && !p[2].from_config);
    assert_true(p[3].no_copy);
    assert_string_equal(strmap_get(&p[3].volume_labels, "x"), "y");
    assert_true(p[4].from_config && p[4].anonymous && !p[4].no_copy);
    mount_points_done(&points);
}

static void test_path_clean(void **state) {
    static const char *const cases[][2] = {
        {"", "."},
        {"/", "/"},
        {"//a//b/", "/a/b"},
        {"/a/./b/..", "/a"},
        {"/..", "/"},
        {"/../a", "/a"},
        {"../a/..", ".."},
        {"a/../..", ".."},
        {"a/..", "."},
        {"./a", "a"},
        {"/a/../../b", "/b"},
        {"../../x", "../../x"},
        {"...", "..."},
        {"/a/b/../../..", "/"},
        {"a/b/../c", "a/c"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *got = path_clean(cases[i][0]);

        assert_string_equal(got, cases[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binds),      cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_tmpfs),      cmocka_unit_test(test_tmpfs_mount_options),
        cmocka_unit_test(test_collisions), cmocka_unit_test(test_volumes_from),
        cmocka_unit_test(test_flags),      cmocka_unit_test(test_path_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
