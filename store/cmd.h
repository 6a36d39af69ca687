/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs of hpcrun-store, and what they share. A verb is one file, cmd_<verb>.c, with its option
 * table and its main; main_store.c lists them.
 */
#ifndef STORE_CMD_H
#define STORE_CMD_H

#include "store/layout.h"
#include "util/conf.h"
#include "util/opt.h"

extern const struct hr_cmd store_cmd_cache, store_cmd_completion, store_cmd_config, store_cmd_diff,
	store_cmd_doctor, store_cmd_export, store_cmd_prefetch, store_cmd_gc, store_cmd_history,
	store_cmd_images, store_cmd_import, store_cmd_inspect, store_cmd_login, store_cmd_logout,
	store_cmd_pull, store_cmd_push, store_cmd_refill, store_cmd_rmi, store_cmd_stats,
	store_cmd_store, store_cmd_plan, store_cmd_tag, store_cmd_verify, store_cmd_version;

/* All of them, NULL-ended. */
extern const struct hr_cmd *const store_cmds[];

/* The first member of the args of every verb that works on stores; .common of its hr_cmd. */
struct store_cmd_common {
	struct hr_strv stores; /* --store */
};
extern const struct hr_opt store_cmd_common_opts[];

/*
 * Load the configuration and list the stores that it, HPCRUN_STORE and --store name: at least one
 * directory; URLs are left out.
 *
 * Owns:    *paths, also after an error.
 * Errors:  also HR_USAGE when --store names a URL.
 */
int store_cmd_paths(const struct store_cmd_common *c, struct hr_conf *conf,
		    struct store_paths *paths, struct hr_err *e) HR_MUST_USE;

/* Stores opened for reading, in the order in which they are searched. */
struct store_cmd_chain {
	struct store **v;
	size_t n;
	struct store *first; /* the one that verbs change: of the first path, or NULL: not there */
};

/*
 * Open them all. A store that is not there is passed over, unless --store named it.
 *
 * Owns:    *out; store_cmd_chain_release closes the stores, also after an error.
 */
int store_cmd_open(const struct store_cmd_common *c, struct store_cmd_chain *out,
		   struct hr_err *e) HR_MUST_USE;
void store_cmd_chain_release(struct store_cmd_chain *chain);

/*
 * Set for how long gc spares what was removed from ST or replaced in it: GIVEN hours (--grace),
 * else what the configuration says, else what the file system asks for.
 */
struct store_gc_options;
int store_cmd_grace(const struct store *st, const char *given, struct store_gc_options *o,
		    struct hr_err *e) HR_MUST_USE;

/* Threads for work that needs the CPU: GIVEN, or, 0, one for each CPU, 16 at most. */
unsigned int store_cmd_threads(uint64_t given);

/*
 * Refuse NAME where an image of a store is meant and it is a file, or a URL of one.
 *
 * Errors:  HR_USAGE, with how it becomes one as hint.
 */
int store_cmd_refuse_file(const char *name, struct hr_err *e) HR_MUST_USE;

/* What a pull of IMAGE would do, printed. */
int store_cmd_plan_print(const struct store_cmd_common *c, bool json, const char *image,
			 struct hr_err *e) HR_MUST_USE;

/* A client of registries as CONF wants it. CANCEL may be NULL; both are borrowed. */
int store_cmd_client(const struct hr_conf *conf, const atomic_bool *cancel,
		     struct fetch_client **out, struct hr_err *e) HR_MUST_USE;

#endif
