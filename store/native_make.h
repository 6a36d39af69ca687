/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes files of their own in the node cache out of chunks, and keeps the lists of them.
 *
 * For: a thread of hpcrun-serve that has time, and hpcrun prefetch. It shares neither memory nor
 * locks with the readers of the image: a thread of the lowest priority that held something would
 * make them wait.
 * Not for: which files, and when. Sequence: store_native_maker_new(); store_native_make(), from one
 * thread; store_native_maker_free().
 */
#ifndef STORE_NATIVE_MAKE_H
#define STORE_NATIVE_MAKE_H

#include "store/cache_file.h"
#include "store/chunks.h"
#include "store/index.h"
#include "store/native.h"

/* The BYTES of a chunk lie AT a place in a large file, too, and need not lie in the pack. */
typedef void store_native_moved_fn(void *arg, uint32_t chunk, uint32_t bytes,
				   const struct store_cache_at *at);
/* Tell MOVED of all chunks of FILE, which is there, NAME in the cache. */
void store_native_moved(const struct store_index *ix, const struct store_inode *file,
			const struct fetch_digest *name, store_native_moved_fn *moved, void *arg);

typedef void store_native_sha256_many(const uint8_t *const *p, const size_t *len, size_t n,
				      struct fetch_digest *out);

struct store_native_maker_options {
	const struct store_index *ix; /* borrowed, like all below */
	struct store_cache *cache;
	store_chunk_sha256 *sha256;
	/* many at once, as of sha256mb.h, for which the maker takes 8 MiB in place of 1; or NULL */
	store_native_sha256_many *sha256_many;
	/* PLAIN and FRAME are asked, in this order; a chunk that neither has is not at hand. */
	struct store_chunk_source source;
	/* with its argument: whether a chunk is at hand; NULL: all are */
	bool (*has)(void *arg, uint32_t chunk);
	/* also with it, or NULL: told of each chunk of a file that is there, store_native_moved()
	 */
	store_native_moved_fn *moved;
	uint64_t cache_bytes; /* no file takes more than a quarter of it */
	/* Called before each chunk; may wait; false: stop. */
	bool (*go_on)(void *arg);
	void *arg;
};

struct store_native_maker;

enum store_native_made {
	STORE_NATIVE_WHOLE, /* *out is open */
	STORE_NATIVE_LATER, /* chunks are not at hand, another process makes it, or told to stop */
	STORE_NATIVE_NOT    /* not possible; *e says why, unless the file is none that can be */
};

struct store_native_maker *store_native_maker_new(const struct store_native_maker_options *o);
void store_native_maker_free(struct store_native_maker *m);

/*
 * Have a file in the cache: at once when it is there, else by making it or, when it is of an
 * earlier boot, by comparing all of it.
 *
 * Every chunk is checked by its sha256. Owns: *out is the caller's when it is WHOLE.
 */
enum store_native_made store_native_make(struct store_native_maker *m,
					 const struct store_inode *file,
					 struct store_cache_file **out, struct hr_err *e);
/*
 * Whether store_native_make() could have the file now. *bytes: what it would take of the disk, 0
 * when it is there. What is there counts as used now.
 */
bool store_native_possible(struct store_native_maker *m, const struct store_inode *file,
			   uint64_t *bytes);

/*
 * Lists, in the cache, of the files that a session of PROGRAM begins with. That of "" is for
 * sessions of unknown programs, and of those that have none of their own.
 *
 * Errors:  HR_NOTFOUND, HR_CORRUPT, HR_SYS. Owns: *out is the caller's.
 */
int store_native_list_save(const struct store_cache *c, const struct store_native_list *l,
			   const struct fetch_digest *manifest, const char *program,
			   struct hr_err *e) HR_MUST_USE;
int store_native_list_load(const struct store_cache *c, const struct fetch_digest *manifest,
			   const char *program, struct store_native_list *out,
			   struct hr_err *e) HR_MUST_USE;

#endif
