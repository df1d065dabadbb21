/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every command, and what the help of several says in the same words. */
#include "cli/cli.h"

/* clang-format off */
#define FORMAT_USAGE_INSPECT \
    "Format output using a custom template:\n" \
    "'json':             Print in JSON format\n" \
    "'TEMPLATE':         Print output using the given Go template.\n" \
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"
#define FORMAT_USAGE_LIST \
    "Format output using a custom template:\n" \
    "'table':            Print output in table format with column headers (default)\n" \
    "'table TEMPLATE':   Print output in table format using the given Go template\n" \
    "'json':             Print in JSON format\n" \
    "'TEMPLATE':         Print output using the given Go template.\n" \
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"
#define FILTER_FLAG \
    {.name = "filter", .shorthand = 'f', .type = FLAG_LIST, .type_name = "filter", .usage = "Filter output based on conditions provided", .check = filter_check}
/* clang-format on */

extern const struct command command_attach, command_commit, command_container_inspect,
    command_container_prune, command_cp, command_create, command_diff, command_events, command_exec,
    command_export, command_history, command_image_inspect, command_image_prune, command_images,
    command_import, command_info, command_inspect, command_kill, command_load, command_logs,
    command_network_connect, command_network_create, command_network_disconnect,
    command_network_inspect, command_network_ls, command_network_prune, command_network_rm,
    command_pause, command_port, command_ps, command_pull, command_rename, command_restart,
    command_rm, command_rmi, command_run, command_save, command_start, command_stats, command_stop,
    command_system_df, command_system_prune, command_tag, command_top, command_unpause,
    command_update, command_version, command_volume_create, command_volume_inspect,
    command_volume_ls, command_volume_prune, command_volume_rm, command_wait;
