/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/cgroupfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/str.h"

static const struct {
    const char *v1, *v2;
} controllers[CGROUPFS_CONTROLLER_COUNT] = {
    [CGROUPFS_CPU] = {"cpu", "cpu"},
    [CGROUPFS_CPUACCT] = {"cpuacct", NULL},
    [CGROUPFS_CPUSET] = {"cpuset", "cpuset"},
    [CGROUPFS_MEMORY] = {"memory", "memory"},
    [CGROUPFS_PIDS] = {"pids", "pids"},
    [CGROUPFS_DEVICES] = {"devices", NULL},
    [CGROUPFS_FREEZER] = {"freezer", NULL},
    [CGROUPFS_BLKIO] = {"blkio", "io"},
    [CGROUPFS_HUGETLB] = {"hugetlb", "hugetlb"},
    [CGROUPFS_NET_CLS] = {"net_cls", NULL},
    [CGROUPFS_NET_PRIO] = {"net_prio", NULL},
    [CGROUPFS_PERF_EVENT] = {"perf_event", NULL},
    [CGROUPFS_RDMA] = {"rdma", "rdma"},
    [CGROUPFS_SYSTEMD] = {"name=systemd", NULL},
};

const char *cgroupfs_controller_name(enum cgroupfs_controller c, int version) {
    if ((unsigned)c >= CGROUPFS_CONTROLLER_COUNT)
        return NULL;
    return version == 2 ? controllers[c].v2 : controllers[c].v1;
}

static unsigned controllers_of(const char *list, char sep, int version) {
    auto_strv words = str_split(list, sep);
    unsigned set = 0;

    strv_for_each (word, words) {
        for (unsigned c = 0; c < CGROUPFS_CONTROLLER_COUNT; c++) {
            const char *name = version == 2 ? controllers[c].v2 : controllers[c].v1;

            if (name && strcmp(name, word) == 0)
                set |= 1u << c;
        }
    }
    return set;
}

void cgroupfs_host_done(struct cgroupfs_host *h) {
    for (size_t i = 0; i < h->count; i++) {
        free(h->hierarchies[i].path);
        fd_close(h->hierarchies[i].fd);
    }
    *h = (struct cgroupfs_host){0};
}

/* mountinfo writes blanks, tabs, newlines and backslashes as \ooo. */
static void unescape(char *s) {
    char *out = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
}

/* One line: "36 35 98:0 /root /mount/point options [optional]... - type source superoptions". */
static bool parse_line(char *line, char **ret_point, char **ret_type, char **ret_super) {
    char *sep = strstr(line, " - "), *save = NULL, *word;

    if (!sep)
        return false;
    *sep = '\0';
    word = strtok_r(line, " ", &save);
    for (int i = 0; word && i < 4; i++)
        word = strtok_r(NULL, " ", &save);
    if (!word)
        return false;
    *ret_point = word;
    *ret_type = strtok_r(sep + 3, " ", &save);
    word = strtok_r(NULL, " ", &save); /* source */
    *ret_super = word ? strtok_r(NULL, " ", &save) : NULL;
    if (!*ret_type || !*ret_super)
        return false;
    unescape(*ret_point);
    return true;
}

static void host_add(struct cgroupfs_host *h, const char *path, unsigned set) {
    int i = (int)h->count;

    if (h->count == CGROUPFS_HIERARCHIES_MAX)
        return;
    /* A second mount of the same hierarchy adds nothing. */
    for (unsigned c = 0; c < CGROUPFS_CONTROLLER_COUNT; c++)
        if ((set & 1u << c) && h->by_controller[c] >= 0)
            return;
    h->hierarchies[h->count++] =
        (struct cgroupfs_hierarchy){.path = xstrdup(path), .controllers = set, .fd = -1};
    for (unsigned c = 0; c < CGROUPFS_CONTROLLER_COUNT; c++)
        if (set & 1u << c)
            h->by_controller[c] = i;
}

/* v2 as the only hierarchy: its controllers are in a file, devices are BPF programs, the freezer
 * and the CPU accounting are part of every group. */
static void host_add_v2(struct cgroupfs_host *h, const char *path, bool read_controllers) {
    char text[512] = "cpuset cpu io memory hugetlb pids rdma misc";
    unsigned set;

    if (read_controllers) {
        auto_fd fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || cgroupfs_read(fd, "cgroup.controllers", text, sizeof text) < 0)
            text[0] = '\0';
    }
    set = controllers_of(text, ' ', 2);
    set |= 1u << CGROUPFS_DEVICES | 1u << CGROUPFS_FREEZER | 1u << CGROUPFS_CPUACCT;
    host_add(h, path, set);
}

int cgroupfs_detect_from(const char *mountinfo, bool open_fds, struct cgroupfs_host *ret) {
    auto_strv lines = str_split(mountinfo, '\n');
    auto_free char *unified = NULL;
    struct cgroupfs_host h = {0};
    int r = 0;

    for (size_t c = 0; c < CGROUPFS_CONTROLLER_COUNT; c++)
        h.by_controller[c] = -1;
    strv_for_each (line, lines) {
        char *point, *type, *super;
        unsigned set;

        if (!strstr(line, " - cgroup") || !parse_line(line, &point, &type, &super))
            continue;
        if (strcmp(type, "cgroup2") == 0) {
            if (!unified)
                unified = xstrdup(point);
            continue;
        }
        if (strcmp(type, "cgroup") != 0)
            continue;
        set = controllers_of(super, ',', 1);
        if (set)
            host_add(&h, point, set);
    }
    if (h.count > 0) {
        h.version = 1;
        /* Only the named hierarchy beside v2 is systemd's hybrid lay-out turned around: all the
         * controllers are then in v2. */
        if (unified && h.count == 1 && h.hierarchies[0].controllers == 1u << CGROUPFS_SYSTEMD) {
            free(h.hierarchies[0].path);
            h.count = 0;
            h.by_controller[CGROUPFS_SYSTEMD] = -1;
        }
    }
    if (h.count == 0 && unified) {
        h.version = 2;
        host_add_v2(&h, unified, open_fds);
    }
    for (size_t i = 0; open_fds && i < h.count; i++) {
        h.hierarchies[i].fd = open(h.hierarchies[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (h.hierarchies[i].fd < 0) {
            r = -errno;
            break;
        }
    }
    if (r < 0) {
        cgroupfs_host_done(&h);
        return r;
    }
    *ret = h;
    return 0;
}

int cgroupfs_detect(struct cgroupfs_host *ret) {
    auto_buf text = BUF_INIT;
    int r = io_read_file_at(AT_FDCWD, "/proc/self/mountinfo", &text);

    return r < 0 ? r : cgroupfs_detect_from(buf_str(&text), true, ret);
}

int cgroupfs_mkdirs(int dirfd, const char *rel, bool *ret_created) {
    char path[PATH_MAX];
    size_t n = strlen(rel);

    if (n == 0 || n >= sizeof path)
        return -EINVAL;
    /* Nearly always the parent is there: one call. */
    if (mkdirat(dirfd, rel, 0755) == 0) {
        *ret_created = true;
        return 0;
    }
    if (errno == EEXIST) {
        *ret_created = false;
        return 0;
    }
    if (errno != ENOENT)
        return -errno;
    memcpy(path, rel, n + 1);
    for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdirat(dirfd, path, 0755) < 0 && errno != EEXIST)
            return -errno;
        *p = '/';
    }
    if (mkdirat(dirfd, path, 0755) < 0) {
        if (errno != EEXIST)
            return -errno;
        *ret_created = false;
        return 0;
    }
    *ret_created = true;
    return 0;
}

/* Removes what is below fd; the depth is that of a tree which a container may have made. */
static int rmdirs_below(int fd, unsigned depth) {
    auto_dir *d = NULL;
    struct dirent *de;
    int r;

    if (depth > 64)
        return -ELOOP;
    r = io_open_dir(fd, &d);
    if (r < 0)
        return r;
    while ((de = readdir(d))) {
        if (de->d_type != DT_DIR || strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, de->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
            auto_fd sub = openat(fd, de->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            int x = sub < 0 ? -errno : rmdirs_below(sub, depth + 1);

            if (x == 0 && unlinkat(fd, de->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                x = -errno;
            if (x < 0 && x != -ENOENT && r == 0)
                r = x;
        }
    }
    return r;
}

int cgroupfs_rmdirs(int dirfd, const char *rel) {
    int saved, r;

    if (unlinkat(dirfd, rel, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    saved = -errno;
    if (saved != -EBUSY && saved != -ENOTEMPTY)
        return saved;
    {
        auto_fd fd = openat(dirfd, rel, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
            return errno == ENOENT ? 0 : -errno;
        r = rmdirs_below(fd, 0);
    }
    if (r < 0)
        return r;
    if (unlinkat(dirfd, rel, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

int cgroupfs_read(int dirfd, const char *file, char *out, size_t size) {
    auto_fd fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = io_read_full(fd, out, size);
    if (n < 0)
        return (int)n;
    if ((size_t)n == size)
        return -ENOSPC;
    if (n > 0 && out[n - 1] == '\n')
        n--;
    out[n] = '\0';
    return 0;
}

int cgroupfs_read_u64(int dirfd, const char *file, uint64_t *ret) {
    char text[64];
    int r = cgroupfs_read(dirfd, file, text, sizeof text);

    if (r < 0)
        return r;
    if (strcmp(text, "max") == 0) {
        *ret = UINT64_MAX;
        return 0;
    }
    r = str_to_u64(text, ret);
    if (r == -ERANGE) {
        *ret = UINT64_MAX;
        return 0;
    }
    return r;
}

int cgroupfs_write(int dirfd, const char *file, const char *text) {
    return io_write_existing_at(dirfd, file, text);
}

int cgroupfs_write_u64(int dirfd, const char *file, uint64_t v) {
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, v);
    return cgroupfs_write(dirfd, file, text);
}

int cgroupfs_write_i64(int dirfd, const char *file, int64_t v) {
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, v);
    return cgroupfs_write(dirfd, file, text);
}

bool cgroupfs_exists(int dirfd, const char *file) {
    return faccessat(dirfd, file, F_OK, 0) == 0;
}

int cgroupfs_read_key(int dirfd, const char *file, const char *key, uint64_t *ret) {
    auto_buf text = {.max = 1 << 20};
    size_t n = strlen(key);
    int r = io_read_file_at(dirfd, file, &text);

    if (r < 0)
        return r;
    for (const char *line = buf_str(&text); line && *line;) {
        const char *end = strchr(line, '\n');

        if (strncmp(line, key, n) == 0 && line[n] == ' ') {
            char *stop;
            unsigned long long v;

            errno = 0;
            v = strtoull(line + n + 1, &stop, 10);
            if (stop == line + n + 1 || errno != 0)
                return -EINVAL;
            *ret = v;
            return 0;
        }
        line = end ? end + 1 : NULL;
    }
    return -ENOENT;
}

int cgroupfs_each_pid(int dirfd, int (*fn)(pid_t pid, void *arg), void *arg) {
    auto_fd fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    char text[4096];
    uint64_t pid = 0;
    bool digits = false;

    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t n = read(fd, text, sizeof text);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            return 0;
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (uint64_t)(text[i] - '0');
                digits = true;
            } else if (digits) {
                /* 0: a process outside the reader's pid namespace. */
                int r = pid > 0 && pid <= INT32_MAX ? fn((pid_t)pid, arg) : 0;

                if (r < 0)
                    return r;
                pid = 0;
                digits = false;
            }
        }
    }
}
