/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/cmd_image.h"

#include <string.h>

#include "store/url_file.h"
#include "util/source.h"
#include "util/poison.h"

#define CHUNK_MEMORY (32u << 20)

int store_cmd_image_open(const struct store_paths *paths, const char *name,
			 struct store_cmd_image *out, struct hr_err *e)
{
	bool in_place = hr_source_of(name) == HR_SOURCE_FILE;
	struct store_chunk_source source;

	if (store_url_file_is_named(name))
		return store_cmd_refuse_file(name, e);
	if (in_place) {
		if (store_file_open(name, NULL, &out->file, e) < 0)
			return -1;
		out->ix = store_image_index(store_file_image(out->file));
		source = store_file_source(out->file);
	} else {
		if (store_image_open(paths, name, &out->img, e) < 0)
			return -1;
		out->ix = store_image_index(out->img);
		source = store_image_source(out->img);
	}
	out->chunks =
		store_chunks_new(out->ix, &source, CHUNK_MEMORY, in_place ? NULL : fetch_digest_of);
	return 0;
}

void store_cmd_image_release(struct store_cmd_image *i)
{
	store_chunks_free(i->chunks);
	store_image_close(i->img);
	store_file_close(i->file);
	memset(i, 0, sizeof(*i));
}
