/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image index from anywhere: an error is explained; what is read lies inside; a path of the
 * server's own laid over it neither hangs nor leaves it.
 */
#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "store/index.h"
#include "store/serve_tree.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define SEEN 64 /* of anything that the input counts */

static void check_pieces(const struct store_index *ix, const struct store_inode *i)
{
	uint64_t off = 0;

	for (int k = 0; k < SEEN && off < i->size; k++) {
		struct store_piece p;
		struct store_chunk c;

		if (!store_index_piece(ix, i, off, &p))
			return;
		FUZZ_CHECK(p.len > 0 && p.len <= i->size - off);
		if (p.chunk != STORE_HOLE) {
			FUZZ_CHECK(store_index_chunk(ix, p.chunk, &c));
			FUZZ_CHECK(p.off + p.len <= c.bytes);
		}
		off += p.len;
	}
	FUZZ_CHECK(!store_index_piece(ix, i, i->size, &(struct store_piece) { 0 }));
}

static void check_entries(const struct store_index *ix, const struct store_inode *i)
{
	for (uint32_t k = 0; k < i->count && k < SEEN; k++) {
		struct store_entry entry;

		if (!store_index_entry(ix, i, k, &entry))
			continue;
		FUZZ_CHECK(entry.ino < store_index_inodes(ix));
		FUZZ_CHECK(strlen(entry.name.p) == entry.name.len && entry.name.len > 0);
		FUZZ_CHECK(!strchr(entry.name.p, '/'));
	}
	FUZZ_CHECK(!store_index_entry(ix, i, i->count, &(struct store_entry) { 0 }));
}

static void check_inode(const struct store_index *ix, uint32_t ino)
{
	struct store_string name, value;
	struct store_inode i;

	if (!store_index_inode(ix, ino, &i))
		return;
	if (S_ISREG(i.mode))
		check_pieces(ix, &i);
	if (S_ISDIR(i.mode))
		check_entries(ix, &i);
	if (store_index_target(ix, &i, &value))
		FUZZ_CHECK(strlen(value.p) == i.size);
	for (uint32_t k = 0; k < i.n_xattrs && k < SEEN; k++)
		if (store_index_xattr(ix, &i, k, &name, &value))
			FUZZ_CHECK(value.p[value.len] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t targets[] = "d/l/x\0f/d/b/y\0f/a\0d/sp";
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	HR_CLEANUP(serve_tree_freep) struct serve_tree *t = NULL;
	struct hr_err e = { 0 };

	if (store_index_parse(p, n, &ix, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
		return 0;
	}
	for (uint32_t i = 0; i < store_index_inodes(ix) && i < SEEN; i++)
		check_inode(ix, i);
	t = serve_tree_new(ix);
	if (serve_tree_targets(t, targets, sizeof(targets), &e) < 0)
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	return 0;
}
