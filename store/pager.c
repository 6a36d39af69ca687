/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/pager.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zstd.h>

#include "store/frame.h"
#include "store/layout.h"
#include "store/web.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/poison.h"

#define NONE		0xffffffffu
#define REFUSALS_MAX	3    /* rounds through origins that answer, but not with the chunk */
#define REFUSED_MS	1000 /* how long a chunk that could not be had is not asked for again */
#define BATCH_MAX	32   /* chunks of one request */
#define BATCH_BYTES	(2u << 20) /* compressed bytes of one request, but for its first chunk */
#define OTHERS_POLL_MS	2	   /* how often to look whether another process has its chunk */
#define PAUSE_FIRST_MS	100
#define PAUSE_CAP_MS	5000
#define OUTAGE_SPEAK_MS 2000 /* shorter failures are not worth a line */

/*
 * Where a chunk is on its way. The state decides; the queues only order, and may hold entries of
 * chunks that have moved on: wanted after they were put off, or taken into the batch of a
 * neighbour.
 */
enum state { IDLE, LATER, WANTED, FLYING, FLYING_WANTED };

/* First in, first out. */
struct queue {
	uint32_t *v;
	size_t first, n, cap;
};

struct store_pager {
	struct store_pager_options o;
	struct store_chunks *chunks;
	struct hr_stats_origin **seen;	 /* by number in o.origins: what it gave */
	struct store_cache_pack **packs; /* by number in the location file; NULL: no cache for it */
	uint32_t *in_order;		 /* the chunks as they lie in the packs */
	uint32_t *neighbour;		 /* by chunk: whose frame follows in the pack, or NONE */

	pthread_mutex_t lock; /* of all below; never held over I/O */
	pthread_cond_t wake;
	uint8_t *state;	      /* by chunk */
	uint64_t *refused_ms; /* by chunk: when it could not be had; 0 never */
	struct queue wanted, later;
	uint32_t busy;	       /* chunks that are not idle */
	pthread_cond_t rest;   /* busy became 0 */
	struct hr_err failure; /* the first */
	uint64_t out_since_ms; /* 0: no outage was reported */
	bool out_given_up;
};

/* What one request asks for: chunks side by side in a pack. */
struct batch {
	uint32_t chunk[BATCH_MAX];
	struct store_loc_chunk at[BATCH_MAX];
	size_t n;
};

struct pager_thread {
	struct store_pager *p;
	ZSTD_DCtx *zstd;
	uint8_t *frames; /* room for the largest request */
	uint8_t *plain;	 /* room for a chunk that nobody waits for */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_ms(uint64_t ms)
{
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- queues; with the lock held ---- */

static void push(struct queue *q, uint32_t chunk)
{
	if (q->n == q->cap) {
		size_t cap = q->cap ? 2 * q->cap : 64;
		uint32_t *v = hr_xmalloc(cap * sizeof(*v));

		for (size_t i = 0; i < q->n; i++)
			v[i] = q->v[(q->first + i) % q->cap];
		free(q->v);
		*q = (struct queue) { v, 0, q->n, cap };
	}
	q->v[(q->first + q->n++) % q->cap] = chunk;
}

static uint32_t pop(struct queue *q)
{
	uint32_t chunk;

	if (q->n == 0)
		return NONE;
	chunk = q->v[q->first];
	q->first = (q->first + 1) % q->cap;
	q->n--;
	return chunk;
}

/* The next chunk to fetch, or NONE. */
static uint32_t take_first(struct store_pager *p)
{
	uint32_t chunk;

	while ((chunk = pop(&p->wanted)) != NONE)
		if (p->state[chunk] == WANTED)
			return chunk;
	while ((chunk = pop(&p->later)) != NONE)
		if (p->state[chunk] == LATER)
			return chunk;
	return NONE;
}

static void fly(struct store_pager *p, struct batch *b, uint32_t chunk)
{
	p->state[chunk] = p->state[chunk] == WANTED ? FLYING_WANTED : FLYING;
	b->chunk[b->n] = chunk;
	b->at[b->n++] = store_loc_chunk(p->o.loc, chunk);
}

/* A first chunk and those behind it in the pack that are to be fetched as well. */
static void take_batch(struct store_pager *p, struct batch *b, uint32_t first)
{
	uint64_t bytes;

	b->n = 0;
	fly(p, b, first);
	bytes = b->at[0].frame_len;
	for (uint32_t c = p->neighbour[first]; c != NONE && b->n < BATCH_MAX; c = p->neighbour[c]) {
		if (p->state[c] != WANTED && p->state[c] != LATER)
			return;
		bytes += store_loc_chunk(p->o.loc, c).frame_len;
		if (bytes > BATCH_BYTES)
			return;
		fly(p, b, c);
	}
}

/* ---- landing ---- */

/* With the lock held. */
static void become_idle(struct store_pager *p, uint32_t chunk)
{
	p->state[chunk] = IDLE;
	if (--p->busy == 0)
		pthread_cond_broadcast(&p->rest);
}

static void note_failure(struct store_pager *p, const struct hr_err *e)
{
	pthread_mutex_lock(&p->lock);
	if (p->failure.kind == HR_OK)
		p->failure = *e;
	pthread_mutex_unlock(&p->lock);
}

/* Where to put a chunk: where those who wait expect it, or the thread's own room. */
static uint8_t *room_for(struct pager_thread *t, uint32_t chunk)
{
	struct store_pager *p = t->p;
	bool wanted;

	pthread_mutex_lock(&p->lock);
	wanted = p->state[chunk] == FLYING_WANTED;
	pthread_mutex_unlock(&p->lock);
	return wanted ? store_chunks_room(p->chunks, chunk) : t->plain;
}

/* The flight of a chunk ends: its verified bytes are in PLAIN, a result of room_for(); or it failed
 * with E. */
static void land(struct store_pager *p, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
		 const struct hr_err *e)
{
	bool wanted;

	if (e)
		note_failure(p, e);
	pthread_mutex_lock(&p->lock);
	wanted = p->state[chunk] == FLYING_WANTED;
	if (!wanted)
		become_idle(p, chunk);
	if (e)
		p->refused_ms[chunk] = now_ms();
	pthread_mutex_unlock(&p->lock);
	if (!wanted)
		return;
	/* wanted stays so until we say otherwise */
	if (!e && store_chunks_room(p->chunks, chunk) != plain)
		memcpy(store_chunks_room(p->chunks, chunk), plain, bytes);
	pthread_mutex_lock(&p->lock);
	become_idle(p, chunk);
	pthread_mutex_unlock(&p->lock);
	store_chunks_delivered(p->chunks, chunk, e);
}

static struct store_cache_pack *cache_of(const struct store_pager *p,
					 const struct store_loc_chunk *at)
{
	return p->packs[at->pack];
}

/* A chunk that another process brought meanwhile. False when it is not there after all. */
static bool land_from_cache(struct pager_thread *t, uint32_t chunk,
			    const struct store_loc_chunk *at)
{
	struct store_cache_pack *pack = cache_of(t->p, at);
	struct hr_err e = { 0 }; /* a cache that cannot be read is none */
	struct store_chunk want;
	uint8_t *room;

	if (!pack || !store_cache_has(pack, at->frame) ||
	    !store_index_chunk(t->p->o.ix, chunk, &want))
		return false;
	room = room_for(t, chunk);
	if (store_cache_get(pack, at->frame, at->plain_off, room, want.bytes, &e) < 0 ||
	    store_frame_verify(&want, room, NULL, &e) < 0) {
		store_cache_drop(pack, at->frame);
		return false;
	}
	land(t->p, chunk, room, want.bytes, NULL);
	return true;
}

/* Verify a frame that came and keep it. */
static int accept_frame(struct pager_thread *t, uint32_t chunk, const struct store_loc_chunk *at,
			const uint8_t *frame, struct hr_err *e)
{
	struct store_cache_pack *pack = cache_of(t->p, at);
	struct hr_err full = {
		0
	}; /* no room or a bad disk: memory alone, and the next one fetches again */
	struct store_chunk want;
	uint8_t *room = room_for(t, chunk);

	if (!store_index_chunk(t->p->o.ix, chunk, &want))
		return hr_fail(e, HR_CORRUPT, 0, "the image index is damaged");
	if (store_frame_open(t->zstd, frame, at->frame_len, &want, room, e) < 0 ||
	    store_frame_verify(&want, room, fetch_digest_of, e) < 0)
		return -1;
	if (pack && store_cache_put(pack, at->frame, at->plain_off, room, want.bytes, &full) < 0) {
		hr_debug("not cached: %s", full.text);
		note_failure(t->p, &full);
	}
	land(t->p, chunk, room, want.bytes, NULL);
	return 0;
}

/* ---- origins ---- */

HR_PRINTF(2, 3)
static void tell(const struct store_pager *p, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	p->o.notice(p->o.notice_arg, line);
}

/* Count and, once it lasts, say that no origin answers; and that they do again. */
static void outage_begins(struct store_pager *p, const struct hr_err *e)
{
	bool first;

	pthread_mutex_lock(&p->lock);
	first = p->out_since_ms == 0;
	if (first)
		p->out_since_ms = now_ms();
	pthread_mutex_unlock(&p->lock);
	if (!first)
		return;
	hr_stats_add(&p->o.stats->outages, 1);
	p->o.stats->outage_now = 1;
	tell(p, "waiting for up to %" PRIu64 " s for data: %s", p->o.outage_s, e->text);
}

static void outage_ends(struct store_pager *p, const char *origin)
{
	uint64_t since, ms;

	pthread_mutex_lock(&p->lock);
	since = p->out_since_ms;
	p->out_since_ms = 0;
	p->out_given_up = false;
	pthread_mutex_unlock(&p->lock);
	if (since == 0)
		return;
	ms = now_ms() - since;
	hr_stats_add(&p->o.stats->outage_us, ms * 1000);
	p->o.stats->outage_now = 0;
	tell(p, "'%s' is back after %" PRIu64 " s", origin, (ms + 500) / 1000);
}

static void outage_given_up(struct store_pager *p)
{
	bool first;

	pthread_mutex_lock(&p->lock);
	first = p->out_since_ms != 0 && !p->out_given_up;
	p->out_given_up = p->out_since_ms != 0;
	pthread_mutex_unlock(&p->lock);
	if (first)
		tell(p, "no data came for %" PRIu64 " s: %s", p->o.outage_s,
		     p->o.upstream ? "asking the registry that the image came from"
				   : "reading it fails with an input/output error");
}

/*
 * Ask one origin for the chunks FIRST to the end of B; what is right lands. Returns how many of
 * them are right; less than all with *e filled.
 */
static size_t ask_origin(struct pager_thread *t, const char *origin, struct hr_stats_origin *seen,
			 const struct batch *b, size_t first, struct hr_err *e)
{
	struct store_pager *p = t->p;
	const struct store_loc_chunk *from = &b->at[first], *last = &b->at[b->n - 1];
	struct fetch_digest pack = store_loc_pack(p->o.loc, from->pack).name;
	size_t len = (size_t)(last->frame_off + last->frame_len - from->frame_off);
	char path[STORE_OBJECT_PATH];
	hr_autofree char *url =
		hr_xasprintf("%s/%s", origin, store_object_path(STORE_PACK, &pack, path));
	size_t i = first;
	int r = fetch_web_range(p->o.client, url, from->frame_off, len, t->frames, e);

	hr_stats_add(&seen->requests, 1);
	hr_stats_add(&seen->failures, r < 0);
	hr_stats_add(&seen->bytes, r < 0 ? 0 : len);
	if (r < 0)
		return 0;
	for (; i < b->n; i++) {
		if (accept_frame(t, b->chunk[i], &b->at[i],
				 t->frames + (b->at[i].frame_off - from->frame_off), e) < 0) {
			hr_stats_add(&p->o.stats->damaged, 1);
			(void)hr_wrap(e, "'%s' has a damaged frame at %" PRIu64, url,
				      b->at[i].frame_off);
			break;
		}
	}
	return i - first;
}

/*
 * Fetch the chunks of B from the first origin that has them right. An origin that does not answer
 * is an outage and is waited for; one that has no such object, or a damaged one, is asked three
 * times at most.
 */
static void fetch_batch(struct pager_thread *t, const struct batch *b)
{
	struct store_pager *p = t->p;
	uint64_t begun = now_ms(), pause = PAUSE_FIRST_MS;
	unsigned int refusals = 0;
	struct hr_err e = { 0 };
	size_t done = 0;

	for (;;) {
		bool silent = false;

		for (size_t o = 0; o < p->o.origins->n && done < b->n; o++) {
			hr_err_clear(&e);
			done += ask_origin(t, p->o.origins->v[o], p->seen[o], b, done, &e);
			if (e.kind == HR_NET)
				silent = true;
			else
				outage_ends(p, p->o.origins->v[o]);
			if (e.kind != HR_OK)
				hr_debug("%s", e.text);
		}
		if (done == b->n)
			return;
		if (!silent && ++refusals == REFUSALS_MAX)
			break;
		if (now_ms() - begun >= p->o.outage_s * 1000) {
			outage_given_up(p);
			break;
		}
		if (silent && now_ms() - begun >= OUTAGE_SPEAK_MS)
			outage_begins(p, &e);
		pause_ms(pause / 2 + (uint64_t)random() % (pause / 2 + 1));
		pause = 2 * pause < PAUSE_CAP_MS ? 2 * pause : PAUSE_CAP_MS;
	}
	if (refusals == REFUSALS_MAX && p->o.copy)
		store_web_forget_loc(p->o.copy, p->o.ix);
	for (; done < b->n; done++) {
		if (p->o.upstream)
			store_upstream_ask(p->o.upstream, b->chunk[done], &e);
		else
			land(p, b->chunk[done], NULL, 0, &e);
	}
}

/* What the registry gave, or that it did not either. */
static void from_upstream(void *arg, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
			  const struct hr_err *e)
{
	land(arg, chunk, plain, bytes, e);
}

/* ---- threads ---- */

/* Claim a frame on this node. False when another process is fetching it. */
static bool claim(const struct store_pager *p, const struct store_loc_chunk *at)
{
	struct store_cache_pack *pack = cache_of(p, at);

	return !pack || store_cache_claim(pack, at->frame);
}

static void unclaim(const struct store_pager *p, const struct store_loc_chunk *at)
{
	struct store_cache_pack *pack = cache_of(p, at);

	if (pack)
		store_cache_unclaim(pack, at->frame);
}

/* Fetch chunks that are claimed. */
static void fetch_claimed(struct pager_thread *t, struct batch *run)
{
	if (run->n > 0)
		fetch_batch(t, run);
	for (size_t i = 0; i < run->n; i++)
		unclaim(t->p, &run->at[i]);
	run->n = 0;
}

/* A chunk that another process claims: wait until it is there, or until the other gives up or dies.
 */
static void wait_for_other(struct pager_thread *t, uint32_t chunk, const struct store_loc_chunk *at)
{
	struct batch alone = { .chunk = { chunk }, .at = { *at }, .n = 1 };

	while (!land_from_cache(t, chunk, at)) {
		if (claim(t->p, at)) {
			if (land_from_cache(t, chunk, at))
				unclaim(t->p, at);
			else
				fetch_claimed(t, &alone);
			return;
		}
		pause_ms(OTHERS_POLL_MS);
	}
}

/* A chunk that could not be had a moment ago: asked for once a second at most, however many ask. */
static bool was_refused(struct store_pager *p, uint32_t chunk)
{
	bool refused;

	pthread_mutex_lock(&p->lock);
	refused = p->refused_ms[chunk] != 0 && now_ms() - p->refused_ms[chunk] < REFUSED_MS;
	pthread_mutex_unlock(&p->lock);
	return refused;
}

/* Whether to try at all; else the flight of the chunk is over. */
static bool may_fetch(struct store_pager *p, uint32_t chunk, const struct store_loc_chunk *at)
{
	struct hr_err e = { 0 };

	if (at->frame_len > STORE_FRAME_CAP)
		(void)hr_fail(&e, HR_CORRUPT, 0,
			      "the location file says a frame of %" PRIu32 " bytes", at->frame_len);
	else if (was_refused(p, chunk))
		(void)hr_fail(&e, HR_NET, 0, "it could not be had a moment ago");
	else
		return true;
	land(p, chunk, NULL, 0, &e);
	return false;
}

static void work(struct pager_thread *t, const struct batch *b)
{
	struct batch run = { .n = 0 }, others = { .n = 0 };

	for (size_t i = 0; i < b->n; i++) {
		const struct store_loc_chunk *at = &b->at[i];
		bool tried = may_fetch(t->p, b->chunk[i], at), ours = tried && claim(t->p, at);
		struct batch *to = ours ? &run : &others;

		if (ours && land_from_cache(t, b->chunk[i], at)) {
			unclaim(t->p, at);
			ours = tried = false;
		}
		if (!ours)
			fetch_claimed(t, &run); /* what comes next is no neighbour */
		if (!tried)
			continue;
		to->chunk[to->n] = b->chunk[i];
		to->at[to->n++] = *at;
	}
	fetch_claimed(t, &run);
	for (size_t i = 0; i < others.n; i++)
		wait_for_other(t, others.chunk[i], &others.at[i]);
}

static void *thread_main(void *arg)
{
	struct pager_thread *t = arg;
	struct store_pager *p = t->p;

	for (;;) {
		struct batch b;
		uint32_t first;

		pthread_mutex_lock(&p->lock);
		while ((first = take_first(p)) == NONE)
			pthread_cond_wait(&p->wake, &p->lock);
		take_batch(p, &b, first);
		pthread_mutex_unlock(&p->lock);
		work(t, &b);
	}
	return NULL;
}

/* ---- the source, as chunks.c sees it ---- */

bool store_pager_peek(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes)
{
	struct store_pager *p = arg;
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = cache_of(p, &at);
	struct hr_err e = { 0 };

	if (!pack || !store_cache_has(pack, at.frame))
		return false;
	if (store_cache_get(pack, at.frame, at.plain_off, out, bytes, &e) == 0)
		return true;
	hr_debug("cannot use the cache: %s", e.text);
	store_cache_drop(pack, at.frame);
	return false;
}

static bool source_plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes)
{
	struct store_pager *p = arg;

	store_trace_touch(p->o.trace, chunk);
	return store_pager_peek(p, chunk, out, bytes);
}

static void source_start(void *arg, uint32_t chunk, const struct hr_err *why)
{
	struct store_pager *p = arg;

	(void)why;
	pthread_mutex_lock(&p->lock);
	if (p->state[chunk] == FLYING) {
		p->state[chunk] = FLYING_WANTED;
	} else {
		p->busy += p->state[chunk] == IDLE;
		p->state[chunk] = WANTED;
		push(&p->wanted, chunk);
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
}

static void source_damaged(void *arg, uint32_t chunk)
{
	struct store_pager *p = arg;
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);

	hr_warn("a cached chunk of pack %" PRIu32 " is damaged and is fetched again", at.pack);
	if (cache_of(p, &at))
		store_cache_drop(cache_of(p, &at), at.frame);
}

static void source_where(void *arg, uint32_t chunk, struct hr_buf *out)
{
	struct store_pager *p = arg;
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct fetch_digest name = store_loc_pack(p->o.loc, at.pack).name;
	char path[STORE_OBJECT_PATH];

	hr_buf_printf(out, "'%s/%s' at %" PRIu64, p->o.origins->n > 0 ? p->o.origins->v[0] : "",
		      store_object_path(STORE_PACK, &name, path), at.frame_off);
}

struct store_chunk_source store_pager_source(struct store_pager *p)
{
	return (struct store_chunk_source) { .plain = source_plain,
					     .start = source_start,
					     .damaged = source_damaged,
					     .where = source_where,
					     .arg = p };
}

void store_pager_later(struct store_pager *p, uint32_t chunk)
{
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = cache_of(p, &at);

	if (!pack || store_cache_has(pack, at.frame))
		return;
	pthread_mutex_lock(&p->lock);
	if (p->state[chunk] == IDLE) {
		p->busy++;
		p->state[chunk] = LATER;
		push(&p->later, chunk);
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
}

void store_pager_fill(struct store_pager *p)
{
	for (uint32_t i = 0; i < store_index_chunks(p->o.ix); i++)
		store_pager_later(p, p->in_order[i]);
}

uint32_t store_pager_order(struct store_pager *p, uint32_t **order)
{
	*order = p->in_order;
	return store_index_chunks(p->o.ix);
}

bool store_pager_has(const struct store_pager *p, uint32_t chunk)
{
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = cache_of(p, &at);

	return pack && store_cache_has(pack, at.frame);
}

uint32_t store_pager_wait(struct store_pager *p, unsigned int ms, struct hr_err *failure)
{
	struct timespec until;
	uint32_t busy;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&p->lock);
	while (p->busy > 0 && pthread_cond_timedwait(&p->rest, &p->lock, &until) == 0)
		;
	busy = p->busy;
	if (p->failure.kind != HR_OK)
		*failure = p->failure;
	pthread_mutex_unlock(&p->lock);
	return busy;
}

/* ---- beginning ---- */

struct place {
	struct store_loc_chunk at;
	uint32_t chunk;
};

static int by_place(const void *a, const void *b)
{
	const struct store_loc_chunk *x = &((const struct place *)a)->at,
				     *y = &((const struct place *)b)->at;

	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return x->frame_off < y->frame_off ? -1 : x->frame_off > y->frame_off;
}

static void find_neighbours(struct store_pager *p, uint32_t n)
{
	hr_autofree struct place *v = hr_xmalloc(((size_t)n + 1) * sizeof(*v));

	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct place) { store_loc_chunk(p->o.loc, i), i };
	qsort(v, n, sizeof(*v), by_place);
	p->in_order = hr_xmalloc(((size_t)n + 1) * sizeof(*p->in_order));
	for (uint32_t i = 0; i < n; i++) {
		bool adjacent = i + 1 < n && v[i].at.pack == v[i + 1].at.pack &&
				v[i].at.frame_off + v[i].at.frame_len == v[i + 1].at.frame_off;

		p->in_order[i] = v[i].chunk;
		p->neighbour[v[i].chunk] = adjacent ? v[i + 1].chunk : NONE;
	}
}

static void open_packs(struct store_pager *p)
{
	for (uint32_t i = 0; p->o.cache && i < p->o.loc->n_packs; i++) {
		struct store_loc_pack pack = store_loc_pack(p->o.loc, i);
		struct hr_err e = {
			0
		}; /* a pack without a cache is fetched again and again, and works */

		if (store_cache_pack_open(p->o.cache, &pack.name, pack.frames, &p->packs[i], &e) <
		    0)
			hr_warn("not cached: %s", e.text);
	}
}

struct store_pager *store_pager_new(const struct store_pager_options *o)
{
	struct store_pager *p = hr_xmalloc(sizeof(*p));
	size_t n = store_index_chunks(o->ix);

	p->o = *o;
	p->seen = hr_xmalloc((o->origins->n + 1) * sizeof(struct hr_stats_origin *));
	for (size_t i = 0; i < o->origins->n; i++)
		p->seen[i] = hr_stats_origin(o->stats, o->origins->v[i]);
	p->packs = hr_xmalloc(((size_t)o->loc->n_packs + 1) * sizeof(struct store_cache_pack *));
	p->neighbour = hr_xmalloc((n + 1) * sizeof(*p->neighbour));
	p->state = hr_xmalloc(n + 1);
	p->refused_ms = hr_xmalloc((n + 1) * sizeof(*p->refused_ms));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->rest, NULL);
	find_neighbours(p, (uint32_t)n);
	open_packs(p);
	if (o->upstream)
		store_upstream_deliver(o->upstream, from_upstream, p);
	return p;
}

static struct pager_thread *new_thread(struct store_pager *p)
{
	struct pager_thread *t = hr_xmalloc(sizeof(*t));

	t->p = p;
	t->zstd = ZSTD_createDCtx();
	t->frames = malloc(BATCH_BYTES + STORE_FRAME_CAP);
	t->plain = malloc(STORE_CHUNK_MAX);
	HR_BUG_ON(!t->zstd || !t->frames || !t->plain);
	return t;
}

int store_pager_start(struct store_pager *p, struct store_chunks *chunks, struct hr_err *e)
{
	p->chunks = chunks;
	for (unsigned int i = 0; i < p->o.threads; i++) {
		pthread_t thread;
		int r = pthread_create(&thread, NULL, thread_main, new_thread(p));

		if (r != 0 && i == 0)
			return hr_fail(e, HR_SYS, r, "cannot make a thread for downloads");
		if (r == 0)
			pthread_detach(thread);
	}
	return 0;
}
