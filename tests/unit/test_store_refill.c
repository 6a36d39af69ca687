/* SPDX-License-Identifier: BSD-3-Clause */
/* The helper that looks for lost chunks: first in the cache, then in those layers that have some.
 * The registry is a part of this program. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/cut.h"
#include "store/layer.h"
#include "store/refill.h"
#include "tests/unit/chunk_rig.h"
#include "tests/unit/store_rig.h"
#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define LAYERS	 CHUNK_RIG_LAYERS
#define PLENTY	 (1u << 30)
#define TAR_NAME "file"

/* What the layers have: each chunk is the end of a file, behind a chunk of no image. */
static const uint32_t content[LAYERS][2] = { { 0, 1 }, { 2, 6 }, { 0, BY_CRC_ALONE } };

/* ---- a registry, in place of fetch ---- */

static struct {
	unsigned int manifests, blobs[LAYERS], advices; /* asked for */
	size_t n_layers;				/* that the manifest tells of */
	bool cut;					/* the blobs end too early */
	uint32_t brings; /* a chunk that somebody else brings while the manifest is asked for */
} registry;

static void add_file(struct hr_buf *b, uint32_t chunk)
{
	uint8_t h[512] = TAR_NAME;
	static uint8_t file[STORE_CUT_PIECE + 1000];
	unsigned int sum = 8 * ' ';
	uint32_t n;
	const uint8_t *p = chunk_rig_content(chunk, &n);

	assert_int_equal(n, 1000);
	memset(file, 0xee, sizeof(file));
	memcpy(file + STORE_CUT_PIECE, p, n);
	snprintf((char *)h + 100, 8, "%07o", 0644);
	snprintf((char *)h + 124, 12, "%011zo", sizeof(file));
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
	h[155] = ' ';
	hr_buf_add(b, h, sizeof(h));
	hr_buf_add(b, file, sizeof(file));
	hr_buf_pad(b, 512);
}

int fetch_manifest_get(struct fetch_client *c, const struct fetch_ref *ref, struct hr_buf *doc,
		       struct fetch_digest *digest, struct hr_err *e)
{
	(void)c;
	(void)ref;
	(void)e;
	registry.manifests++;
	if (registry.brings != STORE_HOLE)
		chunk_rig_cache(registry.brings, false);
	memset(digest, 0, sizeof(*digest));
	hr_buf_printf(doc,
		      "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
		      "\"application/vnd.oci.image.config.v1+json\",\"size\":2,"
		      "\"digest\":\"sha256:%064d\"},\"layers\":[",
		      9);
	for (size_t i = 0; i < registry.n_layers; i++)
		hr_buf_printf(doc,
			      "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
			      "\"size\":1,\"digest\":\"sha256:%064zu\"}",
			      i > 0 ? "," : "", i);
	hr_buf_str(doc, "]}");
	return 0;
}

int fetch_blob_get(struct fetch_client *c, const struct fetch_ref *ref,
		   const struct fetch_descriptor *d, fetch_sink *sink, void *arg, struct hr_err *e)
{
	hr_autobuf struct hr_buf b = { 0 };
	size_t layer = d->digest.b[sizeof(d->digest.b) - 1];

	(void)c;
	(void)ref;
	registry.blobs[layer]++;
	for (size_t i = 0; i < HR_COUNT(content[layer]); i++)
		add_file(&b, content[layer][i]);
	for (int i = 0; i < 2 * 512; i++)
		hr_buf_le(&b, 0, 1);
	return sink(arg, b.p, registry.cut ? 1000 : b.len, e);
}

static struct fetch_digest diff_id(uint8_t layer)
{
	struct fetch_digest d = { { 0 } };

	d.b[sizeof(d.b) - 1] = layer;
	return d;
}

/* What a store knows of a layer: that it has these chunks. */
static void layer_index(uint8_t layer, const uint32_t *chunks, uint32_t n, struct hr_buf *out)
{
	const struct store_layer_entry file = { .kind = STORE_ENTRY_NODE,
						.attr = { .mode = S_IFREG | 0644, .size = n },
						.path = { TAR_NAME, strlen(TAR_NAME) } };
	struct store_layer_builder b = { 0 };
	struct store_chunk of[CHUNKS];
	uint32_t ticket[CHUNKS], got;
	struct fetch_digest d = diff_id(layer);
	hr_autofree uint32_t *order = NULL;

	for (uint32_t i = 0; i < n; i++) {
		ticket[i] = i;
		assert_true(store_index_chunk(store_image_index(rig.img), chunks[i], &of[i]));
		store_layer_build_extent(&b, &(struct store_extent) { i, i, 0 });
	}
	MUST(store_layer_build_entry(&b, &file, &err));
	store_layer_build_finish(&b, ticket, of, n, 1, &d, out, &order, &got);
	store_layer_build_release(&b);
}

/* An advisor behind a URL tells the truth of all layers. */
int fetch_web_read(struct fetch_client *c, const char *url, uint64_t limit, struct hr_buf *b,
		   struct hr_err *e)
{
	uint8_t layer = (uint8_t)(url[strlen(url) - 1] - '0');

	(void)c;
	(void)limit;
	(void)e;
	registry.advices++;
	assert_int_equal(strncmp(url, "http://advisor/layers/", 22), 0);
	layer_index(layer, content[layer], 2, b);
	return 0;
}

/* ---- a search ---- */

static struct {
	unsigned int times[CHUNKS];
	bool wrong, refuse;
} found;

static int on_found(void *arg, uint32_t chunk, const uint8_t *p, uint32_t bytes, struct hr_err *e)
{
	uint32_t n;
	const uint8_t *want = chunk_rig_content(chunk, &n);

	(void)arg;
	found.times[chunk]++;
	found.wrong = found.wrong || bytes != n || memcmp(p, want, n) != 0;
	return found.refuse ? hr_fail(e, HR_DENIED, 0, "enough") : 0;
}

static struct store_refill usual(void)
{
	static const struct fetch_ref ref = { .has_digest = true };

	return (struct store_refill) { .ref = &ref,
				       .ix = store_image_index(rig.img),
				       .loc = store_image_loc(rig.img),
				       .cache = rig.cache,
				       .max_bytes = PLENTY,
				       .found = on_found };
}

static int search(const struct store_refill *r, const uint32_t *chunks, size_t n)
{
	memset(&found, 0, sizeof(found));
	err = (struct hr_err) { 0 };
	return store_refill_run(r, chunks, n, &err);
}

/* N chunks are looked for, and found, once each. */
static void finds(const struct store_refill *r, const uint32_t *chunks, size_t n)
{
	if (search(r, chunks, n) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(found.times[chunks[i]], 1);
	assert_false(found.wrong);
}

static unsigned int blobs(void)
{
	return registry.blobs[0] + registry.blobs[1] + registry.blobs[2];
}

static int setup(void **state)
{
	memset(&registry, 0, sizeof(registry));
	registry.n_layers = LAYERS;
	registry.brings = STORE_HOLE;
	return chunk_rig_setup(state);
}

/* ---- the cache ---- */

static void what_is_in_the_cache_is_asked_of_nobody(void **state)
{
	static const uint32_t chunks[] = { 2, LARGEST, 0, 0 };
	const struct store_refill r = usual();

	(void)state;
	chunk_rig_cache(0, false);
	chunk_rig_cache(2, false);
	chunk_rig_cache(LARGEST, false);
	finds(&r, chunks, HR_COUNT(chunks));
	assert_int_equal(found.times[1], 0);
	assert_int_equal(registry.manifests, 0);
}

static void what_is_damaged_there_is_looked_for(void **state)
{
	static const uint32_t chunks[] = { 0, 1 };
	const struct store_refill r = usual();

	(void)state;
	chunk_rig_cache(0, true);
	chunk_rig_cache(1, false);
	finds(&r, chunks, HR_COUNT(chunks));
	assert_int_equal(registry.manifests, 1);
	registry.manifests = 0;
	finds(&r, chunks, 1); /* and is right there then */
	assert_int_equal(registry.manifests, 0);
}

/* By digest: who asked trusts this more than a check sum. */
static void what_has_only_its_check_sum_is_not_given(void **state)
{
	static const uint32_t chunks[] = { BY_CRC_ALONE };
	const struct store_refill r = usual();

	(void)state;
	chunk_rig_cache(BY_CRC_ALONE, false);
	assert_int_equal(search(&r, chunks, 1), -1);
	assert_int_equal(err.kind, HR_NOTFOUND);
	assert_int_equal(found.times[BY_CRC_ALONE], 0);
	assert_false(chunk_rig_cached(BY_CRC_ALONE));
}

static void what_another_brought_meanwhile_is_not_downloaded(void **state)
{
	static const uint32_t chunks[] = { 0 };
	const struct store_refill r = usual();

	(void)state;
	registry.brings = 0;
	finds(&r, chunks, 1);
	assert_int_equal(registry.manifests, 1);
	assert_int_equal(blobs(), 0);
}

static void what_passes_by_is_kept(void **state)
{
	static const uint32_t chunks[] = { 0 }, next[] = { 1 };
	const struct store_refill r = usual();

	(void)state;
	finds(&r, chunks, 1);
	assert_int_equal(found.times[1], 0);
	assert_true(chunk_rig_cached(0));
	assert_true(chunk_rig_cached(1));
	assert_int_equal(blobs(), 1);
	finds(&r, next, 1);
	assert_int_equal(blobs(), 1);
}

static void without_a_cache_it_is_found_all_the_same(void **state)
{
	static const uint32_t chunks[] = { 0, 6 };
	struct store_refill r = usual();

	(void)state;
	r.cache = NULL;
	finds(&r, chunks, HR_COUNT(chunks));
}

/* ---- layers ---- */

static void no_layer_more_than_needed_is_downloaded(void **state)
{
	static const uint32_t first[] = { 1 }, both[] = { 0, 2 };
	struct store_refill r = usual();

	(void)state;
	finds(&r, first, 1);
	assert_int_equal(registry.blobs[0], 1);
	assert_int_equal(blobs(), 1); /* nothing is known of the others, and wanted of them */
	r.advisor = "http://advisor";
	finds(&r, both, 2); /* 0 passed by */
	assert_int_equal(registry.blobs[1], 1);
	assert_int_equal(blobs(), 2);
}

static void those_that_have_it_come_first(void **state)
{
	static const uint32_t chunks[] = { 6 };
	const char *const advisors[] = { rig.store_path, "http://advisor" };
	hr_autobuf struct hr_buf b = { 0 };
	struct fetch_digest d = diff_id(1);

	(void)state;
	layer_index(1, content[1], 2, &b);
	MUST(store_object_write(rig.st, STORE_LAYER, &d, b.p, b.len, &err));
	for (size_t i = 0; i < HR_COUNT(advisors); i++) {
		struct store_refill r = usual();

		memset(registry.blobs, 0, sizeof(registry.blobs));
		r.advisor = advisors[i];
		r.cache = NULL;
		finds(&r, chunks, 1);
		assert_int_equal(registry.blobs[1], 1);
		assert_int_equal(blobs(), 1);
	}
	assert_int_equal(registry.advices, 2); /* of layer 0, and of 1, which had it */
}

/* It can hide a chunk, and make no other one of it. */
static void an_advisor_that_lies_or_is_damaged_does_no_harm(void **state)
{
	static const uint32_t chunks[] = { 6 }, others[] = { 0, 1 };
	hr_autobuf struct hr_buf b = { 0 };
	struct fetch_digest d0 = diff_id(0), d1 = diff_id(1);
	struct store_refill r = usual();

	(void)state;
	r.advisor = rig.store_path;
	r.cache = NULL;
	layer_index(0, content[1], 2, &b);
	MUST(store_object_write(rig.st, STORE_LAYER, &d0, b.p, b.len, &err));
	finds(&r, chunks, 1); /* not where it was told; of layer 1 nothing is known */
	assert_int_equal(registry.blobs[0], 1);
	assert_int_equal(registry.blobs[1], 1);

	b.len = 0;
	layer_index(1, others, 2, &b);
	MUST(store_object_write(rig.st, STORE_LAYER, &d1, b.p, b.len, &err));
	assert_int_equal(search(&r, chunks, 1), -1);
	assert_int_equal(err.kind, HR_NOTFOUND);
	assert_string_equal(err.text, "chunks of the image that are in none of its layers: 1");

	MUST(store_object_write(rig.st, STORE_LAYER, &d1, b.p, b.len - 1, &err));
	finds(&r, chunks, 1);
}

/* ---- failures ---- */

static void what_fails_is_told(void **state)
{
	static const uint32_t chunks[] = { 0, CHUNKS };
	struct store_refill r = usual();

	(void)state;
	assert_int_equal(search(&r, chunks, 2), -1);
	assert_int_equal(err.kind, HR_USAGE);
	assert_string_equal(err.text, "the image has no chunk 8");
	assert_int_equal(registry.manifests, 0);

	registry.n_layers = LAYERS - 1;
	assert_int_equal(search(&r, chunks, 1), -1);
	assert_int_equal(err.kind, HR_CORRUPT);
	assert_string_equal(err.text, "the manifest has 2 layers, the image config 3");
	registry.n_layers = LAYERS;

	registry.cut = true;
	assert_int_equal(search(&r, chunks, 1), -1);
	assert_int_equal(err.kind, HR_CORRUPT);
	assert_int_equal(strncmp(err.text, "layer sha256:00", 15), 0);
	r.advisor = "http://advisor"; /* who knows that it is there, and not only there */
	assert_int_equal(search(&r, chunks, 1), -1);
	assert_int_equal(err.kind, HR_CORRUPT);
	r.advisor = NULL;
	registry.cut = false;

	r.max_bytes = 2 * STORE_CUT_PIECE;
	assert_int_equal(search(&r, chunks, 1), -1);
	assert_non_null(strstr(err.text, "more than"));
	r.max_bytes = PLENTY;
	assert_int_equal(registry.blobs[0], 3);
	assert_int_equal(blobs(), 3); /* the first failure is the last */
}

static void who_asked_may_have_enough(void **state)
{
	static const uint32_t chunks[] = { 0, 1, 2 };
	const struct store_refill r = usual();

	(void)state;
	for (int cached = 0; cached < 2; cached++) {
		memset(&found, 0, sizeof(found));
		found.refuse = true;
		err = (struct hr_err) { 0 };
		assert_int_equal(store_refill_run(&r, chunks, HR_COUNT(chunks), &err), -1);
		assert_int_equal(err.kind, HR_DENIED);
		assert_int_equal(found.times[0] + found.times[1] + found.times[2], 1);
		chunk_rig_cache(0, false);
	}
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, chunk_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(what_is_in_the_cache_is_asked_of_nobody),
		EACH(what_is_damaged_there_is_looked_for),
		EACH(what_has_only_its_check_sum_is_not_given),
		EACH(what_another_brought_meanwhile_is_not_downloaded),
		EACH(what_passes_by_is_kept),
		EACH(without_a_cache_it_is_found_all_the_same),
		EACH(no_layer_more_than_needed_is_downloaded),
		EACH(those_that_have_it_come_first),
		EACH(an_advisor_that_lies_or_is_damaged_does_no_harm),
		EACH(what_fails_is_told),
		EACH(who_asked_may_have_enough),
	};

	return cmocka_run_group_tests_name("store refill", tests, NULL, NULL);
}
