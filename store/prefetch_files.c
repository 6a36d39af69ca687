/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/prefetch_files.h"

#include <stdlib.h>

#include "store/native.h"
#include "store/native_make.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

struct candidate {
	struct store_inode file;
	char *path;
	uint64_t takes; /* of the disk; 0: it is there */
};

struct work {
	const struct store_prefetch_files_options *o;
	struct store_prefetch_files *out;
	struct store_native_maker *maker;
	struct store_native_list list;
	struct candidate v[STORE_NATIVE_MAX];
	uint32_t n;
	uint64_t need, room; /* bytes: of all that is not there; what is left for it */
};

static bool go_on(void *arg)
{
	struct work *w = arg;

	if (w->o->tick)
		w->o->tick(w->o->tick_arg, w->out->n, w->n);
	return true;
}

static void found(void *arg, uint32_t ino, const struct store_inode *file, const char *path)
{
	struct work *w = arg;
	uint64_t takes;

	(void)ino;
	if (w->n == STORE_NATIVE_MAX || !store_native_possible(w->maker, file, &takes))
		return;
	w->v[w->n++] = (struct candidate) { *file, hr_xstrdup(path), takes };
	w->need += takes;
}

/* What is there was touched just now, so the least recently used is something else, if anything. */
static int make_room(struct work *w, struct hr_err *e)
{
	uint64_t limit = w->o->cache_bytes;
	struct store_cache_usage left;

	if (store_cache_evict(w->o->cache, w->need < limit ? limit - w->need : limit, &left, e) < 0)
		return -1;
	w->room = left.bytes < limit ? limit - left.bytes : 0;
	return 0;
}

static void make_one(struct work *w, const struct candidate *c, struct hr_err *e)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct hr_err why = { 0 };

	if (c->takes > w->room)
		(void)hr_fail(&why, HR_SYS, 0, "cache_size leaves no room for '/%s'", c->path);
	else if (store_native_make(w->maker, &c->file, &f, &why) == STORE_NATIVE_WHOLE) {
		store_native_list_add(&w->list, c->path, store_cache_file_name(f));
		w->room -= c->takes;
		w->out->n++;
		w->out->bytes += c->file.size;
		return;
	}
	if (why.kind == HR_OK)
		return; /* another process makes it */
	w->out->left_out++;
	if (e->kind == HR_OK)
		*e = why;
}

static void work_free(struct work **w)
{
	for (uint32_t i = 0; i < (*w)->n; i++)
		free((*w)->v[i].path);
	store_native_list_release(&(*w)->list);
	store_native_maker_free((*w)->maker);
	free(*w);
}

/* Beside those that are in it. */
static int save(struct work *w, struct hr_err *e)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list l = { 0 };
	struct hr_err none = { 0 }; /* it is the first */
	struct fetch_digest manifest;

	if (w->list.n == 0)
		return 0;
	store_index_manifest(w->o->ix, &manifest);
	if (store_native_list_load(w->o->cache, &manifest, w->o->program, &l, &none) == 0)
		for (size_t i = 0; i < l.n; i++)
			store_native_list_add(&w->list, l.v[i].path, &l.v[i].name);
	return store_native_list_save(w->o->cache, &w->list, &manifest, w->o->program, e);
}

int store_prefetch_files(const struct store_prefetch_files_options *o,
			 struct store_prefetch_files *out, struct hr_err *e)
{
	HR_CLEANUP(work_free) struct work *w = hr_xmalloc(sizeof(*w));
	const struct store_native_walk walk = { NULL, found, w };
	const struct store_native_maker_options maker = { .ix = o->ix,
							  .cache = o->cache,
							  .sha256 = fetch_digest_of,
							  .source = o->source,
							  .has = o->has,
							  .cache_bytes = o->cache_bytes,
							  .go_on = go_on,
							  .arg = w };

	struct hr_err unsaved = { 0 };

	*out = (struct store_prefetch_files) { 0 };
	w->o = o;
	w->out = out;
	w->maker = store_native_maker_new(&maker);
	if (store_cache_file_can(o->cache, e) < 0)
		return -1;
	store_native_walk(o->ix, &walk);
	if (make_room(w, e) < 0)
		return -1;
	for (uint32_t i = 0; i < w->n; i++)
		make_one(w, &w->v[i], e);
	if (save(w, &unsaved) < 0 && e->kind == HR_OK)
		*e = unsaved;
	return e->kind == HR_OK ? 0 : -1;
}
