/* SPDX-License-Identifier: Apache-2.0 */
#include "network/legacy_tables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/str.h"

#define ENTRIES_MAX (64u << 20)

static bool has_filter(int family) {
    auto_buf text = BUF_INIT;
    auto_strv names = NULL;

    if (io_read_file_at(AT_FDCWD,
                        family == AF_INET ? "/proc/net/ip_tables_names"
                                          : "/proc/net/ip6_tables_names",
                        &text) < 0)
        return false;
    names = str_split(buf_str(&text), '\n');
    return strv_has(names, "filter");
}

/* The policy is the last rule of a chain, at its `underflow`. */
static int policy_at(const char *entries, size_t size, size_t at, size_t target_offset) {
    struct xt_standard_target t;

    if (at > size || target_offset > size - at || sizeof t > size - at - target_offset)
        return -EBADMSG;
    memcpy(&t, entries + at + target_offset, sizeof t);
    if (t.target.u.user.name[0] != '\0')
        return -EBADMSG; /* not a verdict */
    return t.verdict == -NF_DROP - 1;
}

static int ask4(int fd) {
    struct ipt_getinfo info = {.name = "filter"};
    socklen_t len = sizeof info;
    auto_free struct ipt_get_entries *e = NULL;
    struct ipt_entry rule;
    size_t at;

    if (getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len) < 0)
        return -errno;
    if (info.size > ENTRIES_MAX)
        return -EFBIG;
    len = (socklen_t)(sizeof *e + info.size);
    e = xcalloc(1, len);
    memcpy(e->name, info.name, sizeof e->name);
    e->size = info.size;
    if (getsockopt(fd, IPPROTO_IP, IPT_SO_GET_ENTRIES, e, &len) < 0)
        return -errno;
    at = info.underflow[NF_INET_FORWARD];
    if (info.size < sizeof rule || at > info.size - sizeof rule)
        return -EBADMSG;
    memcpy(&rule, (const char *)e->entrytable + at, sizeof rule);
    return policy_at((const char *)e->entrytable, info.size, at, rule.target_offset);
}

static int ask6(int fd) {
    struct ip6t_getinfo info = {.name = "filter"};
    socklen_t len = sizeof info;
    auto_free struct ip6t_get_entries *e = NULL;
    struct ip6t_entry rule;
    size_t at;

    if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_INFO, &info, &len) < 0)
        return -errno;
    if (info.size > ENTRIES_MAX)
        return -EFBIG;
    len = (socklen_t)(sizeof *e + info.size);
    e = xcalloc(1, len);
    memcpy(e->name, info.name, sizeof e->name);
    e->size = info.size;
    if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_GET_ENTRIES, e, &len) < 0)
        return -errno;
    at = info.underflow[NF_INET_FORWARD];
    if (info.size < sizeof rule || at > info.size - sizeof rule)
        return -EBADMSG;
    memcpy(&rule, (const char *)e->entrytable + at, sizeof rule);
    return policy_at((const char *)e->entrytable, info.size, at, rule.target_offset);
}

int legacy_forward_drops(int family) {
    auto_fd fd = -1;

    if (!has_filter(family))
        return 0;
    fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0)
        return -errno;
    return family == AF_INET ? ask4(fd) : ask6(fd);
}
