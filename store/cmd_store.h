/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs 'hpcrun store ...', by which whoever keeps a store looks after it, and what they share.
 * One is one file, cmd_store_<verb>.c; cmd_store.c lists them.
 */
#ifndef STORE_CMD_STORE_H
#define STORE_CMD_STORE_H

#include "store/cmd.h"

extern const struct hr_cmd store_cmd_store_add, store_cmd_store_compact, store_cmd_store_drop,
	store_cmd_store_fsck, store_cmd_store_gc, store_cmd_store_init, store_cmd_store_status,
	store_cmd_store_sync;

/* The first member of the args of each of them; .common of its hr_cmd. */
struct store_admin_common {
	struct hr_strv stores; /* --store; one at most */
};
extern const struct hr_opt store_admin_common_opts[];

/*
 * Load the configuration and open the one store to work on: the one that --store names, else the
 * first that 'hpcrun pull' would choose. Nothing is made.
 *
 * A lock of 'store' in the configuration does not bind --store here: it is about what is run.
 * Errors:  HR_NOTFOUND with a hint; HR_USAGE several stores, or a URL.
 * Owns:    *conf and *out, also after an error.
 */
int store_admin_open(const struct store_admin_common *c, struct hr_conf *conf, struct store **out,
		     struct hr_err *e) HR_MUST_USE;

/* Do what 'hpcrun gc' does, silently; WAIT for pulls to end, or fail when one works. */
int store_admin_collect(struct store *st, bool wait, const atomic_bool *cancel,
			struct hr_err *e) HR_MUST_USE;

#endif
