/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

#include "cmd.h"

struct outcome {
    const char *name, *algorithm;
    bool        available;
    const char *missing; /* "" if available */
    int         result;  /* of the known answers */
    bool        used;    /* the one that a lane takes by itself */
};

static void print_help(void)
{
    printf("Usage: eesp selftest [--fips] [--json]\n\n"
           "Tests every cipher backend and key derivation function with known "
           "answers,\nand shows which ones a keyring of eesp keygen uses "
           "here.\n\n"
           "  --fips      as in FIPS mode (UCX_EESP_FIPS): by OpenSSL's FIPS "
           "provider only\n"
           "  --json      for machines\n"
           "  -h, --help  this text\n\n"
           "Exit code: 1 if an available one fails or none is available, or "
           "there is no\nFIPS provider for --fips.\n\n"
           "Examples:\n"
           "  eesp selftest\n"
           "  eesp selftest --json | jq '.backends[] | select(.used)'\n");
}

static struct outcome test_backend(unsigned index, bool *found)
{
    struct eesp_backend_info info = { 0 };
    struct outcome outcome;

    eesp_backend(index, &info);
    outcome = (struct outcome){
        .name = info.name, .algorithm = info.algorithm,
        .available = info.available,
        .missing = info.available || !info.missing ? "" : info.missing,
        .result = eesp_backend_selftest(index),
    };
    outcome.used = info.available && !*found;
    *found |= outcome.used;
    return outcome;
}

static struct outcome test_kdf(unsigned index)
{
    return (struct outcome){
        .name = "kdf", .algorithm = eesp_kdf_name(index), .available = true,
        .missing = "", .used = index == 0,
        .result = eesp_backend_selftest(eesp_backends() + index),
    };
}

/* Several packets side by side, where AEAD and KDF are the first of each. */
static struct outcome test_bursts(void)
{
    int result = eesp_burst_selftest();
    bool there = result != EESP_ERR_UNSUPPORTED;

    return (struct outcome){
        .name = "bursts", .algorithm = "cmac-aes256, aes-256-gcm",
        .available = there, .result = result,
        .used = there && result == EESP_OK,
        .missing = there ? "not used" :
                   eesp_fips_provider() ? "FIPS mode" :
                           "CPU has no AVX-512 with VAES and VPCLMULQDQ",
    };
}

static const char *answers(const struct outcome *outcome)
{
    if (!outcome->available)
        return "-";
    return outcome->result == EESP_OK ? "pass" : "FAIL";
}

static void add_row(struct table *table, const struct outcome *outcome)
{
    table_add(table, "%s", outcome->name);
    table_add(table, "%s", outcome->algorithm);
    table_add(table, "%s", outcome->available ? "available" : "missing");
    table_add(table, "%s", answers(outcome));
    table_add(table, "%s", outcome->used ? "used" : outcome->missing);
}

static json_t *outcome_json(const struct outcome *outcome)
{
    return json_pack("{s:s, s:s, s:b, s:s, s:s, s:b}", "name", outcome->name,
                     "algorithm", outcome->algorithm, "available",
                     outcome->available, "missing", outcome->missing,
                     "known_answers", answers(outcome), "used",
                     outcome->used);
}

/* "kdf" is the one that is used: the first. */
static void print_json(json_t *backends, json_t *kdfs, json_t *bursts,
                       bool passed)
{
    json_t *all = json_pack("{s:O, s:O, s:O, s:o, s:b}", "backends", backends,
                            "kdfs", kdfs, "kdf", json_array_get(kdfs, 0),
                            "bursts", bursts, "passed", passed);

    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static int test_all(bool as_json)
{
    static const char *const titles[] = { "NAME", "ALGORITHM", "STATE",
                                          "KNOWN ANSWERS", "NOTE" };
    struct table *table = table_new(titles, 5);
    json_t *backends = json_array(), *kdfs = json_array();
    struct outcome outcome;
    bool found = false, passed = true;
    unsigned i;

    for (i = 0; i < eesp_backends(); i++) {
        outcome = test_backend(i, &found);
        passed &= !outcome.available || outcome.result == EESP_OK;
        add_row(table, &outcome);
        json_array_append_new(backends, outcome_json(&outcome));
    }
    for (i = 0; i < eesp_kdfs(); i++) {
        outcome = test_kdf(i);
        passed &= outcome.result == EESP_OK;
        add_row(table, &outcome);
        json_array_append_new(kdfs, outcome_json(&outcome));
    }

    outcome = test_bursts();
    passed &= !outcome.available || outcome.result == EESP_OK;
    add_row(table, &outcome);

    if (as_json)
        print_json(backends, kdfs, outcome_json(&outcome), passed && found);
    else
        table_print(table, stdout);
    if (!found)
        cmd_complain("no AEAD backend is available");
    if (!passed)
        cmd_complain("known answers FAILED: do not use this build here");
    json_decref(backends);
    json_decref(kdfs);
    table_free(table);
    return passed && found ? CMD_OK : CMD_FAILED;
}

int selftest_main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "fips", no_argument, NULL, 'f' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    char why[EESP_WHY_LEN];
    bool as_json = false, fips = false;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            fips = true;
            break;
        case 'j':
            as_json = true;
            break;
        case 'h':
            print_help();
            return CMD_OK;
        default:
            return cmd_usage("selftest");
        }
    }
    if (optind < argc) {
        cmd_complain("unexpected argument '%s'", argv[optind]);
        return cmd_usage("selftest");
    }
    if (fips) {
        if (eesp_fips_enable(why) != EESP_OK) {
            cmd_complain("%s", why);
            return CMD_FAILED;
        }
        fprintf(stderr, "FIPS mode: %s\n", eesp_fips_provider());
    }
    return test_all(as_json);
}
