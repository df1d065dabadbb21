/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Host names without the C library's name services, which a static program cannot load: numeric
 * addresses, /etc/hosts, then DNS as /etc/resolv.conf says.
 */
#include <sys/socket.h>

#include "base/err.h"

#define RESOLVE_MAX 8

/* The number of addresses, with the port set; ERR_NOT_FOUND. */
int resolve_host(const char *name, unsigned port, struct sockaddr_storage addr[RESOLVE_MAX],
                 struct err *e);
