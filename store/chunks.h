/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decompressed, verified chunks in memory, shared by all readers of an image.
 *
 * For: hpcrun-serve. Not for: where frames come from; a struct store_chunk_source knows that.
 *
 * A chunk is loaded once however many ask for it: the first that asks loads it, the others are
 * parked and told when it is there. What the kernel has read in full lies in its page cache, so
 * the buffer of such a chunk is the first to be used again, while it is still warm in the CPU's
 * cache; then the least recently used.
 *
 * Sequence: store_chunks_new(); store_chunks_get() and store_chunks_put() from any thread;
 * store_chunks_free() when no chunk is held and nobody is parked.
 */
#ifndef STORE_CHUNKS_H
#define STORE_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/frame.h"
#include "store/index.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/stats.h"

/* Where frames come from; called by any number of threads at once. */
struct store_chunk_source {
	/*
	 * Read the compressed bytes of a chunk to FRAME, which has room for CAP; *len receives how
	 * many they are.
	 *
	 * Errors:  any kind; the text need not name the chunk.
	 */
	int (*frame)(void *arg, uint32_t chunk, uint8_t *frame, size_t cap, size_t *len,
		     struct hr_err *e);
	/*
	 * Frames that are not of zstd: OPEN, or NULL, decompresses the LEN bytes of one to OUT,
	 * want->bytes of them. A check sum of 0 in the index is one that is not known yet: LEARN is
	 * told it, before KEEP.
	 */
	int (*open)(void *arg, ZSTD_DCtx *zstd, const uint8_t *frame, size_t len,
		    const struct store_chunk *want, uint8_t *out, struct hr_err *e);
	void (*learn)(void *arg, uint32_t chunk, uint64_t crc);
	/*
	 * What was at hand once may be at hand again: KEEP, or NULL, is given each chunk that came
	 * through FRAME, verified. With it go PLAIN and DAMAGED, as below.
	 */
	void (*keep)(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes);
	/*
	 * START and its like: a source that answers later. PLAIN copies the BYTES of the
	 * chunk itself to OUT when they are at hand, and returns true; it does not wait. START asks
	 * for a chunk that is not: some thread of the source will fill store_chunks_room() with
	 * verified bytes and call store_chunks_delivered(). A source may have FRAME and START: then
	 * START is called when FRAME has failed, WHY says how, or gave something else than the
	 * chunk. DAMAGED: what PLAIN gave has a wrong check sum; FRAME or START follows.
	 */
	bool (*plain)(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes);
	void (*start)(void *arg, uint32_t chunk, const struct hr_err *why);
	void (*damaged)(void *arg, uint32_t chunk);
	/* Name where the chunk lies, for a message: "pack ab12..., offset 7". */
	void (*where)(void *arg, uint32_t chunk, struct hr_buf *out);
	void *arg;
};

/*
 * Decompress the LEN bytes of a frame by the OPEN of a source that has one, to want->bytes at OUT.
 * Their check sum is compared, or, where it is not known yet, LEARN is told it.
 */
int store_chunk_open(const struct store_chunk_source *from, uint32_t chunk, ZSTD_DCtx *zstd,
		     const uint8_t *frame, size_t len, const struct store_chunk *want, uint8_t *out,
		     struct hr_err *e) HR_MUST_USE;

struct store_chunks;

/* A chunk held in memory until store_chunks_put(). */
struct store_chunk_ref {
	const uint8_t *p;
	uint32_t bytes;
	enum hr_stats_from from; /* memory: it was read in full before */
	bool waited;		 /* it was loaded for this get, or was on its way */
	struct store_chunk_slot *slot;
};

/* Who waits for a chunk; part of the caller's request. */
struct store_chunk_wait {
	/*
	 * Called once, by the thread that loaded the chunk, if store_chunks_get() said PARKED. REF
	 * is held for the callee, who puts it; NULL when the chunk cannot be had.
	 */
	void (*done)(struct store_chunk_wait *w, const struct store_chunk_ref *ref);
	struct store_chunk_wait *next; /* private from here on */
	uint32_t chunk;
	bool parked;
};

enum store_chunk_got { STORE_CHUNK_READY, STORE_CHUNK_PARKED, STORE_CHUNK_FAILED };

/*
 * A cache for the chunks of IX.
 *
 * Length and check sum of each chunk are checked; with SHA256 (else NULL) its digest, too.
 *
 * Units:   BUDGET is bytes of decompressed chunks. It is exceeded only while more than that is held
 *          or being loaded.
 * Owns:    IX and SOURCE are borrowed until store_chunks_free().
 */
struct store_chunks *store_chunks_new(const struct store_index *ix,
				      const struct store_chunk_source *source, uint64_t budget,
				      store_chunk_sha256 *sha256);
/*
 * Count in STATS damaged chunks, and in ORIGIN (NULL: the source counts by itself) what FRAME
 * reads. Called before the first get; both are borrowed.
 */
void store_chunks_count(struct store_chunks *c, struct hr_stats *stats,
			struct hr_stats_origin *origin);
/*
 * TELL somebody who can do something about it of chunks that cannot be had, a line a second at
 * most; the log alone, otherwise. Called before the first get; any thread.
 */
void store_chunks_tell(struct store_chunks *c, void (*tell)(void *arg, const char *text),
		       void *arg);
void store_chunks_free(struct store_chunks *c);
void store_chunks_freep(struct store_chunks **c);

/*
 * Hold a chunk.
 *
 * READY: *ref is held. PARKED: another thread is loading it and will call W->done, perhaps before
 * this returns. FAILED: it cannot be had; a line in the log, one a second at most, says why.
 * Blocks while it reads and decompresses when nobody else does it already.
 */
enum store_chunk_got store_chunks_get(struct store_chunks *c, uint32_t chunk,
				      struct store_chunk_wait *w, struct store_chunk_ref *ref);
/* The same for the only thread that asks, so that nobody else can be loading: true when held. */
bool store_chunks_get_alone(struct store_chunks *c, uint32_t chunk, struct store_chunk_ref *ref);
/* Let go; USED is how many of its bytes a reader was given, a hint for what to keep. */
void store_chunks_put(struct store_chunks *c, const struct store_chunk_ref *ref, uint32_t used);
/* No longer wait: true when W was parked and will not be called; else it was or is being called. */
bool store_chunks_cancel(struct store_chunks *c, struct store_chunk_wait *w);
/* Load a chunk that will be wanted soon, unless it is there or being loaded. Blocks. */
void store_chunks_ahead(struct store_chunks *c, uint32_t chunk);
/* Whether the source has START: then store_chunks_ahead() does not block. */
bool store_chunks_answer_later(const struct store_chunks *c);
/* For the source, between start() and delivered(): where the bytes of the chunk go. */
uint8_t *store_chunks_room(struct store_chunks *c, uint32_t chunk);
/* The room is filled, or, not OK, the chunk cannot be had; E says why then, else NULL. */
void store_chunks_delivered(struct store_chunks *c, uint32_t chunk, const struct hr_err *e);
/* Bytes in use for chunks. */
uint64_t store_chunks_bytes(struct store_chunks *c);

#endif
