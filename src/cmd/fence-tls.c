/* SPDX-License-Identifier: Apache-2.0 */
/* One TLS connection for the command line client, which is on descriptor 3:
 * fence-tls HOST PORT verify|any CA CERT KEY, with "" for a file that is not given. */
#include <signal.h>
#include <stdio.h>

#include "base/str.h"
#include "wire/tls_client.h"

#define LOCAL_FD 3

static const char *file(const char *arg) {
    return *arg ? arg : NULL;
}

int main(int argc, char **argv) {
    struct tls_client_options o;

    if (argc != 7) {
        fprintf(stderr, "fence-tls is started by fence\n");
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* write errors are looked at */
    (void)signal(SIGINT, SIG_IGN);  /* of the terminal: the client decides, and its end is ours */
    (void)signal(SIGQUIT, SIG_IGN);
    o = (struct tls_client_options){.host = argv[1],
                                    .port = argv[2],
                                    .verify = str_eq(argv[3], "verify"),
                                    .ca = file(argv[4]),
                                    .cert = file(argv[5]),
                                    .key = file(argv[6])};
    return tls_client_run(&o, LOCAL_FD);
}
