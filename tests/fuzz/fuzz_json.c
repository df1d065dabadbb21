/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(struct json_object *o) {
    struct buf b = BUF_INIT;
    struct jw w;

    jw_init(&w, &b);
    jw_value(&w, o);
    return buf_take(&b);
}

/* What is taken prints as a document that is taken again and prints the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_json *o = NULL, *again = NULL;
    auto_free char *one = NULL, *two = NULL;
    auto_err e = ERR_INIT;

    if (jsn_parse((const char *)data, size, &o, &e) < 0) {
        if (!e.msg)
            abort();
        return 0;
    }
    one = print(o);
    if (jsn_parse(one, strlen(one), &again, &e) < 0)
        abort();
    two = print(again);
    if (strcmp(one, two) != 0)
        abort();
    return 0;
}
