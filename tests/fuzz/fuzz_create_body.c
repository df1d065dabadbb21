/* SPDX-License-Identifier: Apache-2.0 */

/* POST /containers/create as anybody on the socket may send it, through to the runtime spec. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "engine/create_body.h"
#include "engine/mounts_plan.h"
#include "engine/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(struct create_body *b) {
    static const struct host_facts facts = {
        .cpus = 2,
        .cpuset_cpus = "0-1",
        .cpuset_mems = "0",
        .cgroupns = true,
        .memory = true,
        .swap = true,
        .cpu_shares = true,
        .cpu_cfs = true,
        .cpuset = true,
        .pids = true,
    };
    struct spec_facts sf = {.id = "x", .path = "x", .rootfs = "/r", .cgroups_path = "/docker/x"};
    struct field_array mounts = {0};
    struct oci_spec spec;
    auto_strv warnings = NULL;

    field_init(&oci_spec_table, &spec);
    if (create_body_validate(b, &facts, &warnings, NULL) == 0 &&
        mounts_plan(&b->config, &b->host, NULL, "/var/lib/fence", false, &mounts, NULL) == 0) {
        sf.mounts = &mounts;
        (void)spec_build(&b->config, &b->host, &sf, &spec, NULL);
    }
    mount_points_done(&mounts);
    field_done(&oci_spec_table, &spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct host_defaults defaults = {0};
    struct create_body b;
    char *text;

    if (create_body_parse((const char *)data, size, 41, &b, NULL) < 0) {
        return 0;
    }
    create_body_merge(&b, NULL, &defaults);
    build(&b);
    text = field_to_text(&host_config_table, &b.host);
    free(text);
    create_body_done(&b);
    return 0;
}
