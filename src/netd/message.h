/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bodies of messages of netd/protocol.h: written into a buffer with a maximum, read strictly. Used
 * on both sides; libc and base only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "netd/protocol.h"

/* An address as it travels; netd is below the folder that has more to say about them. */
struct netd_addr {
    int family; /* AF_INET, AF_INET6; 0: none */
    uint8_t b[16];
};

/* Starts a message, header included; the buffer is emptied and gets its maximum. */
void netd_begin(struct buf *b, enum netd_type type, uint32_t seq);
void netd_put_u8(struct buf *b, uint8_t v);
void netd_put_u16(struct buf *b, uint16_t v);
void netd_put_u32(struct buf *b, uint32_t v);
void netd_put_text(struct buf *b, const char *s); /* NULL is "" */
void netd_put_list(struct buf *b, char *const *v);
void netd_put_addr(struct buf *b, const struct netd_addr *a);
/* Completes the header. -EMSGSIZE when something did not fit. */
int netd_end(struct buf *b);

/* A reader that has failed stays failed, and gives zeros and "". */
struct netd_in {
    const uint8_t *p;
    size_t left;
    bool failed;
};
/* Checks the header; *ret reads the body. -EBADMSG, -EPROTO for another version. */
int netd_open(const void *p, size_t n, struct netd_msg *ret_head, struct netd_in *ret);
uint8_t netd_get_u8(struct netd_in *in);
uint16_t netd_get_u16(struct netd_in *in);
uint32_t netd_get_u32(struct netd_in *in);
/* Borrowed from the message; at most `max` bytes. */
const char *netd_get_text(struct netd_in *in, size_t max);
/* A new vector of at most `max` texts; NULL when empty or failed. */
char **netd_get_list(struct netd_in *in, size_t max) __attribute__((warn_unused_result));
struct netd_addr netd_get_addr(struct netd_in *in);

/* "10.0.0.1", "[fd00::1]:53" with a port other than 0 in brackets as Go prints them. */
#define NETD_ADDR_TEXT 64
const char *netd_addr_text(const struct netd_addr *a, int port, char out[static NETD_ADDR_TEXT]);
bool netd_addr_equal(const struct netd_addr *a, const struct netd_addr *b);
bool netd_addr_is_loopback(const struct netd_addr *a);
