/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A container: its record (what the database holds) and its life. Loop thread.
 *
 *   create.c     body -> record, directories, database
 *   start.c      record -> runtime request -> spawner -> MON_STARTED
 *   exit.c       MON_EXIT -> state, waiters, restart policy, --rm
 *   stop.c       signals, stop, kill, restart, pause
 *   clear.c      what is left of processes that nobody watched
 *   remove.c     rm, prune
 *   adopt.c      what a new daemon finds of the last one's containers
 *   attach.c     clients on stdio
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/list.h"
#include "engine/engine.h"
#include "engine/hostconfig.h"
#include "engine/monitor_link.h"
#include "engine/mounts_plan.h"
#include "image/ids.h"
#include "oci/container_config.h"

/* What survives the daemon. */
struct container_record {
    char *id, *name; /* name without the slash */
    char *image_id;  /* sha256:... */
    char *path;      /* program and arguments after entrypoint and cmd were joined */
    char **args;
    int64_t created_ns, started_ns, finished_ns;
    struct container_config config;
    struct host_config host;
    struct field_array mounts; /* struct mount_point */
    char **diff_ids;           /* of the image's layers, bottom first: they outlive its tags */
    char *image_platform;
    char **links;                 /* "id:alias", see links.h */
    struct field_array endpoints; /* struct endpoint: the networks it is, or will be, on */
    /* state */
    bool held; /* paused by us, for a commit: a daemon that dies meanwhile must not leave it so */
    bool running, paused, restarting, dead, oom_killed, manually_stopped, has_been_started;
    bool userns; /* runs in a user namespace of its own */
    int64_t pid, start_time, exit_code, restart_count;
    int64_t idmap_base;
    char *error;
    char **extra_ids;         /* ids above 65535 that its map has lines for, as decimal text */
    char *joined_userns;      /* id of the container whose user namespace it is in, or NULL */
    struct field_array ports; /* struct published_port, while it runs */
    char **warnings;          /* of create, for inspect and logs */
    char *process_label, *mount_label; /* of SELinux, or NULL */
};
extern const struct field_table container_record_table;
/* The part of it that a start decides, kept as <state dir>/runtime: a daemon that dies before it
 * has recorded the start leaves it to the next one there. */
extern const struct field_table container_runtime_table;

struct health;
struct container_wait;
struct pending_attach;
typedef void container_done(void *arg, struct err *e); /* e: class ERR_NONE on success */

struct container {
    struct engine *engine;
    struct container_record rec;
    bool removing;           /* shown as a state; start and exec are refused */
    bool keep;               /* `restart` of a --rm container: its exit does not remove it */
    bool starting;           /* a start is on its way: not removed, not ended */
    bool restart_starts;     /* the start is the restart policy's: still shown as restarting */
    bool start_repeated;     /* ... which is the second one of this start */
    bool start_watched;      /* ... and clients were handed over with it */
    unsigned spawner;        /* the one that has it */
    bool clearing;           /* its last processes and groups are on their way out */
    struct monitor_exit end; /* what is recorded when they are gone */
    bool committed;          /* the first database write is through */
    int pidfd;               /* of init while it runs, -1 otherwise */
    int api_fd;              /* its API socket until that is served, or -1 (api_socket.h) */
    struct monitor_link *link;
    struct list waiters;     /* struct container_wait */
    struct list pending;     /* struct pending_attach: clients before the start */
    struct list transitions; /* calls that wait for `starting` to end */
    struct list endings;     /* struct ending: stops, kills and restarts under way (stop.c) */
    uint64_t next_client;
    container_done *started; /* of the start under way */
    void *started_arg;
    struct loop_timer *restart_timer, *compress_timer;
    unsigned restart_delay_ms;
    struct health *health;
    struct list ended; /* descriptors of log followers (wait.c) */
};

/* ---- look-up -------------------------------------------------------------------------------- */
/* By full id, name (with or without slash), or unique id prefix; not while it is being created: its
 * name is taken then, but there is nothing yet that one could act on. ERR_NOT_FOUND "No such
 * container: X", ERR_INVALID for an ambiguous prefix. */
struct container *container_find(struct engine *eng, const char *ref, struct err *e);
const char *container_status(const struct container *c); /* "created", "running", ... */
/* Running in the sense of the API: a container that waits for its restart counts. */
bool container_is_running(const struct container *c);
/* Also while the restart policy starts it again: nobody sees it as exited in between. */
bool container_is_restarting(const struct container *c);
char *container_dir(const struct container *c);       /* <data>/containers/<id> */
char *container_state_dir(const struct container *c); /* <exec>/containers/<id> */
char *container_log_path(const struct container *c);
char *container_cgroup(const struct container *c); /* "/docker/<id>" */

/* How the owners of its files look from outside while it runs. */
void container_id_shift(const struct container *c, struct id_shift *ret);

/* Writes the record. done (may be NULL) when it is in the database. */
void container_save(struct container *c, void (*done)(void *arg, int r), void *arg);
/* "container" event with image, name and labels, and the pairs given ("exitCode", "0", NULL). */
void container_event(struct container *c, const char *action, ...) __attribute__((sentinel));
/* "volume" event "mount" or "unmount" for each of its volumes. */
void container_volume_events(struct container *c, const char *action);
/* Frees the object itself (adopt and remove only). */
void container_free(struct container *c);
struct container *container_new(struct engine *eng);

/* ---- life ----------------------------------------------------------------------------------- */
struct create_body;
struct create_result {
    struct container *container; /* NULL on failure */
    char **warnings;             /* borrowed */
};
/* body is emptied. name: NULL or "" makes one up; borrowed until the call returns. */
void container_create(struct engine *eng, struct create_body *body, const char *name,
                      void (*done)(void *arg, const struct create_result *r, struct err *e),
                      void *arg);
/* Binds in the -v form: a source that is missing is made, as a directory of root. ERR_INVALID for
 * one that must be there. */
int container_make_bind_sources(const struct container *c, struct err *e);
/* ERR_NOT_MODIFIED when it runs already. */
void container_start(struct container *c, container_done *done, void *arg);
void container_stop(struct container *c, const char *signal, int64_t timeout_s,
                    container_done *done, void *arg);
/* timeout_s: INT64_MIN means the container's own or 10 s; negative: no limit. */
#define CONTAINER_TIMEOUT_DEFAULT INT64_MIN
void container_restart(struct container *c, const char *signal, int64_t timeout_s,
                       container_done *done, void *arg);
/* The daemon ends: a stop that the restart policy does not take for the user's. */
void container_shutdown(struct container *c, container_done *done, void *arg);
/* The grace of stops that are under way is over: SIGKILL. */
void container_hurry(struct container *c);
/* Forgets what is under way without calling anybody; the engine closes. */
void container_drop_endings(struct container *c);
/* KILL waits until it is dead. */
void container_kill(struct container *c, const char *signal, container_done *done, void *arg);
int container_pause(struct container *c, struct err *e);
int container_unpause(struct container *c, struct err *e);
/* After a daemon died: the processes are as the record says, which it wrote before or after it
 * froze or thawed them. */
void container_adopt_pause(struct container *c);
struct remove_options {
    bool force, volumes;
};
void container_remove(struct container *c, struct remove_options o, container_done *done,
                      void *arg);
int container_rename(struct container *c, const char *name, struct err *e);
/* Kills whatever runs in it and removes its control groups, then done(c) (clear.c). Calls that wait
 * for the container to settle wait for that too. */
void container_clear(struct container *c, void (*done)(struct container *c));
/* The same at once, at start-up; false: something needs more time. */
bool container_clear_now(struct container *c);

/* ---- waiting -------------------------------------------------------------------------------- */
enum wait_condition { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };
struct wait_result {
    int64_t exit_code;
    const char *error; /* "" without */
};
/* May call back at once. The handle is good until the callback or container_wait_cancel; NULL when
 * the callback has run already. */
struct container_wait *container_wait(struct container *c, enum wait_condition cond,
                                      void (*cb)(void *arg, const struct wait_result *r),
                                      void *arg);
void container_wait_cancel(struct container_wait *w);
void container_wake(struct container *c, enum wait_condition cond);
/* An eventfd that becomes readable when the container has stopped (log followers). The descriptor
 * is the caller's until container_ended_forget, which closes it; the container may have gone. */
int container_ended_fd(struct container *c);
void container_ended_forget(struct engine *eng, const char *id, int fd);
void container_signal_ended(struct container *c);

/* ---- stdio ---------------------------------------------------------------------------------- */
struct attach_request {
    unsigned flags; /* enum mon_attach_flags */
    char keys[32];
    size_t keys_len;
    struct buf early; /* input that came with the request, moved */
    int fd;           /* the client's connection, moved */
};
void attach_request_drop(struct attach_request *a);
/* Running: at once; not running: as soon as it starts. */
void container_attach(struct container *c, struct attach_request *a);
/* The same on any monitor's link (exec). */
int attach_request_send(struct monitor_link *link, uint64_t client, struct attach_request *a);
int container_resize(struct container *c, int rows, int cols, struct err *e);
void container_attach_flush(struct container *c); /* after the spawner request */
void container_attach_client_end(struct container *c, uint64_t client, bool detached);
void container_attach_drop(struct container *c); /* closes pending clients */
/* "ctrl-p,ctrl-q" -> bytes. ERR_INVALID in Docker's words. NULL or "": the default. */
int detach_keys_parse(const char *s, char out[static 32], size_t *ret_len, struct err *e);

/* ---- between the files above ----------------------------------------------------------------- */
extern const struct monitor_events container_monitor_events; /* arg: struct container * */
/* The process has ended (or never was): state, event, waiters, restart policy. */
void container_on_exit(struct container *c, const struct monitor_exit *x);
void container_end_cleared(struct container *c);     /* records c->end */
void container_release_runtime(struct container *c); /* addresses, ports, id range, pidfd, link */
void container_release_process(struct container *c); /* the last three */
/* Runs fn(c, arg) when no start is under way. */
void container_when_settled(struct container *c, void (*fn)(struct container *c, void *arg),
                            void *arg);
void container_settled(struct container *c);
bool container_should_restart(const struct container *c, int64_t exit_code, bool daemon_start);
/* The start under way has ended without a result. If that was because the spawner died, it is made
 * once more: 0 then. */
int container_start_again(struct container *c, struct err *e);
void container_schedule_restart(struct container *c);
/* --rm: its end, or a start that failed, takes it away. */
void container_auto_remove(struct container *c);
