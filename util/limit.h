/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits of the process, getrlimit(2): those that programs of ours meet when a user or a site has
 * set them for others.
 */
#ifndef HR_LIMIT_H
#define HR_LIMIT_H

#include "util/err.h"

/* Raise descriptors, sizes of files, memory and processes as far as this process may: its own
 * alone, and that of what it starts. */
void hr_limit_raise(void);

/* If E is a failure that a limit of this process explains, by its errno, name the limit as hint. */
void hr_limit_hint(struct hr_err *e);
/* The same where memory may have been what a child with our limits died of. */
void hr_limit_hint_memory(struct hr_err *e);

#endif
