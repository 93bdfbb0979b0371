/* SPDX-License-Identifier: BSD-3-Clause */
/* context: every field at its place, and nothing that changes nothing. */
#include "unit.h"

#include "context.h"
#include "wire.h"

enum { SELECTORS = EESP_SELECT_RANKS | EESP_SELECT_SOURCE |
                   EESP_SELECT_DESTINATION,
       LENGTH    = EESP_CONTEXT_FIXED + 24 };

static const struct eesp_policy_info policy = {
    .levels = 0x5, .phase_shift = 4, .flags = EESP_FLAG_BOUND,
    .selectors = SELECTORS};

static const struct eesp_header header = {
    .session_id       = 0x1718,
    .selectors        = SELECTORS,
    .epoch            = 0x1516,
    .incarnation      = 0x2122232425262728,
    .source_rank      = 0x51525354,
    .destination_rank = 0x55565758,
    .source_id        = 0x6162636465666768,
    .destination_id   = 0x7172737475767778,
    .sequence         = 0x4142434445464748};

static void layout(void **unused)
{
    static const char wanted[] =
        "8504" "0007" "1516" "1718" "2122232425262728" "3132333435363738"
        "0414243444546474" "5152535455565758" "6162636465666768"
        "7172737475767778";
    uint8_t bytes[EESP_CONTEXT_MAX], made[EESP_CONTEXT_MAX];

    (void)unused;
    assert_int_equal(unhex(wanted, bytes, sizeof(bytes)), LENGTH);
    assert_int_equal(eesp_context_build(&policy, &header, 0x3132333435363738,
                                        made),
                     LENGTH);
    assert_memory_equal(made, bytes, LENGTH);
}

static void unbound(void **unused)
{
    struct eesp_policy_info p = policy;
    uint8_t a[EESP_CONTEXT_MAX], b[EESP_CONTEXT_MAX];
    size_t n;

    (void)unused;
    p.flags = 0;
    n = eesp_context_build(&p, &header, 1, a);
    assert_int_equal(eesp_context_build(&p, &header, 2, b), n);
    assert_memory_equal(a, b, n);
    assert_int_equal(a[0], 0x05);
}

/* The full destination rank counts, also for packets that carry 16 bits. */
static void compact(void **unused)
{
    struct eesp_policy_info p = policy;
    struct eesp_header h      = header;
    uint8_t full[EESP_CONTEXT_MAX], c[EESP_CONTEXT_MAX];
    size_t n;

    (void)unused;
    p.selectors = h.selectors = EESP_SELECT_RANKS;
    n         = eesp_context_build(&p, &h, 7, full);
    h.compact = 1;
    assert_int_equal(n, EESP_CONTEXT_FIXED + 8);
    assert_int_equal(eesp_context_build(&p, &h, 7, c), n);
    assert_memory_equal(full, c, n);
}

static int differs(const struct eesp_policy_info *p,
                   const struct eesp_header *h, uint64_t destination)
{
    uint8_t a[EESP_CONTEXT_MAX], b[EESP_CONTEXT_MAX];
    size_t n = eesp_context_build(&policy, &header, 9, a);

    return eesp_context_build(p, h, destination, b) != n ||
           memcmp(a, b, n) != 0;
}

static void every_field(void **unused)
{
    struct eesp_policy_info p = policy;
    struct eesp_header h      = header;
    unsigned s;

    (void)unused;
    assert_false(differs(&policy, &header, 9));
    assert_true(differs(&policy, &header, 8));
#define CHANGED(_object, _field)                      \
    do {                                              \
        (_object)._field ^= 1;                        \
        assert_true(differs(&p, &h, 9));              \
        (_object)._field ^= 1;                        \
    } while (0)
    CHANGED(p, levels);
    CHANGED(p, phase_shift);
    p.flags = 0;
    assert_true(differs(&p, &h, 9));
    p.flags = EESP_FLAG_BOUND | EESP_FLAG_COMMITTED;
    assert_true(differs(&p, &h, 9));
    p.flags   = EESP_FLAG_BOUND;
    h.options = EESP_HAS_ORIGIN; /* flag X */
    assert_true(differs(&p, &h, 9));
    h.options = EESP_HAS_CRYPT_OFFSET;
    assert_false(differs(&p, &h, 9));
    h.options = 0;
    CHANGED(p, selectors);
    CHANGED(h, epoch);
    CHANGED(h, session_id);
    CHANGED(h, incarnation);
    CHANGED(h, source_rank);
    CHANGED(h, destination_rank);
    CHANGED(h, source_id);
    CHANGED(h, destination_id);
#undef CHANGED
    /* One key for the 2^S numbers of a phase, another for the next. */
    h.sequence ^= 0xf;
    assert_false(differs(&p, &h, 9));
    h.sequence ^= 0x10;
    assert_true(differs(&p, &h, 9));
    h.sequence = header.sequence;
    for (s = 0; s <= 48; s++) {
        uint8_t a[EESP_CONTEXT_MAX], b[EESP_CONTEXT_MAX];

        p.phase_shift = s;
        h.sequence    = ((uint64_t)1 << s) - 1;
        eesp_context_build(&p, &h, 9, a);
        h.sequence++;
        eesp_context_build(&p, &h, 9, b);
        assert_int_equal(a[31], 0);
        assert_int_equal(b[31], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout),
        cmocka_unit_test(unbound),
        cmocka_unit_test(compact),
        cmocka_unit_test(every_field),
    };

    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
