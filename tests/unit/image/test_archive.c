/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/codec.h"
#include "format/digest.h"
#include "image/archive.h"

/* Two layers and a configuration to make archives of. */
struct parts {
    struct tarball layer[2];
    char diff_id[2][DIGEST_SIZE];
    char *config, *config_name; /* <hex>.json */
    char config_id[DIGEST_SIZE];
};

static void parts_init(struct parts *p) {
    for (int i = 0; i < 2; i++) {
        auto_free char *name = xasprintf("dir/file%d", i);
        tarball_init(&p->layer[i]);
        tarball_add(&p->layer[i], TAR_DIR, "dir", NULL, 0750, 0, NULL);
        tarball_add(&p->layer[i], TAR_FILE, name, NULL, 0644, 0, name);
        tarball_end(&p->layer[i]);
        digest_of(p->layer[i].mem.out.data, p->layer[i].mem.out.len, p->diff_id[i]);
    }
    p->config = xasprintf("{\"architecture\":\"amd64\",\"os\":\"linux\","
                          "\"config\":{\"Cmd\":[\"x\"]},"
                          "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
                          p->diff_id[0], p->diff_id[1]);
    digest_of(p->config, strlen(p->config), p->config_id);
    p->config_name = xasprintf("%s.json", p->config_id + 7);
}

static void parts_done(struct parts *p) {
    for (int i = 0; i < 2; i++)
        tarball_done(&p->layer[i]);
    free(p->config);
    free(p->config_name);
}

static void add_bytes(struct tarball *t, const char *path, const void *data, size_t len) {
    struct tar_entry e = {.type = TAR_FILE, .path = xstrdup(path), .mode = 0644, .size = len};
    tarball_entry(t, &e, data);
    tar_entry_done(&e);
}

static void add_text(struct tarball *t, const char *path, const char *text) {
    add_bytes(t, path, text, strlen(text));
}

static void compress(enum codec codec, const struct buf *in, struct buf *out) {
    struct memory_writer w;
    struct writer *z;
    memory_writer_init(&w);
    assert_int_equal(compress_open(codec, &w.base, &z), 0);
    assert_int_equal(z->write(z, in->data, in->len), 0);
    assert_int_equal(compress_close(z), 0);
    *out = w.out;
}

static int load(struct fixture *f, const struct buf *archive, struct image_bundle *ret,
                struct err *e) {
    struct memory_reader in;
    memory_reader_init(&in, archive->data, archive->len);
    return archive_load(f->layers, &in.base, NULL, ret, e);
}

static void check(struct fixture *f, const struct parts *p, const struct image_bundle *b) {
    assert_int_equal(b->count, 1);
    assert_string_equal(b->items[0].id, p->config_id);
    assert_string_equal(b->items[0].config, p->config);
    assert_int_equal(strv_len(b->items[0].diff_ids), 2);
    assert_int_equal(b->items[0].size, 2 * strlen("dir/file0"));
    auto_free char *path = fixture_in_layer(f, p->diff_id[1], "dir/file1");
    auto_free char *text = slurp(path);
    assert_string_equal(text, "dir/file1");
}

/* Drops the bundle and with it the last references: the store must be empty again. */
static void drop(struct fixture *f, const struct parts *p, struct image_bundle *b) {
    image_bundle_done(b);
    assert_false(layer_exists(f->layers, p->diff_id[0]));
    assert_false(layer_exists(f->layers, p->diff_id[1]));
}

static char *docker_manifest(const struct parts *p, const char *l0, const char *l1) {
    return xasprintf("[{\"Config\":\"%s\",\"RepoTags\":[\"busybox:1\",\"reg.io:5000/a/b:t\"],"
                     "\"Layers\":[\"%s\",\"%s\"]}]",
                     p->config_name, l0, l1);
}

static void test_docker_archive(void **state) {
    struct fixture *f = *state;
    struct parts p;
    parts_init(&p);
    /* Each layer compressed in another way, documents first or last, the whole compressed too. */
    static const enum codec CODECS[] = {CODEC_NONE, CODEC_GZIP, CODEC_ZSTD};
    for (int round = 0; round < 6; round++) {
        struct image_bundle b = {0};
        auto_err e = ERR_INIT;
        struct tarball t;
        enum codec codec = CODECS[round % 3];
        auto_free char *manifest = docker_manifest(&p, "a/layer.tar", "b/layer.tar");
        tarball_init(&t);
        if (round >= 3) {
            add_text(&t, "manifest.json", manifest);
            add_text(&t, p.config_name, p.config);
        }
        for (int i = 0; i < 2; i++) {
            auto_buf z = BUF_INIT;
            if (codec != CODEC_NONE)
                compress(codec, &p.layer[i].mem.out, &z);
            const struct buf *data = codec == CODEC_NONE ? &p.layer[i].mem.out : &z;
            add_bytes(&t, i ? "./b/layer.tar" : "./a/layer.tar", data->data, data->len);
        }
        add_text(&t, "a/VERSION", "1.0");
        if (round < 3) {
            add_text(&t, "manifest.json", manifest);
            add_text(&t, p.config_name, p.config);
        }
        tarball_end(&t);
        auto_buf outer = BUF_INIT;
        if (round % 2)
            compress(CODEC_GZIP, &t.mem.out, &outer);
        assert_ok(load(f, round % 2 ? &outer : &t.mem.out, &b, &e), &e);
        check(f, &p, &b);
        assert_string_equal(b.items[0].tags[0], "docker.io/library/busybox:1");
        assert_string_equal(b.items[0].tags[1], "reg.io:5000/a/b:t");
        drop(f, &p, &b);
        tarball_done(&t);
    }
    parts_done(&p);
}

static void test_linked_layers(void **state) {
    struct fixture *f = *state;
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    struct parts p;
    struct tarball t;
    parts_init(&p);
    auto_free char *manifest = docker_manifest(&p, "x/layer.tar", "b/layer.tar");
    tarball_init(&t);
    add_bytes(&t, "a/layer.tar", p.layer[0].mem.out.data, p.layer[0].mem.out.len);
    tarball_add(&t, TAR_SYMLINK, "x/layer.tar", "../a/layer.tar", 0777, 0, NULL);
    add_bytes(&t, "b/layer.tar", p.layer[1].mem.out.data, p.layer[1].mem.out.len);
    add_text(&t, p.config_name, p.config);
    add_text(&t, "manifest.json", manifest);
    tarball_end(&t);
    assert_ok(load(f, &t.mem.out, &b, &e), &e);
    check(f, &p, &b);
    drop(f, &p, &b);
    tarball_done(&t);
    parts_done(&p);
}

static void add_blob(struct tarball *t, const void *data, size_t len,
                     char digest[static DIGEST_SIZE]) {
    digest_of(data, len, digest);
    auto_free char *path = xasprintf("blobs/sha256/%s", digest + 7);
    add_bytes(t, path, data, len);
}

/* An index of an index with two platforms, gzip layers. */
static void test_oci_layout(void **state) {
    struct fixture *f = *state;
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    struct parts p;
    struct tarball t;
    char layer[2][DIGEST_SIZE], config[DIGEST_SIZE], manifest[DIGEST_SIZE], index[DIGEST_SIZE];
    size_t size[2];
    parts_init(&p);
    tarball_init(&t);
    for (int i = 0; i < 2; i++) {
        auto_buf z = BUF_INIT;
        compress(CODEC_GZIP, &p.layer[i].mem.out, &z);
        add_blob(&t, z.data, z.len, layer[i]);
        size[i] = z.len;
    }
    add_blob(&t, p.config, strlen(p.config), config);
    auto_free char *m = xasprintf(
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
        "\"size\":%zu},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","
        "\"digest\":\"%s\",\"size\":%zu},{\"mediaType\":"
        "\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"%s\",\"size\":%zu}]}",
        config, strlen(p.config), layer[0], size[0], layer[1], size[1]);
    add_blob(&t, m, strlen(m), manifest);
    auto_free char *nested =
        xasprintf("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
                  "\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                  "\"digest\":\"sha256:%064d\",\"size\":3,\"platform\":{\"os\":\"linux\","
                  "\"architecture\":\"s390x\"}},{\"mediaType\":"
                  "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
                  "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
                  0, manifest, strlen(m));
    add_blob(&t, nested, strlen(nested), index);
    auto_free char *top = xasprintf(
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
        "\"application/vnd.oci.image.index.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
        "\"annotations\":{\"org.opencontainers.image.ref.name\":\"docker.io/library/oci:v1\"}}]}",
        index, strlen(nested));
    add_text(&t, "index.json", top);
    add_text(&t, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    tarball_end(&t);
    struct memory_reader in;
    struct archive_options o = {.platform = "linux/amd64"};
    memory_reader_init(&in, t.mem.out.data, t.mem.out.len);
    assert_ok(archive_load(f->layers, &in.base, &o, &b, &e), &e);
    check(f, &p, &b);
    assert_string_equal(b.items[0].tags[0], "docker.io/library/oci:v1");
    drop(f, &p, &b);
    o.platform = "linux/riscv64";
    memory_reader_init(&in, t.mem.out.data, t.mem.out.len);
    assert_true(archive_load(f->layers, &in.base, &o, &b, &e) < 0);
    assert_int_equal(e.class, ERR_NOT_FOUND);
    tarball_done(&t);
    parts_done(&p);
}

static void test_legacy(void **state) {
    struct fixture *f = *state;
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    struct parts p;
    struct tarball t;
    parts_init(&p);
    tarball_init(&t);
    add_text(&t, "base/json",
             "{\"id\":\"base\",\"created\":\"2015-01-01T00:00:00Z\","
             "\"os\":\"linux\",\"container_config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"one\"]}}");
    add_bytes(&t, "base/layer.tar", p.layer[0].mem.out.data, p.layer[0].mem.out.len);
    add_text(&t, "top/json",
             "{\"id\":\"top\",\"parent\":\"base\",\"os\":\"linux\","
             "\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"sh\"]}}");
    add_bytes(&t, "top/layer.tar", p.layer[1].mem.out.data, p.layer[1].mem.out.len);
    add_text(&t, "repositories", "{\"old\":{\"latest\":\"top\"}}");
    tarball_end(&t);
    assert_ok(load(f, &t.mem.out, &b, &e), &e);
    assert_int_equal(b.count, 1);
    assert_string_equal(b.items[0].tags[0], "docker.io/library/old:latest");
    assert_string_equal(b.items[0].diff_ids[0], p.diff_id[0]);
    assert_string_equal(b.items[0].diff_ids[1], p.diff_id[1]);
    assert_non_null(strstr(b.items[0].config, "\"created_by\":\"/bin/sh -c one\""));
    assert_null(strstr(b.items[0].config, "\"parent\""));
    drop(f, &p, &b);
    tarball_done(&t);
    parts_done(&p);
}

static void test_refused(void **state) {
    struct fixture *f = *state;
    struct parts p;
    parts_init(&p);
    auto_free char *good = docker_manifest(&p, "a", "b");
    auto_free char *swapped = docker_manifest(&p, "b", "a");
    auto_free char *missing = docker_manifest(&p, "a", "c");
    auto_free char *document = docker_manifest(&p, "a", "manifest.json");
    auto_free char *few = xasprintf("[{\"Config\":\"%s\",\"Layers\":[\"a\"]}]", p.config_name);
    auto_free char *tag = xasprintf("[{\"Config\":\"%s\",\"RepoTags\":[\"UPPER:x\"],"
                                    "\"Layers\":[\"a\",\"b\"]}]",
                                    p.config_name);
    const struct {
        const char *manifest, *text;
    } cases[] = {
        {swapped, "invalid diffID for layer 0"},
        {missing, "layer c is missing"},
        {document, "is no layer"},
        {few, "layers length mismatch: expected 2, got 1"},
        {tag, "invalid reference format"},
        {"{}", "no list"},
        {"[{\"Config\":\"nope\"}]", "nope is missing"},
        {NULL, "does not contain a manifest.json"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct image_bundle b = {0};
        auto_err e = ERR_INIT;
        struct tarball t;
        tarball_init(&t);
        add_bytes(&t, "a", p.layer[0].mem.out.data, p.layer[0].mem.out.len);
        add_bytes(&t, "b", p.layer[1].mem.out.data, p.layer[1].mem.out.len);
        add_text(&t, p.config_name, p.config);
        if (cases[i].manifest)
            add_text(&t, "manifest.json", cases[i].manifest);
        tarball_end(&t);
        assert_true(load(f, &t.mem.out, &b, &e) < 0);
        if (!strstr(err_msg(&e), cases[i].text))
            fail_msg("%s: %s", cases[i].text, err_msg(&e));
        assert_false(layer_exists(f->layers, p.diff_id[0]));
        tarball_done(&t);
    }
    /* Half an archive. */
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    struct tarball t;
    tarball_init(&t);
    add_text(&t, "manifest.json", good);
    add_bytes(&t, "a", p.layer[0].mem.out.data, p.layer[0].mem.out.len);
    tarball_end(&t);
    t.mem.out.len -= 1500;
    assert_true(load(f, &t.mem.out, &b, &e) < 0);
    tarball_done(&t);
    parts_done(&p);
}

/* What was loaded is saved, loaded elsewhere, and saved again with the same bytes. */
static void test_save(void **state) {
    struct fixture *f = *state;
    struct image_bundle b = {0}, again = {0};
    auto_err e = ERR_INIT;
    struct parts p;
    struct tarball t;
    struct memory_writer out[2];
    parts_init(&p);
    auto_free char *manifest = docker_manifest(&p, "a", "b");
    tarball_init(&t);
    add_bytes(&t, "a", p.layer[0].mem.out.data, p.layer[0].mem.out.len);
    add_bytes(&t, "b", p.layer[1].mem.out.data, p.layer[1].mem.out.len);
    add_text(&t, p.config_name, p.config);
    add_text(&t, "manifest.json", manifest);
    tarball_end(&t);
    assert_ok(load(f, &t.mem.out, &b, &e), &e);
    memory_writer_init(&out[0]);
    memory_writer_init(&out[1]);
    assert_ok(archive_save(f->layers, &b, &out[0].base, NULL, &e), &e);
    drop(f, &p, &b);
    assert_ok(load(f, &out[0].out, &again, &e), &e);
    check(f, &p, &again);
    assert_string_equal(again.items[0].tags[1], "reg.io:5000/a/b:t");
    assert_ok(archive_save(f->layers, &again, &out[1].base, NULL, &e), &e);
    assert_int_equal(out[0].out.len, out[1].out.len);
    assert_memory_equal(out[0].out.data, out[1].out.data, out[0].out.len);
    drop(f, &p, &again);
    buf_done(&out[0].out);
    buf_done(&out[1].out);
    tarball_done(&t);
    parts_done(&p);
}

/* A byte of the tree turned over: the archive must not get it under the old digest. */
static void test_save_notices_damage(void **state) {
    struct fixture *f = *state;
    struct parts p;
    auto_err e = ERR_INIT;
    auto_free char *id = NULL;
    struct memory_writer out;
    parts_init(&p);
    assert_ok(fixture_layer(f, p.layer[0].mem.out.data, p.layer[0].mem.out.len, &id, &e), &e);
    auto_free char *path = fixture_in_layer(f, id, "dir/file0");
    spit(path, "dir/fileX");
    memory_writer_init(&out);
    assert_int_equal(layer_write_tar(f->layers, id, &out.base, NULL, &e), -EIO);
    assert_non_null(strstr(err_msg(&e), "is damaged"));
    buf_done(&out.out);
    parts_done(&p);
}

static void test_import(void **state) {
    struct fixture *f = *state;
    struct image_bundle b = {0};
    auto_err e = ERR_INIT;
    auto_buf z = BUF_INIT;
    struct parts p;
    struct memory_reader in;
    parts_init(&p);
    compress(CODEC_GZIP, &p.layer[0].mem.out, &z);
    memory_reader_init(&in, z.data, z.len);
    struct archive_import i = {.config = "{\"Cmd\":[\"/bin/sh\"],\"Env\":[\"A=b\"]}",
                               .tag = "docker.io/library/imp:v1",
                               .platform = "linux/arm64/v8",
                               .created_ns = 1000000000};
    assert_ok(archive_import(f->layers, &in.base, &i, NULL, &b, &e), &e);
    assert_int_equal(b.count, 1);
    assert_string_equal(b.items[0].diff_ids[0], p.diff_id[0]);
    assert_string_equal(b.items[0].tags[0], "docker.io/library/imp:v1");
    assert_non_null(strstr(b.items[0].config, "\"comment\":\"Imported from -\""));
    assert_non_null(strstr(b.items[0].config, "\"variant\":\"v8\""));
    assert_non_null(strstr(b.items[0].config, "\"created\":\"1970-01-01T00:00:01Z\""));
    assert_non_null(strstr(b.items[0].config, "\"Env\":[\"A=b\"]"));
    image_bundle_done(&b);
    assert_false(layer_exists(f->layers, p.diff_id[0]));
    memory_reader_init(&in, "not a tar at all, not even nearly", 33);
    assert_true(archive_import(f->layers, &in.base, &i, NULL, &b, &e) < 0);
    parts_done(&p);
}

int main(void) {
    if (geteuid() != 0) {
        fprintf(stderr, "needs root\n");
        return 77;
    }
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_docker_archive), T(test_linked_layers),
        T(test_oci_layout),     T(test_legacy),
        T(test_refused),        T(test_save),
        T(test_import),         T(test_save_notices_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
