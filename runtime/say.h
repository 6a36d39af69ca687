/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A line of the session on the standard error of a rank, which the rank lent it.
 *
 * Not for: a failure to start, which the rank prints itself.
 */
#ifndef RT_SAY_H
#define RT_SAY_H

#include "util/log.h"

/*
 * Write TEXT as a line of LEVEL to FD, which stays the caller's.
 *
 * A process of its own does it, two seconds at most: whoever does not read, a terminal that is
 * stopped or a pipe that is full, must not stop the session. It is not waited for; SIGCHLD comes.
 */
void rt_say(int fd, enum hr_level level, const char *text);

#endif
