/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metadata of a squashfs from anywhere: the walk ends; an error is explained; an index is one
 * that its readers take, with chunks that lie inside the file.
 */
#include "config.h"

#include "store/index.h"
#include "store/sqfs_index.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/poison.h"

static void check_chunks(const struct store_index *ix, const struct store_loc *l, size_t n)
{
	for (uint32_t i = 0; i < store_index_chunks(ix); i++) {
		struct store_sqfs_place at;
		struct store_chunk c;
		struct hr_err e = { 0 };

		FUZZ_CHECK(store_index_chunk(ix, i, &c));
		FUZZ_CHECK(store_sqfs_place_get(&c.digest, &at, &e) == 0);
		FUZZ_CHECK(at.bytes == c.bytes && at.off == store_loc_chunk(l, i).frame_off);
		FUZZ_CHECK(at.off + (at.size & ~STORE_SQFS_UNCOMPRESSED) <= n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	HR_CLEANUP(store_index_freep) struct store_index *ix = NULL;
	hr_autobuf struct hr_buf index = { 0 }, loc = { 0 };
	const struct fetch_digest name = { { 1 } };
	struct store_sqfs_super s;
	struct hr_err e = { 0 };
	struct store_loc l;

	if (store_sqfs_super_parse(p, n, n, &s, &e) < 0) {
		FUZZ_CHECK((e.kind == HR_CORRUPT || e.kind == HR_USAGE) && e.text[0] != '\0');
		return 0;
	}
	if (store_sqfs_load(s.compressor, &e) < 0)
		return 0;
	if (store_sqfs_index(&s, 0, p + s.metadata, &name, &index, &loc, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
		return 0;
	}
	FUZZ_CHECK(store_index_parse(index.p, index.len, &ix, &e) == 0);
	FUZZ_CHECK(store_loc_parse(loc.p, loc.len, store_index_chunks(ix), &l, &e) == 0);
	check_chunks(ix, &l, n);
	return 0;
}
