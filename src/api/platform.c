/* SPDX-License-Identifier: Apache-2.0 */
#include "api/platform.h"

#include "base/alloc.h"
#include "base/str.h"

#if defined(__aarch64__)
#define OWN_ARCHITECTURE "arm64"
#else
#define OWN_ARCHITECTURE "amd64"
#endif

static const char *const systems[] = {"linux",   "windows", "darwin",  "freebsd", "netbsd",
                                      "openbsd", "solaris", "android", "plan9",   NULL};
static const char *const architectures[] = {"amd64",   "arm64", "arm",      "386", "ppc64le",
                                            "riscv64", "s390x", "mips64le", NULL};
static const struct {
    const char *alias, *name;
} aliases[] = {{"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"}, {"armhf", "arm"},
               {"armel", "arm"},    {"i386", "386"},     {"macos", "darwin"},  {NULL, NULL}};

static const char *normal(const char *word) {
    for (size_t i = 0; aliases[i].alias; i++)
        if (str_case_eq(aliases[i].alias, word))
            return aliases[i].name;
    return word;
}

static bool is_one_of(const char *word, const char *const *list) {
    for (; *list; list++)
        if (str_eq(*list, word))
            return true;
    return false;
}

int platform_check(const char *wanted, const struct image *image, const char *name, struct err *e) {
    auto_strv parts = str_split(wanted, '/');
    const char *os = "linux", *architecture = OWN_ARCHITECTURE;
    const char *have_os = str_empty(image->config.os) ? "linux" : image->config.os;
    const char *have = image->config.architecture;
    size_t n = strv_len(parts);
    const char *first = n ? normal(parts[0]) : "";

    if (n == 1 && is_one_of(first, architectures)) {
        architecture = first;
    } else if (n >= 1 && n <= 3 && is_one_of(first, systems)) {
        os = first;
        if (n > 1)
            architecture = normal(parts[1]);
    } else {
        return err_set(e, ERR_INVALID,
                       "\"%s\": unknown operating system or architecture: invalid argument",
                       wanted);
    }
    if (str_eq(os, have_os) && (str_empty(have) || str_eq(architecture, normal(have))))
        return 0;
    return err_set(e, ERR_NOT_FOUND,
                   "image with reference %s was found but does not match the specified platform: "
                   "wanted %s/%s, actual: %s/%s",
                   name, os, architecture, have_os, str_or_empty(have));
}
