/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Run one program of the host to its end: with the environment and the input given and nothing
 * else, in a process group of its own, its output kept for a message, for a limited time. And what
 * to say of one that died.
 */
#ifndef RT_CHILD_H
#define RT_CHILD_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct rt_child {
	const char *path; /* absolute */
	char *const *argv, *const *env;
	int input; /* its standard input */
	uint64_t timeout_s;
	/* called in the child before it executes the program; or NULL */
	int (*prepare)(const void *arg, struct hr_err *e);
	const void *arg;
};

/*
 * Run it and wait. Its working directory is "/", its umask 022, signals are as at login, and it
 * has no descriptor but 0, 1 and 2.
 *
 * Errors:  HR_SYS: it cannot be executed, exits with another status than 0, is killed by a signal
 *          or, with its process group, by us when its time is over; with the end of its output.
 */
int rt_child_run(const struct rt_child *c, struct hr_err *e) HR_MUST_USE;

/*
 * Fill *E: WHAT, a process of ours, ended untimely with wait status STATUS; LEN bytes at LINE are
 * the last that it said. The hint is what it may have died of.
 */
void rt_child_died(const char *what, int status, const char *line, size_t len, struct hr_err *e);

#endif
