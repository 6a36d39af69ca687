/* SPDX-License-Identifier: BSD-3-Clause */
/* Large files that earlier sessions read, when a session begins: who has many of them is given a
 * moment, for a mount is waited for by whoever reads; who has few has them at once. */
#include "config.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/native.h"
#include "store/serve.h"
#include "tests/unit/index_sample.h"
#include "tests/unit/tree_remove.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/serve_proto.h"
#include "util/poison.h"

#define FEW	  16 /* as many are mounted at once */
#define FILES	  (FEW + 3)
#define SETTLE_MS 20
#define START_MS  1000 /* the last pause of a start */
#define PROGRAM	  "program"

static char dir[64];
static struct store_cache *cache;
static struct store_index *ix;
static struct hr_buf ix_bytes;
static struct store_native_list whole; /* all files */

/* ---- in place of the C library's: nothing here takes any time ---- */

static atomic_uint first_pause_ms, last_pause_ms;

int nanosleep(const struct timespec *t, struct timespec *rest)
{
	unsigned int ms = (unsigned int)t->tv_sec * 1000 + (unsigned int)(t->tv_nsec / 1000000);

	(void)rest;
	if (atomic_load(&first_pause_ms) == 0)
		atomic_store(&first_pause_ms, ms);
	atomic_store(&last_pause_ms, ms);
	return 0;
}

int fsync(int fd)
{
	(void)fd;
	return 0;
}

/* What makes large files is not loaded: the thread ends before it would. */
int serve_sha256_load(store_chunk_sha256 **out, struct hr_err *e)
{
	(void)out;
	return hr_fail(e, HR_SYS, 0, "not here");
}

/* ---- an image of large files, all of them whole in the cache but the last: it is begun ---- */

static void name_of(uint32_t i, char name[8])
{
	snprintf(name, 8, "%02u", i);
}

static struct store_inode inode_of(uint32_t i)
{
	struct store_inode file;

	assert_true(store_index_inode(ix, 1 + i, &file));
	return file;
}

static void make_index(void)
{
	HR_CLEANUP(store_index_builder_freep)
	struct store_index_builder *b = store_index_builder_new();
	struct store_inode root = { .mode = S_IFDIR | 0755, .nlink = 2, .count = FILES };
	char name[8];

	for (uint32_t i = 0; i < FILES; i++) {
		name_of(i, name);
		store_index_builder_entry(b, name, 2, 1 + i);
	}
	store_index_builder_inode(b, &root);
	for (uint32_t i = 0; i < FILES; i++) {
		const struct store_inode file = {
			.mode = S_IFREG | 0644,
			.nlink = 1,
			.size = STORE_NATIVE_MIN,
			.mtime = 1 + i,
			.first = store_index_builder_extent(b, 0, STORE_HOLE, 0),
			.count = 1,
		};

		store_index_builder_inode(b, &file);
	}
	index_sample_finish(b, &ix_bytes);
	ix = index_sample_parse(&ix_bytes);
}

static void make_file(uint32_t i)
{
	HR_CLEANUP(store_cache_file_closep) struct store_cache_file *f = NULL;
	const struct store_inode file = inode_of(i);
	struct store_cache_file_want want;
	enum store_cache_file_state state;
	struct hr_err e = { 0 };
	char name[8];
	uint64_t done;

	name_of(i, name);
	assert_true(store_native_want(ix, &file, fetch_digest_of, &want));
	store_native_list_add(&whole, name, &want.name);
	if (store_cache_file_open(cache, &want, true, &f, &e) < 0 ||
	    store_cache_file_claim(f, &state, &e) < 0 || store_cache_file_begin(f, &done, &e) < 0 ||
	    (i < FILES - 1 && store_cache_file_finish(f, &e) < 0))
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	struct hr_err e = { 0 };

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_store_serve_native.XXXXXX");
	if (!mkdtemp(dir) || store_cache_open(dir, &cache, &e) < 0)
		fail_msg("%s", e.text);
	make_index();
	if (store_cache_file_can(cache, &e) == 0)
		for (uint32_t i = 0; i < FILES; i++)
			make_file(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_native_list_release(&whole);
	return tree_remove(dir);
}

/* ---- a session ---- */

/* It has read these files before. */
static void has_read(const struct store_native *v, size_t n, const char *program)
{
	struct store_native known[FILES];
	const struct store_native_list list = { known, n };
	struct hr_err e = { 0 };

	memcpy(known, v, n * sizeof(*v));
	if (store_native_list_save(cache, &list, &index_sample_manifest, program, &e) < 0)
		fail_msg("%s", e.text);
}

static size_t count(int list)
{
	hr_autobuf struct hr_buf b = { 0 };
	struct hr_native native;
	struct hr_err e = { 0 };
	const uint8_t *p;
	size_t n = 0, len;
	struct stat st;

	assert_int_equal(lseek(list, 0, SEEK_SET), 0);
	assert_int_equal(hr_fd_read(list, HR_NATIVES_BYTES, "a list", &b, &e), 0);
	for (p = b.p, len = b.len; hr_native_next(&p, &len, &native, &e) == 1; n++) {
		assert_int_equal(stat(native.source, &st), 0);
		assert_int_equal(st.st_ino, native.ino);
		assert_int_equal(st.st_dev, native.dev);
		assert_int_equal(st.st_mtime, native.node - 1); /* the root is 1, the first 2 */
		assert_int_equal(strtol(native.target + 1, NULL, 10), native.node - 2);
	}
	assert_int_equal(e.kind, HR_OK);
	return n;
}

/* How many files a session is given first, and after what pause if there was one. */
static size_t begins_with(unsigned int *paused_ms)
{
	static struct hr_stats stats[8]; /* the thread has them for ever, and SERVE */
	static struct serve serves[8];
	static size_t used;
	const struct serve_native_options o = { .cache_dir = dir,
						.program = PROGRAM,
						.cache_bytes = 1 << 30 };
	struct serve *s = &serves[used];
	struct serve_msg m;
	struct hr_err e = { 0 };
	int ends[2], fds[2];
	size_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	s->ix = ix;
	s->cache = cache;
	s->control = ends[1];
	s->stats = &stats[used++];
	atomic_store(&first_pause_ms, 0);
	atomic_store(&last_pause_ms, 0);
	assert_non_null(serve_native_start(s, &o));
	if (hr_serve_recv(ends[0], &m, fds, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(m.type, SERVE_NATIVE);
	n = count(fds[0]);
	close(fds[0]);
	close(ends[0]);
	assert_int_equal(s->stats->natives, n);
	while (atomic_load(&last_pause_ms) < START_MS) /* until the start is over */
		sched_yield();
	*paused_ms = atomic_load(&first_pause_ms);
	return n;
}

static void few_are_there_at_once_and_many_after_a_moment(void **state)
{
	unsigned int ms;

	(void)state;
	if (whole.n == 0)
		skip(); /* files here cannot be mounted and executed */
	has_read(whole.v, FEW, PROGRAM);
	assert_int_equal(begins_with(&ms), FEW);
	assert_int_not_equal(ms, SETTLE_MS);
	has_read(whole.v, FEW + 1, PROGRAM);
	assert_int_equal(begins_with(&ms), FEW + 1);
	assert_int_equal(ms, SETTLE_MS);
}

static void what_is_not_whole_is_left_out(void **state)
{
	unsigned int ms;

	(void)state;
	if (whole.n == 0)
		skip();
	has_read(whole.v + FILES - 2, 2, PROGRAM); /* the last one is not */
	assert_int_equal(begins_with(&ms), 1);
}

static void a_program_without_a_list_has_the_one_for_any(void **state)
{
	char path[STORE_NATIVE_LIST_PATH];
	unsigned int ms;

	(void)state;
	if (whole.n == 0)
		skip();
	has_read(whole.v, 5, "");
	has_read(whole.v, 4, PROGRAM);
	assert_int_equal(begins_with(&ms), 4);
	store_native_list_path(&index_sample_manifest, PROGRAM, path);
	assert_int_equal(unlinkat(store_cache_dir(cache), path, 0), 0);
	assert_int_equal(begins_with(&ms), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_are_there_at_once_and_many_after_a_moment),
		cmocka_unit_test(what_is_not_whole_is_left_out),
		cmocka_unit_test(a_program_without_a_list_has_the_one_for_any),
	};

	return cmocka_run_group_tests_name("store serve_native", tests, setup, teardown);
}
