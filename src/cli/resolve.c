/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/resolve.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

static bool numeric(const char *text, unsigned port, struct sockaddr_storage *out) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        memcpy(out, &four, sizeof four);
        return true;
    }
    if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1) {
        memcpy(out, &six, sizeof six);
        return true;
    }
    return false;
}

static int from_hosts(const char *name, unsigned port, struct sockaddr_storage *addr) {
    auto_buf text = BUF_INIT;
    auto_strv lines = NULL;
    int n = 0;

    if (io_read_file_at(AT_FDCWD, "/etc/hosts", &text) < 0)
        return 0;
    lines = str_split(buf_str(&text), '\n');
    strv_for_each (line, lines) {
        char *save = NULL, *address, *alias;

        line[strcspn(line, "#")] = '\0';
        address = strtok_r(line, " \t\r", &save);
        while (address && (alias = strtok_r(NULL, " \t\r", &save)))
            if (str_case_eq(alias, name) && n < RESOLVE_MAX && numeric(address, port, &addr[n])) {
                n++;
                break;
            }
    }
    return n;
}

static int from_dns(const char *name, int type, unsigned port, struct sockaddr_storage *addr,
                    int room) {
    unsigned char answer[NS_PACKETSZ * 4];
    int len = res_search(name, C_IN, type, answer, sizeof answer), n = 0;
    ns_msg msg;

    if (len < 0 || len > (int)sizeof answer || ns_initparse(answer, len, &msg) < 0)
        return 0;
    for (int i = 0; i < ns_msg_count(msg, ns_s_an) && n < room; i++) {
        char text[INET6_ADDRSTRLEN];
        ns_rr rr;

        if (ns_parserr(&msg, ns_s_an, i, &rr) < 0 || (int)ns_rr_type(rr) != type ||
            ns_rr_rdlen(rr) != (type == T_A ? 4 : 16))
            continue;
        if (inet_ntop(type == T_A ? AF_INET : AF_INET6, ns_rr_rdata(rr), text, sizeof text) &&
            numeric(text, port, &addr[n]))
            n++;
    }
    return n;
}

int resolve_host(const char *name, unsigned port, struct sockaddr_storage addr[RESOLVE_MAX],
                 struct err *e) {
    int n;

    if (numeric(name, port, &addr[0]))
        return 1;
    n = from_hosts(name, port, addr);
    if (n == 0 && str_case_eq(name, "localhost") && numeric("127.0.0.1", port, &addr[0]))
        n = 1;
    if (n == 0)
        n = from_dns(name, T_A, port, addr, RESOLVE_MAX);
    if (n == 0)
        n = from_dns(name, T_AAAA, port, addr, RESOLVE_MAX);
    return n > 0 ? n
                 : err_set(e, ERR_NOT_FOUND,
                           "error during connect: dial tcp: lookup %s: no such host", name);
}
