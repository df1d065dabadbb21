/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ports as clients write them. Pure; -EINVAL. */
#include <stdint.h>

#include "base/err.h"

/* "tcp", "udp", "sctp" <-> IPPROTO_*; "" for another number. */
int port_proto_number(const char *name);
const char *port_proto_name(int number);
/* "80" or "8000-8010", nothing else. */
int port_range_parse(const char *text, uint16_t *ret_first, uint16_t *ret_last);
/* "80/tcp", "80". */
int port_parse(const char *text, uint16_t *ret_port, uint8_t *ret_proto);
/* A PortMap ({"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}): ERR_INVALID in dockerd's words. */
int port_map_check(const char *port_map, struct err *e);
/* As Go prints it: each binding with both of its members. The caller's; NULL for none. */
char *port_map_complete(const char *port_map);
