/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of a container or an exec: a pty of the container's own devpts. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/setup.h"
#include "sys/mountfd.h"
#include "sys/path.h"

#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif

static int open_master(int root) {
    auto_fd master = path_open_in(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
    if (master < 0)
        return master;
    /* The container may have put anything there (exec): only the real one is asked for a slave. */
    struct statfs fs;
    if (fstatfs(master, &fs) < 0)
        return -errno;
    return fs.f_type == DEVPTS_SUPER_MAGIC ? take_fd(&master) : -ENOTTY;
}

static int bind_to_console(int root, int slave) {
    auto_fd target = path_mkfile_in(root, "/dev/console", 0600, (uid_t)-1, (gid_t)-1);
    if (target < 0)
        return target;
    auto_fd copy = sys_open_tree(slave, "", AT_EMPTY_PATH);
    return copy < 0 ? copy : sys_move_mount(copy, target, "");
}

int init_tty(struct init *b, bool bind_console, struct err *e) {
    auto_fd master = open_master(b->root);
    if (master < 0)
        return err_sys(e, master, "failed to open the container's terminal multiplexer");
    int unlocked = 0;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return err_sys(e, errno, "failed to unlock the terminal");
    auto_fd slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return err_sys(e, errno, "failed to open the terminal");
    const struct oci_box *box = b->s->request.spec.process.console_size;
    if (box && box->height && box->width) {
        struct winsize size = {.ws_row = (unsigned short)box->height,
                               .ws_col = (unsigned short)box->width};
        (void)ioctl(master, TIOCSWINSZ, &size); /* cosmetic */
    }
    if (bind_console) {
        int r = bind_to_console(b->root, slave);
        if (r < 0)
            return err_sys(e, r, "failed to bind the terminal to /dev/console");
    }
    int r = sync_send(b->sync, SYNC_TTY, master);
    if (r < 0)
        return err_sys(e, r, "failed to pass the terminal on");
    b->tty_slave = take_fd(&slave);
    return 0;
}
