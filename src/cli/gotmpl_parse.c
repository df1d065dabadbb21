/* SPDX-License-Identifier: Apache-2.0 */
/* Recursive descent over the text itself: the grammar is small enough to do without tokens. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/gotmpl_ast.h"

struct parser {
    const char *source, *p, *end;
    char **vars; /* in scope */
    unsigned depth, loops;
    struct err *e;
};

void gotmpl_position(const char *source, int pos, int *ret_line, int *ret_column) {
    int line = 1, column = 0;

    for (int i = 0; i < pos; i++) {
        column++;
        if (source[i] == '\n') {
            line++;
            column = 0;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

static int fail(struct parser *ps, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct parser *ps, const char *fmt, ...) {
    auto_buf text = BUF_INIT;
    int line, column;
    va_list ap;

    gotmpl_position(ps->source, (int)(ps->p - ps->source), &line, &column);
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    return err_set(ps->e, ERR_INVALID, "template: :%d: %s", line, buf_str(&text));
}

static void pipe_free(struct pipe *p);

static void arg_done(struct arg *a) {
    free(a->text);
    strv_free(a->chain);
    free(a->source);
    pipe_free(a->pipe);
}

static void pipe_free(struct pipe *p) {
    if (!p)
        return;
    free(p->vars[0]);
    free(p->vars[1]);
    for (size_t i = 0; i < p->count; i++) {
        for (size_t j = 0; j < p->commands[i].count; j++)
            arg_done(&p->commands[i].args[j]);
        free(p->commands[i].args);
        free(p->commands[i].source);
    }
    free(p->commands);
    free(p);
}

static void nodes_free(struct node *n) {
    while (n) {
        struct node *next = n->next;

        free(n->text);
        pipe_free(n->pipe);
        nodes_free(n->body);
        nodes_free(n->otherwise);
        free(n);
        n = next;
    }
}

void gotmpl_free(struct gotmpl *t) {
    if (!t)
        return;
    nodes_free(t->nodes);
    free(t->source);
    free(t);
}

static bool is_word(char c) {
    return c == '_' || isalnum((unsigned char)c) || (c & 0x80);
}

static void skip_space(struct parser *ps) {
    while (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\r' || *ps->p == '\n')
        ps->p++;
}

/* At "}}" or "-}}" of an action. */
static bool at_close(const struct parser *ps) {
    if (str_starts(ps->p, "}}"))
        return true;
    return str_starts(ps->p, "-}}") && ps->p > ps->source && isspace((unsigned char)ps->p[-1]);
}

/* Passes "}}"; with trimming, the blanks behind it too. */
static void pass_close(struct parser *ps) {
    bool trim = *ps->p == '-';

    ps->p += trim ? 3 : 2;
    if (trim)
        skip_space(ps);
}

static char *word(struct parser *ps) {
    const char *start = ps->p;

    while (is_word(*ps->p))
        ps->p++;
    return xstrndup(start, (size_t)(ps->p - start));
}

static void put_utf8(struct buf *b, unsigned long c) {
    if (c < 0x80) {
        buf_putc(b, (char)c);
    } else if (c < 0x800) {
        buf_putc(b, (char)(0xc0 | c >> 6));
        buf_putc(b, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_putc(b, (char)(0xe0 | c >> 12));
        buf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_putc(b, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_putc(b, (char)(0xf0 | (c >> 18 & 7)));
        buf_putc(b, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_putc(b, (char)(0x80 | (c & 0x3f)));
    }
}

static bool hex_escape(struct parser *ps, int digits, struct buf *out, bool byte) {
    char text[9] = {0}, *end;
    unsigned long v;

    for (int i = 0; i < digits; i++) {
        if (!isxdigit((unsigned char)ps->p[i]))
            return false;
        text[i] = ps->p[i];
    }
    v = strtoul(text, &end, 16);
    ps->p += digits;
    if (byte)
        buf_putc(out, (char)v);
    else if (v > 0x10ffff)
        return false;
    else
        put_utf8(out, v);
    return true;
}

static bool escape_sequence(struct parser *ps, struct buf *out) {
    static const char names[] = "abfnrtv\\\"'", values[] = "\a\b\f\n\r\t\v\\\"'";
    const char *at;
    char c = *ps->p;

    if (c && (at = strchr(names, c))) {
        ps->p++;
        return buf_putc(out, values[at - names]);
    }
    if (c == 'x' || c == 'u' || c == 'U') {
        ps->p++;
        return hex_escape(ps, c == 'x' ? 2 : c == 'u' ? 4 : 8, out, c == 'x');
    }
    if (c >= '0' && c <= '7' && ps->p[1] >= '0' && ps->p[1] <= '7' && ps->p[2] >= '0' &&
        ps->p[2] <= '7') {
        buf_putc(out, (char)((c - '0') * 64 + (ps->p[1] - '0') * 8 + (ps->p[2] - '0')));
        ps->p += 3;
        return true;
    }
    return false;
}

/* A "quoted", `raw` or 'c' constant. */
static int parse_quoted(struct parser *ps, struct arg *a) {
    char quote = *ps->p++;
    const char *start = ps->p;
    auto_buf text = BUF_INIT;

    while (*ps->p != quote) {
        if (*ps->p == '\0' || (quote != '`' && *ps->p == '\n')) {
            return fail(ps, quote == '`'   ? "unterminated raw quoted string"
                            : quote == '"' ? "unterminated quoted string"
                                           : "unterminated character constant");
        }
        if (*ps->p == '\\' && quote != '`') {
            ps->p++;
            if (!escape_sequence(ps, &text))
                return fail(ps, "invalid syntax");
        } else {
            buf_putc(&text, *ps->p++);
        }
    }
    ps->p++;
    if (quote == '\'') {
        if (text.len == 0 || (!(text.data[0] & 0x80) && text.len != 1))
            return fail(ps, "malformed character constant: %.*s", (int)(ps->p - start + 1),
                        start - 1);
        a->kind = ARG_INT;
        a->number = (unsigned char)text.data[0];
        return 0;
    }
    a->kind = ARG_STRING;
    a->text = buf_take(&text);
    return 0;
}

static int parse_number(struct parser *ps, struct arg *a) {
    const char *start = ps->p;
    auto_free char *text = NULL;
    char *end;

    if (*ps->p == '+' || *ps->p == '-')
        ps->p++;
    while (is_word(*ps->p) || *ps->p == '.' ||
           ((*ps->p == '+' || *ps->p == '-') && strchr("eE", ps->p[-1])))
        ps->p++;
    text = xstrndup(start, (size_t)(ps->p - start));
    errno = 0;
    a->number = strtoll(text, &end, 0);
    a->kind = ARG_INT;
    if (*end || errno || end == text) {
        a->real = strtod(text, &end);
        a->kind = ARG_FLOAT;
        if (*end || end == text)
            return fail(ps, "bad number syntax: \"%s\"", text);
    }
    return 0;
}

static struct pipe *parse_pipe(struct parser *ps, const char *context, bool in_parens);

static int parse_chain(struct parser *ps, struct arg *a) {
    while (*ps->p == '.' && is_word(ps->p[1])) {
        /* Go reports errors of .A.B at the second field. */
        if (a->kind == ARG_FIELD && strv_len(a->chain) == 1)
            a->pos = (int)(ps->p - ps->source);
        ps->p++;
        strv_take(&a->chain, word(ps));
    }
    return 0;
}

static bool name_is(const struct arg *a, const char *name) {
    return a->text && strcmp(a->text, name) == 0;
}

static int parse_word(struct parser *ps, struct arg *a) {
    a->text = word(ps);
    if (name_is(a, "true") || name_is(a, "false")) {
        a->kind = ARG_BOOL;
        a->number = name_is(a, "true");
    } else if (name_is(a, "nil")) {
        a->kind = ARG_NIL;
    } else {
        a->kind = ARG_FUNCTION;
        if (!gotmpl_has_function(a->text))
            return fail(ps, "function \"%s\" not defined", a->text);
    }
    return 0;
}

static int parse_variable(struct parser *ps, struct arg *a) {
    const char *start = ps->p++;

    while (is_word(*ps->p))
        ps->p++;
    a->kind = ARG_VARIABLE;
    a->text = xstrndup(start, (size_t)(ps->p - start));
    if (!strv_has(ps->vars, a->text))
        return fail(ps, "undefined variable \"%s\"", a->text);
    return 0;
}

static int parse_arg(struct parser *ps, struct arg *a) {
    const char *start = ps->p;
    char c = *start;
    int r = 0;

    a->pos = (int)(start - ps->source);
    if (c == '.' && is_word(start[1]) && !isdigit((unsigned char)start[1])) {
        a->kind = ARG_FIELD;
        ps->p++;
        strv_take(&a->chain, word(ps));
    } else if (c == '.' && !isdigit((unsigned char)start[1])) {
        a->kind = ARG_DOT;
        ps->p++;
    } else if (c == '$') {
        r = parse_variable(ps, a);
    } else if (c == '"' || c == '`' || c == '\'') {
        r = parse_quoted(ps, a);
    } else if (c == '(') {
        if (++ps->depth > GOTMPL_DEPTH_MAX)
            return fail(ps, "max expression depth exceeded");
        ps->p++;
        a->kind = ARG_PIPE;
        a->pipe = parse_pipe(ps, "parenthesized pipeline", true);
        ps->depth--;
        if (!a->pipe)
            return -EINVAL;
    } else if (isdigit((unsigned char)c) || c == '+' || c == '-' || c == '.') {
        r = parse_number(ps, a);
    } else if (is_word(c)) {
        r = parse_word(ps, a);
    } else if (c == '\0') {
        r = fail(ps, "unclosed action");
    } else if (isprint((unsigned char)c)) {
        r = fail(ps, "unexpected \"%c\" in operand", c);
    } else {
        r = fail(ps, "unrecognized character in action: U+%04X", (unsigned char)c);
    }
    if (r == 0)
        r = parse_chain(ps, a);
    a->source = xstrndup(start, (size_t)(ps->p - start));
    return r;
}

/* One command: operands separated by blanks. */
static int parse_command(struct parser *ps, struct command_node *cmd, bool in_parens) {
    const char *start = ps->p, *end = start;
    int r = 0;

    cmd->pos = (int)(start - ps->source);
    for (;;) {
        skip_space(ps);
        if (*ps->p == '|' && cmd->count == 0) {
            r = fail(ps, "unexpected \"|\" in command");
            break;
        }
        if (*ps->p == '|' || at_close(ps) || (in_parens && *ps->p == ')'))
            break;
        if (*ps->p == '\0') {
            r = fail(ps, "unclosed action");
            break;
        }
        if (cmd->count > 0 && end == ps->p) {
            r = *ps->p == ')' ? fail(ps, "unexpected right paren")
                              : fail(ps, "unexpected \"%c\" in operand", *ps->p);
            break;
        }
        cmd->args = xreallocarray(cmd->args, cmd->count + 1, sizeof *cmd->args);
        cmd->args[cmd->count] = (struct arg){0};
        r = parse_arg(ps, &cmd->args[cmd->count++]);
        end = ps->p;
        if (r < 0)
            break;
    }
    cmd->source = xstrndup(start, (size_t)(end - start));
    return r;
}

/* "$a, $b :=" or "$a =", when it is there. */
static int parse_declaration(struct parser *ps, struct pipe *pipe, const char *context) {
    const char *start = ps->p;
    bool is_range = str_eq(context, "range");

    while (*ps->p == '$' && pipe->var_count < 2) {
        const char *name = ps->p++;

        while (is_word(*ps->p))
            ps->p++;
        pipe->vars[pipe->var_count++] = xstrndup(name, (size_t)(ps->p - name));
        skip_space(ps);
        if (*ps->p == ',' && is_range && pipe->var_count == 1) {
            ps->p++;
            skip_space(ps);
            continue;
        }
        if (str_starts(ps->p, ":=") || (*ps->p == '=' && ps->p[1] != '=')) {
            pipe->assign = *ps->p == '=';
            ps->p += pipe->assign ? 1 : 2;
            for (int i = 0; i < pipe->var_count; i++) {
                if (pipe->assign && !strv_has(ps->vars, pipe->vars[i]))
                    return fail(ps, "undefined variable \"%s\"", pipe->vars[i]);
                if (!pipe->assign)
                    strv_add(&ps->vars, pipe->vars[i]);
            }
            return 0;
        }
        break;
    }
    for (; pipe->var_count > 0; pipe->var_count--) {
        free(pipe->vars[pipe->var_count - 1]);
        pipe->vars[pipe->var_count - 1] = NULL;
    }
    ps->p = start;
    return 0;
}

static int check_pipe(struct parser *ps, const struct pipe *pipe, const char *context) {
    for (size_t i = 0; i < pipe->count; i++) {
        const struct command_node *cmd = &pipe->commands[i];

        if (cmd->count == 0)
            return fail(ps, "missing value for %s", pipe->count == 1 ? context : "command");
        if (i > 0)
            switch (cmd->args[0].kind) {
            case ARG_BOOL:
            case ARG_DOT:
            case ARG_NIL:
            case ARG_INT:
            case ARG_FLOAT:
            case ARG_STRING:
                return fail(ps, "non executable command in pipeline stage %zu", i + 1);
            case ARG_FIELD:
            case ARG_VARIABLE:
            case ARG_PIPE:
            case ARG_FUNCTION:
                break;
            }
    }
    return 0;
}

static struct pipe *parse_pipe(struct parser *ps, const char *context, bool in_parens) {
    struct pipe *pipe = xnew(struct pipe);
    int r;

    skip_space(ps);
    r = parse_declaration(ps, pipe, context);
    while (r == 0) {
        skip_space(ps);
        pipe->commands = xreallocarray(pipe->commands, pipe->count + 1, sizeof *pipe->commands);
        pipe->commands[pipe->count] = (struct command_node){0};
        r = parse_command(ps, &pipe->commands[pipe->count++], in_parens);
        if (r < 0)
            break;
        if (*ps->p == '|') {
            ps->p++;
            continue;
        }
        break;
    }
    if (r == 0)
        r = check_pipe(ps, pipe, context);
    if (r == 0 && in_parens) {
        if (*ps->p == ')')
            ps->p++;
        else
            r = fail(ps, "unclosed left paren");
    }
    if (r < 0) {
        pipe_free(pipe);
        return NULL;
    }
    return pipe;
}

/* How a list of nodes ended. */
enum ending { END_OF_TEXT, END_ACTION, END_ELSE, END_FAILED };

static enum ending parse_list(struct parser *ps, struct node **ret, char **else_rest);

static bool keyword(struct parser *ps, const char *name) {
    size_t n = strlen(name);

    if (strncmp(ps->p, name, n) != 0 || is_word(ps->p[n]))
        return false;
    ps->p += n;
    return true;
}

static void forget_vars(struct parser *ps, size_t keep) {
    for (size_t n = strv_len(ps->vars); n > keep; n--) {
        free(ps->vars[n - 1]);
        ps->vars[n - 1] = NULL;
    }
}

/* if, range, with: pipeline, body, {{else}}, {{end}}; "else if" nests in the else branch. */
static int parse_control(struct parser *ps, struct node *n, const char *context) {
    size_t scope = strv_len(ps->vars);
    enum ending end;
    char *rest = NULL;

    if (++ps->depth > GOTMPL_DEPTH_MAX)
        return fail(ps, "max depth exceeded");
    n->pipe = parse_pipe(ps, context, false);
    if (!n->pipe)
        return -EINVAL;
    pass_close(ps);
    ps->loops += n->kind == NODE_RANGE;
    end = parse_list(ps, &n->body, &rest);
    ps->loops -= n->kind == NODE_RANGE;
    if (end == END_ELSE) {
        if (rest && n->kind != NODE_RANGE) {
            n->otherwise = xnew(struct node);
            n->otherwise->kind = str_eq(rest, "if") ? NODE_IF : NODE_WITH;
            /* The nested statement takes the {{end}}. */
            if (parse_control(ps, n->otherwise, rest) < 0) {
                free(rest);
                return -EINVAL;
            }
            end = END_ACTION;
        } else {
            end = parse_list(ps, &n->otherwise, NULL);
        }
    }
    free(rest);
    forget_vars(ps, scope);
    ps->depth--;
    if (end == END_FAILED)
        return -EINVAL;
    if (end == END_OF_TEXT)
        return fail(ps, "unexpected EOF");
    if (end == END_ELSE)
        return fail(ps, "expected end; found {{else}}");
    return 0;
}

/* The inside of {{ }}, at its first word. NULL node in *ret for a comment. */
static enum ending parse_action(struct parser *ps, struct node **ret, char **else_rest) {
    struct node *n = xnew(struct node);
    int r = 0;

    *ret = NULL;
    if (keyword(ps, "end")) {
        free(n);
        skip_space(ps);
        if (!at_close(ps)) {
            (void)fail(ps, "unexpected \"%c\" in end", *ps->p ? *ps->p : ' ');
            return END_FAILED;
        }
        pass_close(ps);
        return END_ACTION;
    }
    if (keyword(ps, "else")) {
        free(n);
        skip_space(ps);
        if (else_rest && keyword(ps, "if"))
            *else_rest = xstrdup("if");
        else if (else_rest && keyword(ps, "with"))
            *else_rest = xstrdup("with");
        else if (at_close(ps))
            pass_close(ps);
        else {
            (void)fail(ps, "unexpected <%c> in else", *ps->p ? *ps->p : ' ');
            return END_FAILED;
        }
        return END_ELSE;
    }
    if (keyword(ps, "if")) {
        n->kind = NODE_IF;
        r = parse_control(ps, n, "if");
    } else if (keyword(ps, "range")) {
        n->kind = NODE_RANGE;
        r = parse_control(ps, n, "range");
    } else if (keyword(ps, "with")) {
        n->kind = NODE_WITH;
        r = parse_control(ps, n, "with");
    } else if (keyword(ps, "break") || keyword(ps, "continue")) {
        n->kind = ps->p[-1] == 'k' ? NODE_BREAK : NODE_CONTINUE;
        if (ps->loops == 0)
            r = fail(ps, "{{%s}} outside {{range}}", n->kind == NODE_BREAK ? "break" : "continue");
        skip_space(ps);
        if (r == 0 && !at_close(ps))
            r = fail(ps, "unexpected input in {{%s}}",
                     n->kind == NODE_BREAK ? "break" : "continue");
        if (r == 0)
            pass_close(ps);
    } else {
        n->kind = NODE_ACTION;
        n->pipe = parse_pipe(ps, "command", false);
        if (n->pipe)
            pass_close(ps);
        else
            r = -EINVAL;
    }
    if (r < 0) {
        nodes_free(n);
        return END_FAILED;
    }
    *ret = n;
    return END_OF_TEXT;
}

static bool comment(struct parser *ps) {
    const char *end;

    if (!str_starts(ps->p, "/*"))
        return false;
    end = strstr(ps->p, "*/");
    if (!end)
        return false;
    ps->p = end + 2;
    skip_space(ps);
    return at_close(ps);
}

static enum ending parse_list(struct parser *ps, struct node **ret, char **else_rest) {
    struct node **tail = ret;

    for (;;) {
        const char *open = strstr(ps->p, "{{"), *text_end = open ? open : ps->end;
        bool trim = open && open[2] == '-' && isspace((unsigned char)open[3]);
        struct node *n = NULL;
        enum ending end;

        while (trim && text_end > ps->p && isspace((unsigned char)text_end[-1]))
            text_end--;
        if (text_end > ps->p) {
            n = xnew(struct node);
            n->kind = NODE_TEXT;
            n->text_len = (size_t)(text_end - ps->p);
            n->text = xstrndup(ps->p, n->text_len);
            *tail = n;
            tail = &n->next;
        }
        if (!open) {
            ps->p = ps->end;
            return END_OF_TEXT;
        }
        ps->p = open + (trim ? 3 : 2);
        if (str_starts(ps->p, "/*") || (skip_space(ps), str_starts(ps->p, "/*"))) {
            if (!comment(ps)) {
                (void)fail(ps, "unclosed comment");
                return END_FAILED;
            }
            pass_close(ps);
            continue;
        }
        end = parse_action(ps, &n, else_rest);
        if (end != END_OF_TEXT)
            return end;
        *tail = n;
        tail = &n->next;
    }
}

int gotmpl_parse(const char *text, struct gotmpl **ret, struct err *e) {
    struct gotmpl *t = xnew(struct gotmpl);
    struct parser ps = {.e = e};
    enum ending end;

    t->source = xstrdup(text);
    ps.source = ps.p = t->source;
    ps.end = t->source + strlen(t->source);
    strv_add(&ps.vars, "$");
    end = parse_list(&ps, &t->nodes, NULL);
    strv_free(ps.vars);
    if (end == END_ACTION || end == END_ELSE)
        (void)fail(&ps, "unexpected {{%s}}", end == END_ACTION ? "end" : "else");
    if (end != END_OF_TEXT) {
        gotmpl_free(t);
        return -EINVAL;
    }
    *ret = t;
    return 0;
}

static bool nodes_use(const struct node *n, const char *name);

static bool pipe_uses(const struct pipe *p, const char *name) {
    for (size_t i = 0; p && i < p->count; i++)
        for (size_t j = 0; j < p->commands[i].count; j++) {
            const struct arg *a = &p->commands[i].args[j];

            if (j > 0 && a->kind == ARG_DOT && str_eq(p->commands[i].args[0].text, "json"))
                return true;
            if (strv_has(a->chain, name) || pipe_uses(a->pipe, name))
                return true;
        }
    return false;
}

static bool nodes_use(const struct node *n, const char *name) {
    for (; n; n = n->next)
        if (pipe_uses(n->pipe, name) || nodes_use(n->body, name) || nodes_use(n->otherwise, name))
            return true;
    return false;
}

bool gotmpl_uses(const struct gotmpl *t, const char *name) {
    return nodes_use(t->nodes, name);
}
