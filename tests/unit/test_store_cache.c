/* SPDX-License-Identifier: BSD-3-Clause */
/* The node cache: presence, claims between processes, eviction, damage. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/cache.h"
#include "util/io.h"
#include "util/poison.h"

#define FRAMES 8

static char dir[64];
static struct store_cache *cache;

static struct fetch_digest pack_name(uint8_t n)
{
	struct fetch_digest d = { { n, 1, 2 } };

	return d;
}

static struct store_cache_pack *pack_open(uint8_t n)
{
	struct fetch_digest d = pack_name(n);
	struct store_cache_pack *p = NULL;
	struct hr_err e = { 0 };

	if (store_cache_pack_open(cache, &d, FRAMES, &p, &e) < 0)
		fail_msg("%s", e.text);
	return p;
}

static void file_of(uint8_t n, const char *suffix, char out[256])
{
	struct fetch_digest d = pack_name(n);
	char hex[FETCH_DIGEST_HEX];

	fetch_digest_hex(&d, hex);
	snprintf(out, 256, "%s/packs/%.2s/%s%s", dir, hex, hex, suffix);
}

static int setup(void **state)
{
	struct hr_err e = { 0 };

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_store_cache.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	return store_cache_open(dir, &cache, &e);
}

static int teardown(void **state)
{
	struct store_cache_usage left;
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	if (store_cache_evict(cache, 0, &left, &e) < 0 || left.packs != 0)
		return -1;
	store_cache_close(cache);
	for (uint8_t n = 0; n < 4; n++) {
		file_of(n, "", path);
		path[strlen(dir) + strlen("/packs/00")] = '\0';
		rmdir(path);
	}
	snprintf(path, sizeof(path), "%s/packs/turns", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/packs", dir);
	rmdir(path);
	return rmdir(dir);
}

static void what_was_put_is_there_also_after_closing(void **state)
{
	struct store_cache_pack *p = pack_open(0);
	struct hr_err e = { 0 };
	char got[6] = "";

	(void)state;
	assert_false(store_cache_has(p, 3));
	assert_int_equal(store_cache_get(p, 3, 5000, got, 5, &e), -1);
	assert_int_equal(e.kind, HR_NOTFOUND);
	hr_err_clear(&e);
	assert_int_equal(store_cache_put(p, 3, 5000, "hello", 5, &e), 0);
	store_cache_pack_close(p);
	p = pack_open(0);
	assert_true(store_cache_has(p, 3));
	assert_false(store_cache_has(p, 2));
	assert_false(store_cache_has(p, FRAMES));
	assert_int_equal(store_cache_get(p, 3, 5000, got, 5, &e), 0);
	assert_string_equal(got, "hello");
	store_cache_drop(p, 3);
	assert_false(store_cache_has(p, 3));
	store_cache_pack_close(p);
}

static void a_data_file_cut_short_is_an_error_not_zeros(void **state)
{
	struct store_cache_pack *p = pack_open(1);
	struct hr_err e = { 0 };
	char path[256], got[5];

	(void)state;
	assert_int_equal(store_cache_put(p, 0, 100, "hello", 5, &e), 0);
	file_of(1, ".data", path);
	assert_int_equal(truncate(path, 102), 0);
	assert_int_equal(store_cache_get(p, 0, 100, got, 5, &e), -1);
	assert_int_equal(e.kind, HR_CORRUPT);
	store_cache_pack_close(p);
}

static void a_claim_excludes_other_processes_and_dies_with_its_owner(void **state)
{
	int ready[2], hold[2], status;
	char byte = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(hold), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store_cache_pack *mine = pack_open(2);

		byte = (char)('0' + store_cache_claim(mine, 5));
		close(hold[1]);
		if (write(ready[1], &byte, 1) != 1 || read(hold[0], &byte, 1) != 0)
			_exit(1);
		_exit(0); /* without unclaim */
	}
	close(hold[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, '1');

	struct store_cache_pack *p = pack_open(2);

	assert_int_equal(store_cache_claim(p, 5), 0);
	assert_int_equal(store_cache_claim(p, 6), 1);
	store_cache_unclaim(p, 6);
	close(hold[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(store_cache_claim(p, 5), 1);
	store_cache_pack_close(p);
	close(ready[0]);
	close(ready[1]);
}

static void eviction_takes_the_oldest_and_leaves_what_is_open(void **state)
{
	struct store_cache_pack *p[3];
	struct store_cache_usage u;
	struct hr_err e = { 0 };
	static char big[65536];
	char path[256];

	(void)state;
	for (uint8_t n = 0; n < 3; n++) {
		struct timespec age[2] = { { 1000 + n, 0 }, { 1000 + n, 0 } };

		p[n] = pack_open(n);
		assert_int_equal(store_cache_put(p[n], 0, 0, big, sizeof(big), &e), 0);
		file_of(n, ".map", path);
		assert_int_equal(utimensat(AT_FDCWD, path, age, 0), 0);
	}
	store_cache_pack_close(p[0]);
	store_cache_pack_close(p[1]);
	assert_int_equal(store_cache_evict(cache, 150000, &u, &e), 0);
	assert_int_equal(u.packs, 2);
	file_of(0, ".map", path);
	assert_int_equal(access(path, F_OK), -1);
	file_of(1, ".map", path);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(store_cache_evict(cache, 0, &u, &e), 0);
	assert_int_equal(u.packs, 1); /* the open one */
	assert_true(store_cache_has(p[2], 0));
	store_cache_pack_close(p[2]);
}

static void a_map_that_does_not_fit_is_made_anew(void **state)
{
	struct store_cache_pack *p = pack_open(3);
	struct hr_err e = { 0 };
	char path[256];

	(void)state;
	assert_int_equal(store_cache_put(p, 0, 0, "x", 1, &e), 0);
	store_cache_pack_close(p);
	file_of(3, ".map", path);
	assert_int_equal(truncate(path, 10), 0);
	p = pack_open(3);
	assert_false(store_cache_has(p, 0));
	store_cache_pack_close(p);
}

/* The header alone says nothing of the bytes behind it, nor these of it. */
static void a_map_of_another_number_is_made_anew(void **state)
{
	static const struct {
		const char *what;
		off_t size;
		uint8_t number; /* in the header */
	} rows[] = {
		{ "short", 64 + FRAMES - 1, FRAMES },
		{ "long", 64 + FRAMES + 1, FRAMES },
		{ "other number", 64 + FRAMES, FRAMES + 1 },
	};
	char path[256];

	(void)state;
	file_of(3, ".map", path);
	for (size_t i = 0; i < HR_COUNT(rows); i++) {
		struct store_cache_pack *p = pack_open(3);
		struct hr_err e = { 0 };
		struct stat st;
		int fd;

		assert_int_equal(store_cache_put(p, 0, 0, "x", 1, &e), 0);
		store_cache_pack_close(p);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(ftruncate(fd, rows[i].size), 0);
		assert_int_equal(pwrite(fd, &rows[i].number, 1, 8), 1);
		close(fd);
		p = pack_open(3);
		if (store_cache_has(p, 0) || stat(path, &st) < 0 || st.st_size != 64 + FRAMES)
			fail_msg("%s", rows[i].what);
		store_cache_pack_close(p);
	}
}

#define WRITERS 128

/* One of many at once: opens the pack, claims what it can and puts it; how many frames it put. */
static int write_pack(int start)
{
	struct store_cache_pack *p;
	struct hr_err e = { 0 };
	char byte;
	int n = 0;

	if (read(start, &byte, 1) != 0)
		return 100;
	p = pack_open(3);
	for (uint32_t i = 0; i < FRAMES; i++) {
		char text[8] = "frame 0";

		text[6] = (char)('0' + i);
		if (!store_cache_claim(p, i))
			continue;
		if (!store_cache_has(p, i) && ++n &&
		    store_cache_put(p, i, 1000 * i, text, sizeof(text), &e) < 0)
			return 100;
		store_cache_unclaim(p, i);
	}
	return n;
}

static void many_writers_of_a_new_pack_write_each_frame_once(void **state)
{
	int start[2], status, put = 0;
	struct store_cache_pack *p;
	struct hr_err e = { 0 };
	pid_t pids[WRITERS];
	char path[256], got[8];

	(void)state;
	file_of(3, ".map", path);
	unlink(path);
	assert_int_equal(pipe(start), 0);
	for (size_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			close(start[1]);
			_exit(write_pack(start[0]));
		}
	}
	close(start[1]); /* go */
	for (size_t i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= FRAMES);
		put += WEXITSTATUS(status);
	}
	close(start[0]);
	assert_int_equal(put, FRAMES);
	p = pack_open(3);
	for (uint32_t i = 0; i < FRAMES; i++) {
		assert_int_equal(store_cache_get(p, i, 1000 * i, got, sizeof(got), &e), 0);
		assert_int_equal(got[6], '0' + (int)i);
	}
	store_cache_pack_close(p);
}

static void a_directory_of_others_is_refused(void **state)
{
	struct store_cache *c = NULL;
	struct hr_err e = { 0 };

	(void)state;
	assert_int_equal(chmod(dir, 0770), 0);
	assert_int_equal(store_cache_open(dir, &c, &e), -1);
	assert_int_equal(e.kind, HR_DENIED);
	assert_non_null(strstr(e.text, "0770"));
	assert_int_equal(chmod(dir, 0700), 0);
}

static void a_turn_that_does_not_come_is_gone_without(void **state)
{
	struct fetch_digest one = { { 0, 0, 1 } }, other = { { 0, 0, 2 } };
	struct store_cache *c = NULL;
	struct hr_err e = { 0 };
	int turn, next;

	(void)state;
	assert_int_equal(store_cache_open(dir, &c, &e), 0);
	turn = store_cache_turn(c, &one, 0);
	assert_true(turn >= 0);
	assert_int_equal(store_cache_turn(c, &one, 0), -1);
	assert_int_equal(store_cache_turn(c, &one, 50), -1);
	next = store_cache_turn(c, &other, 0);
	assert_true(next >= 0);
	close(turn);
	turn = store_cache_turn(c, &one, 0);
	assert_true(turn >= 0);
	close(turn);
	close(next);
	store_cache_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_there_also_after_closing),
		cmocka_unit_test(a_data_file_cut_short_is_an_error_not_zeros),
		cmocka_unit_test(a_claim_excludes_other_processes_and_dies_with_its_owner),
		cmocka_unit_test(eviction_takes_the_oldest_and_leaves_what_is_open),
		cmocka_unit_test(a_map_that_does_not_fit_is_made_anew),
		cmocka_unit_test(a_map_of_another_number_is_made_anew),
		cmocka_unit_test(many_writers_of_a_new_pack_write_each_frame_once),
		cmocka_unit_test(a_directory_of_others_is_refused),
		cmocka_unit_test(a_turn_that_does_not_come_is_gone_without),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
