/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The definition of an MPI, or of a fabric library, of the host, as a site writes it: hpcrun-mpi(5)
 * lists the keys. One file defines one.
 *
 * Sequence: rt_stack_load for each "mpi_stack" of hpcrun.conf; rt_stack_release.
 */
#ifndef RT_STACK_H
#define RT_STACK_H

#include "runtime/bind.h"
#include "util/err.h"
#include "util/mem.h"

/* One "library = HOST [NAME...]": the host's, and what images call it besides. */
struct rt_stack_lib {
	char *host; /* a soname or an absolute path */
	struct hr_strv names;
};

struct rt_stack {
	char *name; /* for messages: of the file, without ".conf" */
	char *text; /* the definition as it was read */
	struct rt_stack_lib *libs;
	size_t n_libs;		/* at least one; the first decides */
	struct hr_strv extra;	/* libraries that are always added: what is loaded by dlopen */
	struct hr_strv plugins; /* directories of the host with modules, shown at the same path */
	struct hr_strv path;	/* directories of the host to search before ld.so.cache */
	struct hr_strv image_path; /* of images, to search besides the loader's: patterns */
	struct hr_strv env;	   /* NAME=VALUE */
	struct hr_strv devices; /* of the host; patterns; without them the definition is no use */
	struct rt_binds binds;
};

/*
 * Read the definition WHAT: a path, or the name of a file in the site's directory or, failing that,
 * in the one that hpcrun brought along.
 *
 * Owns:    *OUT; rt_stack_release, also after an error.
 * Errors:  HR_USAGE naming file, line and what is wrong there; HR_NOTFOUND.
 */
int rt_stack_load(const char *what, struct rt_stack *out, struct hr_err *e) HR_MUST_USE;

/* Parse one definition in memory; NAME is for messages. Pure. */
int rt_stack_parse(const char *name, const char *text, struct rt_stack *out,
		   struct hr_err *e) HR_MUST_USE;

void rt_stack_release(struct rt_stack *s);

#endif
