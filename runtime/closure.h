/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Libraries of the host that are to be loaded inside an image: which others they need, where each
 * comes from, and whether the image's C library and the rest of the image offer the symbol versions
 * that they want. Decides; mounts nothing (inject.h does).
 *
 * Who provides a library that both sides have:
 *   - the C library and its parts: the image, always; two of them in one process cannot work;
 *   - what was named (forced): the host;
 *   - any other: the image, when the loader finds its copy without help and that has all that the
 *     host's libraries want of it; else the host, when its copy has all that the image's has; else
 * it is a misfit.
 *
 * Sequence: rt_closure_add for each library wanted, with the host's tree; rt_closure_check once,
 * with the image's; then the verdicts in v[]; rt_closure_release.
 */
#ifndef RT_CLOSURE_H
#define RT_CLOSURE_H

#include <stdbool.h>

#include "runtime/libtree.h"
#include "util/err.h"
#include "util/mem.h"

enum rt_closure_verdict {
	RT_LIB_UNUSED, /* only libraries need it that the image provides */
	RT_LIB_IMAGE,  /* the image's is loaded */
	RT_LIB_HOST,   /* the host's, over the image's own if that has one */
};

enum rt_closure_flag {
	RT_CLOSURE_FORCED = 1, /* the host's is loaded whatever the image has */
	RT_CLOSURE_BOUND = 2,  /* a module in a directory that is bound: checked, not injected */
};

struct rt_closure_lib {
	struct rt_lib lib;     /* on the host */
	struct hr_strv names;  /* under which programs ask for it; the soname is the first */
	struct hr_strv covers; /* the image's files of these names, once checked */
	bool forced, bound;    /* flags */
	bool glibc;	       /* part of the C library: never the host's */
	bool root;	       /* added by name, not for the need of another */
	struct hr_strv wanted_by;
	enum rt_closure_verdict verdict;
	const char *why; /* of the verdict, for people */
};

/* A zeroed struct is an empty closure. */
struct rt_closure {
	struct rt_closure_lib *v;
	size_t n;
	struct hr_strv misfits; /* one sentence each; none: it fits */
};

/*
 * Add the host's library NAME, a soname or an absolute path, and all that it needs.
 *
 * NAMES are further names under which the image knows it (the first up to a NULL), or NULL. FLAGS
 * are of enum rt_closure_flag.
 * Errors:  nothing is added then. HR_NOTFOUND naming what is missing on the host and who needs it;
 * HR_CORRUPT; HR_SYS.
 */
int rt_closure_add(struct rt_closure *c, struct rt_libtree *host, const char *name,
		   const char *const *names, unsigned int flags, struct hr_err *e) HR_MUST_USE;

/* The library that is known as NAME, or NULL. */
const struct rt_closure_lib *rt_closure_find(const struct rt_closure *c, const char *name);

/*
 * Decide for each library and collect misfits. May be called again for another image.
 *
 * Errors:  HR_SYS when a tree cannot be read. A misfit is no error, see c->misfits.
 */
int rt_closure_check(struct rt_closure *c, struct rt_libtree *host, struct rt_libtree *image,
		     struct hr_err *e) HR_MUST_USE;

void rt_closure_release(struct rt_closure *c);

#endif
