/* SPDX-License-Identifier: BSD-3-Clause */
/* Chunks of a pack in the node cache that have come to lie in a large file of it: they lie there
 * once, are read from there, and are absent when the file is. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/cache.h"
#include "store/cache_file.h"
#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/poison.h"

#define FRAMES 4
#define LEN    (1u << 20)
#define UOFF   1234u /* of frame 0, as small files before it would have it */
#define MOVES  500

static const struct fetch_digest pack_name = { { 1, 2, 3 } }, file_name = { { 4, 5, 6 } };
static char dir[64];
static struct store_cache *cache;
static struct store_cache_pack *pack;
static uint8_t chunk[FRAMES][LEN], got[LEN];
static bool no_holes; /* the file system makes none */

/* In place of the C library's. */
int fallocate(int fd, int mode, off_t off, off_t len)
{
	if (no_holes) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

static void open_all(void)
{
	struct hr_err e = { 0 };

	if (store_cache_open(dir, &cache, &e) < 0 ||
	    store_cache_pack_open(cache, &pack_name, FRAMES, &pack, &e) < 0)
		fail_msg("%s", e.text);
}

static void close_all(void)
{
	store_cache_pack_close(pack);
	store_cache_close(cache);
}

static uint64_t uoff_of(uint32_t frame)
{
	return UOFF + (uint64_t)frame * LEN;
}

/* A large file with all chunks, in their order. */
static void make_file(void)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	struct store_cache_file_want want = { .name = file_name,
					      .size = sizeof(chunk),
					      .mode = 0444 };
	enum store_cache_file_state state;
	struct hr_err e = { 0 };
	uint64_t done;

	if (store_cache_file_open(cache, &want, true, &f, &e) < 0 ||
	    store_cache_file_claim(f, &state, &e) < 0 || store_cache_file_begin(f, &done, &e) < 0 ||
	    store_cache_file_write(f, 0, chunk, sizeof(chunk), &e) < 0 ||
	    store_cache_file_finish(f, &e) < 0)
		fail_msg("%s", e.text);
}

static void put(uint32_t frame)
{
	struct hr_err e = { 0 };

	if (store_cache_put(pack, frame, uoff_of(frame), chunk[frame], LEN, &e) < 0)
		fail_msg("%s", e.text);
}

static void move(uint32_t frame)
{
	const struct store_cache_at at = { file_name, (uint64_t)frame * LEN };

	store_cache_move(pack, frame, uoff_of(frame), LEN, &at);
}

static int get(uint32_t frame, struct hr_err *e)
{
	return store_cache_get(pack, frame, uoff_of(frame), got, LEN, e);
}

static void assert_right(uint32_t frame)
{
	struct hr_err e = { 0 };

	if (get(frame, &e) < 0)
		fail_msg("frame %u: %s", (unsigned int)frame, e.text);
	assert_memory_equal(got, chunk[frame], LEN);
}

static void path_of(const char *kind, const struct fetch_digest *d, const char *suffix,
		    char out[256])
{
	char hex[FETCH_DIGEST_HEX];

	fetch_digest_hex(d, hex);
	snprintf(out, 256, "%s/%s/%.2s/%s%s", dir, kind, hex, hex, suffix);
}

static uint64_t pack_on_disk(void)
{
	char path[256];
	struct stat st;

	path_of("packs", &pack_name, ".data", path);
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_store_cache_move.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	for (uint32_t f = 0; f < FRAMES; f++)
		for (uint32_t i = 0; i < LEN; i++)
			chunk[f][i] = (uint8_t)(i * 7 + i / 251 + f * 13 + 1);
	open_all();
	for (uint32_t f = 0; f < FRAMES; f++)
		put(f);
	make_file();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_all();
	return tree_remove(dir);
}

static void what_was_moved_lies_once_and_is_read_as_before(void **state)
{
	uint64_t before = pack_on_disk();

	(void)state;
	move(1);
	move(2);
	move(2); /* once is enough */
	assert_in_range(pack_on_disk(), before - 2 * LEN, before - 2 * LEN + 4 * 4096);
	for (uint32_t f = 0; f < FRAMES; f++)
		assert_right(f);
	close_all();
	open_all();
	for (uint32_t f = 0; f < FRAMES; f++) {
		assert_true(store_cache_has(pack, f));
		assert_right(f);
	}
}

static void what_is_read_so_is_not_evicted(void **state)
{
	struct store_cache_usage left;
	struct hr_err e = { 0 };

	(void)state;
	move(1);
	assert_right(1);
	assert_int_equal(store_cache_evict(cache, 0, &left, &e), 0);
	assert_int_equal(left.files, 1);
	assert_right(1);
}

static void without_its_file_it_is_absent_and_can_be_put_again(void **state)
{
	struct store_cache_usage left;
	struct hr_err e = { 0 };

	(void)state;
	move(1);
	move(2);
	assert_int_equal(store_cache_evict(cache, 0, &left, &e), 0); /* the pack is open */
	assert_int_equal(left.files, 0);
	assert_int_equal(get(1, &e), -1);
	assert_int_equal(e.kind, HR_NOTFOUND);
	assert_false(store_cache_has(pack, 1));
	assert_true(store_cache_has(pack, 2)); /* nobody looked */
	store_cache_settle(pack, 0, uoff_of(0));
	store_cache_settle(pack, 2, uoff_of(2));
	assert_true(store_cache_has(pack, 0));
	assert_false(store_cache_has(pack, 2));
	put(1);
	assert_right(0);
	assert_right(1);
}

static void what_settles_stays(void **state)
{
	struct store_cache_usage left;
	struct hr_err e = { 0 };

	(void)state;
	move(3);
	store_cache_settle(pack, 3, uoff_of(3));
	assert_true(store_cache_has(pack, 3));
	assert_int_equal(store_cache_evict(cache, 0, &left, &e), 0);
	assert_right(3);
}

/* A loss of power: the byte is on disk, what it tells of is not, or the other way round. */
static void a_byte_that_does_not_fit_its_bytes_is_found_out(void **state)
{
	static const uint8_t moved = 2, present = 1;
	hr_autofd int map = -1;
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	path_of("packs", &pack_name, ".map", path);
	map = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(map, &moved, 1, 64), 1);
	assert_int_equal(get(0, &e), -1);
	assert_int_equal(e.kind, HR_CORRUPT);
	assert_false(store_cache_has(pack, 0));
	move(1);
	assert_int_equal(pwrite(map, &present, 1, 64 + 1), 1);
	hr_err_clear(&e);
	assert_int_equal(get(1, &e), 0); /* the reader's check sum tells */
	assert_memory_not_equal(got, chunk[1], LEN);
}

static void neither_what_is_claimed_nor_what_is_small_is_moved(void **state)
{
	const struct store_cache_at at = { file_name, 0 };
	struct store_cache_pack *other;
	uint64_t before = pack_on_disk();
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(store_cache_pack_open(cache, &pack_name, FRAMES, &other, &e), 0);
	assert_int_equal(store_cache_claim(other, 0), 1);
	move(0);
	store_cache_pack_close(other);
	store_cache_move(pack, 1, uoff_of(1), 4096, &at);
	assert_right(1);
	assert_int_equal(pack_on_disk(), before);
	move(0); /* the claim has gone */
	assert_true(pack_on_disk() < before);
}

static atomic_bool stop;
static atomic_uint reads;

/* Whoever reads meanwhile gets the bytes, or nothing. */
static void *read_on(void *arg)
{
	static uint8_t buf[LEN];
	uintptr_t bad = 0;

	(void)arg;
	while (!atomic_load(&stop)) {
		struct hr_err e = { 0 };

		if (store_cache_get(pack, 0, uoff_of(0), buf, LEN, &e) == 0)
			bad += memcmp(buf, chunk[0], LEN) != 0;
		else
			bad += e.kind != HR_NOTFOUND;
		atomic_fetch_add(&reads, 1);
	}
	return (void *)bad; /* NOLINT */
}

/* Until a read that goes on now has ended: none sees it moved and put, or put and moved, again. */
static void let_read(void)
{
	unsigned int begun = atomic_load(&reads);

	while (atomic_load(&reads) - begun < 2)
		usleep(10);
}

static void readers_see_it_whole_or_not_at_all(void **state)
{
	pthread_t thread;
	void *bad;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, read_on, NULL), 0);
	for (int i = 0; i < MOVES; i++) {
		move(0);
		let_read();
		store_cache_drop(pack, 0); /* as if its file had been evicted */
		put(0);
		let_read();
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(thread, &bad), 0);
	assert_null(bad);
}

static void where_no_room_is_given_back_it_stays_where_it_was(void **state)
{
	char path[256];

	(void)state;
	no_holes = true;
	move(1);
	no_holes = false;
	assert_right(1);
	path_of("files", &file_name, "", path);
	assert_int_equal(unlink(path), 0);
	assert_right(1); /* not by way of the large file */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_moved_lies_once_and_is_read_as_before,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_read_so_is_not_evicted, setup, teardown),
		cmocka_unit_test_setup_teardown(without_its_file_it_is_absent_and_can_be_put_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_settles_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_byte_that_does_not_fit_its_bytes_is_found_out,
						setup, teardown),
		cmocka_unit_test_setup_teardown(neither_what_is_claimed_nor_what_is_small_is_moved,
						setup, teardown),
		cmocka_unit_test_setup_teardown(where_no_room_is_given_back_it_stays_where_it_was,
						setup, teardown),
		cmocka_unit_test_setup_teardown(readers_see_it_whole_or_not_at_all, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
