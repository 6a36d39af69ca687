/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a push shows on standard error: one layer at a time, a bar for it on a terminal, and a line
 * when it is there. Not for: pulls, where layers come side by side (progress.h).
 *
 * Sequence: a struct of which .bars says whether there is a terminal and .quiet whether all is to
 * be silent; for each layer push_progress_begin(), push_progress_add(), push_progress_end().
 */
#ifndef STORE_PUSH_PROGRESS_H
#define STORE_PUSH_PROGRESS_H

#include <stdbool.h>
#include <time.h>

#include "fetch/fetch.h"

struct push_progress {
	bool quiet, bars;
	const struct fetch_digest *digest; /* NULL: not known yet */
	uint64_t size, got;		   /* bytes; size 0: not known yet */
	struct timespec begin, drawn;
};

/* A layer of SIZE bytes begins; DIGEST NULL: it is made, to be known. Both stay the caller's. */
void push_progress_begin(struct push_progress *p, const struct fetch_digest *digest, uint64_t size);
/* N more of its bytes are done. */
void push_progress_add(struct push_progress *p, uint64_t n);
/* It is over; OUTCOME for a line that says so, or NULL. */
void push_progress_end(struct push_progress *p, const char *outcome);

#endif
