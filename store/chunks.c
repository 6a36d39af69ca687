/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/chunks.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

/* Two sizes of buffers: gathered small files stay below the first mostly, cut files need the
 * second. */
#define SMALL_BYTES (512u << 10)
#define LARGE_BYTES STORE_CHUNK_MAX

#define LOG_EVERY_S 1

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* glibc before 2.35 */
#endif

struct store_chunk_slot {
	struct store_chunk_slot *prev, *next; /* in a list while it is not held */
	struct store_chunk_wait *waiting;     /* while it is being loaded */
	uint8_t *p;
	uint32_t cap;	/* of the buffer: SMALL_BYTES or LARGE_BYTES */
	uint32_t chunk; /* what is in it */
	uint32_t bytes;
	uint32_t held;
	uint64_t used; /* bytes that readers were given */
	bool loading;
	bool fresh;		 /* the buffer has no pages yet */
	enum hr_stats_from from; /* of the load */
};

/* What a thread needs to load a chunk. */
struct worker {
	struct worker *next;
	ZSTD_DCtx *zstd;
	uint8_t *frame; /* room for STORE_FRAME_CAP bytes */
	size_t frame_len;
};

/* Doubly linked through a head; the front is the most recent. */
struct list {
	struct store_chunk_slot head;
};

struct store_chunks {
	const struct store_index *ix;
	struct store_chunk_source source;
	uint64_t budget;
	store_chunk_sha256 *sha256; /* or NULL */

	pthread_mutex_t lock; /* never held over I/O or decompression */
	struct store_chunk_slot **by_chunk;
	uint64_t bytes;	    /* of all buffers */
	struct list spent;  /* read in full: the front is used again first */
	struct list recent; /* the rest: the back is used again */
	struct worker *idle;

	struct hr_stats *stats; /* or NULL */
	void (*tell)(void *arg, const char *text);
	void *tell_arg;
	struct hr_stats_origin *origin; /* or NULL */

	time_t last_log; /* seconds, monotonic */
	unsigned int unlogged;
};

static void list_init(struct list *l)
{
	l->head.next = l->head.prev = &l->head;
}

static void list_push(struct list *l, struct store_chunk_slot *s)
{
	s->prev = &l->head;
	s->next = l->head.next;
	s->next->prev = s;
	l->head.next = s;
}

static void list_remove(struct store_chunk_slot *s)
{
	s->prev->next = s->next;
	s->next->prev = s->prev;
	s->prev = s->next = NULL;
}

struct store_chunks *store_chunks_new(const struct store_index *ix,
				      const struct store_chunk_source *source, uint64_t budget,
				      store_chunk_sha256 *sha256)
{
	struct store_chunks *c = hr_xmalloc(sizeof(*c));

	c->ix = ix;
	c->source = *source;
	c->budget = budget;
	c->sha256 = sha256;
	c->last_log = -LOG_EVERY_S;
	pthread_mutex_init(&c->lock, NULL);
	c->by_chunk = hr_xmalloc(((size_t)store_index_chunks(ix) + 1) * sizeof(*c->by_chunk));
	list_init(&c->spent);
	list_init(&c->recent);
	return c;
}

/* ---- buffers; all with the lock held ---- */

static void slot_free(struct store_chunks *c, struct store_chunk_slot *s)
{
	c->bytes -= s->cap;
	munmap(s->p, s->cap);
	free(s);
}

/* Take a slot out of its list and forget what is in it. */
static void slot_forget(struct store_chunks *c, struct store_chunk_slot *s)
{
	list_remove(s);
	c->by_chunk[s->chunk] = NULL;
}

static struct store_chunk_slot *slot_new(struct store_chunks *c, uint32_t cap)
{
	struct store_chunk_slot *s = calloc(1, sizeof(*s));
	void *p = s ? mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
		    : MAP_FAILED;

	if (p == MAP_FAILED) {
		free(s);
		return NULL;
	}
	s->p = p;
	s->cap = cap;
	s->fresh = true;
	c->bytes += cap;
	return s;
}

/* The most recently spent slot of this size, or NULL. */
static struct store_chunk_slot *take_spent(struct store_chunks *c, uint32_t cap)
{
	for (struct store_chunk_slot *s = c->spent.head.next; s != &c->spent.head; s = s->next) {
		if (s->cap == cap) {
			slot_forget(c, s);
			return s;
		}
	}
	return NULL;
}

/* The slot that is missed least, of any size, or NULL when all are held. */
static struct store_chunk_slot *take_oldest(struct store_chunks *c)
{
	struct store_chunk_slot *s = c->spent.head.prev;

	if (s == &c->spent.head)
		s = c->recent.head.prev;
	if (s == &c->recent.head)
		return NULL;
	slot_forget(c, s);
	return s;
}

static struct store_chunk_slot *slot_get(struct store_chunks *c, uint32_t bytes)
{
	uint32_t cap = bytes <= SMALL_BYTES ? SMALL_BYTES : LARGE_BYTES;
	struct store_chunk_slot *s = take_spent(c, cap);

	while (!s && c->bytes + cap > c->budget) {
		s = take_oldest(c);
		if (!s)
			break;
		if (s->cap != cap) {
			slot_free(c, s);
			s = NULL;
		}
	}
	return s ? s : slot_new(c, cap);
}

static void worker_free(struct worker *w)
{
	if (!w)
		return;
	free(w->frame);
	ZSTD_freeDCtx(w->zstd);
	free(w);
}

static struct worker *worker_get(struct store_chunks *c)
{
	struct worker *w = c->idle;

	if (w) {
		c->idle = w->next;
		return w;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->zstd = ZSTD_createDCtx();
	w->frame = malloc(STORE_FRAME_CAP);
	if (w->zstd && w->frame)
		return w;
	worker_free(w);
	return NULL;
}

static void free_list(struct store_chunks *c, struct list *l)
{
	while (l->head.next != &l->head) {
		struct store_chunk_slot *s = l->head.next;

		slot_forget(c, s);
		slot_free(c, s);
	}
}

void store_chunks_free(struct store_chunks *c)
{
	if (!c)
		return;
	free_list(c, &c->spent);
	free_list(c, &c->recent);
	while (c->idle) {
		struct worker *w = c->idle;

		c->idle = w->next;
		worker_free(w);
	}
	pthread_mutex_destroy(&c->lock);
	free(c->by_chunk);
	free(c);
}

void store_chunks_freep(struct store_chunks **c)
{
	store_chunks_free(*c);
}

void store_chunks_count(struct store_chunks *c, struct hr_stats *stats,
			struct hr_stats_origin *origin)
{
	c->stats = stats;
	c->origin = origin;
}

void store_chunks_tell(struct store_chunks *c, void (*tell)(void *arg, const char *text), void *arg)
{
	c->tell = tell;
	c->tell_arg = arg;
}

/* ---- loading; without the lock ---- */

static void count_damage(struct store_chunks *c)
{
	if (c->stats)
		hr_stats_add(&c->stats->damaged, 1);
}

/* All pages at once: to fault them in one by one costs more than to fill them. EINVAL: Linux before
 * 5.14, they come one by one. */
static void populate(struct store_chunk_slot *s)
{
	if (s->fresh)
		(void)madvise(s->p, s->bytes, MADV_POPULATE_WRITE);
	s->fresh = false;
}

/* Whether the source had the chunk itself at hand, undamaged. */
static bool load_plain(struct store_chunks *c, const struct store_chunk *want,
		       struct store_chunk_slot *s)
{
	struct store_chunk now = *want;

	populate(s);
	if (!c->source.plain || !c->source.plain(c->source.arg, s->chunk, s->p, want->bytes))
		return false;
	/* another process may have learnt it since, and kept the chunk */
	if (now.crc == 0 && !store_index_chunk(c->ix, s->chunk, &now))
		return false;
	if (store_crc64(s->p, want->bytes) == now.crc) {
		s->from = HR_FROM_CACHE;
		return true;
	}
	c->source.damaged(c->source.arg, s->chunk);
	count_damage(c);
	return false;
}

int store_chunk_open(const struct store_chunk_source *from, uint32_t chunk, ZSTD_DCtx *zstd,
		     const uint8_t *frame, size_t len, const struct store_chunk *want, uint8_t *out,
		     struct hr_err *e)
{
	if (from->open(from->arg, zstd, frame, len, want, out, e) < 0)
		return -1;
	if (want->crc != 0)
		return store_frame_verify(want, out, NULL, e);
	from->learn(from->arg, chunk, store_crc64(out, want->bytes));
	return 0;
}

/* From the bytes of the frame to a chunk that is right, as far as that is known. */
static int open_frame(struct store_chunks *c, struct worker *w, const struct store_chunk *want,
		      struct store_chunk_slot *s, struct hr_err *e)
{
	if (c->source.open)
		return store_chunk_open(&c->source, s->chunk, w->zstd, w->frame, w->frame_len, want,
					s->p, e);
	if (store_frame_open(w->zstd, w->frame, w->frame_len, want, s->p, e) < 0)
		return -1;
	return store_frame_verify(want, s->p, c->sha256, e);
}

static int read_frame(struct store_chunks *c, struct worker *w, uint32_t chunk, struct hr_err *e)
{
	int r = c->source.frame(c->source.arg, chunk, w->frame, STORE_FRAME_CAP, &w->frame_len, e);

	if (!c->origin)
		return r;
	hr_stats_add(&c->origin->requests, 1);
	hr_stats_add(&c->origin->failures, r < 0);
	hr_stats_add(&c->origin->bytes, r < 0 ? 0 : w->frame_len);
	return r;
}

static int load(struct store_chunks *c, struct worker *w, const struct store_chunk *want,
		struct store_chunk_slot *s, struct hr_err *e)
{
	if (load_plain(c, want, s))
		return 0;
	s->from = HR_FROM_STORE;
	if (read_frame(c, w, s->chunk, e) < 0)
		return -1;
	if (open_frame(c, w, want, s, e) < 0) {
		count_damage(c);
		return -1;
	}
	if (c->source.keep)
		c->source.keep(c->source.arg, s->chunk, s->p, want->bytes);
	return 0;
}

/* One line a second: a damaged pack under many ranks must not fill the log. */
static void report(struct store_chunks *c, uint32_t chunk, const struct hr_err *e)
{
	hr_autobuf struct hr_buf where = { 0 }, text = { 0 };
	unsigned int unlogged;
	struct timespec now;
	bool speak;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&c->lock);
	speak = now.tv_sec - c->last_log >= LOG_EVERY_S;
	unlogged = c->unlogged;
	c->unlogged = speak ? 0 : unlogged + 1;
	if (speak)
		c->last_log = now.tv_sec;
	pthread_mutex_unlock(&c->lock);
	if (!speak)
		return;
	c->source.where(c->source.arg, chunk, &where);
	hr_buf_printf(&text, "cannot read chunk %" PRIu32 " (%s): %s; reads of it fail with EIO%s",
		      chunk, (const char *)where.p, e->text,
		      unlogged ? " (and more failures)" : "");
	hr_warn("%s", (const char *)text.p);
	if (c->tell)
		c->tell(c->tell_arg, (const char *)text.p);
}

/* ---- the cache ---- */

static void hold(struct store_chunk_slot *s, struct store_chunk_ref *ref)
{
	/* what was read ahead, and is read for the first time, is no merit of the memory */
	enum hr_stats_from from = s->used >= s->bytes ? HR_FROM_MEMORY : s->from;

	if (s->held++ == 0 && s->prev)
		list_remove(s);
	*ref = (struct store_chunk_ref) { s->p, s->bytes, from, false, s };
}

/* With the lock held. */
static void let_go(struct store_chunks *c, struct store_chunk_slot *s, uint32_t used)
{
	s->used += used;
	if (--s->held > 0)
		return;
	if (c->bytes > c->budget) { /* more was held than may be kept */
		c->by_chunk[s->chunk] = NULL;
		slot_free(c, s);
		return;
	}
	list_push(s->used >= s->bytes ? &c->spent : &c->recent, s);
}

static void never(struct store_chunk_wait *wait, const struct store_chunk_ref *ref)
{
	(void)wait;
	(void)ref;
	HR_BUG_ON(true);
}

bool store_chunks_get_alone(struct store_chunks *c, uint32_t chunk, struct store_chunk_ref *ref)
{
	struct store_chunk_wait wait = { .done = never };

	return store_chunks_get(c, chunk, &wait, ref) == STORE_CHUNK_READY;
}

void store_chunks_put(struct store_chunks *c, const struct store_chunk_ref *ref, uint32_t used)
{
	pthread_mutex_lock(&c->lock);
	let_go(c, ref->slot, used);
	pthread_mutex_unlock(&c->lock);
}

/* With the lock held: let W wait for the slot. */
static void park(struct store_chunk_slot *s, uint32_t chunk, struct store_chunk_wait *w)
{
	w->chunk = chunk;
	w->parked = true;
	w->next = s->waiting;
	s->waiting = w;
}

/* With the lock held: a slot that is being loaded by this thread, or NULL out of memory. */
static struct store_chunk_slot *claim(struct store_chunks *c, uint32_t chunk, uint32_t bytes)
{
	struct store_chunk_slot *s = slot_get(c, bytes);

	if (!s)
		return NULL;
	s->chunk = chunk;
	s->bytes = bytes;
	s->used = 0;
	s->held = 1;
	s->loading = true;
	s->waiting = NULL;
	c->by_chunk[chunk] = s;
	return s;
}

/*
 * End a load: hold the slot once for each who waits and tell them, oldest first. The loader's own
 * hold stays when it succeeded; else the slot is gone. W, what the loader used, may be NULL.
 */
static void finish(struct store_chunks *c, struct store_chunk_slot *s, struct worker *w, bool ok)
{
	struct store_chunk_ref ref = { s->p, s->bytes, s->from, true, s };
	struct store_chunk_wait *waiting, *oldest = NULL;

	pthread_mutex_lock(&c->lock);
	if (w) {
		w->next = c->idle;
		c->idle = w;
	}
	waiting = s->waiting;
	s->waiting = NULL;
	s->loading = false;
	for (struct store_chunk_wait *next; waiting; waiting = next) {
		next = waiting->next;
		waiting->parked = false;
		waiting->next = oldest;
		oldest = waiting;
		s->held += ok;
	}
	if (!ok) {
		c->by_chunk[s->chunk] = NULL;
		slot_free(c, s);
	}
	pthread_mutex_unlock(&c->lock);
	while (oldest) {
		struct store_chunk_wait *next = oldest->next; /* done() frees it */

		oldest->done(oldest, ok ? &ref : NULL);
		oldest = next;
	}
}

/* Have the source look elsewhere for a chunk that it could not give; W, unless it is NULL, waits.
 */
static enum store_chunk_got start_after(struct store_chunks *c, struct store_chunk_slot *s,
					struct worker *worker, struct store_chunk_wait *w,
					const struct hr_err *why)
{
	uint32_t chunk = s->chunk;

	pthread_mutex_lock(&c->lock);
	worker->next = c->idle;
	c->idle = worker;
	if (w)
		park(s, chunk, w);
	pthread_mutex_unlock(&c->lock);
	c->source.start(c->source.arg, chunk, why);
	return STORE_CHUNK_PARKED;
}

/* Load a chunk that nobody has; the lock is held on entry and released. */
static enum store_chunk_got load_locked(struct store_chunks *c, uint32_t chunk,
					struct store_chunk_wait *wait, struct store_chunk_ref *ref)
{
	struct store_chunk_slot *s = NULL;
	struct store_chunk want;
	struct worker *w = worker_get(c);
	struct hr_err e = { 0 };
	bool ok;

	if (!store_index_chunk(c->ix, chunk, &want))
		(void)hr_fail(&e, HR_CORRUPT, 0, "the image index is damaged");
	else if (!w || !(s = claim(c, chunk, want.bytes)))
		(void)hr_fail(&e, HR_SYS, ENOMEM, "no memory for a chunk");
	if (!s && w) {
		w->next = c->idle;
		c->idle = w;
	}
	pthread_mutex_unlock(&c->lock);
	ok = s && load(c, w, &want, s, &e) == 0;
	if (s && !ok && c->source.start)
		return start_after(c, s, w, wait, &e);
	if (!ok)
		report(c, chunk, &e);
	if (!s)
		return STORE_CHUNK_FAILED;
	if (ok)
		*ref = (struct store_chunk_ref) { s->p, s->bytes, s->from, true, s };
	finish(c, s, w, ok);
	return ok ? STORE_CHUNK_READY : STORE_CHUNK_FAILED;
}

/*
 * The same from a source that answers later: whatever is not at hand is started, and W, unless it
 * is NULL, parked.
 */
static enum store_chunk_got start_locked(struct store_chunks *c, uint32_t chunk,
					 struct store_chunk_wait *w, struct store_chunk_ref *ref)
{
	struct store_chunk_slot *s = NULL;
	struct store_chunk want;

	if (store_index_chunk(c->ix, chunk, &want))
		s = claim(c, chunk, want.bytes);
	pthread_mutex_unlock(&c->lock);
	if (!s)
		return STORE_CHUNK_FAILED;
	if (load_plain(c, &want, s)) {
		*ref = (struct store_chunk_ref) { s->p, s->bytes, s->from, true, s };
		finish(c, s, NULL, true);
		return STORE_CHUNK_READY;
	}
	s->from = HR_FROM_STORE;
	if (w) {
		pthread_mutex_lock(&c->lock);
		park(s, chunk, w);
		pthread_mutex_unlock(&c->lock);
	}
	c->source.start(c->source.arg, chunk, NULL);
	return STORE_CHUNK_PARKED;
}

uint8_t *store_chunks_room(struct store_chunks *c, uint32_t chunk)
{
	uint8_t *p;

	pthread_mutex_lock(&c->lock);
	p = c->by_chunk[chunk]->p;
	pthread_mutex_unlock(&c->lock);
	return p;
}

void store_chunks_delivered(struct store_chunks *c, uint32_t chunk, const struct hr_err *e)
{
	struct store_chunk_slot *s;

	pthread_mutex_lock(&c->lock);
	s = c->by_chunk[chunk];
	pthread_mutex_unlock(&c->lock);
	if (e)
		report(c, chunk, e);
	finish(c, s, NULL, !e);
	if (e)
		return;
	pthread_mutex_lock(&c->lock);
	let_go(c, s, 0);
	pthread_mutex_unlock(&c->lock);
}

enum store_chunk_got store_chunks_get(struct store_chunks *c, uint32_t chunk,
				      struct store_chunk_wait *w, struct store_chunk_ref *ref)
{
	struct store_chunk_slot *s;

	if (chunk >= store_index_chunks(c->ix))
		return STORE_CHUNK_FAILED;
	pthread_mutex_lock(&c->lock);
	s = c->by_chunk[chunk];
	if (!s)
		return c->source.frame ? load_locked(c, chunk, w, ref)
				       : start_locked(c, chunk, w, ref);
	if (s->loading) {
		park(s, chunk, w);
		pthread_mutex_unlock(&c->lock);
		return STORE_CHUNK_PARKED;
	}
	hold(s, ref);
	pthread_mutex_unlock(&c->lock);
	return STORE_CHUNK_READY;
}

bool store_chunks_cancel(struct store_chunks *c, struct store_chunk_wait *w)
{
	bool was;

	pthread_mutex_lock(&c->lock);
	was = w->parked;
	if (was) {
		struct store_chunk_wait **p = &c->by_chunk[w->chunk]->waiting;

		while (*p != w)
			p = &(*p)->next;
		*p = w->next;
		w->parked = false;
	}
	pthread_mutex_unlock(&c->lock);
	return was;
}

void store_chunks_ahead(struct store_chunks *c, uint32_t chunk)
{
	struct store_chunk_ref ref;

	if (chunk >= store_index_chunks(c->ix))
		return;
	pthread_mutex_lock(&c->lock);
	if (c->by_chunk[chunk]) {
		pthread_mutex_unlock(&c->lock);
		return;
	}
	if ((c->source.frame ? load_locked(c, chunk, NULL, &ref)
			     : start_locked(c, chunk, NULL, &ref)) == STORE_CHUNK_READY)
		store_chunks_put(c, &ref, 0);
}

bool store_chunks_answer_later(const struct store_chunks *c)
{
	return c->source.start;
}

uint64_t store_chunks_bytes(struct store_chunks *c)
{
	uint64_t n;

	pthread_mutex_lock(&c->lock);
	n = c->bytes;
	pthread_mutex_unlock(&c->lock);
	return n;
}
