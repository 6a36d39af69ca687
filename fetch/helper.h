/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Credential helpers: docker-credential-NAME, run with a verb, the question on its stdin, the
 * answer on its stdout. Private to fetch/.
 *
 * Source: https://github.com/docker/docker-credential-helpers, "Development".
 */
#ifndef FETCH_HELPER_H
#define FETCH_HELPER_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/err.h"

/*
 * Run the helper NAME with VERB ("get", "store", "erase") and INPUT; append what it prints to
 * *output. *ok is false when it exits with another status than 0.
 *
 * Bounds:  TIMEOUT_MS, then it is killed; 1 MiB of output. The program is looked up in the absolute
 *          directories of PATH. Its stderr goes nowhere: nobody knows what it would print.
 * Errors:  HR_NOTFOUND no such helper; HR_USAGE a name with a slash or the like; HR_DENIED it
 * hangs, dies by a signal or talks too much; HR_SYS.
 */
int fetch_helper_run(const char *name, const char *verb, const char *input, unsigned int timeout_ms,
		     struct hr_buf *output, bool *ok, struct hr_err *e) HR_MUST_USE;

#endif
