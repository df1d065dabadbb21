/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* com.docker.network.endpoint.sysctls, a driver option of an endpoint: settings of its interface,
 * "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2". Pure. */
#include "base/err.h"
#include "base/map.h"

/* ERR_INVALID in Docker's words for what is no setting of an interface. */
int endpoint_sysctls_check(const struct strmap *driver_opts, struct err *e);
/* name -> value; those that would be refused are left out. */
void endpoint_sysctls_take(const struct strmap *driver_opts, struct strmap *ret);
