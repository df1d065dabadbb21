/* SPDX-License-Identifier: Apache-2.0 */

/* A query from a container: what is built of it is a message of the right form and size. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct dns_query q;
    struct dns_answer a;
    uint8_t address[16] = {0xfd, 1};
    int r = dns_query_parse(data, size, &q);

    if (r < 0)
        return 0;
    check(q.question_len <= size - DNS_HEADER && strlen(q.name) < DNS_NAME_TEXT);
    check(r > 0 || q.question_len > 0);
    check(q.udp_size >= DNS_UDP_PLAIN);
    size_t n = dns_reverse_address(q.name, address);
    check(n == 0 || n == 4 || n == 16);
    auto_free uint8_t *room = xmalloc(q.udp_size);
    dns_answer_begin(&a, room, q.udp_size, data, &q, r);
    for (unsigned i = 0; r == 0 && i < (q.id & 255u); i++)
        dns_answer_address(&a, address, i % 2 ? 4 : 16, i);
    if (r == 0)
        dns_answer_ptr(&a, q.name, 1);
    size_t len = dns_answer_end(&a);
    check(len == a.len && len <= q.udp_size);
    check(dns_message_check(room, len) == 0);
    check(q.question_len == 0 || dns_reply_fits(room, len, data, q.question_len));
    return 0;
}
