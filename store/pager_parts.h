/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the pager share: pager.c decides what is fetched and when, pager_fetch.c
 * fetches it, verifies it and hands it over, by digests that pager_lanes.c computes and those of
 * frames that pager_tables.c knows. Private to store/pager*.c.
 */
#ifndef STORE_PAGER_PARTS_H
#define STORE_PAGER_PARTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <zstd.h>

#include "store/pager.h"

#define PAGER_BATCH_MAX 32 /* chunks of one request */
#define PAGER_BATCH_BYTES                                                                          \
	(2u << 20)		       /* compressed bytes of one request, but for its first chunk \
					*/
#define PAGER_BATCH_FIRST (512u << 10) /* the same before anything is known of the link */
#define PAGER_BATCH_LEAST (256u << 10)
#define PAGER_BATCH_FAST  (1u << 20)	  /* from here on the link is a fast one */
#define PAGER_BENCHES	  8		  /* threads that decompress many chunks at the same time */
#define PAGER_GROUP	  PAGER_BATCH_MAX /* chunks whose digests one of them computes together */
#define PAGER_GROUP_BYTES (5u << 20)
#define PAGER_GATHER_MS	  5 /* how long chunks wait for others to be hashed side by side with */

/*
 * Where a chunk is on its way. The state decides; the queues only order, and may hold entries of
 * chunks that have moved on: wanted after they were put off, or taken into the batch of a
 * neighbour.
 */
enum pager_state { PAGER_IDLE, PAGER_LATER, PAGER_WANTED, PAGER_FLYING, PAGER_FLYING_WANTED };

/* First in, first out. */
struct pager_queue {
	uint32_t *v;
	size_t first, n, cap;
};

/* The table of a pack, which has the digests of its frames. */
struct pager_table {
	uint32_t first, n;    /* the chunks of the image in the pack, in in_order */
	uint64_t at;	      /* where it begins; 0: not known, but by PACK_BYTES */
	uint64_t pack_bytes;  /* as an origin said; 0: none has */
	uint64_t saved_bytes; /* that need not be hashed, had it been there all the time */
	bool asked;	      /* once */
};

struct store_pager {
	struct store_pager_options o;
	struct store_chunks *chunks;
	struct hr_stats_origin **seen;	 /* by number in o.origins: what it gave */
	struct store_cache_pack **packs; /* by number in the location file; NULL: no cache for it */
	uint32_t *in_order;		 /* the chunks as they lie in the packs */
	uint32_t *neighbour;		 /* by chunk: whose frame follows in the pack, or NONE */
	uint32_t n_chunks;
	unsigned int cores;

	pthread_mutex_t lock; /* of all below; never held over I/O */
	pthread_cond_t wake;
	uint8_t *state;	      /* by chunk */
	uint64_t *refused_ms; /* by chunk: when it could not be had; 0 never */
	uint8_t *mark;	      /* by chunk: whether it was touched, or guessed */
	/* compressed: touched that no trace told of; guessed, or likely, and not touched yet */
	uint64_t seen_bytes, guessed_bytes, likely_bytes;
	uint64_t guessed_total; /* with those touched since */
	bool told;		/* there is a trace */
	unsigned int ahead;	/* threads that fetch what nobody waits for */
	unsigned int asking;	/* requests on their way */
	uint64_t batch_bytes;	/* of one request, as the link wants it */
	struct pager_queue wanted, soon, later;
	struct pager_table *tables; /* by number in the location file */
	/* by chunk: the digest of its frame, for ever, or NULL: not known */
	const struct fetch_digest **frame_digest;
	pthread_cond_t landed; /* somebody waits in store_pager_bring() */
	uint32_t busy;	       /* chunks that are not idle */
	pthread_cond_t rest;   /* busy became 0 */
	struct hr_err failure; /* the first */
	uint64_t out_since_ms; /* 0: no outage was reported */
	bool out_given_up;
	uint64_t *mute_ms; /* by origin: when it let a request wait in vain; 0: it answers */
	bool refusal_told;
	bool no_cache_told;
	struct pager_lanes_job *lanes; /* that wait to be computed, of pager_lanes.c */
	unsigned int lanes_busy;       /* threads that do */
	pthread_cond_t lanes_done;     /* of some; or one is waited for now */
	struct pager_bench *benches;   /* those not in use, of pager_fetch.c */
	pthread_cond_t bench_free;
};

/* What one request asks for: chunks side by side in a pack. */
struct pager_batch {
	uint32_t chunk[PAGER_BATCH_MAX];
	struct store_loc_chunk at[PAGER_BATCH_MAX];
	size_t n;
	bool ahead; /* nobody waited for its first chunk */
};

struct pager_thread {
	struct store_pager *p;
	ZSTD_DCtx *zstd;
	uint8_t *frames; /* room for the largest request */
	uint8_t *plain;	 /* room for a chunk that nobody waits for */
};

/* Where an origin has the pack of a chunk; the caller frees. */
char *store_pager_url(const struct store_pager *p, const char *origin,
		      const struct store_loc_chunk *at);

void store_pager_pause(uint64_t ms);

/* The pack of a chunk in the node cache, or NULL. */
static inline struct store_cache_pack *store_pager_cache_of(const struct store_pager *p,
							    const struct store_loc_chunk *at)
{
	return p->packs[at->pack];
}

/* Threads: before any other. */
void store_pager_make_benches(struct store_pager *p);

/* Something of N chunks: their frames, or what these hold. */
struct pager_lanes_work {
	const uint32_t *chunk;
	const uint8_t *const *p;
	const size_t *bytes;
	size_t n;
	struct fetch_digest *got; /* N of them are computed */
};

/*
 * Compute the digests of what nobody waits for, together with those of other threads that
 * come within PAGER_GATHER_MS, as far as that is faster; at once when somebody begins to wait.
 */
void store_pager_digests(struct store_pager *p, const struct pager_lanes_work *work);

/* Threads: before any other, when in_order is there. */
void store_pager_make_tables(struct store_pager *p);
/* With the lock held: a chunk is asked for. */
void store_pager_table_count(struct store_pager *p, uint32_t chunk);
/* The pack has so many bytes, says an origin. */
void store_pager_table_place(struct store_pager *p, uint32_t pack, uint64_t pack_bytes);
/*
 * Fetch the table of a pack, once, if it is known where it begins and what it saves is worth what
 * it costs. A table that cannot be had, or is not what the name of the pack says, is no failure:
 * the digests of chunks decide then, as they do meanwhile.
 */
void store_pager_table_fetch(struct pager_thread *t, uint32_t pack);
/* The digest of the frame of a chunk as the table of its pack has it, or NULL. */
const struct fetch_digest *store_pager_frame_digest(struct store_pager *p, uint32_t chunk);

/* The flight of a chunk ends: its verified bytes are at PLAIN; or it failed with E. */
void store_pager_land(struct store_pager *p, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
		      const struct hr_err *e);
/* Nobody who was asked has a chunk right: say so, once. */
void store_pager_refused(struct store_pager *p, const struct hr_err *e);
/* A chunk that another process brought meanwhile. False when it is not there after all. */
bool store_pager_land_cached(struct pager_thread *t, uint32_t chunk,
			     const struct store_loc_chunk *at);
/*
 * Fetch the chunks of B, side by side in a pack and claimed, from the first origin that has them
 * right; all of them land. An origin that does not answer is an outage and is waited for; one that
 * has no such object, or a damaged one, is asked three times at most.
 */
void store_pager_fetch(struct pager_thread *t, const struct pager_batch *b);

#endif
