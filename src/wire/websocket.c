/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

enum ws_state { WS_STATE_HEADER, WS_STATE_PAYLOAD, WS_STATE_DEAD };

void ws_decoder_init(struct ws_decoder *d) {
    *d = (struct ws_decoder){.header_need = 2};
}

static bool is_control(unsigned opcode) {
    return opcode >= WS_CLOSE;
}

/* The first two bytes tell how long the header is. 0 or a close code. */
static unsigned header_begin(struct ws_decoder *d) {
    unsigned length = d->header[1] & 0x7f;

    d->fin = d->header[0] & 0x80;
    d->opcode = d->header[0] & 0x0f;
    if (d->header[0] & 0x70 || !(d->header[1] & 0x80)) /* extensions; unmasked */
        return WS_CLOSE_PROTOCOL;
    switch (d->opcode) {
    case WS_CONTINUATION:
        if (!d->in_message)
            return WS_CLOSE_PROTOCOL;
        break;
    case WS_TEXT:
    case WS_BINARY:
        if (d->in_message)
            return WS_CLOSE_PROTOCOL;
        break;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        if (!d->fin || length > WS_CONTROL_MAX)
            return WS_CLOSE_PROTOCOL;
        break;
    default:
        return WS_CLOSE_PROTOCOL;
    }
    d->header_need = (unsigned char)(6 + (length == 126 ? 2 : length == 127 ? 8 : 0));
    return 0;
}

static unsigned header_end(struct ws_decoder *d) {
    unsigned length = d->header[1] & 0x7f, n = d->header_need - 6u;

    d->left = length;
    if (n > 0) {
        d->left = 0;
        for (unsigned i = 0; i < n; i++)
            d->left = d->left << 8 | d->header[2 + i];
        if (d->left < (n == 2 ? 126 : 65536)) /* the shortest form is the only one */
            return WS_CLOSE_PROTOCOL;
    }
    if (d->left > WS_FRAME_MAX)
        return d->left >> 63 ? WS_CLOSE_PROTOCOL : WS_CLOSE_TOO_BIG;
    memcpy(d->mask, d->header + 2 + n, sizeof(d->mask));
    d->offset = 0;
    d->control_len = 0;
    if (!is_control(d->opcode))
        d->in_message = !d->fin;
    d->state = WS_STATE_PAYLOAD;
    return 0;
}

static void next_frame(struct ws_decoder *d) {
    d->state = WS_STATE_HEADER;
    d->header_len = 0;
    d->header_need = 2;
}

static bool close_code_allowed(unsigned code) {
    return (code >= 1000 && code <= 1011 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static enum ws_event control_end(struct ws_decoder *d, size_t *ret_len) {
    unsigned code;

    next_frame(d);
    if (d->opcode == WS_PING)
        return WS_EVENT_PING;
    if (d->opcode == WS_PONG)
        return WS_EVENT_MORE;
    d->state = WS_STATE_DEAD;
    *ret_len = WS_CLOSE_NO_STATUS;
    if (d->control_len == 0)
        return WS_EVENT_CLOSE;
    code = d->control_len < 2 ? 0 : (unsigned)(d->control[0] << 8 | d->control[1]);
    if (!close_code_allowed(code)) {
        *ret_len = WS_CLOSE_PROTOCOL;
        return WS_EVENT_ERROR;
    }
    *ret_len = code;
    return WS_EVENT_CLOSE;
}

static void unmask(struct ws_decoder *d, char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(p[i] ^ d->mask[d->offset++ & 3]);
    d->offset &= 3;
}

enum ws_event ws_decode(struct ws_decoder *d, char *p, size_t n, size_t *ret_used,
                        const char **ret_data, size_t *ret_len) {
    size_t i = 0;
    unsigned code;

    *ret_data = NULL;
    *ret_len = 0;
    for (;;) {
        if (d->state == WS_STATE_DEAD) {
            *ret_used = n;
            *ret_len = WS_CLOSE_PROTOCOL;
            return WS_EVENT_ERROR;
        }
        if (d->state == WS_STATE_HEADER) {
            if (i == n)
                break;
            d->header[d->header_len++] = (uint8_t)p[i++];
            code = 0;
            if (d->header_len == 2)
                code = header_begin(d);
            if (!code && d->header_len == d->header_need)
                code = header_end(d);
            if (code) {
                d->state = WS_STATE_DEAD;
                *ret_used = i;
                *ret_len = code;
                return WS_EVENT_ERROR;
            }
        } else {
            size_t len = n - i < d->left ? n - i : (size_t)d->left;
            char *data = p + i;

            if (len == 0 && d->left > 0)
                break;
            unmask(d, data, len);
            i += len;
            d->left -= len;
            if (is_control(d->opcode)) {
                enum ws_event event;

                memcpy(d->control + d->control_len, data, len);
                d->control_len += len;
                if (d->left > 0)
                    break;
                event = control_end(d, ret_len);
                if (event != WS_EVENT_MORE) {
                    *ret_used = i;
                    return event;
                }
            } else {
                if (d->left == 0)
                    next_frame(d);
                if (len > 0) {
                    *ret_used = i;
                    *ret_data = data;
                    *ret_len = len;
                    return WS_EVENT_DATA;
                }
            }
        }
    }
    *ret_used = i;
    return WS_EVENT_MORE;
}

size_t ws_header(uint8_t out[static WS_HEADER_MAX], enum ws_opcode opcode, uint64_t len) {
    size_t n = len < 126 ? 0 : len < 65536 ? 2 : 8;

    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = n == 0 ? (uint8_t)len : n == 2 ? 126 : 127;
    for (size_t i = 0; i < n; i++)
        out[2 + i] = (uint8_t)(len >> (8 * (n - 1 - i)));
    return 2 + n;
}

int ws_accept_key(const char *key, char out[static WS_ACCEPT_SIZE]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char raw[18], digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    char text[24 + sizeof(guid)];

    /* 16 bytes make 22 digits and two '='. */
    if (!key || strlen(key) != 24 || strcspn(key, "=") != 22 || strcmp(key + 22, "==") != 0 ||
        EVP_DecodeBlock(raw, (const unsigned char *)key, 24) != 18)
        return -EINVAL;
    memcpy(text, key, 24);
    memcpy(text + 24, guid, sizeof(guid));
    if (EVP_Digest(text, strlen(text), digest, &digest_len, EVP_sha1(), NULL) != 1 ||
        digest_len != 20)
        return -EINVAL;
    (void)EVP_EncodeBlock((unsigned char *)out, digest, 20);
    return 0;
}
