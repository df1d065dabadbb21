/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/match.h"
#include "format/ref.h"
#include "format/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A reference, then behind a newline a pattern. The canonical form means the same reference, the
 * familiar form too, and nothing in a path leads out of a directory. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_free char *text = xstrndup((const char *)data, size);
    char *pattern = strchr(text, '\n');
    struct image_ref r = {0};
    int64_t unused;

    if (pattern)
        *pattern++ = '\0';
    else
        pattern = text + strlen(text);
    (void)go_match(pattern, text);
    (void)units_parse_bytes(text, &unused);
    if (image_ref_parse(text, &r, NULL) == 0) {
        auto_free char *canonical = image_ref_canonical(&r), *familiar = image_ref_familiar(&r);
        const char *both[] = {canonical, familiar};

        for (int i = 0; i < 2; i++) {
            struct image_ref again = {0};

            if (image_ref_parse(both[i], &again, NULL) < 0 || !str_eq(again.domain, r.domain) ||
                !str_eq(again.path, r.path) || !str_eq(again.tag, r.tag) ||
                !str_eq(again.digest, r.digest))
                abort();
            image_ref_done(&again);
        }
        if (strstr(r.path, "..") || *r.path == '/' || strchr(r.domain, '/'))
            abort();
        (void)image_ref_match(pattern, &r);
        image_ref_done(&r);
    }
    return 0;
}
