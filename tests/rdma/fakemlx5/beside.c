/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * beside: the emulated card in a process of UCX, whose own module is linked with
 * the real libmlx5 and wants functions of it that are not here. So nothing is
 * put in its place: only who asks for functions by name and version, as
 * libeesp_verbs does, gets those of the emulator.
 */
#include "fakemlx5.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct mlx5dv_crypto_login_obj;
struct mlx5dv_crypto_login_attr_ex;
struct mlx5dv_crypto_login_obj *mlx5dv_crypto_login_create(
    struct ibv_context *ctx, struct mlx5dv_crypto_login_attr_ex *attr);

#define FUNCTION(_name) {#_name, (void *)_name}
static const struct {
    const char *name;
    void *function;
} functions[] = {
    FUNCTION(mlx5dv_is_supported), FUNCTION(mlx5dv_query_device),
    FUNCTION(mlx5dv_create_qp), FUNCTION(mlx5dv_qp_ex_from_ibv_qp_ex),
    FUNCTION(mlx5dv_create_mkey), FUNCTION(mlx5dv_destroy_mkey),
    FUNCTION(mlx5dv_dek_create), FUNCTION(mlx5dv_dek_query),
    FUNCTION(mlx5dv_dek_destroy), FUNCTION(mlx5dv_crypto_login_create),
};

__attribute__((visibility("default"))) void *
dlvsym(void *library, const char *name, const char *version)
{
    static void *(*next)(void *, const char *, const char *);
    size_t i;

    for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].function;
    if (next == NULL)
        next = (void *(*)(void *, const char *, const char *))dlsym(RTLD_NEXT,
                                                                    "dlvsym");
    if (next == NULL)
        abort();
    return next(library, name, version);
}
