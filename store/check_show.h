/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What verbs that check a store print: each damage as it is found, and the sums.
 *
 * Sequence: store_check_show_begin(); store_check_all() or store_check_image() with
 * store_check_show_damage and the struct; store_check_show_end().
 */
#ifndef STORE_CHECK_SHOW_H
#define STORE_CHECK_SHOW_H

#include "store/check.h"

#define STORE_CHECK_EXIT_DAMAGED 1

struct store_check_show {
	bool json, quiet; /* the options */
	double began;	  /* private */
};

void store_check_show_begin(struct store_check_show *s);
void store_check_show_damage(void *show, const struct store_damage *d);
/* NAME is what was checked; WHAT, "store" or "image", how JSON calls that. */
void store_check_show_end(const struct store_check_show *s, const char *what, const char *name,
			  const struct store_check_result *r);

#endif
