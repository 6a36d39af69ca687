/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tests/unit/chunk_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/loc.h"
#include "tests/unit/index_sample.h"
#include "tests/unit/store_rig.h"
#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define BYTES 1000u

#define DIFF_ID(n)                                                                                 \
	"\"sha256:000000000000000000000000000000000000000000000000000000000000000" #n "\""

struct chunk_rig rig;

static const char chunk_rig_config[] =
	"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
	"\"diff_ids\":[" DIFF_ID(0) "," DIFF_ID(1) "," DIFF_ID(2) "]}}";

static const struct fetch_digest pack_name = { { 'p' } }, index_name = { { 'i' } };

const uint8_t *chunk_rig_content(uint32_t chunk, uint32_t *n)
{
	static uint8_t content[CHUNKS][STORE_CHUNK_MAX];
	uint8_t *p = content[chunk];

	*n = chunk == LARGEST ? STORE_CHUNK_MAX : BYTES;
	for (uint32_t i = 0; i < *n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251 + chunk * 13 + 1);
	return p;
}

static uint64_t plain_off(uint32_t chunk)
{
	return (uint64_t)chunk * STORE_CHUNK_MAX;
}

static void put_index(void)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	const struct store_inode root = { .mode = S_IFDIR | 0755, .nlink = 2 };
	hr_autobuf struct hr_buf bytes = { 0 };

	store_index_builder_inode(b, &root);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct fetch_digest d;
		uint32_t n;
		const uint8_t *p = chunk_rig_content(i, &n);

		fetch_digest_of(p, n, &d);
		d.b[0] ^= i == BY_CRC_ALONE;
		store_index_builder_chunk(b, &d, store_crc64(p, n) ^ (i == BY_DIGEST_ALONE), n);
	}
	MUST(store_index_builder_finish(b, &index_sample_manifest, &index_sample_config,
					chunk_rig_config, strlen(chunk_rig_config), &bytes, &err));
	MUST(store_object_write(rig.st, STORE_INDEX, &index_name, bytes.p, bytes.len, &err));
}

static void put_loc(void)
{
	const struct store_loc_pack pack = { pack_name, CHUNKS };
	hr_autobuf struct hr_buf bytes = { 0 };
	struct store_loc_chunk at[CHUNKS];

	for (uint32_t i = 0; i < CHUNKS; i++)
		at[i] = (struct store_loc_chunk) { .frame_off = (uint64_t)i * BYTES,
						   .plain_off = plain_off(i),
						   .frame_len = BYTES,
						   .frame = i };
	store_loc_write(&pack, 1, at, CHUNKS, &bytes);
	MUST(store_object_write(rig.st, STORE_INDEX_LOC, &index_name, bytes.p, bytes.len, &err));
}

static void put_record(void)
{
	struct store_record_layer layer = { { { 'd' } }, { { 'b' } } };
	char created[] = "-";
	const struct store_image_record r = { .index = index_name,
					      .config = index_sample_config,
					      .created = created,
					      .layers = &layer,
					      .n_layers = 1 };
	hr_autobuf struct hr_buf bytes = { 0 };

	store_image_record_write(&r, &bytes);
	MUST(store_object_write(rig.st, STORE_IMAGE, &index_sample_manifest, bytes.p, bytes.len,
				&err));
}

int chunk_rig_setup(void **state)
{
	char digest[FETCH_DIGEST_TEXT], *paths[1] = { rig.store_path };
	const struct store_paths stores = { .v = paths, .n = 1 };

	(void)state;
	snprintf(rig.top, sizeof(rig.top), "/tmp/test_store_chunk.XXXXXX");
	assert_non_null(mkdtemp(rig.top));
	snprintf(rig.store_path, sizeof(rig.store_path), "%s/store", rig.top);
	snprintf(rig.cache_path, sizeof(rig.cache_path), "%s/cache", rig.top);
	MUST(store_open(rig.store_path, STORE_WRITE, NULL, &rig.st, &err));
	put_index();
	put_loc();
	put_record();
	fetch_digest_text(&index_sample_manifest, digest);
	MUST(store_image_open(&stores, digest, &rig.img, &err));
	MUST(store_cache_open(rig.cache_path, &rig.cache, &err));
	MUST(store_cache_pack_open(rig.cache, &pack_name, CHUNKS, &rig.pack, &err));
	return 0;
}

int chunk_rig_teardown(void **state)
{
	(void)state;
	store_cache_pack_close(rig.pack);
	store_cache_close(rig.cache);
	store_image_close(rig.img);
	store_close(rig.st);
	return tree_remove(rig.top);
}

void chunk_rig_cache(uint32_t chunk, bool wrong)
{
	uint32_t n;
	const uint8_t *p = chunk_rig_content(chunk, &n);
	hr_autofree uint8_t *copy = malloc(n);

	assert_non_null(copy);
	memcpy(copy, p, n);
	copy[n - 1] ^= wrong;
	MUST(store_cache_put(rig.pack, chunk, plain_off(chunk), copy, n, &err));
}

bool chunk_rig_cached(uint32_t chunk)
{
	return store_cache_has(rig.pack, chunk);
}

void chunk_rig_name(const char *name, bool fetched, const struct fetch_digest *manifest)
{
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	char server[] = "localhost:1", files[] = STORE_SERVER_FILES;
	const struct fetch_digest m = manifest ? *manifest : index_sample_manifest;
	const struct store_ref_record r = {
		.manifest = m, .document = m, .pulled = 1, .server = fetched ? server : files
	};

	MUST(fetch_ref_parse(name, &ref, &err));
	MUST(store_ref_write(rig.st, &ref, &r, &err));
}
