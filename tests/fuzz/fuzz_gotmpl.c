/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a template over a small document, as API data and as a formatter's row. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/client.h"
#include "cli/gotmpl.h"
#include "format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char doc[] = "{\"Id\":\"abc\",\"N\":3,\"F\":1.5,\"T\":true,\"Z\":null,"
                              "\"List\":[\"a\",{\"b\":1},[2]],\"Config\":{\"Labels\":{\"x\":\"1\"},"
                              "\"Cmd\":null},\"State\":{\"Status\":\"running\"}}";
    const struct gotmpl_options api = {0}, row = {.type_name = "*formatter.x"};
    auto_free char *text = xstrndup((const char *)data, size);
    auto_json *json = NULL;
    auto_gotmpl *t = NULL;
    auto_buf out = {.max = 1 << 16}, out2 = {.max = 1 << 16};

    if (size > 4096 || gotmpl_parse(text, &t, NULL) < 0)
        return 0;
    if (client_parse_json(doc, sizeof doc - 1, &json, NULL) < 0)
        return 0;
    (void)gotmpl_exec(t, json, &api, &out, NULL);
    (void)gotmpl_exec(t, json, &row, &out2, NULL);
    (void)gotmpl_uses(t, "Id");
    return 0;
}
