/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SP 800-108r1 counter mode with HMAC-SHA-256 as PRF and an 8-bit counter
 * before the fixed data. The prepared key lies in the caller's memory; nothing
 * is in libcrypto's heap.
 */
#include <string.h>

#include "eesp.h"
#include "hmac.h"
#include "kdf.h"

static int hmac_open(void *state)
{
    memset(state, 0, sizeof(struct eesp_hmac));
    return EESP_OK;
}

static int hmac_key(void *state, const uint8_t *key)
{
    return eesp_hmac_key(state, EESP_SHA_256, key, 32);
}

static int hmac_derive(void *state, const char label[2],
                       const uint8_t *context, size_t context_length,
                       uint8_t *out, size_t length)
{
    uint8_t fixed[EESP_FIXED_DATA_MAX], mac[EESP_HMAC_MAX], counter;
    struct iovec parts[2] = {{&counter, 1}, {fixed, 0}};
    size_t size           = eesp_hmac_length(EESP_SHA_256), done, n;
    int ret               = EESP_ERR_ARGUMENT;

    if (length == 0 || length > EESP_DERIVE_MAX ||
        context_length > EESP_CONTEXT_MAX)
        return ret;
    parts[1].iov_len = eesp_fixed_data(label, context, context_length, length,
                                       fixed);
    counter = 0;
    for (done = 0; done < length; done += n) {
        n = length - done < size ? length - done : size;
        counter++;
        ret = eesp_hmac(state, parts, 2, mac);
        if (ret != EESP_OK)
            break;
        memcpy(out + done, mac, n);
    }
    explicit_bzero(mac, sizeof(mac));
    return ret;
}

static void hmac_close(void *state)
{
    explicit_bzero(state, sizeof(struct eesp_hmac));
}

const struct eesp_kdf eesp_kdf_hmac_sha256 = {
    .id         = EESP_KDF_HMAC_SHA256,
    .name       = "hmac-sha256",
    .key_length = 32,
    .state_size = sizeof(struct eesp_hmac),
    .open       = hmac_open,
    .key        = hmac_key,
    .derive     = hmac_derive,
    .close      = hmac_close,
};
