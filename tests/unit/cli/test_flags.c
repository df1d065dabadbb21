/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/flags.h"

static int refuse_x(const char *value, struct err *e) {
    return *value == 'x' ? err_set(e, ERR_INVALID, "no x") : 0;
}

static const struct flag table[] = {
    {.name = "all", .shorthand = 'a', .type = FLAG_BOOL, .usage = "Everything"},
    {.name = "env",
     .shorthand = 'e',
     .type = FLAG_LIST,
     .usage = "Set variables",
     .check = refuse_x},
    {.name = "interactive", .shorthand = 'i', .type = FLAG_BOOL, .usage = "Keep open"},
    {.name = "memory", .shorthand = 'm', .type = FLAG_BYTES, .usage = "Limit"},
    {.name = "net", .type = FLAG_LIST, .usage = "", .hidden = true, .alias_of = "network"},
    {.name = "network", .type = FLAG_LIST, .usage = "Network"},
    {.name = "cpus", .type = FLAG_DECIMAL, .usage = "CPUs"},
    {.name = "last", .shorthand = 'n', .type = FLAG_INT, .usage = "Last", .initial = "-1"},
    {.name = "weight", .type = FLAG_UINT16, .usage = "Weight"},
    {.name = "every", .type = FLAG_DURATION, .usage = "Interval"},
    {.name = "proxy", .type = FLAG_BOOL, .usage = "Proxy", .shown = "true", .initial = "true"},
    {.name = "name", .type = FLAG_STRING, .usage = "Name"},
    {.name = NULL},
};

struct parsed {
    struct flags f;
    char **operands;
    struct err e;
    int r;
};

static struct parsed parse(bool interspersed, const char *line) {
    struct parsed p = {.r = 0};
    auto_strv argv = str_split(line, ' ');
    int index = 0;

    flags_init(&p.f, table);
    p.r = flags_parse(&p.f, (int)strv_len(argv), argv, &index, interspersed, &p.operands, &p.e);
    return p;
}

static void done(struct parsed *p) {
    flags_done(&p->f);
    strv_free(p->operands);
    err_done(&p->e);
}

static void clusters_and_values(void **state) {
    struct parsed p = parse(true, "-ai -eA=1 -e B=2 -e=C --memory 64m x --name=n --all=false");

    assert_int_equal(p.r, 0);
    assert_false(flag_bool(&p.f, "all"));
    assert_true(flag_bool(&p.f, "interactive"));
    assert_int_equal(strv_len(flag_list(&p.f, "env")), 3);
    assert_string_equal(flag_list(&p.f, "env")[2], "C");
    assert_int_equal(flag_int(&p.f, "memory"), 64 << 20);
    assert_string_equal(flag_str(&p.f, "name"), "n");
    assert_int_equal(flag_int(&p.f, "last"), -1);
    assert_true(flag_bool(&p.f, "proxy"));
    assert_int_equal(strv_len(p.operands), 1);
    done(&p);
}

static void stops_at_operand(void **state) {
    struct parsed p = parse(false, "-i image -a -- cmd --name x");

    assert_int_equal(p.r, 0);
    assert_false(flag_bool(&p.f, "all"));
    assert_int_equal(strv_len(p.operands), 6);
    assert_string_equal(p.operands[2], "--");
    done(&p);
    p = parse(true, "a -- -a");
    assert_int_equal(strv_len(p.operands), 2);
    assert_false(flag_bool(&p.f, "all"));
    done(&p);
}

static void aliases_and_numbers(void **state) {
    struct parsed p = parse(true, "--net a --network b --cpus 1.5 --every 1m30s --weight 65535");

    assert_int_equal(p.r, 0);
    assert_int_equal(strv_len(flag_list(&p.f, "network")), 2);
    assert_int_equal(flag_int(&p.f, "cpus"), 1500000000);
    assert_int_equal(flag_int(&p.f, "every"), INT64_C(90000000000));
    assert_int_equal(flag_int(&p.f, "weight"), 65535);
    done(&p);
    p = parse(true, "--cpus=-0.5");
    assert_int_equal(flag_int(&p.f, "cpus"), -500000000);
    done(&p);
}

static void errors_have_the_words_of_pflag(void **state) {
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"--foo", "unknown flag: --foo"},
        {"-az", "unknown shorthand flag: 'z' in -z"},
        {"-n", "flag needs an argument: 'n' in -n"},
        {"--name", "flag needs an argument: --name"},
        {"-n x", "invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": "
                 "invalid syntax"},
        {"--all=maybe", "invalid argument \"maybe\" for \"-a, --all\" flag: strconv.ParseBool: "
                        "parsing \"maybe\": invalid syntax"},
        {"--weight 99999", "invalid argument \"99999\" for \"--weight\" flag: strconv.ParseUint: "
                           "parsing \"99999\": value out of range"},
        {"--cpus abc", "invalid argument \"abc\" for \"--cpus\" flag: failed to parse abc as a "
                       "rational number"},
        {"--cpus 0.0000000001",
         "invalid argument \"0.0000000001\" for \"--cpus\" flag: value is too precise"},
        {"-m 1x", "invalid argument \"1x\" for \"-m, --memory\" flag: invalid suffix: 'x'"},
        {"--every x", "invalid argument \"x\" for \"--every\" flag: time: invalid duration \"x\""},
        {"-e x", "invalid argument \"x\" for \"-e, --env\" flag: no x"},
        {"---x", "bad flag syntax: ---x"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p = parse(true, cases[i].line);

        assert_true(p.r < 0);
        assert_string_equal(err_msg(&p.e), cases[i].text);
        done(&p);
    }
}

static void help_is_asked_for(void **state) {
    struct parsed p = parse(true, "x --help --foo");

    assert_int_equal(p.r, 1);
    done(&p);
}

static void usage_is_wrapped(void **state) {
    static const struct flag long_table[] = {
        {.name = "log-level",
         .shorthand = 'l',
         .type = FLAG_STRING,
         .usage = "Set the logging level (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")",
         .shown = "\"info\""},
        {.name = "context",
         .shorthand = 'c',
         .type = FLAG_STRING,
         .usage = "Name of the context to use to connect to the daemon (overrides DOCKER_HOST env "
                  "var and default context set with \"docker context use\")"},
        {.name = NULL},
    };
    auto_buf out = BUF_INIT;

    flags_usage(long_table, 79, &out);
    assert_string_equal(
        buf_str(&out),
        "  -c, --context string     Name of the context to use to connect to the\n"
        "                           daemon (overrides DOCKER_HOST env var and\n"
        "                           default context set with \"docker context use\")\n"
        "  -l, --log-level string   Set the logging level (\"debug\", \"info\",\n"
        "                           \"warn\", \"error\", \"fatal\") (default \"info\")\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_and_values), cmocka_unit_test(stops_at_operand),
        cmocka_unit_test(aliases_and_numbers), cmocka_unit_test(errors_have_the_words_of_pflag),
        cmocka_unit_test(help_is_asked_for),   cmocka_unit_test(usage_is_wrapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
