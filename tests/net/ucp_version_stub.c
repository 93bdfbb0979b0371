/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A preloaded object that makes UCX say it is 1.99.0: the plugin must refuse a
 * minor version it was not built for.
 */
#include <ucp/api/ucp.h>

/* The build hides everything else, and a hidden function replaces nothing. */
#define PRELOADED __attribute__((visibility("default")))

PRELOADED void ucp_get_version(unsigned *major_version, unsigned *minor_version,
                               unsigned *release_number)
{
    *major_version = 1;
    *minor_version = 99;
    *release_number = 0;
}

PRELOADED const char *ucp_get_version_string(void)
{
    return "1.99.0";
}
