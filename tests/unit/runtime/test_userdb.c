/* SPDX-License-Identifier: Apache-2.0 */
/* Users of an image, mount options, id maps, the request's JSON form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/idmap.h"
#include "runtime/mount_options.h"
#include "runtime/request.h"
#include "runtime/rlimits.h"
#include "runtime/userdb.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "# a comment\n"
                             "\n"
                             "app:x:1000:1001:App,,,:/home/app:/bin/sh\n"
                             "short:x:7:8\n"
                             "overflow:x:4294967296:0::/:/bin/sh\n"
                             "negative:x:-1:0::/:/bin/sh\n"
                             "hex:x:0x10:0::/:/bin/sh\n"
                             "blank:x: 5:0::/:/bin/sh\n"
                             "last:x:99:98::/last:";
static const char group[] = "root:x:0:\n"
                            "app:x:1001:\n"
                            "docker:x:50:other,app\n"
                            "tail:x:51:app,\n"
                            "similar:x:52:apple,my-app\n"
                            "bad:x:99999999999:app\n"
                            "wheel:x:10:root";

struct expect {
    const char *user;
    uid_t uid;
    gid_t gid;
    const char *home, *groups, *error;
};

static const struct expect table[] = {
    {"", 0, 0, "/root", "0,10", NULL},
    {"root", 0, 0, "/root", "0,10", NULL},
    {"0", 0, 0, "/root", "0,10", NULL},
    {"app", 1000, 1001, "/home/app", "1001,50,51", NULL},
    {"1000", 1000, 1001, "/home/app", "1001,50,51", NULL},
    {"app:docker", 1000, 50, "/home/app", "50", NULL},
    {"app:77", 1000, 77, "/home/app", "77", NULL},
    {"app:", 1000, 1001, "/home/app", "1001,50,51", NULL},
    {"5555", 5555, 0, "/", "0", NULL},
    {"5555:docker", 5555, 50, "/", "50", NULL},
    {":docker", 0, 50, "/root", "50", NULL},
    {"short", 7, 8, "/", "8", NULL},
    {"last", 99, 98, "/last", "98", NULL},
    {"nobody", 0, 0, NULL, NULL, "unable to find user nobody: no matching entries in passwd file"},
    {"app:none", 0, 0, NULL, NULL, "unable to find group none: no matching entries in group file"},
    /* Entries with broken numbers do not exist; above all they are not root. */
    {"overflow", 0, 0, NULL, NULL,
     "unable to find user overflow: no matching entries in passwd file"},
    {"negative", 0, 0, NULL, NULL,
     "unable to find user negative: no matching entries in passwd file"},
    {"hex", 0, 0, NULL, NULL, "unable to find user hex: no matching entries in passwd file"},
    {"blank", 0, 0, NULL, NULL, "unable to find user blank: no matching entries in passwd file"},
    {"4294967296", 0, 0, NULL, NULL, "uids and gids must be in range 0-2147483647"},
    {"2147483648", 0, 0, NULL, NULL, "uids and gids must be in range 0-2147483647"},
    {"-1", 0, 0, NULL, NULL, "uids and gids must be in range 0-2147483647"},
    {"0:4294967296", 0, 0, NULL, NULL, "uids and gids must be in range 0-2147483647"},
};

static char *groups_text(const struct userdb_user *u) {
    auto_buf b = BUF_INIT;
    for (size_t i = 0; i < u->n_groups; i++)
        buf_printf(&b, "%s%u", i ? "," : "", u->groups[i]);
    return buf_take(&b);
}

static void users_are_resolved(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct expect *x = &table[i];
        struct userdb_user u = {0};
        auto_err e = ERR_INIT;
        int r = userdb_resolve(passwd, group, x->user, NULL, &u, &e);
        if (x->error) {
            assert_true(r < 0);
            assert_string_equal(err_msg(&e), x->error);
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(u.uid, x->uid);
        assert_int_equal(u.gid, x->gid);
        assert_string_equal(u.home, x->home);
        auto_free char *groups = groups_text(&u);
        assert_string_equal(groups, x->groups);
        userdb_user_done(&u);
    }
}

static void groups_are_added(void **state) {
    (void)state;
    char *const extra[] = {(char *)"docker", (char *)"123", (char *)"wheel", (char *)"123", NULL};
    struct userdb_user u = {0};
    assert_int_equal(userdb_resolve(passwd, group, "app", extra, &u, NULL), 0);
    auto_free char *groups = groups_text(&u);
    assert_string_equal(groups, "1001,50,51,123,10");
    userdb_user_done(&u);
    char *const missing[] = {(char *)"nogroup", NULL};
    auto_err e = ERR_INIT;
    assert_true(userdb_resolve(passwd, group, "app", missing, &u, &e) < 0);
    assert_string_equal(err_msg(&e),
                        "Unable to find group nogroup: no matching entries in group file");
    assert_null(u.home);
}

static void empty_image_has_root(void **state) {
    (void)state;
    struct userdb_user u = {0};
    assert_int_equal(userdb_resolve("", "", "", NULL, &u, NULL), 0);
    assert_int_equal(u.uid, 0);
    assert_string_equal(u.home, "/");
    userdb_user_done(&u);
}

static void only_regular_files_are_read(void **state) {
    (void)state;
    char dir[] = "/tmp/fence-test-userdb-XXXXXX";
    assert_non_null(mkdtemp(dir));
    auto_fd root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_buf b = BUF_INIT;
    assert_int_equal(userdb_read(root, "/etc/passwd", &b), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(mkdirat(root, "etc", 0755), 0);
    assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
    assert_int_equal(userdb_read(root, "/etc/passwd", &b), -EINVAL); /* and it does not block */
    assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
    assert_int_equal(symlinkat("/../../../../../../etc/hostname", root, "etc/passwd"), 0);
    assert_int_equal(userdb_read(root, "/etc/passwd", &b), 0);
    assert_int_equal(b.len, 0); /* the host's file is not there */
    assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
    auto_fd big = openat(root, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(big, USERDB_FILE_MAX + 1), 0);
    assert_int_equal(userdb_read(root, "/etc/passwd", &b), -EFBIG);
    assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
    assert_int_equal(unlinkat(root, "etc", AT_REMOVEDIR), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void mount_words_are_sorted(void **state) {
    (void)state;
    char *const words[] = {(char *)"nosuid",      (char *)"rw",
                           (char *)"ro",          (char *)"noexec",
                           (char *)"exec",        (char *)"rslave",
                           (char *)"rbind",       (char *)"rro",
                           (char *)"size=64m",    (char *)"noatime",
                           (char *)"strictatime", (char *)"defaults",
                           (char *)"sync",        NULL};
    struct mount_options o;
    mount_options_parse(words, &o);
    assert_true(o.set == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY | MOUNT_ATTR_STRICTATIME));
    assert_true(o.clear == MOUNT_ATTR_NOEXEC);
    assert_true(o.rec_set == MOUNT_ATTR_RDONLY);
    assert_true(o.propagation == MS_SLAVE && o.propagation_rec);
    assert_true(o.bind && o.recursive);
    auto_free char *data = strv_join(o.data, ",");
    assert_string_equal(data, "size=64m,sync");
    mount_options_done(&o);
    assert_true(mount_attr_clear_for(MOUNT_ATTR_NOATIME, 0) == MOUNT_ATTR__ATIME);
    assert_true(mount_attr_clear_for(MOUNT_ATTR_RDONLY, 0) == 0);
}

static void ids_are_mapped(void **state) {
    (void)state;
    struct oci_id_map maps[] = {{0, 100000, 65536}, {70000, 300000, 1}};
    struct field_array map = {.items = maps, .count = 2, .set = true};
    struct field_array none = {0};
    uint32_t id = 7;
    assert_int_equal(idmap_to_host(&map, 0, &id), 0);
    assert_int_equal(id, 100000);
    assert_int_equal(idmap_to_host(&map, 65535, &id), 0);
    assert_int_equal(id, 165535);
    assert_int_equal(idmap_to_host(&map, 70000, &id), 0);
    assert_int_equal(id, 300000);
    assert_int_equal(idmap_to_host(&map, 65536, &id), -ERANGE);
    assert_int_equal(idmap_to_host(&map, -1, &id), -ERANGE);
    assert_int_equal(id, 300000);
    assert_int_equal(idmap_to_host(&none, 65536, &id), 0);
    assert_int_equal(id, 65536);
    assert_int_equal(idmap_top(&map), 65535);
    assert_int_equal(idmap_top(&none), INT32_MAX);
}

static void rlimits_have_names(void **state) {
    (void)state;
    int r = -1;
    assert_int_equal(rlimit_parse("RLIMIT_NOFILE", &r), 0);
    assert_int_equal(r, RLIMIT_NOFILE);
    assert_int_equal(rlimit_parse("NOFILE", &r), -EINVAL);
    assert_int_equal(rlimit_parse(NULL, &r), -EINVAL);
}

static void requests_survive_their_text(void **state) {
    (void)state;
    static const char text[] =
        "{\"op\":\"exec\",\"id\":\"abc\",\"execId\":\"def\",\"stateDir\":\"/run/x\","
        "\"monitor\":\"/usr/bin/m\",\"spec\":{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":"
        "true,\"args\":[\"sh\"],\"cwd\":\"/\"},\"root\":{\"path\":\"/r\",\"readonly\":true}},"
        "\"rootfs\":{\"lower\":[\"/a\",\"/b\"],\"upper\":\"/u\",\"work\":\"/w\",\"volatile\":true},"
        "\"net\":{\"mode\":\"own\",\"interfaces\":[{\"kind\":\"veth\",\"name\":\"eth0\","
        "\"addresses\":[\"10.0.0.2/8\",\"fd00::2/64\"],\"mtu\":1400,\"sysctls\":{\"a\":\"1\"}}]},"
        "\"user\":\"app\",\"openStdin\":true,"
        "\"pid\":12}";
    struct rt_request a, b;
    field_init(&rt_request_table, &a);
    field_init(&rt_request_table, &b);
    assert_int_equal(field_parse_text(&rt_request_table, text, strlen(text), &a, NULL), 0);
    auto_free char *once = field_to_text(&rt_request_table, &a);
    assert_int_equal(field_parse_text(&rt_request_table, once, strlen(once), &b, NULL), 0);
    auto_free char *twice = field_to_text(&rt_request_table, &b);
    assert_string_equal(once, twice);
    assert_string_equal(b.op, "exec");
    assert_string_equal(b.exec_id, "def");
    assert_string_equal(b.rootfs.lower[1], "/b");
    assert_true(b.rootfs.is_volatile && b.open_stdin && b.spec.process.terminal);
    assert_int_equal(b.net.interfaces.count, 1);
    const struct rt_interface *i = field_array_at(&b.net.interfaces, struct rt_interface, 0);
    assert_int_equal(i->mtu, 1400);
    assert_string_equal(i->addresses[1], "fd00::2/64");
    assert_string_equal(strmap_get(&i->sysctls, "a"), "1");
    assert_int_equal(b.pid, 12);
    field_done(&rt_request_table, &a);
    field_done(&rt_request_table, &b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_resolved),     cmocka_unit_test(groups_are_added),
        cmocka_unit_test(empty_image_has_root),   cmocka_unit_test(only_regular_files_are_read),
        cmocka_unit_test(mount_words_are_sorted), cmocka_unit_test(ids_are_mapped),
        cmocka_unit_test(rlimits_have_names),     cmocka_unit_test(requests_survive_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
