/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

struct table {
    char   **cells;
    size_t   used;    /* of cells */
    unsigned columns;
};

struct table *table_new(const char *const *titles, unsigned columns)
{
    struct table *table = cmd_realloc(NULL, sizeof(*table));
    unsigned i;

    *table = (struct table){ .columns = columns };
    for (i = 0; i < columns; i++)
        table_add(table, "%s", titles[i]);
    return table;
}

void table_add(struct table *table, const char *format, ...)
{
    va_list args;
    char *cell;
    int length;

    va_start(args, format);
    length = vasprintf(&cell, format, args);
    va_end(args);
    if (length < 0) {
        cmd_complain("out of memory");
        exit(CMD_FAILED);
    }
    table->cells = cmd_realloc(table->cells,
                               (table->used + 1) * sizeof(*table->cells));
    table->cells[table->used++] = cell;
}

static int column_width(const struct table *table, unsigned column)
{
    size_t i, width = 0;

    for (i = column; i < table->used; i += table->columns)
        if (strlen(table->cells[i]) > width)
            width = strlen(table->cells[i]);
    return (int)width;
}

/* Nothing is padded at the end of a line. */
static bool ends_line(const struct table *table, size_t cell)
{
    do {
        cell++;
    } while (cell % table->columns && !table->cells[cell][0]);
    return cell % table->columns == 0;
}

void table_print(const struct table *table, FILE *out)
{
    unsigned column;
    size_t i;

    for (i = 0; i < table->used; i++) {
        column = (unsigned)(i % table->columns);
        if (ends_line(table, i)) {
            fprintf(out, "%s\n", table->cells[i]);
            i += table->columns - 1 - column; /* the rest is empty */
        } else {
            fprintf(out, "%-*s  ", column_width(table, column),
                    table->cells[i]);
        }
    }
}

void table_free(struct table *table)
{
    size_t i;

    for (i = 0; i < table->used; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}
