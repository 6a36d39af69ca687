/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/serve_ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/mem.h"
#include "util/poison.h"

#define READERS	    16 /* places where somebody reads in order, at the same time */
#define LISTED	    64 /* directories remembered: a walk is in one of each level */
#define RUN	    2  /* reads in order before we believe it */
#define SKIP	    3  /* nodes that are no file, or of no interest, in between */
#define PAGE_BYTES  4096
#define SMALL_BYTES (1u << 20)	 /* files up to here have one chunk, or share it */
#define EXTENT_MIN  (256u << 10) /* bytes of the first extent; each next one has twice as many */
#define EXTENT_MAX  (4u << 20)
#define NODES_MAX   1024 /* of one extent */
/*
 * A walk comes to a new directory every ten files: who has read whole directories in order gets the
 * rest of the next one at its first file. One in TRUST_GAIN directories would keep the trust.
 */
#define TRUST	   4
#define TRUST_GAIN 2
#define TRUST_MAX  16

/* Small files are counted in nodes, a large file in bytes. */
struct reader {
	uint64_t id;	  /* 0: unused */
	uint64_t used_at; /* for replacing the oldest */
	uint32_t node;	  /* of the large file; unused for small ones */
	bool small;
	uint32_t run;  /* reads in order so far */
	uint64_t next; /* where the next one would begin */
	uint64_t end;  /* of the last extent; below NEXT when there is none */
	uint64_t trip; /* in it */
	uint64_t extent_bytes;
};

/* The nodes of a directory that the kernel has been told of, [from, end). */
struct listed {
	uint32_t from, end;
};

struct serve_ahead {
	const struct serve_tree *tree;
	pthread_mutex_t lock; /* of what follows */
	struct reader readers[READERS];
	struct listed listed[LISTED]; /* the last ones, a ring */
	uint32_t n_listed;
	uint64_t clock, ids;
	int trust;
};

struct serve_ahead *serve_ahead_new(const struct serve_tree *tree)
{
	struct serve_ahead *a = hr_xmalloc(sizeof(*a));

	a->tree = tree;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

void serve_ahead_free(struct serve_ahead *a)
{
	if (a)
		pthread_mutex_destroy(&a->lock);
	free(a);
}

bool serve_ahead_small(const struct store_inode *file)
{
	return S_ISREG(file->mode) && file->size <= SMALL_BYTES;
}

/* Whose next read this is: it continues where the last one ended, or within what was pushed. */
static bool continues(const struct reader *r, bool small, uint32_t node, uint64_t at)
{
	uint64_t last = r->next;

	if (r->id == 0 || r->small != small || (!small && r->node != node))
		return false;
	if (r->end > last)
		last = r->end;
	return at >= r->next && at <= last + (small ? SKIP : 0);
}

static void start_reader(struct serve_ahead *a, struct reader *r, bool small, uint32_t node)
{
	*r = (struct reader) { .id = ++a->ids,
			       .used_at = ++a->clock,
			       .small = small,
			       .node = node,
			       .extent_bytes = EXTENT_MIN };
}

static struct reader *find(struct serve_ahead *a, bool small, uint32_t node, uint64_t at)
{
	struct reader *oldest = &a->readers[0];

	for (size_t i = 0; i < READERS; i++) {
		struct reader *r = &a->readers[i];

		if (continues(r, small, node, at)) {
			if (small && a->trust < TRUST_MAX)
				a->trust += TRUST_GAIN;
			return r;
		}
		if (r->used_at < oldest->used_at)
			oldest = r;
	}
	if (small && a->trust > 0)
		a->trust--;
	start_reader(a, oldest, small, node);
	return oldest;
}

/* The bytes of the large file behind FROM. */
static bool extend_large(struct reader *r, const struct store_inode *file, uint64_t from,
			 struct serve_extent *out)
{
	from = (from + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	if (from >= file->size)
		return false;
	out->off = from;
	out->len = file->size - from < r->extent_bytes ? file->size - from : r->extent_bytes;
	out->trip = from + out->len / 2 / PAGE_BYTES * PAGE_BYTES;
	out->node = r->node;
	out->n = 1;
	r->end = from + out->len;
	return true;
}

/* Where the directory with this node ends, if the kernel knows it, else there: one of others. */
static uint64_t directory_end(const struct serve_ahead *a, uint64_t node)
{
	for (size_t i = 0; i < LISTED; i++)
		if (node >= a->listed[i].from && node < a->listed[i].end)
			return a->listed[i].end;
	return node;
}

/* The small files from node FROM on. */
static bool extend_small(const struct serve_ahead *a, struct reader *r, uint64_t from,
			 struct serve_extent *out)
{
	uint64_t end = directory_end(a, from), node, bytes = 0;
	bool tripped = false;

	out->trip = from;
	for (node = from; node < end && node - from < NODES_MAX && bytes < r->extent_bytes;
	     node++) {
		struct store_inode file;

		if (!serve_tree_inode(a->tree, (uint32_t)node, &file))
			break;
		if (!serve_ahead_small(&file))
			continue;
		bytes += file.size;
		/* an empty file is never asked for */
		if (!tripped && file.size > 0) {
			out->trip = node;
			tripped = bytes >= r->extent_bytes / 2;
		}
	}
	if (bytes == 0)
		return false;
	out->off = out->len = 0;
	out->node = (uint32_t)from;
	out->n = (uint32_t)(node - from);
	r->end = node;
	return true;
}

/* What R will want from FROM on; FILE is the large one. */
static bool extend(const struct serve_ahead *a, struct reader *r, const struct store_inode *file,
		   uint64_t from, struct serve_extent *out)
{
	if (!(r->small ? extend_small(a, r, from, out) : extend_large(r, file, from, out)))
		return false;
	r->trip = out->trip;
	if (r->extent_bytes < EXTENT_MAX)
		r->extent_bytes *= 2;
	return true;
}

bool serve_ahead_seen(struct serve_ahead *a, uint32_t node, const struct store_inode *file,
		      uint64_t off, uint64_t len, struct serve_extent *out)
{
	bool small = serve_ahead_small(file), wanted = false;
	uint64_t at = small ? node : off, from;
	struct reader *r;

	/* of a small file the first read tells; the kernel may make several of it */
	if (len == 0 || (small && off != 0))
		return false;
	pthread_mutex_lock(&a->lock);
	r = find(a, small, node, at);
	r->used_at = ++a->clock;
	r->next = small ? at + 1 : off + len;
	r->run++;
	from = r->end > r->next ? r->end : r->next;
	if ((r->end == 0 || at >= r->trip) && (r->run >= RUN || (small && a->trust >= TRUST)))
		wanted = extend(a, r, file, from, out);
	pthread_mutex_unlock(&a->lock);
	return wanted;
}

bool serve_ahead_listed(struct serve_ahead *a, uint32_t dir, const struct store_inode *inode,
			struct serve_extent *out)
{
	uint64_t n = serve_tree_entries(a->tree, dir, inode);
	struct store_entry first, last;
	struct reader *r = &a->readers[0];
	bool wanted = false;

	/* entries are numbered together, but for other names of a file; then there is no telling */
	if (n == 0 || !serve_tree_entry(a->tree, dir, inode, 0, &first) ||
	    !serve_tree_entry(a->tree, dir, inode, n - 1, &last) || last.ino < first.ino ||
	    last.ino - first.ino >= n)
		return false;
	pthread_mutex_lock(&a->lock);
	a->listed[a->n_listed++ % LISTED] = (struct listed) { first.ino, last.ino + 1 };
	if (a->trust >= TRUST) {
		a->trust--;
		for (size_t i = 1; i < READERS; i++)
			if (a->readers[i].used_at < r->used_at)
				r = &a->readers[i];
		start_reader(a, r, true, first.ino);
		r->next = first.ino;
		wanted = extend(a, r, NULL, first.ino, out);
	}
	pthread_mutex_unlock(&a->lock);
	return wanted;
}
