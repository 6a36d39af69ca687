/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "tests/unit/native_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/poison.h"

struct rig rig;
const struct fetch_digest rig_manifest = { { 1, 2, 3 } };
const uint8_t rig_chunk1[5] = "12345";
static struct hr_buf bytes; /* of the index */

const uint8_t *rig_content(uint32_t chunk, uint32_t *n)
{
	*n = chunk == 0 ? sizeof(rig.chunk0) : sizeof(rig_chunk1);
	return chunk == 0 ? rig.chunk0 : rig_chunk1;
}

static uint32_t add_chunk(struct store_index_builder *b, uint32_t chunk)
{
	struct fetch_digest d;
	uint32_t n;
	const uint8_t *p = rig_content(chunk, &n);

	fetch_digest_of(p, n, &d);
	return store_index_builder_chunk(b, &d, store_crc64(p, n), n);
}

static struct store_inode regular(uint64_t size, uint32_t first, uint32_t count)
{
	return (struct store_inode) { .mode = S_IFREG | 04751,
				      .nlink = 1,
				      .size = size,
				      .mtime = 1000000000,
				      .mtime_ns = 123456789,
				      .first = first,
				      .count = count };
}

static void build(struct store_index_builder *b)
{
	uint32_t c0 = add_chunk(b, 0), c1 = add_chunk(b, 1), x, first;
	struct store_inode dir = { .mode = S_IFDIR | 0755, .nlink = 3, .count = 2 }, i;

	dir.first = store_index_builder_entry(b, "dir", 3, DIRECTORY);
	store_index_builder_entry(b, "part", 4, PART);
	store_index_builder_inode(b, &dir);
	x = store_index_builder_extent(b, 0, c0, 0);
	store_index_builder_extent(b, MIB, STORE_HOLE, 0);
	store_index_builder_extent(b, 2 * MIB, c1, 0);
	i = regular(2 * MIB + 5, x, 3);
	store_index_builder_inode(b, &i);
	x = store_index_builder_extent(b, 0, c0, 0);
	i = regular(MIB - 1, x, 1);
	store_index_builder_inode(b, &i);
	x = store_index_builder_extent(b, 0, c0, 1);
	store_index_builder_extent(b, MIB - 1, c1, 0);
	i = regular(MIB + 4, x, 2);
	store_index_builder_inode(b, &i);
	first = store_index_builder_entry(b, "big", 3, BIG);
	store_index_builder_entry(b, "small", 5, SMALL);
	dir = (struct store_inode) {
		.mode = S_IFDIR | 0755, .nlink = 2, .first = first, .count = 2
	};
	store_index_builder_inode(b, &dir);
}

bool rig_plain(void *arg, uint32_t chunk, uint8_t *out, uint32_t n)
{
	uint32_t have;
	const uint8_t *p = rig_content(chunk, &have);

	(void)arg;
	rig.asked++;
	assert_int_equal(n, have);
	memcpy(out, p, n);
	out[0] ^= rig.wrong;
	return true;
}

bool rig_has(void *arg, uint32_t chunk)
{
	(void)arg;
	return chunk != rig.absent;
}

bool rig_go_on(void *arg)
{
	(void)arg;
	return rig.allowed-- > 0;
}

int rig_setup_all(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct hr_err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rig.chunk0); i++)
		rig.chunk0[i] = (uint8_t)(i * 7 + i / 251);
	build(b);
	if (store_index_builder_finish(b, &rig_manifest, &rig_manifest, "{}", 2, &bytes, &e) < 0 ||
	    store_index_parse(bytes.p, bytes.len, &rig.ix, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

int rig_teardown_all(void **state)
{
	(void)state;
	store_index_free(rig.ix);
	hr_buf_release(&bytes);
	return 0;
}

int rig_setup(void **state)
{
	struct store_native_maker_options o = { .ix = rig.ix,
						.sha256 = fetch_digest_of,
						.source = { .plain = rig_plain },
						.has = rig_has,
						.cache_bytes = 64 * MIB,
						.go_on = rig_go_on };
	struct hr_err e = { 0 };

	(void)state;
	snprintf(rig.top, sizeof(rig.top), "/tmp/test_store_native.XXXXXX");
	if (!mkdtemp(rig.top) || store_cache_open(rig.top, &rig.cache, &e) < 0)
		return -1;
	o.cache = rig.cache;
	rig.maker = store_native_maker_new(&o);
	rig.asked = 0;
	rig.allowed = 1000;
	rig.wrong = false;
	rig.absent = UINT32_MAX;
	return 0;
}

int rig_teardown(void **state)
{
	(void)state;
	store_native_maker_free(rig.maker);
	store_cache_close(rig.cache);
	return tree_remove(rig.top);
}

struct store_inode rig_inode(uint32_t ino)
{
	struct store_inode i;

	assert_true(store_index_inode(rig.ix, ino, &i));
	return i;
}

struct store_cache_file_want rig_big_want(void)
{
	struct store_inode big = rig_inode(BIG);
	struct store_cache_file_want want;

	assert_true(store_native_want(rig.ix, &big, fetch_digest_of, &want));
	return want;
}

enum store_native_made rig_make_big(struct store_cache_file **f, struct hr_err *e)
{
	struct store_inode big = rig_inode(BIG);

	return store_native_make(rig.maker, &big, f, e);
}

void rig_path(const char *suffix, char out[256])
{
	struct store_cache_file_want want = rig_big_want();
	char hex[FETCH_DIGEST_HEX];

	fetch_digest_hex(&want.name, hex);
	snprintf(out, 256, "%s/files/%.2s/%s%s", rig.top, hex, hex, suffix);
}

void rig_make_it(void)
{
	struct store_cache_file *f = NULL;
	struct hr_err e = { 0 };

	if (rig_make_big(&f, &e) != STORE_NATIVE_WHOLE)
		fail_msg("%s", e.text);
	store_cache_file_close(f);
}

enum store_cache_file_state rig_state(void)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_file_want want = rig_big_want();
	struct hr_err e = { 0 };

	if (store_cache_file_open(rig.cache, &want, true, &f, &e) < 0)
		fail_msg("%s", e.text);
	return store_cache_file_state(f);
}
