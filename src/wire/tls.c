/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/str.h"

/* The last, most general error of OpenSSL's queue. */
static const char *ssl_why(void) {
    unsigned long code = ERR_peek_last_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;

    return why ? why : "unknown error";
}

/* Encrypted keys are refused: nobody is there to type a pass phrase. */
static int no_password(char *buf, int size, int writing, void *arg) {
    return 0;
}

/* The clients we know offer h2 first; an answer of http/1.1 keeps them to it. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg) {
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;

    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int load_key_pair(SSL_CTX *ctx, const struct tls_options *o, struct err *e) {
    const char *missing = NULL;
    int saved;

    if (access(o->cert, R_OK) < 0)
        missing = o->cert;
    else if (access(o->key, R_OK) < 0)
        missing = o->key;
    if (missing) {
        saved = errno;
        return err_set(e, ERR_INVALID,
                       "could not load X509 key pair (cert: \"%s\", key: \"%s\"): open %s: %s",
                       o->cert, o->key, missing, strerror(saved));
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, o->cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, o->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return err_set(e, ERR_INVALID,
                       "error reading X509 key pair - make sure the key is not encrypted "
                       "(cert: \"%s\", key: \"%s\"): %s",
                       o->cert, o->key, ssl_why());
    return 0;
}

static int load_authorities(SSL_CTX *ctx, const struct tls_options *o, struct err *e) {
    STACK_OF(X509_NAME) * names;

    if (access(o->ca, R_OK) < 0)
        return err_set(e, ERR_INVALID, "could not read CA certificate \"%s\": %s", o->ca,
                       strerror(errno));
    if (SSL_CTX_load_verify_locations(ctx, o->ca, NULL) != 1)
        return err_set(e, ERR_INVALID, "could not read CA certificate \"%s\": %s", o->ca,
                       ssl_why());
    names = SSL_load_client_CA_file(o->ca);
    if (!names)
        return err_set(e, ERR_INVALID, "failed to append certificates from PEM file: \"%s\"",
                       o->ca);
    SSL_CTX_set_client_CA_list(ctx, names);
    return 0;
}

static int configure(SSL_CTX *ctx, const struct tls_options *o, struct err *e) {
    int r;

    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        return err_set(e, ERR_SYSTEM, "cannot configure TLS: %s", ssl_why());
    /* An idle connection must not hold 32 KiB of buffers; a client's certificate is checked anew
     * for each connection, so nothing is resumed. A peer that ends with FIN alone cuts nothing
     * short: HTTP frames its bodies. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    r = load_key_pair(ctx, o, e);
    if (r < 0)
        return r;
    if (!o->verify)
        return 0;
    if (!str_empty(o->ca)) {
        r = load_authorities(ctx, o, e);
        if (r < 0)
            return r;
    } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return err_set(e, ERR_SYSTEM, "cannot load the system's CA certificates: %s", ssl_why());
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

int tls_server_new(const struct tls_options *o, struct ssl_ctx_st **ret_ctx, struct err *e) {
    SSL_CTX *ctx;
    int r;

    if (str_empty(o->cert) || str_empty(o->key))
        return err_set(e, ERR_INVALID,
                       "could not load X509 key pair: both a certificate and a key are needed");
    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        r = err_set(e, ERR_SYSTEM, "cannot set up TLS: %s", ssl_why());
    } else {
        r = configure(ctx, o, e);
    }
    ERR_clear_error();
    if (r < 0) {
        SSL_CTX_free(ctx);
        return r;
    }
    *ret_ctx = ctx;
    return 0;
}

void tls_server_free(struct ssl_ctx_st *ctx) {
    SSL_CTX_free(ctx);
}
