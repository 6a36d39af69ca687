/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is fetched before a program asks for it: the chunks that an earlier run of the same program
 * touched, in the order of their first touch; what comes next in the tree, when it is read in
 * order; then, if the site wants it or when a run has touched three tenths of the image, the rest.
 * Also keeps what this run touches, for the next one.
 *
 * For: hpcrun-serve-net; store_prefetch_order() also for hpcrun prefetch. A thread of its own does
 * all of it; what it cannot do is a line at debug level. Sequence: store_prefetch_start(); at the
 * end of the session store_prefetch_end().
 */
#ifndef STORE_PREFETCH_H
#define STORE_PREFETCH_H

#include "fetch/fetch.h"
#include "store/index.h"
#include "store/layout.h"
#include "store/pager.h"
#include "store/trace.h"
#include "util/conf.h"

struct store_prefetch_options {
	const struct store_index *ix; /* borrowed for ever, like all below */
	const struct store_loc *loc;
	struct store_pager *pager;
	struct store_trace *trace; /* of this run */
	struct fetch_client *client;
	const char *url;	  /* the store, which may have a trace, too; or NULL */
	const struct store *copy; /* the store on this node that keeps traces */
	const char *program;
	enum hr_conf_prefetch mode;
};

struct store_prefetch;

/*
 * The chunks that PROGRAM touched in an earlier run, by the trace that this node keeps or else the
 * store at URL, if it is not NULL.
 *
 * Owns:    *order, of *n, is the caller's.
 * Errors:  HR_NOTFOUND nobody has a trace; HR_CORRUPT; HR_NET; HR_SYS.
 */
int store_prefetch_order(const struct store_index *ix, struct fetch_client *client, const char *url,
			 const struct store *copy, const char *program, uint32_t **order,
			 uint32_t *n, struct hr_err *e) HR_MUST_USE;

/* Errors: HR_SYS. */
int store_prefetch_start(const struct store_prefetch_options *o, struct store_prefetch **out,
			 struct hr_err *e) HR_MUST_USE;
/* Write the trace of this run now. */
void store_prefetch_end(struct store_prefetch *p);

#endif
