/* SPDX-License-Identifier: BSD-3-Clause */
/* HAZARDS F7: many processes that make the same store, and write the same objects to it and the
 * same chunk to a node cache: all succeed, each finds the objects whole, one of each is left. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/cache.h"
#include "store/layout.h"
#include "store/pack.h"
#include "tests/unit/store_rig.h"
#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/poison.h"

#define WRITERS 128
#define BYTES	20000u /* more than one write(2) of a pipe or a page */
#define TAG	"localhost:1/an/image:1"

static const struct fetch_digest index_name = { { 'i' } };
static uint8_t content[BYTES];
static char top[64], store_path[80], cache_path[80];

/* In place of the C library's: the disk is not what is tested. */
int fsync(int fd)
{
	(void)fd;
	return 0;
}

static int write_pack(const struct store *st, struct fetch_digest *name, struct hr_err *e)
{
	struct store_chunk c = { .bytes = BYTES };
	struct store_pack_frame f = { .p = content, .len = BYTES };
	struct store_pack_writer *w = NULL;
	struct store_loc_chunk at;
	struct store_loc_pack pack;
	int r = -1;

	fetch_digest_of(content, BYTES, &c.digest);
	f.digest = c.digest;
	if (store_pack_new(st, &w, e) == 0 && store_pack_add(w, &c, &f, &at, e) == 0 &&
	    store_pack_finish(w, &pack, e) == 0)
		r = store_pack_publish(w, e);
	store_pack_free(w);
	*name = pack.name;
	return r;
}

static int write_ref(const struct store *st, struct hr_err *e)
{
	HR_CLEANUP(store_ref_record_release) struct store_ref_record got = { .server = NULL };
	HR_CLEANUP(fetch_ref_release) struct fetch_ref ref = { 0 };
	char server[] = "localhost:1";
	const struct store_ref_record r = { index_name, index_name, 1, server };

	if (fetch_ref_parse(TAG, &ref, e) < 0 || store_ref_write(st, &ref, &r, e) < 0)
		return -1;
	return store_ref_read(st, &ref, &got, e);
}

/* The store, a pack, an index and a reference; the index is read as it is being replaced. */
static int write_all(struct hr_err *e)
{
	HR_CLEANUP(store_closep) struct store *st = NULL;
	hr_autobuf struct hr_buf b = { 0 };
	struct fetch_digest pack;

	if (store_open(store_path, STORE_WRITE, NULL, &st, e) < 0 || write_pack(st, &pack, e) < 0 ||
	    store_object_write(st, STORE_INDEX, &index_name, content, BYTES, e) < 0 ||
	    store_object_read(st, STORE_INDEX, &index_name, BYTES, &b, e) < 0 ||
	    store_sync_names(st, e) < 0 || write_ref(st, e) < 0)
		return -1;
	if (b.len != BYTES || memcmp(b.p, content, BYTES) != 0)
		return hr_fail(e, HR_CORRUPT, 0, "an index in part");
	return 0;
}

static int cache_it(struct hr_err *e)
{
	struct store_cache *c = NULL;
	struct store_cache_pack *p = NULL;
	uint8_t got[BYTES];
	int r = -1;

	if (store_cache_open(cache_path, &c, e) < 0 ||
	    store_cache_pack_open(c, &index_name, 1, &p, e) < 0)
		return -1;
	while (!store_cache_has(p, 0)) {
		if (store_cache_claim(p, 0) != 1) {
			usleep(100);
			continue;
		}
		r = store_cache_put(p, 0, 0, content, BYTES, e);
		store_cache_unclaim(p, 0);
		if (r < 0)
			return -1;
	}
	r = store_cache_get(p, 0, 0, got, BYTES, e);
	if (r == 0 && memcmp(got, content, BYTES) != 0)
		r = hr_fail(e, HR_CORRUPT, 0, "a chunk in part");
	store_cache_pack_close(p);
	store_cache_close(c);
	return r;
}

/* A process, when BEGIN ends. */
static void be_writer(int begin)
{
	struct hr_err e = { 0 };
	char none;
	int r;

	if (read(begin, &none, 1) != 0)
		_exit(2);
	r = write_all(&e) < 0 ? -1 : cache_it(&e);
	if (r < 0)
		fprintf(stderr, "%s\n", e.text);
	_exit(r < 0);
}

static int count_object(void *arg, const struct fetch_digest *d, uint64_t bytes, struct hr_err *e)
{
	unsigned int *n = arg;

	(void)d;
	(void)bytes;
	(void)e;
	(*n)++;
	return 0;
}

static unsigned int names_in(const struct store *st, const char *path)
{
	hr_autodir DIR *dir = fdopendir(openat(st->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned int n = 0;

	assert_non_null(dir);
	for (struct dirent *d; (d = readdir(dir));)
		n += d->d_name[0] != '.';
	return n;
}

static void one_of_each_is_left(void)
{
	static const enum store_kind kinds[] = { STORE_PACK, STORE_INDEX };
	HR_CLEANUP(store_closep) struct store *st = NULL;
	HR_CLEANUP(hr_strv_release) struct hr_strv refs = { 0 };
	hr_autobuf struct hr_buf b = { 0 };
	struct store_pack_table table;
	struct fetch_digest pack;

	MUST(store_open(store_path, STORE_READ, NULL, &st, &err));
	for (size_t i = 0; i < HR_COUNT(kinds); i++) {
		unsigned int n = 0;

		MUST(store_object_each(st, kinds[i], count_object, &n, &err));
		assert_int_equal(n, 1);
	}
	assert_int_equal(names_in(st, "tmp"), 0);
	MUST(store_ref_names(st, &refs, &err));
	assert_int_equal(refs.n, 1);
	assert_string_equal(refs.v[0], TAG);
	MUST(write_pack(st, &pack, &err)); /* for its name */
	MUST(store_pack_table_read(st, &pack, &b, &table, &err));
}

static void all_succeed_and_one_of_each_is_left(void **state)
{
	pid_t pids[WRITERS];
	int begin[2], status, failed = 0;

	(void)state;
	assert_int_equal(pipe(begin), 0);
	for (size_t i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_int_not_equal(pids[i], -1);
		if (pids[i] == 0) {
			close(begin[1]);
			be_writer(begin[0]);
		}
	}
	close(begin[0]);
	close(begin[1]);
	for (size_t i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		failed += status != 0;
	}
	assert_int_equal(failed, 0);
	one_of_each_is_left();
}

static int setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/test_store_writers.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	snprintf(store_path, sizeof(store_path), "%s/store", top);
	snprintf(cache_path, sizeof(cache_path), "%s/cache", top);
	for (uint32_t i = 0; i < BYTES; i++)
		content[i] = (uint8_t)(i * 7 + i / 251 + 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return tree_remove(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_succeed_and_one_of_each_is_left, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("store writers", tests, NULL, NULL);
}
