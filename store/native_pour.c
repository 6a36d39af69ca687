/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/native_pour.h"

#include <pthread.h>
#include <stdlib.h>

#include "store/cache_file.h"
#include "store/native.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define OPEN_MAX 128 /* files at a time, two descriptors each; chunks come in about their order */

enum state { WAITING, OPEN, OVER };

struct poured {
	struct store_inode inode;
	enum state state;
	struct store_cache_file *f;
	struct store_cache_file_want want;
	uint32_t left; /* chunks that have not come */
	struct poured *next_full;
};

/* Where a chunk goes. */
struct place {
	struct poured *file; /* or NULL */
	uint64_t off;
};

struct store_native_pour {
	struct store_native_pour_options o;
	struct place *places; /* by chunk */
	struct poured *files;
	size_t n;

	pthread_mutex_t
		lock; /* of what follows, and of the files; not held while a chunk is written
		       */
	size_t n_open;
	struct poured *full; /* to be given their names */
	bool over;
	pthread_cond_t wake;
	pthread_t thread; /* which does that: to sync a file takes long */
	bool running;
};

/* ---- which files ---- */

/* Whether all chunks come, none of them twice: then they are this file's. */
static bool take_chunks(struct store_native_pour *p, struct poured *file)
{
	struct store_piece piece;
	uint64_t off;

	for (off = 0; off < file->inode.size; off += piece.len) {
		if (!store_index_piece(p->o.ix, &file->inode, off, &piece))
			break;
		if (piece.chunk == STORE_HOLE)
			continue;
		if (piece.chunk >= store_index_chunks(p->o.ix) || p->places[piece.chunk].file ||
		    !p->o.comes(p->o.arg, piece.chunk))
			break;
		p->places[piece.chunk] = (struct place) { file, off };
		file->left++;
	}
	if (off >= file->inode.size && file->left > 0)
		return true;
	for (uint32_t i = 0; i < store_index_chunks(p->o.ix); i++)
		if (p->places[i].file == file)
			p->places[i].file = NULL;
	file->left = 0;
	return false;
}

static void found(void *arg, uint32_t ino, const struct store_inode *inode, const char *path)
{
	struct store_native_pour *p = arg;
	struct poured *file = &p->files[p->n];

	(void)ino;
	(void)path;
	if (p->n == STORE_NATIVE_MAX || !store_native_suits(inode, p->o.cache_bytes))
		return;
	*file = (struct poured) { .inode = *inode };
	p->n += store_native_want(p->o.ix, inode, p->o.sha256, &file->want) && take_chunks(p, file);
}

/* ---- files that are whole ---- */

static void finish(struct store_native_pour *p, struct poured *file)
{
	struct hr_err e = { 0 }; /* who makes it from its chunks tells of what is in the way */

	if (store_cache_file_finish(file->f, &e) < 0)
		hr_debug("a large file stays in pieces: %s", e.text);
	store_cache_file_close(file->f);
	pthread_mutex_lock(&p->lock);
	file->f = NULL;
	file->state = OVER;
	p->n_open--;
	pthread_mutex_unlock(&p->lock);
}

static struct poured *next_full(struct store_native_pour *p)
{
	struct poured *file;

	pthread_mutex_lock(&p->lock);
	while (!p->full && !p->over)
		pthread_cond_wait(&p->wake, &p->lock);
	file = p->full;
	if (file)
		p->full = file->next_full;
	pthread_mutex_unlock(&p->lock);
	return file;
}

static void *finish_all(void *arg)
{
	struct store_native_pour *p = arg;
	struct poured *file;

	while ((file = next_full(p)))
		finish(p, file);
	return NULL;
}

/* ---- chunks ---- */

/* With the lock held: begin a file, unless somebody else does or it is there. */
static void open_file(struct store_native_pour *p, struct poured *file)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	enum store_cache_file_state state;
	struct hr_err e = { 0 }; /* then it goes the other way */

	file->state = OVER;
	if (p->n_open == OPEN_MAX ||
	    store_cache_file_open(p->o.cache, &file->want, true, &f, &e) < 0 ||
	    store_cache_file_claim(f, &state, &e) < 0 || state != STORE_CACHE_FILE_NONE ||
	    store_cache_file_begin_loose(f, &e) < 0) {
		hr_debug("the chunks of a large file go to the pack: %s", e.text);
		return;
	}
	file->f = hr_steal(&f);
	file->state = OPEN;
	p->n_open++;
}

/* With the lock held: a chunk is written, or not. */
static void count(struct store_native_pour *p, struct poured *file, bool written)
{
	if (!written)
		file->state = OVER; /* others may be writing to it: closed in the end */
	else if (--file->left == 0) {
		file->next_full = p->full;
		p->full = file;
		pthread_cond_signal(&p->wake);
	}
}

bool store_native_pour_place(void *arg, uint32_t chunk, const uint8_t *plain, uint32_t bytes,
			     struct store_cache_at *at)
{
	struct store_native_pour *p = arg;
	struct poured *file = p->places[chunk].file;
	uint64_t off = p->places[chunk].off;
	struct hr_err e = { 0 };
	bool written;

	if (!file)
		return false;
	pthread_mutex_lock(&p->lock);
	if (file->state == WAITING)
		open_file(p, file);
	written = file->state == OPEN;
	pthread_mutex_unlock(&p->lock);
	if (!written)
		return false;
	*at = (struct store_cache_at) { file->want.name, off };
	written = store_cache_file_write(file->f, off, plain, bytes, &e) == 0;
	if (!written)
		hr_debug("the chunks of a large file go to the pack: %s", e.text);
	pthread_mutex_lock(&p->lock);
	count(p, file, written);
	pthread_mutex_unlock(&p->lock);
	return written && bytes >= STORE_CACHE_MOVE_MIN;
}

/* ---- life ---- */

struct store_native_pour *store_native_pour_new(const struct store_native_pour_options *o)
{
	struct store_native_pour *p = hr_xmalloc(sizeof(*p));
	const struct store_native_walk walk = { NULL, found, p };

	p->o = *o;
	p->places = hr_xmalloc(((size_t)store_index_chunks(o->ix) + 1) * sizeof(*p->places));
	p->files = hr_xmalloc((STORE_NATIVE_MAX + 1) * sizeof(*p->files));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->running = pthread_create(&p->thread, NULL, finish_all, p) == 0;
	if (p->running)
		store_native_walk(o->ix, &walk); /* else no file is poured */
	return p;
}

void store_native_pour_end(struct store_native_pour *p)
{
	pthread_mutex_lock(&p->lock);
	p->over = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	if (p->running)
		pthread_join(p->thread, NULL);
	for (size_t i = 0; i < p->n; i++)
		store_cache_file_close(p->files[i].f);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->places);
	free(p->files);
	free(p);
}
