/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/str.h"
#include "format/json.h"

int session_attach(struct client *c, const char *object, const struct stream *s,
                   const char *detach_keys, struct exchange *x, struct err *e) {
    auto_free char *path = xasprintf("%s/attach", object);
    auto_buf query = BUF_INIT;
    struct request request = {
        .method = "POST", .path = path, .content_type = "text/plain", .upgrade = true};
    int r;

    if (!str_empty(detach_keys))
        query_add(&query, "detachKeys", detach_keys);
    if (s->err)
        query_add(&query, "stderr", "1");
    if (s->in)
        query_add(&query, "stdin", "1");
    if (s->out)
        query_add(&query, "stdout", "1");
    query_add(&query, "stream", "1");
    request.query = buf_str(&query);
    r = exchange_open(x, c, &request, e);
    if (r == 0 && x->status != 101 && x->status != 200)
        r = err_set(e, ERR_SYSTEM, "unable to upgrade to tcp, received %d", x->status);
    x->request = (struct request){0}; /* its path and query end here */
    return r;
}

int session_wait(struct client *c, const char *object, const char *condition, struct exchange *x,
                 struct err *e) {
    auto_free char *path = xasprintf("%s/wait", object);
    auto_buf query = BUF_INIT;
    struct request request = {.method = "POST", .path = path};
    int r;

    if (condition)
        query_add(&query, "condition", condition);
    request.query = buf_str(&query);
    /* The daemon sends the headers at once: only then is it sure to see the exit. */
    r = exchange_open(x, c, &request, e);
    x->request = (struct request){.method = "POST"};
    return r;
}

int session_status(struct exchange *wait, int *ret, struct err *e) {
    auto_buf body = BUF_INIT;
    auto_json *answer = NULL;
    const char *message;
    int r = exchange_read_all(wait, &body, e);

    if (r == 0)
        r = client_parse_json(buf_str(&body), body.len, &answer, e);
    if (r < 0)
        return r;
    message = jsn_str(jsn_get(answer, "Error"), "Message");
    if (!str_empty(message))
        fprintf(stderr, "Error waiting for container: %s\n", message);
    *ret = str_empty(message) ? (int)(jsn_int(answer, "StatusCode", 0) & 0xff) : 125;
    return 0;
}

int session_wait_fd(const struct exchange *wait) {
    return wait->in_pos < wait->in.len ? -1 : wait->fd;
}
