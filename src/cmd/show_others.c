/* SPDX-License-Identifier: BSD-3-Clause */
/* show_others: the policies of PSP and TSS. */
#include <inttypes.h>

#include "cmd.h"
#include "eesp_psp.h"
#include "eesp_tss.h"
#include "show.h"

static const char *const modes[] = {
    [EESP_TSS_DIRECT] = "direct",
    [EESP_TSS_CLUSTER] = "cluster",
    [EESP_TSS_SERVER] = "server",
};

/* Which of the two keys are there. */
static const char *key_numbers(unsigned keys)
{
    static const char *const numbers[] = { "none", "0", "1", "0 and 1" };

    return numbers[keys & 3];
}

void show_psp(const struct eesp_keyring *keyring)
{
    static const char *const titles[] = { "PSP POLICY", "MASTER KEYS",
                                          "NUMBERS" };
    struct table *table;
    struct eesp_psp_policy policy;
    unsigned i;

    if (eesp_psp_policy(keyring, 0, &policy) != EESP_OK)
        return;
    table = table_new(titles, 3);
    for (i = 0; eesp_psp_policy(keyring, i, &policy) == EESP_OK; i++) {
        table_add(table, "%s", policy.name);
        table_add(table, "%s", policy.key_id);
        table_add(table, "%s", key_numbers(policy.keys));
    }
    putchar('\n');
    table_print(table, stdout);
    table_free(table);
}

void show_tss(const struct eesp_keyring *keyring)
{
    static const char *const titles[] = { "TSS POLICY", "SDI", "MODE", "KEY",
                                          "AN", "EPOCH", "AGE", "REKEY" };
    struct table *table;
    struct eesp_tss_policy policy;
    unsigned i;

    if (eesp_tss_policy(keyring, 0, &policy) != EESP_OK)
        return;
    table = table_new(titles, 8);
    for (i = 0; eesp_tss_policy(keyring, i, &policy) == EESP_OK; i++) {
        table_add(table, "%s", policy.name);
        table_add(table, "0x%06" PRIx32, policy.params.sdi);
        table_add(table, "%s", modes[policy.params.mode]);
        table_add(table, "%s", policy.key_id);
        table_add(table, "%s", key_numbers(policy.keys));
        table_add(table, "%u", policy.epoch);
        table_add(table, "%u", policy.params.epoch_age);
        if (policy.params.rekey_mask)
            table_add(table, "%012" PRIx64 " >> %u", policy.params.rekey_mask,
                      policy.params.rekey_shift);
        else
            table_add(table, "no");
    }
    putchar('\n');
    table_print(table, stdout);
    table_free(table);
}

static json_t *keys_json(unsigned keys)
{
    json_t *array = json_array();
    int i;

    for (i = 0; i < 2; i++)
        if (keys & 1u << i)
            json_array_append_new(array, json_integer(i));
    return array;
}

json_t *show_psp_json(const struct eesp_keyring *keyring)
{
    json_t *array = json_array();
    struct eesp_psp_policy policy;
    unsigned i;

    for (i = 0; eesp_psp_policy(keyring, i, &policy) == EESP_OK; i++)
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:o}", "name", policy.name, "master",
                             policy.key_id, "keys", keys_json(policy.keys)));
    return array;
}

json_t *show_tss_json(const struct eesp_keyring *keyring)
{
    json_t *array = json_array();
    struct eesp_tss_policy policy;
    unsigned i;

    for (i = 0; eesp_tss_policy(keyring, i, &policy) == EESP_OK; i++)
        json_array_append_new(
            array,
            json_pack("{s:s, s:s, s:o, s:i, s:s, s:i, s:i, s:I, s:i}", "name",
                      policy.name, "key", policy.key_id, "keys",
                      keys_json(policy.keys), "sdi", (int)policy.params.sdi,
                      "mode", modes[policy.params.mode], "epoch",
                      (int)policy.epoch, "epoch_age",
                      (int)policy.params.epoch_age, "rekey_mask",
                      (json_int_t)policy.params.rekey_mask, "rekey_shift",
                      (int)policy.params.rekey_shift));
    return array;
}
