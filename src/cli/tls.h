/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Connections by TLS, which a program of its own carries (src/cmd/fence-tls.c). */
#include <stdbool.h>

#include "base/err.h"

struct client_tls {
    bool verify;
    char *ca, *cert, *key; /* PEM files, or NULL */
};
void client_tls_done(struct client_tls *t);
/* A socket that carries what is inside of the connection; ERR_UNAVAILABLE with the helper's words.
 */
int client_tls_dial(const struct client_tls *t, const char *host, const char *port, struct err *e);
