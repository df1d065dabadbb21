/* SPDX-License-Identifier: Apache-2.0 */

/* Documents from registries and archives: manifests, indexes, image configurations. */
#include <stddef.h>
#include <stdint.h>

#include "oci/image_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    struct oci_manifest m;
    struct oci_index x;
    struct image_config c;

    if (oci_manifest_parse(text, size, &m, NULL) == 0) {
        field_done(&oci_manifest_table, &m);
    }
    if (oci_index_parse(text, size, &x, NULL) == 0) {
        (void)oci_index_select(&x, "linux", "arm64", "v8");
        field_done(&oci_index_table, &x);
    }
    if (image_config_parse(text, size, &c, NULL) == 0) {
        field_done(&image_config_table, &c);
    }
    return 0;
}
