/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Netlink requests: a bounded message builder and a request/acknowledge exchange. A struct nl_msg
 * that overflows becomes `failed` and is refused when sent. -errno.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#define NL_MSG_MAX 4096
struct nl_msg {
    union {
        struct nlmsghdr hdr;
        char room[NL_MSG_MAX];
    };
    bool failed;
};

/* A socket in the caller's network namespace; close-on-exec. */
int nl_open(int protocol);
/* Starts a request: flags beside NLM_F_REQUEST. The fixed header (ifinfomsg, ...) follows by
 * nl_put_raw(). */
void nl_init(struct nl_msg *m, uint16_t type, uint16_t flags);
void *nl_put_raw(struct nl_msg *m, const void *p, size_t n);
void nl_put(struct nl_msg *m, uint16_t type, const void *p, size_t n);
void nl_put_str(struct nl_msg *m, uint16_t type, const char *s);
void nl_put_u32(struct nl_msg *m, uint16_t type, uint32_t v);
void nl_put_u8(struct nl_msg *m, uint16_t type, uint8_t v);
/* Nested attributes: the result goes to nl_nest_end(). */
size_t nl_nest(struct nl_msg *m, uint16_t type);
void nl_nest_end(struct nl_msg *m, size_t at);
/* Sends and waits for the kernel's acknowledgement: its -errno, or 0. */
int nl_talk(int sock, struct nl_msg *m);
/* Sends a request with NLM_F_DUMP and gives each message of the answer to `each`, the last one,
 * which carries nothing, excepted. */
int nl_dump(int sock, struct nl_msg *m, void (*each)(void *arg, const struct nlmsghdr *h),
            void *arg);
