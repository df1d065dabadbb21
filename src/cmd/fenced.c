/* SPDX-License-Identifier: Apache-2.0 */

/* fenced: the daemon. */
#include <stdio.h>

#include "api/daemon.h"

int main(int argc, char **argv) {
    struct daemon_options o;
    struct err e = ERR_INIT;
    int status = 0;

    daemon_options_init(&o);
    if (daemon_options_load(&o, argc, argv, &e) < 0) {
        fprintf(stderr, "%s\nSee 'fenced --help'.\n", err_msg(&e));
        status = 1;
    } else if (o.help) {
        daemon_options_usage();
    } else if (o.version) {
        printf("Fence version %s\n", FENCE_VERSION);
    } else if (o.validate) {
        printf("configuration OK\n");
    } else {
        status = daemon_run(&o);
    }
    err_done(&e);
    daemon_options_done(&o);
    return status;
}
