/* SPDX-License-Identifier: BSD-3-Clause */
#include "eesp.h"

static const char *const error_text[-EESP_ERROR_MIN] = {
    [-EESP_OK]               = "success",
    [-EESP_ERR_ARGUMENT]     = "invalid argument",
    [-EESP_ERR_MEMORY]       = "out of memory",
    [-EESP_ERR_CRYPTO]       = "cryptographic library or random source failed",
    [-EESP_ERR_KEYRING]      = "keyring refused",
    [-EESP_ERR_UNSUPPORTED]  = "not supported by this build or CPU",
    [-EESP_ERR_EXPIRED]      = "no root key may send now (lifetime)",
    [-EESP_ERR_LIMIT]        = "sequence numbers used up",
    [-EESP_ERR_SPACE]        = "does not fit the buffer",
    [-EESP_ERR_LEASE]        = "no unused lease of an IV partition",
    [-EESP_DROP_LENGTH]      = "length: packet is shorter than its header",
    [-EESP_DROP_VERSION]     = "version: not an EESP version 0 packet",
    [-EESP_DROP_OPTION]      = "option: unknown, repeated or malformed",
    [-EESP_DROP_SPI]         = "SPI: the keyring has no policy for it",
    [-EESP_DROP_POLICY]      = "policy: packet is not what its SPI allows",
    [-EESP_DROP_GENERATION]  = "generation: not in the keyring",
    [-EESP_DROP_EPOCH]       = "epoch: outside the window",
    [-EESP_DROP_DESTINATION] = "destination: meant for another receiver",
    [-EESP_DROP_REPLAY]      = "replay: sequence number seen before",
    [-EESP_DROP_REPLAY_FULL] = "replay table full: new source refused",
    [-EESP_DROP_AUTH]        = "authentication failed",
    [-EESP_DROP_PAYLOAD]     = "payload: Payload Info Header or padding wrong",
    [-EESP_DROP_OFFSET]      = "crypt offset: beyond the policy or the packet",
    [-EESP_DROP_PROXY]       = "proxy: may not speak for that domain",
    [-EESP_DROP_COMMITMENT]  = "commitment: made under another key",
    [-EESP_DROP_PARTITION]   = "sequence: number beyond its IV partition",
};

const char *eesp_strerror(int error)
{
    const char *text = NULL;

    if (error <= 0 && error > EESP_ERROR_MIN)
        text = error_text[-error];
    return text ? text : "unknown error";
}
