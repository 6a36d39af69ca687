/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The large files of an image, made in the node cache before a program reads them; and the list
 * that has a session begin with them (native_make.h).
 *
 * For: hpcrun prefetch, when the chunks are there. Not for: a running session, whose server does it
 * in the background (serve_native.c).
 */
#ifndef STORE_PREFETCH_FILES_H
#define STORE_PREFETCH_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "store/cache.h"
#include "store/chunks.h"
#include "store/index.h"
#include "store/native_make.h"
#include "util/err.h"

struct store_prefetch_files_options {
	const struct store_index *ix; /* borrowed, like all below */
	struct store_cache *cache;
	uint64_t cache_bytes; /* what all of the cache may take */
	const char *program;  /* whose session is to begin with them; "": any */
	unsigned int threads; /* that make them, each with about 9 MiB; 0 is 1 */
	/*
	 * As of store_native_maker_options, asked by any of the threads; files that have a chunk
	 * without HAS are passed over.
	 */
	struct store_chunk_source source;
	bool (*has)(void *arg, uint32_t chunk);
	store_native_moved_fn *moved;
	/* told, before each chunk, how many of TOTAL files are there, by one at a time; or NULL */
	void (*tick)(void *arg, uint32_t there, uint32_t total);
	void *tick_arg;
};

struct store_prefetch_files {
	uint32_t n; /* files that lie in the cache */
	uint64_t bytes;
	uint32_t left_out; /* files that could not be made */
};

/*
 * Make those that are not there, as far as there is room, for which others are evicted.
 *
 * Errors:  HR_SYS and others: files were left out, or the list was, and why the first was. *out is
 *          written all the same.
 */
int store_prefetch_files(const struct store_prefetch_files_options *o,
			 struct store_prefetch_files *out, struct hr_err *e) HR_MUST_USE;

#endif
