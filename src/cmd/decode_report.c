/* SPDX-License-Identifier: BSD-3-Clause */
/* decode_report: counts what was found, and hands on what is to be shown. */
#include <inttypes.h>

#include "decode.h"

/* Whether one more may be printed. */
static bool take_turn(struct report *report)
{
    if (report->quiet || (report->limited && report->left == 0))
        return false;
    if (report->limited)
        report->left--;
    return true;
}

char *report_payload(const struct open_result *result)
{
    char *hex = cmd_realloc(NULL, 2 * result->opened.length + 1);

    text_hex(result->opened.payload, result->opened.length, hex);
    return hex;
}

void report_packet(struct report *report, const struct decode_packet *packet,
                   const struct open_result *result)
{
    report->packets++;
    if (result->error == EESP_OK)
        report->opened++;
    else
        report->failed++;
    if (!take_turn(report))
        return;
    if (report->as_json)
        json_packet(report, packet, result);
    else
        people_packet(report, packet, result);
}

void report_event(struct report *report, enum decode_event event,
                  const char *where, const char *text)
{
    static const char *const types[] = { "bad input", "not EESP", "gap" };

    if (event == DECODE_BAD_INPUT) {
        report->packets++;
        report->failed++;
    } else if (event == DECODE_NOT_EESP) {
        report->not_eesp++;
    } else {
        report->gaps++;
    }
    if (!take_turn(report))
        return;
    if (report->as_json)
        json_event(types[event], where, text);
    else
        people_event(report, event, where, text);
}

void report_summary(const struct report *report,
                    const struct decode_streams *streams, bool pcap)
{
    if (report->as_json)
        json_summary(report, streams);
    fflush(stdout);
    fprintf(stderr, "%" PRIu64 " packets, %" PRIu64 " opened, %" PRIu64
            " failed\n", report->packets, report->opened, report->failed);
    if (!pcap)
        return;
    fprintf(stderr, "%" PRIu64 " not EESP, %" PRIu64 " connection set-up "
            "frames, %" PRIu64 " UCX streams, %" PRIu64 " other streams\n",
            report->not_eesp, streams->setup_frames, streams->ucx_streams,
            streams->other_streams);
    if (report->gaps || streams->fragments)
        fprintf(stderr, "%" PRIu64 " gaps of %" PRIu64 " bytes, %" PRIu64
                " IP fragments left out\n", report->gaps, streams->gap_bytes,
                streams->fragments);
}
