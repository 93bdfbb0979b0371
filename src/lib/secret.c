/* SPDX-License-Identifier: BSD-3-Clause */
#include "secret.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "eesp.h"

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) & ~(page - 1);
}

static void *alloc_pages(size_t size, int advice)
{
    size_t length = whole_pages(size);
    void *memory;

    if (size == 0 || length < size)
        return NULL;
    memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (madvise(memory, length, advice) != 0) {
        munmap(memory, length);
        return NULL;
    }
    return memory;
}

void *eesp_secret_alloc(size_t size)
{
    void *memory = alloc_pages(size, MADV_DONTDUMP);

    /* Unprivileged processes may lock little; swap is then up to the site. */
    if (memory != NULL)
        (void)mlock(memory, whole_pages(size));
    return memory;
}

void eesp_secret_free(void *memory, size_t size)
{
    if (memory == NULL)
        return;
    explicit_bzero(memory, size);
    munmap(memory, whole_pages(size));
}

void *eesp_wipeonfork_alloc(size_t size)
{
    return alloc_pages(size, MADV_WIPEONFORK);
}

int eesp_random(void *buffer, size_t size)
{
    uint8_t *p = buffer;

    while (size > 0) {
        ssize_t got = getrandom(p, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return EESP_ERR_CRYPTO;
        p += got;
        size -= (size_t)got;
    }
    return EESP_OK;
}
