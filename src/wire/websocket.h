/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * WebSocket framing, RFC 6455, the server's side: no sockets. Payloads are passed on as a stream,
 * so messages have no limit of their own; text is not checked to be UTF-8 (it carries what a
 * terminal carries).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_CONTROL_MAX 125
#define WS_HEADER_MAX  10
/* Longer frames are refused with 1009. */
#define WS_FRAME_MAX (UINT64_C(1) << 30)

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_NO_STATUS = 1005, /* never on the wire */
    WS_CLOSE_TOO_BIG = 1009,
};

struct ws_decoder {
    unsigned char state, header_len, header_need, opcode;
    bool fin, in_message;
    uint8_t header[14];
    uint8_t mask[4];
    uint64_t left;   /* of the frame's payload */
    unsigned offset; /* into the mask */
    uint8_t control[WS_CONTROL_MAX];
    size_t control_len;
};

enum ws_event {
    WS_EVENT_MORE,  /* all input was taken */
    WS_EVENT_DATA,  /* *ret_data, *ret_len: payload of a text or binary message */
    WS_EVENT_PING,  /* the payload to be sent back: decoder.control, control_len */
    WS_EVENT_CLOSE, /* *ret_len: the client's code, or WS_CLOSE_NO_STATUS */
    WS_EVENT_ERROR, /* *ret_len: the code to close with; nothing may be decoded any more */
};

void ws_decoder_init(struct ws_decoder *d);
/* Takes bytes from p[0..n), which it unmasks in place: *ret_used were consumed. */
enum ws_event ws_decode(struct ws_decoder *d, char *p, size_t n, size_t *ret_used,
                        const char **ret_data, size_t *ret_len);
/* Writes the header of a whole, unmasked frame; returns its length. */
size_t ws_header(uint8_t out[static WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len);

#define WS_ACCEPT_SIZE 29
/* Sec-WebSocket-Accept for a client's key. -EINVAL unless the key is 16 bytes in base64. */
int ws_accept_key(const char *key, char out[static WS_ACCEPT_SIZE]);
