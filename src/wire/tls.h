/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The server's TLS context from dockerd's --tlscert, --tlskey, --tlscacert and --tlsverify. */
#include <stdbool.h>

#include "base/err.h"

struct ssl_ctx_st; /* SSL_CTX */

struct tls_options {
    const char *cert, *key; /* PEM files */
    const char *ca;         /* PEM file of the authorities for clients; needed with verify */
    bool verify;            /* clients must show a certificate */
};

/* TLS 1.2 and newer. Loads the files at once; the texts are dockerd's. */
int tls_server_new(const struct tls_options *o, struct ssl_ctx_st **ret_ctx, struct err *e);
/* NULL is allowed. Connections in use keep what they need. */
void tls_server_free(struct ssl_ctx_st *ctx);
