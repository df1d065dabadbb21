/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/linkhash.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/gotmpl_value.h"

/* Enough for any real format, and an end for range in range in range over a long list. */
#define STEPS_MAX 50000000

struct variable {
    const char *name;
    struct value value;
};

struct run {
    const struct gotmpl *t;
    const struct gotmpl_options *o;
    struct scratch scratch;
    struct variable *vars;
    size_t var_count;
    struct value root;
    struct buf *out;
    struct err *e;
    uint64_t steps;
};

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

static int fail(struct run *r, int pos, const char *source, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(struct run *r, int pos, const char *source, const char *fmt, ...) {
    enum { context_max = 20 };
    auto_buf text = BUF_INIT;
    int line, column;
    va_list ap;

    gotmpl_position(r->t->source, pos, &line, &column);
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    return err_set(r->e, ERR_INVALID, "template: :%d:%d: executing \"\" at <%.*s%s>: %s", line,
                   column, strlen(source) > context_max ? context_max : (int)strlen(source), source,
                   strlen(source) > context_max ? "..." : "", buf_str(&text));
}

static int eval_pipe(struct run *r, const struct value *dot, const struct pipe *p,
                     struct value *ret);

static int member(struct run *r, const struct arg *a, const struct value *from, const char *name,
                  struct value *ret) {
    struct json_object *o;
    enum gotmpl_shape shape;

    switch (from->kind) {
    case V_ABSENT:
        *ret = *from;
        return 0;
    case V_NULL:
        if (from->shape == SHAPE_MAP) {
            *ret = (struct value){.kind = V_ABSENT};
            return 0;
        }
        if (from->left_out)
            return fail(r, a->pos, a->source, "map has no entry for key \"%s\"", from->name);
        return fail(r, a->pos, a->source, "nil pointer evaluating interface {}.%s", name);
    case V_BOOL:
    case V_INT:
    case V_FLOAT:
    case V_STRING:
        return fail(r, a->pos, a->source, "can't evaluate field %s in type %s", name,
                    r->o->type_name ? value_type(from) : "interface {}");
    case V_JSON:
        break;
    }
    if (!json_object_is_type(from->json, json_type_object))
        return fail(r, a->pos, a->source, "can't evaluate field %s in type %s", name,
                    value_type(from));
    if (json_object_object_get_ex(from->json, name, &o)) {
        *ret = value_child(from, name, o);
        return 0;
    }
    if (from->row)
        return fail(r, a->pos, a->source, "can't evaluate field %s in type %s", name,
                    r->o->type_name);
    if (from->shape == SHAPE_MAP) {
        *ret = (struct value){.kind = V_ABSENT};
        return 0;
    }
    /* Go's name of a member and the API's differ in case at most: ID and Id. */
    if (*name >= 'A' && *name <= 'Z') {
        json_object_object_foreach(from->json, key, val) {
            if (strcasecmp(key, name) == 0) {
                *ret = value_child(from, key, val);
                return 0;
            }
        }
    }
    if (gotmpl_optional(from->json == r->root.json ? NULL : str_or_empty(from->name), name,
                        &shape)) {
        *ret = shape == SHAPE_TEXT
                   ? value_text("")
                   : (struct value){.kind = V_NULL, .shape = shape, .name = name, .left_out = true};
        return 0;
    }
    return fail(r, a->pos, a->source, "map has no entry for key \"%s\"", name);
}

static int follow(struct run *r, const struct arg *a, const struct value *from, size_t skip,
                  struct value *ret) {
    struct value v = *from;

    for (char **name = a->chain ? a->chain + skip : NULL; name && *name; name++) {
        int n = member(r, a, &v, *name, &v);

        if (n < 0)
            return n;
    }
    *ret = v;
    return 0;
}

static struct variable *find_var(struct run *r, const char *name) {
    for (size_t i = r->var_count; i > 0; i--)
        if (strcmp(r->vars[i - 1].name, name) == 0)
            return &r->vars[i - 1];
    return NULL;
}

static int eval_arg(struct run *r, const struct value *dot, const struct arg *a,
                    struct value *ret) {
    struct value v = {.kind = V_ABSENT};
    int n = 0;

    switch (a->kind) {
    case ARG_DOT:
        *ret = *dot;
        return 0;
    case ARG_FIELD:
        return follow(r, a, dot, 0, ret);
    case ARG_VARIABLE: {
        const struct variable *var = find_var(r, a->text);

        return follow(r, a, var ? &var->value : &v, 0, ret);
    }
    case ARG_PIPE:
        n = eval_pipe(r, dot, a->pipe, &v);
        return n < 0 ? n : follow(r, a, &v, 0, ret);
    case ARG_FUNCTION: {
        auto_err why = ERR_INIT;

        if (gotmpl_call(&r->scratch, r->o, a->text, NULL, 0, &v, &why) < 0)
            return fail(r, a->pos, a->source, "%s", err_msg(&why));
        *ret = v;
        return 0;
    }
    case ARG_STRING:
        *ret = value_text(a->text);
        return 0;
    case ARG_INT:
        *ret = value_int(a->number);
        return 0;
    case ARG_FLOAT:
        *ret = (struct value){.kind = V_FLOAT, .real = a->real};
        return 0;
    case ARG_BOOL:
        *ret = value_bool(a->number != 0);
        return 0;
    case ARG_NIL:
        *ret = (struct value){.kind = V_NULL, .shape = SHAPE_POINTER};
        return 0;
    }
    return -EINVAL;
}

/* .Label "x": the only methods that formatter rows have. */
static int call_method(struct run *r, const struct value *dot, const struct command_node *c,
                       const struct value *final, struct value *ret) {
    const struct arg *a = &c->args[0];
    struct value arg;
    char *text;
    int n;

    if (a->kind == ARG_FIELD && dot->kind == V_JSON && strv_len(a->chain) == 1 &&
        json_object_object_get_ex(dot->json, a->chain[0], NULL) && dot->row)
        return fail(r, a->pos, a->source, "wrong number of args for %s: want 0 got %zu",
                    a->chain[0], c->count - 1 + (final != NULL));
    if (a->kind != ARG_FIELD || strv_len(a->chain) != 1 || !dot->row || !r->o->method ||
        c->count + (final != NULL) != 2)
        return fail(r, a->pos, a->source, "%s has arguments but cannot be invoked as function",
                    a->chain ? a->chain[0] : a->source);
    if (final) {
        arg = *final;
    } else {
        n = eval_arg(r, dot, &c->args[1], &arg);
        if (n < 0)
            return n;
    }
    text = arg.kind == V_STRING ? r->o->method(r->o->extra, a->chain[0], arg.text) : NULL;
    if (!text)
        return fail(r, a->pos, a->source, "can't evaluate field %s in type %s", a->chain[0],
                    r->o->type_name);
    *ret = value_text(scratch_text(&r->scratch, text));
    return 0;
}

static int call_function(struct run *r, const struct value *dot, const struct command_node *c,
                         const struct value *final, struct value *ret) {
    enum { args_max = 64 };
    struct value args[args_max];
    auto_err why = ERR_INIT;
    size_t count = 0;
    const char *name = c->args[0].text;
    bool is_and = strcmp(name, "and") == 0, lazy = is_and || strcmp(name, "or") == 0;

    if (c->count + 1 > args_max)
        return fail(r, c->pos, c->source, "too many arguments for %s", name);
    for (size_t i = 1; i < c->count; i++) {
        int n = eval_arg(r, dot, &c->args[i], &args[count++]);

        if (n < 0)
            return n;
        /* "and" and "or" stop at the first operand that decides */
        if (lazy && value_true(&args[count - 1]) != is_and) {
            *ret = args[count - 1];
            return 0;
        }
    }
    if (final)
        args[count++] = *final;
    switch (gotmpl_call(&r->scratch, r->o, name, args, count, ret, &why)) {
    case 0:
        return 0;
    case -E2BIG: /* reported at the function's name */
        return fail(r, c->args[0].pos, name, "%s", err_msg(&why));
    default:
        return fail(r, c->args[0].pos, c->source, "%s", err_msg(&why));
    }
}

static int eval_command(struct run *r, const struct value *dot, const struct command_node *c,
                        const struct value *final, struct value *ret) {
    const struct arg *first = &c->args[0];
    int n;

    if (++r->steps > STEPS_MAX)
        return fail(r, c->pos, c->source, "the template runs for too long");
    if (first->kind == ARG_FUNCTION) {
        struct value v;

        n = call_function(r, dot, c, final, &v);
        return n < 0 ? n : follow(r, first, &v, 0, ret);
    }
    if (first->kind == ARG_NIL)
        return fail(r, first->pos, first->source, "nil is not a command");
    if (c->count == 1 && !final)
        return eval_arg(r, dot, first, ret);
    if (first->kind == ARG_FIELD)
        return call_method(r, dot, c, final, ret);
    return fail(r, first->pos, first->source, "can't give argument to non-function %s",
                first->source);
}

static int push_var(struct run *r, const char *name, const struct value *v) {
    r->vars = xreallocarray(r->vars, r->var_count + 1, sizeof *r->vars);
    r->vars[r->var_count++] = (struct variable){name, *v};
    return 0;
}

static int eval_pipe(struct run *r, const struct value *dot, const struct pipe *p,
                     struct value *ret) {
    struct value v = {.kind = V_ABSENT};

    for (size_t i = 0; i < p->count; i++) {
        struct value next;
        int n = eval_command(r, dot, &p->commands[i], i > 0 ? &v : NULL, &next);

        if (n < 0)
            return n;
        v = next;
    }
    *ret = v;
    return 0;
}

/* The declared variables of a pipeline that is not range's. */
static void declare(struct run *r, const struct pipe *p, const struct value *v) {
    for (int i = 0; i < p->var_count; i++) {
        struct variable *old = p->assign ? find_var(r, p->vars[i]) : NULL;

        if (old)
            old->value = *v;
        else
            (void)push_var(r, p->vars[i], v);
    }
}

static int exec_list(struct run *r, const struct value *dot, const struct node *n, enum flow *flow);

static int range_step(struct run *r, const struct node *n, struct value *key, struct value *item,
                      enum flow *flow) {
    size_t mark = r->var_count;
    int result;

    if (n->pipe->var_count == 1) {
        declare(r, n->pipe, item);
    } else if (n->pipe->var_count == 2) {
        const struct value *values[] = {key, item};

        for (int i = 0; i < 2; i++) {
            struct variable *old = n->pipe->assign ? find_var(r, n->pipe->vars[i]) : NULL;

            if (old)
                old->value = *values[i];
            else
                (void)push_var(r, n->pipe->vars[i], values[i]);
        }
    }
    result = exec_list(r, item, n->body, flow);
    r->var_count = mark;
    return result;
}

static int exec_range(struct run *r, const struct value *dot, const struct node *n) {
    const struct arg *first = &n->pipe->commands[0].args[0];
    enum flow flow = FLOW_NEXT, outer = FLOW_NEXT;
    struct value over;
    int result = eval_pipe(r, dot, n->pipe, &over);
    bool is_object;
    int64_t count;

    if (result < 0)
        return result;
    is_object = over.kind == V_JSON && json_object_is_type(over.json, json_type_object);
    count = over.kind == V_INT ? over.number : over.kind == V_STRING ? -1 : value_len(&over);
    if (over.kind == V_NULL || over.kind == V_ABSENT)
        count = 0;
    if (count < 0 && over.kind != V_INT)
        return fail(r, first->pos, first->source, "range can't iterate over %s",
                    over.kind == V_STRING ? over.text : value_type(&over));
    if (count <= 0)
        return n->otherwise ? exec_list(r, dot, n->otherwise, &outer) : 0;
    if (is_object) {
        auto_free const char **keys = json_sorted_keys(over.json);

        for (const char **k = keys; *k && result == 0 && flow != FLOW_BREAK; k++) {
            struct value key = value_text(*k);
            struct value item = value_of_json(json_object_object_get(over.json, *k), *k, true);

            flow = FLOW_NEXT;
            result = range_step(r, n, &key, &item, &flow);
        }
        return result;
    }
    for (int64_t i = 0; i < count && result == 0 && flow != FLOW_BREAK; i++) {
        struct value key = value_int(i);
        struct value item =
            over.kind == V_INT
                ? key
                : value_of_json(json_object_array_get_idx(over.json, (size_t)i), NULL, true);

        if (++r->steps > STEPS_MAX)
            return fail(r, first->pos, first->source, "the template runs for too long");
        flow = FLOW_NEXT;
        result = range_step(r, n, &key, &item, &flow);
    }
    return result;
}

static int exec_action(struct run *r, const struct value *dot, const struct node *n) {
    struct value v;
    int result = eval_pipe(r, dot, n->pipe, &v);

    if (result < 0)
        return result;
    declare(r, n->pipe, &v);
    if (n->pipe->var_count == 0)
        value_print(&v, r->out);
    return 0;
}

static int exec_branch(struct run *r, const struct value *dot, const struct node *n,
                       enum flow *flow) {
    size_t mark = r->var_count;
    struct value v;
    int result = eval_pipe(r, dot, n->pipe, &v);

    if (result < 0)
        return result;
    declare(r, n->pipe, &v);
    if (value_true(&v))
        result = exec_list(r, n->kind == NODE_WITH ? &v : dot, n->body, flow);
    else
        result = exec_list(r, dot, n->otherwise, flow);
    r->var_count = mark;
    return result;
}

static int exec_list(struct run *r, const struct value *dot, const struct node *n,
                     enum flow *flow) {
    size_t mark = r->var_count;
    int result = 0;

    for (; n && result == 0 && *flow == FLOW_NEXT; n = n->next) {
        switch (n->kind) {
        case NODE_TEXT:
            buf_append(r->out, n->text, n->text_len);
            break;
        case NODE_ACTION:
            result = exec_action(r, dot, n);
            break;
        case NODE_IF:
        case NODE_WITH:
            result = exec_branch(r, dot, n, flow);
            break;
        case NODE_RANGE:
            result = exec_range(r, dot, n);
            break;
        case NODE_BREAK:
            *flow = FLOW_BREAK;
            break;
        case NODE_CONTINUE:
            *flow = FLOW_CONTINUE;
            break;
        }
        if (r->out->failed)
            result = err_set(r->e, ERR_TOO_LARGE, "template: the output is too long");
    }
    r->var_count = mark;
    return result;
}

int gotmpl_exec(const struct gotmpl *t, struct json_object *data, const struct gotmpl_options *o,
                struct buf *out, struct err *e) {
    struct run r = {.t = t, .o = o, .out = out, .e = e};
    enum flow flow = FLOW_NEXT;
    int result;

    r.root = value_of_json(data, NULL, false);
    r.root.row = o->type_name && !o->header && r.root.kind == V_JSON;
    if (o->header)
        r.root.shape = SHAPE_MAP;
    (void)push_var(&r, "$", &r.root);
    result = exec_list(&r, &r.root, t->nodes, &flow);
    scratch_done(&r.scratch);
    free(r.vars);
    return result;
}
