/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every start of a program reads, loaded while the session still builds the container: its
 * user entries, the loader, the C library, the program. Each of them costs the start a decompressed
 * chunk of up to 1 MiB when it is asked for first; asked for here, the second core does that
 * meanwhile.
 */
#include "config.h"

#include "store/serve.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/poison.h"

#define BYTES_MAX (2u << 20) /* of each file; a C library has as much */

/* To look at all of a cache takes as long as a start; a program that is faster adds little to it.
 */
#define SETTLE_MS 100

/* In the order in which they are read: the session wants the user's entries; then the program is
 * executed, which names its loader. */
static const char *const entries[] = { "etc/passwd", "etc/group" };
static const char *const libraries[] = {
#if defined(__x86_64__)
	"lib64/ld-linux-x86-64.so.2",
	"lib/x86_64-linux-gnu/libc.so.6",
	"lib/ld-musl-x86_64.so.1",
#elif defined(__aarch64__)
	"lib/ld-linux-aarch64.so.1", "lib/aarch64-linux-gnu/libc.so.6",
	"lib/ld-musl-aarch64.so.1",
#endif
	"lib64/libc.so.6",
	"etc/ld.so.cache",
};

struct warm {
	struct store_image *held; /* whose packs are to be opened now, or NULL */
	const struct store_index *ix;
	struct store_chunks *chunks;
	struct store_cache *cache; /* or NULL */
	uint64_t cache_bytes;
	char *program; /* a name without a slash, or "" */
};

static void load(const struct warm *w, const struct store_inode *file)
{
	struct store_piece piece;

	for (uint64_t off = 0; off < file->size && off < BYTES_MAX; off += piece.len) {
		if (!store_index_piece(w->ix, file, off, &piece))
			return;
		if (piece.chunk != STORE_HOLE)
			store_chunks_ahead(w->chunks, piece.chunk);
	}
}

static void make_room(const struct warm *w)
{
	struct store_cache_usage left;
	const struct timespec pause = { 0, SETTLE_MS * 1000000 };
	struct hr_err e = { 0 };

	nanosleep(&pause, NULL);
	if (w->cache && store_cache_evict(w->cache, w->cache_bytes, &left, &e) < 0)
		hr_warn("cannot make room in the cache: %s", e.text);
}

static void load_all(const struct warm *w, const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct store_inode file;

		if (store_index_find(w->ix, paths[i], &file) && S_ISREG(file.mode))
			load(w, &file);
	}
}

static void *run(void *arg)
{
	struct warm *w = arg;
	struct store_inode program;
	uint32_t ino;

	if (w->held)
		store_image_hold(w->held);
	load_all(w, entries, HR_COUNT(entries));
	if (store_index_find_program(w->ix, w->program, &ino, &program))
		load(w, &program);
	load_all(w, libraries, HR_COUNT(libraries));
	make_room(w);
	free(w->program);
	free(w);
	return NULL;
}

void serve_warm_start(const struct serve *s, const char *program, uint64_t cache_bytes)
{
	struct warm *w = hr_xmalloc(sizeof(*w));
	pthread_t thread;

	*w = (struct warm) { s->files ? s->img : NULL, s->ix, s->chunks, s->cache, cache_bytes,
			     hr_xstrdup(program) };
	if (pthread_create(&thread, NULL, run, w) == 0) {
		pthread_detach(thread);
		return;
	}
	free(w->program); /* a start without it is only slower */
	free(w);
}
