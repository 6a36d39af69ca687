/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Putting libraries of the host into a container: each over the image's own files of its names,
 * which serves programs that find theirs by RPATH, and all of them in one directory, which comes
 * first in LD_LIBRARY_PATH and serves every other. A program that clears LD_LIBRARY_PATH misses
 * what the image does not have, and says so; it never mixes two versions of one library.
 *
 * Sequence: rt_inject_add what the closures decided (builder, before binds are attached);
 * rt_inject_apply once (builder, after them).
 */
#ifndef RT_INJECT_H
#define RT_INJECT_H

#include <stdbool.h>

#include "runtime/closure.h"
#include "util/err.h"
#include "util/mem.h"

/* In the container; the server shows it, empty, in every image. */
#define RT_INJECT_DIR "/.hpcrun/lib"

struct rt_inject_item {
	char *src;	       /* on the host */
	struct hr_strv names;  /* in RT_INJECT_DIR */
	struct hr_strv covers; /* paths of the container */
};

/* A zeroed struct injects nothing. */
struct rt_inject {
	struct rt_inject_item *v;
	size_t n;
};

/* A file of the host that is to be had in the container, with no name yet unless it is known. */
struct rt_inject_item *rt_inject_file(struct rt_inject *in, const char *src);

/* Take over what C has with the verdict RT_LIB_HOST; a file that is there already only gets the
 * names and paths that are new. */
void rt_inject_add(struct rt_inject *in, const struct rt_closure *c);

/*
 * Mount all, read-only. SCRATCH is a writable directory of the builder's that the directory of
 * libraries is made in, ROOT the container's tree.
 *
 * Errors:  HR_SYS, HR_NOTFOUND naming the file.
 */
int rt_inject_apply(const struct rt_inject *in, int scratch, int root,
		    struct hr_err *e) HR_MUST_USE;

void rt_inject_release(struct rt_inject *in);

#endif
