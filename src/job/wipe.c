/* SPDX-License-Identifier: BSD-3-Clause */
#include "wipe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void wipe_file(int directory, const char *name)
{
    static const char zeros[4096];
    int fd = openat(directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    off_t done;

    if (fd >= 0 && fstat(fd, &st) == 0)
        for (done = 0; done < st.st_size; done += (off_t)sizeof(zeros))
            if (pwrite(fd, zeros, sizeof(zeros), done) < 0)
                break;
    if (fd >= 0)
        close(fd);
    (void)unlinkat(directory, name, 0);
}
