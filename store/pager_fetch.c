/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/pager_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/frame.h"
#include "store/layout.h"
#include "store/sha256mb.h"
#include "store/web.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/poison.h"

#define REFUSALS_MAX	3 /* rounds through origins that answer, but not with the chunk */
#define BATCH_MS	50
#define PAUSE_FIRST_MS	100
#define PAUSE_CAP_MS	5000
#define OUTAGE_SPEAK_MS 2000 /* shorter failures are not worth a line */
#define MUTE_LEAST_MS	1000
#define MUTE_LIFE_MS	60000

void store_pager_pause(uint64_t ms)
{
	struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

char *store_pager_url(const struct store_pager *p, const char *origin,
		      const struct store_loc_chunk *at)
{
	struct fetch_digest pack = store_loc_pack(p->o.loc, at->pack).name;
	char path[STORE_OBJECT_PATH];

	if (p->o.object)
		return hr_xstrdup(p->o.object->url);
	return hr_xasprintf("%s/%s", origin, store_object_path(STORE_PACK, &pack, path));
}

/* ---- landing ---- */

/* With the lock held. */
static void become_idle(struct store_pager *p, uint32_t chunk)
{
	p->state[chunk] = PAGER_IDLE;
	pthread_cond_broadcast(&p->landed);
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
	wanted = p->state[chunk] == PAGER_FLYING_WANTED;
	pthread_mutex_unlock(&p->lock);
	return wanted ? store_chunks_room(p->chunks, chunk) : t->plain;
}

void store_pager_land(struct store_pager *p, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
		      const struct hr_err *e)
{
	bool wanted;

	if (e)
		note_failure(p, e);
	pthread_mutex_lock(&p->lock);
	wanted = p->state[chunk] == PAGER_FLYING_WANTED;
	if (!wanted)
		become_idle(p, chunk);
	if (e)
		p->refused_ms[chunk] = hr_now_ms();
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

bool store_pager_land_cached(struct pager_thread *t, uint32_t chunk,
			     const struct store_loc_chunk *at)
{
	struct store_cache_pack *pack = store_pager_cache_of(t->p, at);
	struct hr_err e = { 0 }; /* a cache that cannot be read is none */
	struct store_chunk want;
	uint8_t *room;

	if (!pack || !store_cache_has(pack, at->frame) ||
	    !store_index_chunk(t->p->o.ix, chunk, &want))
		return false;
	room = room_for(t, chunk);
	if (store_cache_get(pack, at->frame, at->plain_off, room, want.bytes, &e) < 0)
		return false;
	if (store_frame_verify(&want, room, NULL, &e) < 0) {
		store_cache_drop(pack, at->frame);
		return false;
	}
	store_pager_land(t->p, chunk, room, want.bytes, NULL);
	return true;
}

/* ---- arrival ---- */

/* A request on its way: frames are opened as their last bytes come. */
struct arrival {
	struct pager_thread *t;
	const struct pager_batch *b;
	const char *url;
	size_t next;		       /* the first frame that has not landed */
	uint64_t from;		       /* offset in the pack where the request begins */
	uint64_t begun_ms, arrived_ms; /* when the first and the last bytes came */
};

static const uint8_t *frame_at(const struct arrival *a, size_t i)
{
	return a->t->frames + (a->b->at[i].frame_off - a->from);
}

/* Decompress a frame and compare its check sum. */
static int open_frame(const struct arrival *a, size_t i, struct store_chunk *want, uint8_t *room,
		      struct hr_err *e)
{
	const struct store_pager_object *object = a->t->p->o.object;
	size_t len = a->b->at[i].frame_len;

	if (!store_index_chunk(a->t->p->o.ix, a->b->chunk[i], want))
		return hr_fail(e, HR_CORRUPT, 0, "the image index is damaged");
	if (object)
		return store_chunk_open(&object->blocks, a->b->chunk[i], a->t->zstd, frame_at(a, i),
					len, want, room, e);
	if (store_frame_open(a->t->zstd, frame_at(a, i), len, want, room, e) < 0)
		return -1;
	return store_frame_verify(want, room, NULL, e);
}

static int keep(const struct arrival *a, struct store_cache_pack *pack, const uint8_t *room,
		uint32_t bytes, struct hr_err *e)
{
	const struct store_pager_options *o = &a->t->p->o;
	const struct store_loc_chunk *at = &a->b->at[a->next];
	struct store_cache_at lies;

	if (o->place && o->place(o->place_arg, a->b->chunk[a->next], room, bytes, &lies))
		return store_cache_refer(pack, at->frame, at->plain_off, &lies, e);
	return store_cache_put(pack, at->frame, at->plain_off, room, bytes, e);
}

/* A chunk is verified: keep it, hand it over. */
static void accept(struct arrival *a, const struct store_chunk *want, const uint8_t *room)
{
	struct store_pager *p = a->t->p;
	const struct store_loc_chunk *at = &a->b->at[a->next];
	struct store_cache_pack *pack = store_pager_cache_of(p, at);
	/* no room or a bad disk: memory alone, and the next one fetches again */
	struct hr_err full = { 0 };

	if (pack && keep(a, pack, room, want->bytes, &full) < 0) {
		note_failure(p, &full);
		if (p->chunks) /* or the cache is all that is wanted, and who waits for it is told
				*/
			store_pager_no_cache(p, &full);
	}
	store_pager_land(p, a->b->chunk[a->next], room, want->bytes, NULL);
	a->next++;
}

static int fail_frame(struct arrival *a, struct hr_err *e)
{
	struct store_pager *p = a->t->p;

	hr_stats_add(&p->o.stats->damaged, 1);
	return hr_wrap(e, "'%s' has a damaged frame at %" PRIu64, a->url,
		       a->b->at[a->next].frame_off);
}

static int compare(const struct store_chunk *want, const struct fetch_digest *got, struct hr_err *e)
{
	char got_hex[FETCH_DIGEST_HEX], want_hex[FETCH_DIGEST_HEX];

	if (fetch_digest_equal(got, &want->digest))
		return 0;
	return hr_fail(e, HR_CORRUPT, 0, "digest is %s, expected %s",
		       fetch_digest_hex(got, got_hex), fetch_digest_hex(&want->digest, want_hex));
}

/*
 * The next frame, opened to ROOM. RIGHT: it is the one that the pack was written with; else it may
 * hold the same chunk all the same.
 */
static int accept_frame(struct arrival *a, uint8_t *room, bool right, struct hr_err *e)
{
	struct fetch_digest got;
	struct store_chunk want;
	int r = open_frame(a, a->next, &want, room, e);

	if (r == 0 && !right && !a->t->p->o.object) {
		fetch_digest_of(room, want.bytes, &got);
		r = compare(&want, &got, e);
	}
	if (r < 0)
		return fail_frame(a, e);
	accept(a, &want, room);
	return 0;
}

/* The next frame, which somebody waits for: straight to where it is expected. */
static int accept_wanted(struct arrival *a, struct hr_err *e)
{
	struct store_pager *p = a->t->p;
	uint32_t chunk = a->b->chunk[a->next];
	const struct fetch_digest *known = store_pager_frame_digest(p, chunk);
	struct fetch_digest got;

	if (known)
		fetch_digest_of(frame_at(a, a->next), a->b->at[a->next].frame_len, &got);
	return accept_frame(a, store_chunks_room(p->chunks, chunk),
			    known && fetch_digest_equal(&got, known), e);
}

/* What is done with chunks that nobody waits for, many at once, on one of few benches. */
struct pager_bench {
	struct pager_bench *next;
	uint8_t *room; /* PAGER_GROUP_BYTES */
};

static struct pager_bench *bench_take(struct store_pager *p)
{
	struct pager_bench *bench;

	pthread_mutex_lock(&p->lock);
	while (!p->benches)
		pthread_cond_wait(&p->bench_free, &p->lock);
	bench = p->benches;
	p->benches = bench->next;
	pthread_mutex_unlock(&p->lock);
	return bench;
}

static void bench_give(struct store_pager *p, struct pager_bench *bench)
{
	pthread_mutex_lock(&p->lock);
	bench->next = p->benches;
	p->benches = bench;
	pthread_cond_signal(&p->bench_free);
	pthread_mutex_unlock(&p->lock);
}

void store_pager_make_benches(struct store_pager *p)
{
	for (size_t i = 0; i < PAGER_BENCHES; i++) {
		struct pager_bench *bench = hr_xmalloc(sizeof(*bench));

		bench->room = malloc(PAGER_GROUP_BYTES);
		HR_BUG_ON(!bench->room);
		bench_give(p, bench);
	}
}

/* N chunks lie decompressed: compute the digests side by side; the right ones land. */
static int accept_opened(struct arrival *a, const struct store_chunk *want,
			 const uint8_t *const *room, size_t n, struct hr_err *e)
{
	bool digests = !a->t->p->o.object;
	struct fetch_digest got[PAGER_GROUP];
	size_t len[PAGER_GROUP];

	for (size_t i = 0; i < n; i++)
		len[i] = want[i].bytes;
	if (digests && n > 0)
		store_pager_digests(a->t->p,
				    &(struct pager_lanes_work) { .chunk = &a->b->chunk[a->next],
								 .p = room,
								 .bytes = len,
								 .n = n,
								 .got = got });
	for (size_t i = 0; i < n; i++) {
		if (digests && compare(&want[i], &got[i], e) < 0)
			return fail_frame(a, e);
		accept(a, &want[i], room[i]);
	}
	return 0;
}

/*
 * The next N frames, whose digests are known: what is hashed is what came, and each chunk is
 * decompressed to where it goes.
 */
static int accept_known(struct arrival *a, const struct fetch_digest *const *known, size_t n,
			struct hr_err *e)
{
	const uint8_t *frame[PAGER_GROUP];
	struct fetch_digest got[PAGER_GROUP];
	size_t len[PAGER_GROUP];

	for (size_t i = 0; i < n; i++) {
		frame[i] = frame_at(a, a->next + i);
		len[i] = a->b->at[a->next + i].frame_len;
	}
	store_pager_digests(a->t->p, &(struct pager_lanes_work) { .chunk = &a->b->chunk[a->next],
								  .p = frame,
								  .bytes = len,
								  .n = n,
								  .got = got });
	for (size_t i = 0; i < n; i++)
		if (accept_frame(a, room_for(a->t, a->b->chunk[a->next]),
				 fetch_digest_equal(&got[i], known[i]), e) < 0)
			return -1;
	return 0;
}

/* The next frames, up to END, as many as a bench has room for. */
static int accept_unknown(struct arrival *a, size_t end, struct hr_err *e)
{
	struct pager_bench *bench = bench_take(a->t->p);
	struct store_chunk want[PAGER_GROUP];
	const uint8_t *room[PAGER_GROUP];
	struct hr_err bad = { 0 };
	size_t n = 0, used = 0;
	int r;

	while (a->next + n < end && n < PAGER_GROUP &&
	       used + STORE_CHUNK_MAX <= PAGER_GROUP_BYTES) {
		room[n] = bench->room + used;
		if (open_frame(a, a->next + n, &want[n], bench->room + used, &bad) < 0)
			break;
		used += want[n++].bytes;
	}
	r = accept_opened(a, want, room, n, e);
	bench_give(a->t->p, bench);
	if (r < 0 || bad.kind == HR_OK)
		return r;
	*e = bad;
	return fail_frame(a, e);
}

/* The next frames, up to END, or some of them. */
static int accept_group(struct arrival *a, size_t end, struct hr_err *e)
{
	const struct fetch_digest *known[PAGER_GROUP];
	size_t n = 0, unknown = 0;

	while (n < PAGER_GROUP && a->next + n < end &&
	       (known[n] = store_pager_frame_digest(a->t->p, a->b->chunk[a->next + n])))
		n++;
	if (n > 0)
		return accept_known(a, known, n, e);
	while (a->next + unknown < end &&
	       !store_pager_frame_digest(a->t->p, a->b->chunk[a->next + unknown]))
		unknown++;
	return accept_unknown(a, a->next + unknown, e);
}

static bool is_wanted(struct store_pager *p, uint32_t chunk)
{
	bool wanted;

	pthread_mutex_lock(&p->lock);
	wanted = p->state[chunk] == PAGER_FLYING_WANTED;
	pthread_mutex_unlock(&p->lock);
	return wanted;
}

/*
 * Open what is there of GOT bytes of the reply. Chunks that somebody waits for do not wait for
 * others to fill a group; while more is to come, the others do.
 */
static int on_progress(void *arg, size_t got, struct hr_err *e)
{
	struct arrival *a = arg;
	const struct pager_batch *b = a->b;
	const struct store_loc_chunk *last = &b->at[b->n - 1];
	bool all = a->from + got >= last->frame_off + last->frame_len;

	if (a->begun_ms == 0)
		a->begun_ms = hr_now_ms();
	if (all && a->arrived_ms == 0)
		a->arrived_ms = hr_now_ms();
	for (;;) {
		size_t end = a->next;
		bool waited_for = false;

		while (end < b->n && b->at[end].frame_off + b->at[end].frame_len <= a->from + got &&
		       !(waited_for = is_wanted(a->t->p, b->chunk[end])))
			end++;
		if (waited_for && end == a->next) {
			if (accept_wanted(a, e) < 0)
				return -1;
			continue;
		}
		if (end == a->next || (!all && !waited_for && end - a->next < PAGER_GROUP))
			return 0;
		if (accept_group(a, end, e) < 0)
			return -1;
	}
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

void store_pager_no_cache(struct store_pager *p, const struct hr_err *why)
{
	bool told;

	pthread_mutex_lock(&p->lock);
	told = p->no_cache_told;
	p->no_cache_told = true;
	pthread_mutex_unlock(&p->lock);
	if (!told)
		tell(p,
		     "what is fetched cannot be kept in the cache of this node, only in "
		     "memory: %s",
		     why->text);
}

/* Count and, once it lasts, say that no origin answers; and that they do again. */
static void outage_begins(struct store_pager *p, const struct hr_err *e)
{
	bool first;

	pthread_mutex_lock(&p->lock);
	first = p->out_since_ms == 0;
	if (first)
		p->out_since_ms = hr_now_ms();
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
	ms = hr_now_ms() - since;
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

void store_pager_refused(struct store_pager *p, const struct hr_err *e)
{
	bool first;

	pthread_mutex_lock(&p->lock);
	first = !p->refusal_told;
	p->refusal_told = true;
	pthread_mutex_unlock(&p->lock);
	if (first)
		tell(p, "reading fails with an input/output error: %s%s%s", e->text,
		     e->hint[0] ? "; " : "", e->hint);
}

/*
 * LEN bytes came in MS, the round trip apart, beside others: how much one request should ask for
 * from now on. Few large requests where the link is fast; where it is slow, nothing that is wanted
 * waits long behind what is not.
 */
static void learn_rate(struct store_pager *p, uint64_t len, uint64_t ms)
{
	uint64_t fits;

	if (len < PAGER_BATCH_LEAST) /* too little to tell */
		return;
	fits = len * p->asking * BATCH_MS / (ms > 0 ? ms : 1);
	fits = (3 * p->batch_bytes + fits) / 4;
	if (fits < PAGER_BATCH_LEAST)
		fits = PAGER_BATCH_LEAST;
	p->batch_bytes = fits < PAGER_BATCH_BYTES ? fits : PAGER_BATCH_BYTES;
}

/*
 * Ask one origin for the chunks FIRST to the end of B, past caches on the way if FRESH; what is
 * right lands. Returns how many of them are right; less than all with *e filled.
 */
static size_t ask_origin(struct pager_thread *t, const char *origin, struct hr_stats_origin *seen,
			 const struct pager_batch *b, size_t first, bool fresh, struct hr_err *e)
{
	struct store_pager *p = t->p;
	const struct store_loc_chunk *from = &b->at[first], *last = &b->at[b->n - 1];
	size_t len = (size_t)(last->frame_off + last->frame_len - from->frame_off);
	hr_autofree char *url = store_pager_url(p, origin, from);
	struct arrival a = { .t = t, .b = b, .url = url, .next = first, .from = from->frame_off };
	struct fetch_version v = { .bytes = 0 };
	uint64_t pack_bytes = 0;
	struct fetch_web_part part = { .url = url,
				       .off = from->frame_off,
				       .len = len,
				       .buf = t->frames,
				       .progress = on_progress,
				       .arg = &a,
				       .whole = &pack_bytes,
				       .fresh = fresh };
	int r;

	if (p->o.object) {
		v = p->o.object->version;
		part.version = &v;
	}

	pthread_mutex_lock(&p->lock);
	p->asking++;
	pthread_mutex_unlock(&p->lock);
	r = fetch_web_range(p->o.client, &part, e);
	hr_stats_add(&seen->requests, 1);
	hr_stats_add(&seen->failures, r < 0);
	hr_stats_add(&seen->bytes, r < 0 ? 0 : len);
	if (r == 0)
		store_pager_table_place(p, from->pack, pack_bytes);
	pthread_mutex_lock(&p->lock);
	if (r == 0)
		learn_rate(p, len, a.arrived_ms - a.begun_ms);
	if (--p->asking == 0)
		pthread_cond_broadcast(&p->rest);
	pthread_mutex_unlock(&p->lock);
	return a.next - first;
}

/*
 * Whether to ask origin O before those that are mute: it answers, or it is time that one request
 * finds out whether it does again.
 */
static bool comes_first(struct store_pager *p, size_t o)
{
	uint64_t now = hr_now_ms();
	bool first;

	pthread_mutex_lock(&p->lock);
	first = p->mute_ms[o] == 0 || now - p->mute_ms[o] >= MUTE_LIFE_MS;
	if (first && p->mute_ms[o] != 0)
		p->mute_ms[o] = now; /* the others do not wait for it meanwhile */
	pthread_mutex_unlock(&p->lock);
	return first;
}

/* One that refuses connections, or says that it is busy, costs nothing. */
static void note_mute(struct store_pager *p, size_t o, const struct hr_err *e, uint64_t begun)
{
	bool mute = e->kind == HR_NET && hr_now_ms() - begun >= MUTE_LEAST_MS;

	pthread_mutex_lock(&p->lock);
	if (mute)
		p->mute_ms[o] = hr_now_ms();
	else if (e->kind != HR_NET)
		p->mute_ms[o] = 0;
	pthread_mutex_unlock(&p->lock);
}

/* What origins are asked for in turn; DONE chunks of B are right. */
struct quest {
	const struct pager_batch *b;
	size_t done;
	bool wrong;  /* bytes came, but wrong ones */
	bool silent; /* an origin, this time */
	struct hr_err e;
};

static void ask_one(struct pager_thread *t, size_t o, struct quest *q)
{
	struct store_pager *p = t->p;
	uint64_t begun = hr_now_ms();

	hr_err_clear(&q->e);
	q->done += ask_origin(t, p->o.origins->v[o], p->seen[o], q->b, q->done, q->wrong, &q->e);
	note_mute(p, o, &q->e, begun);
	q->wrong = q->wrong || q->e.kind == HR_CORRUPT;
	if (q->e.kind == HR_NET)
		q->silent = true;
	else
		outage_ends(p, p->o.origins->v[o]);
	if (q->e.kind != HR_OK)
		hr_debug("%s", q->e.text);
}

/* All origins in their order, those that are mute last. */
static void ask_all(struct pager_thread *t, struct quest *q)
{
	size_t n = t->p->o.origins->n;
	hr_autofree bool *later = hr_xmalloc((n + 1) * sizeof(*later));

	q->silent = false;
	for (size_t o = 0; o < n && q->done < q->b->n; o++) {
		later[o] = !comes_first(t->p, o);
		if (!later[o])
			ask_one(t, o, q);
	}
	for (size_t o = 0; o < n && q->done < q->b->n; o++)
		if (later[o])
			ask_one(t, o, q);
}

void store_pager_fetch(struct pager_thread *t, const struct pager_batch *b)
{
	struct store_pager *p = t->p;
	uint64_t begun = hr_now_ms(), pause = PAUSE_FIRST_MS;
	unsigned int refusals = 0;
	struct quest q = { .b = b };

	for (;;) {
		ask_all(t, &q);
		if (q.done == b->n)
			return;
		if (!q.silent && ++refusals == REFUSALS_MAX)
			break;
		if (hr_now_ms() - begun >= p->o.outage_s * 1000) {
			outage_given_up(p);
			break;
		}
		if (q.silent && hr_now_ms() - begun >= OUTAGE_SPEAK_MS)
			outage_begins(p, &q.e);
		store_pager_pause(pause / 2 + (uint64_t)random() % (pause / 2 + 1));
		pause = 2 * pause < PAUSE_CAP_MS ? 2 * pause : PAUSE_CAP_MS;
	}
	if (refusals == REFUSALS_MAX && p->o.copy && !p->o.object)
		store_web_forget_loc(p->o.copy, p->o.ix);
	if (refusals == REFUSALS_MAX && !p->o.upstream)
		store_pager_refused(p, &q.e);
	for (; q.done < b->n; q.done++) {
		if (p->o.upstream)
			store_upstream_ask(p->o.upstream, b->chunk[q.done], &q.e);
		else
			store_pager_land(p, b->chunk[q.done], NULL, 0, &q.e);
	}
}
