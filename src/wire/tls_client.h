/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The client's end of TLS, as a program of its own (fence-tls): the command line client links no
 * TLS library and starts this one for each connection. Blocking; one connection a process.
 */
#include <stdbool.h>

struct tls_client_options {
    const char *host, *port;
    const char *ca, *cert, *key; /* PEM files, or NULL */
    bool verify;                 /* the server's certificate, against ca or the system's */
};
/* Connects, and carries bytes between `local` and the server until both have ended. The first thing
 * written to `local` is a zero byte, or else the text of what went wrong. The exit status. */
int tls_client_run(const struct tls_client_options *o, int local);
