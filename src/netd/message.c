/* SPDX-License-Identifier: Apache-2.0 */
#include "netd/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include "base/str.h"

#define TEXT_MAX 4096

void netd_begin(struct buf *b, enum netd_type type, uint32_t seq) {
    const struct netd_msg head = {
        .magic = NETD_MAGIC, .version = NETD_VERSION, .type = (uint16_t)type, .seq = seq};
    buf_clear(b);
    b->max = NETD_MESSAGE_MAX;
    b->failed = false;
    (void)buf_append(b, &head, sizeof(head)); /* netd_end() tells */
}

void netd_put_u8(struct buf *b, uint8_t v) {
    (void)buf_append(b, &v, sizeof(v));
}

void netd_put_u16(struct buf *b, uint16_t v) {
    (void)buf_append(b, &v, sizeof(v));
}

void netd_put_u32(struct buf *b, uint32_t v) {
    (void)buf_append(b, &v, sizeof(v));
}

/* With its NUL, so that the reader can use it where it lies. */
void netd_put_text(struct buf *b, const char *s) {
    size_t n = strlen(str_or_empty(s));
    if (n > TEXT_MAX) {
        b->failed = true;
        return;
    }
    netd_put_u16(b, (uint16_t)n);
    (void)buf_append(b, str_or_empty(s), n + 1);
}

void netd_put_list(struct buf *b, char *const *v) {
    size_t n = strv_len(v);
    if (n > UINT16_MAX) {
        b->failed = true;
        return;
    }
    netd_put_u16(b, (uint16_t)n);
    strv_for_each (s, v)
        netd_put_text(b, s);
}

static size_t addr_size(int family) {
    return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

void netd_put_addr(struct buf *b, const struct netd_addr *a) {
    size_t n = addr_size(a->family);
    netd_put_u8(b, (uint8_t)n);
    (void)buf_append(b, a->b, n);
}

int netd_end(struct buf *b) {
    if (b->failed || b->len < sizeof(struct netd_msg))
        return -EMSGSIZE;
    uint32_t len = (uint32_t)(b->len - sizeof(struct netd_msg));
    memcpy(b->data + offsetof(struct netd_msg, len), &len, sizeof(len));
    return 0;
}

int netd_open(const void *p, size_t n, struct netd_msg *ret_head, struct netd_in *ret) {
    struct netd_msg head;
    if (n < sizeof(head))
        return -EBADMSG;
    memcpy(&head, p, sizeof(head));
    if (head.magic != NETD_MAGIC)
        return -EBADMSG;
    if (head.version != NETD_VERSION)
        return -EPROTO;
    if (head.len != n - sizeof(head))
        return -EBADMSG;
    *ret_head = head;
    *ret = (struct netd_in){.p = (const uint8_t *)p + sizeof(head), .left = head.len};
    return 0;
}

static const void *get(struct netd_in *in, size_t n) {
    if (in->failed || in->left < n) {
        in->failed = true;
        return NULL;
    }
    const void *p = in->p;
    in->p += n;
    in->left -= n;
    return p;
}

uint8_t netd_get_u8(struct netd_in *in) {
    const uint8_t *p = get(in, 1);
    return p ? *p : 0;
}

uint16_t netd_get_u16(struct netd_in *in) {
    uint16_t v = 0;
    const void *p = get(in, sizeof(v));
    if (p)
        memcpy(&v, p, sizeof(v));
    return v;
}

uint32_t netd_get_u32(struct netd_in *in) {
    uint32_t v = 0;
    const void *p = get(in, sizeof(v));
    if (p)
        memcpy(&v, p, sizeof(v));
    return v;
}

const char *netd_get_text(struct netd_in *in, size_t max) {
    size_t n = netd_get_u16(in);
    const char *p = get(in, n + 1);
    if (!p)
        return "";
    if (n > max || memchr(p, '\0', n + 1) != p + n) {
        in->failed = true;
        return "";
    }
    return p;
}

char **netd_get_list(struct netd_in *in, size_t max) {
    char **v = NULL;
    size_t n = netd_get_u16(in);
    if (n > max)
        in->failed = true;
    for (size_t i = 0; i < n && !in->failed; i++) {
        const char *s = netd_get_text(in, TEXT_MAX);
        if (!in->failed)
            strv_add(&v, s);
    }
    return in->failed ? strv_free(v) : v;
}

struct netd_addr netd_get_addr(struct netd_in *in) {
    struct netd_addr a = {0};
    size_t n = netd_get_u8(in);
    if (n == 0)
        return a;
    const void *p = n == 4 || n == 16 ? get(in, n) : NULL;
    if (!p) {
        in->failed = true;
        return a;
    }
    a.family = n == 4 ? AF_INET : AF_INET6;
    memcpy(a.b, p, n);
    return a;
}

const char *netd_addr_text(const struct netd_addr *a, int port, char out[static NETD_ADDR_TEXT]) {
    char text[INET6_ADDRSTRLEN] = "";
    if (addr_size(a->family))
        (void)inet_ntop(a->family, a->b, text, sizeof(text)); /* the room is enough */
    if (port == 0)
        snprintf(out, NETD_ADDR_TEXT, "%s", text);
    else
        snprintf(out, NETD_ADDR_TEXT, a->family == AF_INET6 ? "[%s]:%d" : "%s:%d", text, port);
    return out;
}

bool netd_addr_equal(const struct netd_addr *a, const struct netd_addr *b) {
    return a->family == b->family && memcmp(a->b, b->b, addr_size(a->family)) == 0;
}

bool netd_addr_is_loopback(const struct netd_addr *a) {
    static const uint8_t one[16] = {[15] = 1};
    return a->family == AF_INET ? a->b[0] == 127
                                : a->family == AF_INET6 && memcmp(a->b, one, sizeof(one)) == 0;
}
