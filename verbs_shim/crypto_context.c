/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto_context.h"

/* AEAD first: a backend without integrity serves only who cannot do with it. */
static const struct vcc_backend *const backends[] = {
    &vcc_soft,
};

const struct vcc_backend *vcc_pick(struct ibv_context *ctx, uint32_t required)
{
    struct vcc_caps caps;
    size_t i;

    if (required == 0)
        return NULL;
    for (i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
        if (backends[i]->probe(ctx, &caps) == 0 &&
            (caps.props & required) == required)
            return backends[i];
    return NULL;
}
