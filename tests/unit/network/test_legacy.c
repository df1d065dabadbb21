/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "network/legacy_tables.h"

/* What "iptables-legacy -P FORWARD" does. False where the kernel has no legacy tables. */
static bool set_policy(int verdict) {
    auto_fd fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    struct ipt_getinfo info = {.name = "filter"};
    auto_free struct xt_counters *counters = NULL;
    auto_free struct ipt_get_entries *e = NULL;
    auto_free struct ipt_replace *r = NULL;
    struct xt_standard_target t;
    struct ipt_entry rule;
    socklen_t len = sizeof info;
    char *at;

    assert_true(fd >= 0);
    if (getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len) < 0)
        return false;
    len = (socklen_t)(sizeof *e + info.size);
    e = xcalloc(1, len);
    memcpy(e->name, info.name, sizeof e->name);
    e->size = info.size;
    assert_int_equal(getsockopt(fd, IPPROTO_IP, IPT_SO_GET_ENTRIES, e, &len), 0);
    counters = xcalloc(info.num_entries, sizeof *counters);
    r = xcalloc(1, sizeof *r + info.size);
    memcpy(r->name, info.name, sizeof r->name);
    r->valid_hooks = info.valid_hooks;
    r->num_entries = r->num_counters = info.num_entries;
    r->size = info.size;
    memcpy(r->hook_entry, info.hook_entry, sizeof r->hook_entry);
    memcpy(r->underflow, info.underflow, sizeof r->underflow);
    r->counters = counters;
    memcpy(r->entries, e->entrytable, info.size);
    at = (char *)r->entries + info.underflow[NF_INET_FORWARD];
    memcpy(&rule, at, sizeof rule);
    memcpy(&t, at + rule.target_offset, sizeof t);
    t.verdict = -verdict - 1;
    memcpy(at + rule.target_offset, &t, sizeof t);
    assert_int_equal(
        setsockopt(fd, IPPROTO_IP, IPT_SO_SET_REPLACE, r, (socklen_t)(sizeof *r + info.size)), 0);
    return true;
}

static void test_policy(void **state) {
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    assert_int_equal(legacy_forward_drops(AF_INET), 0);
    assert_int_equal(legacy_forward_drops(AF_INET6), 0);
    if (!set_policy(NF_ACCEPT)) {
        print_message("this kernel has no legacy tables\n");
        skip();
    }
    assert_int_equal(legacy_forward_drops(AF_INET), 0);
    assert_true(set_policy(NF_DROP));
    assert_int_equal(legacy_forward_drops(AF_INET), 1);
    assert_int_equal(legacy_forward_drops(AF_INET6), 0);
    assert_true(set_policy(NF_ACCEPT));
    assert_int_equal(legacy_forward_drops(AF_INET), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_policy)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
