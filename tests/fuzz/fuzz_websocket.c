/* SPDX-License-Identifier: Apache-2.0 */

/* The frame decoder: the same events in whatever pieces the bytes arrive. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "wire/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
    if (!ok)
        abort();
}

static enum ws_event decode(const uint8_t *data, size_t size, size_t step, struct buf *out,
                            size_t *ret_code) {
    auto_free char *copy = xmemdup(data, size + 1);
    struct ws_decoder d;
    size_t at = 0;

    ws_decoder_init(&d);
    while (at < size) {
        size_t have = size - at < step ? size - at : step, used = 0, len;
        const char *payload;
        enum ws_event event = ws_decode(&d, copy + at, have, &used, &payload, &len);

        check(used > 0 && used <= have && d.control_len <= WS_CONTROL_MAX);
        if (event == WS_EVENT_CLOSE || event == WS_EVENT_ERROR) {
            *ret_code = len;
            return event;
        }
        if (event == WS_EVENT_DATA) {
            check(payload >= copy + at && payload + len <= copy + at + used);
            check(buf_append(out, payload, len));
        }
        at += used;
    }
    return WS_EVENT_MORE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_buf whole = BUF_INIT;
    auto_buf bytes = BUF_INIT;
    auto_free uint8_t *input = xcalloc(1, size + 1);
    size_t code[2] = {0, 0};

    if (size > 0)
        memcpy(input, data, size);
    check(decode(input, size, SIZE_MAX, &whole, &code[0]) ==
          decode(input, size, 1, &bytes, &code[1]));
    check(code[0] == code[1] && whole.len == bytes.len &&
          (whole.len == 0 || memcmp(whole.data, bytes.data, whole.len) == 0));
    return 0;
}
