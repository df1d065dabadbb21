/* SPDX-License-Identifier: Apache-2.0 */

/* The expected mounts, sets and rules are those of the config.json that dockerd 20.10.24 wrote for
 * the same create bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "engine/spec.h"
#include "sys/caps.h"

struct fixture {
    struct container_config config;
    struct host_config host;
    struct field_array mounts;
    struct oci_spec spec;
};

static const struct spec_facts plain = {
    .id = "abc",
    .path = "sleep",
    .rootfs = "/merged",
    .cgroups_path = "/docker/abc",
    .resolv_conf = "/c/resolv.conf",
    .hostname_file = "/c/hostname",
    .hosts_file = "/c/hosts",
    .host_name = "vm",
    .capabilities_held = LCAP_ALL,
};

/* The error text, or NULL. Owned by the caller. */
static char *build(struct fixture *f, const char *config, const char *host,
                   struct spec_facts facts) {
    static const struct host_defaults defaults = {0};
    char *args[] = {"100", NULL};
    auto_err e = ERR_INIT;
    int r;

    memset(f, 0, sizeof(*f));
    field_init(&container_config_table, &f->config);
    field_init(&host_config_table, &f->host);
    field_init(&oci_spec_table, &f->spec);
    r = field_parse_text(&container_config_table, config, strlen(config), &f->config, &e);
    if (r == 0) {
        r = field_parse_text(&host_config_table, host, strlen(host), &f->host, &e);
    }
    if (r == 0) {
        host_config_set_defaults(&f->host, &defaults);
        r = mounts_plan(&f->config, &f->host, NULL, "/srv/fence", false, &f->mounts, &e);
    }
    for (size_t i = 0; r == 0 && i < f->mounts.count; i++) {
        struct mount_point *p = field_array_at(&f->mounts, struct mount_point, i);

        if (str_eq(p->type, "volume")) {
            p->source = xasprintf("/vol/%s", p->name ? p->name : "anon");
        }
    }
    if (r == 0) {
        facts.args = args;
        facts.mounts = &f->mounts;
        r = spec_build(&f->config, &f->host, &facts, &f->spec, &e);
    }
    if (r == 0) {
        assert_int_equal(oci_spec_check(&f->spec, &e), 0);
    }
    return r < 0 ? xstrdup(err_msg(&e)) : NULL;
}

static void done(struct fixture *f) {
    field_done(&container_config_table, &f->config);
    field_done(&host_config_table, &f->host);
    field_done(&oci_spec_table, &f->spec);
    mount_points_done(&f->mounts);
}

/* "destination type source options" a line. */
static char *mounts_text(const struct oci_spec *s, size_t from) {
    auto_buf out = BUF_INIT;

    for (size_t i = from; i < s->mounts.count; i++) {
        const struct oci_mount *m = field_array_at(&s->mounts, struct oci_mount, i);
        auto_free char *options = strv_join(m->options, ",");

        buf_printf(&out, "%s %s %s %s\n", m->destination, m->type, m->source, options);
    }
    return buf_take(&out);
}

static char *namespaces_text(const struct oci_spec *s) {
    auto_buf out = BUF_INIT;

    for (size_t i = 0; i < s->lin.namespaces.count; i++) {
        const struct oci_namespace *n = field_array_at(&s->lin.namespaces, struct oci_namespace, i);

        buf_printf(&out, "%s%s%s ", n->type, n->path ? "=" : "", str_or_empty(n->path));
    }
    return buf_take(&out);
}

#define DEFAULTS                                                                                   \
    "/proc proc proc nosuid,noexec,nodev\n"                                                        \
    "/dev tmpfs tmpfs nosuid,strictatime,mode=755,size=65536k\n"                                   \
    "/dev/pts devpts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5\n"             \
    "/sys sysfs sysfs nosuid,noexec,nodev,ro\n"                                                    \
    "/sys/fs/cgroup cgroup cgroup ro,nosuid,noexec,nodev\n"                                        \
    "/dev/mqueue mqueue mqueue nosuid,noexec,nodev\n"
#define SHM "/dev/shm tmpfs shm nosuid,noexec,nodev,mode=1777,size=67108864\n"
#define FILES(ro)                                                                                  \
    "/etc/resolv.conf bind /c/resolv.conf rbind" ro ",rprivate\n"                                  \
    "/etc/hostname bind /c/hostname rbind" ro ",rprivate\n"                                        \
    "/etc/hosts bind /c/hosts rbind" ro ",rprivate\n"

static void test_plain(void **state) {
    struct fixture f;
    auto_free char *error = build(&f, "{\"Hostname\":\"abc\"}", "{}", plain);
    auto_free char *mounts = NULL, *namespaces = NULL, *env = NULL, *caps = NULL, *args = NULL;

    assert_null(error);
    mounts = mounts_text(&f.spec, 0);
    assert_string_equal(mounts, DEFAULTS SHM FILES(""));
    namespaces = namespaces_text(&f.spec);
    assert_string_equal(namespaces, "mount network uts pid ipc ");
    env = strv_join(f.spec.process.env, " ");
    assert_string_equal(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
                             "HOSTNAME=abc");
    args = strv_join(f.spec.process.args, " ");
    assert_string_equal(args, "sleep 100");
    assert_string_equal(f.spec.process.cwd, "/");
    caps = strv_join(f.spec.process.capabilities->bounding, " ");
    assert_string_equal(caps, "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL "
                              "CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_NET_RAW "
                              "CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE CAP_SETFCAP");
    assert_null(f.spec.process.capabilities->inheritable);
    assert_null(f.spec.process.capabilities->ambient);
    assert_string_equal(f.spec.hostname, "abc");
    assert_string_equal(strmap_get(&f.spec.lin.sysctl, "net.ipv4.ping_group_range"),
                        "0 2147483647");
    assert_int_equal(strv_len(f.spec.lin.readonly_paths), 5);
    assert_true(strv_has(f.spec.lin.masked_paths, "/proc/kcore"));
    assert_false(f.spec.lin.resources->memory->limit.set);
    assert_null(f.spec.lin.resources->pids);
    assert_int_equal(f.spec.lin.devices.count, 0);
    assert_null(f.spec.lin.rootfs_propagation);
    done(&f);
}

static void test_rich(void **state) {
    static const char config[] =
        "{\"Env\":[\"A=b\",\"HOSTNAME\"],\"Hostname\":\"h\",\"Domainname\":"
        "\"d\",\"WorkingDir\":\"/tmp\",\"Volumes\":{\"/v1\":{}},\"Tty\":true}";
    static const char host[] =
        "{\"Binds\":[\"/etc:/b:ro\",\"vola:/va\",\"/srv:/t:rw,z\"],\"Mounts\":[{\"Type\":\"tmpfs\","
        "\"Target\":\"/tm\"},{\"Type\":\"volume\",\"Source\":\"volb\",\"Target\":\"/vb\","
        "\"ReadOnly\":true},{\"Type\":\"bind\",\"Source\":\"/usr\",\"Target\":\"/u/x/y\","
        "\"BindOptions\":{\"NonRecursive\":true}}],\"Tmpfs\":{\"/tf\":\"size=1m,exec\"},"
        "\"ReadonlyRootfs\":true,\"Memory\":67108864,\"MemoryReservation\":33554432,\"CpuShares\":"
        "512,\"NanoCpus\":500000000,\"CpusetCpus\":\"0\",\"PidsLimit\":100,\"Ulimits\":[{\"Name\":"
        "\"nofile\",\"Soft\":100,\"Hard\":-1}],\"OomScoreAdj\":500,\"Sysctls\":{"
        "\"net.core.somaxconn\":\"100\"},\"CapAdd\":[\"NET_ADMIN\"],\"CapDrop\":[\"CHOWN\"],"
        "\"SecurityOpt\":[\"no-new-privileges\"],\"Devices\":[{\"PathOnHost\":\"/dev/null\","
        "\"PathInContainer\":\"/dev/x\",\"CgroupPermissions\":\"r\"}],\"DeviceCgroupRules\":["
        "\"c 10:* r\"],\"ShmSize\":1048576,\"CgroupnsMode\":\"private\",\"PidMode\":\"host\","
        "\"ConsoleSize\":[24,80],\"Annotations\":{\"k\":\"v\"}}";
    struct fixture f;
    auto_free char *error = build(&f, config, host, plain);
    auto_free char *mounts = NULL, *namespaces = NULL, *env = NULL;
    const struct oci_rlimit *limit;
    const struct oci_resources *r;
    const struct oci_device_rule *rule;
    const struct oci_device *device;

    assert_null(error);
    mounts = mounts_text(&f.spec, 6);
    assert_string_equal(mounts, "/dev/shm tmpfs shm nosuid,noexec,nodev,mode=1777,size=1048576\n"
                                "/b bind /etc rbind,rro,rprivate\n"
                                "/t bind /srv rbind,rslave\n"
                                "/tf tmpfs tmpfs nosuid,nodev,rprivate,size=1m,exec\n"
                                "/tm tmpfs tmpfs noexec,nosuid,nodev,rprivate\n"
                                "/v1 bind /vol/anon rbind,rprivate\n"
                                "/va bind /vol/vola rbind,rprivate\n"
                                "/vb bind /vol/volb rbind,rro,rprivate\n" FILES(
                                    ",ro") "/u/x/y bind /usr bind,rprivate\n");
    namespaces = namespaces_text(&f.spec);
    assert_string_equal(namespaces, "mount network uts ipc cgroup ");
    env = strv_join(f.spec.process.env, " ");
    assert_string_equal(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
                             "TERM=xterm A=b");
    limit = field_array_at(&f.spec.process.rlimits, struct oci_rlimit, 0);
    assert_string_equal(limit->type, "RLIMIT_NOFILE");
    assert_true(limit->soft == 100 && limit->hard == UINT64_MAX);
    assert_true(f.spec.process.no_new_privileges);
    assert_int_equal(f.spec.process.console_size->width, 80);
    assert_int_equal(f.spec.process.oom_score_adj.value, 500);
    assert_false(strv_has(f.spec.process.capabilities->effective, "CAP_CHOWN"));
    assert_true(strv_has(f.spec.process.capabilities->effective, "CAP_NET_ADMIN"));
    assert_true(f.spec.root.readonly);
    assert_string_equal(f.spec.domainname, "d");
    assert_string_equal(f.spec.lin.rootfs_propagation, "rslave");
    assert_string_equal(strmap_get(&f.spec.annotations, "k"), "v");
    r = f.spec.lin.resources;
    assert_int_equal(r->memory->limit.value, 67108864);
    assert_int_equal(r->memory->swap.value, 134217728);
    assert_int_equal(r->memory->reservation.value, 33554432);
    assert_int_equal(r->cpu->shares.value, 512);
    assert_int_equal(r->cpu->quota.value, 50000);
    assert_int_equal(r->cpu->period.value, 100000);
    assert_string_equal(r->cpu->cpus, "0");
    assert_int_equal(r->pids->limit, 100);
    rule = field_array_at(&r->devices, struct oci_device_rule, 0);
    assert_false(rule->allow);
    rule = field_array_at(&r->devices, struct oci_device_rule, r->devices.count - 2);
    assert_true(rule->major.value == 1 && rule->minor.value == 3);
    assert_string_equal(rule->access, "r");
    rule = field_array_at(&r->devices, struct oci_device_rule, r->devices.count - 1);
    assert_true(rule->major.value == 10 && !rule->minor.set);
    device = field_array_at(&f.spec.lin.devices, struct oci_device, 0);
    assert_string_equal(device->path, "/dev/x");
    assert_true(device->major == 1 && device->minor == 3);
    done(&f);
}

static void test_privileged(void **state) {
    struct fixture f;
    auto_free char *error = build(&f, "{}", "{\"Privileged\":true}", plain);
    auto_free char *mounts = NULL;
    const struct oci_device_rule *rule;

    assert_null(error);
    mounts = mounts_text(&f.spec, 3);
    assert_string_equal(mounts, "/sys sysfs sysfs nosuid,noexec,nodev\n"
                                "/sys/fs/cgroup cgroup cgroup nosuid,noexec,nodev\n"
                                "/dev/mqueue mqueue mqueue nosuid,noexec,nodev\n" SHM FILES(""));
    assert_int_equal(strv_len(f.spec.process.capabilities->bounding), LCAP_COUNT);
    assert_null(f.spec.lin.masked_paths);
    assert_null(f.spec.lin.readonly_paths);
    assert_int_equal(f.spec.lin.resources->devices.count, 1);
    rule = field_array_at(&f.spec.lin.resources->devices, struct oci_device_rule, 0);
    assert_true(rule->allow && !rule->major.set);
    for (size_t i = 0; i < f.spec.lin.devices.count; i++) {
        const char *path = field_array_at(&f.spec.lin.devices, struct oci_device, i)->path;

        assert_false(str_starts(path, "/dev/pts/"));
        assert_false(str_eq(path, "/dev/console"));
    }
    assert_true(f.spec.lin.devices.count > 0);
    done(&f);
}

static void test_clipped_capabilities(void **state) {
    struct spec_facts facts = plain;
    struct fixture f;
    auto_free char *error = NULL;

    facts.capabilities_held = LCAP_BIT(0) | LCAP_BIT(21);
    error = build(&f, "{}", "{\"Privileged\":true}", facts);
    assert_null(error);
    assert_int_equal(strv_len(f.spec.process.capabilities->effective), 2);
    done(&f);
}

static void test_modes(void **state) {
    struct spec_facts facts = plain;
    struct fixture f;
    auto_free char *error = NULL, *mounts = NULL, *namespaces = NULL;

    facts.host_shm = "/dev/shm";
    error = build(&f, "{\"Hostname\":\"vm\",\"Domainname\":\"d\"}",
                  "{\"IpcMode\":\"host\",\"UTSMode\":\"host\",\"NetworkMode\":\"host\"}", facts);
    assert_null(error);
    mounts = mounts_text(&f.spec, 6);
    assert_string_equal(mounts, FILES("") "/dev/shm bind /dev/shm rbind,rprivate\n");
    namespaces = namespaces_text(&f.spec);
    assert_string_equal(namespaces, "mount pid ");
    assert_null(f.spec.hostname);
    assert_null(f.spec.domainname);
    assert_int_equal(f.spec.lin.sysctl.count, 0);
    assert_string_equal(env_find(f.spec.process.env, "HOSTNAME"), "vm");
    done(&f);
}

static void test_joined(void **state) {
    struct spec_facts facts = plain;
    struct fixture f;
    auto_free char *error = NULL, *namespaces = NULL, *missing = NULL;

    facts.join_net = "/proc/7/ns/net";
    facts.join_ipc = "/proc/7/ns/ipc";
    facts.join_user = "/proc/7/ns/user";
    facts.idmap_base = 1 << 28;
    facts.idmap_size = 65536;
    error =
        build(&f, "{}",
              "{\"NetworkMode\":\"container:a\",\"IpcMode\":\"container:a\",\"CapDrop\":[\"ALL\"]}",
              facts);
    assert_null(error);
    namespaces = namespaces_text(&f.spec);
    assert_string_equal(namespaces, "mount network=/proc/7/ns/net uts pid ipc=/proc/7/ns/ipc "
                                    "user=/proc/7/ns/user ");
    assert_int_equal(f.spec.lin.sysctl.count, 0);
    assert_int_equal(strv_len(f.spec.process.capabilities->bounding), 0);
    done(&f);
    missing = build(&f, "{}", "{\"PidMode\":\"container:a\"}", facts);
    assert_string_equal(missing, "the PID namespace of container a is not known");
    done(&f);
}

static void test_idmap(void **state) {
    static const uint32_t extra[] = {70000, 70001, 90000};
    struct spec_facts facts = plain;
    struct fixture f;
    auto_free char *error = NULL;
    const struct oci_id_map *map;
    const struct oci_mount *m;

    facts.idmap_base = 1 << 28;
    facts.idmap_size = 65536;
    facts.extra_ids = extra;
    facts.extra_id_count = 3;
    error = build(&f, "{}", "{\"Binds\":[\"/etc:/b\"],\"Tmpfs\":{\"/t\":\"\"}}", facts);
    assert_null(error);
    assert_int_equal(f.spec.lin.uid_mappings.count, 4);
    map = f.spec.lin.uid_mappings.items;
    assert_true(map[0].container_id == 0 && map[0].host_id == 1 << 28 && map[0].size == 65000);
    assert_true(map[1].container_id == 65003 && map[1].host_id == (1 << 28) + 65003 &&
                map[1].size == 533);
    assert_true(map[2].container_id == 70000 && map[2].host_id == (1 << 28) + 65000 &&
                map[2].size == 2);
    assert_true(map[3].container_id == 90000 && map[3].host_id == (1 << 28) + 65002 &&
                map[3].size == 1);
    assert_string_equal(strmap_get(&f.spec.lin.sysctl, "net.ipv4.ping_group_range"), "0 65535");
    for (size_t i = 0; i < f.spec.mounts.count; i++) {
        m = field_array_at(&f.spec.mounts, struct oci_mount, i);
        assert_int_equal(m->uid_mappings.count, str_eq(m->type, "bind") ? 4 : 0);
    }
    assert_non_null(oci_spec_namespace(&f.spec, "user"));
    done(&f);
}

static void test_overrides(void **state) {
    struct fixture f;
    auto_free char *error = build(
        &f, "{}",
        "{\"Binds\":[\"/etc:/etc/hosts\",\"/dev/shm:/dev/shm\",\"/sys/fs/cgroup:/sys/fs/cgroup\","
        "\"/usr:/etc\"]}",
        plain);
    auto_free char *mounts = NULL;

    assert_null(error);
    mounts = mounts_text(&f.spec, 4);
    assert_string_equal(mounts, "/dev/mqueue mqueue mqueue nosuid,noexec,nodev\n"
                                "/etc bind /usr rbind,rprivate\n"
                                "/dev/shm bind /dev/shm rbind,rprivate\n"
                                "/etc/hosts bind /etc rbind,rprivate\n"
                                "/etc/resolv.conf bind /c/resolv.conf rbind,rprivate\n"
                                "/etc/hostname bind /c/hostname rbind,rprivate\n"
                                "/sys/fs/cgroup bind /sys/fs/cgroup rbind,rprivate\n");
    done(&f);
}

/* Labels of SELinux, and which binds the runtime puts them on. */
static void test_labels(void **state) {
    struct spec_facts facts = plain;
    auto_free char *error = NULL, *text = NULL;
    struct fixture f;

    (void)state;
    facts.selinux_label = "u:r:p";
    facts.mount_label = "u:r:m";
    error = build(&f, "{\"Volumes\":{\"/v\":{}}}",
                  "{\"Binds\":[\"/usr/bin:/a:Z\",\"/usr/lib:/b:ro,z\",\"/usr/sbin:/c\"]}", facts);
    assert_null(error);
    assert_string_equal(f.spec.process.selinux_label, "u:r:p");
    assert_string_equal(f.spec.lin.mount_label, "u:r:m");
    text = mounts_text(&f.spec, 7);
    assert_string_equal(text, "/a bind /usr/bin rbind,rprivate,Z\n"
                              "/b bind /usr/lib rbind,rro,rprivate,z\n"
                              "/c bind /usr/sbin rbind,rprivate\n"
                              "/v bind /vol/anon rbind,rprivate,z\n"
                              "/etc/resolv.conf bind /c/resolv.conf rbind,rprivate,Z\n"
                              "/etc/hostname bind /c/hostname rbind,rprivate,Z\n"
                              "/etc/hosts bind /c/hosts rbind,rprivate,Z\n");
    done(&f);
}

static void test_device_errors(void **state) {
    static const struct {
        const char *host, *want;
    } cases[] = {
        {"{\"Devices\":[{\"PathOnHost\":\"/nosuch\"}]}",
         "error gathering device information while adding custom device \"/nosuch\": no such file "
         "or directory"},
        {"{\"Devices\":[{\"PathOnHost\":\"/etc/passwd\"}]}",
         "error gathering device information while adding custom device \"/etc/passwd\": not a "
         "device node"},
        {"{\"BlkioDeviceReadBps\":[{\"Path\":\"/nosuch\",\"Rate\":5}]}",
         "stat /nosuch: no such file or directory"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        auto_free char *error = build(&f, "{}", cases[i].host, plain);

        assert_non_null(error);
        assert_true(strcasecmp(error, cases[i].want) == 0);
        done(&f);
    }
}

static void test_limits(void **state) {
    static const struct {
        const char *host;
        int64_t quota;
        uint64_t period;
    } cases[] = {
        {"{\"NanoCpus\":1}", 1000, 100000},
        {"{\"NanoCpus\":2500000000}", 250000, 100000},
        {"{\"CpuQuota\":5000,\"CpuPeriod\":10000}", 5000, 10000},
        {"{\"CpuQuota\":-7}", -1, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        auto_free char *error = build(&f, "{}", cases[i].host, plain);

        assert_null(error);
        assert_true(f.spec.lin.resources->cpu->quota.value == cases[i].quota);
        assert_true(f.spec.lin.resources->cpu->period.value == cases[i].period);
        done(&f);
    }
}

static void test_init(void **state) {
    struct spec_facts facts = plain;
    struct fixture f;
    auto_free char *error = NULL, *args = NULL, *host_pid = NULL;

    facts.init_path = "/usr/libexec/fence-init";
    error = build(&f, "{}", "{\"Init\":true}", facts);
    assert_null(error);
    args = strv_join(f.spec.process.args, " ");
    assert_string_equal(args, "/sbin/docker-init -- sleep 100");
    done(&f);
    host_pid = build(&f, "{}", "{\"Init\":true,\"PidMode\":\"host\"}", facts);
    assert_null(host_pid);
    assert_string_equal(f.spec.process.args[0], "sleep");
    done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_rich),
        cmocka_unit_test(test_privileged), cmocka_unit_test(test_clipped_capabilities),
        cmocka_unit_test(test_modes),      cmocka_unit_test(test_joined),
        cmocka_unit_test(test_idmap),      cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_labels),     cmocka_unit_test(test_device_errors),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_init),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
