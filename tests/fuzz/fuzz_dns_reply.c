/* SPDX-License-Identifier: Apache-2.0 */

/* The answer of a server that a container's query was forwarded to. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                                "\x03web\x00\x00\x01\x00\x01";
    const size_t question = sizeof query - 1 - DNS_HEADER;
    struct dns_query q;
    bool fits = dns_reply_fits(data, size, query, question);

    if (fits && (dns_reply_rcode(data) > 15 || size < sizeof query - 1))
        abort();
    if (dns_message_check(data, size) == 0 && size < DNS_HEADER)
        abort();
    /* No answer is ever taken for a query. */
    if (fits && dns_query_parse(data, size, &q) >= 0)
        abort();
    return 0;
}
