/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The body of POST /containers/create: Config inline, HostConfig, NetworkingConfig. Three steps,
 * so that the image can be looked up in between:
 *
 *   create_body_parse()     JSON -> structs, old spellings translated
 *   create_body_merge()     image configuration, defaults of the daemon
 *   create_body_validate()  Docker's checks, then the refusal of what is not supported
 */
#include "base/err.h"
#include "engine/config.h"
#include "engine/hostconfig.h"
#include "format/field.h"

/* Addresses of an endpoint: ERR_INVALID in dockerd's words. c: NULL without a container-wide MAC.
 */
int create_body_check_endpoint(const struct endpoint_settings *s, const struct container_config *c,
                               struct err *e);

struct create_body {
    struct container_config config;
    struct host_config host;
    struct networking_config networking;
    /* The client's API says nothing of what is mounted below a read-only bind (before 1.44): that
     * stays as it is. */
    bool flat_read_only_binds;
    bool several_endpoints; /* of NetworkingConfig, since 1.44 */
};
void create_body_init(struct create_body *b);
void create_body_done(struct create_body *b);

/* api_minor: 41 for /v1.41. *ret is initialised here; owned by the caller on success. ERR_INVALID
 * with Go's texts; an empty body is refused as dockerd does. */
int create_body_parse(const char *text, size_t len, int api_minor, struct create_body *ret,
                      struct err *e);
void create_body_merge(struct create_body *b, const struct container_config *image,
                       const struct host_defaults *d);
int create_body_validate(struct create_body *b, const struct host_facts *facts, char ***warnings,
                         struct err *e);
/* The last part of create_body_validate(): 400 naming member and value for everything that this
 * engine does not do yet. Zero and default values always pass. */
int create_body_check_supported(const struct create_body *b, struct err *e);

/* ---- user namespace ------------------------------------------------------------------------ */
enum userns_choice {
    USERNS_PRIVATE,  /* a range of its own */
    USERNS_HOST,     /* asked for: --userns=host, --privileged, or the daemon's default */
    USERNS_FALLBACK, /* the host's because something cannot work otherwise: `reason` says what */
};

struct userns_facts {
    bool kernel_can; /* overlay over idmapped layers works (Linux 5.19) */
    bool daemon_off; /* the daemon runs with user namespaces off */
    /* The data root, when its file system cannot be idmapped, or NULL. */
    const char *unmappable_root;
    /* The host path of a bind that cannot be idmapped, or NULL. */
    const char *unmappable_bind;
    /* The name of a foreign runtime without idmapped mounts, or NULL. */
    const char *runtime;
};

/*
 * Which user namespace a container gets. For USERNS_FALLBACK *ret_reason (may be NULL) is the
 * sentence for Warnings, owned by the caller; NULL otherwise. `bits` of the capabilities come
 * from HostConfig alone, so the decision can be repeated from a record.
 */
enum userns_choice userns_decide(const struct host_config *h, const struct userns_facts *f,
                                 char **ret_reason);
/* Capabilities that do nothing inside a user namespace, "CAP_..." names, ends with NULL. */
extern const char *const userns_host_capabilities[];
