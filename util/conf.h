/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun.conf: the site's settings, then the user's, from one table of keys.
 *
 * For: hpcrun-session, hpcrun-store and hpcrun-serve. Not for: hpcrun itself, which parses no file.
 * The format is ini (inih); hpcrun.conf(5) lists the keys.
 * Sequence: struct hr_conf c; hr_conf_load(&c, e); whoever has an option or a variable in place of
 * a key asks hr_conf_check_override(); use; hr_conf_release(&c).
 */
#ifndef HR_CONF_H
#define HR_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"

enum hr_conf_gpu { HR_GPU_NONE, HR_GPU_AUTO, HR_GPU_ALL };
enum hr_conf_mpi { HR_MPI_AUTO, HR_MPI_IMAGE, HR_MPI_OFF };
enum hr_conf_prefetch { HR_PREFETCH_NONE, HR_PREFETCH_TRACE, HR_PREFETCH_ALL };

#define HR_CONF_GRACE_BY_FS UINT64_MAX
#define HR_CONF_GRACE_MAX_H 8760

struct hr_conf {
	struct hr_strv stores;	   /* store = PATH-OR-URL, in order, repeatable */
	struct hr_strv owners;	   /* store_owner = UID, repeatable: whose stores are used, too */
	struct hr_strv binds;	   /* bind = SRC[:DST[:ro]], repeatable */
	struct hr_strv hooks_dirs; /* hooks_dir = DIR, repeatable */
	int gpu;		   /* gpu = none | auto | all, default none: without --gpu */
	struct hr_strv cdi_dirs;   /* cdi_dir = DIR, repeatable; empty: the specification's */
	char *gpu_lists;	   /* gpu_lists = DIR, or NULL: as installed */
	struct hr_strv
		insecure_registries; /* insecure_registry = HOST[:PORT]: plain http allowed */
	struct hr_strv mirrors;	     /* mirror = URL, tried before the store itself, repeatable */
	int mpi;		     /* mpi = auto | image | off, default auto */
	struct hr_strv mpi_stacks;   /* mpi_stack = NAME-OR-PATH, in order, repeatable */
	char *cache;		     /* cache = DIR, or NULL: the first local disk found */
	uint64_t cache_bytes;	     /* cache_size = SIZE, default 50G */
	int prefetch;		     /* prefetch = none | trace | all, default trace */
	uint64_t outage_s;	     /* outage_wait = SECONDS, default 600 */
	char *ca_file;		     /* ca_file = PATH, or NULL */
	char *http_proxy;	     /* proxy = URL, or NULL: the environment's */
	uint64_t serve_memory; /* serve_memory = SIZE, bytes of decompressed chunks, default 192M */
	uint64_t linger_s;     /* session_linger = SECONDS, default 30 */
	uint64_t compress_level;   /* compress_level = 1..19, default 1 */
	uint64_t import_max_bytes; /* import_max_bytes = SIZE, uncompressed bytes of one layer,
				      default 1T */
	int push;		   /* push = no | yes: pages into the page cache, default no */
	int upstream;	  /* upstream = no | yes: get lost chunks from the registry, default yes */
	int native_files; /* native_files = no | yes, default yes: large files off FUSE */
	uint64_t gc_grace_h; /* gc_grace = HOURS; HR_CONF_GRACE_BY_FS: what the file system asks for
			      */
	int verify_full;     /* verify = fast | full: sha256 on every read of a local store */
	struct hr_conf_set *set; /* of each key: where it was set, where it was locked */
};

/*
 * Fill *C with the defaults, then SYSCONFDIR/hpcrun/hpcrun.conf and the files *.conf of the
 * directory hpcrun.conf.d beside it, in the order of their names, then
 * ~/.config/hpcrun/hpcrun.conf of the user. HPCRUN_CONF names another file in place of the site's,
 * with its own directory; keys that the site has locked keep the site's values.
 *
 * Bounds:  a missing file is fine; a file over 1 MiB is refused.
 * Owns:    everything in *C; hr_conf_release frees it, also after an error.
 * Errors:  HR_USAGE naming file, line, key and what is wrong; unknown keys are errors with the
 * nearest known one. That a user sets a locked key is a warning.
 */
int hr_conf_load(struct hr_conf *c, struct hr_err *e) HR_MUST_USE;
void hr_conf_release(struct hr_conf *c);

/* Where a text comes from: whether it can lock keys, or must leave those alone that are locked. */
enum hr_conf_level { HR_CONF_SITE, HR_CONF_USER };

/* Parse one configuration text in memory on top of *C; NAME is for messages. Pure, for tests and
 * fuzzing. */
int hr_conf_parse(struct hr_conf *c, const char *name, const char *text, enum hr_conf_level level,
		  struct hr_err *e) HR_MUST_USE;

/* What one line does; WHERE names it. Errors: HR_USAGE, without WHERE. */
int hr_conf_set(struct hr_conf *c, const char *key, const char *value, const char *where,
		enum hr_conf_level level, struct hr_err *e) HR_MUST_USE;

/* Set the defaults. */
void hr_conf_init(struct hr_conf *c);
/* Forget all that was set but the keys that are locked: those stay, and stay locked. */
void hr_conf_keep_locked(struct hr_conf *c);

/*
 * May HOW ("--gpu", "HPCRUN_CACHE") be followed in place of KEY?
 *
 * Errors:  HR_DENIED the site has locked the key, naming where.
 */
int hr_conf_check_override(const struct hr_conf *c, const char *key, const char *how,
			   struct hr_err *e) HR_MUST_USE;

/* A key as it holds, for who shows it. */
struct hr_conf_item {
	const char *name;
	struct hr_strv values;	/* as text; several or none for a list, one or none else */
	struct hr_strv origins; /* of each value: "FILE, line N", or "default" */
	const char *locked;	/* "FILE, line N", or NULL; borrowed from the configuration */
};
/* How many keys there are, and one of them; hr_conf_item_release frees it. */
size_t hr_conf_items(void);
void hr_conf_item(const struct hr_conf *c, size_t i, struct hr_conf_item *out);
void hr_conf_item_release(struct hr_conf_item *item);

#endif
