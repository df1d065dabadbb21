/* SPDX-License-Identifier: Apache-2.0 */

/* Capability names, Docker's combination rules, and applying sets in a child process. */
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/field.h"
#include "oci/runtime_spec.h"
#include "runtime/caps.h"

static void test_names(void **state) {
    auto_strv names = lcap_names(LCAP_DEFAULT);
    unsigned nr = 99, unknown = 0;

    (void)state;
    assert_int_equal(strv_len(names), 14);
    assert_string_equal(names[0], "CAP_CHOWN");
    assert_int_equal(lcap_from_names(names, &unknown), LCAP_DEFAULT);
    assert_int_equal(unknown, 0);
    for (unsigned i = 0; i < LCAP_COUNT; i++) {
        assert_int_equal(lcap_parse(lcap_name(i), &nr), 0);
        assert_int_equal(nr, i);
    }
    assert_null(lcap_name(LCAP_COUNT));
    assert_int_equal(lcap_parse("net_admin", &nr), 0);
    assert_int_equal(nr, CAP_NET_ADMIN);
    assert_int_equal(lcap_parse("cap_Sys_Time", &nr), 0);
    assert_int_equal(nr, CAP_SYS_TIME);
    assert_int_equal(lcap_parse("OWNER", &nr), 0);
    assert_int_equal(nr, CAP_FOWNER);
    assert_int_equal(lcap_parse("CAP_", &nr), -EINVAL);
    assert_int_equal(lcap_parse("", &nr), -EINVAL);
    assert_int_equal(lcap_parse(NULL, &nr), -EINVAL);
    assert_int_equal(lcap_name(CAP_CHECKPOINT_RESTORE) != NULL, 1);
}

static uint64_t combine(const char *adds, const char *drops, bool privileged) {
    auto_strv a = str_split(adds, ',');
    auto_strv d = str_split(drops, ',');
    auto_err e = ERR_INIT;
    uint64_t set = 0;

    if (lcap_combine(a, d, privileged, LCAP_ALL, &set, &e) < 0)
        fail_msg("%s", err_msg(&e));
    return set;
}

static void test_combine(void **state) {
    auto_strv bad = str_split("chown,fly", ',');
    auto_err e = ERR_INIT;
    uint64_t set = 0;

    (void)state;
    assert_int_equal(combine("", "", false), LCAP_DEFAULT);
    assert_int_equal(combine("", "", true), LCAP_ALL);
    assert_int_equal(combine("NET_ADMIN", "", false), LCAP_DEFAULT | LCAP_BIT(CAP_NET_ADMIN));
    assert_int_equal(combine("", "chown", false), LCAP_DEFAULT & ~LCAP_BIT(CAP_CHOWN));
    assert_int_equal(combine("", "ALL", false), 0);
    assert_int_equal(combine("CHOWN", "all", false), LCAP_BIT(CAP_CHOWN));
    assert_int_equal(combine("ALL", "SYS_ADMIN", false), LCAP_ALL & ~LCAP_BIT(CAP_SYS_ADMIN));
    assert_int_equal(combine("ALL", "ALL", false), LCAP_ALL);
    /* Added and dropped: the addition wins, as in Docker. */
    assert_int_equal(combine("CHOWN", "CHOWN", false), LCAP_DEFAULT);
    assert_true(lcap_combine(bad, NULL, false, LCAP_ALL, &set, &e) < 0);
    assert_int_equal(e.class, ERR_INVALID);
    assert_string_equal(err_msg(&e), "invalid CapAdd: unknown capability: \"CAP_FLY\"");
    err_done(&e);
    assert_true(lcap_combine(NULL, bad, false, LCAP_ALL, &set, &e) < 0);
    assert_string_equal(err_msg(&e), "invalid CapDrop: unknown capability: \"CAP_FLY\"");
    /* Clipped to what the daemon has. */
    assert_int_equal(lcap_combine(NULL, NULL, true, 5, &set, NULL), 0);
    assert_int_equal(set, 5);
}

static void test_oci(void **state) {
    struct oci_capabilities c;
    struct lcap_sets s;
    auto_err e = ERR_INIT;
    static const char json[] = "{\"bounding\":[\"CAP_CHOWN\",\"CAP_KILL\",\"CAP_NONSENSE\"],"
                               "\"permitted\":[\"CAP_CHOWN\"],"
                               "\"effective\":[\"CAP_CHOWN\",\"CAP_KILL\"],"
                               "\"ambient\":[\"CAP_CHOWN\"]}";

    (void)state;
    caps_from_oci(NULL, &s);
    assert_int_equal(s.bounding | s.permitted | s.effective, 0);
    field_init(&oci_capabilities_table, &c);
    assert_int_equal(field_parse_text(&oci_capabilities_table, json, strlen(json), &c, &e), 0);
    caps_from_oci(&c, &s);
    field_done(&oci_capabilities_table, &c);
    assert_int_equal(s.bounding, LCAP_BIT(CAP_CHOWN) | LCAP_BIT(CAP_KILL));
    assert_int_equal(s.effective, LCAP_BIT(CAP_CHOWN));
    assert_int_equal(s.ambient, 0); /* not inheritable */
}

static uint64_t status_set(const char *name) {
    char line[256];
    uint64_t v = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            v = strtoull(line + strlen(name), NULL, 16);
    if (f)
        (void)fclose(f);
    return v;
}

static int child(void (*fn)(void)) {
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void as_root(void) {
    uint64_t want = LCAP_DEFAULT & lcap_held();
    struct lcap_sets s = {.bounding = want, .permitted = want, .effective = want};

    if (lcap_drop_bounding(s.bounding) < 0 || lcap_keep_on_setuid() < 0 || lcap_apply(&s) < 0)
        _exit(1);
    if (status_set("CapBnd:") != want || status_set("CapPrm:") != want ||
        status_set("CapEff:") != want || status_set("CapInh:") != 0 || status_set("CapAmb:") != 0)
        _exit(2);
}

static void as_user(void) {
    uint64_t one = LCAP_BIT(CAP_NET_BIND_SERVICE) & lcap_held();
    struct lcap_sets s = {.bounding = one, .permitted = one, .effective = one};

    if (lcap_drop_bounding(one) < 0 || lcap_keep_on_setuid() < 0 ||
        syscall(SYS_setresuid, 1234, 1234, 1234) < 0 || lcap_apply(&s) < 0)
        _exit(1);
    if (status_set("CapPrm:") != one || status_set("CapEff:") != one)
        _exit(2);
    if (prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) != 0)
        _exit(3);
    s.permitted = s.effective = LCAP_ALL; /* more than there is: clipped, no failure */
    if (lcap_apply(&s) < 0 || status_set("CapPrm:") != one)
        _exit(4);
}

static void with_ambient(void) {
    uint64_t one = LCAP_BIT(CAP_CHOWN) & lcap_held();
    struct lcap_sets s = {one, one, one, one, one};

    if (lcap_drop_bounding(one) < 0 || lcap_apply(&s) < 0 || status_set("CapAmb:") != one)
        _exit(1);
    s = (struct lcap_sets){one, one, one, 0, 0};
    if (lcap_apply(&s) < 0 || status_set("CapAmb:") != 0 || status_set("CapInh:") != 0)
        _exit(2);
}

static void test_apply(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(child(as_root), 0);
    assert_int_equal(child(as_user), 0);
    assert_int_equal(child(with_ambient), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_combine),
        cmocka_unit_test(test_oci),
        cmocka_unit_test(test_apply),
    };

    return cmocka_run_group_tests_name("caps", tests, NULL, NULL);
}
