/* SPDX-License-Identifier: Apache-2.0 */
/* Input: an image's passwd, its group file and a user, with a NUL between each two. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "runtime/userdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    auto_free char *text = xmalloc(size + 3);
    memcpy(text, data, size);
    memset(text + size, 0, 3);
    const char *group = text + strnlen(text, size) + 1;
    const char *user = group > text + size ? "" : group + strlen(group) + 1;
    if (group > text + size)
        group = "";
    if (user > text + size)
        user = "";
    char *const extra[] = {(char *)user, NULL};
    struct userdb_user u = {0};
    auto_err e = ERR_INIT;
    if (userdb_resolve(text, group, user, size & 1 ? extra : NULL, &u, &e) >= 0) {
        if (!u.home || !u.n_groups || u.uid > INT32_MAX || u.gid > INT32_MAX)
            __builtin_trap();
        userdb_user_done(&u);
    }
    return 0;
}
