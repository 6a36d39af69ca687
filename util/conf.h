/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hpcrun.conf: the site's settings, then the user's, from one table of keys.
 *
 * For: hpcrun-session, hpcrun-store and hpcrun-serve. Not for: hpcrun itself, which parses no file.
 * The format is ini (inih); hpcrun.conf(5) lists the keys.
 * Sequence: struct hr_conf c; hr_conf_load(&c, e); use; hr_conf_release(&c).
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
};

/*
 * Fill *C with the defaults, then SYSCONFDIR/hpcrun/hpcrun.conf (or the file that HPCRUN_CONF
 * names), then ~/.config/hpcrun/hpcrun.conf of the user.
 *
 * Bounds:  a missing file is fine; a file over 1 MiB is refused.
 * Owns:    everything in *C; hr_conf_release frees it, also after an error.
 * Errors:  HR_USAGE naming file, line, key and what is wrong; unknown keys are errors with the
 * nearest known one.
 */
int hr_conf_load(struct hr_conf *c, struct hr_err *e) HR_MUST_USE;
void hr_conf_release(struct hr_conf *c);

/* Parse one configuration text in memory on top of *C; NAME is for messages. Pure, for tests and
 * fuzzing. */
int hr_conf_parse(struct hr_conf *c, const char *name, const char *text,
		  struct hr_err *e) HR_MUST_USE;

/* Set the defaults. */
void hr_conf_init(struct hr_conf *c);

#endif
