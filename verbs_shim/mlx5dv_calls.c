/* SPDX-License-Identifier: BSD-3-Clause */
#include "mlx5dv_calls.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY "libmlx5.so.1"

/* In the order of struct mlx5dv_calls. */
static const struct {
    const char *name, *version;
} wanted[] = {
    {"mlx5dv_is_supported", "MLX5_1.8"},
    {"mlx5dv_query_device", "MLX5_1.0"},
    {"mlx5dv_create_qp", "MLX5_1.3"},
    {"mlx5dv_qp_ex_from_ibv_qp_ex", "MLX5_1.10"},
    {"mlx5dv_create_mkey", "MLX5_1.10"},
    {"mlx5dv_destroy_mkey", "MLX5_1.10"},
    {"mlx5dv_dek_create", "MLX5_1.21"},
    {"mlx5dv_dek_query", "MLX5_1.21"},
    {"mlx5dv_dek_destroy", "MLX5_1.21"},
    /* Not called. Before it there were no plaintext keys: see mlx5.c. */
    {"mlx5dv_crypto_login_create", "MLX5_1.24"},
};

enum { WANTED = sizeof(wanted) / sizeof(wanted[0]), CALLED = WANTED - 1 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct mlx5dv_calls calls;
static int found;
static char reason[160];

/* Never closed: QPs and keys of the caller live in it. */
static void find(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    void *function[WANTED];
    unsigned i;

    if (library == NULL) {
        snprintf(reason, sizeof(reason),
                 "mlx5: no " LIBRARY ": apt-get install ibverbs-providers");
        return;
    }
    for (i = 0; i < WANTED; i++) {
        function[i] = dlvsym(library, wanted[i].name, wanted[i].version);
        if (function[i] == NULL) {
            snprintf(reason, sizeof(reason),
                     "mlx5: " LIBRARY " has no %s of version %s: rdma-core is "
                     "older than 42",
                     wanted[i].name, wanted[i].version);
            return;
        }
    }
    _Static_assert(sizeof(calls) == (CALLED + 1) * sizeof(void *),
                   "one pointer for each function");
    memcpy(&calls, function, CALLED * sizeof(function[0]));
    calls.qp_to_ex = ibv_qp_to_qp_ex;
    found = 1;
}

const struct mlx5dv_calls *mlx5dv_calls(char *why, size_t size)
{
    pthread_once(&once, find);
    if (!found)
        snprintf(why, size, "%s", reason);
    return found ? &calls : NULL;
}
