/* SPDX-License-Identifier: BSD-3-Clause */
/* Each KDF and each AEAD of each backend, on secret keys, nonces and texts. */
#include "secrets.h"

#include <string.h>

#include "aead.h"
#include "eesp.h"
#include "kdf.h"
#include "secret.h"
#include "wire.h"

enum { TEXT_MAX = 4100, AAD_LEN = 44 };

static void one_kdf(const struct eesp_kdf *kdf)
{
    static const size_t lengths[] = {16, 32, 44, 64};
    void *state = eesp_secret_alloc(kdf->state_size);
    uint8_t key[EESP_KDK_MAX], context[EESP_CONTEXT_MAX], out[EESP_DERIVE_MAX];
    size_t i;

    begin("kdf %s", kdf->name);
    memset(key, 0x5a, sizeof(key));
    memset(context, 0x33, sizeof(context));
    must(state != NULL && kdf->open(state) == EESP_OK, "open");
    make_secret(key, sizeof(key));
    must(kdf->key(state, key) == EESP_OK, "key");
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        must(kdf->derive(state, EESP_LABEL_DATA_KEY, context, 20 + 9 * i, out,
                         lengths[i]) == EESP_OK,
             "derive");
    kdf->close(state);
    eesp_secret_free(state, kdf->state_size);
}

static void one_aead(const struct eesp_aead *aead)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 64, 255, 1000, 4096};
    static uint8_t text[TEXT_MAX], packet[TEXT_MAX], opened[TEXT_MAX];
    void *k = eesp_secret_alloc(aead->key_size);
    uint8_t key[EESP_AEAD_KEY_MAX], nonce[EESP_NONCE_LEN], aad[AAD_LEN];
    uint8_t icv[EESP_ICV_LEN];
    size_t i, n;
    int ret;

    begin("aead %s %s", aead->name, aead->backend);
    memset(aad, 0x44, sizeof(aad));
    must(k != NULL && aead->open(k) == EESP_OK, "open");
    make_secret(key, sizeof(key));
    must(aead->expand(k, key) == EESP_OK, "expand");
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct iovec iov[3] = {{text, 0}, {text, 0}, {text, 0}};

        n = lengths[i];
        iov[0].iov_len = n / 3;
        iov[1].iov_base = text + n / 3;
        iov[1].iov_len = aead->one_piece ? n - n / 3 : n / 2;
        iov[2].iov_base = text + n / 3 + n / 2;
        iov[2].iov_len = n - n / 3 - n / 2;
        make_secret(text, sizeof(text));
        make_secret(nonce, sizeof(nonce));
        if (aead->one_piece)
            iov[0].iov_len = n;
        must(aead->seal(k, nonce, aad, sizeof(aad), iov,
                        aead->one_piece ? 1 : 3, packet, icv) == EESP_OK,
             "seal");
        /* Now it has crossed the network. */
        make_known(packet, sizeof(packet));
        make_known(icv, sizeof(icv));
        ret = aead->decrypt(k, nonce, aad, sizeof(aad), packet, n, opened, icv);
        must(ret == EESP_OK, "a packet is opened");
        icv[n % sizeof(icv)] ^= 0x10;
        ret = aead->decrypt(k, nonce, aad, sizeof(aad), packet, n, opened, icv);
        must(ret == EESP_DROP_AUTH, "a wrong ICV is refused");
    }
    aead->close(k);
    eesp_secret_free(k, aead->key_size);
}

void secrets_of_algorithms(void)
{
    const struct eesp_kdf *kdf;
    const struct eesp_aead *aead;
    unsigned i;

    for (i = 0; (kdf = eesp_kdf_at(i)) != NULL; i++)
        one_kdf(kdf);
    for (i = 0; (aead = eesp_aead_at(i)) != NULL; i++)
        if (aead->missing() == NULL)
            one_aead(aead);
}
