/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "store/import_chunks.h"
#include "store/pack.h"
#include "store/sha256mb.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define LANES_MAX   16
#define WORKERS_MAX 64

/* A chunk on its way; it owns its room until it is compressed. */
struct job {
	struct job *next;
	struct store_import_layer_work *layer;
	uint8_t *room;
	uint32_t ticket;
	uint64_t order; /* of the layer's chunks */
	struct store_chunk chunk;
	uint32_t id;		       /* among all chunks */
	bool fresh;		       /* it has to be stored */
	void *compressed;	       /* owned */
	struct store_pack_frame frame; /* the same */
};

struct queue {
	struct job *first, **end;
	size_t n;
};

struct store_import_work {
	struct store_import_work_options o;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;  /* for workers */
	pthread_cond_t freed; /* room, a finished layer, a published pack, a failure */
	struct queue to_hash, to_pack, to_seal; /* chunks, new ones, their frames */
	uint8_t **rooms;			/* free ones */
	size_t n_rooms, cap_rooms;
	unsigned int hungry; /* threads that wait for room or for their layer: batches go early */
	bool done;
	struct hr_err failure; /* the first of a worker */
	struct store_import_chunks *chunks;
	pthread_t threads[WORKERS_MAX];
	unsigned int n_threads;
	size_t lanes;
};

struct store_import_layer_work {
	struct store_import_work *w;
	uint64_t submitted; /* under w->lock, as what follows */
	uint64_t held;	    /* of them, in a queue or with a worker */
	uint32_t *chunk_of; /* by ticket */
	uint32_t n_tickets, cap_tickets;
	struct store_import_layer_sums *sums;
	_Atomic bool broken; /* chunks were lost: nothing is appended any more */

	pthread_mutex_t append; /* of what follows; taken without w->lock */
	struct job *waiting;	/* finished before their turn, by order */
	uint64_t next;		/* order of the next to append */
	struct layer_pack {
		struct store_pack_writer *writer;
		uint32_t id; /* in w->chunks */
		struct store_loc_pack name;
	} * packs;
	size_t n_packs;
};

/* ---- queues, under w->lock ---- */

static void push(struct queue *q, struct job *j)
{
	if (!q->end)
		q->end = &q->first;
	j->next = NULL;
	*q->end = j;
	q->end = &j->next;
	q->n++;
}

static struct job *pop(struct queue *q)
{
	struct job *j = q->first;

	q->first = j->next;
	if (!q->first)
		q->end = &q->first;
	q->n--;
	return j;
}

static void put_room(struct store_import_work *w, uint8_t *room)
{
	HR_BUG_ON(w->n_rooms == w->cap_rooms);
	w->rooms[w->n_rooms++] = room;
	pthread_cond_broadcast(&w->freed);
}

static void fail_all(struct store_import_work *w, const struct hr_err *e)
{
	pthread_mutex_lock(&w->lock);
	if (w->failure.kind == HR_OK)
		w->failure = *e;
	pthread_cond_broadcast(&w->freed);
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
}

/* Why nobody should go on; 0 when everybody should. */
static int check_stop(struct store_import_work *w, struct hr_err *e)
{
	if (w->failure.kind != HR_OK) {
		*e = w->failure;
		return -1;
	}
	return *w->o.stop ? hr_fail(e, HR_SYS, EINTR, "stopped") : 0;
}

/* Wait for w->freed; now and then look whether to stop, for a signal wakes nobody. */
static void wait_freed(struct store_import_work *w)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 200000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	w->hungry++;
	pthread_cond_broadcast(&w->work);
	pthread_cond_timedwait(&w->freed, &w->lock, &until);
	w->hungry--;
}

/* ---- the end of a chunk: appended in order ---- */

static int new_pack(struct store_import_layer_work *l, struct hr_err *e)
{
	struct store_pack_writer *p;

	if (store_pack_new(l->w->o.st, &p, e) < 0)
		return -1;
	l->packs = hr_xrealloc(l->packs, (l->n_packs + 1) * sizeof(*l->packs));
	l->packs[l->n_packs].writer = p;
	pthread_mutex_lock(&l->w->lock);
	l->packs[l->n_packs++].id = store_import_chunks_add_pack(l->w->chunks);
	pthread_mutex_unlock(&l->w->lock);
	return 0;
}

static int append(struct store_import_layer_work *l, struct job *j, struct hr_err *e)
{
	struct store_loc_chunk where;
	struct layer_pack *p;

	if (!j->fresh)
		return 0;
	if ((l->n_packs == 0 || store_pack_is_full(l->packs[l->n_packs - 1].writer)) &&
	    new_pack(l, e) < 0)
		return -1;
	p = &l->packs[l->n_packs - 1];
	if (store_pack_add(p->writer, &j->chunk, &j->frame, &where, e) < 0)
		return -1;
	where.pack = p->id;
	pthread_mutex_lock(&l->w->lock);
	store_import_chunks_place(l->w->chunks, j->id, &where);
	pthread_mutex_unlock(&l->w->lock);
	return 0;
}

/* J leaves the hands of the workers: append it and those that waited for it, if it is its turn. */
static int finish_job(struct job *j, struct hr_err *e)
{
	struct store_import_layer_work *l = j->layer;
	struct job **at = &l->waiting;
	int r = 0;

	pthread_mutex_lock(&l->append);
	while (*at && (*at)->order < j->order)
		at = &(*at)->next;
	j->next = *at;
	*at = j;
	while (!l->broken && (j = l->waiting) && j->order == l->next) {
		r = append(l, j, e);
		if (r < 0) {
			l->broken = true;
			break;
		}
		l->waiting = j->next;
		l->next++;
		free(j->compressed);
		free(j);
	}
	pthread_mutex_unlock(&l->append);
	pthread_mutex_lock(&l->w->lock);
	if (--l->held == 0)
		pthread_cond_broadcast(&l->w->freed);
	pthread_mutex_unlock(&l->w->lock);
	return r;
}

/* ---- workers ---- */

/* The jobs of a batch that are not NULL leave the workers' hands; the first failure is told. */
static int finish_jobs(struct job **jobs, size_t n, struct hr_err *e)
{
	struct hr_err more = { 0 };
	int r = 0;

	for (size_t i = 0; i < n; i++)
		if (jobs[i] && finish_job(jobs[i], r < 0 ? &more : e) < 0)
			r = -1;
	return r;
}

/* Hash a batch, find out which chunks are new; the others are finished. */
static int hash_batch(struct store_import_work *w, struct job **jobs, size_t n, struct hr_err *e)
{
	const uint8_t *p[LANES_MAX] = { NULL };
	size_t len[LANES_MAX] = { 0 };
	struct fetch_digest digests[LANES_MAX];
	struct store_loc_chunk where[LANES_MAX];
	struct store_loc_pack in[LANES_MAX];
	bool known[LANES_MAX] = { false };

	for (size_t i = 0; i < n; i++) {
		p[i] = jobs[i]->room;
		len[i] = jobs[i]->chunk.bytes;
		jobs[i]->chunk.crc = store_crc64(p[i], len[i]);
	}
	store_sha256_many(p, len, n, digests);
	for (size_t i = 0; i < n; i++)
		known[i] = w->o.dict && store_dict_find(w->o.dict, &digests[i], &in[i], &where[i]);
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < n; i++) {
		struct job *j = jobs[i];

		j->chunk.digest = digests[i];
		j->id = store_import_chunks_add(w->chunks, &j->chunk, known[i] ? &where[i] : NULL,
						&in[i], &j->fresh);
		j->layer->chunk_of[j->ticket] = j->id;
		if (j->fresh) {
			j->layer->sums->stored += j->chunk.bytes;
			push(&w->to_pack, j);
			jobs[i] = NULL;
		} else {
			j->layer->sums->known += j->chunk.bytes;
			put_room(w, j->room);
			j->room = NULL;
		}
	}
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
	return finish_jobs(jobs, n, e);
}

/* Hash a batch of frames: their packs keep the digests. */
static int seal_batch(struct job **jobs, size_t n, struct hr_err *e)
{
	const uint8_t *p[LANES_MAX] = { NULL };
	size_t len[LANES_MAX] = { 0 };
	struct fetch_digest digests[LANES_MAX];

	for (size_t i = 0; i < n; i++) {
		p[i] = jobs[i]->frame.p;
		len[i] = jobs[i]->frame.len;
	}
	store_sha256_many(p, len, n, digests);
	for (size_t i = 0; i < n; i++)
		jobs[i]->frame.digest = digests[i];
	return finish_jobs(jobs, n, e);
}

static int compress_job(struct store_import_work *w, ZSTD_CCtx *z, void *scratch, struct job *j,
			struct hr_err *e)
{
	size_t n = ZSTD_compressCCtx(z, scratch, ZSTD_compressBound(STORE_CHUNK_MAX), j->room,
				     j->chunk.bytes, w->o.level);

	int r = 0;

	if (ZSTD_isError(n)) {
		r = hr_fail(e, HR_SYS, 0, "cannot compress a chunk: %s", ZSTD_getErrorName(n));
		j->layer->broken = true;
	} else {
		j->compressed = hr_xmalloc(n);
		memcpy(j->compressed, scratch, n);
		j->frame = (struct store_pack_frame) { .p = j->compressed, .len = (uint32_t)n };
		j->layer->sums->packed += n;
	}
	pthread_mutex_lock(&w->lock);
	put_room(w, j->room);
	j->room = NULL;
	if (r == 0)
		push(&w->to_seal, j);
	pthread_mutex_unlock(&w->lock);
	if (r < 0) {
		struct hr_err more = { 0 };

		(void)finish_job(j, &more); /* nothing is appended to a broken layer */
	}
	return r;
}

/*
 * What to do next, under w->lock, or NULL: compressing gives rooms back, sealing the memory of
 * frames. Hashing waits until all lanes of the CPU can be filled, unless somebody waits for us.
 */
static struct queue *next_queue(struct store_import_work *w)
{
	if (w->to_seal.n >= w->lanes)
		return &w->to_seal;
	if (w->to_pack.n > 0)
		return &w->to_pack;
	if (w->to_hash.n >= w->lanes || (w->hungry > 0 && w->to_hash.n > 0))
		return &w->to_hash;
	return w->hungry > 0 && w->to_seal.n > 0 ? &w->to_seal : NULL;
}

static void *worker_main(void *arg)
{
	struct store_import_work *w = arg;
	struct job *jobs[LANES_MAX];
	ZSTD_CCtx *z = ZSTD_createCCtx();
	hr_autofree void *scratch = hr_xmalloc(ZSTD_compressBound(STORE_CHUNK_MAX));

	HR_BUG_ON(!z);
	pthread_mutex_lock(&w->lock);
	while (!w->done) {
		struct hr_err e = { 0 };
		struct queue *q = next_queue(w);
		size_t n = 0;
		int r;

		if (!q) {
			pthread_cond_wait(&w->work, &w->lock);
			continue;
		}
		while (n < (q == &w->to_pack ? 1 : w->lanes) && q->n > 0)
			jobs[n++] = pop(q);
		pthread_mutex_unlock(&w->lock);
		if (q == &w->to_pack)
			r = compress_job(w, z, scratch, jobs[0], &e);
		else
			r = q == &w->to_hash ? hash_batch(w, jobs, n, &e) : seal_batch(jobs, n, &e);
		if (r < 0)
			fail_all(w, &e);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	ZSTD_freeCCtx(z);
	return NULL;
}

static int start_workers(struct store_import_work *w, struct hr_err *e)
{
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the main thread */
	while (r == 0 && w->n_threads < w->o.workers && w->n_threads < WORKERS_MAX) {
		r = pthread_create(&w->threads[w->n_threads], NULL, worker_main, w);
		w->n_threads += r == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (w->n_threads == 0)
		return hr_fail(e, HR_SYS, r, "cannot start a thread");
	return 0;
}

int store_import_work_new(const struct store_import_work_options *o, struct store_import_work **out,
			  struct hr_err *e)
{
	struct store_import_work *w = hr_xmalloc(sizeof(*w));

	w->o = *o;
	w->lanes = store_sha256_lanes() < LANES_MAX ? store_sha256_lanes() : LANES_MAX;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->freed, NULL);
	w->chunks = store_import_chunks_new();
	/* each layer keeps up to three while it cuts; one batch waits, the workers have the rest */
	w->cap_rooms = 3 * (size_t)o->layers + w->lanes + 8 + 2 * (size_t)o->workers;
	w->rooms = hr_xmalloc(w->cap_rooms * sizeof(*w->rooms));
	for (; w->n_rooms < w->cap_rooms; w->n_rooms++) {
		w->rooms[w->n_rooms] = malloc(STORE_CHUNK_MAX);
		HR_BUG_ON(!w->rooms[w->n_rooms]);
	}
	if (start_workers(w, e) < 0) {
		store_import_work_free(w);
		return -1;
	}
	*out = w;
	return 0;
}

static void free_jobs(struct job *j)
{
	while (j) {
		struct job *next = j->next;

		free(j->room);
		free(j->compressed);
		free(j);
		j = next;
	}
}

void store_import_work_free(struct store_import_work *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
	for (unsigned int i = 0; i < w->n_threads; i++)
		pthread_join(w->threads[i], NULL);
	free_jobs(w->to_hash.first);
	free_jobs(w->to_pack.first);
	free_jobs(w->to_seal.first);
	for (size_t i = 0; i < w->n_rooms; i++)
		free(w->rooms[i]);
	free(w->rooms);
	store_import_chunks_free(w->chunks);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->freed);
	free(w);
}

/* ---- layers ---- */

struct store_import_layer_work *store_import_layer_work_new(struct store_import_work *w,
							    struct store_import_layer_sums *sums)
{
	struct store_import_layer_work *l = hr_xmalloc(sizeof(*l));

	l->w = w;
	l->sums = sums;
	pthread_mutex_init(&l->append, NULL);
	return l;
}

/* Take the jobs of a layer that failed out of a queue. */
static void forget_jobs(struct queue *q, struct store_import_layer_work *l)
{
	struct job **at = &q->first;

	while (*at) {
		struct job *j = *at;

		if (j->layer != l) {
			at = &j->next;
			continue;
		}
		*at = j->next;
		q->n--;
		l->held--;
		j->next = NULL;
		if (j->room)
			put_room(l->w, j->room);
		j->room = NULL;
		free_jobs(j);
	}
	q->end = at;
}

void store_import_layer_work_free(struct store_import_layer_work *l)
{
	if (!l)
		return;
	l->broken = true;
	pthread_mutex_lock(&l->w->lock);
	forget_jobs(&l->w->to_hash, l);
	forget_jobs(&l->w->to_pack, l);
	forget_jobs(&l->w->to_seal, l);
	while (l->held > 0) {
		wait_freed(l->w);
		forget_jobs(&l->w->to_pack, l);
		forget_jobs(&l->w->to_seal, l);
	}
	pthread_mutex_unlock(&l->w->lock);
	free_jobs(l->waiting);
	for (size_t i = 0; i < l->n_packs; i++)
		store_pack_free(l->packs[i].writer);
	free(l->packs);
	free(l->chunk_of);
	pthread_mutex_destroy(&l->append);
	free(l);
}

/* ---- called by the cutter ---- */

uint8_t *store_import_work_room(struct store_import_layer_work *l, struct hr_err *e)
{
	struct store_import_work *w = l->w;
	uint8_t *room = NULL;

	pthread_mutex_lock(&w->lock);
	while (check_stop(w, e) == 0 && !room) {
		if (w->n_rooms > 0)
			room = w->rooms[--w->n_rooms];
		else
			wait_freed(w);
	}
	pthread_mutex_unlock(&w->lock);
	return room;
}

void store_import_work_drop(struct store_import_layer_work *l, uint8_t *room)
{
	pthread_mutex_lock(&l->w->lock);
	put_room(l->w, room);
	pthread_mutex_unlock(&l->w->lock);
}

int store_import_work_chunk(struct store_import_layer_work *l, uint32_t ticket, uint8_t *room,
			    uint32_t n, struct hr_err *e)
{
	struct store_import_work *w = l->w;
	struct job *j = hr_xmalloc(sizeof(*j));
	int r;

	j->layer = l;
	j->room = room;
	j->ticket = ticket;
	j->chunk.bytes = n;
	pthread_mutex_lock(&w->lock);
	if (ticket >= l->cap_tickets) {
		l->cap_tickets =
			ticket + 1 > 2 * l->cap_tickets ? ticket + 256 : 2 * l->cap_tickets;
		l->chunk_of =
			hr_xrealloc(l->chunk_of, (size_t)l->cap_tickets * sizeof(*l->chunk_of));
	}
	if (ticket >= l->n_tickets)
		l->n_tickets = ticket + 1;
	j->order = l->submitted++;
	l->held++;
	push(&w->to_hash, j);
	if (w->to_hash.n >= w->lanes || w->hungry > 0)
		pthread_cond_signal(&w->work);
	r = check_stop(w, e);
	pthread_mutex_unlock(&w->lock);
	return r;
}

/* ---- the end of a layer ---- */

int store_import_layer_work_wait(struct store_import_layer_work *l, struct hr_err *e)
{
	struct store_import_work *w = l->w;
	int r;

	pthread_mutex_lock(&w->lock);
	while ((r = check_stop(w, e)) == 0 && l->held > 0)
		wait_freed(w);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; r == 0 && i < l->n_packs; i++)
		r = store_pack_finish(l->packs[i].writer, &l->packs[i].name, e);
	return r;
}

static bool all_ready(const struct store_import_layer_work *l)
{
	for (uint32_t i = 0; i < l->n_tickets; i++)
		if (!store_import_chunks_ready(l->w->chunks, l->chunk_of[i]))
			return false;
	return true;
}

int store_import_layer_work_publish(struct store_import_layer_work *l, struct hr_err *e)
{
	struct store_import_work *w = l->w;
	int r = 0;

	for (size_t i = 0; i < l->n_packs; i++) {
		if (store_pack_publish(l->packs[i].writer, e) < 0)
			return -1;
		pthread_mutex_lock(&w->lock);
		store_import_chunks_publish_pack(w->chunks, l->packs[i].id, &l->packs[i].name);
		pthread_cond_broadcast(&w->freed);
		pthread_mutex_unlock(&w->lock);
	}
	pthread_mutex_lock(&w->lock);
	while ((r = check_stop(w, e)) == 0 && !all_ready(l))
		wait_freed(w);
	pthread_mutex_unlock(&w->lock);
	return r;
}

void store_import_layer_work_lock(struct store_import_layer_work *l, const uint32_t **chunk_of,
				  const struct store_chunk **chunks, uint32_t *n_chunks)
{
	pthread_mutex_lock(&l->w->lock);
	*chunk_of = l->chunk_of;
	*chunks = store_import_chunks_all(l->w->chunks, n_chunks);
}

void store_import_layer_work_unlock(struct store_import_layer_work *l)
{
	pthread_mutex_unlock(&l->w->lock);
}

void store_import_layer_work_loc(struct store_import_layer_work *l, const uint32_t *chunks,
				 uint32_t n, struct hr_buf *out)
{
	pthread_mutex_lock(&l->w->lock);
	store_import_chunks_loc(l->w->chunks, chunks, n, out);
	pthread_mutex_unlock(&l->w->lock);
}
