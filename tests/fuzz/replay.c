/* SPDX-License-Identifier: Apache-2.0 */

/* main() of a fuzz target without libFuzzer: runs it over the files and folders that are named. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/io.h"

#define INPUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly its size, so that a read past the end is seen. */
static int replay_file(int dir, const char *name) {
    auto_buf text = {.max = INPUT_MAX};
    auto_free uint8_t *exact = NULL;
    int r = io_read_file_at(dir, name, &text);

    if (r < 0) {
        (void)fprintf(stderr, "%s: %s\n", name, strerror(-r));
        return r;
    }
    exact = xmalloc(text.len ? text.len : 1);
    if (text.len > 0)
        memcpy(exact, text.data, text.len);
    (void)LLVMFuzzerTestOneInput(exact, text.len); /* always 0 */
    return 0;
}

/* Returns the number of inputs, or -errno. */
static int replay_folder(int fd) {
    DIR *d = fdopendir(fd);
    const struct dirent *entry;
    int n = 0;

    if (!d) {
        n = -errno;
        (void)close(fd);
        return n;
    }
    while (n >= 0 && (entry = readdir(d))) {
        int r;

        if (entry->d_name[0] == '.')
            continue;
        r = replay_file(dirfd(d), entry->d_name);
        n = r < 0 ? r : n + 1;
    }
    (void)closedir(d);
    return n;
}

int main(int argc, char **argv) {
    int inputs = 0;

    for (int i = 1; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd >= 0 ? replay_folder(fd) : replay_file(AT_FDCWD, argv[i]);

        if (r < 0) {
            (void)fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
            return 1;
        }
        inputs += fd >= 0 ? r : 1;
    }
    if (inputs == 0) {
        (void)fprintf(stderr, "no inputs\n");
        return 1;
    }
    return 0;
}
