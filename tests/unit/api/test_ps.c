/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/ps.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "format/json.h"

/* ---- options --------------------------------------------------------------------------------- */
/* The titles that `args` gives, or the text of the error. */
static char *titles(const char *args) {
    struct ps_format f = {0};
    auto_err e = ERR_INIT;
    struct buf b = BUF_INIT;

    if (ps_format_parse(args, &f, &e) < 0) {
        assert_int_equal(e.class, ERR_SYSTEM);
        assert_null(f.cells);
        return xstrdup(err_msg(&e));
    }
    for (size_t i = 0; i < f.n_cells; i++)
        buf_printf(&b, "%s%s", i ? " " : "", f.cells[i].title);
    ps_format_done(&f);
    return buf_take(&b);
}

static void check(const char *args, const char *want) {
    auto_free char *got = titles(args);

    if (!str_eq(got, want))
        fail_msg("%s: got \"%s\", not \"%s\"", args, got, want);
}

/* What procps 4.0.2 prints. */
static void test_formats(void **state) {
    (void)state;
    check("-ef", "UID PID PPID C STIME TTY TIME CMD");
    check("-f", "UID PID PPID C STIME TTY TIME CMD");
    check("-e", "PID TTY TIME CMD");
    check("-F", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD");
    check("-fF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD");
    check("-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD");
    check("-ly", "S UID PID PPID C PRI NI RSS SZ WCHAN TTY TIME CMD");
    check("-lf", "F S UID PID PPID C PRI NI ADDR SZ WCHAN STIME TTY TIME CMD");
    check("-flj", "F S UID PID PPID PGID SID C PRI NI ADDR SZ WCHAN STIME TTY TIME CMD");
    check("-j", "PID PGID SID TTY TIME CMD");
    check("-eLf", "UID PID PPID LWP C NLWP STIME TTY TIME CMD");
    check("-T", "PID SPID TTY TIME CMD");
    check("-ec", "PID CLS PRI TTY TIME CMD");
    check("-eM", "LABEL PID TTY TIME CMD");
    check("a", "PID TTY STAT TIME COMMAND");
    check("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
    check("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
    check("axl", "F UID PID PPID PRI NI VSZ RSS WCHAN STAT TTY TIME COMMAND");
    check("j", "PPID PID PGID SID TTY TPGID STAT UID TIME COMMAND");
    check("v", "PID TTY STAT TIME MAJFL TRS DRS RSS %MEM COMMAND");
    check("s", "UID PID PENDING BLOCKED IGNORED CAUGHT STAT TTY TIME COMMAND");
    check("axZ", "LABEL PID TTY STAT TIME COMMAND");
    check("", "PID TTY TIME CMD");
}

static void test_lists(void **state) {
    (void)state;
    check("-o pid,comm", "PID COMMAND");
    check("-eo pid,user,args", "PID USER COMMAND");
    check("-opid", "PID");
    check("o pid", "PID");
    check("-o pid -o comm,tty", "PID COMMAND TT");
    check("-o pid:10,user:20,comm:3", "PID USER COMMAND");
    check("-o comm=X,pid", "X PID");
    check("-o user=WHO,pid,comm=", "WHO PID ");
    check("-o pid=PID", "PID");
    check("-o pid,", "PID");
    check("-O nlwp", "PID NLWP S TTY TIME COMMAND");
    check("--format pid,time", "PID TIME");
    check("--format=pid,time --sort=-time", "PID TIME");
    check("aux --sort -pid", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
    check("-o pid -p 1,2 -C sh -u root", "PID");
    check("p1", "PID TTY STAT TIME COMMAND");
}

static void test_refusals(void **state) {
    (void)state;
    check("-o pid=X", "Couldn't find PID field in ps output");
    check("-o comm", "Couldn't find PID field in ps output");
    check("-ef --no-headers", "Couldn't find PID field in ps output");
    check("-o comm=PID", "specifying \"comm=PID\" is not allowed");
    check("-o pid,ppid= PIDX", "specifying \"pid,ppid=PIDX\" is not allowed");
    check("-o nope", "ps: error: unknown user-defined format specifier \"nope\"");
    check("-o pid:x", "ps: error: column widths must be unsigned decimal numbers");
    check("-o pid:0", "ps: error: column widths must be unsigned decimal numbers");
    check("-o pid,,comm", "ps: error: improper format list");
    check("-o =X", "ps: error: improper format list");
    check("-o", "ps: error: format specification must follow -o");
    check("-p", "ps: error: list of process IDs must follow -p");
    check("-p x", "ps: error: process ID list syntax error");
    check("k", "ps: error: long sort specification must follow 'k'");
    check("--sort", "ps: error: long sort specification must follow --sort");
    check("--pid", "ps: error: list of process IDs must follow --pid");
    check("--sort nope", "ps: error: unknown sort specifier");
    check("-Y", "ps: error: unsupported SysV option");
    check("Y", "ps: error: unsupported option (BSD syntax)");
    check("--foo", "ps: error: unknown gnu long option");
    check("--forest=1", "ps: error: unknown gnu long option");
    check("-y", "ps: error: modifier -y without format -l makes no sense");
    check("u j", "ps: error: conflicting format options");
    check("-f -o pid", "ps: error: conflicting format options");
    check("aux -o pid", "ps: error: conflicting format options");
    check("-f u", "ps: error: conflicting format options");
}

/* ---- parsers --------------------------------------------------------------------------------- */
#define STAT_TAIL                                                                                  \
    " S 7 42 42 34817 42 4194560 10 0 3 0 250 150 0 0 20 0 3 0 5000 2322432 344 "                  \
    "18446744073709551615 4194304 5781504 140 0 0 0 0 4 0 1 0 0 17 1 0 0 0 0 0 1 2 3 4 5 6 7 0\n"

static void test_stat(void **state) {
    struct ps_process p = {.fd = -1};

    (void)state;
    assert_int_equal(ps_stat_parse("42 (a) (b) c)" STAT_TAIL, &p), 0);
    assert_string_equal(p.comm, "a) (b) c"); /* a process may call itself anything */
    assert_int_equal(p.state, 'S');
    assert_int_equal(p.ppid, 7);
    assert_int_equal(p.tty, 34817);
    assert_int_equal(p.cpu_ticks, 400);
    assert_int_equal(p.priority, 20);
    assert_int_equal(p.threads, 3);
    assert_int_equal(p.start_ticks, 5000);
    assert_int_equal(p.rss_pages, 344);
    assert_int_equal(p.processor, 1);
    assert_int_equal(ps_stat_parse("1 (rt) R 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 -51 -20 1 0 0 0 0 0 0 0 "
                                   "0 0 0 0 0 0 0 0 0 0 17 0 50 1 0",
                                   &p),
                     0);
    assert_int_equal(p.tpgid, -1);
    assert_int_equal(p.priority, -51);
    assert_int_equal(p.nice, -20);
    assert_int_equal(p.policy, 1);
}

static void test_broken_stat(void **state) {
    static const char *const texts[] = {
        "", "1", "1 (x", "1 x) S", "1 (x)", "1 (x) ", "1 (x) S", "1 (x) S 1 2 3", "1 )x( S 1 2 3"};
    struct ps_process p = {.fd = -1};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_true(ps_stat_parse(texts[i], &p) < 0);
}

static void test_status(void **state) {
    struct ps_process p = {.fd = -1};

    (void)state;
    ps_status_parse("Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t10 20 \n"
                    "VmLck:\t      64 kB\nVmData:\t     100 kB\nVmStk:\t     32 "
                    "kB\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000100\n"
                    "SigBlk:\t0000000000010000\nSigIgn:\t8000000000000004\nSigCgt:\t02",
                    &p);
    assert_int_equal(p.uids[PS_REAL], 1);
    assert_int_equal(p.uids[PS_EFFECTIVE], 2);
    assert_int_equal(p.uids[PS_SAVED], 3);
    assert_int_equal(p.gids[PS_FILESYSTEM], 8);
    assert_int_equal(p.locked_kib, 64);
    assert_int_equal(p.data_kib, 100);
    assert_int_equal(p.stack_kib, 32);
    assert_true(p.pending == 0x101);
    assert_true(p.ignored == 0x8000000000000004);
    assert_true(p.caught == 2);
    assert_string_equal(p.groups, "\t10 20 ");
    ps_process_done(&p);
}

static void test_id_maps(void **state) {
    struct ps_id_map m = {0};

    (void)state;
    assert_int_equal(ps_id_map_parse("         0  268435456      65536\n"
                                     "    100000  268500992          2\n",
                                     &m),
                     0);
    assert_int_equal(m.count, 2);
    assert_int_equal(ps_id_inside(&m, 268435456), 0);
    assert_int_equal(ps_id_inside(&m, 268435456 + 1000), 1000);
    assert_int_equal(ps_id_inside(&m, 268435456 + 65535), 65535);
    assert_int_equal(ps_id_inside(&m, 268500993), 100001);
    assert_int_equal(ps_id_inside(&m, 268500994), 268500994); /* not in the map */
    assert_int_equal(ps_id_inside(&m, 0), 0);
    free(m.ranges);
    assert_int_equal(ps_id_map_parse("0 0 4294967295\n", &m), 0);
    assert_int_equal(ps_id_inside(&m, 4294967294u), 4294967294u);
    free(m.ranges);
    m = (struct ps_id_map){0};
    assert_true(ps_id_map_parse("0 0\n", &m) < 0);
    assert_true(ps_id_map_parse("0 0 1\nx", &m) < 0);
    assert_null(m.ranges);
}

static void test_names(void **state) {
    struct map m = {0};

    (void)state;
    ps_names_parse(
        "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nalso:broken\n:x:5:\n"
        "toor:x:0:0::/:\nbad:x:1a:\nneg:x:-1:\nlast:x:1000:1000\nlong:x:99999999999999999:",
        &m);
    assert_string_equal(map_get(&m, "0"), "root"); /* the first one */
    assert_string_equal(map_get(&m, "1000"), "last");
    assert_int_equal(m.count, 2);
    map_clear(&m, free);
}

/* ---- columns --------------------------------------------------------------------------------- */
struct printer {
    struct ps_format format;
    struct ps_host host;
    struct ps_process p;
};

static int setup(void **state) {
    struct printer *x = xnew(struct printer);

    if (ps_stat_parse("42 (name)" STAT_TAIL, &x->p) < 0 ||
        ps_id_map_parse("0 268435456 65536", &x->host.uids) < 0)
        return -1;
    x->p.fd = -1;
    x->p.pid = 42;
    x->p.tid = 43;
    x->host.hz = 100;
    x->host.page_kib = 4;
    x->host.memory_kib = 10000;
    x->host.now_ns = 1700000000 * NS_PER_SEC;
    x->host.boot_ns = 90 * NS_PER_SEC; /* it started at 50 s */
    ps_names_parse("root:x:0:\nlonglonguser:x:7:\nshortone:x:8:\n", &x->host.users);
    *state = x;
    return 0;
}

static int teardown(void **state) {
    struct printer *x = *state;

    ps_process_done(&x->p);
    ps_host_done(&x->host);
    free(x);
    return 0;
}

static void cell(const struct printer *x, const char *column, unsigned width, const char *want) {
    const struct ps_column *c = ps_column_find(column);
    auto_buf b = BUF_INIT;

    assert_non_null(c);
    ps_column_print(c, width, &x->format, &x->host, &x->p, &b);
    if (!str_eq(buf_str(&b), want))
        fail_msg("%s: got \"%s\", not \"%s\"", column, buf_str(&b), want);
}

static void test_cells(void **state) {
    struct printer *x = *state;

    cell(x, "pid", 0, "42");
    cell(x, "lwp", 0, "43");
    cell(x, "ppid", 0, "7");
    cell(x, "comm", 0, "name");
    cell(x, "args", 0, "[name]"); /* no command line to read */
    cell(x, "tty", 0, "pts/1");
    cell(x, "stat", 0, "Ssl+");
    cell(x, "s", 0, "S");
    cell(x, "pcpu", 0, "10.0"); /* 4 of 40 seconds */
    cell(x, "c", 0, "10");
    cell(x, "pmem", 0, "13.7");
    cell(x, "vsz", 0, "2268");
    cell(x, "sz", 0, "567");
    cell(x, "rss", 0, "1376");
    cell(x, "trs", 0, "1550");
    cell(x, "drs", 0, "718");
    cell(x, "time", 0, "00:00:04");
    cell(x, "bsdtime", 0, "0:04");
    cell(x, "times", 0, "4");
    cell(x, "etime", 0, "00:40");
    cell(x, "etimes", 0, "40");
    cell(x, "pri", 0, "19");
    cell(x, "opri", 0, "80");
    cell(x, "priority", 0, "20");
    cell(x, "ni", 0, "0");
    cell(x, "cls", 0, "TS");
    cell(x, "rtprio", 0, "-");
    cell(x, "f", 0, "4");
    cell(x, "nlwp", 0, "3");
    cell(x, "ignored", 0, "0000000000000000");
    cell(x, "wchan", 0, "-");
    cell(x, "supgid", 0, "-");
}

static void test_long_times(void **state) {
    struct printer *x = *state;

    x->host.boot_ns = (50 + 2 * 86400 + 3 * 3600 + 4 * 60 + 5) * NS_PER_SEC;
    x->p.cpu_ticks = (86400 + 3600 + 61) * 100;
    cell(x, "etime", 0, "2-03:04:05");
    cell(x, "time", 0, "1-01:01:01");
    cell(x, "bsdtime", 0, "1501:01");
    x->host.boot_ns = (50 + 3601) * NS_PER_SEC;
    x->p.cpu_ticks = 100 * 3601 * 100;
    cell(x, "etime", 0, "01:00:01");
    cell(x, "pcpu", 0, "10000");
    cell(x, "c", 0, "99");
    x->host.boot_ns = 10 * NS_PER_SEC; /* before it started: a clock was read early */
    cell(x, "etimes", 0, "0");
    cell(x, "pcpu", 0, "0.0");
}

static void test_dates(void **state) {
    struct printer *x = *state;

    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    x->host.now_ns = 1699963200 * NS_PER_SEC; /* 2023-11-14 12:00 */
    cell(x, "stime", 0, "11:59");
    cell(x, "start", 0, "11:59:20");
    cell(x, "bsdstart", 0, "11:59");
    cell(x, "lstart", 0, "Tue Nov 14 11:59:20 2023");
    x->host.boot_ns = (50 + 3 * 86400) * NS_PER_SEC;
    cell(x, "stime", 0, "Nov11");
    cell(x, "bsdstart", 0, "Nov11");
    cell(x, "start", 0, "Nov 11");
    x->host.boot_ns = (50 + INT64_C(400) * 86400) * NS_PER_SEC;
    cell(x, "stime", 0, "2022");
}

static void test_users(void **state) {
    struct printer *x = *state;

    x->p.uids[PS_EFFECTIVE] = 268435456;
    cell(x, "user", 0, "root");
    cell(x, "uid", 0, "0");
    x->p.uids[PS_EFFECTIVE] = 268435456 + 7;
    cell(x, "user", 0, "longlon+");
    cell(x, "user", 20, "longlonguser");
    cell(x, "euser", 3, "lo+");
    x->p.uids[PS_EFFECTIVE] = 268435456 + 8;
    cell(x, "user", 0, "shortone");
    x->p.uids[PS_EFFECTIVE] = 268435456 + 1234;
    cell(x, "user", 0, "1234");
    x->p.uids[PS_EFFECTIVE] = 999999999; /* somebody of the host's */
    cell(x, "user", 0, "999999999");
    x->p.uids[PS_EFFECTIVE] = 268435456;
    x->format.numbers = true;
    cell(x, "user", 0, "0");
}

static void test_odd_processes(void **state) {
    struct printer *x = *state;

    strcpy(x->p.comm, "a\033[2J\nb");
    x->p.state = 'Z';
    x->p.nice = 5;
    x->p.locked_kib = 4;
    x->p.data_kib = 100;
    x->p.stack_kib = 32;
    cell(x, "size", 0, "132");
    x->p.threads = 1;
    x->p.session = 1;
    x->p.tpgid = -1;
    x->p.policy = 1;
    x->p.rt_priority = 50;
    x->p.tty = 0;
    cell(x, "comm", 0, "a?[2J?b <defunct>");
    cell(x, "args", 0, "[a?[2J?b] <defunct>");
    cell(x, "stat", 0, "ZNL");
    cell(x, "ni", 0, "-");
    cell(x, "cls", 0, "FF");
    cell(x, "rtprio", 0, "50");
    cell(x, "tty", 0, "?");
    x->p.tty = 0x0501;
    cell(x, "tty", 0, "console");
    x->p.tty = 0x0440;
    cell(x, "tty", 0, "ttyS0");
    x->p.tty = 0x0401;
    cell(x, "tty", 0, "tty1");
    x->p.tty = 0x8800 | 0x2c | 1 << 20; /* minor 300 */
    cell(x, "tty", 0, "pts/300");
    x->p.nice = -5;
    cell(x, "stat", 0, "Z<L");
}

/* ---- the real thing -------------------------------------------------------------------------- */
/* A row's cell as it stands between quotes. */
static const char *at(struct json_object *table, size_t row, size_t column) {
    struct json_object *rows = jsn_get(table, "Processes");

    return json_object_get_string(
        json_object_array_get_idx(json_object_array_get_idx(rows, row), column));
}

static struct json_object *list(const char *args, const pid_t *pids, size_t count) {
    struct ps_format f = {0};
    struct json_object *o = NULL;
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;

    assert_int_equal(ps_format_parse(args, &f, &e), 0);
    assert_int_equal(ps_list(&f, getpid(), pids, count, &b, &e), 0);
    assert_int_equal(jsn_parse(b.data, b.len, &o, &e), 0);
    ps_format_done(&f);
    return o;
}

static size_t rows(struct json_object *table) {
    return json_object_array_length(jsn_get(table, "Processes"));
}

static void test_list(void **state) {
    auto_free char *me = xasprintf("%d", (int)getpid()), *child = NULL;
    struct json_object *o;
    pid_t pids[3] = {0, getpid(), 0x7ffffff0 /* none */};

    (void)state;
    pids[0] = fork();
    if (pids[0] == 0) {
        (void)pause(); /* until it is killed */
        _exit(0);
    }
    child = xasprintf("%d", (int)pids[0]);

    o = list("-o pid,ppid,comm,user,uid", pids, 3);
    assert_int_equal(rows(o), 2); /* those that are there, by number */
    assert_string_equal(at(o, 0, 0), me);
    assert_string_equal(at(o, 1, 0), child);
    assert_string_equal(at(o, 1, 1), me);
    assert_string_equal(at(o, 0, 2), "test_api_ps");
    json_object_put(o);

    o = list("-o pid --sort -pid", pids, 3);
    assert_string_equal(at(o, 0, 0), child);
    json_object_put(o);

    o = list("-o pid,args --forest", pids, 3);
    assert_true(str_starts(at(o, 1, 1), "\\_ "));
    assert_false(str_starts(at(o, 0, 1), "\\_ "));
    json_object_put(o);

    o = list("-eLf", pids, 2);
    assert_string_equal(at(o, 1, 3), child);
    json_object_put(o);

    o = list("-ef", pids, 0);
    assert_int_equal(rows(o), 0);
    json_object_put(o);

    assert_int_equal(kill(pids[0], SIGKILL), 0);
    assert_int_equal(waitpid(pids[0], NULL, 0), pids[0]);
}

/* Tells that this process is there, and waits for the test to end. */
static void wait_for_test(int ready, int hold) {
    char byte = 0;

    (void)!write(ready, &byte, 1); /* failures show in the parent, which reads */
    (void)!read(hold, &byte, 1);
    _exit(0);
}

/* A root with two children, the first of which has one: order and lines. */
static void test_forest(void **state) {
    pid_t *pids = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int ready[2], hold[2];
    struct json_object *o;
    pid_t root;
    char byte;

    (void)state;
    assert_true(pids != MAP_FAILED);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(hold), 0);
    root = fork();
    if (root == 0) {
        pid_t child;

        close(hold[1]);
        child = fork();
        if (child == 0) {
            child = fork();
            if (child != 0)
                pids[2] = child;
            wait_for_test(ready[1], hold[0]);
        }
        pids[1] = child;
        child = fork();
        if (child != 0)
            pids[3] = child;
        wait_for_test(ready[1], hold[0]);
    }
    pids[0] = root;
    close(hold[0]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    o = list("-e --forest -o pid,ucmd", pids, 4);
    assert_int_equal(rows(o), 4);
    assert_string_equal(at(o, 0, 1), "test_api_ps");
    assert_string_equal(at(o, 1, 1), "\\_ test_api_ps");
    assert_string_equal(at(o, 2, 1), "|   \\_ test_api_ps");
    assert_string_equal(at(o, 3, 1), "\\_ test_api_ps");
    json_object_put(o);
    /* Without the root there are two trees. */
    o = list("-e --forest -o pid,ucmd", pids + 1, 3);
    assert_string_equal(at(o, 0, 1), "test_api_ps");
    assert_string_equal(at(o, 1, 1), "\\_ test_api_ps");
    assert_string_equal(at(o, 2, 1), "test_api_ps");
    json_object_put(o);
    close(hold[1]); /* they read its end */
    assert_int_equal(waitpid(root, NULL, 0), root);
    close(ready[0]);
    close(ready[1]);
    munmap(pids, 4096);
}

static void test_init_has_gone(void **state) {
    struct ps_format f = {0};
    auto_err e = ERR_INIT;
    auto_buf b = BUF_INIT;
    pid_t self = getpid();

    (void)state;
    assert_int_equal(ps_format_parse("-ef", &f, &e), 0);
    assert_true(ps_list(&f, 0x7ffffff0, &self, 1, &b, &e) < 0);
    assert_int_equal(b.len, 0);
    ps_format_done(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_stat),
        cmocka_unit_test(test_broken_stat),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_id_maps),
        cmocka_unit_test(test_names),
        TEST(test_cells),
        TEST(test_long_times),
        TEST(test_dates),
        TEST(test_users),
        TEST(test_odd_processes),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_forest),
        cmocka_unit_test(test_init_has_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
