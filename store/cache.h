/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The node cache: chunks that came over a network, on the node's own disk, shared by all processes
 * of a user.
 *
 * For: what hpcrun-serve and hpcrun-store fetch from somewhere slower. Not for: knowing what a
 * chunk should be; the caller verifies by digest before it puts, and by check sum after it gets. A
 * cache is a 0700 directory of the user. Each pack has a sparse file of uncompressed chunks and a
 * presence map of one byte a frame. Data is written before its presence byte; after a power loss a
 * byte may still be there before its data, which the caller's check sum finds: it calls
 * store_cache_drop and fetches again. A chunk that has come to lie in a large file of the cache
 * (cache_file.h), too, is moved: the pack's file then has but a note of where it is, and
 * store_cache_get reads it there.
 *
 * Sequence: store_cache_open; store_cache_pack_open for each pack; store_cache_get, and on a miss
 * store_cache_claim, fetch, verify, store_cache_put, store_cache_unclaim; store_cache_pack_close;
 * store_cache_close. Source: hpcrun-store(5) NODE CACHE.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "fetch/fetch.h"
#include "util/err.h"

struct store_cache;
struct store_cache_pack;

/*
 * Open the cache at DIR, making it if it is not there.
 *
 * Errors:  HR_DENIED when the directory is not the caller's or others can enter it; HR_SYS.
 */
int store_cache_open(const char *dir, struct store_cache **out, struct hr_err *e) HR_MUST_USE;
void store_cache_close(struct store_cache *c);
/* Which boot of the node this is, for a seal (cache_file.h), as of hr_boot_id(); borrowed. */
const char *store_cache_boot(const struct store_cache *c);
/* Its directory, as a descriptor that is borrowed; for cache_file.h and small files beside it. */
int store_cache_dir(const struct store_cache *c);

/*
 * Open a pack's files in the cache, making them if they are not there. While it is open no process
 * evicts it.
 *
 * Bounds:  N_FRAMES is the number of frames of the whole pack.
 * Errors:  HR_SYS (ENOSPC and EIO among them: the caller goes on without a cache); a map of another
 * size or version is made anew. Threads: any number on one pack.
 */
int store_cache_pack_open(struct store_cache *c, const struct fetch_digest *pack, uint32_t n_frames,
			  struct store_cache_pack **out, struct hr_err *e) HR_MUST_USE;
void store_cache_pack_close(struct store_cache_pack *p);

/*
 * Whether the frame is present; never blocks. One that was moved counts as present although its
 * file may have been evicted since: who needs to know calls store_cache_settle before.
 */
bool store_cache_has(const struct store_cache_pack *p, uint32_t frame);

/* Forget the frame at UOFF if it was moved to a file that is not there any more; else the file
 * stays there as long as this process has the cache open. */
void store_cache_settle(struct store_cache_pack *p, uint32_t frame, uint64_t uoff);

/*
 * Read LEN bytes of a present frame from UOFF of the uncompressed pack; all LEN of the frame.
 *
 * Errors:  HR_NOTFOUND when the frame is absent; HR_SYS, HR_CORRUPT (the file is too short): it is
 *          forgotten then.
 */
int store_cache_get(struct store_cache_pack *p, uint32_t frame, uint64_t uoff, void *buf,
		    size_t len, struct hr_err *e) HR_MUST_USE;

/*
 * Claim an absent frame so that one process of the node fetches it. 1: claimed, the caller fetches,
 * then calls store_cache_unclaim; 0: another process has it, ask again later; a claim dies with its
 * process. Within one process the caller sees to it that a frame is claimed by one thread at a
 * time.
 */
int store_cache_claim(struct store_cache_pack *p, uint32_t frame);
void store_cache_unclaim(struct store_cache_pack *p, uint32_t frame);

/* Write a verified chunk, then its presence. */
int store_cache_put(struct store_cache_pack *p, uint32_t frame, uint64_t uoff, const void *buf,
		    size_t len, struct hr_err *e) HR_MUST_USE;

/* Forget a frame whose bytes proved wrong. */
void store_cache_drop(struct store_cache_pack *p, uint32_t frame);

/* A place in a large file of the cache. */
struct store_cache_at {
	struct fetch_digest file;
	uint64_t off;
};

/* Bytes of a frame that can lie in a large file alone: of less no block may come free. */
#define STORE_CACHE_MOVE_MIN 8192

/* In the place of store_cache_put(), of a frame of STORE_CACHE_MOVE_MIN bytes or more: a verified
 * chunk lies AT a place in a large file. */
int store_cache_refer(struct store_cache_pack *p, uint32_t frame, uint64_t uoff,
		      const struct store_cache_at *at, struct hr_err *e) HR_MUST_USE;

/*
 * Move a present frame of LEN bytes at UOFF: give back the room that it takes, for the same bytes
 * lie TO, verified and on disk. Not done, and no harm, where the file system cannot give room back,
 * or another process has a claim. Whoever reads the frame meanwhile has its bytes or finds it
 * absent.
 */
void store_cache_move(struct store_cache_pack *p, uint32_t frame, uint64_t uoff, size_t len,
		      const struct store_cache_at *to);

/*
 * What else belongs to a pack that stands for a file read in place (file_image.h): its index and
 * its locations. They are removed with the pack.
 */
enum store_cache_extra { STORE_CACHE_INDEX, STORE_CACHE_LOC };
/* Open one, readable and writable; the fd is the caller's. Errors: HR_NOTFOUND; HR_SYS. */
int store_cache_extra_open(struct store_cache *c, const struct fetch_digest *pack,
			   enum store_cache_extra which, struct hr_err *e) HR_MUST_USE;
/* Begin one under a name of this process's own; then sync it and give it its name, or drop both. */
int store_cache_extra_new(struct store_cache *c, const struct fetch_digest *pack,
			  enum store_cache_extra which, struct hr_err *e) HR_MUST_USE;
int store_cache_extra_keep(struct store_cache *c, const struct fetch_digest *pack,
			   enum store_cache_extra which, struct hr_err *e) HR_MUST_USE;
void store_cache_extra_discard(struct store_cache *c, const struct fetch_digest *pack);

/*
 * Wait, for at most WAIT_MS, until no other process of the user on this node works on D (a layer,
 * say), and have the turn until the descriptor that is returned is closed, or its process dies. -1
 * when there is none to be had, as when the other is stopped: then several work at once, to no
 * harm.
 */
int store_cache_turn(struct store_cache *c, const struct fetch_digest *d, unsigned int wait_ms);

struct store_cache_usage {
	uint64_t bytes; /* on disk */
	uint32_t packs;
	uint32_t files; /* of cache_file.h */
};
int store_cache_usage(struct store_cache *c, struct store_cache_usage *out,
		      struct hr_err *e) HR_MUST_USE;

/*
 * Remove packs and files, least recently opened first, until at most LIMIT bytes are left on disk.
 * Those that any process has open stay. LIMIT 0 clears all that can be cleared.
 */
int store_cache_evict(struct store_cache *c, uint64_t limit, struct store_cache_usage *left,
		      struct hr_err *e) HR_MUST_USE;

#endif
