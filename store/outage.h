/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stores of a chain that do not answer while an image is looked for in one after the other; and the
 * memory of a node, which spares the next sessions the wait for the same silence.
 *
 * For: whoever goes through a chain with URLs in it. Not for: outages while an image is read, which
 * pager.h waits for.
 * Sequence: store_outage_pass() after each store that did not give the image; then
 * store_outage_line() if one did, else once more from the first while store_outage_again(), else
 * store_outage_missing(); store_outage_release().
 */
#ifndef STORE_OUTAGE_H
#define STORE_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/layout.h"
#include "util/buf.h"
#include "util/err.h"

/* Starts as { 0 }. */
struct store_outage {
	size_t n;	   /* stores that did not answer */
	struct hr_buf why; /* of each, "; " between */
	struct hr_err first;
	size_t hurried; /* how many of them were given little time */
	bool patient;	/* none is, this time */
};

/*
 * Whether the store behind the one where *E happened may have the image: it does not have it, or
 * does not answer, which is noted. *E is cleared then.
 */
bool store_outage_pass(struct store_outage *o, struct hr_err *e);

/*
 * What the user is to know of an image that was found at WHERE: one line, or NULL if all stores
 * before that answered.
 *
 * Owns:    the caller frees the result.
 */
char *store_outage_line(const struct store_outage *o, const char *name, const char *where);

/*
 * At the end of the chain: whether to go through it again, as if from the first time, because a
 * store that did not answer was given little time. Then every store is given all of it.
 */
bool store_outage_again(struct store_outage *o);

/*
 * The end of the chain: NAME is in none of STORES that answers. Always -1.
 *
 * Errors: HR_NOTFOUND if all answered, else HR_NET.
 */
int store_outage_missing(const struct store_outage *o, const struct store_paths *stores,
			 const char *name, struct hr_err *e);

/*
 * What must not be: that a node of a job step takes *M, found past a store that did not answer, for
 * the tag NAME, and others what that store says. So it is recorded for all, or refused.
 *
 * *M becomes what another node recorded, see job.h. Without an outage it succeeds in any case.
 * Errors:  HR_USAGE.
 */
int store_outage_settle(const struct store_outage *o, const struct store_paths *stores,
			const char *name, struct fetch_digest *m, struct hr_err *e) HR_MUST_USE;

/* ---- what a node remembers ---- */

/*
 * Whether the origin whose metadata lies in COPY was silent a moment ago: it is given little time
 * then. It is asked all the same, so that an end of the outage is seen at once.
 */
bool store_outage_lately(const struct store *copy);

/*
 * What came of asking it, NULL: an answer. BEGUN is hr_now_ms() of before, for only
 * silence that takes time is worth a note.
 */
void store_outage_note(const struct store *copy, const struct hr_err *failure, uint64_t begun);

void store_outage_release(struct store_outage *o);

#endif
