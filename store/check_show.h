/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What verbs that check a store print: how far they are, on a terminal; each damage as it is found,
 * and the sums.
 *
 * Sequence: store_check_show_begin(); store_check_all() or store_check_image() with
 * store_check_show_damage, the struct and its bytes; store_check_show_stop(), always;
 * store_check_show_end() unless they failed. A thread of this module reads bytes meanwhile.
 */
#ifndef STORE_CHECK_SHOW_H
#define STORE_CHECK_SHOW_H

#include "store/check.h"
#include "store/ticker.h"

#define STORE_CHECK_EXIT_DAMAGED 1

struct store_check_show {
	bool json, quiet;	/* the options */
	_Atomic uint64_t bytes; /* that were read */
	/* private */
	double began;
	uint64_t total;
	struct store_ticker ticker; /* its lock: of the line that the terminal shows */
};

/* TOTAL bytes are to be read, about; 0: unknown. */
void store_check_show_begin(struct store_check_show *s, uint64_t total);
void store_check_show_stop(struct store_check_show *s);
void store_check_show_damage(void *show, const struct store_damage *d);
/* NAME is what was checked; WHAT, "store" or "image", how JSON calls that. */
void store_check_show_end(const struct store_check_show *s, const char *what, const char *name,
			  const struct store_check_result *r);

#endif
