/* SPDX-License-Identifier: BSD-3-Clause */
/* secret: what the kernel was told about the pages, and the wipe. */
#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "secret.h"

/* VmFlags of the mapping that holds address. */
static void read_flags(const void *address, char flags[256])
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    unsigned long from, to;
    char line[512];
    int inside = 0;

    flags[0] = '\0';
    assert_non_null(smaps);
    while (fgets(line, sizeof(line), smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)address >= from && (uintptr_t)address < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(flags, 256, "%.255s", line + 8);
    }
    fclose(smaps);
    assert_true(flags[0] != '\0');
}

static void allocate(void **unused)
{
    static const size_t sizes[] = {1, 63, 4096, 4097, 1 << 20};
    long page = sysconf(_SC_PAGESIZE);
    char flags[256];
    size_t i, j;

    (void)unused;
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *p = eesp_secret_alloc(sizes[i]);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (uintptr_t)page, 0);
        for (j = 0; j < sizes[i]; j++)
            assert_int_equal(p[j], 0);
        read_flags(p, flags);
        assert_non_null(strstr(flags, " dd")); /* not in a core dump */
        memset(p, 0x5a, sizes[i]);
        eesp_secret_free(p, sizes[i]);
    }
}

static void refuse(void **unused)
{
    (void)unused;
    assert_null(eesp_secret_alloc(0));
    assert_null(eesp_secret_alloc(SIZE_MAX));
    assert_null(eesp_secret_alloc(SIZE_MAX - 5000));
    assert_null(eesp_wipeonfork_alloc(0));
    eesp_secret_free(NULL, 100);
}

/* Memory that the kernel does not take back shows what was left in it. */
static void wipe(void **unused)
{
    static uint8_t memory[8192] __attribute__((aligned(4096)));
    size_t i;

    (void)unused;
    memset(memory, 0x5a, sizeof(memory));
    eesp_secret_free(memory + 1, 5000); /* munmap() refuses this address */
    for (i = 0; i < sizeof(memory); i++)
        assert_int_equal(memory[i], i >= 1 && i <= 5000 ? 0 : 0x5a);
}

static void fork_wipes(void **unused)
{
    uint8_t *p = eesp_wipeonfork_alloc(100), *kept = eesp_secret_alloc(100);
    char flags[256];
    int status;
    pid_t child;

    (void)unused;
    assert_non_null(p);
    assert_non_null(kept);
    read_flags(p, flags);
    assert_non_null(strstr(flags, " wf"));
    memset(p, 0x5a, 100);
    memset(kept, 0x5a, 100);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(p[0] == 0 && p[99] == 0 && kept[99] == 0x5a ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(p[0], 0x5a);
    eesp_secret_free(p, 100);
    eesp_secret_free(kept, 100);
}

static void randomness(void **unused)
{
    static uint8_t a[1 << 20], b[1 << 20];
    unsigned counts[256] = {0};
    uint8_t guard[10]    = {0};
    size_t i;

    (void)unused;
    assert_int_equal(eesp_random(a, sizeof(a)), EESP_OK);
    assert_int_equal(eesp_random(b, sizeof(b)), EESP_OK);
    assert_true(memcmp(a, b, 32) != 0);
    assert_true(memcmp(a + sizeof(a) - 32, b + sizeof(b) - 32, 32) != 0);
    for (i = 0; i < sizeof(a); i++)
        counts[a[i]]++;
    for (i = 0; i < 256; i++) /* 4096 each, deviation 64 */
        assert_in_range(counts[i], 4096 - 640, 4096 + 640);
    assert_int_equal(eesp_random(guard + 1, 8), EESP_OK);
    assert_int_equal(guard[0] | guard[9], 0);
    assert_int_equal(eesp_random(guard, 0), EESP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocate),   cmocka_unit_test(refuse),
        cmocka_unit_test(wipe),       cmocka_unit_test(fork_wipes),
        cmocka_unit_test(randomness),
    };

    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
