/* SPDX-License-Identifier: BSD-3-Clause */
#include "fips.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "aead.h"
#include "eesp.h"
#include "kdf.h"

#define PROPERTIES "fips=yes"

enum { UNSETTLED, OFF, ON };

static int mode;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static OSSL_LIB_CTX *context;
static OSSL_PROVIDER *provider;
static char name[128];

static int settled(void)
{
    int now = __atomic_load_n(&mode, __ATOMIC_ACQUIRE), unsettled = UNSETTLED;

    if (now == UNSETTLED) {
        pthread_mutex_lock(&lock); /* not while it is being turned on */
        __atomic_compare_exchange_n(&mode, &unsettled, OFF, 0,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
        now = __atomic_load_n(&mode, __ATOMIC_ACQUIRE);
        pthread_mutex_unlock(&lock);
    }
    return now;
}

OSSL_LIB_CTX *eesp_crypto_context(void)
{
    return settled() == ON ? context : NULL;
}

const char *eesp_crypto_properties(void)
{
    return settled() == ON ? PROPERTIES : NULL;
}

int eesp_fips_is_on(void)
{
    return __atomic_load_n(&mode, __ATOMIC_ACQUIRE) == ON;
}

const char *eesp_fips_missing(void)
{
    return settled() == ON ? "FIPS mode: OpenSSL's FIPS provider does it all" :
                             NULL;
}

const char *eesp_fips_provider(void)
{
    return eesp_fips_is_on() ? name : NULL;
}

static int refuse(char why[EESP_WHY_LEN])
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    snprintf(why, EESP_WHY_LEN, "OpenSSL's FIPS provider is not there (%s): "
             "install one, make its settings with openssl fipsinstall, and "
             "load them in openssl.cnf; see: openssl list -providers",
             reason ? reason : "no reason given");
    return EESP_ERR_UNSUPPORTED;
}

/* The settings of openssl.cnf bring the provider's own check values along. */
static int load(char why[EESP_WHY_LEN])
{
    const char *told = "", *version = "";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_ptr(OSSL_PROV_PARAM_NAME, (char **)&told, 0),
        OSSL_PARAM_construct_utf8_ptr(OSSL_PROV_PARAM_VERSION,
                                      (char **)&version, 0),
        OSSL_PARAM_construct_end(),
    };

    ERR_clear_error();
    context = OSSL_LIB_CTX_new();
    if (context == NULL)
        return refuse(why);
    OSSL_LIB_CTX_load_config(context, NULL); /* if there is none: see below */
    provider = OSSL_PROVIDER_load(context, "fips");
    if (provider == NULL || OSSL_PROVIDER_self_test(provider) != 1)
        return refuse(why);
    OSSL_PROVIDER_get_params(provider, params);
    snprintf(name, sizeof(name), "%s %s", told, version);
    return EESP_OK;
}

static int offers(const EVP_CIPHER *cipher)
{
    return cipher != NULL && EVP_CIPHER_get0_provider(cipher) == provider;
}

/* What a keyring of eesp keygen needs is fetched, and gives known answers. */
static int try_algorithms(char why[EESP_WHY_LEN])
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(context, "AES-256-GCM", PROPERTIES);
    int ret = EESP_OK;

    if (!offers(cipher) ||
        eesp_aead_selftest(&eesp_aead_openssl_aes_256_gcm) != EESP_OK ||
        eesp_kdf_selftest(eesp_kdf_by_id(EESP_KDF_CMAC_AES256)) != EESP_OK) {
        snprintf(why, EESP_WHY_LEN, "OpenSSL's FIPS provider (%s) does not "
                 "pass AES-256-GCM or CMAC's known answers; see: eesp selftest "
                 "--fips", name);
        ret = EESP_ERR_CRYPTO;
    }
    EVP_CIPHER_free(cipher);
    return ret;
}

int eesp_fips_enable(char why[EESP_WHY_LEN])
{
    int ret = EESP_OK;

    pthread_mutex_lock(&lock);
    if (mode == ON) {
        ret = try_algorithms(why);
        goto out;
    }
    if (mode == OFF) {
        snprintf(why, EESP_WHY_LEN, "this process has used other code before: "
                 "FIPS mode must be turned on first");
        ret = EESP_ERR_ARGUMENT;
        goto out;
    }
    ret = load(why);
    if (ret == EESP_OK) {
        __atomic_store_n(&mode, ON, __ATOMIC_RELEASE);
        ret = try_algorithms(why); /* from now on nothing else is used */
        goto out;
    }
    if (provider != NULL)
        OSSL_PROVIDER_unload(provider);
    OSSL_LIB_CTX_free(context);
    provider = NULL;
    context  = NULL;
out:
    pthread_mutex_unlock(&lock);
    return ret;
}
