/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/port_map.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/json.h"
#include "network/addr.h"

static const struct {
    const char *name;
    uint8_t number;
} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}};

int port_proto_number(const char *name) {
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (str_case_eq(name, protocols[i].name))
            return protocols[i].number;
    return -EINVAL;
}

const char *port_proto_name(int number) {
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (protocols[i].number == number)
            return protocols[i].name;
    return "";
}

int port_range_parse(const char *text, uint16_t *ret_first, uint16_t *ret_last) {
    auto_free char *first = xstrndup(text, strcspn(text, "-"));
    const char *rest = text + strlen(first);
    uint64_t from, to;

    if (str_to_u64(first, &from) < 0 || from > UINT16_MAX)
        return -EINVAL;
    to = from;
    if (*rest && (str_to_u64(rest + 1, &to) < 0 || to > UINT16_MAX || to < from))
        return -EINVAL;
    *ret_first = (uint16_t)from;
    *ret_last = (uint16_t)to;
    return 0;
}

int port_parse(const char *text, uint16_t *ret_port, uint8_t *ret_proto) {
    auto_free char *digits = xstrndup(text, strcspn(text, "/"));
    const char *slash = strchr(text, '/');
    int proto = port_proto_number(slash ? slash + 1 : "tcp");
    uint16_t last;

    if (proto < 0 || port_range_parse(digits, ret_port, &last) < 0 || *ret_port != last)
        return -EINVAL;
    *ret_proto = (uint8_t)proto;
    return 0;
}

int port_map_check(const char *port_map, struct err *e) {
    auto_json *doc = NULL;
    int r;

    if (str_empty(port_map))
        return 0;
    r = jsn_parse(port_map, strlen(port_map), &doc, e);
    if (r < 0 || !doc)
        return r;
    if (!json_object_is_type(doc, json_type_object))
        return err_set(e, ERR_INVALID,
                       "json: cannot unmarshal PortBindings into Go struct field "
                       "HostConfig.HostConfig.PortBindings of type nat.PortMap");
    json_object_object_foreach(doc, port, list) {
        auto_free char *inside = xstrndup(port, strcspn(port, "/"));
        const char *slash = strchr(port, '/');
        uint16_t first, last;

        if (port_range_parse(inside, &first, &last) < 0)
            return err_set(e, ERR_INVALID, "invalid port specification: \"%s\"", inside);
        if (slash && port_proto_number(slash + 1) < 0)
            return err_set(e, ERR_INVALID, "invalid protocol: %s", slash + 1);
        for (size_t i = 0;
             json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
             i++) {
            struct json_object *b = json_object_array_get_idx(list, i);
            const char *host = jsn_str(b, "HostPort"), *ip = jsn_str(b, "HostIp");
            struct ip parsed;

            if (!str_empty(host) && port_range_parse(host, &first, &last) < 0)
                return err_set(e, ERR_INVALID, "invalid port specification: \"%s\"", host);
            if (!str_empty(ip) && ip_parse(ip, &parsed) < 0)
                return err_set(e, ERR_INVALID, "invalid IP address in port bindings: %s", ip);
        }
    }
    return 0;
}

char *port_map_complete(const char *port_map) {
    auto_json *doc = NULL;
    auto_buf b = BUF_INIT;
    struct jw w;

    if (str_empty(port_map) || jsn_parse(port_map, strlen(port_map), &doc, NULL) < 0 || !doc ||
        !json_object_is_type(doc, json_type_object))
        return port_map ? xstrdup(port_map) : NULL;
    jw_init(&w, &b);
    jw_object(&w);
    json_object_object_foreach(doc, port, list) {
        jw_key(&w, port);
        if (!json_object_is_type(list, json_type_array)) {
            jw_null(&w);
            continue;
        }
        jw_array(&w);
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            struct json_object *one = json_object_array_get_idx(list, i);

            jw_object(&w);
            jw_kstr(&w, "HostIp", jsn_str(one, "HostIp"));
            jw_kstr(&w, "HostPort", jsn_str(one, "HostPort"));
            jw_end_object(&w);
        }
        jw_end_array(&w);
    }
    jw_end_object(&w);
    return buf_take(&b);
}
