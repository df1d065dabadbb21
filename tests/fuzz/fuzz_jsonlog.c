/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a json-file log through the record parser; and the input as output of a container
 * through the writer's escaping, which the parser must take back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "format/json.h"
#include "logs/escape.h"
#include "logs/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_lines(const char *p, size_t n) {
    const struct log_format_options o = {.mux = true, .timestamps = true, .details = true};
    auto_buf scratch = BUF_INIT, out = BUF_INIT;
    struct log_details details = {0};
    const char *end = p + n;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = newline ? (size_t)(newline - p) : (size_t)(end - p);
        struct log_record r;

        if (log_record_parse(p, len, &scratch, &r) == 0)
            (void)log_record_emit(&r, &o, &details, &out);
        p += len + 1;
    }
    log_details_done(&details);
}

static void escape(const char *p, size_t n) {
    auto_buf line = BUF_INIT, scratch = BUF_INIT;
    auto_json *o = NULL;
    struct log_record r;

    if (n > LOG_PIECE_MAX || !buf_puts(&line, "{\"log\":\"") ||
        !buf_reserve(&line, n * LOG_ESCAPE_MAX + LOG_ESCAPE_SLACK))
        return;
    line.len += log_escape(line.data + line.len, p, n);
    (void)buf_puts(&line, "\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.000000006Z\"}");
    if (log_record_parse(line.data, line.len, &scratch, &r) < 0)
        abort();
    if (memchr(p, '\0', n)) /* which the JSON parser refuses in strings */
        return;
    if (jsn_parse(line.data, line.len, &o, NULL) < 0)
        abort();
    if (r.len != (size_t)json_object_get_string_len(jsn_get(o, "log")) ||
        memcmp(r.text, jsn_str(o, "log"), r.len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parse_lines((const char *)data, size);
    escape((const char *)data, size);
    return 0;
}
