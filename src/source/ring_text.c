/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring_text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/evp.h>

int eesp_text_open(struct eesp_text *text, size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED)
        return -1;
    (void)madvise(bytes, size, MADV_DONTDUMP);
    (void)mlock(bytes, size);
    text->bytes  = bytes;
    text->size   = size;
    text->length = 0;
    return 0;
}

void eesp_text_close(struct eesp_text *text)
{
    int error = errno;

    if (text->bytes != NULL) {
        explicit_bzero(text->bytes, text->size);
        munmap(text->bytes, text->size);
    }
    memset(text, 0, sizeof(*text));
    errno = error;
}

void eesp_text_look(const struct eesp_text *text,
                    struct eesp_source_seen *seen)
{
    seen->size = text->length;
    (void)EVP_Q_digest(NULL, "SHA256", NULL, text->bytes, text->length,
                       seen->digest, NULL);
}
