/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * standin: NOT a FIPS provider. It stands in for one where there is none, so
 * that the way from UCX_EESP_FIPS to a provider can be walked: it offers the
 * algorithms of OpenSSL's default provider, but for ChaCha20, under the property
 * fips=yes. With STANDIN_FAILS set its self-test fails.
 */
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 32, ALGORITHMS = 256 };

static OSSL_PROVIDER *real;
static OSSL_LIB_CTX *own; /* that real is in */
static OSSL_ALGORITHM offered[OPERATIONS][ALGORITHMS];

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *no_store)
{
    const OSSL_ALGORITHM *has;
    int i;

    (void)ctx;
    *no_store = 0;
    if (operation <= 0 || operation >= OPERATIONS)
        return NULL;
    has = OSSL_PROVIDER_query_operation(real, operation, no_store);
    *no_store = 0;
    for (i = 0; has && has[i].algorithm_names && i < ALGORITHMS - 1; i++) {
        offered[operation][i] = has[i];
        offered[operation][i].property_definition =
            strstr(has[i].algorithm_names, "ChaCha20") ? "provider=fips,fips=no"
                                                       : "provider=fips,fips=yes";
    }
    return has ? offered[operation] : NULL;
}

static const OSSL_PARAM *gettable(void *ctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_DEFN(OSSL_PROV_PARAM_NAME, OSSL_PARAM_UTF8_PTR, NULL, 0),
        OSSL_PARAM_DEFN(OSSL_PROV_PARAM_VERSION, OSSL_PARAM_UTF8_PTR, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)ctx;
    return list;
}

static int get_params(void *ctx, OSSL_PARAM *params)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);

    (void)ctx;
    if (p && !OSSL_PARAM_set_utf8_ptr(p, "stand-in, NOT a FIPS provider"))
        return 0;
    p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION);
    return !p || OSSL_PARAM_set_utf8_ptr(p, "0");
}

static int self_test(void *ctx)
{
    (void)ctx;
    return getenv("STANDIN_FAILS") == NULL;
}

static void teardown(void *ctx)
{
    (void)ctx;
    OSSL_PROVIDER_unload(real);
    OSSL_LIB_CTX_free(own);
    real = NULL;
    own  = NULL;
}

static const OSSL_DISPATCH functions[] = {
    { OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown },
    { OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable },
    { OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params },
    { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
    { OSSL_FUNC_PROVIDER_SELF_TEST, (void (*)(void))self_test },
    { 0, NULL },
};

OSSL_provider_init_fn OSSL_provider_init;

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                       const OSSL_DISPATCH **out, void **ctx)
{
    (void)handle;
    (void)in;
    own = OSSL_LIB_CTX_new();
    real = own ? OSSL_PROVIDER_load(own, "default") : NULL;
    if (!real) {
        OSSL_LIB_CTX_free(own);
        own = NULL;
        return 0;
    }
    *out = functions;
    *ctx = OSSL_PROVIDER_get0_provider_ctx(real);
    return 1;
}
