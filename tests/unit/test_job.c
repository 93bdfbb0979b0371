/* SPDX-License-Identifier: BSD-3-Clause */
/* job: a job's root key. Vectors by Python's cryptography (HKDF). */
#include "unit.h"

#include <string.h>

#include "eesp.h"

static const uint8_t first[] = {
    0xb2, 0x01, 0x9c, 0x6a, 0x8b, 0x70, 0xd6, 0xf8, 0x0e, 0x4a, 0x4c,
    0x25, 0x96, 0x63, 0x99, 0x30, 0x44, 0x4e, 0x4f, 0x89, 0x80, 0x9f,
    0x7b, 0x28, 0x2e, 0xe3, 0x7c, 0x8a, 0x52, 0x4b, 0x5f, 0xdb};
static const uint8_t last[] = {
    0x2b, 0xe3, 0x8f, 0x59, 0x42, 0xc6, 0x98, 0x07, 0x05, 0x9f, 0x91,
    0x09, 0x42, 0xf3, 0x55, 0xf9, 0x35, 0x12, 0x64, 0x4f, 0x3b, 0x50,
    0x78, 0xde, 0x39, 0xd4, 0xbe, 0xc6, 0xd3, 0xdb, 0x77, 0x13};

static void counting(uint8_t root[64])
{
    unsigned i;

    for (i = 0; i < 64; i++)
        root[i] = (uint8_t)i;
}

static void vectors(void **unused)
{
    struct eesp_job job = {.job = 1234, .user = 1000};
    uint8_t root[64], out[EESP_JOB_ROOT_LEN];

    (void)unused;
    counting(root);
    assert_int_equal(eesp_job_root(root, 32, &job, out), EESP_OK);
    assert_memory_equal(out, first, sizeof(first));
    job = (struct eesp_job){UINT32_MAX, 0xfffffffb, 65534, "cluster-a"};
    assert_int_equal(eesp_job_root(root, 64, &job, out), EESP_OK);
    assert_memory_equal(out, last, sizeof(last));
}

/* Each part of a job's identity gives another key. */
static void parts(void **unused)
{
    static const struct eesp_job jobs[] = {
        {1, 2, 3, NULL}, {2, 2, 3, NULL}, {1, 1, 3, NULL}, {1, 2, 2, NULL},
        {1, 2, 3, "a"}, {1, 2, 3, "b"}, {2, 1, 3, NULL}};
    enum { JOBS = sizeof(jobs) / sizeof(jobs[0]) };
    uint8_t root[64], out[JOBS][EESP_JOB_ROOT_LEN];
    unsigned i, k;

    (void)unused;
    counting(root);
    for (i = 0; i < JOBS; i++) {
        assert_int_equal(eesp_job_root(root, 32, &jobs[i], out[i]), EESP_OK);
        for (k = 0; k < i; k++)
            assert_memory_not_equal(out[i], out[k], sizeof(out[i]));
    }
    root[31] ^= 1;
    assert_int_equal(eesp_job_root(root, 32, &jobs[0], out[1]), EESP_OK);
    assert_memory_not_equal(out[0], out[1], sizeof(out[0]));
}

static void limits(void **unused)
{
    char site[EESP_SITE_MAX + 2];
    struct eesp_job job = {1, 2, 3, site};
    uint8_t root[65] = {0}, out[EESP_JOB_ROOT_LEN];

    (void)unused;
    memset(site, 'x', sizeof(site));
    site[EESP_SITE_MAX] = '\0';
    assert_int_equal(eesp_job_root(root, 32, &job, out), EESP_OK);
    assert_int_equal(eesp_job_root(root, 31, &job, out), EESP_ERR_ARGUMENT);
    assert_int_equal(eesp_job_root(root, 65, &job, out), EESP_ERR_ARGUMENT);
    site[EESP_SITE_MAX]     = 'x';
    site[EESP_SITE_MAX + 1] = '\0';
    assert_int_equal(eesp_job_root(root, 32, &job, out), EESP_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(parts),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
