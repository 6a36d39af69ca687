/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/layer_tar.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/frame.h"
#include "store/layer.h"
#include "store/loc.h"
#include "store/pack_reader.h"
#include "store/tar_out.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define INDEX_LIMIT UINT32_MAX /* bytes of a file */
#define NOTHING	    UINT32_MAX /* no chunk */
#define MARKER_MODE (S_IFREG | 0600)

struct layer_tar {
	const struct store *st;
	struct hr_buf index, locs;
	struct store_layer layer;
	struct store_loc loc;
	uint32_t *by_path; /* entries, sorted by path and then by number */
	struct tar_out out;
	struct store_pack_reader *packs;
	uint8_t *plain;
	uint32_t chunk; /* in PLAIN: files follow each other in their chunks */
};

static void layer_tar_release(struct layer_tar *t)
{
	tar_out_release(&t->out);
	hr_buf_release(&t->index);
	hr_buf_release(&t->locs);
	free(t->by_path);
	store_pack_reader_free(t->packs);
	free(t->plain);
}

/* ---- content ---- */

static int load(struct layer_tar *t, uint32_t chunk, struct hr_err *e)
{
	struct store_chunk want = store_layer_chunk(&t->layer, chunk);
	struct store_loc_chunk at = store_loc_chunk(&t->loc, chunk);
	struct store_loc_pack pack = store_loc_pack(&t->loc, at.pack);

	if (t->chunk == chunk)
		return 0;
	t->chunk = NOTHING;
	if (store_pack_reader_open(t->packs, &pack.name, e) < 0 ||
	    store_pack_reader_read(t->packs, at.frame_off, at.frame_len, &want, t->plain, NULL, e) <
		    0 ||
	    store_frame_verify(&want, t->plain, fetch_digest_of, e) < 0)
		return -1;
	t->chunk = chunk;
	return 0;
}

static int put_content(struct layer_tar *t, const struct store_layer_entry *n, struct hr_err *e)
{
	for (uint32_t i = 0; i < n->n_extents; i++) {
		struct store_extent x = store_layer_extent(&t->layer, n->first_extent + i);
		uint64_t end = i + 1 < n->n_extents
				       ? store_layer_extent(&t->layer, n->first_extent + i + 1).off
				       : n->attr.size;

		/* the rest of a file that is not written is zeros in the archive */
		if (x.chunk == STORE_HOLE ? tar_out_zeros(&t->out, end - x.off, e) < 0
					  : load(t, x.chunk, e) < 0 ||
						    tar_out_data(&t->out, t->plain + x.chunk_off,
								 (size_t)(end - x.off), e) < 0)
			return -1;
	}
	return 0;
}

/* ---- entries ---- */

static int compare(struct store_string a, struct store_string b)
{
	int r = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

	return r ? r : a.len < b.len ? -1 : a.len > b.len;
}

static int by_path(const void *a, const void *b, void *arg)
{
	const struct store_layer *l = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	int r = compare(store_layer_entry(l, i).path, store_layer_entry(l, k).path);

	return r ? r : i < k ? -1 : i > k;
}

/* The last entry before END that makes PATH; false: there is none. */
static bool find(const struct layer_tar *t, struct store_string path, uint32_t end,
		 struct store_layer_entry *out, uint32_t *at)
{
	uint32_t low = 0, high = t->layer.n_entries;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2, i = t->by_path[mid];
		int r = compare(store_layer_entry(&t->layer, i).path, path);

		if (r < 0 || (r == 0 && i < end))
			low = mid + 1;
		else
			high = mid;
	}
	while (low-- > 0) {
		*at = t->by_path[low];
		*out = store_layer_entry(&t->layer, *at);
		if (compare(out->path, path) != 0)
			return false;
		if (out->kind == STORE_ENTRY_NODE || out->kind == STORE_ENTRY_HARDLINK)
			return true;
	}
	return false;
}

/* A hardlink repeats what the file is, for some who unpack it set that again. */
static int put_hardlink(struct layer_tar *t, uint32_t i, const struct store_layer_entry *n,
			struct hr_err *e)
{
	struct store_layer_entry file = *n;

	while (file.kind == STORE_ENTRY_HARDLINK)
		if (!find(t, file.target, i, &file, &i))
			return hr_fail(e, HR_NOTFOUND, 0,
				       "'%.300s' is a link to a file of another layer", n->path.p);
	return tar_out_entry(&t->out, n->path.p, &file.attr, n->target.p, true, NULL, 0, e);
}

static int put_node(struct layer_tar *t, const struct store_layer_entry *n, struct hr_err *e)
{
	hr_autofree struct store_xattr *xattrs =
		hr_xmalloc(((size_t)n->n_xattrs + 1) * sizeof(*xattrs));

	for (uint32_t i = 0; i < n->n_xattrs; i++)
		xattrs[i] = store_layer_xattr(&t->layer, n->first_xattr + i);
	if (tar_out_entry(&t->out, n->path.len > 0 ? n->path.p : ".", &n->attr, n->target.p, false,
			  xattrs, n->n_xattrs, e) < 0)
		return -1;
	return S_ISREG(n->attr.mode) ? put_content(t, n, e) : 0;
}

/* A whiteout hides PATH, an opaque directory all that lower layers have in it. */
static int put_marker(struct layer_tar *t, const struct store_layer_entry *n, struct hr_err *e)
{
	static const struct store_attr attr = { .mode = MARKER_MODE };
	const char *path = n->path.p, *slash = strrchr(path, '/');
	hr_autofree char *marker = NULL;

	if (n->kind == STORE_ENTRY_OPAQUE)
		marker = hr_xasprintf("%s%s.wh..wh..opq", path, n->path.len > 0 ? "/" : "");
	else
		marker = hr_xasprintf("%.*s.wh.%s", slash ? (int)(slash + 1 - path) : 0, path,
				      slash ? slash + 1 : path);
	return tar_out_entry(&t->out, marker, &attr, NULL, false, NULL, 0, e);
}

static int put_entry(struct layer_tar *t, uint32_t i, struct hr_err *e)
{
	struct store_layer_entry n = store_layer_entry(&t->layer, i);

	switch (n.kind) {
	case STORE_ENTRY_NODE:
		return put_node(t, &n, e);
	case STORE_ENTRY_HARDLINK:
		return put_hardlink(t, i, &n, e);
	default:
		return put_marker(t, &n, e);
	}
}

/* ---- all ---- */

static int open_layer(struct layer_tar *t, const struct fetch_digest *diff_id, struct hr_err *e)
{
	if (store_object_read(t->st, STORE_LAYER, diff_id, INDEX_LIMIT, &t->index, e) < 0 ||
	    store_object_read(t->st, STORE_LAYER_LOC, diff_id, INDEX_LIMIT, &t->locs, e) < 0 ||
	    store_layer_parse(t->index.p, t->index.len, &t->layer, e) < 0 ||
	    store_loc_parse(t->locs.p, t->locs.len, t->layer.n_chunks, &t->loc, e) < 0)
		return -1;
	t->by_path = hr_xmalloc(((size_t)t->layer.n_entries + 1) * sizeof(*t->by_path));
	for (uint32_t i = 0; i < t->layer.n_entries; i++)
		t->by_path[i] = i;
	qsort_r(t->by_path, t->layer.n_entries, sizeof(*t->by_path), by_path, &t->layer);
	t->packs = store_pack_reader_new(t->st);
	t->plain = hr_xmalloc(STORE_CHUNK_MAX);
	return 0;
}

int store_layer_tar(const struct store *st, const struct fetch_digest *diff_id, fetch_sink *sink,
		    void *arg, struct hr_err *e)
{
	HR_CLEANUP(layer_tar_release)
	struct layer_tar t = { .st = st, .chunk = NOTHING };
	char text[FETCH_DIGEST_TEXT];

	if (open_layer(&t, diff_id, e) < 0 || tar_out_open(&t.out, sink, arg, e) < 0)
		return hr_wrap(e, "layer %s", fetch_digest_text(diff_id, text));
	for (uint32_t i = 0; i < t.layer.n_entries; i++)
		if (put_entry(&t, i, e) < 0)
			return hr_wrap(e, "layer %s", fetch_digest_text(diff_id, text));
	return tar_out_close(&t.out, e);
}
