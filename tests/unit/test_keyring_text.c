/* SPDX-License-Identifier: BSD-3-Clause */
/* keyring: text that JSON itself refuses, and what its message may show. */
#include "ring.h"

static void parse_text(const char *text, size_t length, const char *wanted)
{
    struct eesp_keyring *keyring;
    char why[EESP_WHY_LEN];

    assert_int_equal(eesp_keyring_parse("ring.jwks", text, length, &keyring,
                                        why),
                     EESP_ERR_KEYRING);
    assert_null(keyring);
    if (strstr(why, wanted) == NULL || strncmp(why, "ring.jwks: ", 11) != 0)
        fail_msg("\"%s\" does not say: %s", why, wanted);
}

/* Text that JSON itself refuses, and members that stand twice. */
static void text(void **unused)
{
    static const char *const not_json[] = {"", "keyring", "{", "[}", "{} {}",
                                           "\xff", "{\"a\":01}", "\"x\""};
    static const struct {
        const char *old, *new, *member;
    } twice[] = {
        {"{\"eesp_version\"", "{\"eesp_version\": 1, \"eesp_version\"",
         "eesp_version"},
        {"{\"kty\"", "{\"kty\": \"oct\", \"kty\"", "kty"},
        {"\"spi\"", "\"replay\": \"off\", \"replay\": \"strict\", \"spi\"",
         "replay"},
    };
    json_t *ring = ring_json(7);
    char *whole  = json_dumps(ring, 0), changed[4096];
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof(not_json) / sizeof(not_json[0]); i++)
        parse_text(not_json[i], strlen(not_json[i]), "");
    snprintf(changed, sizeof(changed), "%s x", whole);
    parse_text(changed, strlen(changed), "not a keyring");
    parse_text(whole, strlen(whole) + 1, "not a keyring"); /* a NUL behind */
    for (i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
        char *at = strstr(whole, twice[i].old);

        assert_non_null(at);
        snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - whole), whole,
                 twice[i].new, at + strlen(twice[i].old));
        parse_text(changed, strlen(changed), "duplicate");
        parse_text(changed, strlen(changed), twice[i].member);
    }
    free(whole);
    json_decref(ring);
}

/* Cut anywhere: an error, no crash, and nothing of a key in its message. */
static void truncated(void **unused)
{
    json_t *ring   = ring_json(7);
    char *whole    = json_dumps(ring, JSON_INDENT(1)), why[EESP_WHY_LEN];
    size_t length  = strlen(whole), n;
    struct eesp_keyring *keyring;

    (void)unused;
    for (n = 0; n < length; n++) {
        char *copy = malloc(n ? n : 1);
        size_t i, at;

        memcpy(copy, whole, n);
        assert_int_equal(eesp_keyring_parse("r", copy, n, &keyring, why),
                         EESP_ERR_KEYRING);
        assert_null(keyring);
        free(copy);
        for (i = 0; i < 4; i++) {
            const char *k =
                json_string_value(json_object_get(ring_key(ring, i), "k"));

            for (at = 0; at + 6 <= strlen(k); at++) {
                char part[7] = {0};

                memcpy(part, k + at, 6);
                if (strstr(why, part) != NULL)
                    fail_msg("cut at %zu, \"%s\" shows a key", n, why);
            }
        }
    }
    free(whole);
    json_decref(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(truncated),
    };

    return cmocka_run_group_tests_name("keyring_text", tests, NULL, NULL);
}
