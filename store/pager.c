/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/pager_parts.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <zstd.h>

#include "store/frame.h"
#include "store/layout.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/limit.h"
#include "util/log.h"
#include "util/poison.h"

#define NONE		0xffffffffu
#define REFUSED_MS	1000 /* how long a chunk that could not be had is not asked for again */
#define GUESSES_FEW	2    /* at a time, while guesses are often wrong */
#define GUESSES_MANY	8    /* how far ahead to look once they are right */
#define PROVEN_PART	8    /* of all that was guessed, 1/8 at most was not wanted so far */
#define GUESS_TENTHS	3
#define GUESS_TENTHS_OF 10
#define MARK_SEEN	1
#define MARK_GUESSED	2
#define MARK_LIKELY	4
#define MARK_TOLD	8 /* by a trace: that it is touched says nothing of what else is */
#define LATER_WAITING	3 /* requests that wait for the link, beside those of the cores */
#define LIKELY_MAX	(64u << 20) /* bytes that were likely, and not touched so far */
#define OTHERS_POLL_MS	2	    /* how often to look whether another process has its chunk */
#define OTHERS_WAIT_MS	10000	    /* at most; less where outages are to be waited for less */

/* ---- queues; with the lock held ---- */

static void push(struct pager_queue *q, uint32_t chunk)
{
	if (q->n == q->cap) {
		size_t cap = q->cap ? 2 * q->cap : 64;
		uint32_t *v = hr_xmalloc(cap * sizeof(*v));

		for (size_t i = 0; i < q->n; i++)
			v[i] = q->v[(q->first + i) % q->cap];
		free(q->v);
		*q = (struct pager_queue) { v, 0, q->n, cap };
	}
	q->v[(q->first + q->n++) % q->cap] = chunk;
}

static uint32_t pop(struct pager_queue *q)
{
	uint32_t chunk;

	if (q->n == 0)
		return NONE;
	chunk = q->v[q->first];
	q->first = (q->first + 1) % q->cap;
	q->n--;
	return chunk;
}

/*
 * How many threads may fetch what nobody waits for: half of them, so that what is wanted finds one;
 * on a slow link, where it shares the bytes of a second with them, a quarter.
 */
static unsigned int ahead_most(const struct store_pager *p)
{
	return (p->o.threads + 1) / (p->batch_bytes < PAGER_BATCH_FAST ? 4 : 2);
}

/*
 * How many when it is not for soon, which there may be plenty of: as many as keep the link busy
 * while each core opens what has come. Each more takes its part of the link from what is wanted.
 */
static unsigned int later_most(const struct store_pager *p)
{
	unsigned int most = ahead_most(p), busy = p->cores + LATER_WAITING;

	return busy < most ? busy : most;
}

/* The next chunk to fetch, or NONE. */
static uint32_t take_first(struct store_pager *p)
{
	uint32_t chunk;

	while ((chunk = pop(&p->wanted)) != NONE)
		if (p->state[chunk] == PAGER_WANTED)
			return chunk;
	if (p->chunks && p->ahead >= ahead_most(p))
		return NONE;
	while ((chunk = pop(&p->soon)) != NONE)
		if (p->state[chunk] == PAGER_LATER)
			return chunk;
	if (p->chunks && p->ahead >= later_most(p))
		return NONE;
	while ((chunk = pop(&p->later)) != NONE)
		if (p->state[chunk] == PAGER_LATER)
			return chunk;
	return NONE;
}

/* With the lock held: from now on there is something to be done for it. */
static void become_busy(struct store_pager *p, uint32_t chunk)
{
	p->busy++;
	store_pager_table_count(p, chunk);
}

static void fly(struct store_pager *p, struct pager_batch *b, uint32_t chunk)
{
	p->state[chunk] = p->state[chunk] == PAGER_WANTED ? PAGER_FLYING_WANTED : PAGER_FLYING;
	b->chunk[b->n] = chunk;
	b->at[b->n++] = store_loc_chunk(p->o.loc, chunk);
}

/*
 * Whether to fetch a chunk that nobody asked for, because the one before it in the pack was: what
 * lies side by side is often wanted together. What was guessed and not wanted so far may be three
 * tenths of what was, so a program that reads here and there costs little, and one that does not
 * gets far.
 */
static bool guess(struct store_pager *p, uint32_t chunk)
{
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = store_pager_cache_of(p, &at);

	if (!p->o.guess || p->state[chunk] != PAGER_IDLE || p->refused_ms[chunk] != 0 || !pack ||
	    store_cache_has(pack, at.frame) ||
	    (p->guessed_bytes + at.frame_len) * GUESS_TENTHS_OF > p->seen_bytes * GUESS_TENTHS)
		return false;
	p->guessed_bytes += at.frame_len;
	p->guessed_total += at.frame_len;
	p->mark[chunk] |= MARK_GUESSED;
	become_busy(p, chunk);
	return true;
}

/*
 * Whether so many guesses were right that one more may be made, however many are out: who reads the
 * image as it lies in its packs is served by few large requests, who does not makes none of them.
 */
static bool proven(const struct store_pager *p)
{
	return p->guessed_bytes * PROVEN_PART < p->guessed_total;
}

/* With the lock held: a guess was right, so there is more to be had where it came from. */
static void guess_on(struct store_pager *p, uint32_t chunk)
{
	unsigned int far = proven(p) ? GUESSES_MANY : GUESSES_FEW;

	for (unsigned int i = 0; i < far; i++) {
		chunk = p->neighbour[chunk];
		if (chunk == NONE)
			return;
		if (!guess(p, chunk))
			continue;
		p->state[chunk] = PAGER_LATER;
		push(&p->soon, chunk);
		pthread_cond_signal(&p->wake);
	}
}

/* Somebody touches a chunk. */
static void note_seen(struct store_pager *p, uint32_t chunk, uint32_t frame_len)
{
	pthread_mutex_lock(&p->lock);
	if (!(p->mark[chunk] & (MARK_SEEN | MARK_TOLD)))
		p->seen_bytes += frame_len;
	if (p->mark[chunk] & MARK_GUESSED)
		p->guessed_bytes -= frame_len;
	if (p->mark[chunk] & MARK_LIKELY)
		p->likely_bytes -= frame_len;
	if (p->mark[chunk] & MARK_GUESSED)
		guess_on(p, chunk);
	p->mark[chunk] = MARK_SEEN | (p->mark[chunk] & MARK_TOLD);
	pthread_mutex_unlock(&p->lock);
}

/* A first chunk and those behind it in the pack that are to be fetched as well. */
static void take_batch(struct store_pager *p, struct pager_batch *b, uint32_t first)
{
	bool wanted = p->state[first] == PAGER_WANTED;
	unsigned int guesses = 0;
	uint64_t bytes;

	b->n = 0;
	b->ahead = !wanted;
	p->ahead += b->ahead;
	fly(p, b, first);
	bytes = b->at[0].frame_len;
	for (uint32_t c = p->neighbour[first]; c != NONE && b->n < PAGER_BATCH_MAX;
	     c = p->neighbour[c]) {
		bytes += store_loc_chunk(p->o.loc, c).frame_len;
		if (bytes > p->batch_bytes)
			return;
		if (p->state[c] != PAGER_WANTED && p->state[c] != PAGER_LATER &&
		    !(((wanted && guesses++ < GUESSES_FEW) || proven(p)) && guess(p, c)))
			return;
		fly(p, b, c);
	}
}

/* ---- threads ---- */

/* Claim a frame on this node. False when another process is fetching it. */
static bool claim(const struct store_pager *p, const struct store_loc_chunk *at)
{
	struct store_cache_pack *pack = store_pager_cache_of(p, at);

	return !pack || store_cache_claim(pack, at->frame);
}

static void unclaim(const struct store_pager *p, const struct store_loc_chunk *at)
{
	struct store_cache_pack *pack = store_pager_cache_of(p, at);

	if (pack)
		store_cache_unclaim(pack, at->frame);
}

/* Fetch chunks that are claimed. */
static void fetch_claimed(struct pager_thread *t, struct pager_batch *run)
{
	if (run->n > 0)
		store_pager_fetch(t, run);
	for (size_t i = 0; i < run->n; i++)
		unclaim(t->p, &run->at[i]);
	run->n = 0;
}

/*
 * A chunk that another process claims: wait until it is there, or until the other gives up or dies.
 * One that is stopped, with the job it belongs to, does neither: after a while the chunk is fetched
 * twice, which costs its bytes and no more.
 */
static void wait_for_other(struct pager_thread *t, uint32_t chunk, const struct store_loc_chunk *at)
{
	struct pager_batch alone = { .chunk = { chunk }, .at = { *at }, .n = 1 };
	uint64_t begun = hr_now_ms(), most = t->p->o.outage_s * 1000;

	if (most > OTHERS_WAIT_MS)
		most = OTHERS_WAIT_MS;
	while (!store_pager_land_cached(t, chunk, at)) {
		if (claim(t->p, at) || hr_now_ms() - begun > most) {
			if (store_pager_land_cached(t, chunk, at))
				unclaim(t->p, at);
			else
				fetch_claimed(t, &alone);
			return;
		}
		store_pager_pause(OTHERS_POLL_MS);
	}
}

/* A chunk that could not be had a moment ago: asked for once a second at most, however many ask. */
static bool was_refused(struct store_pager *p, uint32_t chunk)
{
	bool refused;

	pthread_mutex_lock(&p->lock);
	refused = p->refused_ms[chunk] != 0 && hr_now_ms() - p->refused_ms[chunk] < REFUSED_MS;
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
	store_pager_land(p, chunk, NULL, 0, &e);
	return false;
}

static void work(struct pager_thread *t, const struct pager_batch *b)
{
	struct pager_batch run = { .n = 0 }, others = { .n = 0 };

	for (size_t i = 0; i < b->n; i++) {
		const struct store_loc_chunk *at = &b->at[i];
		bool tried = may_fetch(t->p, b->chunk[i], at), ours = tried && claim(t->p, at);
		struct pager_batch *to = ours ? &run : &others;

		if (ours && store_pager_land_cached(t, b->chunk[i], at)) {
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
		struct pager_batch b;
		uint32_t first;

		pthread_mutex_lock(&p->lock);
		while ((first = take_first(p)) == NONE)
			pthread_cond_wait(&p->wake, &p->lock);
		take_batch(p, &b, first);
		pthread_mutex_unlock(&p->lock);
		work(t, &b);
		pthread_mutex_lock(&p->lock);
		p->ahead -= b.ahead;
		pthread_cond_signal(&p->wake); /* this thread may have something else to do first */
		pthread_mutex_unlock(&p->lock);
		store_pager_table_fetch(t, b.at[0].pack);
	}
	return NULL;
}

/* ---- the source, as chunks.c sees it ---- */

bool store_pager_peek(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes)
{
	struct store_pager *p = arg;
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = store_pager_cache_of(p, &at);
	struct hr_err e = { 0 };

	if (!pack || !store_cache_has(pack, at.frame))
		return false;
	if (store_cache_get(pack, at.frame, at.plain_off, out, bytes, &e) == 0)
		return true;
	hr_debug("cannot use the cache: %s", e.text);
	return false;
}

static bool source_plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t bytes)
{
	struct store_pager *p = arg;

	store_trace_touch(p->o.trace, chunk);
	note_seen(p, chunk, store_loc_chunk(p->o.loc, chunk).frame_len);
	return store_pager_peek(p, chunk, out, bytes);
}

static void source_start(void *arg, uint32_t chunk, const struct hr_err *why)
{
	struct store_pager *p = arg;

	(void)why;
	pthread_mutex_lock(&p->lock);
	if (p->state[chunk] == PAGER_FLYING) {
		p->state[chunk] = PAGER_FLYING_WANTED;
		pthread_cond_broadcast(&p->lanes_done); /* whoever hashes it goes on at once */
	} else {
		if (p->state[chunk] == PAGER_IDLE)
			become_busy(p, chunk);
		p->state[chunk] = PAGER_WANTED;
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
	if (store_pager_cache_of(p, &at))
		store_cache_drop(store_pager_cache_of(p, &at), at.frame);
}

static void source_where(void *arg, uint32_t chunk, struct hr_buf *out)
{
	struct store_pager *p = arg;
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	hr_autofree char *url =
		store_pager_url(p, p->o.origins->n > 0 ? p->o.origins->v[0] : "", &at);

	hr_buf_printf(out, "'%s' at %" PRIu64, url, at.frame_off);
}

struct store_chunk_source store_pager_source(struct store_pager *p)
{
	return (struct store_chunk_source) { .plain = source_plain,
					     .start = source_start,
					     .damaged = source_damaged,
					     .where = source_where,
					     .arg = p };
}

/* With the lock held: a trace, or whoever wants all, has told of a chunk. */
static void note_told(struct store_pager *p, uint32_t chunk, uint32_t frame_len)
{
	p->told = true;
	if (p->mark[chunk] & MARK_TOLD)
		return;
	p->mark[chunk] |= MARK_TOLD;
	if (p->mark[chunk] & MARK_SEEN)
		p->seen_bytes -= frame_len;
}

void store_pager_later(struct store_pager *p, uint32_t chunk)
{
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = store_pager_cache_of(p, &at);

	pthread_mutex_lock(&p->lock);
	note_told(p, chunk, at.frame_len);
	if (pack && !store_cache_has(pack, at.frame) && p->state[chunk] == PAGER_IDLE) {
		become_busy(p, chunk);
		p->state[chunk] = PAGER_LATER;
		push(&p->later, chunk);
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
}

/*
 * With the lock held: how much may be fetched that is likely, and not touched so far. What the
 * program touches beyond its trace tells how much the trace does not know.
 */
static uint64_t likely_most(const struct store_pager *p)
{
	return p->told && p->seen_bytes < LIKELY_MAX ? p->seen_bytes : LIKELY_MAX;
}

/* With the lock held: whether to fetch a chunk that is almost certain to be wanted. */
static bool expect(struct store_pager *p, uint32_t chunk)
{
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = store_pager_cache_of(p, &at);

	if (p->state[chunk] != PAGER_IDLE || p->refused_ms[chunk] != 0 || !pack ||
	    store_cache_has(pack, at.frame) || p->likely_bytes + at.frame_len > likely_most(p))
		return false;
	if (p->mark[chunk] == 0) {
		p->mark[chunk] = MARK_LIKELY;
		p->likely_bytes += at.frame_len;
	}
	become_busy(p, chunk);
	return true;
}

void store_pager_foreseen(void *arg, const uint32_t *chunk, size_t n, size_t n_soon)
{
	struct store_pager *p = arg;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; p->o.guess && i < n; i++) {
		bool later = p->state[chunk[i]] == PAGER_LATER; /* perhaps too late */

		if (!(later && i < n_soon) && !expect(p, chunk[i]))
			continue;
		p->state[chunk[i]] = PAGER_LATER;
		push(i < n_soon ? &p->soon : &p->later, chunk[i]);
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
}

bool store_pager_bring(void *arg, uint32_t chunk, uint8_t *out)
{
	struct store_pager *p = arg;
	struct store_chunk want;
	struct hr_err e = { 0 };

	store_pager_foreseen(p, &chunk, 1, 1);
	pthread_mutex_lock(&p->lock);
	while (p->state[chunk] != PAGER_IDLE)
		pthread_cond_wait(&p->landed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	/* the check sum of a block of another kind may have been learnt just now */
	return store_index_chunk(p->o.ix, chunk, &want) &&
	       store_pager_peek(p, chunk, out, want.bytes) &&
	       store_frame_verify(&want, out, NULL, &e) == 0;
}

/* Who wants all of the image in the cache must know what is not: a large file may be evicted before
 * the packs whose chunks were moved to it. */
static void settle(struct store_pager *p)
{
	for (uint32_t i = 0; i < store_index_chunks(p->o.ix); i++) {
		struct store_loc_chunk at = store_loc_chunk(p->o.loc, i);
		struct store_cache_pack *pack = store_pager_cache_of(p, &at);

		if (pack)
			store_cache_settle(pack, at.frame, at.plain_off);
	}
}

void store_pager_fill(struct store_pager *p, const uint32_t *first, size_t n)
{
	settle(p);
	for (size_t i = 0; i < n; i++)
		store_pager_later(p, first[i]);
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
	struct store_cache_pack *pack = store_pager_cache_of(p, &at);

	return pack && store_cache_has(pack, at.frame);
}

void store_pager_moved(void *arg, uint32_t chunk, uint32_t bytes, const struct store_cache_at *to)
{
	struct store_pager *p = arg;
	struct store_loc_chunk at = store_loc_chunk(p->o.loc, chunk);
	struct store_cache_pack *pack = store_pager_cache_of(p, &at);

	if (pack)
		store_cache_move(pack, at.frame, at.plain_off, bytes, to);
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
	/* the last chunk lands before its request has ended and is counted */
	while (p->busy + p->asking > 0 && pthread_cond_timedwait(&p->rest, &p->lock, &until) == 0)
		;
	busy = p->busy + p->asking;
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
		    0) {
			hr_debug("not cached: %s", e.text);
			p->failure = e;
		}
	}
}

/* What the registry gave, or that it did not either. */
static void from_upstream(void *arg, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
			  const struct hr_err *e)
{
	if (e)
		store_pager_refused(arg, e);
	store_pager_land(arg, chunk, plain, bytes, e);
}

static void init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static unsigned int cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned int)n : 1;
}

struct store_pager *store_pager_new(const struct store_pager_options *o)
{
	struct store_pager *p = hr_xmalloc(sizeof(*p));
	size_t n = store_index_chunks(o->ix);

	p->o = *o;
	p->seen = hr_xmalloc((o->origins->n + 1) * sizeof(struct hr_stats_origin *));
	for (size_t i = 0; i < o->origins->n; i++)
		p->seen[i] = hr_stats_origin(o->stats, o->origins->v[i]);
	p->mute_ms = hr_xmalloc((o->origins->n + 1) * sizeof(*p->mute_ms));
	p->packs = hr_xmalloc(((size_t)o->loc->n_packs + 1) * sizeof(struct store_cache_pack *));
	p->neighbour = hr_xmalloc((n + 1) * sizeof(*p->neighbour));
	p->state = hr_xmalloc(n + 1);
	p->mark = hr_xmalloc(n + 1);
	p->batch_bytes = PAGER_BATCH_FIRST;
	p->refused_ms = hr_xmalloc((n + 1) * sizeof(*p->refused_ms));
	pthread_mutex_init(&p->lock, NULL);
	init_monotonic(&p->lanes_done);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->rest, NULL);
	pthread_cond_init(&p->landed, NULL);
	pthread_cond_init(&p->bench_free, NULL);
	store_pager_make_benches(p);
	p->n_chunks = (uint32_t)n;
	p->cores = cores();
	find_neighbours(p, (uint32_t)n);
	store_pager_make_tables(p);
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
	t->frames = malloc(PAGER_BATCH_BYTES + STORE_FRAME_CAP);
	t->plain = malloc(STORE_CHUNK_MAX);
	HR_BUG_ON(!t->zstd || !t->frames || !t->plain);
	return t;
}

int store_pager_start(struct store_pager *p, struct store_chunks *chunks, struct hr_err *e)
{
	p->chunks = chunks;
	if (!chunks)
		settle(p);
	if (chunks && p->failure.kind != HR_OK)
		store_pager_no_cache(p, &p->failure);
	for (unsigned int i = 0; i < p->o.threads; i++) {
		pthread_t thread;
		int r = pthread_create(&thread, NULL, thread_main, new_thread(p));

		if (r != 0 && i == 0) {
			(void)hr_fail(e, HR_SYS, r, "cannot make a thread for downloads");
			hr_limit_hint(e);
			return -1;
		}
		if (r == 0)
			pthread_detach(thread);
	}
	return 0;
}
