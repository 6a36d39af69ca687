/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "store/chunks.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "util/cleanup.h"
#include "util/mem.h"
#include "util/poison.h"

#define CHUNKS 40
#define BYTES  (600u << 10) /* a large buffer each, 1 MiB of the budget */
#define MIB    (1u << 20)

/* A source in memory: chunk i is BYTES times the letter 'A' + i. Its gate holds loads back. */
struct fake {
	struct hr_buf index;
	struct store_index *ix;
	struct hr_buf frames[CHUNKS];
	atomic_int loads[CHUNKS];
	int fail; /* this chunk cannot be read; -1 none */
	pthread_mutex_t gate;
};

static int fake_frame(void *arg, uint32_t chunk, uint8_t *frame, size_t cap, size_t *len,
		      struct hr_err *e)
{
	struct fake *f = arg;

	atomic_fetch_add(&f->loads[chunk], 1);
	pthread_mutex_lock(&f->gate);
	pthread_mutex_unlock(&f->gate);
	if ((int)chunk == f->fail)
		return hr_fail(e, HR_SYS, EIO, "cannot read the pack");
	assert_true(f->frames[chunk].len <= cap);
	memcpy(frame, f->frames[chunk].p, f->frames[chunk].len);
	*len = f->frames[chunk].len;
	return 0;
}

static void fake_where(void *arg, uint32_t chunk, struct hr_buf *out)
{
	(void)arg;
	hr_buf_printf(out, "fake %u", chunk);
}

static void add_chunk(struct fake *f, struct store_index_builder *b, uint32_t i)
{
	hr_autofree uint8_t *plain = hr_xmalloc(BYTES);
	struct hr_buf *frame = &f->frames[i];
	struct fetch_digest d;
	size_t n;

	memset(plain, 'A' + (int)i, BYTES);
	fetch_digest_of(plain, BYTES, &d);
	assert_int_equal(store_index_builder_chunk(b, &d, store_crc64(plain, BYTES), BYTES), i);
	hr_buf_reserve(frame, ZSTD_compressBound(BYTES));
	n = ZSTD_compress(frame->p, frame->cap, plain, BYTES, 1);
	assert_false(ZSTD_isError(n));
	frame->len = n;
}

static int setup(void **state)
{
	struct store_index_builder *b = store_index_builder_new();
	struct fake *f = hr_xmalloc(sizeof(*f));
	struct fetch_digest none = { { 0 } };
	struct hr_err e = { 0 };

	for (uint32_t i = 0; i < CHUNKS; i++)
		add_chunk(f, b, i);
	store_index_builder_inode(b, &(struct store_inode) { .mode = S_IFDIR | 0755, .nlink = 2 });
	assert_int_equal(store_index_builder_finish(b, &none, &none, "", 0, &f->index, &e), 0);
	assert_int_equal(store_index_parse(f->index.p, f->index.len, &f->ix, &e), 0);
	store_index_builder_free(b);
	pthread_mutex_init(&f->gate, NULL);
	f->fail = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	for (uint32_t i = 0; i < CHUNKS; i++)
		hr_buf_release(&f->frames[i]);
	store_index_free(f->ix);
	hr_buf_release(&f->index);
	pthread_mutex_destroy(&f->gate);
	free(f);
	return 0;
}

static struct store_chunks *cache(struct fake *f, uint64_t budget, bool full)
{
	const struct store_chunk_source source = { .frame = fake_frame,
						   .where = fake_where,
						   .arg = f };

	return store_chunks_new(f->ix, &source, budget, full ? fetch_digest_of : NULL);
}

static void get_and_put(struct store_chunks *c, uint32_t i, uint32_t used)
{
	struct store_chunk_wait w = { 0 };
	struct store_chunk_ref ref;

	assert_int_equal(store_chunks_get(c, i, &w, &ref), STORE_CHUNK_READY);
	assert_int_equal(ref.bytes, BYTES);
	assert_int_equal(ref.p[0], 'A' + i);
	assert_int_equal(ref.p[BYTES - 1], 'A' + i);
	store_chunks_put(c, &ref, used);
}

static void test_keeps_what_is_used_in_part(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 16 * MIB, false);

	for (int round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 8; i++)
			get_and_put(c, i, 100);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(atomic_load(&f->loads[i]), 1);
	assert_int_equal(store_chunks_bytes(c), 8 * MIB);
}

static void test_reading_everything_once_needs_one_buffer(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 16 * MIB, false);

	for (uint32_t i = 0; i < CHUNKS; i++) {
		get_and_put(c, i, BYTES / 2);
		get_and_put(c, i, BYTES / 2);
	}
	assert_int_equal(store_chunks_bytes(c), MIB);
}

static void test_budget_drops_the_least_recently_used(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 4 * MIB, false);

	for (uint32_t i = 0; i < 4; i++)
		get_and_put(c, i, 1);
	get_and_put(c, 0, 1); /* 1 is the oldest now */
	get_and_put(c, 4, 1);
	assert_int_equal(store_chunks_bytes(c), 4 * MIB);
	get_and_put(c, 0, 1);
	get_and_put(c, 1, 1);
	assert_int_equal(atomic_load(&f->loads[0]), 1);
	assert_int_equal(atomic_load(&f->loads[1]), 2);
}

static void test_budget_is_exceeded_only_by_what_is_held(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 2 * MIB, false);
	struct store_chunk_ref refs[5];
	struct store_chunk_wait w = { 0 };

	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(store_chunks_get(c, i, &w, &refs[i]), STORE_CHUNK_READY);
	assert_int_equal(store_chunks_bytes(c), 5 * MIB);
	for (uint32_t i = 0; i < 5; i++)
		store_chunks_put(c, &refs[i], 1);
	assert_true(store_chunks_bytes(c) <= 2 * MIB);
}

/* ---- several threads ---- */

struct waiter {
	struct store_chunk_wait wait;
	struct store_chunks *c;
	atomic_int called;
	atomic_bool got;
};

static void waiter_done(struct store_chunk_wait *w, const struct store_chunk_ref *ref)
{
	struct waiter *me = (struct waiter *)w;

	if (ref) {
		atomic_store(&me->got, ref->p[0] == 'A' + 3);
		store_chunks_put(me->c, ref, 1);
	}
	atomic_fetch_add(&me->called, 1);
}

static void *load_three(void *arg)
{
	struct store_chunks *c = arg;
	struct store_chunk_wait w = { 0 };
	struct store_chunk_ref ref;
	enum store_chunk_got got = store_chunks_get(c, 3, &w, &ref);

	if (got == STORE_CHUNK_READY)
		store_chunks_put(c, &ref, 1);
	return (void *)(uintptr_t)got;
}

/* A thread that hangs in the load of chunk 3 until the gate is opened. */
static pthread_t begin_load(struct fake *f, struct store_chunks *c)
{
	pthread_t t;

	pthread_mutex_lock(&f->gate);
	assert_int_equal(pthread_create(&t, NULL, load_three, c), 0);
	while (atomic_load(&f->loads[3]) == 0)
		usleep(100);
	return t;
}

static enum store_chunk_got end_load(struct fake *f, pthread_t t)
{
	void *r;

	pthread_mutex_unlock(&f->gate);
	pthread_join(t, &r);
	return (enum store_chunk_got)(uintptr_t)r;
}

static void test_single_flight(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 16 * MIB, false);
	pthread_t t = begin_load(f, c);
	struct waiter w[5] = { 0 };
	struct store_chunk_ref ref;

	for (int i = 0; i < 5; i++) {
		w[i].wait.done = waiter_done;
		w[i].c = c;
		assert_int_equal(store_chunks_get(c, 3, &w[i].wait, &ref), STORE_CHUNK_PARKED);
	}
	assert_true(store_chunks_cancel(c, &w[2].wait));
	assert_false(store_chunks_cancel(c, &w[2].wait));
	store_chunks_ahead(c, 3); /* does not wait for it */
	assert_int_equal(end_load(f, t), STORE_CHUNK_READY);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(atomic_load(&w[i].called), i == 2 ? 0 : 1);
		assert_int_equal(atomic_load(&w[i].got), i != 2);
	}
	assert_false(store_chunks_cancel(c, &w[0].wait));
	assert_int_equal(atomic_load(&f->loads[3]), 1);
}

static void test_failure_reaches_all_and_is_not_kept(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 16 * MIB, false);
	struct waiter w = { .wait.done = waiter_done, .c = c };
	struct store_chunk_ref ref;
	pthread_t t;

	f->fail = 3;
	t = begin_load(f, c);
	assert_int_equal(store_chunks_get(c, 3, &w.wait, &ref), STORE_CHUNK_PARKED);
	assert_int_equal(end_load(f, t), STORE_CHUNK_FAILED);
	assert_int_equal(atomic_load(&w.called), 1);
	assert_false(atomic_load(&w.got));
	assert_int_equal(store_chunks_bytes(c), 0);
	f->fail = -1;
	get_and_put(c, 3, 1);
}

static void test_damage_is_seen(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 16 * MIB, false);
	struct store_chunk_wait w = { 0 };
	struct store_chunk_ref ref;
	struct hr_buf *frame = &f->frames[1];

	/* another chunk's bytes, a short frame, each bit of a frame */
	assert_int_equal(frame->len, f->frames[2].len);
	memcpy(frame->p, f->frames[2].p, frame->len);
	assert_int_equal(store_chunks_get(c, 1, &w, &ref), STORE_CHUNK_FAILED);
	frame->len--;
	assert_int_equal(store_chunks_get(c, 1, &w, &ref), STORE_CHUNK_FAILED);
	for (size_t bit = 0; bit < 8 * f->frames[4].len; bit++) {
		f->frames[4].p[bit / 8] ^= 1 << bit % 8;
		if (store_chunks_get(c, 4, &w, &ref) == STORE_CHUNK_READY) {
			/* a bit that means nothing to zstd: the bytes must be right */
			assert_int_equal(ref.p[0], 'A' + 4);
			assert_memory_equal(ref.p, ref.p + 1, BYTES - 1);
			store_chunks_put(c, &ref, BYTES);
			get_and_put(c, 5, BYTES); /* takes the buffer of what was read */
		}
		f->frames[4].p[bit / 8] ^= 1 << bit % 8;
	}
	assert_int_equal(store_chunks_get(c, CHUNKS, &w, &ref), STORE_CHUNK_FAILED);
}

static void *hammer(void *arg)
{
	struct store_chunks *c = ((void **)arg)[0];
	unsigned int seed = (unsigned int)(uintptr_t)((void **)arg)[1];

	for (int i = 0; i < 300; i++) {
		struct waiter w = { .wait.done = waiter_done, .c = c };
		uint32_t chunk = (uint32_t)rand_r(&seed) % 12;
		struct store_chunk_ref ref;

		if (store_chunks_get(c, chunk, &w.wait, &ref) == STORE_CHUNK_READY) {
			assert_int_equal(ref.p[BYTES / 2], 'A' + chunk);
			store_chunks_put(c, &ref, (uint32_t)rand_r(&seed) % BYTES);
		} else if (rand_r(&seed) % 2 || !store_chunks_cancel(c, &w.wait)) {
			while (atomic_load(&w.called) == 0)
				usleep(10);
		}
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct fake *f = *state;
	HR_CLEANUP(store_chunks_freep) struct store_chunks *c = cache(f, 4 * MIB, true);
	void *args[4][2];
	pthread_t t[4];

	for (size_t i = 0; i < 4; i++) {
		args[i][0] = c;
		args[i][1] = (void *)(i + 1);
		assert_int_equal(pthread_create(&t[i], NULL, hammer, args[i]), 0);
	}
	for (size_t i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_true(store_chunks_bytes(c) <= 4 * MIB);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_keeps_what_is_used_in_part),
		TEST(test_reading_everything_once_needs_one_buffer),
		TEST(test_budget_drops_the_least_recently_used),
		TEST(test_budget_is_exceeded_only_by_what_is_held),
		TEST(test_single_flight),
		TEST(test_failure_reaches_all_and_is_not_kept),
		TEST(test_damage_is_seen),
		TEST(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
