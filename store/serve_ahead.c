/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Read-ahead of our own: the kernel gives an unprivileged mount 128 KiB, a chunk is 1 MiB. Who
 * reads a large file in order finds the next chunk decompressed.
 */
#include "config.h"

#include "store/serve.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/mem.h"
#include "util/poison.h"

#define STREAMS	  16		  /* files read in order at the same time */
#define QUEUE	  32		  /* chunks waiting for the thread; more are dropped */
#define MIN_BYTES STORE_CHUNK_MAX /* smaller files have one chunk */
#define RUN	  2		  /* reads in order before we believe it */

struct stream {
	uint32_t node;
	uint32_t run;	  /* reads in order so far */
	uint64_t next;	  /* where the next one would begin */
	uint64_t asked;	  /* chunks up to here are on their way */
	uint64_t used_at; /* for replacing the oldest */
};

struct serve_ahead {
	const struct store_index *ix;
	struct store_chunks *chunks;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct stream streams[STREAMS];
	uint64_t clock;
	uint32_t gathered;	   /* the chunk of the small file read last */
	unsigned int gathered_run; /* how many times it was the one behind */
	uint32_t queue[QUEUE];
	unsigned int head, n;
};

static void *run(void *arg)
{
	struct serve_ahead *a = arg;

	pthread_mutex_lock(&a->lock);
	for (;;) {
		uint32_t chunk;

		while (a->n == 0)
			pthread_cond_wait(&a->wake, &a->lock);
		chunk = a->queue[a->head];
		a->head = (a->head + 1) % QUEUE;
		a->n--;
		pthread_mutex_unlock(&a->lock);
		store_chunks_ahead(a->chunks, chunk);
		pthread_mutex_lock(&a->lock);
	}
	return NULL;
}

struct serve_ahead *serve_ahead_new(const struct store_index *ix, struct store_chunks *chunks)
{
	struct serve_ahead *a = hr_xmalloc(sizeof(*a));
	pthread_t thread;

	a->ix = ix;
	a->chunks = chunks;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wake, NULL);
	/* without the thread nothing is read ahead, which costs speed alone */
	if (pthread_create(&thread, NULL, run, a) == 0)
		pthread_detach(thread);
	return a;
}

static struct stream *find(struct serve_ahead *a, uint32_t node, uint64_t off)
{
	struct stream *oldest = &a->streams[0];

	for (size_t i = 0; i < STREAMS; i++) {
		if (a->streams[i].node == node && a->streams[i].next == off &&
		    a->streams[i].used_at != 0)
			return &a->streams[i];
		if (a->streams[i].used_at < oldest->used_at)
			oldest = &a->streams[i];
	}
	*oldest = (struct stream) { .node = node };
	return oldest;
}

/* With the lock held: queue the chunk behind the one that ends the read. */
static void ask(struct serve_ahead *a, struct stream *st, const struct store_inode *file,
		uint64_t last)
{
	struct store_piece here, next;
	uint64_t behind;

	if (!store_index_piece(a->ix, file, last, &here))
		return;
	behind = last + here.len;
	if (behind <= st->asked || behind >= file->size ||
	    !store_index_piece(a->ix, file, behind, &next))
		return;
	st->asked = behind;
	if (next.chunk == STORE_HOLE || a->n == QUEUE)
		return;
	a->queue[(a->head + a->n++) % QUEUE] = next.chunk;
	pthread_cond_signal(&a->wake);
}

/*
 * With the lock held: small files lie gathered in chunks, numbered as the directories list the
 * files. Who has gone from one chunk to the next goes on to the one behind it: a copy or an import
 * of a whole tree.
 */
static void gathered(struct serve_ahead *a, const struct store_inode *file, uint64_t off)
{
	struct store_piece here;

	if (!store_index_piece(a->ix, file, off, &here) || here.chunk == STORE_HOLE ||
	    here.chunk == a->gathered)
		return;
	a->gathered_run = here.chunk == a->gathered + 1 ? a->gathered_run + 1 : 0;
	a->gathered = here.chunk;
	if (a->gathered_run < RUN || here.chunk + 1 >= store_index_chunks(a->ix) || a->n == QUEUE)
		return;
	a->queue[(a->head + a->n++) % QUEUE] = here.chunk + 1;
	pthread_cond_signal(&a->wake);
}

void serve_ahead_seen(struct serve_ahead *a, uint32_t node, const struct store_inode *file,
		      uint64_t off, uint64_t len)
{
	struct stream *st;

	if (len == 0)
		return;
	pthread_mutex_lock(&a->lock);
	if (file->size <= MIN_BYTES) {
		gathered(a, file, off);
		pthread_mutex_unlock(&a->lock);
		return;
	}
	st = find(a, node, off);
	st->next = off + len;
	st->used_at = ++a->clock;
	if (++st->run >= RUN)
		ask(a, st, file, off + len - 1);
	pthread_mutex_unlock(&a->lock);
}
