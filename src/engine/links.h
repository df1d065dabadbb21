/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Legacy links (--link name:alias on the default bridge): a line in /etc/hosts, environment
 * variables, and with --icc=false the ports that the other container exposes. Links on user
 * networks are names of the resolver's (endpoints.c). Loop thread.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct container;
struct engine;

/* At create: finds the containers of HostConfig.Links; ERR_INVALID in dockerd's words. */
int links_plan(struct container *c, struct err *e);
/* At a start: they must run. */
int links_check(const struct container *c, struct err *e);
/* Opens what --icc=false closes; links_close() takes it back. Also for the links of others to it.
 */
void links_open(struct container *c);
void links_close(struct container *c);
/* Adds the variables to an environment, the lines to a hosts file. */
void links_environment(const struct container *c, char ***env);
void links_hosts(const struct container *c, struct buf *b);
/* Its address may have changed: those that have linked it are told. */
void links_refresh_parents(struct container *c);
/* As HostConfig.Links of inspect has them: "/db:/web/alias"; the caller's. */
char **links_show(const struct container *c);
/* The names that links give, sorted: "ID /web/alias", the id that of the container linked to; NULL
 * when there are no links. The caller's. */
char **links_names(const struct engine *engine);
/* Removes a link (DELETE /containers/web/alias?link=1). ERR_NOT_FOUND. */
int links_remove(struct container *c, const char *alias, struct err *e);
