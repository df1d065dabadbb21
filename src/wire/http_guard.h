/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * TCP listeners against web pages. A page in some browser on the host, or on its network, must not
 * drive the engine: neither by requests across origins, nor by a name that was rebound to our
 * address (then its requests are of the same origin, but their Host is that name).
 */
#include "wire/http1_parse.h"

/* NULL when the request may pass, else a constant text for a 403. `allow_origin`: an origin that
 * may pass besides the server's own, "*" for any, NULL for none. Programs that are no browsers may
 * use any Host. */
const char *http_guard_refuses(const struct http1_request *req, const char *allow_origin);
