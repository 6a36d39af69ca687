/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system call filter of the container; hpcrun-session(7), SYSTEM CALLS, says what it is for.
 */
#ifndef RT_SECCOMP_H
#define RT_SECCOMP_H

#include "util/buf.h"
#include "util/err.h"

/* Compile the filter for all system call interfaces of this machine and append it (struct
 * sock_filter[]). */
int rt_seccomp_compile(struct hr_buf *out, struct hr_err *e) HR_MUST_USE;

#endif
