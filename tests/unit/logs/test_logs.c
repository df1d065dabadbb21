/* SPDX-License-Identifier: Apache-2.0 */
/* The json-file log: what the writer writes, and that the reader gets it back from every form in
 * which it may lie there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/list.h"
#include "base/str.h"
#include "format/json.h"
#include "logs/compress.h"
#include "logs/escape.h"
#include "logs/reader.h"
#include "logs/record.h"
#include "logs/rotate.h"
#include "logs/writer.h"

struct place {
    char dir[64];
    char path[128];
};

static int set_up(void **state) {
    struct place *p = xnew(struct place);

    (void)snprintf(p->dir, sizeof p->dir, "/tmp/fence-test-logs-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    (void)snprintf(p->path, sizeof p->path, "%s/c-json.log", p->dir);
    *state = p;
    return 0;
}

static int tear_down(void **state) {
    struct place *p = *state;

    for (int i = 0; i < 40; i++) {
        char name[160];

        for (int gz = 0; gz < 2; gz++) {
            assert_int_equal(log_file_name(name, sizeof name, p->path, i, gz), 0);
            (void)unlink(name);
        }
    }
    assert_int_equal(rmdir(p->dir), 0);
    free(p);
    return 0;
}

/* ---- help ----------------------------------------------------------------------------------- */

static struct log_writer *writer_new(const char *path, int64_t max_size, int64_t max_file,
                                     const char *attrs) {
    struct log_writer *w = xnew(struct log_writer);
    struct log_writer_options o = {path, attrs, max_size, max_file};

    assert_int_equal(log_writer_open(w, &o), 0);
    return w;
}

static void writer_end(struct log_writer *w) {
    log_writer_close(w);
    free(w);
}

static void put(struct log_writer *w, enum log_stream stream, const char *text) {
    log_writer_put(w, stream, text, strlen(text));
}

static char *file_text(const char *path) {
    auto_buf b = BUF_INIT;

    b.max = 256u << 20;
    assert_int_equal(io_read_file_at(AT_FDCWD, path, &b), 0);
    return buf_take(&b);
}

struct buf_writer {
    struct writer base;
    struct buf out;
    pthread_mutex_t lock;
    uint64_t total;
    bool counting; /* keeps nothing */
};

static int buf_write(struct writer *w, const void *p, size_t n) {
    struct buf_writer *b = container_of(w, struct buf_writer, base);

    (void)pthread_mutex_lock(&b->lock);
    b->total += n;
    if (!b->counting)
        (void)buf_append(&b->out, p, n);
    (void)pthread_mutex_unlock(&b->lock);
    return 0;
}

static void buf_writer_init(struct buf_writer *b) {
    *b = (struct buf_writer){.base.write = buf_write, .lock = PTHREAD_MUTEX_INITIALIZER};
    b->out.max = 256u << 20;
}

static const struct log_read_options everything = {
    .want_stdout = true, .want_stderr = true, .tail = -1, .ended_fd = -1, .cancel_fd = -1};

static char *read_text(const char *path, const struct log_read_options *o) {
    struct buf_writer b;
    struct err e = ERR_INIT;

    buf_writer_init(&b);
    if (log_read(path, o, &b.base, &e) < 0)
        fail_msg("%s", err_msg(&e));
    return buf_take(&b.out);
}

static double cpu_seconds(void) {
    struct rusage u;

    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* ---- escaping ------------------------------------------------------------------------------- */

static void check_escape(const char *in, size_t n, const char *expect) {
    auto_free char *out = xmalloc(n * LOG_ESCAPE_MAX + LOG_ESCAPE_SLACK);
    size_t len = log_escape(out, in, n);

    assert_int_equal(len, strlen(expect));
    assert_memory_equal(out, expect, len);
}

static void test_escape(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"a\tb\r\n", "a\\u0009b\\r\\n"},
        {"\"\\", "\\\"\\\\"},
        {"<a&b>", "\\u003ca\\u0026b\\u003e"},
        {"\x7f", "\x7f"},
        {"\x1b[31m", "\\u001b[31m"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac\xf0\x9f\x90\xb3", "\xe2\x82\xac\xf0\x9f\x90\xb3"},
        {"\xff\xfe", "\\ufffd\\ufffd"},
        {"\xc3", "\\ufffd"},
        {"\xe2\x82x", "\\ufffd\\ufffdx"},
        {"\xc0\x80", "\\ufffd\\ufffd"},            /* overlong */
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
        {"0123456789abcdef0123456789abcdef\"x", "0123456789abcdef0123456789abcdef\\\"x"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_escape(cases[i].in, strlen(cases[i].in), cases[i].out);
    check_escape("a\0b", 3, "a\\u0000b");
    /* Every special character at every place of a vector. */
    for (size_t at = 0; at < 40; at++) {
        char in[41], out[64];

        memset(in, 'x', 40);
        in[40] = '\0';
        in[at] = '<';
        (void)snprintf(out, sizeof out, "%.*s\\u003c%s", (int)at, in, in + at + 1);
        check_escape(in, 40, out);
    }
    assert_int_equal(log_utf8_whole("ab\xe2\x82", 4), 2);
    assert_int_equal(log_utf8_whole("ab\xe2\x82\xac", 5), 5);
    assert_int_equal(log_utf8_whole("\xf0\x9f\x90", 3), 0);
    assert_int_equal(log_utf8_whole("abc", 3), 3);
    assert_int_equal(log_utf8_whole("\x80\x80\x80\x80", 4), 4);
}

/* Random bytes come back as what a JSON parser of another origin makes of the line. */
static void test_escape_random(void **state) {
    static const char alphabet[] = "abc \"\\<>&\n\t\xc3\xbc\xe2\x80\xa8\xf0\x9f\x90\xb3\xff\x01";
    unsigned seed = 42;

    for (int round = 0; round < 3000; round++) {
        char in[100], out[100 * LOG_ESCAPE_MAX + LOG_ESCAPE_SLACK];
        auto_buf doc = BUF_INIT, scratch = BUF_INIT;
        auto_json *o = NULL;
        struct log_record rec;
        size_t n = (size_t)(rand_r(&seed) % 100);

        for (size_t i = 0; i < n; i++)
            in[i] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
        assert_true(buf_puts(&doc, "{\"log\":\""));
        assert_true(buf_append(&doc, out, log_escape(out, in, n)));
        assert_true(buf_puts(&doc, "\",\"stream\":\"stdout\",\"time\":"
                                   "\"2026-01-02T03:04:05.000000006Z\"}"));
        assert_int_equal(jsn_parse(doc.data, doc.len, &o, NULL), 0);
        assert_int_equal(log_record_parse(doc.data, doc.len, &scratch, &rec), 0);
        assert_int_equal(rec.len, json_object_get_string_len(jsn_get(o, "log")));
        assert_memory_equal(rec.text, json_object_get_string(jsn_get(o, "log")), rec.len);
    }
}

/* ---- the writer ----------------------------------------------------------------------------- */

static void test_line_form(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 0, 0, "{\"env\":\"a\"}");
    int64_t before = clock_real_ns(), when;
    auto_free char *text = NULL;
    char *time;

    put(w, LOG_STDOUT, "one\n");
    writer_end(w);
    text = file_text(p->path);
    time = strstr(text, "\"time\":\"");
    assert_non_null(time);
    assert_int_equal(
        time - text,
        strlen("{\"log\":\"one\\n\",\"stream\":\"stdout\",\"attrs\":{\"env\":\"a\"},"));
    assert_memory_equal(text,
                        "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"attrs\":{\"env\":\"a\"},",
                        (size_t)(time - text));
    assert_string_equal(time + 8 + 30, "\"}\n");
    time[8 + 30] = '\0';
    assert_int_equal(time_parse(time + 8, &when), 0);
    assert_true(when >= before && when <= clock_real_ns());
}

static void test_partial_lines(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 0, 0, NULL);
    auto_free char *text = NULL;

    put(w, LOG_STDOUT, "he");
    put(w, LOG_STDERR, "other\n");
    put(w, LOG_STDOUT, "llo");
    text = file_text(p->path);
    assert_null(strstr(text, "llo"));
    put(w, LOG_STDOUT, "\nnext\nlast");
    writer_end(w);
    free(take_ptr(text));
    text = read_text(p->path, &everything);
    assert_string_equal(text, "other\nhello\nnext\nlast");
}

/* Docker's pieces: 16384 bytes, the newline of a line of exactly that length is a record. */
static void test_long_lines(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 0, 0, NULL);
    auto_buf in = BUF_INIT;
    auto_free char *text = NULL, *raw = NULL;
    size_t lines = 0;

    for (int i = 0; i < 40000; i++)
        assert_true(buf_putc(&in, (char)('a' + i % 26)));
    assert_true(buf_putc(&in, '\n'));
    for (size_t at = 0; at < in.len; at += 1000)
        log_writer_put(w, LOG_STDOUT, in.data + at, in.len - at < 1000 ? in.len - at : 1000);
    log_writer_put(w, LOG_STDOUT, in.data, in.len); /* and in one go */
    log_writer_put(w, LOG_STDOUT, in.data + in.len - 16385, 16385);
    writer_end(w);
    raw = file_text(p->path);
    for (char *s = raw; (s = strchr(s, '\n')); s++)
        lines++;
    assert_int_equal(lines, 3 + 3 + 2);
    text = read_text(p->path, &everything);
    assert_int_equal(strlen(text), 2 * 40001 + 16385);
    assert_memory_equal(text, in.data, in.len);
    assert_memory_equal(text + in.len, in.data, in.len);
}

static void test_utf8_across_pieces(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 0, 0, NULL);
    auto_buf in = BUF_INIT;
    auto_free char *text = NULL;

    assert_true(buf_putc(&in, 'x'));
    while (in.len < 50000)
        assert_true(buf_puts(&in, "\xe2\x82\xac"));
    for (size_t at = 0; at < in.len; at++) /* cut everywhere */
        log_writer_put(w, LOG_STDOUT, in.data + at, 1);
    log_writer_put(w, LOG_STDERR, in.data, in.len);
    writer_end(w);
    text = read_text(p->path, &everything);
    assert_null(strstr(text, "\xef\xbf\xbd"));
    assert_int_equal(strlen(text), 2 * in.len);
}

static void test_rotation(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 1000, 3, NULL);
    auto_free char *text = NULL;
    char name[160];
    struct stat st;

    for (int i = 0; i < 100; i++) {
        char line[32];

        (void)snprintf(line, sizeof line, "line %d\n", i);
        put(w, LOG_STDOUT, line);
    }
    writer_end(w);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(log_file_name(name, sizeof name, p->path, i, 0), 0);
        assert_int_equal(stat(name, &st), 0);
        assert_true(st.st_size < 1100);
        assert_int_equal(st.st_mode & 07777, 0640 & ~022);
    }
    assert_int_equal(log_file_name(name, sizeof name, p->path, 3, 0), 0);
    assert_int_equal(stat(name, &st), -1);
    text = read_text(p->path, &everything);
    assert_true(str_ends(text, "line 97\nline 98\nline 99\n"));
    assert_true(str_starts(text, "line "));
    assert_true(strlen(text) > 8 * 20 && strlen(text) < 8 * 50);
}

static void test_single_file_is_truncated(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 1000, 1, NULL);
    auto_free char *text = NULL;
    struct stat st;

    for (int i = 0; i < 100; i++)
        put(w, LOG_STDOUT, "a line\n");
    writer_end(w);
    assert_int_equal(stat(p->path, &st), 0);
    assert_true(st.st_size < 1100);
    text = read_text(p->path, &everything);
    assert_true(str_starts(text, "a line\n"));
}

/* A reader that opens the set holds rotation up, not the container. */
static void test_rotation_waits_for_lock(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 100, 3, NULL);
    int lock = log_lock_dir(p->path, LOCK_SH, 0);
    struct stat st;

    assert_true(lock >= 0);
    for (int i = 0; i < 10; i++)
        put(w, LOG_STDOUT, "a line\n");
    assert_int_equal(stat(p->path, &st), 0);
    assert_true(st.st_size > 500);
    lock = fd_close(lock);
    w->retry_at_ns = 0;
    put(w, LOG_STDOUT, "a line\n");
    assert_int_equal(stat(p->path, &st), 0);
    assert_true(st.st_size < 100);
    writer_end(w);
}

/* A file size limit stands in for the full disk: writes are cut short and then refused. */
static void test_full_disk(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 0, 0, NULL);
    struct rlimit was, small;
    auto_free char *text = NULL;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 100; i++)
        put(w, LOG_STDOUT, "a line\n");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    put(w, LOG_STDOUT, "room again\n");
    writer_end(w);
    text = read_text(p->path, &everything);
    assert_string_equal(strstr(text, "fence:"),
                        "fence: 88 log lines lost: File too large\nroom again\n");
}

static void test_directory_missing(void **state) {
    struct place *p = *state;
    struct log_writer *w = xnew(struct log_writer);
    auto_free char *path = xasprintf("%s/sub/x.log", p->dir), *text = NULL;
    auto_free char *dir = xasprintf("%s/sub", p->dir);
    struct log_writer_options o = {.path = path};

    assert_int_equal(log_writer_open(w, &o), -ENOENT);
    put(w, LOG_STDOUT, "nobody hears\n");
    assert_int_equal(mkdir(dir, 0700), 0);
    w->retry_at_ns = 0;
    put(w, LOG_STDOUT, "somebody does\n");
    writer_end(w);
    text = read_text(path, &everything);
    assert_string_equal(text,
                        "fence: 1 log lines lost: No such file or directory\nsomebody does\n");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- the reader ----------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text) {
    assert_int_equal(io_replace_file_at(AT_FDCWD, path, text, strlen(text), 0640), 0);
}

#define LINE(text, stream, time)                                                                   \
    "{\"log\":\"" text "\",\"stream\":\"" stream "\",\"time\":\"" time "\"}\n"

static const char sample[] = LINE("a\\n", "stdout", "2026-01-02T03:04:05.000000001Z") LINE(
    "b\\n", "stderr",
    "2026-01-02T03:04:06.000000000Z") "torn line {\n"
                                      "{ \"time\": \"2026-01-02T04:04:07.5+01:00\", \"stream\": "
                                      "\"stdout\", \"log\": \"c \\ud83d\\udc33\\n\" }\n" LINE(
                                          "d", "stdout", "2026-01-02T03:04:08.000000000Z");

static void test_filters(void **state) {
    struct place *p = *state;
    struct log_read_options o = everything;
    char *text;

    write_file(p->path, sample);
    text = read_text(p->path, &o);
    assert_string_equal(text, "a\nb\nc \xf0\x9f\x90\xb3\nd");
    free(text);
    o.want_stdout = false;
    text = read_text(p->path, &o);
    assert_string_equal(text, "b\n");
    free(text);
    o = everything;
    assert_int_equal(time_parse("2026-01-02T03:04:06Z", &o.since_ns), 0);
    assert_int_equal(time_parse("2026-01-02T03:04:07.6Z", &o.until_ns), 0);
    text = read_text(p->path, &o);
    assert_string_equal(text, "b\nc \xf0\x9f\x90\xb3\n");
    free(text);
    o = everything;
    o.timestamps = true;
    text = read_text(p->path, &o);
    assert_string_equal(text, "2026-01-02T03:04:05.000000001Z a\n"
                              "2026-01-02T03:04:06.000000000Z b\n"
                              "2026-01-02T03:04:07.500000000Z c \xf0\x9f\x90\xb3\n"
                              "2026-01-02T03:04:08.000000000Z d");
    free(text);
}

/* Docker's own files: fractions of any length, NUL characters. */
static void test_dockers_lines(void **state) {
    static const struct {
        const char *line, *text;
        size_t len;
        const char *time;
    } cases[] = {
        {"{\"log\":\"a\\u0000b\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.12Z\"}",
         "a\0b\n", 4, "2026-01-02T03:04:05.12Z"},
        {"{\"log\":\"\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05Z\"}", "", 0,
         "2026-01-02T03:04:05Z"},
        {"{\"log\":\"x\",\"stream\":\"stderr\",\"attrs\":{\"time\":\"y\"},\"time\":"
         "\"2026-01-02T03:04:05.123456789Z\"}",
         "x", 1, "2026-01-02T03:04:05.123456789Z"},
    };
    static const char *const bad[] = {"",
                                      "{}",
                                      "{\"log\":\"x\"}",
                                      "{\"log\":1,\"time\":\"2026-01-02T03:04:05Z\"}",
                                      "{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"now\"}",
                                      "\"time\":\"2026-01-02T03:04:05Z\"}"};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        auto_buf scratch = BUF_INIT;
        struct log_record rec;
        int64_t when;

        assert_int_equal(log_record_parse(cases[i].line, strlen(cases[i].line), &scratch, &rec), 0);
        assert_int_equal(rec.len, cases[i].len);
        assert_memory_equal(rec.text, cases[i].text, rec.len);
        assert_int_equal(time_parse(cases[i].time, &when), 0);
        assert_int_equal(rec.time_ns, when);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        auto_buf scratch = BUF_INIT;
        struct log_record rec;

        assert_int_equal(log_record_parse(bad[i], strlen(bad[i]), &scratch, &rec), -EBADMSG);
    }
}

static void test_mux_and_details(void **state) {
    struct place *p = *state;
    struct log_read_options o = everything;
    struct buf_writer b;

    write_file(p->path,
               "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"attrs\":{\"b\":\"1 2\",\"a\":\"/\"},"
               "\"time\":\"2026-01-02T03:04:05.000000001Z\"}\n");
    o.mux = o.details = true;
    buf_writer_init(&b);
    assert_int_equal(log_read(p->path, &o, &b.base, NULL), 0);
    assert_int_equal(b.out.len, 8 + 12 + 2);
    assert_memory_equal(b.out.data,
                        "\2\0\0\0\0\0\0\x0e"
                        "a=%2F,b=1+2 x\n",
                        b.out.len);
    buf_done(&b.out);
}

/* Tail over rotated files, at every count, plain and compressed. */
static void test_tail(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 3000, 30, NULL);
    struct log_read_options o = everything;
    auto_free char *all = NULL;
    struct err e = ERR_INIT;

    for (int i = 0; i < 300; i++) {
        char line[64];

        (void)snprintf(line, sizeof line, "%.*s%d\n", i % 17, "abcdefghijklmnopq", i);
        put(w, LOG_STDOUT, line);
    }
    writer_end(w);
    all = read_text(p->path, &everything);
    for (int gz = 0; gz < 2; gz++) {
        for (int tail = 0; tail < 310; tail++) {
            auto_free char *text = NULL;
            const char *from = all + strlen(all);

            for (int i = 0; i < tail && from > all; i++) {
                for (from--; from > all && from[-1] != '\n';)
                    from--;
            }
            o.tail = tail;
            text = read_text(p->path, &o);
            assert_string_equal(text, from);
        }
        if (gz == 0 && log_compress_rotated(p->path, &e) < 0)
            fail_msg("%s", err_msg(&e));
    }
    {
        char name[160];
        struct stat st;

        assert_int_equal(log_file_name(name, sizeof name, p->path, 1, 1), 0);
        assert_int_equal(stat(name, &st), 0);
        assert_int_equal(log_file_name(name, sizeof name, p->path, 1, 0), 0);
        assert_int_equal(stat(name, &st), -1);
    }
}

static void test_absent_log(void **state) {
    struct place *p = *state;
    auto_free char *text = read_text(p->path, &everything);
    struct log_read_options o = everything;

    assert_string_equal(text, "");
    o.tail = 10;
    free(text);
    text = read_text(p->path, &o);
    assert_string_equal(text, "");
}

/* ---- following ------------------------------------------------------------------------------ */

struct follower {
    const char *path;
    struct log_read_options o;
    struct buf_writer b;
    int result;
};

static void *follower_run(void *arg) {
    struct follower *f = arg;

    f->result = log_read(f->path, &f->o, &f->b.base, NULL);
    return NULL;
}

static void follow_rotated(struct place *p, int64_t max_size, int64_t max_file, bool lossless) {
    struct follower f = {.path = p->path, .o = everything};
    auto_buf expect = BUF_INIT;
    struct log_writer *w = NULL;
    auto_fd ended = eventfd(0, EFD_CLOEXEC);
    pthread_t t;

    f.o.follow = true;
    f.o.ended_fd = ended;
    buf_writer_init(&f.b);
    assert_int_equal(pthread_create(&t, NULL, follower_run, &f), 0);
    w = writer_new(p->path, max_size, max_file, NULL);
    for (int i = 0; i < 2000; i++) {
        char line[64];

        (void)snprintf(line, sizeof line, "line %d\n", i);
        assert_true(buf_puts(&expect, line));
        put(w, LOG_STDOUT, line);
        if (i % 20 == 0)
            (void)usleep(2000);
    }
    writer_end(w);
    assert_int_equal(eventfd_write(ended, 1), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(f.result, 0);
    if (lossless)
        assert_string_equal(buf_str(&f.b.out), expect.data);
    else
        assert_true(str_ends(buf_str(&f.b.out), "line 1999\n"));
    buf_done(&f.b.out);
}

static void test_follow(void **state) {
    follow_rotated(*state, 0, 0, true);
}

static void test_follow_rotation(void **state) {
    follow_rotated(*state, 4000, 30, true);
}

static void test_follow_truncation(void **state) {
    follow_rotated(*state, 20000, 1, false);
}

static void test_follow_cancel(void **state) {
    struct place *p = *state;
    struct follower f = {.path = p->path, .o = everything};
    auto_fd gone = eventfd(0, EFD_CLOEXEC);
    pthread_t t;
    int64_t begin;

    write_file(p->path, sample);
    f.o.follow = true;
    f.o.tail = 1;
    f.o.cancel_fd = gone;
    buf_writer_init(&f.b);
    assert_int_equal(pthread_create(&t, NULL, follower_run, &f), 0);
    for (bool there = false; !there; (void)usleep(1000)) { /* delivered before anything happens */
        (void)pthread_mutex_lock(&f.b.lock);
        there = f.b.out.len == 1;
        (void)pthread_mutex_unlock(&f.b.lock);
    }
    begin = clock_mono_ns();
    assert_int_equal(eventfd_write(gone, 1), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_true(clock_mono_ns() - begin < NS_PER_SEC / 2);
    assert_int_equal(f.result, 0);
    buf_done(&f.b.out);
}

/* ---- speed ---------------------------------------------------------------------------------- */

/* 64 MiB of 1 KiB lines; printed, and held against a bound that only a mistake passes (sanitizers
 * are in the way of a tight one). */
static void test_speed(void **state) {
    struct place *p = *state;
    struct log_writer *w = writer_new(p->path, 20 << 20, 5, NULL);
    auto_free char *batch = xmalloc(64 << 10);
    struct log_read_options o = everything;
    struct buf_writer b;
    double begin = cpu_seconds(), written;

    memset(batch, 'x', 64 << 10);
    for (size_t i = 1023; i < 64 << 10; i += 1024)
        batch[i] = '\n';
    for (int i = 0; i < 1024; i++)
        log_writer_put(w, LOG_STDOUT, batch, 64 << 10);
    writer_end(w);
    written = cpu_seconds();
    buf_writer_init(&b);
    b.counting = true;
    o.mux = true;
    assert_int_equal(log_read(p->path, &o, &b.base, NULL), 0);
    assert_int_equal(b.total, (64u << 20) + 65536 * 8);
    print_message("64 MiB of 1 KiB lines: %.0f ms of CPU to write, %.0f ms to read\n",
                  (written - begin) * 1e3, (cpu_seconds() - written) * 1e3);
    assert_true(cpu_seconds() - begin < 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_escape_random),
        cmocka_unit_test_setup_teardown(test_line_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_partial_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_utf8_across_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_single_file_is_truncated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation_waits_for_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directory_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_filters, set_up, tear_down),
        cmocka_unit_test(test_dockers_lines),
        cmocka_unit_test_setup_teardown(test_mux_and_details, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_absent_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_follow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_follow_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_follow_truncation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_follow_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_speed, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("logs", tests, NULL, NULL);
}
