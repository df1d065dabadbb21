/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/dns.h"

#include <errno.h>
#include <string.h>

#include "base/id.h"
#include "base/str.h"

#define NAME_WIRE_MAX 255 /* RFC 1035, 2.3.4 */
#define LABEL_MAX     63
#define FLAG_QR       0x8000
#define FLAG_OPCODE   0x7800
#define FLAG_TC       0x0200
#define FLAG_RD       0x0100
#define FLAG_RA       0x0080
#define FLAG_CD       0x0010
#define EDNS_DO       0x8000
#define OPT_LEN       11   /* root, type, class, TTL, no data */
#define OPT_UDP_SIZE  4096 /* what we say that we take */
#define POINTER       0xc0
#define POINTERS_MAX  127 /* a name has no more labels */

static uint16_t get16(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

/* Length of the name at `at` as it lies there, up to and with its pointer; -EBADMSG. */
static int name_length(const uint8_t *p, size_t n, size_t at) {
    size_t start = at, total = 1, end = 0, jumps = 0;
    for (;;) {
        if (at >= n)
            return -EBADMSG;
        uint8_t c = p[at];
        if (c == 0)
            return (int)((end ? end : at + 1) - start);
        if ((c & POINTER) == POINTER) {
            if (at + 2 > n || ++jumps > POINTERS_MAX)
                return -EBADMSG;
            size_t to = get16(p + at) & 0x3fff;
            /* Backwards only: so every chain of pointers ends. */
            if (to < DNS_HEADER || to >= at)
                return -EBADMSG;
            if (!end)
                end = at + 2;
            at = to;
            continue;
        }
        if (c > LABEL_MAX || (total += c + 1u) > NAME_WIRE_MAX)
            return -EBADMSG;
        at += c + 1u;
    }
}

/* A record behind its name: type, class, TTL, length, data. The length of all. */
static int record_length(const uint8_t *p, size_t n, size_t at, uint16_t *ret_type) {
    int name = name_length(p, n, at);
    if (name < 0)
        return name;
    size_t fixed = at + (size_t)name;
    if (n - fixed < 10 || n - fixed - 10 < get16(p + fixed + 8))
        return -EBADMSG;
    *ret_type = get16(p + fixed);
    return name + 10 + get16(p + fixed + 8);
}

/* The question's name in plain text. False: malformed. A name without plain text gives "". */
static bool read_name(const uint8_t *p, size_t n, size_t *at, char text[static DNS_NAME_TEXT]) {
    size_t i = *at, len = 0;
    bool plain = true;
    for (;;) {
        if (i >= n || p[i] > LABEL_MAX)
            return false; /* nothing that a pointer could name lies before the question */
        size_t label = p[i++];
        if (label == 0)
            break;
        /* 253 characters are the 255 bytes that the wire has for a name. */
        if (label > n - i || len + label + (len > 0) >= DNS_NAME_TEXT)
            return false;
        if (len > 0)
            text[len++] = '.';
        for (size_t k = 0; k < label; k++) {
            uint8_t c = p[i + k];
            plain = plain && c > ' ' && c < 0x7f && c != '.';
            text[len++] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        }
        i += label;
    }
    text[plain ? len : 0] = '\0';
    *at = i;
    return true;
}

/* The additional section: at most one OPT, of version 0; others (signatures) pass. */
static int read_additional(const uint8_t *p, size_t n, size_t at, unsigned count,
                           struct dns_query *q) {
    int rcode = 0;
    while (count-- > 0) {
        uint16_t type = 0;
        int len = record_length(p, n, at, &type);
        if (len < 0)
            return DNS_FORMERR;
        if (type == DNS_OPT) {
            if (q->edns || p[at] != 0)
                return DNS_FORMERR;
            q->edns = true;
            uint16_t size = get16(p + at + 3);
            q->udp_size = size > DNS_UDP_PLAIN ? size : DNS_UDP_PLAIN;
            q->dnssec_ok = get16(p + at + 7) & EDNS_DO;
            if (p[at + 6] != 0)
                rcode = DNS_BADVERS;
        }
        at += (size_t)len;
    }
    return at == n ? rcode : DNS_FORMERR;
}

int dns_query_parse(const void *message, size_t n, struct dns_query *ret) {
    const uint8_t *p = message;
    if (n < DNS_HEADER || n > DNS_MESSAGE_MAX || get16(p + 2) & FLAG_QR)
        return -EBADMSG;
    unsigned flags = get16(p + 2);
    *ret = (struct dns_query){.id = get16(p),
                              .recursion_desired = flags & FLAG_RD,
                              .checking_disabled = flags & FLAG_CD,
                              .udp_size = DNS_UDP_PLAIN};
    if (flags & FLAG_OPCODE)
        return DNS_NOTIMP;
    if (get16(p + 4) != 1 || get16(p + 6) || get16(p + 8) || flags & FLAG_TC)
        return DNS_FORMERR;
    size_t at = DNS_HEADER;
    if (!read_name(p, n, &at, ret->name) || n - at < 4)
        return DNS_FORMERR;
    ret->type = get16(p + at);
    ret->class = get16(p + at + 2);
    ret->question_len = at + 4 - DNS_HEADER;
    return read_additional(p, n, at + 4, get16(p + 10), ret);
}

/* ---- answers --------------------------------------------------------------------------------- */
void dns_answer_begin(struct dns_answer *a, void *room, size_t max, const void *query,
                      const struct dns_query *q, int rcode) {
    *a = (struct dns_answer){
        .p = room, .max = max, .edns = q->edns, .dnssec_ok = q->dnssec_ok, .rcode = rcode};
    /* 12, at most 259 and the 11 of OPT: below the 512 that every room has. */
    unsigned opcode = get16((const uint8_t *)query + 2) & FLAG_OPCODE;
    memset(a->p, 0, DNS_HEADER);
    put16(a->p, q->id);
    put16(a->p + 2, FLAG_QR | opcode | (q->recursion_desired ? FLAG_RD : 0) | FLAG_RA |
                        (q->checking_disabled ? FLAG_CD : 0));
    put16(a->p + 4, q->question_len > 0);
    memcpy(a->p + DNS_HEADER, (const uint8_t *)query + DNS_HEADER, q->question_len);
    a->len = DNS_HEADER + q->question_len;
}

/* A record with the question's name; room for its data, or NULL. */
static uint8_t *add_record(struct dns_answer *a, unsigned type, uint32_t ttl, size_t data) {
    size_t all = 12 + data;
    if (a->max - a->len < all + (a->edns ? OPT_LEN : 0) || a->count == UINT16_MAX) {
        a->truncated = true;
        return NULL;
    }
    uint8_t *p = a->p + a->len;
    put16(p, POINTER << 8 | DNS_HEADER);
    put16(p + 2, type);
    put16(p + 4, DNS_CLASS_IN);
    put32(p + 6, ttl);
    put16(p + 10, (unsigned)data);
    a->len += all;
    a->count++;
    return p + 12;
}

void dns_answer_address(struct dns_answer *a, const void *address, size_t n, uint32_t ttl) {
    uint8_t *p = add_record(a, n == 4 ? DNS_A : DNS_AAAA, ttl, n);
    if (p)
        memcpy(p, address, n);
}

void dns_answer_ptr(struct dns_answer *a, const char *name, uint32_t ttl) {
    uint8_t wire[NAME_WIRE_MAX];
    size_t len = 0;
    for (const char *s = name; *s;) {
        size_t label = strcspn(s, ".");
        if (label == 0 || label > LABEL_MAX || len + label + 2 > sizeof(wire))
            return;
        wire[len++] = (uint8_t)label;
        memcpy(wire + len, s, label);
        len += label;
        s += label + (s[label] == '.');
    }
    wire[len++] = 0;
    uint8_t *p = add_record(a, DNS_PTR, ttl, len);
    if (p)
        memcpy(p, wire, len);
}

size_t dns_answer_end(struct dns_answer *a) {
    unsigned flags = get16(a->p + 2) | ((unsigned)a->rcode & 15) | (a->truncated ? FLAG_TC : 0);
    put16(a->p + 2, flags);
    put16(a->p + 6, a->count);
    if (a->edns && a->max - a->len >= OPT_LEN) {
        uint8_t *p = a->p + a->len;
        p[0] = 0;
        put16(p + 1, DNS_OPT);
        put16(p + 3, OPT_UDP_SIZE);
        p[5] = (uint8_t)(a->rcode >> 4);
        p[6] = 0;
        put16(p + 7, a->dnssec_ok ? EDNS_DO : 0);
        put16(p + 9, 0);
        put16(a->p + 10, 1);
        a->len += OPT_LEN;
    }
    return a->len;
}

/* ---- answers of others ----------------------------------------------------------------------- */
bool dns_reply_fits(const void *reply, size_t n, const void *query, size_t question_len) {
    const uint8_t *r = reply, *q = query;
    return n >= DNS_HEADER + question_len && get16(r) == get16(q) && get16(r + 2) & FLAG_QR &&
           !(get16(r + 2) & FLAG_OPCODE) && get16(r + 4) == 1 &&
           memcmp(r + DNS_HEADER, q + DNS_HEADER, question_len) == 0;
}

bool dns_reply_is_truncated(const void *reply) {
    return get16((const uint8_t *)reply + 2) & FLAG_TC;
}

int dns_reply_rcode(const void *reply) {
    return ((const uint8_t *)reply)[3] & 15;
}

int dns_message_check(const void *message, size_t n) {
    const uint8_t *p = message;
    if (n < DNS_HEADER)
        return -EBADMSG;
    size_t at = DNS_HEADER;
    for (unsigned i = get16(p + 4); i > 0; i--) {
        int len = name_length(p, n, at);
        if (len < 0 || n - at - (size_t)len < 4)
            return -EBADMSG;
        at += (size_t)len + 4;
    }
    unsigned records = (unsigned)get16(p + 6) + get16(p + 8) + get16(p + 10);
    while (records-- > 0) {
        uint16_t type;
        int len = record_length(p, n, at, &type);
        if (len < 0)
            return len;
        at += (size_t)len;
    }
    return at == n ? 0 : -EBADMSG;
}

/* ---- reverse names --------------------------------------------------------------------------- */
/* One of the numbers that an address is written with, from its end. */
static bool reverse4(const char *s, size_t n, uint8_t *out) {
    char part[4];
    for (int i = 3; i >= 0; i--) {
        size_t len = 0;
        while (len < n && s[len] != '.')
            len++;
        if (len == 0 || len > 3 || (len > 1 && s[0] == '0'))
            return false;
        memcpy(part, s, len);
        part[len] = '\0';
        uint64_t v;
        if (str_to_u64(part, &v) < 0 || v > 255)
            return false;
        out[i] = (uint8_t)v;
        bool last = len == n;
        if (last != (i == 0))
            return false;
        s += len + !last;
        n -= len + !last;
    }
    return true;
}

size_t dns_reverse_address(const char *name, uint8_t out[static 16]) {
    static const char in4[] = ".in-addr.arpa", in6[] = ".ip6.arpa";
    uint8_t b[16];
    if (str_ends(name, in4)) {
        if (!reverse4(name, strlen(name) - (sizeof(in4) - 1), b))
            return 0;
        memcpy(out, b, 4);
        return 4;
    }
    if (!str_ends(name, in6) || strlen(name) != 63 + sizeof(in6) - 1)
        return 0;
    for (int i = 0; i < 16; i++) {
        const char *s = name + 4 * (15 - i);
        int low = hex_value(s[0]), high = hex_value(s[2]);
        if (low < 0 || high < 0 || s[1] != '.' || s[3] != '.')
            return 0;
        b[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out, b, 16);
    return 16;
}
