/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What run and create share: their flags, the body of POST /containers/create, and the pull of a
 * missing image. */
#include "cli/cli.h"

int check_attach(const char *v, struct err *e);
int check_add_host(const char *v, struct err *e);
int check_ip(const char *v, struct err *e);
int check_sysctl(const char *v, struct err *e);
/* Of --device; not while flags are parsed, as docker. */
int check_device(const char *v, struct err *e);
int check_device_rate(const char *v, struct err *e);
int check_weight_device(const char *v, struct err *e);
int check_ulimit(const char *v, struct err *e);
int check_link(const char *v, struct err *e);
int check_env(const char *v, struct err *e);
int check_label(const char *v, struct err *e);
int check_mount(const char *v, struct err *e);
int check_network(const char *v, struct err *e);
int check_gpus(const char *v, struct err *e);

/* clang-format off */
#define CONTAINER_FLAGS(pull_usage) \
    {.name = "add-host", .type = FLAG_LIST, .usage = "Add a custom host-to-IP mapping (host:ip)", .check = check_add_host}, \
    {.name = "annotation", .type = FLAG_MAP, .usage = "Add an annotation to the container (passed through to the OCI runtime)", .shown = "map[]"}, \
    {.name = "attach", .shorthand = 'a', .type = FLAG_LIST, .usage = "Attach to STDIN, STDOUT or STDERR", .check = check_attach}, \
    {.name = "blkio-weight", .type = FLAG_UINT16, .usage = "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"}, \
    {.name = "blkio-weight-device", .type = FLAG_LIST, .usage = "Block IO weight (relative device weight)", .shown = "[]", .check = check_weight_device}, \
    {.name = "cap-add", .type = FLAG_LIST, .usage = "Add Linux capabilities"}, \
    {.name = "cap-drop", .type = FLAG_LIST, .usage = "Drop Linux capabilities"}, \
    {.name = "cgroup-parent", .type = FLAG_STRING, .usage = "Optional parent cgroup for the container"}, \
    {.name = "cgroupns", .type = FLAG_STRING, .usage = "Cgroup namespace to use (host|private)\n'host':    Run the container in the Docker host's cgroup namespace\n'private': Run the container in its own private cgroup namespace\n'':        Use the cgroup namespace as configured by the\n           default-cgroupns-mode option on the daemon (default)"}, \
    {.name = "cidfile", .type = FLAG_STRING, .usage = "Write the container ID to the file"}, \
    {.name = "cpu-count", .type = FLAG_INT, .usage = "CPU count (Windows only)", .hidden = true}, \
    {.name = "cpu-percent", .type = FLAG_INT, .usage = "CPU percent (Windows only)", .hidden = true}, \
    {.name = "cpu-period", .type = FLAG_INT, .usage = "Limit CPU CFS (Completely Fair Scheduler) period"}, \
    {.name = "cpu-quota", .type = FLAG_INT, .usage = "Limit CPU CFS (Completely Fair Scheduler) quota"}, \
    {.name = "cpu-rt-period", .type = FLAG_INT, .usage = "Limit CPU real-time period in microseconds"}, \
    {.name = "cpu-rt-runtime", .type = FLAG_INT, .usage = "Limit CPU real-time runtime in microseconds"}, \
    {.name = "cpu-shares", .shorthand = 'c', .type = FLAG_INT, .usage = "CPU shares (relative weight)"}, \
    {.name = "cpus", .type = FLAG_DECIMAL, .usage = "Number of CPUs"}, \
    {.name = "cpuset-cpus", .type = FLAG_STRING, .usage = "CPUs in which to allow execution (0-3, 0,1)"}, \
    {.name = "cpuset-mems", .type = FLAG_STRING, .usage = "MEMs in which to allow execution (0-3, 0,1)"}, \
    {.name = "device", .type = FLAG_LIST, .usage = "Add a host device to the container"}, \
    {.name = "device-cgroup-rule", .type = FLAG_LIST, .usage = "Add a rule to the cgroup allowed devices list"}, \
    {.name = "device-read-bps", .type = FLAG_LIST, .usage = "Limit read rate (bytes per second) from a device", .shown = "[]", .check = check_device_rate}, \
    {.name = "device-read-iops", .type = FLAG_LIST, .usage = "Limit read rate (IO per second) from a device", .shown = "[]", .check = check_device_rate}, \
    {.name = "device-write-bps", .type = FLAG_LIST, .usage = "Limit write rate (bytes per second) to a device", .shown = "[]", .check = check_device_rate}, \
    {.name = "device-write-iops", .type = FLAG_LIST, .usage = "Limit write rate (IO per second) to a device", .shown = "[]", .check = check_device_rate}, \
    {.name = "disable-content-trust", .type = FLAG_BOOL, .usage = "Skip image verification", .shown = "true", .initial = "true"}, \
    {.name = "dns", .type = FLAG_LIST, .usage = "Set custom DNS servers", .check = check_ip}, \
    {.name = "dns-opt", .type = FLAG_LIST, .usage = "Set DNS options", .hidden = true, .alias_of = "dns-option"}, \
    {.name = "dns-option", .type = FLAG_LIST, .usage = "Set DNS options"}, \
    {.name = "dns-search", .type = FLAG_LIST, .usage = "Set custom DNS search domains"}, \
    {.name = "domainname", .type = FLAG_STRING, .usage = "Container NIS domain name"}, \
    {.name = "entrypoint", .type = FLAG_STRING, .usage = "Overwrite the default ENTRYPOINT of the image"}, \
    {.name = "env", .shorthand = 'e', .type = FLAG_LIST, .usage = "Set environment variables", .check = check_env}, \
    {.name = "env-file", .type = FLAG_LIST, .usage = "Read in a file of environment variables"}, \
    {.name = "expose", .type = FLAG_LIST, .usage = "Expose a port or a range of ports"}, \
    {.name = "gpus", .type = FLAG_LIST, .type_name = "gpu-request", .usage = "GPU devices to add to the container ('all' to pass all GPUs)", .check = check_gpus}, \
    {.name = "group-add", .type = FLAG_LIST, .usage = "Add additional groups to join"}, \
    {.name = "health-cmd", .type = FLAG_STRING, .usage = "Command to run to check health"}, \
    {.name = "health-interval", .type = FLAG_DURATION, .usage = "Time between running the check (ms|s|m|h) (default 0s)"}, \
    {.name = "health-retries", .type = FLAG_INT, .usage = "Consecutive failures needed to report unhealthy"}, \
    {.name = "health-start-interval", .type = FLAG_DURATION, .usage = "Time between running the check during the start period (ms|s|m|h) (default 0s)"}, \
    {.name = "health-start-period", .type = FLAG_DURATION, .usage = "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)"}, \
    {.name = "health-timeout", .type = FLAG_DURATION, .usage = "Maximum time to allow one check to run (ms|s|m|h) (default 0s)"}, \
    {.name = "help", .type = FLAG_BOOL, .usage = "Print usage"}, \
    {.name = "hostname", .shorthand = 'h', .type = FLAG_STRING, .usage = "Container host name"}, \
    {.name = "init", .type = FLAG_BOOL, .usage = "Run an init inside the container that forwards signals and reaps processes"}, \
    {.name = "interactive", .shorthand = 'i', .type = FLAG_BOOL, .usage = "Keep STDIN open even if not attached"}, \
    {.name = "io-maxbandwidth", .type = FLAG_BYTES, .usage = "Maximum IO bandwidth limit for the system drive (Windows only)", .hidden = true}, \
    {.name = "io-maxiops", .type = FLAG_INT, .usage = "Maximum IOps limit for the system drive (Windows only)", .hidden = true}, \
    {.name = "ip", .type = FLAG_STRING, .usage = "IPv4 address (e.g., 172.30.100.104)"}, \
    {.name = "ip6", .type = FLAG_STRING, .usage = "IPv6 address (e.g., 2001:db8::33)"}, \
    {.name = "ipc", .type = FLAG_STRING, .usage = "IPC mode to use"}, \
    {.name = "isolation", .type = FLAG_STRING, .usage = "Container isolation technology"}, \
    {.name = "kernel-memory", .type = FLAG_BYTES, .usage = "Kernel memory limit", .hidden = true}, \
    {.name = "label", .shorthand = 'l', .type = FLAG_LIST, .usage = "Set meta data on a container", .check = check_label}, \
    {.name = "label-file", .type = FLAG_LIST, .usage = "Read in a line delimited file of labels"}, \
    {.name = "link", .type = FLAG_LIST, .usage = "Add link to another container", .check = check_link}, \
    {.name = "link-local-ip", .type = FLAG_LIST, .usage = "Container IPv4/IPv6 link-local addresses"}, \
    {.name = "log-driver", .type = FLAG_STRING, .usage = "Logging driver for the container"}, \
    {.name = "log-opt", .type = FLAG_LIST, .usage = "Log driver options"}, \
    {.name = "mac-address", .type = FLAG_STRING, .usage = "Container MAC address (e.g., 92:d0:c6:0a:29:33)"}, \
    {.name = "memory", .shorthand = 'm', .type = FLAG_BYTES, .usage = "Memory limit"}, \
    {.name = "memory-reservation", .type = FLAG_BYTES, .usage = "Memory soft limit"}, \
    {.name = "memory-swap", .type = FLAG_SWAP, .usage = "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"}, \
    {.name = "memory-swappiness", .type = FLAG_INT, .usage = "Tune container memory swappiness (0 to 100)", .shown = "-1", .initial = "-1"}, \
    {.name = "mount", .type = FLAG_LIST, .type_name = "mount", .usage = "Attach a filesystem mount to the container", .check = check_mount}, \
    {.name = "name", .type = FLAG_STRING, .usage = "Assign a name to the container"}, \
    {.name = "net", .type = FLAG_LIST, .type_name = "network", .usage = "Connect a container to a network", .hidden = true, .alias_of = "network"}, \
    {.name = "net-alias", .type = FLAG_LIST, .usage = "Add network-scoped alias for the container", .hidden = true, .alias_of = "network-alias"}, \
    {.name = "network", .type = FLAG_LIST, .type_name = "network", .usage = "Connect a container to a network", .check = check_network}, \
    {.name = "network-alias", .type = FLAG_LIST, .usage = "Add network-scoped alias for the container"}, \
    {.name = "no-healthcheck", .type = FLAG_BOOL, .usage = "Disable any container-specified HEALTHCHECK"}, \
    {.name = "oom-kill-disable", .type = FLAG_BOOL, .usage = "Disable OOM Killer"}, \
    {.name = "oom-score-adj", .type = FLAG_INT, .usage = "Tune host's OOM preferences (-1000 to 1000)"}, \
    {.name = "pid", .type = FLAG_STRING, .usage = "PID namespace to use"}, \
    {.name = "pids-limit", .type = FLAG_INT, .usage = "Tune container pids limit (set -1 for unlimited)"}, \
    {.name = "platform", .type = FLAG_STRING, .usage = "Set platform if server is multi-platform capable"}, \
    {.name = "privileged", .type = FLAG_BOOL, .usage = "Give extended privileges to this container"}, \
    {.name = "publish", .shorthand = 'p', .type = FLAG_LIST, .usage = "Publish a container's port(s) to the host"}, \
    {.name = "publish-all", .shorthand = 'P', .type = FLAG_BOOL, .usage = "Publish all exposed ports to random ports"}, \
    {.name = "pull", .type = FLAG_STRING, .usage = pull_usage, .shown = "\"missing\"", .initial = "missing"}, \
    {.name = "quiet", .shorthand = 'q', .type = FLAG_BOOL, .usage = "Suppress the pull output"}, \
    {.name = "read-only", .type = FLAG_BOOL, .usage = "Mount the container's root filesystem as read only"}, \
    {.name = "restart", .type = FLAG_STRING, .usage = "Restart policy to apply when a container exits", .shown = "\"no\"", .initial = "no"}, \
    {.name = "rm", .type = FLAG_BOOL, .usage = "Automatically remove the container and its associated anonymous volumes when it exits"}, \
    {.name = "runtime", .type = FLAG_STRING, .usage = "Runtime to use for this container"}, \
    {.name = "security-opt", .type = FLAG_LIST, .usage = "Security Options"}, \
    {.name = "shm-size", .type = FLAG_BYTES, .usage = "Size of /dev/shm"}, \
    {.name = "stop-signal", .type = FLAG_STRING, .usage = "Signal to stop the container"}, \
    {.name = "stop-timeout", .type = FLAG_INT, .usage = "Timeout (in seconds) to stop a container"}, \
    {.name = "storage-opt", .type = FLAG_LIST, .usage = "Storage driver options for the container"}, \
    {.name = "sysctl", .type = FLAG_MAP, .usage = "Sysctl options", .shown = "map[]", .check = check_sysctl}, \
    {.name = "tmpfs", .type = FLAG_LIST, .usage = "Mount a tmpfs directory"}, \
    {.name = "tty", .shorthand = 't', .type = FLAG_BOOL, .usage = "Allocate a pseudo-TTY"}, \
    {.name = "ulimit", .type = FLAG_LIST, .type_name = "ulimit", .usage = "Ulimit options", .shown = "[]", .check = check_ulimit}, \
    {.name = "use-api-socket", .type = FLAG_BOOL, .usage = "Bind mount Docker API socket and required auth"}, \
    {.name = "user", .shorthand = 'u', .type = FLAG_STRING, .usage = "Username or UID (format: <name|uid>[:<group|gid>])"}, \
    {.name = "userns", .type = FLAG_STRING, .usage = "User namespace to use"}, \
    {.name = "uts", .type = FLAG_STRING, .usage = "UTS namespace to use"}, \
    {.name = "volume", .shorthand = 'v', .type = FLAG_LIST, .usage = "Bind mount a volume"}, \
    {.name = "volume-driver", .type = FLAG_STRING, .usage = "Optional volume driver for the container"}, \
    {.name = "volumes-from", .type = FLAG_LIST, .usage = "Mount volumes from the specified container(s)"}, \
    {.name = "workdir", .shorthand = 'w', .type = FLAG_STRING, .usage = "Working directory inside the container"}
/* clang-format on */

struct create_result {
    char *id;
    bool tty, interactive; /* what the body says */
    bool attach_stdin, attach_stdout, attach_stderr;
    bool auto_remove;
    bool bad_flags; /* the error is in the command line: the program's name goes before it */
};
void create_result_done(struct create_result *r);

/* The body of the create request for these flags; `detached` attaches nothing. */
int create_body(struct cli *cli, const struct args *a, bool detached, struct create_result *what,
                struct buf *body, struct err *e);
/* Prints why a container could not be created or started; the exit status that docker has for it.
 */
int create_failed(const struct cli *cli, const struct args *a, const struct err *e);
/* Creates the container, with the pull of a missing image and --cidfile. Warnings go to stderr.
 * After a failure only ret->bad_flags is set. */
int create_container(struct cli *cli, const struct args *a, bool detached,
                     struct create_result *ret, struct err *e);
/* Pulls `ref` and shows the progress on `fd`. */
int pull_image(struct cli *cli, const char *ref, const char *platform, bool quiet, bool all_tags,
               int fd, struct err *e);
/* Shows a stream of JSON messages (pull, push, load, import) on fd; the last "stream" or "status"
 * goes there too. An {"error"} in it is the error. */
int show_progress(struct exchange *x, int fd, bool quiet, struct err *e);

/* ---- pieces, with their own tests ----------------------------------------------------------- */

struct jw;
/* -p and --expose: the members of ExposedPorts (set, values NULL) and PortBindings (JSON text). */
struct json_object;
int ports_parse(char *const *publish, char *const *expose, struct json_object *exposed,
                struct json_object *bindings, struct err *e);
/* One --mount as an API object. */
int mount_parse(const char *spec, struct json_object **ret, struct err *e);
/* --network values, and the flags that go with the first. */
int networks_parse(const struct flags *f, struct json_object *endpoints, char **ret_mode,
                   struct err *e);
/* "a,b=\"c,d\"" split as a CSV record does. NULL with e set for a bad quote. */
char **csv_split(const char *s, struct err *e);
/* Lines NAME=value of files, then the list; `lookup`: a lone NAME takes the value of our own
 * environment. */
int read_kv(char *const *files, char *const *list, bool lookup, char ***ret, struct err *e);
int gpus_parse(char *const *specs, struct json_object *requests, struct err *e);
/* --ulimit nofile=1024:2048. */
int ulimit_parse(const char *spec, char **ret_name, int64_t *ret_soft, int64_t *ret_hard,
                 struct err *e);
