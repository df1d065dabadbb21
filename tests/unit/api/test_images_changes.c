/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/images_changes.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"

static int apply(struct container_config *c, const char *line, struct err *e) {
    auto_strv v = NULL;

    strv_add(&v, line);
    return config_apply_changes(v, c, e);
}

static void ok(struct container_config *c, const char *line) {
    auto_err e = ERR_INIT;

    if (apply(c, line, &e) < 0)
        fail_msg("%s: %s", line, err_msg(&e));
}

static void assert_list(char *const *v, const char *want) {
    auto_free char *joined = strv_join(v, "|");

    assert_string_equal(joined, want);
}

static int setup(void **state) {
    struct container_config *c = xnew(struct container_config);

    field_init(&container_config_table, c);
    *state = c;
    return 0;
}

static int teardown(void **state) {
    field_done(&container_config_table, *state);
    free(*state);
    return 0;
}

static void test_commands(void **state) {
    struct container_config *c = *state;

    ok(c, "CMD [\"a\", \"b c\"]");
    assert_list(c->cmd, "a|b c");
    ok(c, "cmd echo $HOME");
    assert_list(c->cmd, "/bin/sh|-c|echo $HOME");
    ok(c, "CMD []");
    assert_int_equal(strv_len(c->cmd), 0);
    ok(c, "SHELL [\"/bin/bash\", \"-ec\"]");
    ok(c, "ENTRYPOINT top -b");
    assert_list(c->entrypoint, "/bin/bash|-ec|top -b");
    ok(c, "ENTRYPOINT [\"/x\"]");
    assert_list(c->entrypoint, "/x");
    ok(c, "ENTRYPOINT");
    assert_null(c->entrypoint);
    /* No JSON after all: a shell would take it. */
    ok(c, "CMD [ -f /x ]");
    assert_list(c->cmd, "/bin/bash|-ec|[ -f /x ]");
}

static void test_environment(void **state) {
    struct container_config *c = *state;

    ok(c, "ENV A=1 B=\"two words\" C=three\\ words D='$x \"y\"' E=");
    assert_string_equal(env_find(c->env, "A"), "1");
    assert_string_equal(env_find(c->env, "B"), "two words");
    assert_string_equal(env_find(c->env, "C"), "three words");
    assert_string_equal(env_find(c->env, "D"), "$x \"y\"");
    assert_string_equal(env_find(c->env, "E"), "");
    ok(c, "ENV A the rest of  it");
    assert_string_equal(env_find(c->env, "A"), "the rest of  it");
    ok(c, "env\tA=2=3");
    assert_string_equal(env_find(c->env, "A"), "2=3");
    assert_int_equal(strv_len(c->env), 5);
}

static void test_the_rest(void **state) {
    struct container_config *c = *state;

    ok(c, "LABEL a=1 \"b c\"=\"d e\"");
    assert_string_equal(strmap_get(&c->labels, "a"), "1");
    assert_string_equal(strmap_get(&c->labels, "b c"), "d e");
    ok(c, "EXPOSE 80 53/udp 8000-8002/sctp");
    assert_non_null(strmap_get(&c->exposed_ports, "80/tcp"));
    assert_non_null(strmap_get(&c->exposed_ports, "53/udp"));
    assert_int_equal(c->exposed_ports.count, 3);
    ok(c, "USER app:grp");
    assert_string_equal(c->user, "app:grp");
    ok(c, "WORKDIR /a/../b");
    assert_string_equal(c->working_dir, "/b");
    ok(c, "WORKDIR c/");
    assert_string_equal(c->working_dir, "/b/c");
    ok(c, "VOLUME [\"/v one\", \"/two\"]");
    ok(c, "VOLUME /three /four");
    assert_non_null(strmap_get(&c->volumes, "/v one"));
    assert_int_equal(c->volumes.count, 4);
    ok(c, "STOPSIGNAL SIGQUIT");
    assert_string_equal(c->stop_signal, "SIGQUIT");
    ok(c, "ONBUILD RUN make");
    assert_list(c->on_build, "RUN make");
    ok(c, "");
}

static void test_health(void **state) {
    struct container_config *c = *state;

    ok(c, "HEALTHCHECK --interval=5s --timeout=1m30s --retries=7  CMD curl -f http://x/");
    assert_list(c->healthcheck->test, "CMD-SHELL|curl -f http://x/");
    assert_true(c->healthcheck->interval == 5 * NS_PER_SEC);
    assert_true(c->healthcheck->timeout == 90 * NS_PER_SEC);
    assert_int_equal(c->healthcheck->retries, 7);
    ok(c, "HEALTHCHECK CMD [\"true\", \"x y\"]");
    assert_list(c->healthcheck->test, "CMD|true|x y");
    assert_int_equal(c->healthcheck->retries, 0); /* a new one, not the old one changed */
    ok(c, "HEALTHCHECK NONE");
    assert_list(c->healthcheck->test, "NONE");
}

static void test_refusals(void **state) {
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"RUN make", "run is not a valid change command"},
        {"COPY a b", "copy is not a valid change command"},
        {"ENV", "ENV requires at least one argument"},
        {"ENV A", "ENV must have two arguments"},
        {"ENV A=1 B", "Syntax error - can't find = in \"B\". Must be of the form: name=value"},
        {"LABEL", "LABEL requires at least one argument"},
        {"EXPOSE", "EXPOSE requires at least one argument"},
        {"EXPOSE http", "invalid containerPort: http"},
        {"EXPOSE 80/icmp", "invalid containerPort: 80/icmp"},
        {"USER a b", "USER requires exactly one argument"},
        {"USER", "USER requires exactly one argument"},
        {"WORKDIR", "WORKDIR requires exactly one argument"},
        {"VOLUME", "VOLUME requires at least one argument"},
        {"VOLUME [\"\"]", "VOLUME specified can not be an empty string"},
        {"SHELL /bin/sh", "SHELL requires the arguments to be in JSON form"},
        {"ONBUILD", "ONBUILD requires at least one argument"},
        {"STOPSIGNAL SIGNOPE", "Invalid signal: SIGNOPE"},
        {"HEALTHCHECK --bad=1 CMD x", "Unknown flag: --bad=1"},
    };
    struct container_config *c = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_err e = ERR_INIT;

        if (apply(c, cases[i].line, &e) >= 0)
            fail_msg("taken: %s", cases[i].line);
        assert_int_equal(e.class, ERR_INVALID);
        assert_string_equal(err_msg(&e), cases[i].text);
    }
    assert_null(c->healthcheck);
    assert_null(c->env);
}

static void test_as_json(void **state) {
    auto_strv v = NULL;
    auto_free char *text = NULL, *none = (char *)"x";
    auto_err e = ERR_INIT;

    (void)state;
    assert_int_equal(images_apply_changes(NULL, &none, &e), 0);
    assert_null(none);
    strv_add(&v, "ENV A=1");
    strv_add(&v, "CMD [\"x\"]");
    assert_int_equal(images_apply_changes(v, &text, &e), 0);
    assert_non_null(strstr(text, "\"Env\":[\"A=1\"]"));
    assert_non_null(strstr(text, "\"Cmd\":[\"x\"]"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_commands), TEST(test_environment), TEST(test_the_rest),
        TEST(test_health),   TEST(test_refusals),    cmocka_unit_test(test_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
