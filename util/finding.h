/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One line of a check of this machine: what was looked at, how it is, what to do. Several programs
 * print them, one after the other, so that they look alike.
 *
 *     ok    user namespaces   may be made
 *     FAIL  /dev/fuse         cannot open '/dev/fuse': Permission denied
 *                             chmod 0666 /dev/fuse, as distributions ship it
 *
 * As JSON: an object on a line of its own, with the members check, result, text, remedy.
 */
#ifndef HR_FINDING_H
#define HR_FINDING_H

#include <stdbool.h>

#include "util/err.h"

enum hr_result { HR_RESULT_OK, HR_RESULT_WARN, HR_RESULT_FAIL };

struct hr_findings {
	bool json;
	unsigned int warned, failed; /* so far */
};

/* Print one to stdout. REMEDY may be NULL or "". */
void hr_finding(struct hr_findings *f, const char *check, enum hr_result result, const char *remedy,
		const char *fmt, ...) HR_PRINTF(5, 6);
/* The same for a failure, whose hint is the remedy; E is cleared. */
void hr_finding_err(struct hr_findings *f, const char *check, enum hr_result result,
		    struct hr_err *e);

#endif
