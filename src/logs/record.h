/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Records of a json-file log: reading one line, and writing it as Docker's clients want it. Lines
 * in the writer's own form are taken apart by a small scanner, others by the JSON parser.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "logs/writer.h"

struct log_record {
    enum log_stream stream;
    int64_t time_ns;
    const char *text; /* unescaped; in the parser's scratch buffer */
    size_t len;
    const char *attrs; /* JSON object text, in the line or in the scratch buffer; NULL: none */
    size_t attrs_len;
};

/* line[0..n) without its newline. `scratch` is overwritten. -EBADMSG: no record. */
int log_record_parse(const char *line, size_t n, struct buf *scratch, struct log_record *ret)
    __attribute__((warn_unused_result));

struct log_format_options {
    bool mux;        /* Docker's eight-byte frames around each record */
    bool timestamps; /* the time, nine digits, and a blank before the text */
    bool details;    /* attributes as "key=value,key=value " before the text */
};
/* Renders attributes once for many records: zeroed at first. */
struct log_details {
    char *json; /* of the last record that had any */
    size_t json_len;
    char *text;
};
void log_details_done(struct log_details *d);
/* Appends a record; false when `out` is full (its maximum). */
bool log_record_emit(const struct log_record *r, const struct log_format_options *o,
                     struct log_details *d, struct buf *out);
