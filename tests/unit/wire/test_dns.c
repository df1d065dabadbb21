/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "wire/dns.h"

/* id 0x1234, RD, one question: Web.MyNet A IN */
#define HEAD     "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEAD_OPT "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
#define NAME     "\x03Web\x05MyNet\x00"
#define QUESTION NAME "\x00\x01\x00\x01"
#define OPT      "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00" /* 1232 bytes, DO */

#define parse(text, q) parse_bytes(text, sizeof(text) - 1, q)

/* From memory of exactly its size, so that a read past the end is seen. */
static int parse_bytes(const char *p, size_t n, struct dns_query *q) {
    auto_free char *copy = xmalloc(n + (n == 0));
    memcpy(copy, p, n);
    return dns_query_parse(copy, n, q);
}

static void test_query(void **state) {
    struct dns_query q;

    assert_int_equal(parse(HEAD QUESTION, &q), 0);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.type, DNS_A);
    assert_int_equal(q.class, DNS_CLASS_IN);
    assert_true(q.recursion_desired);
    assert_false(q.edns);
    assert_int_equal(q.udp_size, DNS_UDP_PLAIN);
    assert_int_equal(q.question_len, sizeof(QUESTION) - 1);
    assert_string_equal(q.name, "web.mynet");

    assert_int_equal(parse(HEAD_OPT QUESTION OPT, &q), 0);
    assert_true(q.edns && q.dnssec_ok);
    assert_int_equal(q.udp_size, 1232);
    /* a size below the plain one means the plain one */
    assert_int_equal(parse(HEAD_OPT QUESTION "\x00\x00\x29\x00\x10\x00\x00\x00\x00\x00\x00", &q),
                     0);
    assert_int_equal(q.udp_size, DNS_UDP_PLAIN);
    assert_int_equal(parse(HEAD "\x00\x00\x02\x00\x01", &q), 0);
    assert_string_equal(q.name, "");
}

static void test_refused_queries(void **state) {
    struct dns_query q;

    assert_int_equal(parse("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00", &q), -EBADMSG);
    assert_int_equal(parse("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION, &q),
                     -EBADMSG); /* an answer */
    assert_int_equal(parse("\x12\x34\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION, &q),
                     DNS_NOTIMP); /* an update */
    assert_int_equal(q.question_len, 0);
    assert_int_equal(
        parse("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00" QUESTION QUESTION, &q),
        DNS_FORMERR);
    assert_int_equal(parse("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00" QUESTION, &q),
                     DNS_FORMERR);
    assert_int_equal(parse(HEAD "\x03Web\x05MyNe", &q), DNS_FORMERR);
    assert_int_equal(parse(HEAD NAME "\x00\x01\x00", &q), DNS_FORMERR);
    assert_int_equal(parse(HEAD QUESTION "x", &q), DNS_FORMERR);
    assert_int_equal(parse(HEAD "\xc0\x0c\x00\x01\x00\x01", &q), DNS_FORMERR);
    assert_int_equal(parse(HEAD "\x40Web\x00\x00\x01\x00\x01", &q), DNS_FORMERR);
    assert_int_equal(parse(HEAD_OPT QUESTION, &q), DNS_FORMERR);
    assert_int_equal(parse("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x02" QUESTION OPT OPT, &q),
                     DNS_FORMERR);
    assert_int_equal(parse(HEAD_OPT QUESTION "\x00\x00\x29\x04\xd0\x00\x01\x00\x00\x00\x00", &q),
                     DNS_BADVERS);
    assert_true(q.question_len > 0);
}

static void test_names(void **state) {
    char message[512];
    struct dns_query q;
    size_t len = DNS_HEADER;

    memcpy(message, HEAD, DNS_HEADER);
    for (int i = 0; i < 3; i++) {
        message[len] = 63;
        memset(message + len + 1, 'a' + i, 63);
        len += 64;
    }
    message[len] = 61;
    memset(message + len + 1, 'D', 61);
    len += 62;
    memcpy(message + len, "\x00\x00\x01\x00\x01", 5);
    assert_int_equal(parse_bytes(message, len + 5, &q), 0); /* 255 bytes */
    assert_int_equal(strlen(q.name), DNS_NAME_TEXT - 1);
    assert_int_equal(q.name[DNS_NAME_TEXT - 2], 'd');
    message[len - 62] = 62;
    memcpy(message + len, "D\x00\x00\x01\x00\x01", 6);
    assert_int_equal(parse_bytes(message, len + 6, &q), DNS_FORMERR); /* 256 */

    /* "a.b" as one label is not the name a.b */
    assert_int_equal(parse(HEAD "\x03"
                                "a.b\x00\x00\x01\x00\x01",
                           &q),
                     0);
    assert_string_equal(q.name, "");
    assert_int_equal(parse(HEAD "\x02"
                                "a\xff\x00\x00\x01\x00\x01",
                           &q),
                     0);
    assert_string_equal(q.name, "");
}

static void test_answers(void **state) {
    static const char query[] = HEAD_OPT QUESTION OPT;
    static const char wanted[] = "\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x01" QUESTION
                                 "\xc0\x0c\x00\x01\x00\x01\x00\x00\x02\x58\x00\x04\x0a\x00\x00\x01"
                                 "\xc0\x0c\x00\x0c\x00\x01\x00\x00\x02\x58\x00\x05\x01x\x01y\x00"
                                 "\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00";
    uint8_t room[DNS_UDP_PLAIN];
    struct dns_query q;
    struct dns_answer a;

    assert_int_equal(parse(HEAD_OPT QUESTION OPT, &q), 0);
    dns_answer_begin(&a, room, sizeof room, query, &q, DNS_NOERROR);
    dns_answer_address(&a, "\x0a\x00\x00\x01", 4, 600);
    dns_answer_ptr(&a, "x.y", 600);
    dns_answer_ptr(&a, "x..y", 600); /* no name */
    assert_int_equal(dns_answer_end(&a), sizeof wanted - 1);
    assert_memory_equal(room, wanted, sizeof wanted - 1);
    assert_int_equal(dns_message_check(room, a.len), 0);
    assert_true(dns_reply_fits(room, a.len, query, q.question_len));

    dns_answer_begin(&a, room, sizeof room, query, &q, DNS_BADVERS);
    (void)dns_answer_end(&a);
    assert_int_equal(room[3] & 15, 0);
    assert_int_equal(room[a.len - 6], 1); /* the upper bits are in OPT */
}

static void test_truncation(void **state) {
    static const char query[] = HEAD QUESTION;
    uint8_t room[DNS_UDP_PLAIN], address[16] = {0xfd};
    struct dns_query q;
    struct dns_answer a;

    assert_int_equal(parse(HEAD QUESTION, &q), 0);
    dns_answer_begin(&a, room, sizeof room, query, &q, DNS_NOERROR);
    for (int i = 0; i < 40; i++)
        dns_answer_address(&a, address, sizeof address, 600);
    assert_true(dns_answer_end(&a) <= sizeof room);
    assert_true(dns_reply_is_truncated(room));
    assert_int_equal(a.count, (sizeof room - DNS_HEADER - q.question_len) / 28);
    assert_int_equal(dns_message_check(room, a.len), 0);
}

static void test_replies(void **state) {
    static const char query[] = HEAD QUESTION;
    const size_t question = sizeof(QUESTION) - 1;
    uint8_t reply[] = "\x12\x34\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00" QUESTION;
    const size_t n = sizeof reply - 1;

    assert_true(dns_reply_fits(reply, n, query, question));
    assert_int_equal(dns_reply_rcode(reply), DNS_NXDOMAIN);
    assert_false(dns_reply_fits(reply, n - 1, query, question));
    reply[13] ^= 0x20; /* the case of a letter */
    assert_false(dns_reply_fits(reply, n, query, question));
    reply[13] ^= 0x20;
    reply[1]++;
    assert_false(dns_reply_fits(reply, n, query, question));
    reply[1]--;
    reply[2] &= 0x7f; /* a query */
    assert_false(dns_reply_fits(reply, n, query, question));
}

#define REPLY "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" QUESTION
static int check(const char *p, size_t n) {
    auto_free char *copy = xmemdup(p, n);
    return dns_message_check(copy, n);
}

static void test_message_check(void **state) {
    static const char good[] =
        REPLY "\xc0\x10\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01";
    /* a pointer to itself, one into the header, one past its own place */
    static const char loop[] = REPLY "\xc0\x1b\x00\x01\x00\x01\x00\x00\x00\x05\x00\x00";
    static const char head[] = REPLY "\xc0\x04\x00\x01\x00\x01\x00\x00\x00\x05\x00\x00";
    static const char ahead[] = REPLY "\xc0\x1d\x00\x01\x00\x01\x00\x00\x00\x05\x00\x00";

    assert_int_equal(check(good, sizeof good - 1), 0);
    assert_int_equal(check(good, sizeof good - 2), -EBADMSG);
    assert_int_equal(check(good, sizeof good), -EBADMSG); /* the NUL is one byte too many */
    assert_int_equal(check(loop, sizeof loop - 1), -EBADMSG);
    assert_int_equal(check(head, sizeof head - 1), -EBADMSG);
    assert_int_equal(check(ahead, sizeof ahead - 1), -EBADMSG);
}

static void test_reverse(void **state) {
    uint8_t b[16];
    const char *six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.3.d.f.ip6.arpa";

    assert_int_equal(dns_reverse_address("2.0.17.172.in-addr.arpa", b), 4);
    assert_memory_equal(b, "\xac\x11\x00\x02", 4);
    assert_int_equal(dns_reverse_address("17.172.in-addr.arpa", b), 0);
    assert_int_equal(dns_reverse_address("1.2.0.17.172.in-addr.arpa", b), 0);
    assert_int_equal(dns_reverse_address("256.0.17.172.in-addr.arpa", b), 0);
    assert_int_equal(dns_reverse_address("02.0.17.172.in-addr.arpa", b), 0);
    assert_int_equal(dns_reverse_address("in-addr.arpa", b), 0);
    assert_int_equal(dns_reverse_address("..in-addr.arpa", b), 0);
    assert_int_equal(dns_reverse_address(six, b), 16);
    assert_memory_equal(b, "\xfd\x34\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    assert_int_equal(dns_reverse_address(six + 2, b), 0);
    assert_int_equal(dns_reverse_address("web", b), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query),         cmocka_unit_test(test_refused_queries),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_answers),
        cmocka_unit_test(test_truncation),    cmocka_unit_test(test_replies),
        cmocka_unit_test(test_message_check), cmocka_unit_test(test_reverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
