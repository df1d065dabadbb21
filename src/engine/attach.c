/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Attach clients. Their connections are handed to the monitor, which frames output and reads input
 * itself; fenced only remembers who is there. Clients that come before the start wait here and are
 * sent before the request goes to the spawner, so that they see the first byte.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/container.h"
#include "monitor/protocol.h"

#define PENDING_MAX 64

struct pending_attach {
    struct list node;
    struct attach_request request;
};

void attach_request_drop(struct attach_request *a) {
    buf_done(&a->early);
    a->fd = fd_close(a->fd);
}

int attach_request_send(struct monitor_link *link, uint64_t client, struct attach_request *a) {
    int r = monitor_link_attach(link, client, a->flags, a->keys, a->keys_len, a->early.data,
                                a->early.len, take_fd(&a->fd));

    attach_request_drop(a);
    return r;
}

void container_attach(struct container *c, struct attach_request *a) {
    struct pending_attach *p;
    size_t n = 0;

    if (c->link) {
        if (attach_request_send(c->link, ++c->next_client, a) == 0)
            container_event(c, "attach", NULL);
        return;
    }
    list_for_each (p, &c->pending, node)
        n++;
    if (n >= PENDING_MAX) {
        attach_request_drop(a);
        return;
    }
    p = xnew(struct pending_attach);
    p->request = *a;
    *a = (struct attach_request){.fd = -1};
    list_append(&c->pending, &p->node);
    container_event(c, "attach", NULL);
}

void container_attach_flush(struct container *c) {
    struct pending_attach *p, *tmp;

    list_for_each_safe (p, tmp, &c->pending, node) {
        (void)attach_request_send(c->link, ++c->next_client,
                                  &p->request); /* a lost monitor is reported by its link */
        list_remove(&p->node);
        free(p);
    }
}

void container_attach_drop(struct container *c) {
    struct pending_attach *p, *tmp;

    list_for_each_safe (p, tmp, &c->pending, node) {
        attach_request_drop(&p->request);
        list_remove(&p->node);
        free(p);
    }
}

void container_attach_client_end(struct container *c, uint64_t client, bool detached) {
    (void)client;
    if (detached)
        container_event(c, "detach", NULL);
}

int container_resize(struct container *c, int rows, int cols, struct err *e) {
    int r;

    if (!c->rec.running || !c->link)
        return err_set(e, ERR_CONFLICT, "Container %s is not running", c->rec.id);
    r = monitor_link_resize(c->link, rows, cols);
    if (r < 0)
        return err_sys(e, r, "cannot resize the terminal of container %s", c->rec.id);
    return 0;
}

static int one_key(const char *s, char *ret) {
    static const char others[] = "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_";
    const char *ctrl = str_after(s, "ctrl-");

    if (strlen(s) == 1) {
        *ret = *s;
        return 0;
    }
    if (!ctrl || strlen(ctrl) != 1)
        return -EINVAL;
    if (*ctrl >= 'a' && *ctrl <= 'z') {
        *ret = (char)(*ctrl - 'a' + 1);
        return 0;
    }
    if ((*ctrl >= 'A' && *ctrl <= 'Z') || !strchr(others, *ctrl))
        return -EINVAL;
    *ret = (char)(strchr(others, *ctrl) - others);
    return 0;
}

int detach_keys_parse(const char *s, char out[static 32], size_t *ret_len, struct err *e) {
    auto_strv keys = str_split(str_empty(s) ? "ctrl-p,ctrl-q" : s, ',');
    char bytes[32];
    size_t n = 0;

    strv_for_each (key, keys) {
        if (n == sizeof bytes || one_key(key, &bytes[n]) < 0)
            return err_set(e, ERR_INVALID, "Invalid escape keys (%s) provided", s);
        n++;
    }
    memcpy(out, bytes, n);
    *ret_len = n;
    return 0;
}
