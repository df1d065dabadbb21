/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What docker keeps in ~/.docker (DOCKER_CONFIG, --config): config.json with formats, detach keys,
 * headers and proxies, and the contexts. Read, never written.
 */
#include "cli/cli.h"

/* Reads config.json of cli->config_dir; one that cannot be parsed is told on stderr and counts as
 * empty, as with docker. */
void config_load(struct cli *cli);
/* A string of it, "" when it is not there. Borrowed. */
const char *config_str(const struct cli *cli, const char *key);
/* The flag's value if it was given, else the configuration's. Borrowed. */
const char *config_flag(const struct cli *cli, const struct flags *f, const char *flag,
                        const char *key);
/* "Name: value" of HttpHeaders, a strv. Owned by the caller. */
char **config_headers(const struct cli *cli);
/* Adds HTTP_PROXY and the like of `proxies` (those for the daemon's address, or "default") to env
 * where it does not have them. */
void config_add_proxies(const struct cli *cli, const char *host, char ***env);

/* The host of a context; NULL for the one that is called "default". *ret_has_tls: it has
 * certificates of its own, in *ret_tls. ERR_NOT_FOUND. Owned by the caller. */
int config_context(const struct cli *cli, const char *name, char **ret_host,
                   struct client_tls *ret_tls, bool *ret_has_tls, struct err *e);
