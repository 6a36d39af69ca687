/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/prefetch_files.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "store/crew.h"
#include "store/native.h"
#include "store/native_make.h"
#include "store/sha256mb.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define THREADS_MAX 16 /* each has a maker, about 9 MiB; the disk is slower than as many */

struct candidate {
	struct store_inode file;
	char *path;
	uint64_t takes; /* of the disk; 0: it is there */
	bool made, later;
	struct fetch_digest name; /* of what is made */
};

struct work {
	const struct store_prefetch_files_options *o;
	struct candidate v[STORE_NATIVE_MAX];
	uint32_t n;
	uint64_t need, largest; /* bytes of all that is not there, and of the largest of them */

	pthread_mutex_t lock; /* of what follows */
	struct store_prefetch_files *out;
	struct hr_err *first; /* why the first one was left out */
	uint64_t room;	      /* bytes that are left for them */
	atomic_uint next;
};

static bool go_on(void *arg)
{
	struct work *w = arg;

	if (!w->o->tick)
		return true;
	pthread_mutex_lock(&w->lock);
	w->o->tick(w->o->tick_arg, w->out->n, w->n);
	pthread_mutex_unlock(&w->lock);
	return true;
}

static struct store_native_maker *new_maker(struct work *w)
{
	const struct store_native_maker_options maker = { .ix = w->o->ix,
							  .cache = w->o->cache,
							  .sha256 = fetch_digest_of,
							  .sha256_many = store_sha256_many,
							  .source = w->o->source,
							  .has = w->o->has,
							  .moved = w->o->moved,
							  .cache_bytes = w->o->cache_bytes,
							  .go_on = go_on,
							  .arg = w };

	return store_native_maker_new(&maker);
}

struct search {
	struct work *w;
	struct store_native_maker *maker;
};

static void found(void *arg, uint32_t ino, const struct store_inode *file, const char *path)
{
	struct search *s = arg;
	struct work *w = s->w;
	uint64_t takes;

	(void)ino;
	if (w->n == STORE_NATIVE_MAX || !store_native_possible(s->maker, file, &takes))
		return;
	w->v[w->n++] =
		(struct candidate) { .file = *file, .path = hr_xstrdup(path), .takes = takes };
	w->need += takes;
	w->largest = takes > w->largest ? takes : w->largest;
}

/* How many threads make them. */
static unsigned int crew_of(const struct work *w)
{
	uint32_t n = w->n < w->o->threads ? w->n : w->o->threads;

	return n < THREADS_MAX ? n : THREADS_MAX;
}

/* What they take of the disk, at most: chunks that are moved give back as much as a file takes. */
static uint64_t most(const struct work *w)
{
	uint64_t at_once = w->o->moved ? w->largest * crew_of(w) : UINT64_MAX;

	return at_once < w->need ? at_once : w->need;
}

/* What is there was touched just now, so the least recently used is something else, if anything. */
static int make_room(struct work *w, struct hr_err *e)
{
	uint64_t limit = w->o->cache_bytes, need = most(w);
	struct store_cache_usage left;

	if (store_cache_evict(w->o->cache, need < limit ? limit - need : limit, &left, e) < 0)
		return -1;
	w->room = left.bytes < limit ? limit - left.bytes : 0;
	return 0;
}

static bool take_room(struct work *w, uint64_t bytes)
{
	bool fits;

	pthread_mutex_lock(&w->lock);
	fits = bytes <= w->room;
	if (fits)
		w->room -= bytes;
	pthread_mutex_unlock(&w->lock);
	return fits;
}

/* F is there, or not because of WHY, or another thread or process makes it. */
static void note(struct work *w, struct candidate *c, const struct store_cache_file *f,
		 const struct hr_err *why)
{
	pthread_mutex_lock(&w->lock);
	c->made = f != NULL;
	c->later = !f && why->kind == HR_OK;
	if (c->made) {
		c->name = *store_cache_file_name(f);
		w->out->n++;
		w->out->bytes += c->file.size;
	} else if (!c->later) {
		w->out->left_out++;
		if (w->first->kind == HR_OK)
			*w->first = *why;
	}
	pthread_mutex_unlock(&w->lock);
}

/* LAST: it is not tried again when others have given back what they take only for a while. */
static void make_one(struct work *w, struct store_native_maker *maker, struct candidate *c,
		     bool last)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct hr_err why = { 0 };

	if (!take_room(w, c->takes)) {
		if (last)
			(void)hr_fail(&why, HR_SYS, 0, "cache_size leaves no room for '/%s'",
				      c->path);
	} else if (store_native_make(maker, &c->file, &f, &why) != STORE_NATIVE_WHOLE ||
		   w->o->moved) {
		pthread_mutex_lock(&w->lock);
		w->room += c->takes;
		pthread_mutex_unlock(&w->lock);
	}
	note(w, c, f, &why);
}

static void make_some(void *arg)
{
	struct work *w = arg;
	struct store_native_maker *maker = new_maker(w);
	uint32_t i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->n)
		make_one(w, maker, &w->v[i], false);
	store_native_maker_free(maker);
}

static void make_all(struct work *w)
{
	store_crew_run(crew_of(w), make_some, w);
}

static void work_free(struct work **w)
{
	for (uint32_t i = 0; i < (*w)->n; i++)
		free((*w)->v[i].path);
	pthread_mutex_destroy(&(*w)->lock);
	free(*w);
}

/* Beside those that are in it. */
static int save(const struct work *w, struct hr_err *e)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 }, old = { 0 };
	struct hr_err none = { 0 }; /* it is the first */
	struct fetch_digest manifest;

	if (w->out->n == 0)
		return 0;
	for (uint32_t i = 0; i < w->n; i++)
		if (w->v[i].made)
			store_native_list_add(&l, w->v[i].path, &w->v[i].name);
	store_index_manifest(w->o->ix, &manifest);
	if (store_native_list_load(w->o->cache, &manifest, w->o->program, &old, &none) == 0)
		for (size_t i = 0; i < old.n; i++)
			store_native_list_add(&l, old.v[i].path, &old.v[i].name);
	return store_native_list_save(w->o->cache, &l, &manifest, w->o->program, e);
}

static void find_all(struct work *w)
{
	struct search s = { w, new_maker(w) };
	const struct store_native_walk walk = { NULL, found, &s };

	store_native_walk(w->o->ix, &walk);
	store_native_maker_free(s.maker);
}

/* Two names of one content are made once; the other of them finds it there. Or there was no room
 * for so many at a time. */
static void make_those_left(struct work *w)
{
	struct store_native_maker *maker = new_maker(w);

	for (uint32_t i = 0; i < w->n; i++)
		if (w->v[i].later)
			make_one(w, maker, &w->v[i], true);
	store_native_maker_free(maker);
}

int store_prefetch_files(const struct store_prefetch_files_options *o,
			 struct store_prefetch_files *out, struct hr_err *e)
{
	HR_CLEANUP(work_free) struct work *w = hr_xmalloc(sizeof(*w));
	struct hr_err unsaved = { 0 };

	*out = (struct store_prefetch_files) { 0 };
	w->o = o;
	w->out = out;
	w->first = e;
	pthread_mutex_init(&w->lock, NULL);
	if (store_cache_file_can(o->cache, e) < 0)
		return -1;
	find_all(w);
	if (make_room(w, e) < 0)
		return -1;
	make_all(w);
	make_those_left(w);
	if (save(w, &unsaved) < 0 && e->kind == HR_OK)
		*e = unsaved;
	return e->kind == HR_OK ? 0 : -1;
}
