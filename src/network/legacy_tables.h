/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tables of iptables-legacy, which nf_tables does not show. */

/* 1: the policy of FORWARD in the filter table of AF_INET or AF_INET6 drops. 0: it does not, or
 * there is no such table (asking for one that is not loaded would load it). -errno. */
int legacy_forward_drops(int family);
