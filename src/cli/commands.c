/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands are called. */
#include "cli/commands.h"

static const struct command_entry container_commands[] = {
    {.name = "attach", .cmd = &command_attach},
    {.name = "commit", .cmd = &command_commit},
    {.name = "cp", .cmd = &command_cp},
    {.name = "create", .cmd = &command_create},
    {.name = "diff", .cmd = &command_diff},
    {.name = "exec", .cmd = &command_exec},
    {.name = "export", .cmd = &command_export},
    {.name = "inspect", .cmd = &command_container_inspect},
    {.name = "kill", .cmd = &command_kill},
    {.name = "list", .cmd = &command_ps, .hidden = true},
    {.name = "logs", .cmd = &command_logs},
    {.name = "ls", .cmd = &command_ps},
    {.name = "pause", .cmd = &command_pause},
    {.name = "port", .cmd = &command_port},
    {.name = "prune", .cmd = &command_container_prune},
    {.name = "ps", .cmd = &command_ps, .hidden = true},
    {.name = "remove", .cmd = &command_rm, .hidden = true},
    {.name = "rename", .cmd = &command_rename},
    {.name = "restart", .cmd = &command_restart},
    {.name = "rm", .cmd = &command_rm},
    {.name = "run", .cmd = &command_run},
    {.name = "start", .cmd = &command_start},
    {.name = "stats", .cmd = &command_stats},
    {.name = "stop", .cmd = &command_stop},
    {.name = "top", .cmd = &command_top},
    {.name = "unpause", .cmd = &command_unpause},
    {.name = "update", .cmd = &command_update},
    {.name = "wait", .cmd = &command_wait},
    {.name = NULL},
};

static const struct command_entry image_commands[] = {
    {.name = "history", .cmd = &command_history},
    {.name = "import", .cmd = &command_import},
    {.name = "inspect", .cmd = &command_image_inspect},
    {.name = "list", .cmd = &command_images, .hidden = true},
    {.name = "load", .cmd = &command_load},
    {.name = "ls", .cmd = &command_images},
    {.name = "prune", .cmd = &command_image_prune},
    {.name = "pull", .cmd = &command_pull},
    {.name = "remove", .cmd = &command_rmi, .hidden = true},
    {.name = "rm", .cmd = &command_rmi},
    {.name = "save", .cmd = &command_save},
    {.name = "tag", .cmd = &command_tag},
    {.name = NULL},
};

static const struct command_entry network_commands[] = {
    {.name = "connect", .cmd = &command_network_connect},
    {.name = "create", .cmd = &command_network_create},
    {.name = "disconnect", .cmd = &command_network_disconnect},
    {.name = "inspect", .cmd = &command_network_inspect},
    {.name = "list", .cmd = &command_network_ls, .hidden = true},
    {.name = "ls", .cmd = &command_network_ls},
    {.name = "prune", .cmd = &command_network_prune},
    {.name = "remove", .cmd = &command_network_rm, .hidden = true},
    {.name = "rm", .cmd = &command_network_rm},
    {.name = NULL},
};

static const struct command_entry system_commands[] = {
    {.name = "df", .cmd = &command_system_df},
    {.name = "events", .cmd = &command_events},
    {.name = "info", .cmd = &command_info},
    {.name = "prune", .cmd = &command_system_prune},
    {.name = NULL},
};

static const struct command_entry volume_commands[] = {
    {.name = "create", .cmd = &command_volume_create},
    {.name = "inspect", .cmd = &command_volume_inspect},
    {.name = "list", .cmd = &command_volume_ls, .hidden = true},
    {.name = "ls", .cmd = &command_volume_ls},
    {.name = "prune", .cmd = &command_volume_prune},
    {.name = "remove", .cmd = &command_volume_rm, .hidden = true},
    {.name = "rm", .cmd = &command_volume_rm},
    {.name = NULL},
};

static const struct command_group container_group = {"container", "Manage containers",
                                                     container_commands};
static const struct command_group image_group = {"image", "Manage images", image_commands};
static const struct command_group network_group = {"network", "Manage networks", network_commands};
static const struct command_group system_group = {"system", "Manage the engine", system_commands};
static const struct command_group volume_group = {"volume", "Manage volumes", volume_commands};

const struct command_entry root_commands[] = {
    {.name = "run", .cmd = &command_run, .common = true},
    {.name = "exec", .cmd = &command_exec, .common = true},
    {.name = "ps", .cmd = &command_ps, .common = true},
    {.name = "pull", .cmd = &command_pull, .common = true},
    {.name = "images", .cmd = &command_images, .common = true},
    {.name = "version", .cmd = &command_version, .common = true},
    {.name = "info", .cmd = &command_info, .common = true},
    {.name = "container", .group = &container_group},
    {.name = "image", .group = &image_group},
    {.name = "network", .group = &network_group},
    {.name = "system", .group = &system_group},
    {.name = "volume", .group = &volume_group},
    {.name = "attach", .cmd = &command_attach},
    {.name = "commit", .cmd = &command_commit},
    {.name = "cp", .cmd = &command_cp},
    {.name = "create", .cmd = &command_create},
    {.name = "diff", .cmd = &command_diff},
    {.name = "events", .cmd = &command_events},
    {.name = "export", .cmd = &command_export},
    {.name = "history", .cmd = &command_history},
    {.name = "import", .cmd = &command_import},
    {.name = "inspect", .cmd = &command_inspect},
    {.name = "kill", .cmd = &command_kill},
    {.name = "load", .cmd = &command_load},
    {.name = "logs", .cmd = &command_logs},
    {.name = "pause", .cmd = &command_pause},
    {.name = "port", .cmd = &command_port},
    {.name = "rename", .cmd = &command_rename},
    {.name = "restart", .cmd = &command_restart},
    {.name = "rm", .cmd = &command_rm},
    {.name = "rmi", .cmd = &command_rmi},
    {.name = "save", .cmd = &command_save},
    {.name = "start", .cmd = &command_start},
    {.name = "stats", .cmd = &command_stats},
    {.name = "stop", .cmd = &command_stop},
    {.name = "tag", .cmd = &command_tag},
    {.name = "top", .cmd = &command_top},
    {.name = "unpause", .cmd = &command_unpause},
    {.name = "update", .cmd = &command_update},
    {.name = "wait", .cmd = &command_wait},
    {.name = NULL},
};
