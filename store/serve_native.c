/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large files off FUSE: what a program reads much of becomes a file of its own in the node cache,
 * which the session mounts over its path. At the start those that earlier runs of the program read;
 * later, when the program leaves the processor and the server idle, those that this run reads.
 *
 * One thread does it. Once the program runs it has the lowest priority there is, so it must hold
 * nothing that a reader could wait for: no lock, no chunk of the server's memory.
 */
#include "config.h"

#include "store/serve.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "store/native.h"
#include "store/native_make.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/serve_proto.h"
#include "util/poison.h"

#define SLOTS	    4096 /* large files looked after; a power of two */
#define PROBES	    16
#define PART_READ   8	 /* a file is worth it when this part of it, 1/8, was read */
#define SESSION_MAX 4096 /* chunks, up to 1 MiB each, that one session writes or compares */
#define START_MS    1000 /* from the first read that is worth it to the first work */
#define AGAIN_MS    5000 /* before what could not be had is tried again */
#define QUIET_MS    50	 /* without a read, the program is taken to be busy elsewhere */
#define PATIENCE_MS 1000 /* for each chunk; then it is made all the same */
#define FEW	    16	 /* files are mounted at once, more of them after SETTLE_MS: */
#define SETTLE_MS   20	 /* who reads that many takes longer to begin, the others should not wait */
#define FLUSH_MS    1000 /* how long a finished file waits for others to be mounted with */
#define NICEST	    19
#define IOPRIO_IDLE 0x6000 /* class 3, ioprio_set(2) */

enum slot_state { SLOT_READ, SLOT_WANTED, SLOT_OVER };

struct slot {
	atomic_uint_least32_t ino;  /* of the index, plus 1; 0: free */
	atomic_uint_least64_t read; /* bytes */
	/* the thread's own */
	enum slot_state state;
	struct store_cache_file *mounted; /* kept open, so that nobody evicts it */
};

struct serve_native {
	const struct serve *s;
	struct serve_native_options o;
	struct fetch_digest manifest;
	struct slot slots[SLOTS];
	atomic_uint_least64_t last_read_ms;
	sem_t work;
	/* the thread's own from here on */
	struct store_native_maker *maker;
	store_chunk_sha256 *sha256;
	struct store_native_list list; /* what is, or can be, mounted */
	size_t saved;		       /* of it on disk */
	struct hr_buf batch;	       /* not yet sent */
	uint64_t flushed_ms;
	uint32_t left; /* chunks that may still be made */
	bool again;    /* something is to be tried again */
	bool mute;     /* the session has gone */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_ms(unsigned int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- what is read; any thread, no lock ---- */

/* The slot of a file; NULL: none, or no room for one. */
static struct slot *slot_of(struct serve_native *n, uint32_t ino, bool make)
{
	uint32_t at = ino * 2654435761u;

	for (uint32_t i = 0; i < PROBES; i++) {
		struct slot *s = &n->slots[((at >> 16) + i) % SLOTS];
		uint_least32_t there = atomic_load_explicit(&s->ino, memory_order_relaxed);

		if (there == 0 && !make)
			return NULL;
		if (there == ino + 1 ||
		    (there == 0 && (atomic_compare_exchange_strong(&s->ino, &there, ino + 1) ||
				    there == ino + 1)))
			return s;
	}
	return NULL;
}

void serve_native_seen(struct serve_native *n, uint32_t node, const struct store_inode *file,
		       uint64_t len)
{
	uint64_t enough = file->size / PART_READ, before;
	struct slot *s;

	if (!n)
		return;
	atomic_store_explicit(&n->last_read_ms, now_ms(), memory_order_relaxed);
	if (!store_native_fits(file))
		return;
	s = slot_of(n, node, true);
	if (!s)
		return;
	before = atomic_fetch_add(&s->read, len);
	if (before < enough && before + len >= enough)
		sem_post(&n->work);
}

/* ---- telling the session ---- */

static void save_list(struct serve_native *n)
{
	struct hr_err e = { 0 };

	n->saved = n->list.n;
	if (store_native_list_save(n->s->cache, &n->list, &n->manifest, n->o.program, &e) < 0)
		hr_debug("the list of large files is not kept: %s", e.text);
}

static int send_batch(struct serve_native *n, struct hr_err *e)
{
	const struct serve_msg m = { .magic = SERVE_MAGIC, .type = SERVE_NATIVE };
	hr_autofd int fd = memfd_create("hpcrun-native", MFD_CLOEXEC);
	const int fds[2] = { fd, -1 };

	if (fd < 0)
		return hr_fail(e, HR_SYS, errno, "cannot make a memory file");
	if (hr_write_all(fd, n->batch.p, n->batch.len, "the list of large files", e) < 0)
		return -1;
	return hr_serve_send(n->s->control, &m, fds, e);
}

static void flush(struct serve_native *n)
{
	struct hr_err e = { 0 };

	n->flushed_ms = now_ms();
	if (n->list.n > n->saved)
		save_list(n);
	if (n->batch.len == 0)
		return;
	if (!n->mute && send_batch(n, &e) < 0) {
		hr_debug("large files are not mounted: %s", e.text);
		n->mute = true; /* it has gone; the files serve the next one */
	}
	n->batch.len = 0;
}

/* A file is there: remember it, have it mounted, and keep it open. */
static void announce(struct serve_native *n, uint32_t ino, uint64_t bytes, const char *path,
		     struct store_cache_file *f)
{
	hr_autofree char *source = hr_xasprintf("%s/%s", n->o.cache_dir, store_cache_file_path(f));
	hr_autofree char *target = hr_xasprintf("/%s", path);
	struct hr_native r = { .node = serve_ino_of(ino), .source = source, .target = target };
	size_t before = n->list.n;

	store_native_list_add(&n->list, path, store_cache_file_name(f));
	if (n->list.n == before) {
		store_cache_file_close(f);
		return;
	}
	slot_of(n, ino, false)->mounted = f;
	store_cache_file_identity(f, &r.dev, &r.ino);
	hr_native_add(&n->batch, &r);
	hr_stats_add(&n->s->stats->natives, 1);
	hr_stats_add(&n->s->stats->native_bytes, bytes);
}

/* ---- at the start: what earlier runs read ---- */

static void recall_one(struct serve_native *n, const struct store_native *known)
{
	struct store_cache_file_want want;
	struct store_cache_file *f = NULL;
	struct store_inode file;
	struct hr_err e = { 0 }; /* evicted, say: it is made again when it is read again */
	struct slot *slot;
	uint32_t ino;

	if (!store_native_lookup(n->s->ix, known->path, &ino, &file) || !store_native_fits(&file))
		return;
	slot = slot_of(n, ino, true);
	store_native_want_named(&file, &known->name, &want);
	if (!slot || store_cache_file_open(n->s->cache, &want, false, &f, &e) < 0)
		return;
	if (store_cache_file_state(f) == STORE_CACHE_FILE_WHOLE) {
		slot->state = SLOT_OVER;
		announce(n, ino, file.size, known->path, f);
		return;
	}
	if (store_cache_file_state(f) == STORE_CACHE_FILE_OLD) {
		slot->state = SLOT_WANTED;
		n->again = true;
	}
	store_cache_file_close(f);
}

/* The list of the program, or the one that is for any. */
static int load_list(const struct serve_native *n, struct store_native_list *l, struct hr_err *e)
{
	if (store_native_list_load(n->s->cache, &n->manifest, n->o.program, l, e) == 0)
		return 0;
	hr_err_clear(e);
	return store_native_list_load(n->s->cache, &n->manifest, "", l, e);
}

static void recall(struct serve_native *n)
{
	HR_CLEANUP(store_native_list_release) struct store_native_list known = { 0 };
	struct hr_err e = { 0 };

	/* of a server before this one, which gave the same */
	n->s->stats->natives = n->s->stats->native_bytes = 0;
	if (load_list(n, &known, &e) < 0) {
		hr_debug("no list of large files: %s", e.text);
		return;
	}
	if (known.n > FEW)
		pause_ms(SETTLE_MS);
	for (size_t i = 0; i < known.n; i++)
		recall_one(n, &known.v[i]);
	n->saved = n->list.n;
	flush(n);
}

/* ---- later: what this run reads, or is to be in the cache anyway ---- */

static void want_one(void *arg, uint32_t ino, const struct store_inode *file, const char *path)
{
	struct slot *s = store_native_fits(file) ? slot_of(arg, ino, true) : NULL;

	(void)path;
	if (s && s->state == SLOT_READ)
		s->state = SLOT_WANTED;
}

/* Each as soon as its chunks are there, as if it had been read. */
static void want_all(struct serve_native *n)
{
	const struct store_native_walk walk = { NULL, want_one, n };

	store_native_walk(n->s->ix, &walk);
	n->left = UINT32_MAX;
	n->again = true;
}

static bool go_on(void *arg)
{
	struct serve_native *n = arg;
	uint64_t since = now_ms();

	if (n->left == 0)
		return false;
	n->left--;
	while (now_ms() - atomic_load(&n->last_read_ms) < QUIET_MS &&
	       now_ms() - since < PATIENCE_MS)
		pause_ms(QUIET_MS);
	return true;
}

static enum slot_state make(struct serve_native *n, uint32_t ino, const struct store_inode *file,
			    const char *path)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	switch (store_native_make(n->maker, file, &f, &e)) {
	case STORE_NATIVE_WHOLE:
		announce(n, ino, file->size, path, f);
		return SLOT_OVER;
	case STORE_NATIVE_LATER:
		n->again = n->left > 0;
		return SLOT_WANTED;
	case STORE_NATIVE_NOT:
		break;
	}
	if (e.kind != HR_OK)
		hr_debug("'%s' stays on FUSE: %s", path, e.text);
	if (e.sys == ENOSPC || e.sys == EDQUOT || e.sys == EIO || e.kind == HR_DENIED)
		n->left = 0; /* so would the next one */
	return SLOT_OVER;
}

static bool wanted(void *arg, uint32_t ino)
{
	struct slot *s = slot_of(arg, ino, false);

	return s && s->state == SLOT_WANTED;
}

static void found(void *arg, uint32_t ino, const struct store_inode *file, const char *path)
{
	struct serve_native *n = arg;

	if (n->left == 0)
		return;
	slot_of(n, ino, false)->state = make(n, ino, file, path);
	if (now_ms() - n->flushed_ms > FLUSH_MS)
		flush(n);
}

static void work(struct serve_native *n)
{
	const struct store_native_walk walk = { wanted, found, n };
	size_t before = n->list.n, any = 0;
	struct store_cache_usage left;
	struct hr_err e = { 0 };

	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &n->slots[i];
		struct store_inode file;
		uint32_t ino = atomic_load(&s->ino);

		if (ino != 0 && s->state == SLOT_READ &&
		    store_index_inode(n->s->ix, ino - 1, &file) &&
		    atomic_load(&s->read) >= file.size / PART_READ)
			s->state = SLOT_WANTED;
		any += ino != 0 && s->state == SLOT_WANTED;
	}
	n->again = false;
	if (any == 0)
		return;
	store_native_walk(n->s->ix, &walk);
	flush(n);
	if (n->list.n > before && store_cache_evict(n->s->cache, n->o.cache_bytes, &left, &e) < 0)
		hr_debug("cannot make room in the cache: %s", e.text);
}

/*
 * From here on the program comes first, at the processor and at the disk. Not SCHED_IDLE: on a node
 * whose cores are all busy, as they should be, that gets a third of a percent of one, this 1.5.
 */
static void step_back(void)
{
	if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICEST) < 0 ||
	    syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE) < 0)
		hr_debug("large files are made at an ordinary priority: %s", strerror(errno));
}

/* What making takes is loaded when it is needed. */
static bool equip(struct serve_native *n)
{
	struct store_native_maker_options o = { .ix = n->s->ix,
						.cache = n->s->cache,
						.source = n->o.source,
						.has = n->o.has,
						.moved = n->o.moved,
						.sha256_many = n->o.sha256_many,
						.cache_bytes = n->o.cache_bytes,
						.go_on = go_on,
						.arg = n };
	struct hr_err e = { 0 };

	if (n->maker)
		return true;
	if (serve_sha256_load(&n->sha256, &e) < 0) {
		hr_debug("large files stay on FUSE: %s", e.text);
		return false;
	}
	o.sha256 = n->sha256;
	n->maker = store_native_maker_new(&o);
	return true;
}

/* Until there is something to do: a read, or, after AGAIN_MS, what was put off. */
static void wait_for_work(struct serve_native *n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += AGAIN_MS / 1000;
	while ((n->again ? sem_timedwait(&n->work, &until) : sem_wait(&n->work)) < 0 &&
	       errno == EINTR)
		;
	pause_ms(START_MS); /* others follow; and a short program has ended by then */
	while (sem_trywait(&n->work) == 0)
		;
}

/*
 * What is mounted need not lie in packs as well: whoever made it was killed before it had given
 * that back, or a session in which it was not mounted has read it.
 */
static void tidy(struct serve_native *n)
{
	struct store_inode file;
	uint32_t ino;

	if (n->list.n > 0)
		pause_ms(START_MS); /* as in wait_for_work() */
	for (size_t i = 0; i < n->list.n; i++)
		if (store_native_lookup(n->s->ix, n->list.v[i].path, &ino, &file))
			store_native_moved(n->s->ix, &file, &n->list.v[i].name, n->o.moved,
					   n->o.source.arg);
}

static void *thread_main(void *arg)
{
	struct serve_native *n = arg;

	recall(n);
	step_back();
	tidy(n);
	if (n->o.all)
		want_all(n);
	while (n->left > 0) {
		wait_for_work(n);
		if (!equip(n))
			break;
		work(n);
	}
	return NULL;
}

struct serve_native *serve_native_start(const struct serve *s, const struct serve_native_options *o)
{
	struct serve_native *n;
	struct hr_err e = { 0 };
	pthread_t thread;

	if (!s->cache || o->cache_dir[0] != '/')
		return NULL;
	if (store_cache_file_can(s->cache, &e) < 0) {
		hr_debug("large files stay on FUSE: %s", e.text);
		return NULL;
	}
	n = hr_xmalloc(sizeof(*n)); /* lives until the process ends */
	n->s = s;
	n->o = *o;
	n->o.cache_dir = hr_xstrdup(o->cache_dir);
	n->left = SESSION_MAX;
	store_index_manifest(s->ix, &n->manifest);
	sem_init(&n->work, 0, 0);
	if (pthread_create(&thread, NULL, thread_main, n) != 0) {
		free(n);
		return NULL;
	}
	pthread_detach(thread);
	return n;
}
