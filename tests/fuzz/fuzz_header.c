/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers: what parses lies inside the packet, and builds to itself. */
#include "fuzz.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eesp_header header, again;
    uint8_t built[EESP_HEADER_MAX + EESP_EXPOSED_MAX];
    size_t length;
    int ret = eesp_header_parse(data, size, &header);

    FUZZ_RULE(ret == EESP_OK ||
              (ret <= EESP_DROP_LENGTH && ret >= EESP_DROP_OPTION));
    if (ret != EESP_OK)
        return 0;
    FUZZ_RULE(header.length + 4 + 16 <= size);
    /* Options may stand in another order, with more padding: not the length. */
    length = eesp_header_length(header.compact, header.selectors,
                                header.options);
    FUZZ_RULE(length <= EESP_HEADER_MAX);
    memset(built, 0, sizeof(built));
    eesp_header_build(&header, built);
    FUZZ_RULE(eesp_header_parse(built, length + 4 + 16, &again) == EESP_OK);
    FUZZ_RULE(again.spi == header.spi && again.epoch == header.epoch &&
              again.sequence == header.sequence &&
              again.incarnation == header.incarnation &&
              again.options == header.options &&
              again.crypt_offset == header.crypt_offset &&
              again.session_id == header.session_id &&
              again.source_rank == header.source_rank &&
              again.source_id == header.source_id &&
              memcmp(&again.origin, &header.origin, sizeof(again.origin)) == 0 &&
              memcmp(again.generations, header.generations,
                     sizeof(again.generations)) == 0);
    return 0;
}
