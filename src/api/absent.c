/* SPDX-License-Identifier: Apache-2.0 */

/* Routes of Docker's API that this engine does not serve (yet): answered by name, so that nobody
 * takes an unknown path for a typing error. */
#include "api/router.h"

static void not_yet(struct api_call *c) {
    call_errorf(c, ERR_NOT_IMPLEMENTED, "%s %s is not implemented yet", c->route->method,
                c->route->pattern);
}

/* The words of a dockerd that is no member of a swarm. */
static void no_swarm(struct api_call *c) {
    call_errorf(c, ERR_UNAVAILABLE,
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm "
                "join\" to connect this node to swarm and try again.");
}

static void not_in_swarm(struct api_call *c) {
    call_errorf(c, ERR_UNAVAILABLE, "This node is not part of a swarm");
}

static void no_plugins(struct api_call *c) {
    call_text(c, 200, "application/json", "[]\n");
}

static void no_such_plugin(struct api_call *c) {
    call_errorf(c, ERR_NOT_FOUND, "plugin \"%s\" not found", call_param(c, 0));
}

/* There is no builder, hence nothing that it keeps; "docker system prune" asks each time. */
static void no_build_cache(struct api_call *c) {
    call_text(c, 200, "application/json", "{\"CachesDeleted\":null,\"SpaceReclaimed\":0}\n");
}

#define SWARM(method, pattern)                                                                     \
    { method, pattern, 0, no_swarm }
#define NOT_YET(method, pattern)                                                                   \
    { method, pattern, 0, not_yet }

const struct route routes_absent[] = {
    SWARM("GET", "/swarm"),
    SWARM("POST", "/swarm/init"),
    SWARM("POST", "/swarm/join"),
    {"POST", "/swarm/leave", 0, not_in_swarm},
    SWARM("POST", "/swarm/update"),
    SWARM("GET", "/swarm/unlockkey"),
    SWARM("POST", "/swarm/unlock"),
    SWARM("GET", "/services"),
    SWARM("POST", "/services/create"),
    SWARM("GET", "/services/{id}"),
    SWARM("POST", "/services/{id}/update"),
    SWARM("DELETE", "/services/{id}"),
    SWARM("GET", "/services/{id}/logs"),
    SWARM("GET", "/nodes"),
    SWARM("GET", "/nodes/{id}"),
    SWARM("DELETE", "/nodes/{id}"),
    SWARM("POST", "/nodes/{id}/update"),
    SWARM("GET", "/tasks"),
    SWARM("GET", "/tasks/{id}"),
    SWARM("GET", "/tasks/{id}/logs"),
    SWARM("GET", "/secrets"),
    SWARM("POST", "/secrets/create"),
    SWARM("GET", "/secrets/{id}"),
    SWARM("DELETE", "/secrets/{id}"),
    SWARM("POST", "/secrets/{id}/update"),
    SWARM("GET", "/configs"),
    SWARM("POST", "/configs/create"),
    SWARM("GET", "/configs/{id}"),
    SWARM("DELETE", "/configs/{id}"),
    SWARM("POST", "/configs/{id}/update"),
    {"GET", "/plugins", 0, no_plugins},
    {"GET", "/plugins/{name*}/json", 0, no_such_plugin},
    {"DELETE", "/plugins/{name*}", 0, no_such_plugin},
    {"POST", "/plugins/{name*}/enable", 0, no_such_plugin},
    {"POST", "/plugins/{name*}/disable", 0, no_such_plugin},
    {"POST", "/plugins/{name*}/set", 0, no_such_plugin},
    {"POST", "/plugins/{name*}/push", 0, no_such_plugin},
    NOT_YET("GET", "/plugins/privileges"),
    NOT_YET("POST", "/plugins/pull"),
    NOT_YET("POST", "/plugins/create"),
    NOT_YET("POST", "/plugins/{name*}/upgrade"),
    NOT_YET("POST", "/build"),
    {"POST", "/build/prune", 0, no_build_cache},
    NOT_YET("POST", "/build/cancel"),
    NOT_YET("POST", "/session"),
    NOT_YET("POST", "/grpc"),
    NOT_YET("POST", "/auth"),
    NOT_YET("GET", "/images/search"),
    NOT_YET("POST", "/images/{name*}/push"),
    NOT_YET("GET", "/distribution/{name*}/json"),
    NOT_YET("GET", "/containers/{id}/checkpoints"),
    NOT_YET("POST", "/containers/{id}/checkpoints"),
    NOT_YET("DELETE", "/containers/{id}/checkpoints/{checkpoint}"),
    {NULL, NULL, 0, NULL},
};
