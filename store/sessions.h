/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sessions of this user on this node, as their files (util/stats.h) tell, and the three forms
 * in which 'hpcrun stats' prints them.
 *
 * Sequence: sessions_read(); sessions_select(); one of the sessions_print functions;
 * sessions_release().
 */
#ifndef STORE_SESSIONS_H
#define STORE_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/stats.h"

struct session {
	char id[64];
	bool running;	       /* the session or its server */
	uint64_t memory, peak; /* bytes of its server; memory 0: there is none now */
	struct hr_stats s;
};

struct sessions {
	struct session *v; /* oldest first */
	size_t n;
};

/* All there are; files of other versions and damaged ones are passed over. Owns: *out. */
void sessions_read(struct sessions *out);
void sessions_release(struct sessions *l);

/*
 * Keep those that WORD names: an id, a Slurm job, or a step of one, "JOB.STEP".
 *
 * Errors:  HR_NOTFOUND when none is left.
 */
int sessions_select(struct sessions *l, const char *word, struct hr_err *e) HR_MUST_USE;

/* "starting", "running", "ended", "failed", or "killed": over without a word. */
const char *sessions_state(const struct session *s);
/* The share of the bytes that readers got which were on this node: in memory, in its cache. */
double sessions_hit_rate(const struct hr_stats *s);

void sessions_print_table(const struct sessions *l);
void sessions_print_text(const struct sessions *l);
int sessions_print_json(const struct sessions *l, struct hr_err *e) HR_MUST_USE;
void sessions_print_prometheus(const struct sessions *l);

#endif
