/* SPDX-License-Identifier: BSD-3-Clause */
/* encode_selectors: selector values from the command line. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"

enum { TUPLE_PARTS = 5, PAIR_PARTS = 2 };

/* Separates text, which is taken apart, at its commas; other counts: -1. */
static int split(char *text, char *parts[], unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++)
        parts[i] = strsep(&text, ",");
    return parts[count - 1] && !text ? 0 : -1;
}

static int parse_port(const char *name, const char *text, uint8_t port[2])
{
    uint64_t value;

    if (cmd_parse_number(name, text, 10, UINT16_MAX, &value) < 0)
        return -1;
    port[0] = (uint8_t)(value >> 8);
    port[1] = (uint8_t)value;
    return 0;
}

static int parse_address(const char *name, int family, const char *text,
                         uint8_t *address)
{
    if (inet_pton(family, text, address) == 1)
        return 0;
    cmd_complain("--%s: '%s' is not an %s address", name, text,
                 family == AF_INET ? "IPv4" : "IPv6");
    return -1;
}

static int parse_pair(const char *name, int family, const char *text,
                      uint8_t *source, uint8_t *destination)
{
    char *copy = cmd_printf("%s", text), *parts[PAIR_PARTS];
    int result = -1;

    if (split(copy, parts, PAIR_PARTS) < 0)
        cmd_complain("--%s: '%s' is not SOURCE,DESTINATION", name, text);
    else if (parse_address(name, family, parts[0], source) == 0)
        result = parse_address(name, family, parts[1], destination);
    free(copy);
    return result;
}

/* What tuple4 and tuple6 have alike. */
struct tuple {
    uint8_t *source, *destination, *source_port, *destination_port, *protocol;
};

static int parse_tuple(const char *name, int family, const char *text,
                       const struct tuple *tuple)
{
    char *copy = cmd_printf("%s", text), *parts[TUPLE_PARTS];
    uint64_t protocol;
    int result = -1;

    if (split(copy, parts, TUPLE_PARTS) < 0) {
        cmd_complain("--%s: '%s' is not SOURCE,DESTINATION,SOURCE-PORT,"
                     "DESTINATION-PORT,PROTOCOL", name, text);
        goto out;
    }
    if (parse_address(name, family, parts[0], tuple->source) < 0 ||
        parse_address(name, family, parts[1], tuple->destination) < 0 ||
        parse_port(name, parts[2], tuple->source_port) < 0 ||
        parse_port(name, parts[3], tuple->destination_port) < 0 ||
        cmd_parse_number(name, parts[4], 10, UINT8_MAX, &protocol) < 0)
        goto out;
    *tuple->protocol = (uint8_t)protocol;
    result = 0;
out:
    free(copy);
    return result;
}

/* 128 bits are written with all their digits. */
static int parse_vm(const char *name, const char *text, uint8_t vm[16])
{
    char digits[3] = { 0 };
    unsigned i;

    if (strlen(text) != 32 ||
        strspn(text, "0123456789abcdefABCDEF") != 32) {
        cmd_complain("--%s: '%s' is not 32 hexadecimal digits", name, text);
        return -1;
    }
    for (i = 0; i < 16; i++) {
        memcpy(digits, text + 2 * i, 2);
        vm[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return 0;
}

static int parse_value(struct encode_ends *ends, unsigned selector,
                       const char *name, const char *text)
{
    struct eesp_selector_values *v = &ends->values;
    struct tuple tuple4 = { v->tuple4.source, v->tuple4.destination,
                            v->tuple4.source_port, v->tuple4.destination_port,
                            &v->tuple4.protocol };
    struct tuple tuple6 = { v->tuple6.source, v->tuple6.destination,
                            v->tuple6.source_port, v->tuple6.destination_port,
                            &v->tuple6.protocol };
    uint64_t *id = NULL;

    switch (selector) {
    case EESP_SELECT_VM:
        return parse_vm(name, text, v->vm);
    case EESP_SELECT_IPV4:
        return parse_pair(name, AF_INET, text, v->ipv4.source,
                          v->ipv4.destination);
    case EESP_SELECT_IPV6:
        return parse_pair(name, AF_INET6, text, v->ipv6.source,
                          v->ipv6.destination);
    case EESP_SELECT_TUPLE4:
        return parse_tuple(name, AF_INET, text, &tuple4);
    case EESP_SELECT_TUPLE6:
        return parse_tuple(name, AF_INET6, text, &tuple6);
    case EESP_SELECT_SOURCE:
        id = &ends->source_id;
        break;
    case EESP_SELECT_DESTINATION:
        id = &ends->destination.id;
        break;
    case EESP_SELECT_FLOW:
        id = &v->flow;
        break;
    case EESP_SELECT_DEVICE:
        id = &v->device;
        break;
    case EESP_SELECT_TASK:
        id = &v->task;
        break;
    case EESP_SELECT_JOB:
        id = &v->job;
        break;
    case EESP_SELECT_TENANT:
        id = &v->tenant;
        break;
    default:
        return -1;
    }
    return cmd_parse_number(name, text, 16, UINT64_MAX, id);
}

int encode_parse_selector(struct encode_ends *ends, unsigned bit,
                          const char *text)
{
    ends->given |= 1u << bit;
    return parse_value(ends, 1u << bit, eesp_selector_name(bit), text);
}

static int check_one(bool given, bool selected, const char *option,
                     const struct eesp_policy_info *policy)
{
    if (given == selected)
        return 0;
    if (selected)
        cmd_complain("policy %s needs --%s", policy->name, option);
    else
        cmd_complain("--%s: policy %s does not select it", option,
                     policy->name);
    return -1;
}

int encode_check_selectors(const struct encode_ends *ends,
                           const struct eesp_policy_info *policy)
{
    bool ranks = policy->selectors & EESP_SELECT_RANKS;
    const char *name;
    unsigned bit;

    if (check_one(ends->has_source_rank, ranks, "rank", policy) < 0 ||
        check_one(ends->has_destination_rank, ranks, "dst-rank", policy) < 0)
        return -1;
    for (bit = 1; (name = eesp_selector_name(bit)) != NULL; bit++)
        if (check_one(ends->given & 1u << bit, policy->selectors & 1u << bit,
                      name, policy) < 0)
            return -1;
    return 0;
}
