/* SPDX-License-Identifier: BSD-3-Clause */
/* pages: what running processes tell about themselves (stat_page.h). */
#ifndef PAGES_H
#define PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "stat_page.h"

#define PAGES_VARIABLE "UCX_EESP_STAT_DIR"

struct page {
    char                 *path;
    bool                  alive; /* its process is there, or a child of it */
    struct eesp_stat_page p;     /* texts are printable and end */
};

struct pages {
    struct page *page; /* in order of rank and process */
    size_t       count;
};

/*
 * All pages of directory or, if it is NULL, of the one that UCX_EESP_STAT_DIR
 * names, or of the user's own places: root's are those of all users. A place
 * that is not there has no pages. -1 after a complaint. Each reader has
 * processes of its own: a page that says another host's would be in its memory.
 */
int pages_read(const char *directory, struct pages *pages);
void pages_free(struct pages *pages);

/*
 * The transports of other processes' reach that this one may use beside eesp,
 * in clear: "" if there are none.
 */
void pages_beside(const struct eesp_stat_page *page,
                  char text[static sizeof(page->transports)]);

/* One page through fd, which may have been removed meanwhile: 0, or -1. */
int pages_read_one(int fd, struct eesp_stat_page *page, bool *alive);

#endif
