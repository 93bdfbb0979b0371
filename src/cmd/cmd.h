/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd: what the subcommands of eesp share. */
#ifndef EESP_CMD_H
#define EESP_CMD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../job/names.h"
#include "eesp.h"

enum { CMD_OK = 0, CMD_FAILED = 1, CMD_USAGE = 2 }; /* exit codes */

#define CMD_DEFAULT_KEYRING "/etc/eesp/keyring.jwks"
#define CMD_KEYRING_VARIABLE "UCX_EESP_KEYRING"

int decode_main(int argc, char *argv[]);
int encode_main(int argc, char *argv[]);
int grant_main(int argc, char *argv[]);
int keygen_main(int argc, char *argv[]);
int rotate_main(int argc, char *argv[]);
int run_main(int argc, char *argv[]);
int selftest_main(int argc, char *argv[]);
int show_main(int argc, char *argv[]);
int stat_main(int argc, char *argv[]);
int verify_main(int argc, char *argv[]);

/* One line on stderr that starts with "eesp: ". */
void cmd_complain(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Points to the help of a subcommand; returns CMD_USAGE. */
int cmd_usage(const char *subcommand);

/*
 * Loads path or, if it is NULL, the file that UCX_EESP_KEYRING names or the
 * default one. NULL after a complaint. *path_p gets the name used.
 */
struct eesp_keyring *cmd_load_keyring(const char *path, const char **path_p);

/*
 * Value of an option in base 10 or 16, up to max: 0, or -1 after a complaint.
 */
int cmd_parse_number(const char *option, const char *text, int base,
                     uint64_t max, uint64_t *value);

/* free() for what holds secrets: wipes first. */
void cmd_wiping_free(void *memory);

/* Memory and text, or a complaint and exit: not for secrets. */
void *cmd_realloc(void *memory, size_t size);
char *cmd_printf(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* ---- Texts of what eesp.h numbers --------------------------------------- */

#define TEXT_MAX 96 /* all selectors take 77 */

const char *text_replay(enum eesp_replay replay);
/* "source,destination" */
const char *text_selectors(unsigned selectors, char text[static TEXT_MAX]);
/* "2026-07-01T12:00:00Z"; "-" for 0 */
const char *text_time(uint64_t seconds, char text[static TEXT_MAX]);
/* "29d 23h", "5m 10s" */
const char *text_duration(uint64_t seconds, char text[static TEXT_MAX]);
/* Lower case, 2 * length digits and a NUL. */
void text_hex(const uint8_t *bytes, size_t length, char *text);

/* ---- Table ---------------------------------------------------------------
 * Cells are added in reading order; columns come out as wide as they need.
 */
struct table;

struct table *table_new(const char *const *titles, unsigned columns);
void table_add(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);

#endif
