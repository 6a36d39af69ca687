/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/import_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store/meta.h"
#include "store/merge.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

/* An object of the store, mapped: there may be hundreds of layers, each read twice. */
struct mapping {
	void *p;
	size_t n;
};

static int map_object(const struct store *st, enum store_kind kind, const struct fetch_digest *d,
		      struct mapping *out, struct hr_err *e)
{
	char path[STORE_OBJECT_PATH];
	uint64_t size;
	hr_autofd int fd = store_object_open(st, kind, d, &size, e);

	if (fd < 0)
		return -1;
	store_object_path(kind, d, path);
	if (size == 0 || size > SIZE_MAX / 2)
		return hr_fail(e, HR_CORRUPT, 0, "'%s/%s' is empty", st->path, path);
	out->p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (out->p == MAP_FAILED) {
		out->p = NULL;
		return hr_fail(e, HR_SYS, errno, "cannot map '%s/%s'", st->path, path);
	}
	out->n = (size_t)size;
	return 0;
}

static void unmap_all(struct mapping *maps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (maps[i].p)
			munmap(maps[i].p, maps[i].n);
	free(maps);
}

static int add_layer(const struct store *st, const struct fetch_digest *diff_id,
		     struct mapping maps[2], struct store_merge *m, struct hr_err *e)
{
	struct store_layer layer;
	struct store_loc loc;

	if (map_object(st, STORE_LAYER, diff_id, &maps[0], e) < 0 ||
	    map_object(st, STORE_LAYER_LOC, diff_id, &maps[1], e) < 0 ||
	    store_layer_parse(maps[0].p, maps[0].n, &layer, e) < 0 ||
	    store_loc_parse(maps[1].p, maps[1].n, layer.n_chunks, &loc, e) < 0)
		return -1;
	return store_merge_layer(m, &layer, &loc, e);
}

static int add_layers(const struct store *st, const struct store_import_merge_image *image,
		      struct mapping *maps, struct store_merge *m, struct hr_err *e)
{
	char text[FETCH_DIGEST_TEXT];

	for (size_t i = 0; i < image->n_layers; i++)
		if (add_layer(st, &image->layers[i].diff_id, &maps[2 * i], m, e) < 0)
			return hr_wrap(e, "layer %s",
				       fetch_digest_text(&image->layers[i].blob.digest, text));
	return 0;
}

static int make_record(const struct store_import_merge_image *image,
		       const struct fetch_digest *index, const struct store_merge_sums *sums,
		       struct hr_buf *out, struct hr_err *e)
{
	hr_autofree struct store_record_layer *layers =
		hr_xmalloc(image->n_layers * sizeof(*layers) + 1);
	hr_autofree char *created = image->created ? hr_xstrdup(image->created) : NULL;
	struct store_image_record r = { .index = *index,
					.config = image->config,
					.created = created,
					.size = sums->size,
					.occupies = sums->frames,
					.layers = layers,
					.n_layers = image->n_layers };

	for (size_t i = 0; i < image->n_layers; i++) {
		layers[i] = (struct store_record_layer) { image->layers[i].diff_id,
							  image->layers[i].blob.digest };
		if (!hr_add(r.compressed, image->layers[i].blob.size, &r.compressed))
			return hr_fail(e, HR_CORRUPT, 0, "the layers claim more than 2^64 bytes");
	}
	store_image_record_write(&r, out);
	return 0;
}

/* The record last: it reaches the others. */
static int write_all(const struct store *st, const struct fetch_digest *manifest,
		     const struct fetch_digest *index, const struct store_meta *b, struct hr_err *e)
{
	if (store_object_write(st, STORE_INDEX_LOC, index, b->loc.p, b->loc.len, e) < 0 ||
	    store_object_write(st, STORE_INDEX, index, b->index.p, b->index.len, e) < 0 ||
	    store_meta_put(st, manifest, b, e) < 0)
		return -1;
	return store_object_write(st, STORE_IMAGE, manifest, b->record.p, b->record.len, e);
}

int store_import_merge(const struct store *st, const struct store_import_merge_image *image,
		       struct hr_err *e)
{
	struct store_merge_image head = { &image->manifest, &image->config, image->config_doc->p,
					  image->config_doc->len };
	HR_CLEANUP(store_merge_freep) struct store_merge *m = store_merge_new();
	struct mapping *maps = hr_xmalloc(2 * image->n_layers * sizeof(*maps) + 1);
	HR_CLEANUP(store_meta_release) struct store_meta b = { 0 };
	struct fetch_digest digest;
	struct store_merge_sums sums;
	int r = add_layers(st, image, maps, m, e);

	if (r == 0)
		r = store_merge_finish(m, &head, &b.index, &b.loc, &sums, e);
	unmap_all(maps, 2 * image->n_layers);
	if (r < 0)
		return -1;
	fetch_digest_of(b.index.p, b.index.len, &digest);
	if (make_record(image, &digest, &sums, &b.record, e) < 0)
		return -1;
	return write_all(st, &image->manifest, &digest, &b, e);
}
