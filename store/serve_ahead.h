/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program that reads in order will want next: within a large file, and from small file to
 * small file in the order in which directories list them (cp -r, tar, grep -r, an import).
 *
 * For: serve_read.c, which sees each request. Not for: bringing it there (serve_push.h). Pure.
 *
 * What has been pushed into the page cache is read without a request, so nothing would be seen of
 * a reader's progress: each extent has a trip in its middle, a page or a file left out on purpose.
 * The request for it says that the reader is there, and the next extent is asked for while the
 * reader still has half of this one.
 *
 * Sequence: serve_ahead_new(); serve_ahead_seen() at each read, serve_ahead_listed() at each
 * listing; serve_ahead_free().
 */
#ifndef STORE_SERVE_AHEAD_H
#define STORE_SERVE_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/serve_tree.h"

struct serve_ahead;

/* A part of one large file (n is 1), or the small files among nodes [node, node + n), whole. */
struct serve_extent {
	uint32_t node, n;
	uint64_t off, len; /* of a large file: bytes, OFF on a page */
	uint64_t trip;	   /* left out: of a large file the page at this offset, else this node */
};

/* TREE is borrowed. */
struct serve_ahead *serve_ahead_new(const struct serve_tree *tree);
void serve_ahead_free(struct serve_ahead *a);

/* A file that is read ahead as a part of a directory, not by itself. */
bool serve_ahead_small(const struct store_inode *file);

/*
 * LEN bytes at OFF of NODE, which FILE describes, are being read: true when *out should be brought.
 *
 * Threads: any.
 */
bool serve_ahead_seen(struct serve_ahead *a, uint32_t node, const struct store_inode *file,
		      uint64_t off, uint64_t len, struct serve_extent *out);

/*
 * Directory DIR, which INODE describes, was listed with its entries: the kernel knows their nodes.
 * True when its files should be brought: who listed the last ones read them, too.
 */
bool serve_ahead_listed(struct serve_ahead *a, uint32_t dir, const struct store_inode *inode,
			struct serve_extent *out);

#endif
