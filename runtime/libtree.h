/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree with shared libraries in it, the host's root or an image's, searched as its own dynamic
 * loader would: front directories, ld.so.cache, default directories. Paths are resolved inside the
 * tree; nothing of it is executed, no ldconfig is run.
 *
 * Sequence: rt_libtree_open; rt_libtree_find and friends; rt_libtree_close.
 */
#ifndef RT_LIBTREE_H
#define RT_LIBTREE_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/elf.h"
#include "runtime/memo.h"
#include "util/err.h"
#include "util/mem.h"

/* One library as found. */
struct rt_lib {
	char *path; /* in its tree, as found: may be a symlink */
	char *file; /* the last part of the file behind it: "libmpi.so.40.30.4" */
	dev_t dev;
	ino_t ino;
	struct rt_elf elf;
};
void rt_lib_release(struct rt_lib *lib);

struct rt_libtree;

/*
 * ROOT is the root directory of the tree and borrowed. FRONT is searched first, in the form of
 * LD_LIBRARY_PATH (relative and empty parts are left out); BEHIND last; both may be NULL. LABEL
 * stands in messages: "the host", "the image". What is looked at of the host, by the paths of this
 * process, is noted in MEMO, which is borrowed; NULL: in none.
 *
 * Errors:  HR_SYS. A damaged ld.so.cache is a note at the debug level and not used.
 */
int rt_libtree_open(int root, const char *label, const char *front, const char *behind,
		    struct rt_memo *memo, struct rt_libtree **out, struct hr_err *e) HR_MUST_USE;
void rt_libtree_close(struct rt_libtree *t);
void rt_libtree_closep(struct rt_libtree **t);

const char *rt_libtree_label(const struct rt_libtree *t);
int rt_libtree_root(const struct rt_libtree *t);
struct rt_memo *rt_libtree_memo(const struct rt_libtree *t);

/*
 * The first library NAME, a soname; files that are no library, or made for another machine than
 * LIKE (NULL: any), are passed over, as the loader does. /usr/local is searched, too, before
 * BEHIND.
 *
 * Returns 1 and *OUT (rt_lib_release), or 0: it is not there.
 * Errors:  HR_SYS when the tree cannot be read.
 */
int rt_libtree_find(struct rt_libtree *t, const char *name, const struct rt_elf *like,
		    struct rt_lib *out, struct hr_err *e) HR_MUST_USE;

/* The same in those directories only that the loader searches for any program, without an RPATH. */
int rt_libtree_find_loaded(struct rt_libtree *t, const char *name, const struct rt_elf *like,
			   struct rt_lib *out, struct hr_err *e) HR_MUST_USE;

/* The same for what FROM, a library of this tree, needs: its RPATH or RUNPATH count, too. */
int rt_libtree_find_for(struct rt_libtree *t, const struct rt_lib *from, const char *name,
			struct rt_lib *out, struct hr_err *e) HR_MUST_USE;

/* The library at PATH of the tree; 0: it is not there or none. */
int rt_libtree_at(struct rt_libtree *t, const char *path, const struct rt_elf *like,
		  struct rt_lib *out, struct hr_err *e) HR_MUST_USE;

/* The paths of all files that one of NAMES can mean in this tree, each file once, added to PATHS.
 */
int rt_libtree_all(struct rt_libtree *t, const struct hr_strv *names, const struct rt_elf *like,
		   struct hr_strv *paths, struct hr_err *e) HR_MUST_USE;

/* The dynamic symbols of a library of this tree; none when they are damaged. */
int rt_libtree_symbols(struct rt_libtree *t, const struct rt_lib *lib, struct rt_elf_symbols *out,
		       struct hr_err *e) HR_MUST_USE;

/* PATH is there, of whatever kind. */
bool rt_libtree_has(struct rt_libtree *t, const char *path);

#endif
