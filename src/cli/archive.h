/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files to and from the daemon: what load, save, import and export share. */
#include "cli/cli.h"

/* Opens a file to read, stdin for "" and "-". */
int archive_open_input(const char *path, int *ret, struct err *e);
/* Platforms ("linux/arm64/v8") as the query parameters that the API wants: `platform` unless it is
 * "", or several `platforms`. */
void archive_add_platform(struct buf *query, const char *platform);
void archive_add_platforms(struct buf *query, char *const *platforms);
/* Sends the request with fd's content as its body; the answer is success then. */
int archive_send(struct cli *cli, struct exchange *x, struct request *request, int fd,
                 struct err *e);
/* The folder of `path` (may be "") is there: asked before anything is sent. */
int archive_check_output(const char *path, struct err *e);
/* GET into the file `output`, "": stdout. */
int archive_receive(struct cli *cli, const char *path, const char *query, const char *output,
                    struct err *e);
