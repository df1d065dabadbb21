/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* State for the service manager by sd_notify(3)'s protocol. */

/* Sends lines as "READY=1\nSTATUS=...". 1 when sent, 0 without NOTIFY_SOCKET, or -errno. */
int sdnotify_send(const char *state);
