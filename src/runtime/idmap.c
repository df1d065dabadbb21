/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fsuid.h>

#include "base/buf.h"
#include "base/io.h"
#include "oci/runtime_spec.h"
#include "sys/caps.h"

int idmap_to_host(const struct field_array *map, int64_t id, uint32_t *ret) {
    if (id < 0 || id > UINT32_MAX - 1)
        return -ERANGE;
    if (!map->count) {
        *ret = (uint32_t)id;
        return 0;
    }
    for (size_t i = 0; i < map->count; i++) {
        const struct oci_id_map *m = field_array_at(map, struct oci_id_map, i);
        if (id < m->container_id || id - m->container_id >= m->size)
            continue;
        int64_t host = m->host_id + (id - m->container_id);
        if (host < 0 || host > UINT32_MAX - 1)
            return -ERANGE;
        *ret = (uint32_t)host;
        return 0;
    }
    return -ERANGE;
}

uint32_t idmap_top(const struct field_array *map) {
    uint32_t top = map->count ? 0 : INT32_MAX;
    for (size_t i = 0; i < map->count; i++) {
        const struct oci_id_map *m = field_array_at(map, struct oci_id_map, i);
        if (m->container_id == 0 && m->size > 0)
            top = m->size - 1 > INT32_MAX ? INT32_MAX : (uint32_t)(m->size - 1);
    }
    return top;
}

static int write_map(pid_t pid, const char *file, const struct field_array *map, struct err *e) {
    if (map->count > IDMAP_LINES_MAX)
        return err_set(e, ERR_INVALID, "%s: more than %d lines", file, IDMAP_LINES_MAX);
    auto_buf text = {.max = 64u << 10};
    for (size_t i = 0; i < map->count; i++) {
        const struct oci_id_map *m = field_array_at(map, struct oci_id_map, i);
        buf_printf(&text, "%lld %lld %lld\n", (long long)m->container_id, (long long)m->host_id,
                   (long long)m->size);
    }
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    int r = io_write_existing_at(AT_FDCWD, path, buf_str(&text));
    return r < 0 ? err_sys(e, r, "failed to write %s", file) : 0;
}

int idmap_write(pid_t pid, const struct field_array *uids, const struct field_array *gids,
                struct err *e) {
    int r = write_map(pid, "uid_map", uids, e);
    return r < 0 ? r : write_map(pid, "gid_map", gids, e);
}

int idmap_set_fs_ids(uint32_t uid, uint32_t gid) {
    /* These calls report no failure; asking again with an invalid id tells the current one. */
    setfsgid(gid);
    setfsuid(uid);
    if ((uint32_t)setfsgid((gid_t)-1) != gid || (uint32_t)setfsuid((uid_t)-1) != uid)
        return -EPERM;
    /* A change from 0 takes the file capabilities out of the effective set, and the overlay keeps
     * the credentials of this moment. */
    return lcap_raise_effective();
}
