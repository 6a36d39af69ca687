/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines for people: "hpcrun[host:pid]: level: text", one write(2) each, so that lines of many ranks
 * stay whole.
 *
 * For: what happened although we go on (hr_warn), what -v and -vv show (hr_info, hr_debug).
 * Not for: failures that are returned, and not for a program's results (stdout).
 * The only module with global state: the level and the sink.
 * Threads: any.
 */
#ifndef HR_LOG_H
#define HR_LOG_H

#include "util/err.h"

enum hr_level { HR_LOG_ERROR, HR_LOG_WARN, HR_LOG_INFO, HR_LOG_DEBUG };

/* Set the program's name and the most detailed level shown; HR_LOG_WARN unless called. */
void hr_log_setup(const char *program, enum hr_level max);
enum hr_level hr_log_level(void);

void hr_warn(const char *fmt, ...) HR_PRINTF(1, 2);
void hr_info(const char *fmt, ...) HR_PRINTF(1, 2);
void hr_debug(const char *fmt, ...) HR_PRINTF(1, 2);

/*
 * Print a failure for the user, "hpcrun: text" and "hpcrun: hint: hint" on stderr. Called by a
 * main, once. Host and pid are left out: it is the user's own command that failed. A limit of this
 * process that explains it is the hint where there is no other.
 */
void hr_err_print(const struct hr_err *failure);

#endif
