#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Read files at random, past the page cache, and tell of reads that took long.

usage: slow_reads.py DIR COPY STOP

Four threads read pieces of the files of DIR until the file STOP is there, and compare them with those of COPY. The
first line is "begun"; then comes one for each read of more than 1 ms: when it began, in seconds as in /proc/uptime, and
how long it took. The last line is the number of all reads. Exit status 1 when a read failed or brought other bytes.
"""
import os
import random
import sys
import threading
import time

PIECE = 64 << 10
WORTH_A_LINE_S = 0.001


def read(names, top, copy, stop, seen):
    """Until there is the file STOP; the reads go to SEEN as (begin, seconds, whether it was right)."""
    while not os.path.exists(stop):
        name = random.choice(names)
        at = random.randrange(os.path.getsize(os.path.join(copy, name)))
        fd = os.open(os.path.join(top, name), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        begin = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            got = os.pread(fd, PIECE, at)
        except OSError as error:
            got = str(error).encode()
        took = time.clock_gettime(time.CLOCK_BOOTTIME) - begin
        os.close(fd)
        with open(os.path.join(copy, name), "rb") as f:
            f.seek(at)
            seen.append((begin, took, f.read(PIECE) == got))


def main():
    """See the top of this file."""
    top, copy, stop = sys.argv[1:]
    names, seen = sorted(os.listdir(copy)), []
    threads = [threading.Thread(target=read, args=(names, top, copy, stop, seen)) for _ in range(4)]
    print("begun", flush=True)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for begin, took, _ in seen:
        if took > WORTH_A_LINE_S:
            print("%.3f %.3f" % (begin, took))
    print(len(seen))
    return 0 if all(right for _, _, right in seen) else 1


sys.exit(main())
