/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * eesp decode over a whole input: a capture if FUZZ_PCAP is set, else packets
 * in hexadecimal. The first byte chooses among the options.
 */
#include <getopt.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd.h"
#include "fuzz.h"

static char name[] = "eesp", json[] = "--json", psp[] = "--psp", tss[] = "--tss",
            quiet[] = "--quiet", pcap[] = "--pcap", standard[] = "-",
            rank[] = "--rank", nine[] = "9";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[8] = {name};
    int argc = 1, fd, result;

    if (size < 1)
        return 0;
#ifdef FUZZ_PCAP
    argv[argc++] = pcap;
    argv[argc++] = standard;
#else
    (void)pcap;
    (void)standard;
#endif
    switch (data[0] & 7) {
    case 0:
        argv[argc++] = json;
        break;
    case 1:
        argv[argc++] = psp;
        break;
    case 5:
        argv[argc++] = tss;
        break;
    case 2:
        argv[argc++] = quiet;
        break;
    case 3:
        argv[argc++] = rank;
        argv[argc++] = nine;
        break;
    default:
        break;
    }
    fd = memfd_create("input", MFD_CLOEXEC);
    FUZZ_RULE(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)size - 1 &&
              lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, STDIN_FILENO) == 0);
    close(fd);
    setenv(CMD_KEYRING_VARIABLE, fuzz_ring(), 1);
    optind = 0; /* getopt starts afresh */
    result = decode_main(argc, argv);
    FUZZ_RULE(result == CMD_OK || result == CMD_FAILED || result == CMD_USAGE);
    return 0;
}
