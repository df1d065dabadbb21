/* SPDX-License-Identifier: Apache-2.0 */

/* The order and the omissions are those of dockerd's answers. */
#include "oci/container_config.h"

static const struct field health_fields[] = {
    FIELD(struct health_config, "Test", FIELD_STRV, test, FIELD_OMIT_EMPTY),
    FIELD(struct health_config, "Interval", FIELD_INT, interval, FIELD_OMIT_EMPTY),
    FIELD(struct health_config, "Timeout", FIELD_INT, timeout, FIELD_OMIT_EMPTY),
    FIELD(struct health_config, "StartPeriod", FIELD_INT, start_period, FIELD_OMIT_EMPTY),
    FIELD(struct health_config, "StartInterval", FIELD_INT, start_interval, FIELD_OMIT_EMPTY),
    FIELD(struct health_config, "Retries", FIELD_INT, retries, FIELD_OMIT_EMPTY),
    FIELD_END,
};
const struct field_table health_config_table = FIELD_TABLE(struct health_config, health_fields);

#define CONFIG_FIELDS(labels_flags)                                                                \
    FIELD(struct container_config, "Hostname", FIELD_STR, hostname, 0),                            \
        FIELD(struct container_config, "Domainname", FIELD_STR, domainname, 0),                    \
        FIELD(struct container_config, "User", FIELD_STR, user, 0),                                \
        FIELD(struct container_config, "AttachStdin", FIELD_BOOL_T, attach_stdin, 0),              \
        FIELD(struct container_config, "AttachStdout", FIELD_BOOL_T, attach_stdout, 0),            \
        FIELD(struct container_config, "AttachStderr", FIELD_BOOL_T, attach_stderr, 0),            \
        FIELD(struct container_config, "ExposedPorts", FIELD_SET, exposed_ports,                   \
              FIELD_OMIT_EMPTY),                                                                   \
        FIELD(struct container_config, "Tty", FIELD_BOOL_T, tty, 0),                               \
        FIELD(struct container_config, "OpenStdin", FIELD_BOOL_T, open_stdin, 0),                  \
        FIELD(struct container_config, "StdinOnce", FIELD_BOOL_T, stdin_once, 0),                  \
        FIELD(struct container_config, "Env", FIELD_STRV, env, 0),                                 \
        FIELD(struct container_config, "Cmd", FIELD_STRLIST, cmd, 0),                              \
        FIELD_SUB(struct container_config, "Healthcheck", FIELD_STRUCT_P, healthcheck,             \
                  FIELD_OMIT_EMPTY, health_config_table),                                          \
        FIELD(struct container_config, "ArgsEscaped", FIELD_BOOL_T, args_escaped,                  \
              FIELD_OMIT_EMPTY),                                                                   \
        FIELD(struct container_config, "Image", FIELD_STR, image, 0),                              \
        FIELD(struct container_config, "Volumes", FIELD_SET, volumes, FIELD_NULL_EMPTY),           \
        FIELD(struct container_config, "WorkingDir", FIELD_STR, working_dir, 0),                   \
        FIELD(struct container_config, "Entrypoint", FIELD_STRLIST, entrypoint, 0),                \
        FIELD(struct container_config, "NetworkDisabled", FIELD_BOOL_T, network_disabled,          \
              FIELD_OMIT_EMPTY),                                                                   \
        FIELD(struct container_config, "MacAddress", FIELD_STR, mac_address, FIELD_OMIT_EMPTY),    \
        FIELD(struct container_config, "OnBuild", FIELD_STRV, on_build, 0),                        \
        FIELD(struct container_config, "Labels", FIELD_STRMAP, labels, labels_flags),              \
        FIELD(struct container_config, "StopSignal", FIELD_STR, stop_signal, FIELD_OMIT_EMPTY),    \
        FIELD(struct container_config, "StopTimeout", FIELD_INT_NULL, stop_timeout,                \
              FIELD_OMIT_EMPTY),                                                                   \
        FIELD(struct container_config, "Shell", FIELD_STRLIST, shell, FIELD_OMIT_EMPTY), FIELD_END

static const struct field container_fields[] = {CONFIG_FIELDS(0)};
const struct field_table container_config_table =
    FIELD_TABLE(struct container_config, container_fields);

static const struct field image_fields[] = {CONFIG_FIELDS(FIELD_NULL_EMPTY)};
const struct field_table image_exec_config_table =
    FIELD_TABLE(struct container_config, image_fields);
