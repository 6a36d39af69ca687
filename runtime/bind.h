/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Binds: what "--bind SRC[:DST[:ro]]" means, which order they are mounted in, and whether the
 * working directory needs a bind of its own. Pure: no file is touched here.
 *
 * Sequence: rt_bind_parse or rt_binds_add for each, rt_binds_order once, then use v[0..n).
 */
#ifndef RT_BIND_H
#define RT_BIND_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

enum rt_bind_kind {
	RT_BIND_HOST,  /* src is a path of the host */
	RT_BIND_FILE,  /* a file that the builder writes; src is its name there */
	RT_BIND_TMPFS, /* a new file system in memory; src are its options */
	RT_BIND_DEV,   /* the same, with the links that /dev has */
	RT_BIND_MQUEUE,
	RT_BIND_PROC
};

struct rt_bind {
	enum rt_bind_kind kind;
	char *src;     /* absolute path on the host, if it is one */
	char *dst;     /* absolute, normal path in the container */
	bool ro;       /* read-only, submounts too */
	bool optional; /* skipped when the source does not exist */
	bool file;     /* not a directory; known once the source was looked at (view.h) */
};

/* A zeroed struct is an empty list. */
struct rt_binds {
	struct rt_bind *v;
	size_t n;
};

/* Append one bind; SRC and DST are copied. */
void rt_binds_add(struct rt_binds *l, const char *src, const char *dst, bool ro, bool optional);
/* Append what the builder makes, of another KIND than RT_BIND_HOST. */
void rt_binds_add_made(struct rt_binds *l, enum rt_bind_kind kind, const char *src,
		       const char *dst);
void rt_binds_release(struct rt_binds *l);

/* The index of the one before the I-th, in mounting order, that it is mounted in; -1: the image. */
int rt_binds_below(const struct rt_binds *l, size_t i);

/*
 * Parse "SRC[:DST[:ro|rw]]" and append it.
 *
 * Bounds:  SRC relative to CWD is made absolute; without DST it is the normal form of SRC. Paths
 *          cannot contain a colon. DST is absolute, without "..", and not "/".
 * Errors:  HR_USAGE naming SPEC and what is wrong with it.
 */
int rt_bind_parse(struct rt_binds *l, const char *spec, const char *cwd,
		  struct hr_err *e) HR_MUST_USE;

/*
 * Put the list in mounting order: of several binds on one target the last one added stays, and a
 * bind comes after those it lies in, else it would be hidden.
 */
void rt_binds_order(struct rt_binds *l);

/*
 * PATH with single slashes and without "." or a slash at the end, in a new string; NULL when it is
 * not absolute or contains "..".
 */
char *rt_path_normal(const char *path);

/* PATH is DIR or lies beneath it; both in normal form. */
bool rt_path_within(const char *path, const char *dir);

/*
 * Whether the working directory CWD is bound for its own sake: not when it is a part of the system,
 * which the image brings (/usr, /etc, ...), nor when one of L shows the same host path there.
 */
bool rt_bind_wants_cwd(const char *cwd, const struct rt_binds *l);

#endif
