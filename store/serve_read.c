/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FUSE_READ: collect the chunks that hold the bytes, answer from their memory without a copy.
 *
 * A read that meets a chunk being loaded is parked: the thread goes back for the next request, and
 * whoever finishes the last chunk answers. A parked read can be interrupted.
 */
#include "config.h"

#include "store/serve.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/foresee.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/poison.h"

#define WATCH_MS 200

/*
 * The kernel makes at most 16 KiB of the one page that it or a dynamic loader reads first; who
 * copies or sums up a file asks for 32 KiB and more at a time, which become 64 KiB and more.
 */
#define HEADERS_READ (32u << 10)

#define PIECES_MAX 512 /* of one read; a writer of indexes cuts coarser by far; below IOV_MAX */

static const uint8_t zeros[STORE_CHUNK_MAX]; /* what holes are made of; costs no memory */

struct read_op;

struct piece {
	struct store_chunk_wait wait;
	struct read_op *op;
	struct store_chunk_ref ref; /* held when ref.p is set */
	struct store_piece at;	    /* at.len is cut to what was asked for */
};

struct read_op {
	struct serve *s;
	fuse_req_t req;
	/* chunks that are missing, and 1 while the request is being set up; who takes it to 0
	 * answers */
	atomic_int missing;
	atomic_bool failed, interrupted;
	uint64_t begun_us;
	uint32_t node;
	bool headers;	       /* the read is what a loader begins with */
	bool interruptible;    /* an interrupt function is set */
	struct read_op **link; /* what points to it in the watch list, or NULL: not in it */
	struct read_op *next;
	size_t n;
	struct piece pieces[];
};

/* ---- the answer ---- */

static void reply_data(struct read_op *op)
{
	/* behind the pieces, which the allocation has room for */
	struct iovec *iov = (struct iovec *)(void *)&op->pieces[op->n];

	for (size_t i = 0; i < op->n; i++) {
		const struct piece *p = &op->pieces[i];
		const uint8_t *from = p->ref.p ? p->ref.p + p->at.off : zeros;

		iov[i] = (struct iovec) { (void *)(uintptr_t)from, (size_t)p->at.len };
	}
	fuse_reply_iov(op->req, iov, (int)op->n);
}

static void watch_remove(struct read_op *op)
{
	struct serve_watch *w = &op->s->watch;

	pthread_mutex_lock(&w->lock);
	if (op->link) {
		*op->link = op->next;
		if (op->next)
			op->next->link = op->link;
		op->link = NULL;
	}
	pthread_mutex_unlock(&w->lock);
}

static void count(const struct read_op *op)
{
	struct hr_stats *stats = op->s->stats;
	bool waited = false;
	uint64_t us;

	hr_stats_add(&stats->reads, 1);
	for (size_t i = 0; i < op->n; i++) {
		const struct piece *p = &op->pieces[i];

		waited = waited || p->ref.waited || (!p->ref.p && p->at.chunk != STORE_HOLE);
		if (p->ref.p)
			serve_count(op->s, &p->ref, p->at.len);
	}
	if (!waited)
		return;
	us = hr_now_us() - op->begun_us;
	hr_stats_add(&stats->waits, 1);
	hr_stats_add(&stats->wait_us, us);
	hr_stats_max(&stats->wait_longest_us, us);
}

/* A program or library of which the headers are read is about to be loaded. */
static void foresee(const struct read_op *op)
{
	const struct piece *p = &op->pieces[0];

	if (op->headers && p->ref.p && p->at.len > SELFMAG &&
	    memcmp(p->ref.p + p->at.off, ELFMAG, SELFMAG) == 0)
		store_foresee_loaded(op->s->foresee, op->node);
}

static void answer(struct read_op *op)
{
	count(op);
	foresee(op);
	if (op->interruptible)
		watch_remove(op);
	if (atomic_load(&op->interrupted))
		fuse_reply_err(op->req, EINTR);
	else if (atomic_load(&op->failed))
		fuse_reply_err(op->req, EIO);
	else
		reply_data(op);
	for (size_t i = 0; i < op->n; i++)
		if (op->pieces[i].ref.p)
			store_chunks_put(op->s->chunks, &op->pieces[i].ref,
					 (uint32_t)op->pieces[i].at.len);
	free(op);
}

/* Give up one share of op->missing. */
static void one_less(struct read_op *op)
{
	if (atomic_fetch_sub(&op->missing, 1) != 1)
		return;
	/* waits for an interrupt function that is running: it uses op */
	if (op->interruptible)
		fuse_req_interrupt_func(op->req, NULL, NULL);
	answer(op);
}

static void chunk_done(struct store_chunk_wait *w, const struct store_chunk_ref *ref)
{
	struct piece *p = (struct piece *)((char *)w - offsetof(struct piece, wait));

	if (ref)
		p->ref = *ref;
	else
		atomic_store(&p->op->failed, true);
	one_less(p->op);
}

/* ---- interrupts; locks are taken in this order: the request's, the watch list's, the cache's ----
 */

/*
 * Whether a thread is about to die. The kernel sends FUSE_INTERRUPT for any signal, but a page
 * fault or a read of a regular file that fails with EINTR because of a timer kills or surprises
 * programs; a thread that dies has SIGKILL pending, whichever signal it was.
 */
static bool is_dying(pid_t tid)
{
	static const char field[] = "\nSigPnd:\t";
	hr_autobuf struct hr_buf status = { 0 };
	struct hr_err e = { 0 };
	char path[32];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	if (hr_file_read(AT_FDCWD, path, 1 << 16, &status, &e) < 0)
		return e.kind == HR_NOTFOUND;
	at = strstr((const char *)status.p, field);
	return at && (strtoull(at + strlen(field), NULL, 16) & (1u << (SIGKILL - 1)));
}

/* Take back what OP waits for; true when nothing is left, and the caller answers. */
static bool cancel(struct read_op *op)
{
	int cancelled = 0;

	for (size_t i = 0; i < op->n; i++)
		cancelled += store_chunks_cancel(op->s->chunks, &op->pieces[i].wait);
	if (cancelled == 0)
		return false;
	atomic_store(&op->interrupted, true);
	return atomic_fetch_sub(&op->missing, cancelled) == cancelled;
}

/* One whose process is dying now, taken back, or NULL; the list's lock keeps the rest alive. */
static struct read_op *find_dying(struct serve_watch *w)
{
	for (struct read_op *op = w->first; op; op = op->next)
		if (is_dying(fuse_req_ctx(op->req)->pid) && cancel(op))
			return op;
	return NULL;
}

static void *watch(void *arg)
{
	struct serve_watch *w = arg;
	struct read_op *op;

	for (;;) {
		usleep(WATCH_MS * 1000);
		pthread_mutex_lock(&w->lock);
		op = find_dying(w);
		if (!w->first)
			break;
		pthread_mutex_unlock(&w->lock);
		if (op) {
			fuse_req_interrupt_func(op->req, NULL, NULL); /* as in one_less() */
			answer(op);
		}
	}
	w->running = false;
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void watch_add(struct read_op *op)
{
	struct serve_watch *w = &op->s->watch;
	pthread_t thread;

	pthread_mutex_lock(&w->lock);
	if (!op->link) {
		op->next = w->first;
		op->link = &w->first;
		if (op->next)
			op->next->link = &op->next;
		w->first = op;
	}
	if (!w->running && pthread_create(&thread, NULL, watch, w) == 0) {
		pthread_detach(thread);
		w->running = true;
	}
	pthread_mutex_unlock(&w->lock);
}

/* Runs under the request's lock, so it must not unset itself. */
static void interrupted(fuse_req_t req, void *arg)
{
	struct read_op *op = arg;

	if (!is_dying(fuse_req_ctx(req)->pid))
		watch_add(op);
	else if (cancel(op))
		answer(op);
}

/* ---- the request ---- */

/* Hold or wait for the chunk of a piece. */
static void collect(struct read_op *op, struct piece *p)
{
	p->op = op;
	p->wait.done = chunk_done;
	if (p->at.chunk == STORE_HOLE || atomic_load(&op->failed))
		return;
	atomic_fetch_add(&op->missing, 1);
	switch (store_chunks_get(op->s->chunks, p->at.chunk, &p->wait, &p->ref)) {
	case STORE_CHUNK_PARKED:
		return;
	case STORE_CHUNK_FAILED:
		atomic_store(&op->failed, true);
		break;
	case STORE_CHUNK_READY:
		break;
	}
	atomic_fetch_sub(&op->missing, 1);
}

/* The pieces of [OFF, OFF + LEN), into PIECES unless it is NULL; their number, 0 when damaged. */
static size_t cut(const struct serve *s, const struct store_inode *file, uint64_t off, uint64_t len,
		  struct piece *pieces)
{
	size_t n = 0;

	while (len > 0) {
		struct store_piece at;

		if (n == PIECES_MAX || !store_index_piece(s->ix, file, off, &at))
			return 0;
		if (at.len > len)
			at.len = len;
		if (at.chunk == STORE_HOLE && at.len > sizeof(zeros))
			at.len = sizeof(zeros);
		if (pieces)
			pieces[n].at = at;
		n++;
		off += at.len;
		len -= at.len;
	}
	return n;
}

static void start(struct serve *s, fuse_req_t req, uint32_t node, const struct store_inode *file,
		  uint64_t off, uint64_t len)
{
	size_t n = cut(s, file, off, len, NULL);
	struct read_op *op =
		calloc(1, sizeof(*op) + n * (sizeof(op->pieces[0]) + sizeof(struct iovec)));

	if (n == 0 || !op) {
		fuse_reply_err(req, op ? EIO : ENOMEM);
		free(op);
		return;
	}
	op->s = s;
	op->req = req;
	op->n = n;
	op->node = node;
	op->headers = off == 0 && len <= HEADERS_READ;
	op->begun_us = hr_now_us();
	atomic_init(&op->missing, 1);
	(void)cut(s, file, off, len, op->pieces);
	for (size_t i = 0; i < n; i++)
		collect(op, &op->pieces[i]);
	if (atomic_load(&op->missing) > 1) {
		op->interruptible = true;
		fuse_req_interrupt_func(req, interrupted, op);
	}
	one_less(op);
}

void serve_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct serve *s = fuse_req_userdata(req);
	uint32_t node = serve_node_of(ino);
	struct store_inode file;
	uint64_t len = size, left;
	struct serve_extent next;

	(void)fi;
	if (!serve_tree_inode(s->tree, node, &file)) {
		fuse_reply_err(req, EIO);
		return;
	}
	if (!S_ISREG(file.mode) || off < 0) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if ((uint64_t)off >= file.size || size == 0) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	left = file.size - (uint64_t)off;
	if (len > left)
		len = left;
	serve_native_seen(s->native, node, &file, len);
	start(s, req, node, &file, (uint64_t)off, len);
	if (serve_ahead_seen(s->ahead, node, &file, (uint64_t)off, len, &next))
		serve_push(s->push, &next);
}
