/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "format/digest.h"

#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC   "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_digest(void **state) {
    char out[DIGEST_SIZE];
    struct digest *d = digest_new();

    digest_update(d, "a", 1);
    digest_update(d, "bc", 2);
    digest_final(d, out);
    digest_free(d);
    assert_string_equal(out, ABC);
    digest_of("", 0, out);
    assert_string_equal(out, EMPTY);
    digest_free(NULL);
}

static void test_valid(void **state) {
    assert_true(digest_is_valid(ABC));
    assert_false(digest_is_valid(NULL));
    assert_false(digest_is_valid(""));
    assert_false(digest_is_valid(ABC "0"));
    assert_false(
        digest_is_valid("sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_false(
        digest_is_valid("sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_false(
        digest_is_valid("sha256:../../../../../../../../../../../../../../../../../../../../etcx"));
}

/* Pipe -> hashing reader -> hashing writer -> pipe. */
static void test_adapters(void **state) {
    int in[2], out[2];
    char text[16] = "", digest[DIGEST_SIZE];
    struct fd_reader source;
    struct fd_writer sink;
    struct digest_reader r;
    struct digest_writer w;

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "abcdef", 6), 6);
    fd_reader_init(&source, in[0], 3);
    fd_writer_init(&sink, out[1]);
    digest_reader_init(&r, &source.base);
    digest_writer_init(&w, &sink.base);
    assert_int_equal(reader_copy(&r.base, &w.base), 3);
    assert_int_equal(read(out[0], text, sizeof text), 3);
    assert_string_equal(text, "abc");
    assert_int_equal(r.count, 3);
    assert_int_equal(w.count, 3);
    digest_final(r.digest, digest);
    assert_string_equal(digest, ABC);
    digest_final(w.digest, digest);
    assert_string_equal(digest, ABC);
    digest_reader_done(&r);
    digest_writer_done(&w);

    fd_reader_init(&source, in[0], UINT64_MAX);
    close(in[1]);
    assert_int_equal(reader_full(&source.base, text, sizeof text), 3);
    assert_int_equal(source.base.read(&source.base, text, 1), 0);
    close(in[0]);
    assert_int_equal(source.base.read(&source.base, text, 1), -EBADF);
    close(out[0]);
    close(out[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_adapters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
