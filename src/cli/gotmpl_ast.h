/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parsed form of a template, shared by gotmpl_parse.c and gotmpl_exec.c only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/gotmpl.h"

#define GOTMPL_DEPTH_MAX 64

enum arg_kind {
    ARG_DOT,
    ARG_FIELD,    /* .A.B: chain */
    ARG_VARIABLE, /* $x.A: text is "$x" */
    ARG_PIPE,     /* (pipeline).A */
    ARG_FUNCTION,
    ARG_STRING,
    ARG_INT,
    ARG_FLOAT,
    ARG_BOOL,
    ARG_NIL,
};

struct pipe;

struct arg {
    enum arg_kind kind;
    char *text;   /* variable, function, string value; NULL otherwise */
    char **chain; /* strv of field names that follow */
    int64_t number;
    double real;
    struct pipe *pipe;
    int pos;      /* where Go reports errors of this node */
    char *source; /* as written, for messages */
};

struct command_node {
    struct arg *args;
    size_t count;
    char *source;
    int pos;
};

struct pipe {
    char *vars[2]; /* $a, $b := */
    int var_count;
    bool assign; /* = instead of := */
    struct command_node *commands;
    size_t count;
};

enum node_kind {
    NODE_TEXT,
    NODE_ACTION,
    NODE_IF,
    NODE_RANGE,
    NODE_WITH,
    NODE_BREAK,
    NODE_CONTINUE
};

struct node {
    enum node_kind kind;
    char *text;
    size_t text_len;
    struct pipe *pipe;
    struct node *body, *otherwise;
    struct node *next;
};

struct gotmpl {
    char *source;
    struct node *nodes;
};

/* Line (from 1) and column (from 0) of a byte position. */
void gotmpl_position(const char *source, int pos, int *ret_line, int *ret_column);
/* Whether a function of that name exists. */
bool gotmpl_has_function(const char *name);
