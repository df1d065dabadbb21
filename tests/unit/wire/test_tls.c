/* SPDX-License-Identifier: Apache-2.0 */

/* The server behind TLS, with certificates made here. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/io.h"
#include "wire/tls.h"
#include "wire_server.h"

static char dir[] = "/tmp/fence-test-tls-XXXXXX";
static char ca_file[64], cert_file[64], key_file[64], other_key_file[64];
static SSL_CTX *server_ctx, *client_ctx, *stranger_ctx;
static struct client c;

static void write_key(EVP_PKEY *key, const char *path) {
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
}

static void write_cert(X509 *cert, const char *path) {
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    assert_int_equal(fclose(f), 0);
}

static X509 *make_cert(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key) {
    X509 *cert = X509_new();
    X509_NAME *subject;
    X509_EXTENSION *ca;
    static long serial = 1;

    assert_non_null(cert);
    assert_int_equal(X509_set_version(cert, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    subject = X509_get_subject_name(cert);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject),
                     1);
    if (!issuer) {
        ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
        assert_non_null(ca);
        assert_int_equal(X509_add_ext(cert, ca, -1), 1);
        X509_EXTENSION_free(ca);
    }
    assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
    return cert;
}

static int group_setup(void **state) {
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    EVP_PKEY *client_key = EVP_EC_gen("P-256");
    X509 *ca = make_cert("test ca", ca_key, NULL, ca_key);
    X509 *cert = make_cert("localhost", key, ca, ca_key);
    X509 *client = make_cert("client", client_key, ca, ca_key);
    struct tls_options o = {.cert = cert_file, .key = key_file, .ca = ca_file, .verify = true};
    auto_err e = ERR_INIT;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", dir);
    (void)snprintf(cert_file, sizeof(cert_file), "%s/cert.pem", dir);
    (void)snprintf(key_file, sizeof(key_file), "%s/key.pem", dir);
    (void)snprintf(other_key_file, sizeof(other_key_file), "%s/other.pem", dir);
    write_cert(ca, ca_file);
    write_cert(cert, cert_file);
    write_key(key, key_file);
    write_key(client_key, other_key_file);
    assert_int_equal(tls_server_new(&o, &server_ctx, &e), 0);

    client_ctx = SSL_CTX_new(TLS_client_method());
    stranger_ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate(client_ctx, client), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(client_ctx, client_key), 1);
    assert_int_equal(SSL_CTX_load_verify_locations(client_ctx, ca_file, NULL), 1);
    SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    EVP_PKEY_free(client_key);
    X509_free(ca);
    X509_free(cert);
    X509_free(client);
    return 0;
}

static int group_teardown(void **state) {
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(stranger_ctx);
    tls_server_free(server_ctx);
    (void)unlink(ca_file);
    (void)unlink(cert_file);
    (void)unlink(key_file);
    (void)unlink(other_key_file);
    return rmdir(dir);
}

static int setup(void **state) {
    wire_server_start(server_ctx, false, NULL);
    wire_connect(&c, client_ctx);
    return 0;
}

static int teardown(void **state) {
    client_close(&c);
    wire_server_stop();
    return 0;
}

#define HOST "Host: docker\r\n"

static void ask(const char *request, const char *body) {
    auto_answer a = {0};

    client_send(&c, request);
    client_answer(&c, false, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(buf_str(&a.body), body);
}

static void test_requests(void **state) {
    auto_answer a = {0};

    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
    ask("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab", "ab");
    ask("GET /stream HTTP/1.1\r\n" HOST "\r\n", "one two three");
    client_send(&c, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&c, false, &a);
    assert_int_equal(a.body.len, 1 << 20);
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "hello");
}

static void test_worker(void **state) {
    auto_free char *body = xmalloc(50001);
    auto_buf text = BUF_INIT;

    memset(body, 'w', 50000);
    body[50000] = '\0';
    assert_true(buf_printf(
        &text, "POST /worker HTTP/1.1\r\n" HOST "Content-Length: 50000\r\n\r\n%s", body));
    ask(buf_str(&text), body);
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
}

static void test_hijack(void **state) {
    auto_buf big = BUF_INIT;

    client_send(&c, "POST /hijack HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
                    "early ");
    client_expect(&c, "HTTP/1.1 101 UPGRADED\r\n"
                      "Content-Type: application/vnd.docker.raw-stream\r\n"
                      "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ");
    for (int i = 0; i < 8000; i++)
        assert_true(buf_printf(&big, "%06d ", i));
    for (int i = 0; i < 5; i++) {
        client_send(&c, buf_str(&big));
        client_expect(&c, buf_str(&big));
    }
    /* Go's CloseWrite: close_notify alone. */
    assert_int_equal(SSL_shutdown(c.ssl), 0);
    client_expect(&c, "bye");
    client_expect_end(&c);
}

static void test_hijack_client_vanishes(void **state) {
    client_send(&c, "POST /hijack HTTP/1.1\r\n" HOST "\r\n");
    client_expect(&c, "HTTP/1.1 200 OK\r\n"
                      "Content-Type: application/vnd.docker.raw-stream\r\n\r\n");
    client_close(&c); /* the echo ends, or loop_free would wait for its job for ever */
}

static void test_vanish(void **state) {
    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 1);
    client_close(&c);
    wire_wait_for(&wire_gone, 1);
}

static void test_half_close(void **state) {
    auto_answer a = {0};
    struct client other;

    client_send(&c, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wire_wait_for(&wire_waiting, 1);
    assert_int_equal(SSL_shutdown(c.ssl), 0);
    (void)usleep(20000);
    assert_int_equal(atomic_load(&wire_gone), 0);
    wire_connect(&other, client_ctx);
    client_send(&other, "POST /release HTTP/1.1\r\n" HOST "\r\n");
    client_answer(&other, false, &a);
    client_close(&other);
    client_answer(&c, false, &a);
    assert_string_equal(buf_str(&a.body), "released");
}

static void test_client_without_certificate(void **state) {
    static const char hello[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";
    struct client other;
    char byte;

    wire_connect(&other, stranger_ctx);
    /* With TLS 1.3 the client may believe for a moment that it is in. */
    if (SSL_connect(other.ssl) == 1) {
        (void)signal(SIGPIPE, SIG_IGN); /* the client's own */
        (void)SSL_write(other.ssl, hello, sizeof(hello) - 1);
        (void)signal(SIGPIPE, SIG_DFL);
        assert_true(SSL_read(other.ssl, &byte, 1) <= 0);
    }
    SSL_free(other.ssl);
    (void)fd_close(other.fd);
    assert_int_equal(atomic_load(&wire_ended), 0);
}

static void test_old_protocol(void **state) {
    SSL_CTX *old = SSL_CTX_new(TLS_client_method());
    struct client other;

    SSL_CTX_set_security_level(old, 0);
    assert_int_equal(SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION), 1);
    wire_connect(&other, old);
    assert_true(SSL_connect(other.ssl) <= 0);
    SSL_free(other.ssl);
    (void)fd_close(other.fd);
    SSL_CTX_free(old);
}

static void test_plain_client(void **state) {
    struct client other;

    wire_connect(&other, NULL);
    client_send(&other, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    while (client_read(&other, (char[16]){0}, 16) > 0)
        ;
    client_close(&other);
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
}

static void test_alpn(void **state) {
    static const unsigned char offer[] = "\x02h2\x08http/1.1";
    const unsigned char *chosen;
    unsigned len;

    assert_int_equal(SSL_set_alpn_protos(c.ssl, offer, sizeof(offer) - 1), 0);
    ask("GET /hello HTTP/1.1\r\n" HOST "\r\n", "hello");
    SSL_get0_alpn_selected(c.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
}

static void expect_error(struct tls_options o, const char *part) {
    auto_err e = ERR_INIT;
    struct ssl_ctx_st *ctx = NULL;

    assert_int_equal(tls_server_new(&o, &ctx, &e), -EINVAL);
    assert_null(ctx);
    if (!strstr(err_msg(&e), part))
        fail_msg("\"%s\" not in \"%s\"", part, err_msg(&e));
}

static void test_errors(void **state) {
    expect_error((struct tls_options){.cert = "/none", .key = key_file},
                 "could not load X509 key pair (cert: \"/none\"");
    expect_error((struct tls_options){.cert = cert_file}, "could not load X509 key pair");
    expect_error((struct tls_options){.cert = cert_file, .key = other_key_file},
                 "error reading X509 key pair - make sure the key is not encrypted");
    expect_error((struct tls_options){.cert = key_file, .key = key_file},
                 "error reading X509 key pair");
    expect_error(
        (struct tls_options){.cert = cert_file, .key = key_file, .ca = "/none", .verify = true},
        "could not read CA certificate \"/none\"");
    expect_error(
        (struct tls_options){.cert = cert_file, .key = key_file, .ca = key_file, .verify = true},
        "could not read CA certificate");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_requests),
        T(test_worker),
        T(test_hijack),
        T(test_hijack_client_vanishes),
        T(test_vanish),
        T(test_half_close),
        T(test_client_without_certificate),
        T(test_old_protocol),
        T(test_plain_client),
        T(test_alpn),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests_name("tls", tests, group_setup, group_teardown);
}
