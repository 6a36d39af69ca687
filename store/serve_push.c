/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/serve_push.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/serve.h"
#include "util/mem.h"
#include "util/poison.h"

#define THREADS	     2 /* one would have to decompress and to copy for a reader that does neither */
#define TASKS	     64 /* waiting; what is more is dropped */
#define NODES	     32 /* of small files in one task */
#define PIECES	     32 /* of one call; a file with more is left to reads */
#define PAGE_BYTES   4096
#define NOTIFY_STORE 4 /* FUSE_NOTIFY_STORE */

struct task {
	struct serve_extent x;
	bool announced; /* its chunks were asked for, from a source that answers later */
};

struct serve_push {
	struct serve *s;
	int fd;		      /* -1: not yet */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct task tasks[TASKS];
	unsigned int head, n;
	bool started;
};

/* ---- holding chunks ---- */

struct waiter {
	struct store_chunk_wait wait; /* first */
	struct store_chunk_ref ref;
	sem_t done;
	bool got;
};

static void on_chunk(struct store_chunk_wait *w, const struct store_chunk_ref *ref)
{
	struct waiter *me = (struct waiter *)w;

	me->got = ref;
	if (ref)
		me->ref = *ref;
	sem_post(&me->done);
}

static bool hold(struct store_chunks *c, uint32_t chunk, struct store_chunk_ref *ref)
{
	struct waiter me = { .wait.done = on_chunk };
	bool got;

	sem_init(&me.done, 0, 0);
	switch (store_chunks_get(c, chunk, &me.wait, ref)) {
	case STORE_CHUNK_READY:
		got = true;
		break;
	case STORE_CHUNK_PARKED:
		while (sem_wait(&me.done) < 0)
			;
		got = me.got;
		*ref = me.ref;
		break;
	default:
		got = false;
	}
	sem_destroy(&me.done);
	return got;
}

/* ---- one call ---- */

static const uint8_t zeros[STORE_CHUNK_MAX];

/* 0, or the errno of the kernel's refusal. */
static int store(const struct serve_push *p, uint32_t node, uint64_t off, uint32_t len,
		 struct iovec *iov, int n)
{
	struct fuse_notify_store_out o = { .nodeid = serve_ino_of(node),
					   .offset = off,
					   .size = len };
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + sizeof(o)) + len,
				     .error = NOTIFY_STORE };

	iov[0] = (struct iovec) { &h, sizeof(h) };
	iov[1] = (struct iovec) { &o, sizeof(o) };
	return writev(p->fd, iov, n) < 0 ? errno : 0;
}

/* [OFF, OFF + LEN) of a file, at most a few chunks; 0 or an errno. */
static int push_range(struct serve_push *p, uint32_t node, const struct store_inode *file,
		      uint64_t off, uint64_t len)
{
	struct store_chunk_ref refs[PIECES];
	uint32_t used[PIECES];
	struct iovec iov[2 + PIECES];
	size_t n = 0, held = 0;
	uint64_t done = 0;
	bool pushed = false;
	int r = 0;

	while (done < len && n < PIECES) {
		struct store_piece at;
		const uint8_t *from = zeros;

		if (!store_index_piece(p->s->ix, file, off + done, &at))
			break;
		if (at.len > len - done)
			at.len = len - done;
		if (at.chunk == STORE_HOLE && at.len > sizeof(zeros))
			at.len = sizeof(zeros);
		if (at.chunk != STORE_HOLE) {
			if (!hold(p->s->chunks, at.chunk, &refs[held]))
				break;
			from = refs[held].p + at.off;
			used[held++] = (uint32_t)at.len;
		}
		iov[2 + n++] = (struct iovec) { (void *)(uintptr_t)from, (size_t)at.len };
		done += at.len;
	}
	if (done == len && len > 0) {
		r = store(p, node, off, (uint32_t)len, iov, (int)(2 + n));
		pushed = r == 0;
	}
	if (pushed) /* read, though no read of it will come */
		serve_native_seen(p->s->native, node, file, len);
	for (size_t i = 0; i < held; i++) {
		if (pushed)
			serve_count(p->s, &refs[i], used[i]);
		/* what is read in full is the first to go: not before it has been read */
		store_chunks_put(p->s->chunks, &refs[i], pushed ? used[i] : 0);
	}
	return r;
}

static void push_large(struct serve_push *p, const struct serve_extent *x,
		       const struct store_inode *file)
{
	uint64_t end = x->off + x->len;

	if (x->trip >= x->off && x->trip < end) {
		uint64_t behind = x->trip + PAGE_BYTES;

		(void)push_range(p, x->node, file, x->off, x->trip - x->off);
		if (behind < end)
			(void)push_range(p, x->node, file, behind, end - behind);
	} else {
		(void)push_range(p, x->node, file, x->off, x->len);
	}
}

static void push_small(struct serve_push *p, const struct serve_extent *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		uint32_t node = x->node + i;
		struct store_inode file;

		if (node == x->trip || !serve_tree_inode(p->s->tree, node, &file) ||
		    !serve_ahead_small(&file))
			continue;
		/* the kernel may not have taken the reply to the listing yet */
		if (push_range(p, node, &file, 0, file.size) == ENOENT)
			return;
	}
}

/* ---- into memory ---- */

static void bring_range(struct serve_push *p, const struct store_inode *file, uint64_t off,
			uint64_t end, uint32_t *last)
{
	struct store_piece at;

	for (; off < end && store_index_piece(p->s->ix, file, off, &at); off += at.len) {
		if (at.chunk == STORE_HOLE || at.chunk == *last)
			continue;
		*last = at.chunk;
		store_chunks_ahead(p->s->chunks, at.chunk);
	}
}

/* Load the chunks of X; small files that follow each other share theirs. */
static void bring(struct serve_push *p, const struct serve_extent *x)
{
	uint32_t last = STORE_HOLE;

	for (uint32_t i = 0; i < x->n; i++) {
		struct store_inode file;

		if (!serve_tree_inode(p->s->tree, x->node + i, &file))
			continue;
		if (x->len > 0)
			bring_range(p, &file, x->off, x->off + x->len, &last);
		else if (serve_ahead_small(&file))
			bring_range(p, &file, 0, file.size, &last);
	}
}

/* ---- tasks ---- */

/*
 * With the lock held: a source that answers later is told of everything that waits, so that it can
 * ask for it together.
 */
static void announce(struct serve_push *p)
{
	for (unsigned int i = 0; i < p->n; i++) {
		struct task *t = &p->tasks[(p->head + i) % TASKS];

		if (!t->announced)
			bring(p, &t->x);
		t->announced = true;
	}
}

/*
 * Writing waits for the lock of a page that a reader waits for. When this process is killed there,
 * nobody answers the reader and that thread never ends: the holder does not see its server die, and
 * none of them can be killed. So it is for those who ask for it; the others have the chunks in
 * memory.
 */
static void work_on(struct serve_push *p, const struct task *t)
{
	struct store_inode file;

	if (!p->s->push_pages) {
		if (!t->announced)
			bring(p, &t->x);
	} else if (t->x.len == 0) {
		push_small(p, &t->x);
	} else if (serve_tree_inode(p->s->tree, t->x.node, &file)) {
		push_large(p, &t->x, &file);
	}
}

static void *run(void *arg)
{
	struct serve_push *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct task t;

		while (p->n == 0)
			pthread_cond_wait(&p->wake, &p->lock);
		if (store_chunks_answer_later(p->s->chunks))
			announce(p);
		t = p->tasks[p->head];
		p->head = (p->head + 1) % TASKS;
		p->n--;
		pthread_mutex_unlock(&p->lock);
		work_on(p, &t);
		pthread_mutex_lock(&p->lock);
	}
	return NULL;
}

struct serve_push *serve_push_new(struct serve *s)
{
	struct serve_push *p = hr_xmalloc(sizeof(*p));

	p->s = s;
	p->fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	return p;
}

void serve_push_begin(struct serve_push *p, int fuse_fd)
{
	p->fd = fuse_fd;
}

/* With the lock held. Without a thread nothing is pushed, which costs speed alone. */
static void start(struct serve_push *p)
{
	pthread_t thread;

	p->started = true;
	for (unsigned int i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, run, p) == 0)
			pthread_detach(thread);
}

/* With the lock held. */
static void add(struct serve_push *p, const struct serve_extent *x)
{
	if (p->n == TASKS)
		return;
	p->tasks[(p->head + p->n++) % TASKS] = (struct task) { .x = *x };
}

void serve_push(struct serve_push *p, const struct serve_extent *x)
{
	struct serve_extent part = *x;

	if (p->fd < 0)
		return;
	pthread_mutex_lock(&p->lock);
	if (!p->started)
		start(p);
	if (x->len > 0) {
		for (uint64_t at = 0; at < x->len; at += part.len) {
			part.off = x->off + at;
			part.len = STORE_CHUNK_MAX - part.off % STORE_CHUNK_MAX;
			if (part.len > x->len - at)
				part.len = x->len - at;
			add(p, &part);
		}
	} else {
		for (uint32_t i = 0; i < x->n; i += part.n) {
			part.node = x->node + i;
			part.n = x->n - i < NODES ? x->n - i : NODES;
			add(p, &part);
		}
	}
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}
