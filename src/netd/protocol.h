/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The protocol of fence-netd: one message a packet on a SOCK_SEQPACKET socket, a header and `len`
 * bytes of body, numbers in the host's order. Those who speak it:
 *
 *   the daemon      everything but ATTACH, in order, on one connection. Only RESERVE and STATUS are
 *                   answered (with their `seq`), and a SANDBOX_PUT whose descriptor is of no use,
 * by ATTACHED set-up process  ATTACH with the network namespace and, behind it, the pidfd of the
 * container's init as descriptors; waits for ATTACHED
 *
 * A body is a run of fields (netd/message.h): u8, u16, u32, text, list of texts, address. What is
 * behind the fields that a side knows is left unread, so that later versions can append.
 * A message that is malformed ends the connection.
 */
#include <stdint.h>

#define NETD_MAGIC       0x444e4346u
#define NETD_VERSION     1u
#define NETD_MESSAGE_MAX (64u << 10)
#define NETD_ID_MAX      64 /* of containers and networks */
#define NETD_NAMES_MAX   256
#define NETD_SERVERS_MAX 8
#define NETD_PORTS_MAX   1000 /* in one RESERVE; more are asked for in several */
#define NETD_FDS_MAX     2
#define NETD_SOCKET      "netd.sock"

struct netd_msg {
    uint32_t magic;
    uint16_t version, type;
    uint32_t seq, len;
};

/* The fields of the body in order. */
enum netd_type {
    NETD_SYNC_BEGIN = 1,
    NETD_SYNC_END, /* what was not put or reserved since SYNC_BEGIN goes */
    /* text owner, u16 count, then each: u8 protocol, u16 first, u16 last, u8 hosts, address *
     * hosts, address to, u16 to_port */
    NETD_RESERVE,
    NETD_RESERVED, /* u8 error class, u32 errno whose text belongs behind the message, or 0; text
                    * message, u16 count, u16 * count */
    NETD_RELEASE,  /* text owner, u16 count (0: all), then each: u8 protocol, u16 number */
    NETD_ENDPOINT_PUT, /* text network, text container, address, address, list names, text network
                        * name */
    NETD_ENDPOINT_DEL, /* text network, text container */
    /* text id, list networks, list servers, list links, u8 internal. With a descriptor: the pidfd
     * of a container that runs already. */
    NETD_SANDBOX_PUT,
    NETD_SANDBOX_DEL, /* text id */
    NETD_ATTACH,      /* text id */
    NETD_ATTACHED,    /* u32 errno, text message */
    NETD_SHUTDOWN,
    NETD_STATUS, /* answered by the same with a text */
    NETD_TYPE_MAX_,
};
