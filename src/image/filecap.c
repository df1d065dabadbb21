/* SPDX-License-Identifier: Apache-2.0 */
#include "image/filecap.h"

#include <endian.h>
#include <string.h>

#include <linux/capability.h>

_Static_assert(sizeof(struct vfs_ns_cap_data) == FILECAP_MAX, "size of revision 3");

static size_t revision_of(const struct vfs_ns_cap_data *c, size_t len) {
    uint32_t revision = le32toh(c->magic_etc) & VFS_CAP_REVISION_MASK;
    if (revision == VFS_CAP_REVISION_2 && len == XATTR_CAPS_SZ_2)
        return 2;
    return revision == VFS_CAP_REVISION_3 && len == XATTR_CAPS_SZ_3 ? 3 : 0;
}

static void set_revision(struct vfs_ns_cap_data *c, uint32_t revision) {
    uint32_t flags = le32toh(c->magic_etc) & ~(uint32_t)VFS_CAP_REVISION_MASK;
    c->magic_etc = htole32(flags | revision);
}

size_t filecap_to_host(const void *value, size_t len, uint64_t base, uint64_t size, void *out) {
    struct vfs_ns_cap_data c = {0};
    if (len > sizeof(c))
        return 0;
    memcpy(&c, value, len);
    size_t revision = revision_of(&c, len);
    uint32_t root = revision == 3 ? le32toh(c.rootid) : 0;
    if (revision == 0 || root >= size)
        return 0;
    set_revision(&c, VFS_CAP_REVISION_3);
    c.rootid = htole32((uint32_t)(base + root));
    memcpy(out, &c, sizeof(c));
    return XATTR_CAPS_SZ_3;
}

size_t filecap_from_host(const void *value, size_t len, uint64_t base, uint64_t size, void *out) {
    struct vfs_ns_cap_data c = {0};
    if (len > sizeof(c))
        return 0;
    memcpy(&c, value, len);
    if (revision_of(&c, len) == 3) {
        uint32_t root = le32toh(c.rootid);
        if (root == base) {
            set_revision(&c, VFS_CAP_REVISION_2);
            len = XATTR_CAPS_SZ_2;
        } else if (root > base && root - base < size) {
            c.rootid = htole32((uint32_t)(root - base));
        }
    }
    memcpy(out, &c, len);
    return len;
}
