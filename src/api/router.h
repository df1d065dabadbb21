/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From HTTP request to handler: version prefix, route table, 404, 405, 501, CORS, access control.
 */
#include "api/call.h"

/* The handler of http_server_new; arg is a struct engine *. */
void router_handle(void *arg, struct http_req *req);
/* Headers that every answer carries, {NULL, NULL} at the end. */
const struct http_header *router_headers(const struct engine *eng);
struct api_call *call_new(struct engine *eng, struct http_req *req);

/* One table a resource, ended by an empty entry. */
extern const struct route routes_system[], routes_containers[], routes_exec[], routes_images[],
    routes_volumes[], routes_networks[], routes_absent[];
