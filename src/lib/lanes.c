/* SPDX-License-Identifier: BSD-3-Clause */
#include "lanes.h"

#include <pthread.h>
#include <string.h>

#include "eesp.h"
#include "fips.h"
#include "secret.h"

static const char *missing;
static pthread_once_t tested_once = PTHREAD_ONCE_INIT;

static void test_once(void)
{
    switch (eesp_lanes_selftest()) {
    case EESP_OK:
        break;
    case EESP_ERR_UNSUPPORTED:
        missing = "CPU has no AVX-512 with VAES and VPCLMULQDQ";
        break;
    case EESP_ERR_MEMORY:
        missing = "no memory to compare it with libcrypto";
        break;
    default:
        missing = "its answers are not those of libcrypto";
    }
}

const char *eesp_lanes_missing(void)
{
    if (eesp_fips_missing() != NULL)
        return eesp_fips_missing();
    pthread_once(&tested_once, test_once);
    return missing;
}

struct eesp_lanes *eesp_lanes_open(void)
{
    return eesp_secret_alloc(sizeof(struct eesp_lanes));
}

void eesp_lanes_close(struct eesp_lanes *w)
{
    eesp_secret_free(w, sizeof(*w));
}

void eesp_lanes_seal(struct eesp_lanes *w, const struct eesp_lanes_keys *keys)
{
    eesp_lanes_avx512_seal(w, keys);
}

unsigned eesp_lanes_decrypt(struct eesp_lanes *w,
                            const struct eesp_lanes_keys *keys)
{
    unsigned bad = eesp_lanes_avx512_decrypt(w, keys), i;

    for (i = 0; bad >> i != 0; i++)
        if (bad >> i & 1)
            explicit_bzero(w->packet[i].data, sizeof(w->packet[i].data));
    return bad;
}

int eesp_burst_selftest(void)
{
    return eesp_fips_is_on() ? EESP_ERR_UNSUPPORTED : eesp_lanes_selftest();
}
