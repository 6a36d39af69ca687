/* SPDX-License-Identifier: BSD-3-Clause */
/* What the pager fetches on speculation, beside a trace and without one, and when it is to fetch
 * all. No thread of it runs: a
 * chunk that is to be fetched stays PAGER_LATER. */
#include "config.h"

#include "store/pager_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/index_sample.h"
#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define CHUNKS 12
#define LEN    STORE_CACHE_MOVE_MIN

static char dir[64];
static struct store_cache *cache;
static struct store_index *ix;
static struct store_loc loc;
static struct hr_buf ix_bytes, loc_bytes;
static struct hr_strv origins;
static struct hr_stats stats;
static struct store_pager *pagers[8]; /* they live as long as the process */
static size_t n_pagers;

static void notice(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static int setup(void **state)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	const struct store_inode root = { .mode = S_IFDIR | 0755, .nlink = 2 };
	const struct store_loc_pack pack = { { { 1 } }, CHUNKS };
	struct store_loc_chunk at[CHUNKS];
	struct hr_err e = { 0 };

	(void)state;
	store_index_builder_inode(b, &root);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		const struct fetch_digest d = { { (uint8_t)(i + 1) } };

		store_index_builder_chunk(b, &d, 1, LEN);
		/* none beside another */
		at[i] = (struct store_loc_chunk) {
			.frame_off = 2 * LEN * i, .plain_off = LEN * i, .frame_len = LEN, .frame = i
		};
	}
	index_sample_finish(b, &ix_bytes);
	ix = index_sample_parse(&ix_bytes);
	store_loc_write(&pack, 1, at, CHUNKS, &loc_bytes);
	snprintf(dir, sizeof(dir), "/tmp/test_store_pager.XXXXXX");
	if (store_loc_parse(loc_bytes.p, loc_bytes.len, CHUNKS, &loc, &e) < 0 || !mkdtemp(dir) ||
	    store_cache_open(dir, &cache, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(dir);
}

static struct store_pager *new_pager(void)
{
	const struct store_pager_options o = { .ix = ix,
					       .loc = &loc,
					       .origins = &origins,
					       .trace = store_trace_new(ix),
					       .cache = cache,
					       .stats = &stats,
					       .notice = notice,
					       .guess = true,
					       .threads = 1 };

	return pagers[n_pagers++] = store_pager_new(&o);
}

static void touch(struct store_pager *p, uint32_t from, uint32_t end)
{
	const struct store_chunk_source s = store_pager_source(p);
	uint8_t out[LEN];

	for (; from < end; from++)
		assert_false(s.plain(s.arg, from, out, LEN));
}

static void tell(struct store_pager *p, uint32_t from, uint32_t end)
{
	for (; from < end; from++)
		store_pager_later(p, from);
}

/* Whether a chunk is fetched that is foreseen. */
static bool fetched(struct store_pager *p, uint32_t chunk)
{
	store_pager_foreseen(p, &chunk, 1, 1);
	return p->state[chunk] == PAGER_LATER;
}

static void without_a_trace(void **state)
{
	struct store_pager *p = new_pager();

	(void)state;
	assert_true(fetched(p, 10));
}

static void as_the_trace_says(void **state)
{
	struct store_pager *p = new_pager();

	(void)state;
	tell(p, 0, 8);
	assert_int_equal(p->state[7], PAGER_LATER);
	touch(p, 0, 8);
	assert_false(fetched(p, 10));
}

static void touched_before_it_is_told(void **state)
{
	struct store_pager *p = new_pager();

	(void)state;
	touch(p, 0, 8);
	tell(p, 0, 8);
	tell(p, 0, 8); /* counted once */
	assert_false(fetched(p, 10));
}

static void not_as_the_trace_says(void **state)
{
	struct store_pager *p = new_pager();

	(void)state;
	tell(p, 0, 2);
	touch(p, 4, 8);
	assert_true(fetched(p, 10));
}

/* A large file was evicted, the pack whose chunk lay in it was not. */
static void all_is_what_the_cache_does_not_have(void **state)
{
	static const uint8_t content[LEN];
	const struct store_loc_pack name = store_loc_pack(&loc, 0);
	const struct store_cache_at gone = { { { 'f' } }, 0 };
	struct store_pager *p = new_pager();
	struct store_cache_pack *pack;
	struct hr_err e = { 0 };

	(void)state;
	if (store_cache_pack_open(cache, &name.name, name.frames, &pack, &e) < 0 ||
	    store_cache_put(pack, 3, 3 * LEN, content, LEN, &e) < 0 ||
	    store_cache_refer(pack, 4, 4 * LEN, &gone, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(store_pager_has(p, 4)); /* nobody looked */
	store_pager_fill(p, NULL, 0);
	for (uint32_t i = 0; i < CHUNKS; i++)
		assert_int_equal(p->state[i], i == 3 ? PAGER_IDLE : PAGER_LATER);
	store_cache_pack_close(pack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_trace),
		cmocka_unit_test(as_the_trace_says),
		cmocka_unit_test(touched_before_it_is_told),
		cmocka_unit_test(not_as_the_trace_says),
		cmocka_unit_test(all_is_what_the_cache_does_not_have),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
