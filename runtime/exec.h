/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Executing the command: the search along the image's PATH, and the reason when it fails.
 */
#ifndef RT_EXEC_H
#define RT_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Execute argv[0], looked for along PATH unless it has a slash. Empty parts of PATH and relative
 * ones are passed over: the working directory is searched by nobody who did not ask for it.
 *
 * Returns only on failure: HR_EXIT_NOTFOUND or HR_EXIT_NOEXEC, *e filled.
 */
int rt_exec(char *const *argv, char *const *env, const char *path, struct hr_err *e);

/* Execute the first of a NULL-ended list of programs that can be, without arguments. */
int rt_exec_first(const char *const *programs, char *const *env, struct hr_err *e);

/*
 * The next candidate for NAME along a PATH, in BUF of SIZE bytes; NULL behind the last. Parts that
 * are empty or relative, or give too long a path, are passed over. Start with { path }.
 */
struct rt_path_walk {
	const char *rest;
};
const char *rt_path_next(struct rt_path_walk *w, const char *name, char *buf, size_t size);

/*
 * Which interpreter the start of an executable names: the loader of an ELF file, or what follows
 * "#!". Pure.
 *
 * Bounds:  P is the first N bytes of the file. false when it names none within them.
 */
bool rt_exec_interpreter(const uint8_t *p, size_t n, char *out, size_t size) HR_MUST_USE;

#endif
