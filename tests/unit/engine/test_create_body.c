/* SPDX-License-Identifier: Apache-2.0 */

/* The texts are answers of Debian's dockerd 20.10.24 to the same bodies, but for those that name
 * what is not supported, and for values that dockerd takes at create and fails on at start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "engine/create_body.h"

static const struct host_facts facts = {
    .cpus = 2,
    .cpuset_cpus = "0-1",
    .cpuset_mems = "0",
    .cgroupns = true,
    .memory = true,
    .swap = true,
    .swappiness = true,
    .reservation = true,
    .oom_kill_disable = true,
    .cpu_shares = true,
    .cpu_cfs = true,
    .cpu_rt = true,
    .cpuset = true,
    .pids = true,
    .blkio_throttle = true,
};

/* Parses, merges and validates; the error text or NULL, owned by the caller. */
static char *run(const char *body, struct create_body *ret, char ***warnings) {
    static const struct host_defaults defaults = {0};
    auto_err e = ERR_INIT;
    int r = create_body_parse(body, strlen(body), 41, ret, &e);

    if (r < 0) {
        create_body_init(ret);
    } else {
        create_body_merge(ret, NULL, &defaults);
        r = create_body_validate(ret, &facts, warnings, &e);
    }
    return r < 0 ? xstrdup(err_msg(&e)) : NULL;
}

static void expect(const char *body, const char *error) {
    struct create_body b;
    auto_strv warnings = NULL;
    auto_free char *got = run(body, &b, &warnings);

    if (!str_eq(got, error)) {
        create_body_done(&b);
        fail_msg("%s\n  got:  %s\n  want: %s", body, got ? got : "(accepted)",
                 error ? error : "(accepted)");
    }
    create_body_done(&b);
}

#define H(members) "{\"Image\":\"busybox\",\"Cmd\":[\"sh\"],\"HostConfig\":{" members "}}"
#define C(members) "{\"Image\":\"busybox\",\"Cmd\":[\"sh\"]," members "}"

struct answer {
    const char *body, *error;
};

static void expect_all(const struct answer *a, size_t n) {
    for (size_t i = 0; i < n; i++) {
        expect(a[i].body, a[i].error);
    }
}
#define EXPECT_ALL(list) expect_all(list, sizeof(list) / sizeof((list)[0]))

static void test_bodies(void **state) {
    static const struct answer answers[] = {
        {"", "EOF"},
        {"null", "Config cannot be empty in order to create a container"},
        {"{}", "Config cannot be empty in order to create a container"},
        {"{\"HostConfig\":{}}", "Config cannot be empty in order to create a container"},
        {"{\"Image\":\"\"}", "No command specified"},
        {"{\"Cmd\":[],\"Entrypoint\":[\"\"]}", "No command specified"},
        {"{\"Image\":5}", "json: cannot unmarshal number into Go struct field "
                          "ContainerConfigWrapper.Image of type string"},
        {C("\"Tty\":1"), "json: cannot unmarshal number into Go struct field "
                         "ContainerConfigWrapper.Tty of type bool"},
        {C("\"Env\":\"x\""), "json: cannot unmarshal string into Go struct field "
                             "ContainerConfigWrapper.Env of type []string"},
        {C("\"Labels\":[\"a\"]"), "json: cannot unmarshal array into Go struct field "
                                  "ContainerConfigWrapper.Labels of type map[string]string"},
        {C("\"HostConfig\":5"), "json: cannot unmarshal number into Go struct field "
                                "ContainerConfigWrapper.HostConfig of type container.HostConfig"},
        {H("\"Memory\":\"x\""), "json: cannot unmarshal string into Go struct field "
                                "HostConfig.HostConfig.Memory of type int64"},
        {H("\"Memory\":1.5"), "json: cannot unmarshal number 1.5 into Go struct field "
                              "HostConfig.HostConfig.Memory of type int64"},
        {H("\"BlkioWeight\":70000"), "json: cannot unmarshal number 70000 into Go struct field "
                                     "HostConfig.HostConfig.BlkioWeight of type uint16"},
        {C("\"HostConfig\":null"), NULL},
        {"{\"Entrypoint\":\"x\"}", NULL},
        {"{\"Cmd\":\"a b\"}", NULL},
    };

    EXPECT_ALL(answers);
}

static void test_config(void **state) {
    static const struct answer answers[] = {
        {C("\"Healthcheck\":{}"), NULL},
        {C("\"Healthcheck\":{\"Interval\":1}"), "Interval in Healthcheck cannot be less than 1ms"},
        {C("\"Healthcheck\":{\"Interval\":-1}"), "Interval in Healthcheck cannot be less than 1ms"},
        {C("\"Healthcheck\":{\"Interval\":1000000}"), NULL},
        {C("\"Healthcheck\":{\"Timeout\":1}"), "Timeout in Healthcheck cannot be less than 1ms"},
        {C("\"Healthcheck\":{\"Retries\":-1}"), "Retries in Healthcheck cannot be negative"},
        {C("\"Healthcheck\":{\"StartPeriod\":1}"),
         "StartPeriod in Healthcheck cannot be less than 1ms"},
        {C("\"Healthcheck\":{\"StartInterval\":1}"), NULL}, /* unknown before API 1.44 */
        {C("\"StopSignal\":\"x\""), "Invalid signal: x"},
        {C("\"StopSignal\":\"0\""), "Invalid signal: 0"},
        {C("\"StopSignal\":\"\""), NULL},
        {C("\"StopSignal\":\"sigkill\""), NULL},
        {C("\"StopSignal\":\"RTMIN+3\""), NULL},
        {C("\"StopSignal\":\"SIGRTMAX-1\""), NULL},
        {C("\"StopTimeout\":-1"), NULL},
        {C("\"WorkingDir\":\"x\""),
         "the working directory 'x' is invalid, it needs to be an absolute path"},
        {C("\"Env\":[\"x\"]"), NULL},
        {C("\"Env\":[\"=x\"]"), "invalid environment variable: =x"},
        {C("\"Env\":[\"\"]"), "invalid environment variable: "},
        {C("\"Hostname\":\"a_b.c\""), NULL},
        {C("\"Hostname\":\"a\\nb\""), "invalid hostname format: a\nb"},
        {C("\"MacAddress\":\"02:42:ac:11:00:02\""), NULL},
        {C("\"MacAddress\":\"x\""), "address x: invalid MAC address"},
        {C("\"ExposedPorts\":{\"80/tcp\":{}}"), NULL},
    };

    EXPECT_ALL(answers);
}

static void test_memory(void **state) {
    static const struct answer answers[] = {
        {H("\"Memory\":0"), NULL},
        {H("\"Memory\":1"), "Minimum memory limit allowed is 4MB"},
        {H("\"Memory\":-1"), "Minimum memory limit allowed is 4MB"},
        {H("\"Memory\":4194304"), NULL},
        {H("\"MemorySwap\":1"), "You should always set the Memory limit when using Memoryswap "
                                "limit, see usage"},
        {H("\"MemorySwap\":-1"), NULL},
        {H("\"Memory\":8388608,\"MemorySwap\":1"),
         "Minimum memoryswap limit should be larger than memory limit, see usage"},
        {H("\"Memory\":8388608,\"MemorySwap\":-1"), NULL},
        {H("\"Memory\":8388608,\"MemorySwap\":8388608"), NULL},
        {H("\"MemorySwappiness\":101"),
         "Invalid value: 101, valid memory swappiness range is 0-100"},
        {H("\"MemorySwappiness\":-2"), "Invalid value: -2, valid memory swappiness range is 0-100"},
        {H("\"MemorySwappiness\":-1"), NULL},
        {H("\"MemoryReservation\":1"), "Minimum memory reservation allowed is 4MB"},
        {H("\"MemoryReservation\":-1"), NULL},
        {H("\"Memory\":8388608,\"MemoryReservation\":9437184"),
         "Minimum memory limit can not be less than memory reservation limit, see usage"},
        {H("\"KernelMemory\":1"), "Minimum kernel memory limit allowed is 4MB"},
        {H("\"ShmSize\":-1"), "SHM size can not be less than 0"},
        {H("\"OomScoreAdj\":1001"), "Invalid value 1001, range for oom score adj is [-1000, 1000]"},
    };

    EXPECT_ALL(answers);
}

static void test_cpu(void **state) {
    static const struct answer answers[] = {
        {H("\"NanoCpus\":2000000000"), NULL},
        {H("\"NanoCpus\":3000000000"),
         "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"},
        {H("\"NanoCpus\":-1"),
         "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"},
        {H("\"NanoCpus\":1"), NULL},
        {H("\"NanoCpus\":1000000000,\"CpuQuota\":1000"),
         "Conflicting options: Nano CPUs and CPU Quota cannot both be set"},
        {H("\"NanoCpus\":1000000000,\"CpuPeriod\":1000"),
         "Conflicting options: Nano CPUs and CPU Period cannot both be set"},
        {H("\"CpuPeriod\":999"), "CPU cfs period can not be less than 1ms (i.e. 1000) or larger "
                                 "than 1s (i.e. 1000000)"},
        {H("\"CpuQuota\":999"), "CPU cfs quota can not be less than 1ms (i.e. 1000)"},
        {H("\"CpuQuota\":-1"), NULL},
        {H("\"CpusetCpus\":\"0,1\""), NULL},
        {H("\"CpusetCpus\":\"5\""),
         "Requested CPUs are not available - requested 5, available: 0-1"},
        {H("\"CpusetCpus\":\"0,1,2\""),
         "Requested CPUs are not available - requested 0,1,2, available: 0-1"},
        {H("\"CpusetCpus\":\"a\""), "Invalid value a for cpuset cpus: invalid format: a"},
        {H("\"CpusetCpus\":\"1-0\""), "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"},
        {H("\"CpusetCpus\":\"0-\""), "Invalid value 0- for cpuset cpus: invalid format: 0-"},
        {H("\"CpusetCpus\":\",0\""), "Invalid value ,0 for cpuset cpus: invalid format: ,0"},
        {H("\"CpusetCpus\":\"0,\""), "Invalid value 0, for cpuset cpus: invalid format: 0,"},
        {H("\"CpusetCpus\":\"99999999\""), "Invalid value 99999999 for cpuset cpus: value of out "
                                           "range, maximum is 8192"},
        {H("\"CpusetMems\":\"1\""),
         "Requested memory nodes are not available - requested 1, available: 0"},
        {H("\"CpusetMems\":\"x\""), "Invalid value x for cpuset mems: invalid format: x"},
        {H("\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1,\"Hard\":2}]"), NULL},
        {H("\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":-1,\"Hard\":-1}]"), NULL},
        {H("\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":2,\"Hard\":1}]"),
         "ulimit soft limit must be less than or equal to hard limit: 2 > 1"},
        {H("\"Ulimits\":[{\"Name\":\"x\",\"Soft\":1,\"Hard\":1}]"), "invalid ulimit type: x"},
    };

    EXPECT_ALL(answers);
}

static void test_policies(void **state) {
    static const struct answer answers[] = {
        {H("\"RestartPolicy\":{\"Name\":\"x\"}"), "invalid restart policy 'x'"},
        {H("\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":1}"),
         "maximum retry count cannot be used with restart policy 'always'"},
        {H("\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":-1}"),
         "maximum retry count cannot be negative"},
        {H("\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}"), NULL},
        {H("\"RestartPolicy\":{\"Name\":\"\",\"MaximumRetryCount\":1}"), NULL},
        {H("\"RestartPolicy\":{\"Name\":\"always\"},\"AutoRemove\":true"),
         "can't create 'AutoRemove' container with restart policy"},
        {H("\"RestartPolicy\":{\"Name\":\"no\"},\"AutoRemove\":true"), NULL},
        {H("\"LogConfig\":{\"Type\":\"x\"}"),
         "error looking up logging plugin x: plugin \"x\" not found"},
        {H("\"LogConfig\":{\"Type\":\"none\",\"Config\":{\"a\":\"b\"}}"), NULL},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"foo\":\"1\"}}"),
         "unknown log opt 'foo' for json-file log driver"},
        {H("\"LogConfig\":{\"Type\":\"\",\"Config\":{\"max-size\":\"10k\",\"max-file\":\"2\","
           "\"compress\":\"true\"}}"),
         NULL},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"mode\":\"x\"}}"),
         "logger: logging mode not supported: x"},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"tag\":\"a {{ .Name }}/{{.ID}}\","
           "\"labels-regex\":\"^(a|b)\",\"env-regex\":\"\"}}"),
         NULL},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"tag\":\"a{{.Nope}}\"}}"),
         "log option tag={{.Nope}}: not supported, a tag is text with {{.ID}}, {{.FullID}}, "
         "{{.Name}}, {{.ImageID}}, {{.ImageFullID}}, {{.ImageName}}, {{.Command}} and "
         "{{.DaemonName}}"},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"env-regex\":\"(\"}}"),
         "log option env-regex=(: Unmatched ( or \\("},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-buffer-size\":\"1m\"}}"),
         "logger: max-buffer-size option is only supported with 'mode=non-blocking'"},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"compress\":\"true\"}}"),
         "compress cannot be true when max-file is less than 2 or max-size is not set"},
        {H("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"x\"}}"),
         "invalid size: 'x'"},
        {H("\"Runtime\":\"x\""), "unknown or invalid runtime name: x"},
        {H("\"CapAdd\":[\"x\"]"), "invalid CapAdd: unknown capability: \"CAP_X\""},
        {H("\"CapDrop\":[\"foo\"]"), "invalid CapDrop: unknown capability: \"CAP_FOO\""},
        {H("\"CapAdd\":\"cap_net_admin\""), NULL},
        {H("\"CapAdd\":[\"ALL\"],\"CapDrop\":[\"all\"]"), NULL},
        {H("\"SecurityOpt\":[\"x\"]"), "invalid --security-opt 1: \"x\""},
        {H("\"SecurityOpt\":[\"x=y\"]"), "invalid --security-opt 2: \"x=y\""},
        {H("\"SecurityOpt\":[\"no-new-privileges=x\"]"),
         "invalid --security-opt 2: \"no-new-privileges=x\""},
        {H("\"SecurityOpt\":[\"no-new-privileges:true\",\"seccomp:unconfined\",\"label=disable\"]"),
         NULL},
        {H("\"Sysctls\":{\"net.ipv4.ip_forward\":\"1\"}"), NULL},
        {H("\"Sysctls\":{\"net/ipv4/conf/eth0.1/forwarding\":\"1\",\"fs.mqueue.msg_max\":\"9\"}"),
         NULL},
        {H("\"Sysctls\":{\"net.//.kernel.core_pattern\":\"1\"}"),
         "sysctl \"net.//.kernel.core_pattern\" is not in a separate kernel namespace"},
        {H("\"Sysctls\":{\"net/../kernel/core_pattern\":\"1\"}"),
         "sysctl \"net/../kernel/core_pattern\" is not in a separate kernel namespace"},
        {H("\"Sysctls\":{\"net..kernel\":\"1\"}"),
         "sysctl \"net..kernel\" is not in a separate kernel namespace"},
        {H("\"Sysctls\":{\"foo\":\"1\"}"), "sysctl \"foo\" is not in a separate kernel namespace"},
        {H("\"Sysctls\":{\"net.core.somaxconn\":\"1\"},\"NetworkMode\":\"host\""),
         "sysctl \"net.core.somaxconn\" not allowed in host network namespace"},
        {H("\"ExtraHosts\":[\"x\"]"), "bad format for add-host: \"x\""},
        {H("\"ExtraHosts\":[\"a:b\"]"), "invalid IP address in add-host: \"b\""},
        {H("\"ExtraHosts\":[\"a:1.2.3.4\",\"a:::1\",\"b:host-gateway\"]"), NULL},
        {H("\"ExtraHosts\":[\":1.2.3.4\"]"), "bad format for add-host: \":1.2.3.4\""},
        {H("\"Dns\":[\"1.2.3.4\",\"fe80::1%eth0\"]"), NULL},
        {H("\"Dns\":[\"1.2.3.4\\noptions x\"]"), "1.2.3.4\noptions x is not an ip address"},
        {H("\"Devices\":[{\"PathOnHost\":\"/dev/null\",\"CgroupPermissions\":\"x\"}]"),
         "bad mode specified: x"},
        {H("\"DeviceCgroupRules\":[\"c 1:3 rwm\",\"a *:* r\"]"), NULL},
        {H("\"DeviceCgroupRules\":[\"c 1:3\"]"), "invalid device cgroup rule format: 'c 1:3'"},
        {H("\"CgroupParent\":\"/a/../b\""), "invalid cgroup parent: /a/../b"},
        {H("\"CgroupParent\":\"x\""), NULL},
    };

    EXPECT_ALL(answers);
}

static void test_modes(void **state) {
    static const struct answer answers[] = {
        {H("\"PidMode\":\"x\""), "invalid PID mode: x"},
        {H("\"PidMode\":\"container:\""), "invalid PID mode: container:"},
        {H("\"PidMode\":\"host\",\"IpcMode\":\"host\",\"UTSMode\":\"host\""), NULL},
        {H("\"IpcMode\":\"x\""), "invalid IPC mode: x"},
        {H("\"IpcMode\":\"none\""), NULL},
        {H("\"IpcMode\":\"shareable\""), NULL},
        {H("\"UTSMode\":\"x\""), "invalid UTS mode: x"},
        {H("\"UsernsMode\":\"x\""), "invalid userns mode: x"},
        {H("\"CgroupnsMode\":\"x\""), "invalid cgroup namespace mode: x"},
        {H("\"Isolation\":\"default\""), NULL},
        {H("\"Isolation\":\"x\""), "Invalid isolation: \"x\" - linux only supports 'default'"},
        {H("\"IOMaximumIOps\":1"),
         "Invalid QoS settings: linux does not support configuration of maximum IOPs"},
        {H("\"NetworkMode\":\"container:\""),
         "Invalid network mode: invalid container format container:<name|id>"},
        {H("\"NetworkMode\":\"container\""),
         "Invalid network mode: invalid container format container:<name|id>"},
        {H("\"NetworkMode\":\"container:x\",\"Dns\":[\"1.1.1.1\"]"),
         "conflicting options: dns and the network mode"},
        {H("\"NetworkMode\":\"container:x\",\"ExtraHosts\":[\"a:1.1.1.1\"]"),
         "conflicting options: custom host-to-IP mapping and the network mode"},
        {H("\"NetworkMode\":\"container:x\",\"PublishAllPorts\":true"),
         "conflicting options: port publishing and the container type network mode"},
        {H("\"NetworkMode\":\"container:x\",\"Links\":[\"a:b\"]"),
         "conflicting options: container type network can't be used with links. This would result "
         "in undefined behavior"},
        {H("\"NetworkMode\":\"host\",\"Links\":[\"a:b\"]"),
         "conflicting options: host type networking can't be used with links. This would result in "
         "undefined behavior"},
        {C("\"Hostname\":\"h\",\"HostConfig\":{\"NetworkMode\":\"container:x\"}"),
         "conflicting options: hostname and the network mode"},
        {C("\"Hostname\":\"h\",\"HostConfig\":{\"UTSMode\":\"host\"}"),
         "conflicting options: hostname and the UTS mode"},
        {C("\"Hostname\":\"h\",\"HostConfig\":{\"NetworkMode\":\"host\"}"), NULL},
        {C("\"MacAddress\":\"02:42:ac:11:00:02\",\"HostConfig\":{\"NetworkMode\":\"host\"}"),
         "conflicting options: mac-address and the network mode"},
        {C("\"ExposedPorts\":{\"80/tcp\":{}},\"HostConfig\":{\"NetworkMode\":\"container:x\"}"),
         "conflicting options: port exposing and the container type network mode"},
    };

    EXPECT_ALL(answers);
}

static void test_unsupported(void **state) {
    static const struct answer answers[] = {
        {H("\"PortBindings\":{}"), NULL},
        {H("\"PortBindings\":null"), NULL},
        {H("\"PortBindings\":{\"80/tcp\":[]}"), NULL},
        {H("\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]}"), NULL},
        {H("\"PortBindings\":{\"80/icmp\":[{\"HostPort\":\"8080\"}]}"), "invalid protocol: icmp"},
        {H("\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"1.2\"}]}"),
         "invalid IP address in port bindings: 1.2"},
        {H("\"NetworkMode\":\"host\",\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]}"),
         NULL},
        {H("\"PublishAllPorts\":true"), NULL},
        {H("\"Links\":[]"), NULL},
        {H("\"NetworkMode\":\"foo\""), NULL}, /* the start looks */
        {C("\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{}}}"), NULL},
        {C("\"NetworkingConfig\":{\"EndpointsConfig\":{\"default\":{\"MacAddress\":\"\"}}}"), NULL},
        {C("\"NetworkingConfig\":{\"EndpointsConfig\":{\"foo\":{},\"bar\":{}}}"),
         "Container cannot be connected to network endpoints: bar, foo"},
        {C("\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{\"IPAMConfig\":{"
           "\"IPv4Address\":\"x\"}}}}"),
         "invalid IPv4 address: x"},
        {C("\"NetworkingConfig\":{\"EndpointsConfig\":{\"bridge\":{\"IPAMConfig\":{"
           "\"LinkLocalIPs\":[\"x\"]}}}}"),
         "invalid link-local IP address: x"},
        {H("\"StorageOpt\":{}"), NULL},
        {H("\"StorageOpt\":{\"size\":\"10G\"}"), "--storage-opt is supported only for overlay over "
                                                 "xfs with 'pquota' mount option"},
        {H("\"StorageOpt\":{\"foo\":\"10G\"}"), "Unknown option foo"},
        {H("\"VolumeDriver\":\"local\""), NULL},
        {H("\"PortBindings\":{\"bad\":[]}"), "invalid port specification: \"bad\""},
        {H("\"PortBindings\":{\"70000/udp\":[]}"), "invalid port specification: \"70000\""},
        {H("\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"9-8\"}]}"),
         "invalid port specification: \"9-8\""},
        {H("\"NetworkMode\":\"host\",\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"8000-8010\"}]}"),
         NULL},
        {H("\"VolumeDriver\":\"x\",\"Binds\":[\"/a:/b\",\"v:/c\"]"),
         "create v: error looking up volume plugin x: plugin \"x\" not found"},
        {H("\"VolumeDriver\":\"x\""), "error looking up volume plugin x: plugin \"x\" not found"},
        {H("\"DeviceRequests\":[]"), NULL},
        {H("\"DeviceRequests\":[{\"Driver\":\"\",\"Capabilities\":[[\"gpu\"]]}]"),
         "could not select device driver \"\" with capabilities: [[gpu]]"},
        {H("\"Cgroup\":\"x\""),
         "sharing another container's cgroup is not supported yet: HostConfig.Cgroup=x"},
    };

    EXPECT_ALL(answers);
}

static void test_warnings(void **state) {
    static const struct answer cases[] = {
        {H("\"BlkioWeight\":9"), "Your kernel does not support Block I/O weight or the cgroup is "
                                 "not mounted. Weight discarded."},
        {H("\"BlkioWeightDevice\":[{\"Path\":\"/dev/x\",\"Weight\":9}]"),
         "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. "
         "Weight-device discarded."},
        {H("\"OomKillDisable\":true"), "OOM killer is disabled for the container, but no memory "
                                       "limit is set, this can result in the system running out of "
                                       "resources."},
        {H("\"KernelMemory\":8388608"),
         "Specifying a kernel memory limit is deprecated and will be "
         "removed in a future release."},
        {H("\"CpuPercent\":1"), "linux does not support CPU percent. Percent discarded."},
        {H("\"NetworkMode\":\"host\",\"PortBindings\":{\"80/tcp\":[]}"),
         "Published ports are discarded when using host network mode"},
        {H(""), NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct create_body b;
        auto_strv warnings = NULL;
        auto_free char *error = run(cases[i].body, &b, &warnings);

        assert_null(error);
        assert_int_equal(strv_len(warnings), cases[i].error ? 1 : 0);
        if (cases[i].error) {
            assert_string_equal(warnings[0], cases[i].error);
        }
        assert_int_equal(b.host.blkio_weight, 0);
        create_body_done(&b);
    }
}

/* HostConfig of GET /containers/ID/json of dockerd after a create with HostConfig {}, but for the
 * runtime's name, the longer list of masked paths, and ShmSize asked for. */
static void test_inspect_form(void **state) {
    static const char want[] =
        "{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"json-file\",\"Config\":"
        "{}},"
        "\"NetworkMode\":\"default\",\"PortBindings\":{},\"RestartPolicy\":{\"Name\":\"no\","
        "\"MaximumRetryCount\":0},\"AutoRemove\":false,\"VolumeDriver\":\"\",\"VolumesFrom\":null,"
        "\"CapAdd\":null,\"CapDrop\":null,\"CgroupnsMode\":\"host\",\"Dns\":[],\"DnsOptions\":[],"
        "\"DnsSearch\":[],\"ExtraHosts\":null,\"GroupAdd\":null,\"IpcMode\":\"private\",\"Cgroup\":"
        "\"\",\"Links\":null,\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,"
        "\"PublishAllPorts\":false,\"ReadonlyRootfs\":false,\"SecurityOpt\":null,\"UTSMode\":\"\","
        "\"UsernsMode\":\"\",\"ShmSize\":67108864,\"Runtime\":\"fence\",\"ConsoleSize\":[0,0],"
        "\"Isolation\":\"\",\"CpuShares\":0,\"Memory\":0,\"NanoCpus\":0,\"CgroupParent\":\"\","
        "\"BlkioWeight\":0,\"BlkioWeightDevice\":[],\"BlkioDeviceReadBps\":[],"
        "\"BlkioDeviceWriteBps\":null,\"BlkioDeviceReadIOps\":null,\"BlkioDeviceWriteIOps\":null,"
        "\"CpuPeriod\":0,\"CpuQuota\":0,\"CpuRealtimePeriod\":0,\"CpuRealtimeRuntime\":0,"
        "\"CpusetCpus\":\"\",\"CpusetMems\":\"\",\"Devices\":[],\"DeviceCgroupRules\":null,"
        "\"DeviceRequests\":null,\"KernelMemory\":0,\"KernelMemoryTCP\":0,\"MemoryReservation\":0,"
        "\"MemorySwap\":0,\"MemorySwappiness\":null,\"OomKillDisable\":false,\"PidsLimit\":null,"
        "\"Ulimits\":null,\"CpuCount\":0,\"CpuPercent\":0,\"IOMaximumIOps\":0,"
        "\"IOMaximumBandwidth\":0,\"MaskedPaths\":[],\"ReadonlyPaths\":[\"/proc/bus\",\"/proc/fs\","
        "\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}";
    struct create_body b;
    auto_strv warnings = NULL;
    auto_free char *error = run(
        H("\"PortBindings\":{},\"RestartPolicy\":{\"Name\":\"no\"},\"Dns\":[],\"DnsOptions\":[],"
          "\"DnsSearch\":[],\"BlkioWeightDevice\":[],\"BlkioDeviceReadBps\":[],\"Devices\":[],"
          "\"MaskedPaths\":[],\"PidsLimit\":0,\"ConsoleSize\":[0]"),
        &b, &warnings);
    auto_free char *text = field_to_text(&host_config_table, &b.host);

    assert_null(error);
    assert_string_equal(text, want);
    create_body_done(&b);
}

static void test_config_form(void **state) {
    static const char want[] =
        "{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,"
        "\"AttachStdout\":false,\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false,"
        "\"StdinOnce\":false,\"Env\":null,\"Cmd\":[\"sh\"],\"Image\":\"busybox\",\"Volumes\":null,"
        "\"WorkingDir\":\"/y\",\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":{}}";
    struct create_body b;
    auto_strv warnings = NULL;
    auto_free char *error = run(C("\"WorkingDir\":\"/x/../y/\",\"Volumes\":{}"), &b, &warnings);
    auto_free char *text = field_to_text(&container_config_table, &b.config);

    assert_null(error);
    assert_string_equal(text, want);
    create_body_done(&b);
}

static void test_privileged_defaults(void **state) {
    struct create_body b;
    auto_strv warnings = NULL;
    auto_free char *error = run(H("\"Privileged\":true,\"Memory\":8388608"), &b, &warnings);

    assert_null(error);
    assert_null(b.host.masked_paths);
    assert_null(b.host.readonly_paths);
    assert_string_equal(b.host.security_opt[0], "label=disable");
    assert_int_equal(b.host.memory_swap, 2 * 8388608);
    create_body_done(&b);
}

static void test_legacy(void **state) {
    static const char old[] = "{\"Image\":\"x\",\"Cmd\":\"sh\",\"Memory\":8388608,\"CpuShares\":5,"
                              "\"Cpuset\":\"0\"}";
    static const char both[] = "{\"Image\":\"x\",\"Cmd\":\"sh\",\"Memory\":8388608,\"CpuShares\":5,"
                               "\"HostConfig\":{\"CpuShares\":7,\"Binds\":[\"/a:/b\"]}}";
    auto_err e = ERR_INIT;
    struct create_body b;

    assert_int_equal(create_body_parse(old, strlen(old), 18, &b, &e), 0);
    assert_int_equal(b.host.memory, 8388608);
    assert_string_equal(b.host.cpuset_cpus, "0");
    assert_string_equal(b.host.ipc_mode, "shareable");
    create_body_done(&b);
    assert_int_equal(create_body_parse(both, strlen(both), 41, &b, &e), 0);
    assert_int_equal(b.host.memory, 8388608);
    assert_int_equal(b.host.cpu_shares, 7);
    assert_string_equal(b.host.binds[0], "/a:/b");
    assert_null(b.host.ipc_mode);
    create_body_done(&b);
}

static void test_userns(void **state) {
    static const struct {
        const char *members;
        enum userns_choice choice;
    } cases[] = {
        {"", USERNS_PRIVATE},
        {"\"UsernsMode\":\"host\"", USERNS_HOST},
        {"\"UsernsMode\":\"host\",\"NetworkMode\":\"host\"", USERNS_HOST},
        {"\"Privileged\":true", USERNS_HOST},
        {"\"Privileged\":true,\"UsernsMode\":\"private\"", USERNS_PRIVATE},
        {"\"NetworkMode\":\"host\"", USERNS_FALLBACK},
        {"\"PidMode\":\"host\"", USERNS_FALLBACK},
        {"\"IpcMode\":\"host\"", USERNS_FALLBACK},
        {"\"UTSMode\":\"host\"", USERNS_PRIVATE},
        {"\"CgroupnsMode\":\"host\"", USERNS_PRIVATE},
        {"\"NetworkMode\":\"none\",\"IpcMode\":\"none\"", USERNS_PRIVATE},
        {"\"NetworkMode\":\"container:x\"", USERNS_PRIVATE},
        {"\"CapAdd\":[\"NET_ADMIN\",\"NET_RAW\",\"SYS_PTRACE\",\"SYS_CHROOT\",\"MKNOD\"]",
         USERNS_PRIVATE},
        {"\"CapAdd\":[\"all\"]", USERNS_FALLBACK},
        {"\"CapAdd\":[\"cap_sys_time\"]", USERNS_FALLBACK},
        {"\"CapDrop\":[\"ALL\"]", USERNS_PRIVATE},
        {"\"Devices\":[{\"PathOnHost\":\"/dev/fuse\"}],\"ReadonlyRootfs\":true", USERNS_PRIVATE},
        {"\"SecurityOpt\":[\"seccomp=unconfined\"],\"Memory\":8388608", USERNS_PRIVATE},
    };
    static const struct userns_facts able = {.kernel_can = true};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *body = xasprintf("{\"Cmd\":\"x\",\"HostConfig\":{%s}}", cases[i].members);
        auto_free char *reason = NULL;
        auto_err e = ERR_INIT;
        struct create_body b;

        assert_int_equal(create_body_parse(body, strlen(body), 41, &b, &e), 0);
        if (userns_decide(&b.host, &able, &reason) != cases[i].choice) {
            fail_msg("%s: %s", cases[i].members, reason ? reason : "no reason");
        }
        assert_true(!reason == (cases[i].choice != USERNS_FALLBACK));
        create_body_done(&b);
    }
}

/* One line of the table after the other, and every other capability works inside. */
static void test_userns_capabilities(void **state) {
    static const struct userns_facts able = {.kernel_can = true};
    static const char *const inside[] = {
        "CHOWN",          "DAC_OVERRIDE", "FOWNER",
        "FSETID",         "KILL",         "SETGID",
        "SETUID",         "SETPCAP",      "NET_BIND_SERVICE",
        "NET_BROADCAST",  "NET_ADMIN",    "NET_RAW",
        "IPC_OWNER",      "SYS_CHROOT",   "SYS_PTRACE",
        "SYS_TTY_CONFIG", "MKNOD",        "LEASE",
        "AUDIT_WRITE",    "SETFCAP",      "CHECKPOINT_RESTORE",
    };
    size_t n = 0;

    for (const char *const *name = userns_host_capabilities; *name; name++, n++) {
        char *adds[] = {(char *)*name, NULL};
        struct host_config h = {.cap_add = adds};
        auto_free char *reason = NULL;
        auto_free char *want = xasprintf("The container uses the host's user namespace: capability "
                                         "%s has no effect inside another one",
                                         *name + 4);

        assert_int_equal(userns_decide(&h, &able, &reason), USERNS_FALLBACK);
        assert_string_equal(reason, want);
    }
    assert_int_equal(n + sizeof(inside) / sizeof(inside[0]), 41);
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        char *adds[] = {(char *)inside[i], NULL};
        struct host_config h = {.cap_add = adds};

        assert_int_equal(userns_decide(&h, &able, NULL), USERNS_PRIVATE);
    }
}

static void test_userns_facts(void **state) {
    const struct {
        struct userns_facts facts;
        enum userns_choice choice;
        const char *reason;
    } cases[] = {
        {{.kernel_can = false},
         USERNS_FALLBACK,
         "The container uses the host's user namespace: this kernel cannot map the ids of image "
         "layers (Linux 5.19)"},
        {{.kernel_can = true, .daemon_off = true}, USERNS_HOST, NULL},
        {{.kernel_can = true, .unmappable_root = "/var/lib/x", .unmappable_bind = "/nfs"},
         USERNS_FALLBACK,
         "The container uses the host's user namespace: the file system of the image layers in "
         "/var/lib/x cannot be mapped"},
        {{.kernel_can = true, .unmappable_bind = "/nfs"},
         USERNS_FALLBACK,
         "The container uses the host's user namespace: the file system of /nfs cannot be mapped"},
        {{.kernel_can = true, .runtime = "runc"},
         USERNS_FALLBACK,
         "The container uses the host's user namespace: runtime runc does not announce idmapped "
         "mounts"},
    };
    struct host_config h = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *reason = NULL;

        assert_int_equal(userns_decide(&h, &cases[i].facts, &reason), cases[i].choice);
        assert_true(str_eq(reason, cases[i].reason));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_inspect_form),
        cmocka_unit_test(test_config_form),
        cmocka_unit_test(test_privileged_defaults),
        cmocka_unit_test(test_legacy),
        cmocka_unit_test(test_userns),
        cmocka_unit_test(test_userns_capabilities),
        cmocka_unit_test(test_userns_facts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
